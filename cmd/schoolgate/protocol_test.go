package main

import (
	"bytes"
	"crypto/tls"
	endian "encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// dnsProbe is one request and what its reply must be. The chapter is of RFC 8906, or the RFC that has more to say.
type dnsProbe struct {
	chapter string
	what    string
	name    string // "" is a.probe.example
	qtype   uint16 // 0 is A
	edit    func(m *dns.Msg)
	raw     func(req []byte) []byte // what miekg/dns would not write
	tcp     bool
	tls     bool
	rcode   int // noReply for none
	check   func(m *dns.Msg, size int) string
}

const noReply = -1

// ednsOf makes a request one with EDNS.
func ednsOf(edit ...func(o *dns.OPT)) func(*dns.Msg) {
	return func(m *dns.Msg) {
		o := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
		o.SetUDPSize(1232)
		for _, e := range edit {
			e(o)
		}
		m.Extra = append(m.Extra, o)
	}
}

func ednsVersion(v uint8) func(*dns.OPT) { return func(o *dns.OPT) { o.SetVersion(v) } }
func zFlags(o *dns.OPT)                  { o.Hdr.Ttl |= 0x7fff }
func dnssecOK(o *dns.OPT)                { o.SetDo() }
func offering(n uint16) func(*dns.OPT)   { return func(o *dns.OPT) { o.SetUDPSize(n) } }

func ednsOption(code uint16, data ...byte) func(*dns.OPT) {
	return func(o *dns.OPT) { o.Option = append(o.Option, &dns.EDNS0_LOCAL{Code: code, Data: data}) }
}

func withOpcode(n int) func(*dns.Msg) { return func(m *dns.Msg) { m.Opcode = n } }
func inClass(n uint16) func(*dns.Msg) { return func(m *dns.Msg) { m.Question[0].Qclass = n } }

// patched changes bytes of the header.
func patched(at int, b ...byte) func([]byte) []byte {
	return func(req []byte) []byte { copy(req[at:], b); return req }
}

// answers wants so many records.
func wantAnswers(n int) func(*dns.Msg, int) string {
	return func(m *dns.Msg, _ int) string {
		if len(m.Answer) != n {
			return fmt.Sprintf("%d answers, want %d", len(m.Answer), n)
		}
		return ""
	}
}

// bit wants a bit of the header.
func wantBit(name string, get func(*dns.Msg) bool, want bool) func(*dns.Msg, int) string {
	return func(m *dns.Msg, _ int) string {
		if get(m) != want {
			return fmt.Sprintf("%s is %v", name, !want)
		}
		return ""
	}
}

// cut wants a truncated reply, with its OPT record if there was one, of a size.
func cutTo(most int) func(*dns.Msg, int) string {
	return func(m *dns.Msg, size int) string {
		if !m.Truncated || size > most {
			return fmt.Sprintf("TC %v, %d bytes", m.Truncated, size)
		}
		return ""
	}
}

// optionOf wants an option of the reply, of a length; -1 for none.
func optionOf(code uint16, length int) func(*dns.Msg, int) string {
	return func(m *dns.Msg, _ int) string {
		got := -1
		for _, o := range m.IsEdns0().Option {
			if o.Option() == code {
				switch o := o.(type) {
				case *dns.EDNS0_COOKIE:
					got = len(o.Cookie) / 2
				case *dns.EDNS0_TCP_KEEPALIVE:
					got = int(min(o.Timeout, 1)) * 2
				default:
					got = 0
				}
			}
		}
		if got != length {
			return fmt.Sprintf("option %d of length %d, want %d", code, got, length)
		}
		return ""
	}
}

func wantAddress(text string) func(*dns.Msg, int) string {
	return func(m *dns.Msg, _ int) string {
		if len(m.Answer) != 1 || !strings.HasSuffix(m.Answer[0].String(), "\t"+text) {
			return "not " + text
		}
		return ""
	}
}

// compliance are the behaviours of RFC 8906 section 8: what a server is tested for by those who watch over the protocol.
func compliance() []dnsProbe {
	return []dnsProbe{
		{chapter: "8.1.1", what: "SOA", name: "probe.example.", qtype: dns.TypeSOA, rcode: dns.RcodeSuccess},
		{chapter: "8.1.2", what: "unknown type", qtype: 1000, rcode: dns.RcodeSuccess, check: wantAnswers(0)},
		{chapter: "8.1.3.1", what: "CD", edit: func(m *dns.Msg) { m.CheckingDisabled = true }, rcode: dns.RcodeSuccess},
		{chapter: "8.1.3.2", what: "AD", edit: func(m *dns.Msg) { m.AuthenticatedData = true }, rcode: dns.RcodeSuccess},
		{chapter: "8.1.3.3", what: "reserved bit", edit: func(m *dns.Msg) { m.Zero = true }, rcode: dns.RcodeSuccess},
		{chapter: "8.1.3.4", what: "RD", rcode: dns.RcodeSuccess, check: wantBit("RA", func(m *dns.Msg) bool { return m.RecursionAvailable }, true)},
		{chapter: "8.1.4", what: "unknown opcode", edit: withOpcode(15), raw: func(req []byte) []byte { return patched(4, 0, 0)(req[:12]) }, rcode: dns.RcodeNotImplemented},
		{chapter: "8.1.5", what: "TCP", tcp: true, rcode: dns.RcodeSuccess},
		{chapter: "8.2.1", what: "EDNS", edit: ednsOf(), rcode: dns.RcodeSuccess},
		{chapter: "8.2.1", what: "EDNS over TCP", edit: ednsOf(), tcp: true, rcode: dns.RcodeSuccess},
		{chapter: "8.2.2", what: "EDNS version 1", edit: ednsOf(ednsVersion(1)), rcode: dns.RcodeBadVers, check: wantAnswers(0)},
		{chapter: "8.2.2", what: "EDNS version 255", edit: ednsOf(ednsVersion(255)), rcode: dns.RcodeBadVers, check: wantAnswers(0)},
		{chapter: "8.2.3", what: "unknown option", edit: ednsOf(ednsOption(100)), rcode: dns.RcodeSuccess, check: optionOf(100, -1)},
		{chapter: "8.2.3", what: "unknown option with data", edit: ednsOf(ednsOption(100, 1, 2, 3)), rcode: dns.RcodeSuccess, check: optionOf(100, -1)},
		{chapter: "8.2.4", what: "unknown flags", edit: ednsOf(zFlags), rcode: dns.RcodeSuccess},
		{chapter: "8.2.5", what: "version 1 and unknown flags", edit: ednsOf(ednsVersion(1), zFlags), rcode: dns.RcodeBadVers},
		{chapter: "8.2.6", what: "version 1 and an unknown option", edit: ednsOf(ednsVersion(1), ednsOption(100)), rcode: dns.RcodeBadVers, check: optionOf(100, -1)},
		{chapter: "8.2.7", what: "truncation", name: "large.probe.example.", qtype: dns.TypeTXT, edit: ednsOf(offering(512), dnssecOK), rcode: dns.RcodeSuccess, check: cutTo(512)},
		{chapter: "8.2.8", what: "DO", edit: ednsOf(dnssecOK), rcode: dns.RcodeSuccess},
		{chapter: "8.2.9", what: "version 1 and DO", edit: ednsOf(ednsVersion(1), dnssecOK), rcode: dns.RcodeBadVers},
		{chapter: "8.2.10", what: "many defined options", edit: ednsOf(ednsOption(3), ednsOption(8, 0, 1, 0, 0), ednsOption(9), ednsOption(10, 1, 2, 3, 4, 5, 6, 7, 8)), rcode: dns.RcodeSuccess},
		{chapter: "8.2.11", what: "DO over TCP", edit: ednsOf(dnssecOK), tcp: true, rcode: dns.RcodeSuccess},
		{chapter: "8.1.1", what: "a name that does not exist", name: "gone.probe.example.", rcode: dns.RcodeNameError},
	}
}

// further are behaviours of other RFCs.
func further() []dnsProbe {
	two := func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }
	noQuestion := func(m *dns.Msg) { m.Question = nil }
	all := []dnsProbe{
		{chapter: "RFC 1035", what: "letter case is kept", name: "MiXeD.pRoBe.eXaMpLe.", rcode: dns.RcodeSuccess},
		{chapter: "RFC 1035", what: "AA, TC and RA of a request", edit: func(m *dns.Msg) { m.Authoritative, m.Truncated, m.RecursionAvailable = true, true, true }, rcode: dns.RcodeSuccess},
		{chapter: "RFC 1035", what: "no EDNS, 512 bytes", name: "large.probe.example.", qtype: dns.TypeTXT, rcode: dns.RcodeSuccess, check: cutTo(512)},
		{chapter: "RFC 1035", what: "two bytes of nothing at the end", raw: func(req []byte) []byte { return append(req, 0, 0) }, rcode: dns.RcodeSuccess},
		{chapter: "RFC 1035", what: "MX", qtype: dns.TypeMX, rcode: dns.RcodeSuccess},
		{chapter: "RFC 9460", what: "HTTPS", qtype: dns.TypeHTTPS, rcode: dns.RcodeSuccess, check: wantAnswers(1)},
		{chapter: "RFC 3597", what: "an unknown type with data", qtype: 65400, rcode: dns.RcodeSuccess, check: wantAnswers(1)},
		{chapter: "RFC 6891", what: "more than 1232 bytes", name: "large.probe.example.", qtype: dns.TypeTXT, edit: ednsOf(offering(4096)), rcode: dns.RcodeSuccess, check: cutTo(1232)},
		{chapter: "RFC 6891", what: "less than 512 bytes", name: "large.probe.example.", qtype: dns.TypeTXT, edit: ednsOf(offering(0)), rcode: dns.RcodeSuccess, check: cutTo(512)},
		{chapter: "RFC 6891", what: "two OPT records", edit: func(m *dns.Msg) { ednsOf()(m); ednsOf()(m) }, rcode: dns.RcodeFormatError},
		{chapter: "RFC 6891", what: "OPT of a name", edit: func(m *dns.Msg) { ednsOf()(m); m.Extra[0].Header().Name = "a." }, rcode: dns.RcodeFormatError},
		{chapter: "RFC 6891", what: "OPT as an answer", edit: func(m *dns.Msg) { ednsOf()(m); m.Answer, m.Extra = m.Extra, nil }, rcode: dns.RcodeFormatError},
		{chapter: "RFC 6891", what: "an option longer than the record", edit: ednsOf(ednsOption(100, 1, 2)), raw: func(req []byte) []byte { req[len(req)-3] = 9; return req }, rcode: dns.RcodeFormatError},
		{chapter: "RFC 6891", what: "type OPT asked for", qtype: dns.TypeOPT, rcode: dns.RcodeFormatError},
		{chapter: "RFC 7766", what: "large over TCP", name: "large.probe.example.", qtype: dns.TypeTXT, tcp: true, rcode: dns.RcodeSuccess, check: wantBit("TC", func(m *dns.Msg) bool { return m.Truncated }, false)},
		{chapter: "RFC 7828", what: "keep-alive over TCP", edit: ednsOf(ednsOption(11)), tcp: true, rcode: dns.RcodeSuccess, check: optionOf(11, 2)},
		{chapter: "RFC 7828", what: "keep-alive over UDP", edit: ednsOf(ednsOption(11)), rcode: dns.RcodeSuccess, check: optionOf(11, -1)},
		{chapter: "RFC 7830", what: "padding in the clear", edit: ednsOf(ednsOption(12, 0, 0, 0)), rcode: dns.RcodeSuccess, check: optionOf(12, -1)},
		{chapter: "RFC 5001", what: "NSID, which is not told", edit: ednsOf(ednsOption(3)), rcode: dns.RcodeSuccess, check: optionOf(3, -1)},
		{chapter: "RFC 7871", what: "client subnet, which does not travel", edit: ednsOf(ednsOption(8, 0, 1, 24, 0, 192, 0, 2)), rcode: dns.RcodeSuccess, check: optionOf(8, -1)},
		{chapter: "RFC 7314", what: "EXPIRE", edit: ednsOf(ednsOption(9)), rcode: dns.RcodeSuccess, check: optionOf(9, -1)},
		{chapter: "RFC 7901", what: "CHAIN", edit: ednsOf(ednsOption(13, 0)), rcode: dns.RcodeSuccess, check: optionOf(13, -1)},
		{chapter: "RFC 8145", what: "key tag", edit: ednsOf(ednsOption(14, 0x4f, 0x66)), rcode: dns.RcodeSuccess, check: optionOf(14, -1)},
		{chapter: "RFC 9567", what: "report channel", edit: ednsOf(ednsOption(18, 0)), rcode: dns.RcodeSuccess, check: optionOf(18, -1)},
		{chapter: "RFC 7873", what: "a cookie", edit: ednsOf(ednsOption(10, 1, 2, 3, 4, 5, 6, 7, 8)), rcode: dns.RcodeSuccess, check: optionOf(10, 24)},
		{chapter: "RFC 7873", what: "a cookie over TCP", edit: ednsOf(ednsOption(10, 1, 2, 3, 4, 5, 6, 7, 8)), tcp: true, rcode: dns.RcodeSuccess, check: optionOf(10, 24)},
		{chapter: "RFC 7873", what: "a cookie of another server", edit: ednsOf(ednsOption(10, make([]byte, 16)...)), rcode: dns.RcodeSuccess, check: optionOf(10, 24)},
		{chapter: "RFC 7873", what: "a cookie with a denial", name: "gone.probe.example.", edit: ednsOf(ednsOption(10, 1, 2, 3, 4, 5, 6, 7, 8)), rcode: dns.RcodeNameError, check: optionOf(10, 24)},
		{chapter: "RFC 7873", what: "a cookie with truncation", name: "large.probe.example.", qtype: dns.TypeTXT, edit: ednsOf(ednsOption(10, 1, 2, 3, 4, 5, 6, 7, 8)), rcode: dns.RcodeSuccess, check: optionOf(10, 24)},
		{chapter: "RFC 7873", what: "a cookie of 7 bytes", edit: ednsOf(ednsOption(10, 1, 2, 3, 4, 5, 6, 7)), rcode: dns.RcodeFormatError},
		{chapter: "RFC 7873", what: "a cookie of 12 bytes", edit: ednsOf(ednsOption(10, make([]byte, 12)...)), rcode: dns.RcodeFormatError},
		{chapter: "RFC 7873", what: "a cookie without a question", edit: func(m *dns.Msg) { ednsOf(ednsOption(10, 1, 2, 3, 4, 5, 6, 7, 8))(m); noQuestion(m) }, rcode: dns.RcodeSuccess, check: optionOf(10, 24)},
		{chapter: "RFC 7873", what: "a bad cookie without a question", edit: func(m *dns.Msg) { ednsOf(ednsOption(10, make([]byte, 24)...))(m); noQuestion(m) }, rcode: dns.RcodeBadCookie, check: optionOf(10, 24)},
		{chapter: "RFC 9619", what: "no question", edit: noQuestion, rcode: dns.RcodeFormatError},
		{chapter: "RFC 9619", what: "two questions", edit: two, rcode: dns.RcodeFormatError},
		{chapter: "RFC 9619", what: "two questions over TCP", edit: two, tcp: true, rcode: dns.RcodeFormatError},
		{chapter: "RFC 8482", what: "ANY", qtype: dns.TypeANY, rcode: dns.RcodeSuccess, check: wantAnswers(1)},
		{chapter: "RFC 5936", what: "AXFR", qtype: dns.TypeAXFR, tcp: true, rcode: dns.RcodeRefused},
		{chapter: "RFC 1995", what: "IXFR", qtype: dns.TypeIXFR, rcode: dns.RcodeRefused},
		{chapter: "RFC 9824", what: "NXNAME asked for", qtype: 128, rcode: dns.RcodeFormatError},
		{chapter: "RFC 6895", what: "a meta type", qtype: dns.TypeMAILB, rcode: dns.RcodeNotImplemented},
		{chapter: "RFC 4892", what: "version.bind", name: "version.bind.", qtype: dns.TypeTXT, edit: inClass(dns.ClassCHAOS), rcode: dns.RcodeRefused, check: wantAnswers(0)},
		{chapter: "RFC 4892", what: "id.server", name: "id.server.", qtype: dns.TypeTXT, edit: inClass(dns.ClassCHAOS), rcode: dns.RcodeRefused, check: wantAnswers(0)},
		{chapter: "RFC 1035", what: "class ANY", edit: inClass(dns.ClassANY), rcode: dns.RcodeRefused},
		{chapter: "RFC 1035", what: "class HS", edit: inClass(dns.ClassHESIOD), rcode: dns.RcodeRefused},
		{chapter: "RFC 6761", what: "localhost", name: "localhost.", rcode: dns.RcodeSuccess, check: wantAddress("127.0.0.1")},
		{chapter: "RFC 6761", what: "below localhost", name: "a.localhost.", qtype: dns.TypeAAAA, rcode: dns.RcodeSuccess, check: wantAddress("::1")},
		{chapter: "RFC 6761", what: "localhost of no address", name: "localhost.", qtype: dns.TypeTXT, rcode: dns.RcodeSuccess, check: wantAnswers(0)},
	}
	for _, n := range []int{1, 2, 3, 4, 5, 6, 7, 14} { // IQUERY, STATUS, none, NOTIFY, UPDATE, DSO, none
		all = append(all, dnsProbe{chapter: "8.1.4", what: fmt.Sprintf("opcode %d", n), qtype: dns.TypeSOA, edit: withOpcode(n), rcode: dns.RcodeNotImplemented},
			dnsProbe{chapter: "8.1.4", what: fmt.Sprintf("opcode %d with EDNS over TCP", n), qtype: dns.TypeSOA, edit: func(m *dns.Msg) { withOpcode(n)(m); ednsOf()(m) }, tcp: true, rcode: dns.RcodeNotImplemented})
	}
	for chapter, names := range map[string]string{
		"RFC 6761": "test invalid", "RFC 7686": "onion", "RFC 6762": "local", "RFC 8375": "home.arpa", "RFC 9476": "alt",
		"RFC 6303": "10.in-addr.arpa 16.172.in-addr.arpa 31.172.in-addr.arpa 168.192.in-addr.arpa 0.in-addr.arpa 1.0.0.127.in-addr.arpa 254.169.in-addr.arpa " +
			"2.0.192.in-addr.arpa 100.51.198.in-addr.arpa 113.0.203.in-addr.arpa 255.255.255.255.in-addr.arpa d.f.ip6.arpa " + strings.Repeat("0.", 32) + "ip6.arpa 1." + strings.Repeat("0.", 31) + "ip6.arpa 8.e.f.ip6.arpa b.e.f.ip6.arpa 8.b.d.0.1.0.0.2.ip6.arpa",
		"RFC 7793": "64.100.in-addr.arpa 127.100.in-addr.arpa",
	} {
		for _, zone := range strings.Fields(names) {
			all = append(all, dnsProbe{chapter: chapter, what: "below " + zone, name: "a.b." + zone + ".", qtype: dns.TypePTR, rcode: dns.RcodeNameError, check: wantBit("AA", func(m *dns.Msg) bool { return len(m.Ns) > 0 }, true)})
		}
	}
	return append(all, malformed()...)
}

