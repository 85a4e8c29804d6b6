package wire

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// parsed is a request with its question.
func parsed(t testing.TB, req []byte) *Question {
	t.Helper()
	q := new(Question)
	if err := ParseQuestion(req, q); err != nil {
		t.Fatal(err)
	}
	return q
}

func unpack(t testing.TB, msg []byte) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(msg); err != nil {
		t.Fatalf("unpacking %x: %v", msg, err)
	}
	return m
}

// rrs parses records in presentation form.
func rrs(t testing.TB, lines ...string) (out []dns.RR) {
	t.Helper()
	for _, l := range lines {
		rr, err := dns.NewRR(l)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, rr)
	}
	return out
}

// text is a message as miekg prints it, with the parts that it does not print.
func text(m *dns.Msg) string {
	s := strings.ReplaceAll(m.String(), "\t", " ")
	return s
}

// bodyOf packs records after the question of q, compressed, and gives what follows the question.
func bodyOf(t testing.TB, req []byte, q *Question, answer, ns, extra []dns.RR) (Header, []byte) {
	t.Helper()
	m := unpack(t, req)
	m.Response, m.Compress = true, true
	m.Answer, m.Ns, m.Extra = answer, ns, extra
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return Header{Answers: uint16(len(answer)), Authority: uint16(len(ns)), Additional: uint16(len(extra))}, b[q.End:]
}

func TestAppendReply(t *testing.T) {
	answer := []string{"www.school.example. 300 IN CNAME web.school.example.", "web.school.example. 60 IN A 192.0.2.7"}
	tests := []struct {
		name  string
		req   []byte
		h     Header
		ede   EDE
		flags func(*dns.Msg)
		opt   func(*dns.OPT) // nil: none expected
	}{
		{"plain", request(t, "www.school.example.", TypeA), Header{}, EDE{}, nil, nil},
		{"case is kept", request(t, "wWw.sChOOl.Example.", TypeA), Header{}, EDE{}, nil, nil},
		{"EDE without EDNS goes nowhere", request(t, "www.school.example.", TypeA), Header{}, EDE{Code: EDEBlocked}, nil, nil},
		{"AD unasked", request(t, "www.school.example.", TypeA), Header{AD: true, AA: true}, EDE{}, func(m *dns.Msg) { m.Authoritative = true }, nil},
		{
			"AD asked by AD", request(t, "www.school.example.", TypeA, func(m *dns.Msg) { m.AuthenticatedData = true }),
			Header{AD: true},
			EDE{},
			func(m *dns.Msg) { m.AuthenticatedData = true }, nil,
		},
		{
			"AD asked by DO", request(t, "www.school.example.", TypeA, edns(1232, true)),
			Header{AD: true},
			EDE{},
			func(m *dns.Msg) { m.AuthenticatedData = true }, func(o *dns.OPT) { o.SetDo() },
		},
		{
			"CD and RD", request(t, "www.school.example.", TypeA, func(m *dns.Msg) { m.CheckingDisabled, m.RecursionDesired = true, false }),
			Header{RCode: Refused},
			EDE{},
			func(m *dns.Msg) { m.CheckingDisabled, m.RecursionDesired, m.Rcode = true, false, dns.RcodeRefused }, nil,
		},
		{
			"EDE", request(t, "www.school.example.", TypeA, edns(4096, false)),
			Header{},
			EDE{Code: EDEStale, Text: "no upstream"},
			nil,
			func(o *dns.OPT) {
				o.Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeStaleAnswer, ExtraText: "no upstream"}}
			},
		},
		{
			"EDE other", request(t, "www.school.example.", TypeA, edns(4096, false)),
			Header{},
			EDE{Text: "x"},
			nil,
			func(o *dns.OPT) { o.Option = []dns.EDNS0{&dns.EDNS0_EDE{ExtraText: "x"}} },
		},
		{
			"EDE text cut", request(t, "www.school.example.", TypeA, edns(4096, false)),
			Header{},
			EDE{Code: EDEFiltered, Text: "a" + strings.Repeat("é", 100)},
			nil,
			func(o *dns.OPT) {
				o.Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeFiltered, ExtraText: "a" + strings.Repeat("é", 63)}}
			},
		},
		{
			"extended code", request(t, "www.school.example.", TypeA, edns(1232, false)),
			Header{RCode: 23},
			EDE{},
			func(m *dns.Msg) { m.Rcode = 23 }, func(o *dns.OPT) { o.SetExtendedRcode(23) },
		},
		{
			"extended code without EDNS", request(t, "www.school.example.", TypeA),
			Header{RCode: 23},
			EDE{},
			func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure }, nil,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			q := parsed(t, tt.req)
			h, body := bodyOf(t, tt.req, q, rrs(t, answer...), nil, nil)
			h.RCode, h.AA, h.AD = tt.h.RCode, tt.h.AA, tt.h.AD
			want := unpack(t, tt.req)
			want.Response, want.RecursionAvailable, want.AuthenticatedData = true, true, false
			want.Answer, want.Extra = rrs(t, answer...), nil
			for _, rr := range want.Answer { // pointers give the owner the case of the question
				rr.Header().Name = strings.Replace(rr.Header().Name, "www.school.example.", want.Question[0].Name, 1)
			}
			if tt.flags != nil {
				tt.flags(want)
			}
			if tt.opt != nil {
				o := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: TypeOPT, Class: 1232}}
				tt.opt(o)
				want.Extra = []dns.RR{o}
			}
			got := unpack(t, AppendReply(nil, tt.req, q, h, body, tt.ede))
			if d := cmp.Diff(strings.ToLower(text(want)), strings.ToLower(text(got))); d != "" {
				t.Error(d)
			}
			if got.Question[0].Name != want.Question[0].Name {
				t.Errorf("question %q, want %q", got.Question[0].Name, want.Question[0].Name)
			}
		})
	}
}

