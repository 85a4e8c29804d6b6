package resolver

import (
	"context"
	"testing"
	"time"

	"github.com/miekg/dns"

	"schoolgate/resolver/query"
	"schoolgate/resolver/wire"
)

// finding makes the box's upstream find something in every reply for some names.
func (b *box) finding(f wire.Finding, by string, names ...string) {
	s := *b.State()
	s.Exchange = func(ctx context.Context, q *wire.Question) (*wire.Reply, error) {
		r, err := b.exchange(ctx, q)
		for _, n := range names {
			if err == nil && presentation(&q.Name) == n {
				r.Finding, r.By = f, by
			}
		}
		return r, err
	}
	b.Swap(&s)
}

func TestFindingsAreRefusals(t *testing.T) {
	for _, tt := range []struct {
		finding wire.Finding
		by      string
		rule    query.Rule
		ede     uint16
	}{
		{wire.BlockedUpstream, "family.example", query.BlockedUpstream, dns.ExtendedErrorCodeFiltered},
		{wire.Rebinding, "", query.Rebinding, dns.ExtendedErrorCodeBlocked},
	} {
		b := newBox(t)
		b.finding(tt.finding, tt.by, "school.example.")
		for i, want := range []string{child, teacher, zeroed, paged} {
			reply, q := b.ask(t, want, question("school.example.", dns.TypeA))
			if v := q.Verdict; v.Action != query.Block || v.Rule != tt.rule || v.List != tt.by || v.Kind() != tt.rule.String() || v.Cloaked {
				t.Errorf("%v, question %d: verdict %+v", tt.finding, i, v)
			}
			if code, text := reasonOf(reply); code != tt.ede || text == "" {
				t.Errorf("%v: extended error %d %q", tt.finding, code, text)
			}
			for _, rr := range reply.Answer {
				if a, ok := rr.(*dns.A); !ok || a.A.String() != map[string]string{zeroed: "0.0.0.0", paged: "192.0.2.80"}[want] {
					t.Errorf("%v: answer %v", tt.finding, rr)
				}
			}
		}
		if n := b.asked.Load(); n != 1 {
			t.Errorf("asked %d times for one name", n)
		}
		if reply, q := b.ask(t, child, question("other.example.", dns.TypeA)); q.Verdict.Blocked() || len(reply.Answer) != 1 {
			t.Errorf("another name: %+v", q.Verdict)
		}
	}
}

// TestFindingHoldsForSteeredNames: the safe form of a search engine that an upstream refuses is refused.
func TestFindingHoldsForSteeredNames(t *testing.T) {
	b := newBox(t)
	b.finding(wire.BlockedUpstream, "family.example", "forcesafesearch.google.com.")
	for range 2 {
		reply, q := b.ask(t, child, question("www.google.com.", dns.TypeA))
		if q.Verdict.Rule != query.BlockedUpstream || len(reply.Answer) != 0 {
			t.Errorf("%+v: %v", q.Verdict, reply)
		}
	}
}

// TestFindingTakesThePlaceOfAnOldAnswer: what an upstream refuses by now is not served from the past, in whatever form it
// refuses; and when no upstream answers, it stays refused.
func TestFindingTakesThePlaceOfAnOldAnswer(t *testing.T) {
	b := newBox(t)
	b.reply = internet
	b.ask(t, child, question("school.example.", dns.TypeA))
	b.now = b.now.Add(time.Hour)
	b.reply = func(req *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(req, dns.RcodeServerFailure) }
	b.finding(wire.BlockedUpstream, "family.example", "school.example.")
	for _, down := range []bool{false, true} {
		b.down.Store(down)
		if reply, q := b.ask(t, child, question("school.example.", dns.TypeA)); q.Verdict.Rule != query.BlockedUpstream || reply.Rcode != dns.RcodeNameError {
			t.Errorf("down %v: %+v %v", down, q.Verdict, reply)
		}
		b.now = b.now.Add(10 * time.Minute)
	}
}