// malformed are requests that cannot be read to their end, and messages that are none.
func malformed() []dnsProbe {
	bad := func(what string, raw func([]byte) []byte) dnsProbe {
		return dnsProbe{chapter: "8.1", what: what, raw: raw, rcode: dns.RcodeFormatError}
	}
	silent := func(what string, raw func([]byte) []byte) dnsProbe {
		return dnsProbe{chapter: "RFC 1035", what: what, raw: raw, rcode: noReply}
	}
	question := func(b ...byte) func([]byte) []byte {
		return func(req []byte) []byte { return append(req[:12:12], b...) }
	}
	return []dnsProbe{
		bad("a header alone", func(req []byte) []byte { return req[:12] }),
		bad("a name that ends early", func(req []byte) []byte { return req[:17] }),
		bad("a question that ends early", func(req []byte) []byte { return req[:len(req)-1] }),
		bad("a name that points at itself", question(0xc0, 12, 0, 1, 0, 1)),
		bad("a name that points ahead", question(0xc0, 14, 1, 'a', 0, 0, 1, 0, 1)),
		bad("a label of 64 bytes", question(append(append([]byte{64}, bytes.Repeat([]byte{'a'}, 64)...), 0, 0, 1, 0, 1)...)),
		bad("a label of a kind that is not", question(0x80, 1, 'a', 0, 0, 1, 0, 1)),
		bad("a name of 256 bytes", question(append(bytes.Repeat(append([]byte{50}, bytes.Repeat([]byte{'a'}, 50)...), 5), 0, 0, 1, 0, 1)...)),
		bad("an answer that is not there", patched(6, 0, 1)),
		bad("a record that is not there", patched(10, 0xff, 0xff)),
		bad("a record that ends early", func(req []byte) []byte { return append(patched(10, 0, 1)(req), 0, 0, 41, 4, 208) }),
		silent("a response", patched(2, 0x80)),
		silent("eleven bytes", func(req []byte) []byte { return req[:11] }),
		silent("nothing", func([]byte) []byte { return nil }),
		silent("a response with a code", patched(2, 0x81, 0x83)),
	}
}

