package parse

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"schoolgate/blocklist"
	"schoolgate/blocklist/domain"
	"schoolgate/config"
)

// parser carries what is known between the lines of one source.
type parser struct {
	add        func(blocklist.Rule) error
	accept     []domain.Name // public suffixes that are entries all the same
	keep       int           // problems told one by one, if more than MaxProblems
	rep        Report
	file       string // see Problem.File
	at         int    // line number in file
	line       string // the line itself
	bad        bool   // the line is unreadable
	unreadable int    // entries that were
	paged      int    // names of plain lists that are web pages
	foreign    foreign
	zone       zone  // rpz
	err        error // of add
}

// text reads one file of a source.
func (p *parser) text(r io.Reader, f config.Format) error {
	read, err := p.reader(f)
	if err != nil {
		return err
	}
	p.at, p.zone, p.foreign = 0, zone{}, foreign{}
	l := newLines(r)
	for p.err == nil {
		line, ok := l.next()
		if !ok {
			break
		}
		p.at++
		p.rep.Lines++
		p.line, p.bad = line, false
		if line = trim(line); line != "" {
			if err := p.foreign.look(line); err != nil {
				return err
			}
			read(line)
		}
		if p.bad {
			p.unreadable++
		}
	}
	if err := p.foreign.verdict(); err != nil && p.err == nil {
		return err
	}
	if p.err != nil {
		return p.err
	}
	if p.at == 0 || errors.Is(l.err, io.EOF) {
		return l.end()
	}
	return fmt.Errorf("after line %d: %w", p.at, l.err)
}

// reader gives the reader of one line, which is neither empty nor begins or ends with white space.
func (p *parser) reader(f config.Format) (func(string), error) {
	switch f {
	case config.FormatAuto:
		return p.auto, nil
	case config.FormatHosts:
		return p.hosts, nil
	case config.FormatDomains:
		return p.domains, nil
	case config.FormatWildcard:
		return p.wildcard, nil
	case config.FormatAdblock:
		return p.adblock, nil
	case config.FormatDnsmasq:
		return p.dnsmasq, nil
	case config.FormatUnbound:
		return p.unbound, nil
	case config.FormatRPZ:
		return p.rpz, nil
	case config.FormatUT1:
		return nil, fmt.Errorf("%w: ut1 is a directory, a tar or a tar.gz", ErrArchive)
	}
	return nil, fmt.Errorf("format %d is unknown", f)
}

// block adds a rule for a name as the list writes it; nothing else adds rules, so every name passes the same checks.
func (p *parser) block(name string, s blocklist.Scope) { p.rule(name, s, false) }

// except adds an exception, as block adds a rule.
func (p *parser) except(name string, s blocklist.Scope) { p.rule(name, s, true) }

func (p *parser) rule(name string, s blocklist.Scope, except bool) {
	if p.err != nil {
		return
	}
	n, err := domain.Parse(name)
	switch {
	case err != nil:
		why := misread(name)
		if why == Page {
			p.paged++
		}
		p.skip(why, name)
	case n != "" && isDigit(n[len(n)-1]) && numeric(string(n)):
		p.skip(misreadNumber(string(n)), name)
	case ofTheMachine(n):
	case !underCommon(n) && n.IsPublicSuffix() && !slices.Contains(p.accept, n):
		p.skip(PublicSuffix, name)
	default:
		p.rep.Rules++
		p.err = p.add(blocklist.Rule{Name: n, Scope: s, Except: except})
	}
}

// entry counts a line that is more than a comment.
func (p *parser) entry() { p.rep.Entries++ }

// skip counts what makes no rule. Of a line with one thing on it the problem shows the whole line.
func (p *parser) skip(why Reason, text string) {
	if why.unreadable() {
		p.bad = true
	}
	if len(p.line) <= maxProblemText {
		text = trim(p.line)
	}
	p.note(Problem{File: p.file, Line: p.at, Text: text, Reason: why}, 1)
}

// misread says why a word is no domain name.
func misread(s string) Reason {
	if addressLike(s) {
		return Address
	}
	switch {
	case strings.Contains(s, "://"):
		return Page
	case strings.Contains(s, "*"):
		return Pattern
	case strings.ContainsAny(s, "/:?"):
		return Page
	}
	return BadName
}

func addressLike(s string) bool {
	s = strings.Trim(s, "[]")
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	if _, err := netip.ParsePrefix(s); err == nil {
		return true
	}
	_, err := netip.ParseAddrPort(s)
	return err == nil
}

// numeric says whether the last label is a number, as of no name but of every IPv4 address.
func numeric(s string) bool {
	for _, c := range []byte(s[strings.LastIndexByte(s, '.')+1:]) {
		if !isDigit(c) {
			return false
		}
	}
	return true
}

func misreadNumber(s string) Reason {
	if addressLike(s) {
		return Address
	}
	return BadName
}

// ofTheMachine knows the names that hosts files carry for the machine itself.
func ofTheMachine(n domain.Name) bool {
	switch n {
	case "localhost", "localhost.localdomain", "localhost4", "localhost4.localdomain4", "localhost6",
		"localhost6.localdomain6", "localdomain", "local", "broadcasthost", "ip6-localhost", "ip6-loopback", "ip6-localnet",
		"ip6-mcastprefix", "ip6-allnodes", "ip6-allrouters", "ip6-allhosts":
		return true
	}
	return false
}

// underCommon spares most names the costly question whether they are a public suffix: directly below these three, nobody
// but their registry ever ran one that the ICANN part of the list names.
func underCommon(n domain.Name) bool {
	return strings.HasSuffix(string(n), ".com") || strings.HasSuffix(string(n), ".net") || strings.HasSuffix(string(n), ".org")
}

// nowhere says whether an address is one that lists answer with to block: it leads to no other machine.
func nowhere(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsUnspecified() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() ||
		a == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// comment says whether a whole line is a comment: no name or rule begins so.
func comment(line string) bool {
	switch line[0] {
	case '#', '!', ';':
		return true
	}
	return strings.HasPrefix(line, "//")
}

func trim(s string) string { return strings.Trim(s, " \t\r\f\v") }

// word cuts the first word off.
func word(s string) (first, rest string) {
	i := strings.IndexAny(s, " \t")
	if i < 0 {
		return s, ""
	}
	return s[:i], strings.TrimLeft(s[i:], " \t")
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
