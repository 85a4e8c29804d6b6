package parse

import (
	"bytes"
	"fmt"
	"strings"
)

// ForeignError is a list in the format of another program, which is known and not read. It is an ErrNotAList.
type ForeignError struct {
	Format string // the program, as people call it
}

func (e *ForeignError) Error() string {
	return fmt.Sprintf("a list for %s, whose format is not read: take the same list as hosts, plain names, adblock, dnsmasq, unbound or RPZ", e.Format)
}

// Unwrap gives ErrNotAList.
func (e *ForeignError) Unwrap() error { return ErrNotAList }

// foreignSample is how many entries of a file tell its format.
const foreignSample = 64

// foreign counts which formats the first entries of a file look like.
type foreign struct {
	votes map[string]int
	seen  int
}

// look takes one line, which is not empty, and gives an error once enough of them were seen.
func (f *foreign) look(line string) error {
	if f.seen >= foreignSample || comment(line) {
		return nil
	}
	f.seen++
	if format := foreignLine(line); format != "" {
		if f.votes == nil {
			f.votes = make(map[string]int)
		}
		f.votes[format]++
	}
	if f.seen < foreignSample {
		return nil
	}
	return f.verdict()
}

// verdict gives a ForeignError when most of the entries looked at are of one other format.
func (f *foreign) verdict() error {
	for format, n := range f.votes {
		if 2*n > f.seen {
			return &ForeignError{format}
		}
	}
	return nil
}

// The formats that more than one mark leads to.
const (
	clash      = "Clash (mihomo)"
	surge      = "Surge, Shadowrocket, Loon or Clash"
	quantumult = "Quantumult"
	smartdns   = "smartdns"
	v2ray      = "V2Ray (geosite)"
	javascript = "web browsers (PAC or another JavaScript)"
)

// foreignLine names the format that a line is of, if no format that is read has such lines.
func foreignLine(line string) string {
	if kind, _, ok := strings.Cut(line, ","); ok {
		if format := commaRule(strings.ToUpper(trim(kind))); format != "" {
			return format
		}
	}
	for _, m := range [...]struct{ prefix, format string }{
		{"payload:", clash},
		{"- ", clash},
		{"+.", clash},
		{"address /", smartdns},
		{"nameserver /", smartdns},
		{"domain-rules /", smartdns},
		{"domain-set -", smartdns},
		{"domain:", v2ray},
		{"full:", v2ray},
		{"keyword:", v2ray},
		{"regexp:", v2ray},
		{"include:", v2ray},
		{"/ip dns static", "MikroTik RouterOS"},
		{"add name=", "MikroTik RouterOS"},
		{"add address=", "MikroTik RouterOS"},
		{`zone "`, "BIND (named.conf)"},
		{"{+block", "Privoxy"},
		{"{ +block", "Privoxy"},
		{"=", "dnscrypt-proxy"},
		{`"`, "spreadsheets (CSV)"},
		{"function ", javascript},
		{"var ", javascript},
		{"if (", javascript},
		{"return ", javascript},
		{"}", javascript},
	} {
		if strings.HasPrefix(line, m.prefix) {
			return m.format
		}
	}
	return ""
}

// commaRule knows rules that begin with their kind: DOMAIN-SUFFIX,example.org.
func commaRule(kind string) string {
	switch kind {
	case "DOMAIN", "DOMAIN-SUFFIX", "DOMAIN-KEYWORD", "DOMAIN-WILDCARD", "DOMAIN-REGEX", "DOMAIN-SET", "RULE-SET", "URL-REGEX",
		"USER-AGENT", "PROCESS-NAME", "IP-CIDR", "IP-CIDR6", "IP-ASN", "GEOIP", "GEOSITE", "FINAL", "MATCH":
		return surge
	case "HOST", "HOST-SUFFIX", "HOST-KEYWORD", "HOST-WILDCARD", "IP6-CIDR":
		return quantumult
	}
	return ""
}

// foreignHead knows files by their first bytes: JSON, rule sets in binary, scripts.
func foreignHead(b []byte) error {
	for _, m := range [...]struct{ prefix, format string }{{"SRS\x01", "sing-box (.srs)"}, {"SRS\x02", "sing-box (.srs)"}, {"SRS\x03", "sing-box (.srs)"}, {"MRS\x01", "Clash (mihomo, .mrs)"}, {"MRS!", "Clash (mihomo, .mrs)"}} {
		if bytes.HasPrefix(b, []byte(m.prefix)) {
			return &ForeignError{m.format}
		}
	}
	b = b[:min(len(b), 4<<10)]
	if bytes.Contains(b, []byte("FindProxyForURL")) {
		return &ForeignError{"web browsers (PAC)"}
	}
	if !isJSON(bytes.TrimSpace(bytes.TrimPrefix(b, []byte("\ufeff")))) {
		return nil
	}
	switch {
	case bytes.Contains(b, []byte(`"denied-remote-`)):
		return &ForeignError{"Little Snitch (JSON)"}
	case bytes.Contains(b, []byte(`"rules"`)) && bytes.Contains(b, []byte(`"version"`)):
		return &ForeignError{"sing-box (JSON)"}
	}
	return &ForeignError{"programs (JSON)"}
}

// isJSON says whether a text begins as JSON does, and not as a heading such as [Adblock Plus] or a rule of Privoxy.
func isJSON(b []byte) bool {
	if len(b) < 2 || b[0] != '{' && b[0] != '[' {
		return false
	}
	next := bytes.TrimLeft(b[1:], " \t\r\n")
	return len(next) > 0 && bytes.IndexByte([]byte("\"{[]}"), next[0]) >= 0
}