// TestProtocol sends every probe to the running program, and to Unbound beside it.
func TestProtocol(t *testing.T) {
	t.Parallel()
	upstream := serveDNS(t, new(authority).serve)
	encrypted := freeAddr(t)
	b := startBox(t, school{upstream: upstream, more: fmt.Sprintf("[encrypted]\nname = \"dns.school.example\"\ntls = [%q]\n", encrypted)}.write(t, t.TempDir()))
	for _, matrix := range []struct {
		name   string
		probes []dnsProbe
	}{{"RFC 8906", compliance()}, {"other RFCs", further()}} {
		t.Run(matrix.name, func(t *testing.T) {
			passed := 0
			for _, p := range matrix.probes {
				if why := p.send(t, b.dns); why != "" {
					t.Errorf("%s %s: %s", p.chapter, p.what, why)
				} else {
					passed++
				}
			}
			t.Logf("%d of %d", passed, len(matrix.probes))
		})
	}
	t.Run("a blocked name", func(t *testing.T) { // its answers are made here
		for _, p := range compliance() {
			if p.name != "" {
				continue
			}
			if p.name = "roblox.com."; p.rcode == dns.RcodeSuccess {
				p.rcode = dns.RcodeNameError
			}
			if why := p.send(t, b.dns); why != "" {
				t.Errorf("%s %s: %s", p.chapter, p.what, why)
			}
		}
	})
	t.Run("TLS", func(t *testing.T) {
		padding := ednsOf(ednsOption(12, make([]byte, 40)...))
		padded := func(_ *dns.Msg, size int) string {
			return map[bool]string{false: fmt.Sprintf("%d bytes", size)}[size%468 == 0]
		}
		probes := append(compliance(),
			dnsProbe{chapter: "RFC 8467", what: "padding", edit: padding, rcode: dns.RcodeSuccess, check: padded},
			dnsProbe{chapter: "RFC 8467", what: "padding of a refusal", name: "roblox.com.", edit: padding, rcode: dns.RcodeNameError, check: padded},
			dnsProbe{chapter: "RFC 8467", what: "no padding", edit: ednsOf(), rcode: dns.RcodeSuccess, check: optionOf(12, -1)},
			dnsProbe{chapter: "RFC 7828", what: "keep-alive", edit: ednsOf(ednsOption(11)), rcode: dns.RcodeSuccess, check: optionOf(11, 2)},
			dnsProbe{chapter: "RFC 9619", what: "no question", edit: func(m *dns.Msg) { m.Question = nil }, rcode: dns.RcodeFormatError})
		for _, p := range probes {
			if p.what == "truncation" {
				continue
			}
			p.tls = true
			if why := p.send(t, netip.MustParseAddrPort(encrypted)); why != "" {
				t.Errorf("%s %s: %s", p.chapter, p.what, why)
			}
		}
	})
	t.Run("Unbound", func(t *testing.T) {
		addr := startUnbound(t, upstream, "edns-tcp-keepalive: yes")
		for _, probes := range [][]dnsProbe{compliance(), further()} {
			passed, missed := 0, []string(nil)
			for _, p := range probes {
				if why := p.send(t, addr); why != "" {
					missed = append(missed, fmt.Sprintf("%s %s: %s", p.chapter, p.what, why))
				} else {
					passed++
				}
			}
			slices.Sort(missed)
			t.Logf("%d of %d; otherwise:\n%s", passed, len(probes), strings.Join(missed, "\n"))
		}
	})
}

