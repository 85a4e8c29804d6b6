package upstream

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"schoolgate/config"
)

// strategic is a pool with a strategy, and servers to fall back on.
func strategic(t *testing.T, s config.Strategy, timeout time.Duration, servers, fallback []*fake) *Pool {
	t.Helper()
	cfg := config.Upstream{Strategy: s, Timeout: config.Duration(timeout)}
	for _, f := range servers {
		cfg.Servers = append(cfg.Servers, udp(f.addr))
	}
	for _, f := range fallback {
		cfg.Fallback = append(cfg.Fallback, udp(f.addr))
	}
	p := New(cfg, slog.New(slog.DiscardHandler))
	t.Cleanup(p.close)
	return p
}

// standing is a pool of servers that are no more than what is known of them.
func standing(s config.Strategy, servers ...*server) *Pool {
	p := &Pool{strategy: s, servers: servers}
	return p
}

func named(name string, rtt time.Duration, down, fallback bool) *server {
	return &server{address: name, rtt: rtt, down: down, fallback: fallback}
}

func addresses(servers []*server) (out []string) {
	for _, s := range servers {
		out = append(out, s.address)
	}
	return out
}

func TestOrder(t *testing.T) {
	const ms = time.Millisecond
	slow, fast, down := named("slow", 50*ms, false, false), named("fast", 5*ms, false, false), named("down", ms, true, false)
	fresh := named("fresh", 0, false, false)
	spare, other := named("spare", ms, false, true), named("other", ms, true, true)
	for _, tt := range []struct {
		what     string
		pool     *Pool
		want     []string
		reserve  int
		together int
	}{
		{"ordered", standing(config.Ordered, slow, fast, down), []string{"slow", "fast", "down"}, 3, 1},
		{"the first is down", standing(config.Ordered, down, slow, fast), []string{"slow", "fast", "down"}, 3, 1},
		{"fastest", standing(config.Fastest, slow, down, fast), []string{"fast", "slow", "down"}, 3, 1},
		{"fastest, one is new", standing(config.Fastest, slow, fast, fresh), []string{"fresh", "fast", "slow"}, 3, 1},
		{"parallel", standing(config.Parallel, slow, down, fast), []string{"fast", "slow", "down"}, 3, 2},
		{"parallel, one is left", standing(config.Parallel, slow, down), []string{"slow", "down"}, 2, 1},
		{"with others to fall back on", standing(config.Ordered, slow, down, other, spare), []string{"slow", "down", "spare", "other"}, 2, 1},
		{"parallel with others to fall back on", standing(config.Parallel, slow, fast, spare), []string{"fast", "slow", "spare"}, 2, 2},
		{"the others alone are left", standing(config.Ordered, down, other, spare), []string{"spare", "down", "other"}, 3, 1},
		{"nobody is left", standing(config.Fastest, down, other), []string{"down", "other"}, 1, 1},
	} {
		o := tt.pool.order(tt.pool.preferred())
		if got := addresses(o.servers); !slices.Equal(got, tt.want) || o.reserve != tt.reserve || o.atOnce != tt.together {
			t.Errorf("%s: %v, to fall back on from %d, %d at once", tt.what, got, o.reserve, o.atOnce)
		}
	}
}

// TestFastestExplores: now and then another server gets a question, each in its turn, and none that is down.
func TestFastestExplores(t *testing.T) {
	const ms = time.Millisecond
	p := standing(config.Fastest, named("a", 9*ms, false, false), named("b", 5*ms, false, false), named("c", 7*ms, false, false), named("down", ms, true, false), named("spare", ms, false, true))
	asked := map[string]int{}
	for range 20 * exploreEvery {
		asked[p.preferred().address]++
	}
	if asked["a"] != 10 || asked["c"] != 10 || asked["b"] != 20*exploreEvery-20 || len(asked) != 3 {
		t.Errorf("asked %v", asked)
	}
	alone := standing(config.Fastest, named("a", 9*ms, false, false))
	for range 2 * exploreEvery {
		if alone.preferred().address != "a" {
			t.Error("asked nobody")
		}
	}
}

