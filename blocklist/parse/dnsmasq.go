package parse

import (
	"net/netip"
	"strings"

	"schoolgate/blocklist"
)

// dnsmasq reads a line of a dnsmasq(8) configuration: address=, local= and server= with names between slashes.
func (p *parser) dnsmasq(line string) {
	if comment(line) {
		return
	}
	p.entry()
	if i := strings.Index(line, " #"); i >= 0 {
		line = trim(line[:i])
	}
	key, value, ok := strings.Cut(strings.TrimPrefix(line, "--"), "=")
	key, value = trim(key), trim(value)
	switch {
	case ok && (key == "address" || key == "local" || key == "server"):
	case !setting(key):
		p.skip(Syntax, line)
		return
	default:
		p.skip(Directive, line)
		return
	}
	end := strings.LastIndexByte(value, '/')
	if end < 1 || value[0] != '/' { // server=192.0.2.1: for every name
		p.skip(Directive, line)
		return
	}
	except, why := answer(key, value[end+1:])
	if why != nil {
		p.skip(*why, line)
		return
	}
	for name := range strings.SplitSeq(value[1:end], "/") {
		p.rule(strings.TrimPrefix(name, "."), blocklist.Subtree, except)
	}
}

// answer says what stands behind the names: nothing or an address that leads nowhere blocks them; "#" makes an exception,
// but of address= it is the null address; anything else is no business of a list.
func answer(key, target string) (except bool, why *Reason) {
	other := Forward
	if key == "address" {
		other = Data
	}
	switch {
	case target == "":
		return false, nil
	case target == "#":
		return key != "address", nil
	case key == "address":
		if a, err := netip.ParseAddr(target); err == nil && nowhere(a) {
			return false, nil
		}
	}
	return false, &other
}

// setting says whether a word can be the name of a setting.
func setting(key string) bool {
	for _, c := range []byte(key) {
		if (c < 'a' || c > 'z') && c != '-' && !isDigit(c) {
			return false
		}
	}
	return key != "" && !isDigit(key[0])
}