// TestPipelining asks for many names on one connection, in one piece, the first of which takes long: the others do not wait
// for it (RFC 7766 section 6.2.1.1).
func TestPipelining(t *testing.T) {
	t.Parallel()
	for _, p := range []dnsProbe{{what: "TCP", tcp: true}, {what: "TLS", tls: true}} {
		t.Run(p.what, func(t *testing.T) {
			a := &authority{release: make(chan struct{})}
			encrypted := freeAddr(t)
			b := startBox(t, school{upstream: serveDNS(t, a.serve), more: fmt.Sprintf("[encrypted]\nname = \"dns.school.example\"\ntls = [%q]\n", encrypted)}.write(t, t.TempDir()))
			to := b.dns
			if p.tls {
				to = netip.MustParseAddrPort(encrypted)
			}
			pipelined(t, &dns.Conn{Conn: p.dial(t, to)}, a.release)
		})
	}
}

func pipelined(t *testing.T, c *dns.Conn, release chan struct{}) {
	t.Helper()
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	const n = 20
	var stream []byte
	for i := range n {
		m := new(dns.Msg).SetQuestion([]string{"slow.probe.example.", fmt.Sprintf("a%d.probe.example.", i), "roblox.com."}[min(i, 1+i%2)], dns.TypeA)
		m.Id = uint16(i)
		req, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		stream = append(endian.BigEndian.AppendUint16(stream, uint16(len(req))), req...)
	}
	if _, err := c.Conn.Write(stream); err != nil {
		t.Fatal(err)
	}
	seen := map[uint16]bool{}
	for i := range n {
		if i == n-1 {
			close(release)
		}
		r, err := c.ReadMsg()
		if err != nil {
			t.Fatalf("after %d answers: %v", i, err)
		}
		if seen[r.Id] || (r.Id == 0) != (i == n-1) || len(r.Question) != 1 {
			t.Errorf("answer %d is %v", i, r)
		}
		seen[r.Id] = true
	}
}