func TestParallelAsksTwoAtOnce(t *testing.T) {
	a, b, c := plain(t, silent), plain(t, echo), plain(t, echo)
	p := strategic(t, config.Parallel, 5*time.Second, []*fake{a, b, c}, nil)
	p.hedge = time.Hour
	if _, err := exchange(p, context.Background(), ask("a.example.")); err != nil {
		t.Fatal(err)
	}
	until(t, "the silent one was asked too", func() bool { return a.seen.Load() > 0 })
	if b.seen.Load() != 1 || c.seen.Load() != 0 {
		t.Errorf("asked %d and %d", b.seen.Load(), c.seen.Load())
	}
}

func TestFallback(t *testing.T) {
	t.Run("nobody else is asked while one answers", func(t *testing.T) {
		a, spare := plain(t, echo), plain(t, echo)
		p := strategic(t, config.Ordered, time.Second, []*fake{a}, []*fake{spare})
		distinct(t, p, 10)
		if spare.seen.Load() != 0 || !p.Status()[1].Fallback || p.Status()[0].Fallback {
			t.Errorf("asked %d times; %+v", spare.seen.Load(), p.Status())
		}
	})
	t.Run("slow is not failed", func(t *testing.T) {
		hold := make(chan struct{})
		a, spare := plain(t, func(w dns.ResponseWriter, r *dns.Msg) { <-hold; echo(w, r) }), plain(t, echo)
		p := strategic(t, config.Ordered, 10*time.Second, []*fake{a}, []*fake{spare})
		p.hedge = time.Millisecond
		done := make(chan error)
		go func() {
			_, err := exchange(p, context.Background(), ask("a.example."))
			done <- err
		}()
		until(t, "the question arrives", func() bool { return a.seen.Load() > 0 })
		close(hold)
		if err := <-done; err != nil || spare.seen.Load() != 0 {
			t.Errorf("%v; asked %d times", err, spare.seen.Load())
		}
	})
	for what, bad := range map[string]dns.HandlerFunc{"all are silent": silent, "all refuse": code(dns.RcodeRefused)} {
		t.Run(what, func(t *testing.T) {
			a, b, spare := plain(t, bad), plain(t, bad), plain(t, echo)
			p := strategic(t, config.Ordered, 500*time.Millisecond, []*fake{a, b}, []*fake{spare})
			p.hedge = 10 * time.Millisecond
			m, err := exchange(p, context.Background(), ask("a.example."))
			if err != nil || m.Rcode != dns.RcodeSuccess || a.seen.Load() == 0 || b.seen.Load() == 0 || spare.seen.Load() != 1 {
				t.Errorf("%v %v; asked %d, %d and %d", err, m, a.seen.Load(), b.seen.Load(), spare.seen.Load())
			}
		})
	}
	t.Run("first when all are down, until they are back", func(t *testing.T) {
		a, spare := plain(t, silent), plain(t, echo)
		p := strategic(t, config.Ordered, 500*time.Millisecond, []*fake{a}, []*fake{spare})
		p.servers[0].rest = time.Millisecond
		for i := range maxFails {
			if _, err := exchange(p, context.Background(), ask(fmt.Sprintf("a%d.example.", i))); err != nil {
				t.Fatal(err)
			}
		}
		before := a.seen.Load()
		if _, err := exchange(p, context.Background(), ask("b.example.")); err != nil || a.seen.Load() != before {
			t.Errorf("%v; the server that is down was asked", err)
		}
		a.set(echo)
		run(t, p)
		until(t, "it is back", func() bool { return p.Status()[0].Healthy })
		before = spare.seen.Load()
		if _, err := exchange(p, context.Background(), ask("c.example.")); err != nil || spare.seen.Load() != before {
			t.Errorf("%v; the fallback is still asked", err)
		}
	})
}
