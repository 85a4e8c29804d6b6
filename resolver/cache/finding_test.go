package cache

import (
	"testing"
	"time"

	"github.com/miekg/dns"

	"schoolgate/blocklist/domain"
	"schoolgate/resolver/wire"
)

// TestFindingIsKeptAndBounded: a reply that is not given out keeps what was found and nothing else, for half a minute to
// five minutes.
func TestFindingIsKeptAndBounded(t *testing.T) {
	for _, tt := range []struct {
		what    string
		rcode   int
		records []string
		life    time.Duration
	}{
		{"long", dns.RcodeSuccess, []string{"games.example. 86400 IN CNAME blocked.example.", "blocked.example. 86400 IN A 192.0.2.1"}, 5 * time.Minute},
		{"no TTL", dns.RcodeSuccess, []string{"games.example. 0 IN A 192.0.2.1"}, 30 * time.Second},
		{"in between", dns.RcodeSuccess, []string{"games.example. 60 IN A 192.0.2.1"}, time.Minute},
		{"refused", dns.RcodeRefused, nil, 30 * time.Second},
		{"failed", dns.RcodeServerFailure, nil, 30 * time.Second},
	} {
		c := New(limits())
		q := ask(t, "games.example.", dns.TypeA)
		m := answer(t, "games.example.", dns.TypeA, tt.rcode, tt.records...)
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		r, err := wire.ReadReply(b)
		if err != nil {
			t.Fatal(err)
		}
		r.Finding, r.By = wire.BlockedUpstream, "family.example"
		e := c.Put(&q.q, r, start)
		if got := e.TTL(start); got != tt.life {
			t.Errorf("%s: kept for %v, want %v", tt.what, got, tt.life)
		}
		e, state := c.Get(&q.q, start)
		if f, by := e.Finding(); state != Fresh || f != wire.BlockedUpstream || by != "family.example" {
			t.Errorf("%s: %v, finding %v by %q", tt.what, state, f, by)
		}
		var w domain.Wire
		if _, ok := e.NextTarget(0, &w); ok || len(e.offsets) != 0 || e.header.Records() != 0 {
			t.Errorf("%s: more is kept than was found", tt.what)
		}
		if n := testing.AllocsPerRun(100, func() { e.Finding() }); n != 0 {
			t.Errorf("%s: %v allocations", tt.what, n)
		}
		// A failure never takes its place while it can be served.
		fail := answer(t, "games.example.", dns.TypeA, dns.RcodeServerFailure)
		put(c, &q.q, fail, start.Add(10*time.Minute))
		if e, state := c.Get(&q.q, start.Add(10*time.Minute)); state != Spare || e.finding != wire.BlockedUpstream {
			t.Errorf("%s: %v after a failure", tt.what, state)
		}
	}
}

func TestNothingFound(t *testing.T) {
	c := New(limits())
	q := ask(t, "www.example.", dns.TypeA)
	e := put(c, &q.q, address(t, "www.example.", 60), start)
	if f, by := e.Finding(); f != wire.NoFinding || by != "" {
		t.Errorf("finding %v by %q", f, by)
	}
}