// send says what is wrong with the reply, "" when nothing is.
func (p dnsProbe) send(t *testing.T, to netip.AddrPort) string {
	t.Helper()
	name, qtype := p.name, p.qtype
	if name == "" {
		name = "a.probe.example."
	}
	if qtype == 0 {
		qtype = dns.TypeA
	}
	m := new(dns.Msg)
	m.Id, m.RecursionDesired = 0x5a17, true
	m.Question = []dns.Question{{Name: name, Qtype: qtype, Qclass: dns.ClassINET}}
	if p.edit != nil {
		p.edit(m)
	}
	req, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	if p.raw != nil {
		req = p.raw(req)
	}
	resp := p.exchange(t, to, req)
	switch {
	case p.rcode == noReply && resp == nil:
		return ""
	case p.rcode == noReply:
		return "answered"
	case resp == nil:
		return "no reply"
	}
	var r dns.Msg
	if err := r.Unpack(resp); err != nil {
		return err.Error()
	}
	return p.judge(m.IsEdns0(), req, resp, &r)
}

// judge checks what holds for every reply, then what the probe wants. asked is the OPT record of the request, if any.
func (p dnsProbe) judge(asked *dns.OPT, req, resp []byte, r *dns.Msg) string {
	opt := r.IsEdns0()
	switch {
	case !bytes.Equal(resp[:2], req[:2]) || resp[2]&0xf9 != req[2]&0x79|0x80:
		return fmt.Sprintf("header %x to %x", resp[:4], req[:4])
	case resp[3]&0x40 != 0:
		return "the reserved bit is set"
	case r.Authoritative && p.chapter[0] == '8' || r.Truncated && p.name != "large.probe.example.":
		return "AA or TC"
	case r.Rcode != p.rcode:
		return "code " + dns.RcodeToString[r.Rcode]
	case opt == nil && asked != nil && p.rcode != dns.RcodeFormatError:
		return "no OPT record"
	case opt != nil && asked == nil && p.rcode != dns.RcodeFormatError:
		return "an OPT record that nobody asked for"
	case opt != nil && asked != nil && (opt.Version() != 0 || opt.Hdr.Ttl&0x7fff != 0 || opt.UDPSize() < 512 || p.rcode == dns.RcodeSuccess && opt.Do() != asked.Do()):
		return "OPT: " + opt.String()
	}
	if why := sameQuestion(req, resp); why != "" {
		return why
	}
	if p.check != nil {
		return p.check(r, len(resp))
	}
	return ""
}

