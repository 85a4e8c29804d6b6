package parse

import (
	"net/netip"
	"strings"
)

// auto tells the format of one line from the line, and reads it so.
func (p *parser) auto(line string) {
	if p.zone.bracket {
		p.rpz(line)
		return
	}
	switch line[0] {
	case ';':
		return
	case '#', '!', '[':
		if !addressLike(line) {
			p.adblock(line) // which knows comments from cosmetic rules
			return
		}
	case '|', '@':
		if line[0] == '|' || strings.HasPrefix(line, "@@") {
			p.adblock(line)
		} else {
			p.rpz(line)
		}
		return
	case '$':
		p.rpz(line)
		return
	case '/':
		if comment(line) {
			return
		}
		p.adblock(line)
		return
	}
	if strings.ContainsAny(line, " \t") {
		p.autoWords(line)
		return
	}
	switch {
	case strings.HasPrefix(line, "address="), strings.HasPrefix(line, "local="), strings.HasPrefix(line, "server="):
		p.dnsmasq(line)
	case line == "server:":
		p.unbound(line)
	case strings.ContainsAny(line, "^$") || strings.IndexByte(line, '#') > 0 && cosmetic(line):
		p.adblock(line)
	default:
		p.wildcard(line)
	}
}

// autoWords is auto for a line of several words.
func (p *parser) autoWords(line string) {
	first, rest := word(line)
	switch {
	case strings.HasSuffix(first, ":") && setting(first[:len(first)-1]):
		p.unbound(line)
		return
	case rest[0] == '#':
		p.auto(first)
		return
	}
	if _, err := netip.ParseAddr(first); err == nil {
		p.hosts(line)
		return
	}
	owner := p.line[0] != ' ' && p.line[0] != '\t'
	if kind, _ := recordType(line); kind != "" && !owner {
		p.rpz(line)
		return
	}
	if kind, _ := recordType(rest); kind != "" {
		p.rpz(line)
		return
	}
	switch key, _, ok := strings.Cut(line, "="); {
	case ok && setting(trim(key)):
		p.dnsmasq(line)
	case strings.ContainsAny(line, "^$") || cosmetic(line):
		p.adblock(line)
	default:
		p.wildcard(line)
	}
}