// A reply appended after other bytes is the same reply: TCP puts its length in front.
func TestAppendAfter(t *testing.T) {
	req := request(t, "www.school.example.", TypeAAAA, edns(1232, true))
	q := parsed(t, req)
	b := Blocked{Kind: BlockNXDomain, TTL: 60}
	alone, after := AppendBlocked(nil, req, q, b, EDE{Code: 15}), AppendBlocked([]byte("xy"), req, q, b, EDE{Code: 15})
	if d := cmp.Diff("xy"+string(alone), string(after)); d != "" {
		t.Error(d)
	}
	after = AppendTruncated([]byte("xy"), req, q, Header{Answers: 7}, EDE{})
	if m := unpack(t, after[2:]); !m.Truncated || len(m.Answer) != 0 || m.IsEdns0() == nil {
		t.Error(m)
	}
}

func TestAppendErrorOfBrokenRequests(t *testing.T) {
	tests := []struct {
		name      string
		req       []byte
		rcode     int
		opcode    int
		questions int
	}{
		{"header only", patch(make([]byte, 12), 0, 0xbe, 0xef), dns.RcodeFormatError, 0, 0},
		{"cut name", request(t, "a.example.", TypeA)[:15], dns.RcodeFormatError, 0, 0},
		{"update", request(t, "a.example.", TypeSOA, func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }), dns.RcodeNotImplemented, dns.OpcodeUpdate, 0},
		{"transfer", request(t, "a.example.", TypeAXFR), dns.RcodeRefused, 0, 1},
		{"version", request(t, "a.example.", TypeA, edns(1232, false), func(m *dns.Msg) { m.IsEdns0().SetVersion(3) }), dns.RcodeBadVers, 0, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var q Question
			rcode, ok := Answer(ParseQuestion(tt.req, &q))
			if !ok {
				t.Fatal("dropped")
			}
			m := unpack(t, AppendError(nil, tt.req, &q, rcode, EDE{}))
			if m.Id != 0xbeef || !m.Response || m.Rcode != tt.rcode || m.Opcode != tt.opcode || len(m.Question) != tt.questions {
				t.Error(m)
			}
			if m.Rcode == dns.RcodeBadVers && m.IsEdns0().Version() != 0 {
				t.Error("the answer does not name the version we speak")
			}
		})
	}
}

func TestAppendBlocked(t *testing.T) {
	soa := "Ads.example. 30 IN SOA blocked.schoolgate.invalid. hostmaster.blocked.schoolgate.invalid. 1 3600 600 604800 30"
	page := Blocked{Kind: BlockPage, V4: netip.MustParseAddr("192.0.2.80"), V6: netip.MustParseAddr("2001:db8::80"), TTL: 30}
	tests := []struct {
		name       string
		typ        uint16
		b          Blocked
		rcode      int
		answer, ns string
	}{
		{"nxdomain A", TypeA, Blocked{TTL: 30}, dns.RcodeNameError, "", soa},
		{"nxdomain HTTPS", TypeHTTPS, Blocked{TTL: 30}, dns.RcodeNameError, "", soa},
		{"zero A", TypeA, Blocked{Kind: BlockZero, TTL: 30}, 0, "Ads.example. 30 IN A 0.0.0.0", ""},
		{"zero AAAA", TypeAAAA, Blocked{Kind: BlockZero, TTL: 30}, 0, "Ads.example. 30 IN AAAA ::", ""},
		{"zero HTTPS", TypeHTTPS, Blocked{Kind: BlockZero, TTL: 30}, 0, "", soa},
		{"zero ANY", TypeANY, Blocked{Kind: BlockZero, TTL: 30}, 0, "", soa},
		{"page A", TypeA, page, 0, "Ads.example. 30 IN A 192.0.2.80", ""},
		{"page AAAA", TypeAAAA, page, 0, "Ads.example. 30 IN AAAA 2001:db8::80", ""},
		{"page TXT", TypeTXT, page, 0, "", soa},
		{"page without V6", TypeAAAA, Blocked{Kind: BlockPage, V4: page.V4, TTL: 30}, 0, "", soa},
		{"page without V4", TypeA, Blocked{Kind: BlockPage, V6: page.V6, TTL: 30}, 0, "", soa},
		{"page with a mapped V4", TypeA, Blocked{Kind: BlockPage, V4: netip.MustParseAddr("::ffff:192.0.2.80"), TTL: 30}, 0, "Ads.example. 30 IN A 192.0.2.80", ""},
	}
	for _, tt := range tests {
		for _, withOPT := range []bool{false, true} {
			t.Run(tt.name, func(t *testing.T) {
				var edit []func(*dns.Msg)
				if withOPT {
					edit = append(edit, edns(1232, false))
				}
				req := request(t, "Ads.example.", tt.typ, edit...)
				q := parsed(t, req)
				want := unpack(t, req)
				want.Response, want.RecursionAvailable, want.Rcode = true, true, tt.rcode
				if tt.answer != "" {
					want.Answer = rrs(t, tt.answer)
				}
				if tt.ns != "" {
					want.Ns = rrs(t, tt.ns)
				}
				if withOPT {
					want.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeBlocked, ExtraText: "adverts"}}
				}
				got := unpack(t, AppendBlocked(nil, req, q, tt.b, EDE{Code: EDEBlocked, Text: "adverts"}))
				if d := cmp.Diff(text(want), text(got)); d != "" {
					t.Error(d)
				}
			})
		}
	}
}