// sameQuestion wants the question of the request in the reply byte for byte, or none where it could not be read.
func sameQuestion(req, resp []byte) string {
	switch n := endian.BigEndian.Uint16(resp[4:]); {
	case n > 1:
		return "two questions"
	case n == 0 && resp[3]&0x0f == dns.RcodeSuccess && endian.BigEndian.Uint16(req[4:]) == 1:
		return "no question"
	case n == 0:
		return ""
	}
	end := 12
	for end < len(resp) && resp[end] != 0 {
		end += 1 + int(resp[end])
	}
	if end += 5; end > len(req) || end > len(resp) || !bytes.Equal(resp[12:end], req[12:end]) {
		return "another question"
	}
	return ""
}

func (p dnsProbe) dial(t *testing.T, to netip.AddrPort) net.Conn {
	t.Helper()
	var c net.Conn
	var err error
	switch {
	case p.tls: // the certificate is not what is tested here
		c, err = tls.Dial("tcp", to.String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"dot"}})
	case p.tcp:
		c, err = net.Dial("tcp", to.String())
	default:
		c, err = net.Dial("udp", to.String())
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// exchange sends bytes and gives the reply, nil for none. Whether there is none is seen by a question that follows: over UDP
// the reply to that comes first, over TCP the connection ends.
func (p dnsProbe) exchange(t *testing.T, to netip.AddrPort, req []byte) []byte {
	t.Helper()
	c := p.dial(t, to)
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if p.tcp || p.tls {
		req = append(endian.BigEndian.AppendUint16(nil, uint16(len(req))), req...)
	}
	if _, err := c.Write(req); err != nil {
		t.Fatal(err)
	}
	if p.rcode == noReply {
		after, err := (&dns.Msg{MsgHdr: dns.MsgHdr{Id: 0xaf7e, RecursionDesired: true}, Question: []dns.Question{{Name: "localhost.", Qtype: dns.TypeA, Qclass: dns.ClassINET}}}).Pack()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(after); err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 65535)
	var n int
	var err error
	if p.tcp || p.tls {
		if _, err = io.ReadFull(c, buf[:2]); err == nil {
			n, err = io.ReadFull(c, buf[:endian.BigEndian.Uint16(buf)])
		}
	} else {
		n, err = c.Read(buf)
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, os.ErrDeadlineExceeded):
		return nil
	case err != nil:
		t.Fatal(err)
	case p.rcode == noReply && endian.BigEndian.Uint16(buf) == 0xaf7e:
		return nil
	}
	return buf[:n]
}
