package resolver

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"schoolgate/resolver/query"
	"schoolgate/resolver/upstream"
	"schoolgate/resolver/wire"
)

// timed is a box that lives in the time of a bubble, and whose upstream takes a while.
type timed struct {
	*box
	takes time.Duration
	err   error
}

func newTimed(t *testing.T) *timed {
	b := &timed{box: newBox(t)}
	s := *b.State()
	s.Exchange = func(ctx context.Context, q *wire.Question) (*wire.Reply, error) {
		select {
		case <-time.After(b.takes):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if b.err != nil {
			b.asked.Add(1)
			return nil, b.err
		}
		return b.exchange(ctx, q)
	}
	b.Swap(&s)
	return b
}

// asks asks as a client does, and says how long that took.
func (b *timed) asks(t *testing.T, name string) (reply *dns.Msg, q *query.Query, took time.Duration) {
	t.Helper()
	b.now = time.Now()
	reply, q = b.ask(t, child, question(name, dns.TypeA))
	return reply, q, time.Since(b.now)
}

// A client waits 1.8 seconds for an answer to what is past its time; what comes later is there for the next (RFC 8767).
func TestStaleIsRefreshedBehindTheClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTimed(t)
		defer b.Close()
		b.asks(t, "school.example.")
		time.Sleep(time.Hour)
		b.takes = 3 * time.Second
		reply, q, took := b.asks(t, "school.example.")
		if q.Source != query.Stale || took != staleAfter || reply.Answer[0].Header().Ttl != 30 {
			t.Errorf("from %v after %v: %v", q.Source, took, reply)
		}
		if _, q, took := b.asks(t, "school.example."); q.Source != query.Stale || took != 0 {
			t.Errorf("the next: from %v after %v", q.Source, took)
		}
		time.Sleep(2 * time.Second)
		if reply, q, took := b.asks(t, "school.example."); q.Source != query.Cache || took != 0 || reply.Answer[0].Header().Ttl < 298 {
			t.Errorf("later: from %v after %v: %v", q.Source, took, reply)
		}
		if n := b.asked.Load(); n != 2 {
			t.Errorf("asked %d times", n)
		}
	})
}

// An upstream that failed is asked again for what is past its time after half a minute, not by each client.
func TestStaleIsRecheckedSeldom(t *testing.T) {
	for _, failure := range []string{"silence", "error", "SERVFAIL"} {
		t.Run(failure, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newTimed(t)
				defer b.Close()
				b.asks(t, "school.example.")
				time.Sleep(time.Hour)
				n := int64(1) // asked and answered
				switch failure {
				case "silence":
					b.takes = time.Hour
				case "error":
					b.err = &upstream.Error{}
				case "SERVFAIL":
					b.reply = func(req *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(req, dns.RcodeServerFailure) }
				}
				for i := range 120 { // a minute
					_, q, took := b.asks(t, "school.example.")
					if first := i == 0 || i == 60; q.Source != query.Stale || took > staleAfter || !first && took != 0 && failure != "silence" {
						t.Fatalf("%d: from %v after %v", i, q.Source, took)
					}
					time.Sleep(500*time.Millisecond - took%(500*time.Millisecond))
				}
				if failure != "silence" {
					n += 2
				}
				if got := b.asked.Load(); got != n {
					t.Errorf("asked %d times, want %d", got, n)
				}
				b.err, b.takes, b.reply = nil, 0, internet
				time.Sleep(30 * time.Second)
				if _, q, _ := b.asks(t, "school.example."); q.Source != query.Upstream {
					t.Errorf("from %v when the upstream is back", q.Source)
				}
			})
		})
	}
}

// A flood of names that cannot be resolved asks for each once in five seconds (RFC 9520), whatever the reason.
func TestFailuresAreKept(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		kept bool
	}{
		{"unreachable", &upstream.Error{Causes: []upstream.Cause{{Server: "192.0.2.53", Err: errors.New("no route")}}}, true},
		{"too slow", fmt.Errorf("waiting: %w", context.DeadlineExceeded), true},
		{"we are busy", upstream.ErrBusy, false},
		{"no servers", upstream.ErrNoServers, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newTimed(t)
				defer b.Close()
				b.err, b.takes = tt.err, 4*time.Second
				for range 3 {
					for i := range 100 {
						name := fmt.Sprintf("x%d.flood.example.", i)
						b.now = time.Now()
						for range 5 {
							if reply, q := b.ask(t, child, question(name, dns.TypeA)); reply.Rcode != dns.RcodeServerFailure {
								t.Fatalf("from %v: %v", q.Source, reply)
							}
							if !tt.kept {
								break
							}
						}
					}
				}
				if n := b.asked.Load(); n != 300 {
					t.Errorf("asked %d times for 100 names, three times over", n)
				}
				b.err, b.takes = nil, 0
				_, q, _ := b.asks(t, "x99.flood.example.")
				if want := map[bool]query.Source{true: query.Cache, false: query.Upstream}[tt.kept]; q.Source != want {
					t.Errorf("at once: from %v", q.Source)
				}
				time.Sleep(5 * time.Second)
				if reply, q, _ := b.asks(t, "x99.flood.example."); reply.Rcode != dns.RcodeSuccess {
					t.Errorf("after five seconds: from %v: %v", q.Source, reply)
				}
			})
		})
	}
}

// What is below a name that DNSSEC proved not to exist is not asked for (RFC 8020), unless others are to be asked.
func TestBelowWhatDoesNotExist(t *testing.T) {
	for _, apart := range []bool{false, true} {
		b := newBox(t)
		b.reply = func(req *dns.Msg) *dns.Msg {
			m := internet(req)
			if req.Question[0].Name == "gone.example." {
				m.AuthenticatedData = true
			}
			return m
		}
		s := *b.State()
		s.Apart = func(*wire.Question) bool { return apart }
		b.Swap(&s)
		b.ask(t, child, question("gone.example.", dns.TypeA))
		reply, q := b.ask(t, child, question("a.b.gone.example.", dns.TypeA))
		if below := q.Source == query.Cache && reply.Rcode == dns.RcodeNameError && len(reply.Ns) == 1; below == apart {
			t.Errorf("apart %v: from %v: %v", apart, q.Source, reply)
		}
		if reply, q := b.ask(t, child, question("gone.example.", dns.TypeAAAA)); q.Source != query.Cache || reply.Rcode != dns.RcodeNameError {
			t.Errorf("another type: from %v: %v", q.Source, reply)
		}
	}
}

// A panic behind a refresh is the query's.
func TestPanicWhileRefreshing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTimed(t)
		defer b.Close()
		b.asks(t, "school.example.")
		time.Sleep(time.Hour)
		b.reply = func(*dns.Msg) *dns.Msg { panic("on purpose") }
		defer func() {
			if recover() == nil {
				t.Error("nobody heard of it")
			}
		}()
		b.asks(t, "school.example.")
	})
}