func TestBlockKindString(t *testing.T) {
	got := []string{BlockNXDomain.String(), BlockZero.String(), BlockPage.String(), BlockKind(9).String()}
	if d := cmp.Diff([]string{"nxdomain", "zero", "page", "unknown"}, got); d != "" {
		t.Error(d)
	}
}

func TestAppendAny(t *testing.T) {
	req := request(t, "a.example.", TypeANY, edns(1232, false))
	m := unpack(t, AppendAny(nil, req, parsed(t, req), 3600))
	if d := cmp.Diff(`a.example. 3600 IN HINFO "RFC8482" ""`, strings.ReplaceAll(m.Answer[0].String(), "\t", " ")); d != "" {
		t.Error(d)
	}
	if len(m.Answer) != 1 || m.IsEdns0() == nil {
		t.Error(m)
	}
}

func TestFit(t *testing.T) {
	many := func(n int) (out []dns.RR) {
		for i := range n {
			out = append(out, &dns.A{Hdr: dns.RR_Header{Name: "big.example.", Rrtype: TypeA, Class: ClassIN, Ttl: 9}, A: net.IPv4(192, 0, 2, byte(i))})
		}
		return out
	}
	tests := []struct {
		name    string
		edit    []func(*dns.Msg)
		answers int
		cut     bool
	}{
		{"small", nil, 5, false},
		{"just fits 512", nil, 30, false}, // 12 + 17 + 30×16 = 509
		{"over 512", nil, 31, true},
		{"over 512, EDNS", []func(*dns.Msg){edns(1232, true)}, 31, false},
		{"over 1232, EDNS", []func(*dns.Msg){edns(4096, true)}, 80, true},
		{"over 600, EDNS", []func(*dns.Msg){edns(600, true)}, 40, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req := request(t, "big.example.", TypeA, tt.edit...)
			q := parsed(t, req)
			h, body := bodyOf(t, req, q, many(tt.answers), nil, nil)
			ede := EDE{Code: EDEStale, Text: "old"}
			full := AppendReply(nil, req, q, h, body, ede)
			got := Fit(append([]byte(nil), full...), q)
			if !tt.cut {
				if d := cmp.Diff(full, got); d != "" {
					t.Error(d)
				}
				return
			}
			want := AppendTruncated(nil, req, q, h, ede)
			if d := cmp.Diff(want, got); d != "" || len(got) > q.Limit() {
				t.Error(d, len(got))
			}
		})
	}
	q := &Question{End: 17}
	for _, odd := range [][]byte{nil, {1, 2, 3}, make([]byte, 12)} {
		if got := Fit(odd, q); len(got) != len(odd) {
			t.Errorf("Fit(%x) = %x", odd, got)
		}
	}
}

func TestCutKeepsCharactersWhole(t *testing.T) {
	for n := range 10 {
		s := cut(strings.Repeat("x", 120+n) + "日本語日本語")
		if len(s) > maxEDEText || len(s) < maxEDEText-3 || !utf8.ValidString(s) {
			t.Errorf("%d: %q", n, s)
		}
	}
	if s := cut(strings.Repeat("\x80", 300)); len(s) > maxEDEText {
		t.Errorf("%d bytes of what is no text", len(s))
	}
}

// AppendTruncated is what Fit makes of a reply that is too long, built from its parts.
func AppendTruncated(dst, req []byte, q *Question, h Header, ede EDE) []byte {
	start := len(dst)
	h.Answers, h.Authority, h.Additional = 0, 0, 0
	dst = AppendReply(dst, req, q, h, nil, ede)
	dst[start+2] |= flagTC
	return dst
}
