package parse

import (
	"net/netip"
	"strings"

	"schoolgate/blocklist"
)

// zone is where in a zone file (RFC 1035 section 5.1) the reader stands. Names in it are lower case without final dot.
type zone struct {
	origin  string // what relative names are below; meaningless until placed
	placed  bool
	apex    string // what the policy's names are below; meaningless until rooted
	rooted  bool
	owner   string // of the line before, as written
	bracket bool   // inside the parentheses of a SOA
}

// rpz reads a line of a response policy zone (draft-vixie-dnsop-dns-rpz).
func (p *parser) rpz(line string) {
	line = uncomment(line)
	if line == "" || strings.HasPrefix(line, "#") {
		return
	}
	z := &p.zone
	if z.bracket {
		z.bracket = !strings.Contains(line, ")")
		return
	}
	if line[0] == '$' {
		p.zoneDirective(line)
		return
	}
	owner, rest := z.owner, line
	if p.line[0] != ' ' && p.line[0] != '\t' {
		owner, rest = word(line)
		z.owner = owner
	}
	kind, data := recordType(rest)
	switch kind {
	case "":
		p.entry()
		p.skip(Syntax, line)
	case "SOA":
		z.apex, z.rooted = z.absolute(owner)
		z.bracket = strings.Contains(data, "(") && !strings.Contains(data, ")")
	case "NS":
	default:
		p.entry()
		p.policy(owner, kind, trim(data))
	}
}

func (p *parser) zoneDirective(line string) {
	key, rest := word(line)
	switch strings.ToUpper(key) {
	case "$ORIGIN":
		name, _ := word(rest)
		z := &p.zone
		z.origin, _ = z.absolute(name)
		z.placed = true
		if !z.rooted {
			z.apex, z.rooted = z.origin, true
		}
	case "$TTL":
	default:
		p.entry()
		p.skip(Directive, line)
	}
}

// policy reads one record: its owner is the trigger, its data the action.
func (p *parser) policy(owner, kind, data string) {
	name, ok := p.zone.trigger(owner)
	if !ok {
		p.skip(Syntax, owner)
		return
	}
	scope := blocklist.Exact
	if n, wild := strings.CutPrefix(name, "*"); wild && (n == "" || n[0] == '.') {
		name, scope = strings.TrimPrefix(n, "."), blocklist.Below
	}
	if i := strings.LastIndexByte(name, '.'); strings.HasPrefix(name[i+1:], "rpz-") {
		p.skip(Trigger, owner)
		return
	}
	except, why := action(name, kind, data)
	switch {
	case why != nil:
		p.skip(*why, owner)
	case name == "":
		p.skip(PublicSuffix, owner)
	default:
		p.rule(name, scope, except)
	}
}

// action says what a record does to its trigger: blocks it, excepts it, or answers with data of the list's own.
func action(name, kind, data string) (except bool, why *Reason) {
	other := Data
	switch kind {
	case "CNAME":
		switch target := strings.ToLower(data); target {
		case ".", "*.", "rpz-drop.":
			return false, nil
		case "rpz-passthru.", name + ".": // the second is how it was written before 2010
			return true, nil
		}
	case "A", "AAAA":
		if a, err := netip.ParseAddr(data); err == nil && nowhere(a) {
			return false, nil
		}
	}
	return false, &other
}

// absolute gives the whole name; ok is false for a relative one when the origin is unknown.
func (z *zone) absolute(name string) (string, bool) {
	name = strings.ToLower(name)
	switch {
	case name == "@":
		return z.origin, z.placed
	case strings.HasSuffix(name, "."):
		return name[:len(name)-1], true
	case !z.placed:
		return name, false
	case z.origin == "":
		return name, true
	}
	return name + "." + z.origin, true
}

// trigger gives an owner without the zone it stands in; ok is false for one outside of it.
func (z *zone) trigger(owner string) (string, bool) {
	if !strings.HasSuffix(owner, ".") && owner != "@" && z.origin == z.apex {
		return strings.ToLower(owner), true // the usual case: relative to the apex
	}
	name, known := z.absolute(owner)
	switch {
	case !known && owner == "@", z.rooted && z.apex != "" && name == z.apex:
		return "", true
	case !known || !z.rooted || z.apex == "":
		return name, true
	}
	return strings.CutSuffix(name, "."+z.apex)
}

// recordType skips TTL and class and gives the type in capitals; "" when there is none that lists use.
func recordType(s string) (kind, data string) {
	for s != "" {
		var w string
		w, s = word(s)
		switch u := strings.ToUpper(w); u {
		case "IN", "CH", "HS":
		case "CNAME", "DNAME", "A", "AAAA", "SOA", "NS", "TXT", "MX", "SRV", "PTR", "HTTPS", "SVCB", "CAA":
			return u, s
		default:
			if !isDigit(w[0]) { // no TTL either
				return "", ""
			}
		}
	}
	return "", ""
}

// uncomment cuts a comment off a line of a zone file; a semicolon in quotes begins none.
func uncomment(line string) string {
	if strings.IndexByte(line, ';') < 0 {
		return line
	}
	inside := false
	for i := range len(line) {
		switch line[i] {
		case '"':
			inside = !inside
		case ';':
			if !inside {
				return trim(line[:i])
			}
		}
	}
	return line
}
