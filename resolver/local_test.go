package resolver

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"schoolgate/config"
	"schoolgate/resolver/local"
	"schoolgate/resolver/query"
	"schoolgate/resolver/wire"
)

// networked is a box with records of its own; some stand on block lists, one is of the illegal tier.
func networked(t testing.TB) *box {
	t.Helper()
	b := newBox(t)
	minute := config.Duration(60e9)
	b.local = config.Local{
		Domain: "home.arpa", Name: "schoolgate.home.arpa", Devices: true,
		Records: []config.Record{
			{Name: "printer.home.arpa", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.10")}, TTL: minute},
			{Name: "intranet.games.example", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.11")}, TTL: minute},
			{Name: "illegal.example", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.12")}, TTL: minute},
			{Name: "away.home.arpa", CNAME: "far.example", TTL: minute},
			{Name: "toys.home.arpa", CNAME: "cdn.games.example", TTL: minute},
			{Name: "bad.home.arpa", CNAME: "illegal.example.net", TTL: minute},
			{Name: "worse.home.arpa", CNAME: "worse.example", TTL: minute},
			{Name: "staff.school.example", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.13")}, TTL: minute, Groups: []string{"staff"}},
		},
	}
	b.Swap(b.state(t, map[string]string{"games.example": "games", "illegal.example": "feed", "home.arpa": "games", "illegal.example.net": "feed"}))
	s := *b.State()
	s.Box = new(local.Interfaces)
	s.Box.Set([]netip.Addr{netip.MustParseAddr("192.0.2.53")})
	b.Swap(&s)
	return b
}

func TestLocalNames(t *testing.T) {
	b := networked(t)
	for _, tt := range []struct {
		client, name string
		qtype        uint16
		rcode        int
		answer       []string
		rule         query.Rule
		source       query.Source
	}{
		{child, "printer.home.arpa.", dns.TypeA, 0, []string{"printer.home.arpa.\t60\tIN\tA\t192.0.2.10"}, query.LocalName, query.Local},
		{child, "intranet.games.example.", dns.TypeA, 0, []string{"intranet.games.example.\t60\tIN\tA\t192.0.2.11"}, query.LocalName, query.Local},
		{child, "intranet.games.example.", dns.TypeAAAA, 0, nil, query.LocalName, query.Local},
		{teacher, "illegal.example.", dns.TypeA, dns.RcodeNameError, nil, query.Illegal, query.Policy},
		{child, "nothere.home.arpa.", dns.TypeA, dns.RcodeNameError, nil, query.LocalName, query.Local},
		{child, "printer.", dns.TypeA, 0, []string{"printer.\t60\tIN\tA\t192.0.2.10"}, query.LocalName, query.Local},
		{child, "nas.", dns.TypeA, dns.RcodeNameError, nil, query.Default, query.Local},
		{child, "away.home.arpa.", dns.TypeA, 0, []string{"away.home.arpa.\t300\tIN\tCNAME\tfar.example.", "far.example.\t300\tIN\tA\t198.51.100.1"}, query.LocalName, query.Upstream},
		{child, "away.home.arpa.", dns.TypeA, 0, []string{"away.home.arpa.\t300\tIN\tCNAME\tfar.example.", "far.example.\t300\tIN\tA\t198.51.100.1"}, query.LocalName, query.Cache},
		{child, "away.home.arpa.", dns.TypeHTTPS, 0, []string{"away.home.arpa.\t300\tIN\tCNAME\tfar.example."}, query.LocalName, query.Policy},
		{child, "toys.home.arpa.", dns.TypeA, 0, []string{"toys.home.arpa.\t300\tIN\tCNAME\tcdn.games.example.", "cdn.games.example.\t300\tIN\tA\t198.51.100.1"}, query.LocalName, query.Upstream},
		{child, "bad.home.arpa.", dns.TypeA, dns.RcodeNameError, nil, query.Illegal, query.Policy},
		{child, "bad.home.arpa.", dns.TypeHTTPS, dns.RcodeNameError, nil, query.Illegal, query.Policy},
		{child, "worse.home.arpa.", dns.TypeA, dns.RcodeNameError, nil, query.Illegal, query.Policy}, // its own alias
		{teacher, "staff.school.example.", dns.TypeA, 0, []string{"staff.school.example.\t60\tIN\tA\t192.0.2.13"}, query.LocalName, query.Local},
		{child, "staff.school.example.", dns.TypeA, 0, []string{"staff.school.example.\t300\tIN\tA\t198.51.100.1"}, query.Default, query.Upstream},
		{child, "53.2.0.192.in-addr.arpa.", dns.TypePTR, 0, []string{"53.2.0.192.in-addr.arpa.\t60\tIN\tPTR\tschoolgate.home.arpa."}, query.LocalName, query.Local},
	} {
		reply, q := b.ask(t, tt.client, question(tt.name, tt.qtype))
		if diff := cmp.Diff(tt.answer, recordsOf(reply.Answer)); diff != "" || reply.Rcode != tt.rcode || q.Verdict.Rule != tt.rule || q.Source != tt.source {
			t.Errorf("%s for %s: rule %v from %v: %v\n%s", tt.name, tt.client, q.Verdict.Rule, q.Source, reply, diff)
		}
		if len(tt.answer) == 0 && len(reply.Ns) != 1 {
			t.Errorf("%s: nothing says how long to keep the denial", tt.name)
		}
	}
}

// TestTheBoxAsked: the box's name has the address that was asked, which a packet loop does not know.
func TestTheBoxAsked(t *testing.T) {
	b := networked(t)
	req, _ := question("schoolgate.home.arpa.", dns.TypeA).Pack()
	for _, asked := range []netip.Addr{netip.MustParseAddr("192.0.2.53"), {}} {
		q := &query.Query{Start: b.now, Client: query.Client{Addr: netip.MustParseAddr(child)}}
		if err := wire.ParseQuestion(req, &q.Question); err != nil {
			t.Fatal(err)
		}
		if _, done := b.Inline(q, req, nil); done {
			t.Error("answered without knowing the address")
		}
		q.Asked = asked
		var m dns.Msg
		if err := m.Unpack(b.Resolve(t.Context(), q, req, nil)); err != nil {
			t.Fatal(err)
		}
		if got := len(m.Answer); asked.IsValid() != (got == 1) || q.Source != query.Local {
			t.Errorf("asked at %v: %v", asked, &m)
		}
	}
	if n := b.asked.Load(); n != 0 {
		t.Errorf("an upstream was asked %d times", n)
	}
}

// TestServersOfTheirOwn: what is asked of servers of its own wins over our zones, not over our records.
func TestServersOfTheirOwn(t *testing.T) {
	b := networked(t)
	s := *b.State()
	s.Apart = func(*wire.Question) bool { return true }
	b.Swap(&s)
	for name, source := range map[string]query.Source{
		"printer.home.arpa.": query.Local, "other.home.arpa.": query.Upstream, "7.1.168.192.in-addr.arpa.": query.Upstream, "nas.": query.Upstream,
	} {
		if _, q := b.ask(t, child, question(name, dns.TypeA)); q.Source != source {
			t.Errorf("%s from %v", name, q.Source)
		}
	}
}

func TestLocalInlineDoesNotAllocate(t *testing.T) {
	b := networked(t)
	b.ask(t, child, question("away.home.arpa.", dns.TypeA))
	for _, name := range []string{"printer.home.arpa.", "nothere.home.arpa.", "away.home.arpa."} {
		req, _ := question(name, dns.TypeA).Pack()
		dst := make([]byte, 0, 4096)
		q := &query.Query{Start: b.now}
		if err := wire.ParseQuestion(req, &q.Question); err != nil {
			t.Fatal(err)
		}
		client := netip.MustParseAddr(child)
		if got := testing.AllocsPerRun(100, func() {
			q.Client = query.Client{Addr: client}
			if _, done := b.Inline(q, req, dst); !done {
				t.Fatal("not answered inline")
			}
		}); got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}
