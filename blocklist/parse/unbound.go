package parse

import (
	"net/netip"
	"strings"

	"schoolgate/blocklist"
)

// unbound reads a line of an unbound.conf(5).
func (p *parser) unbound(line string) {
	if comment(line) || line == "server:" {
		return
	}
	p.entry()
	key, value, ok := strings.Cut(line, ":")
	if !ok || !setting(key) {
		p.skip(Syntax, line)
		return
	}
	value = trim(value)
	switch key {
	case "local-zone":
		p.localZone(value)
	case "local-data":
		p.localData(value)
	default:
		p.skip(Directive, line)
	}
}

// localZone reads `"name" type`.
func (p *parser) localZone(value string) {
	name, rest := quoted(value)
	kind, _ := word(rest)
	switch strings.ToLower(kind) {
	case "always_nxdomain", "always_null", "always_nodata", "always_refuse", "always_deny",
		"static", "refuse", "deny", "redirect", "inform_deny", "inform_redirect":
		p.block(name, blocklist.Subtree)
	case "transparent", "always_transparent":
		p.except(name, blocklist.Subtree)
	case "typetransparent", "inform", "nodefault", "noview", "truncate":
		p.skip(Directive, value)
	default:
		p.skip(Syntax, value)
	}
}

// localData reads `"name [ttl] [IN] type data"`.
func (p *parser) localData(value string) {
	record, _ := quoted(value)
	name, rest := word(trim(record))
	kind, data := recordType(rest)
	if kind == "" {
		p.skip(Syntax, value)
		return
	}
	if a, err := netip.ParseAddr(trim(data)); err == nil && (kind == "A" || kind == "AAAA") && nowhere(a) {
		p.block(name, blocklist.Exact)
		return
	}
	p.skip(Data, value)
}

// quoted cuts the first word off, which may stand in quotes.
func quoted(s string) (first, rest string) {
	if s != "" && (s[0] == '"' || s[0] == '\'') {
		if i := strings.IndexByte(s[1:], s[0]); i >= 0 {
			return s[1 : 1+i], trim(s[i+2:])
		}
	}
	return word(s)
}
