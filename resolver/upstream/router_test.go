package upstream

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"schoolgate/blocklist/domain"
	"schoolgate/config"
	"schoolgate/resolver/clock"
	"schoolgate/resolver/wire"
)

// names is a server that remembers what it was asked.
type names struct {
	*fake
	mu  sync.Mutex
	got []string
}

func remembering(t *testing.T, h dns.HandlerFunc) *names {
	t.Helper()
	n := new(names)
	n.fake = plain(t, func(w dns.ResponseWriter, r *dns.Msg) {
		n.mu.Lock()
		n.got = append(n.got, r.Question[0].Name)
		n.mu.Unlock()
		h(w, r)
	})
	return n
}

func (n *names) asked() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.ToLower(strings.Join(n.got, " "))
}

func router(t *testing.T, servers []config.Server, forwards ...config.Forward) *Router {
	t.Helper()
	u := config.Upstream{Servers: servers, Timeout: config.Duration(100 * time.Millisecond)}
	r := NewRouter(u, forwards, new(clock.Clock), slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		for _, p := range r.pools {
			p.close()
		}
	})
	return r
}

func forward(name string, to netip.AddrPort, zones ...string) config.Forward {
	f := config.Forward{Name: name, Servers: []config.Server{udp(to)}, Timeout: config.Duration(100 * time.Millisecond)}
	for _, text := range zones {
		var z config.Zone
		if err := z.UnmarshalText([]byte(text)); err != nil {
			panic(err)
		}
		f.Zones = append(f.Zones, z)
	}
	return f
}

func routed(t *testing.T, r *Router, name string) (*wire.Reply, error) {
	t.Helper()
	_, q, err := wired(ask(name))
	if err != nil {
		t.Fatal(err)
	}
	return r.Exchange(context.Background(), &q)
}

func TestZonesGoToTheirServers(t *testing.T) {
	main, lan, ad := remembering(t, echo), remembering(t, echo), remembering(t, echo)
	r := router(t, []config.Server{udp(main.addr)},
		forward("router", lan.addr, "lan", "192.168.1.0/24", "example.org"), forward("domain", ad.addr, "ad.example.org"))
	for name, want := range map[string]*names{
		"www.example.": main, "lan.example.": main, "mylan.": main, "2.168.192.in-addr.arpa.": main, ".": main,
		"lan.": lan, "printer.lan.": lan, "PRINTER.Lan.": lan, "7.1.168.192.in-addr.arpa.": lan, "www.example.org.": lan, "bad.example.org.": lan,
		"ad.example.org.": ad, "dc.ad.example.org.": ad,
	} {
		if _, err := routed(t, r, name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !strings.Contains(" "+want.asked()+" ", " "+strings.ToLower(name)+" ") {
			t.Errorf("%s was asked of somebody else: %q, %q, %q", name, main.asked(), lan.asked(), ad.asked())
		}
		var q wire.Question
		if err := q.Name.SetName(domain.Name(strings.ToLower(strings.TrimSuffix(name, ".")))); err != nil {
			t.Fatal(err)
		}
		if r.Apart(&q) != (want != main) {
			t.Errorf("%s is apart: %v", name, r.Apart(&q))
		}
		if n := testing.AllocsPerRun(10, func() { r.Apart(&q) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
	if s := r.Status(); len(s) != 3 || s[0].Forward != "" || s[1].Forward != "router" || s[2].Forward != "domain" {
		t.Errorf("status %+v", s)
	}
}

// TestZonesNeverLeak: whatever their servers do, nobody else is asked for a name of theirs.
func TestZonesNeverLeak(t *testing.T) {
	for what, h := range map[string]dns.HandlerFunc{
		"silent": silent, "fails": code(dns.RcodeServerFailure), "refuses": code(dns.RcodeRefused), "knows nothing": code(dns.RcodeNameError),
	} {
		t.Run(what, func(t *testing.T) {
			main, lan := remembering(t, echo), remembering(t, h)
			r := router(t, []config.Server{udp(main.addr)}, forward("router", lan.addr, "lan"))
			for range maxFails + 1 {
				_, err := routed(t, r, "printer.lan.")
				if (err != nil) != (what == "silent") {
					t.Errorf("error %v", err)
				}
			}
			if got := main.asked(); got != "" {
				t.Errorf("the upstream was asked for %s", got)
			}
		})
	}
}

// TestRouterRun: all pools are probed, and all have ended when Run returns.
func TestRouterRun(t *testing.T) {
	main, lan := plain(t, silent), plain(t, silent)
	r := router(t, []config.Server{udp(main.addr)}, forward("router", lan.addr, "lan"))
	for _, p := range r.pools {
		p.servers[0].rest = time.Millisecond
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	for range maxFails {
		_, _ = routed(t, r, "printer.lan.")
		_, _ = routed(t, r, "www.example.")
	}
	for _, s := range r.Status() {
		if s.Healthy {
			t.Errorf("still up: %+v", s)
		}
	}
	main.set(echo)
	lan.set(echo)
	until(t, "both are back", func() bool { s := r.Status(); return s[0].Healthy && s[1].Healthy })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := routed(t, r, "www.example."); !errors.Is(err, ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

// TestLoop: a server that sends to this box what it is asked is told from one that is merely down, in a zone too, and
// recovers when that ends.
func TestLoop(t *testing.T) {
	for _, name := range []string{"www.example.", "printer.lan."} {
		t.Run(name, func(t *testing.T) {
			var there atomic.Pointer[Router]
			loop := func(w dns.ResponseWriter, m *dns.Msg) { // a router whose resolver is this box
				b, _ := m.Pack()
				var q wire.Question
				if wire.ParseQuestion(b, &q) != nil {
					return
				}
				out := new(dns.Msg).SetRcode(m, dns.RcodeServerFailure)
				if reply, err := there.Load().Exchange(context.Background(), &q); err == nil {
					out.Rcode = int(reply.RCode)
				}
				_ = w.WriteMsg(out)
			}
			looping, other := plain(t, loop), plain(t, loop)
			r := router(t, []config.Server{udp(looping.addr)}, forward("router", other.addr, "lan"))
			there.Store(r)
			i := 0
			if name == "printer.lan." {
				i = 1
			}
			r.pools[i].servers[0].rest = time.Millisecond
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error)
			go func() { ended <- r.Run(ctx) }()
			for range maxFails {
				if _, err := routed(t, r, name); err == nil {
					t.Error("an answer out of nothing")
				}
			}
			until(t, "the loop is seen", func() bool { return r.Status()[i].Loops })
			if s := r.Status()[i]; s.Healthy {
				t.Errorf("status %+v", s)
			}
			looping.set(echo)
			other.set(echo)
			until(t, "it is over", func() bool { return r.Status()[i].Healthy })
			if s := r.Status()[i]; s.Loops {
				t.Errorf("status %+v", s)
			}
			cancel()
			<-ended
		})
	}
}

// TestNameThatLooksLikeAProbe: only a probe that is under way tells of a loop.
func TestNameThatLooksLikeAProbe(t *testing.T) {
	main := remembering(t, echo)
	r := router(t, []config.Server{udp(main.addr)})
	if _, err := routed(t, r, "schoolgate-loop-0123456789abcdef.example."); err != nil || r.Status()[0].Loops {
		t.Errorf("%v %+v", err, r.Status())
	}
}
