package resolver

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"schoolgate/resolver/query"
	"schoolgate/resolver/wire"
)

const boxV4, boxV6 = "192.0.2.53", "2001:db8::53"

// owner is a box with a name of its own, whose certificate is for its IPv4 address alone.
func owner(t testing.TB) *box {
	t.Helper()
	b := newBox(t)
	s := *b.State()
	s.Own = NewOwn(Own{
		Name: "dns.school.example", TLS: 853, HTTPS: 443, QUIC: 8853,
		Addrs:    []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr(boxV4), netip.MustParseAddr(boxV6)},
		Verifies: func(a netip.Addr) bool { return a == netip.MustParseAddr(boxV4) },
	})
	b.Swap(&s)
	return b
}

// askAt asks the box at one of its addresses, and says whether the packet loop could answer.
func (b *box) askAt(t testing.TB, at, name string, qtype uint16) (m *dns.Msg, q *query.Query, inline bool) {
	t.Helper()
	req, err := question(name, qtype).Pack()
	if err != nil {
		t.Fatal(err)
	}
	q = &query.Query{Start: b.now, Client: query.Client{Addr: netip.MustParseAddr(child)}}
	if err := wire.ParseQuestion(req, &q.Question); err != nil {
		t.Fatal(err)
	}
	out, inline := b.Inline(q, req, nil)
	if !inline {
		if at != "" {
			q.Asked = netip.MustParseAddr(at)
		}
		out = b.Resolve(context.Background(), q, req, nil)
	}
	m = new(dns.Msg)
	if err := m.Unpack(out); err != nil {
		t.Fatal(err)
	}
	return m, q, inline
}

func TestOwnNames(t *testing.T) {
	b := owner(t)
	h2 := `1 dns.school.example. alpn="h2" port="443" HINT dohpath="/dns-query{?dns}"`
	dot, doq := `2 dns.school.example. alpn="dot" port="853" HINT`, `3 dns.school.example. alpn="doq" port="8853" HINT`
	all := func(hint string) []string {
		out := []string{h2, dot, doq}
		for i := range out {
			out[i] = strings.Join(strings.Fields(strings.ReplaceAll(out[i], "HINT", hint)), " ")
		}
		return out
	}
	for _, tt := range []struct {
		at, name string
		qtype    uint16
		rcode    int
		want     []string
	}{
		{boxV4, "_dns.resolver.arpa.", dns.TypeSVCB, dns.RcodeSuccess, all(`ipv4hint="192.0.2.53"`)},
		{boxV4, "_DNS.Resolver.ARPA.", dns.TypeSVCB, dns.RcodeSuccess, all(`ipv4hint="192.0.2.53"`)},
		{boxV4, "_dns.resolver.arpa.", dns.TypeA, dns.RcodeSuccess, nil},
		{boxV6, "_dns.resolver.arpa.", dns.TypeSVCB, dns.RcodeSuccess, nil}, // the certificate is not for that address
		{"", "_dns.resolver.arpa.", dns.TypeSVCB, dns.RcodeSuccess, nil},
		{boxV4, "resolver.arpa.", dns.TypeSVCB, dns.RcodeSuccess, nil},
		{boxV4, "x.resolver.arpa.", dns.TypeA, dns.RcodeSuccess, nil},
		{boxV6, "_dns.dns.school.example.", dns.TypeSVCB, dns.RcodeSuccess, all(`ipv6hint="2001:db8::53"`)},
		{"fe80::1", "_dns.dns.school.example.", dns.TypeSVCB, dns.RcodeSuccess, all("")},
		{boxV4, "dns.school.example.", dns.TypeA, dns.RcodeSuccess, []string{boxV4}},
		{boxV4, "dns.school.example.", dns.TypeAAAA, dns.RcodeSuccess, []string{boxV6}},
		{"192.0.2.54", "dns.school.example.", dns.TypeA, dns.RcodeSuccess, []string{"192.0.2.54"}},
		{boxV4, "tablet7.dns.school.example.", dns.TypeA, dns.RcodeSuccess, []string{boxV4}},
		{boxV4, "dns.school.example.", dns.TypeHTTPS, dns.RcodeSuccess, nil},
		{boxV4, "_x.dns.school.example.", dns.TypeA, dns.RcodeSuccess, nil},
		{boxV4, "a.b.dns.school.example.", dns.TypeA, dns.RcodeNameError, nil},
	} {
		m, q, _ := b.askAt(t, tt.at, tt.name, tt.qtype)
		var got []string
		for _, rr := range m.Answer {
			got = append(got, strings.TrimPrefix(rr.String(), rr.Header().String()))
		}
		if d := cmp.Diff(tt.want, got); d != "" || m.Rcode != tt.rcode {
			t.Errorf("%s %s asked at %s: %s\n%s", tt.name, dns.TypeToString[tt.qtype], tt.at, dns.RcodeToString[m.Rcode], d)
		}
		if len(m.Answer) > 0 && (q.Source != query.Policy || q.Verdict.Action != query.Allow) {
			t.Errorf("%s: recorded as %v, %v", tt.name, q.Source, q.Verdict.Action)
		}
	}
	if n := b.asked.Load(); n != 0 {
		t.Errorf("%d questions about the box itself went upstream", n)
	}
	if m, _, _ := b.askAt(t, boxV4, "school.example.", dns.TypeA); len(m.Answer) == 0 || b.asked.Load() != 1 {
		t.Errorf("the name above the box's own: %v", m)
	}
}

// A box without encrypted transports says nothing of itself, and one with them only to who may use it.
func TestNothingOwn(t *testing.T) {
	b := newBox(t)
	m, q, inline := b.askAt(t, boxV4, "_dns.resolver.arpa.", dns.TypeSVCB)
	if m.Rcode != dns.RcodeSuccess || len(m.Answer) != 0 || q.Verdict.Rule != query.Bypass || !inline {
		t.Errorf("%v, %v", m, q.Verdict)
	}
	b = owner(t)
	if _, q, inline := b.askAt(t, boxV4, "games.example.", dns.TypeA); !inline || !q.Verdict.Blocked() {
		t.Errorf("a block left the packet loop: %v", q.Verdict)
	}
	if m, q, _ := b.askAt(t, boxV6, "_dns.resolver.arpa.", dns.TypeSVCB); q.Verdict.Rule != query.Bypass || m.Rcode != dns.RcodeSuccess {
		t.Errorf("asked where the certificate does not hold: %v, %v", m, q.Verdict)
	}
}
