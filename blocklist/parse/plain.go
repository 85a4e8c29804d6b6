package parse

import (
	"net/netip"
	"strings"

	"schoolgate/blocklist"
)

// hosts reads a line of a hosts file (hosts(5)): an address and any number of names.
func (p *parser) hosts(line string) {
	if comment(line) {
		return
	}
	p.entry()
	line, _, _ = strings.Cut(line, "#")
	first, rest := word(line)
	addr, err := netip.ParseAddr(first)
	switch {
	case err != nil:
		p.skip(Syntax, line)
	case rest == "":
		p.skip(Address, line)
	case !nowhere(addr):
		p.skip(Data, line)
	}
	if err != nil || !nowhere(addr) {
		return
	}
	for rest != "" && p.err == nil {
		var name string
		name, rest = word(rest)
		p.block(name, blocklist.Subtree)
	}
}

// domains reads a line with one name.
func (p *parser) domains(line string) {
	if comment(line) {
		return
	}
	p.entry()
	if name, ok := p.only(line); ok {
		p.block(name, blocklist.Subtree)
	}
}

// wildcard reads a line with one name, with "*." or "." before it or not: publishers mean the same by all three.
func (p *parser) wildcard(line string) {
	if comment(line) {
		return
	}
	p.entry()
	if name, ok := p.only(line); ok {
		p.block(bare(name), blocklist.Subtree)
	}
}

// only gives the one word of a line, a comment after it left out.
func (p *parser) only(line string) (string, bool) {
	if i := strings.IndexByte(line, '#'); i >= 0 {
		line = trim(line[:i])
	}
	if strings.IndexByte(line, ' ') < 0 && strings.IndexByte(line, '\t') < 0 {
		return line, true
	}
	if first, _ := word(line); addressLike(first) || strings.Contains(first, "://") {
		return first, true // said for what it is, not for what follows it
	}
	p.skip(Syntax, line)
	return "", false
}

// bare takes the wildcard off a name.
func bare(name string) string {
	return strings.TrimPrefix(strings.TrimPrefix(name, "*"), ".")
}
