package upstream

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// cookieOf is the cookie of a message in hexadecimal, "" for none.
func cookieOf(m *dns.Msg) string {
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if c, ok := o.(*dns.EDNS0_COOKIE); ok {
				return c.Cookie
			}
		}
	}
	return ""
}

// giving is an answer with a cookie.
func giving(m *dns.Msg, cookie string) *dns.Msg {
	m.SetEdns0(1232, false)
	m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: cookie}}
	return m
}

const given = "a1a2a3a4a5a6a7a8" // what a server adds to a cookie

// conversation notes what a server was sent: the cookie of each message, and over which transport.
type conversation struct {
	mu    sync.Mutex
	heard []string
}

func (c *conversation) note(w dns.ResponseWriter, r *dns.Msg) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	what := w.LocalAddr().Network()
	switch cookie := cookieOf(r); {
	case len(cookie) == 16:
		what += " new"
	case strings.HasSuffix(cookie, given):
		what += " given"
	case cookie != "":
		what += " odd"
	}
	c.heard = append(c.heard, what)
	return len(c.heard)
}

func TestCookiesOfServers(t *testing.T) {
	bare := func(w dns.ResponseWriter, r *dns.Msg) { _ = w.WriteMsg(answer(r)) }
	full := func(w dns.ResponseWriter, r *dns.Msg) { _ = w.WriteMsg(giving(answer(r), cookieOf(r)[:16]+given)) }
	tcp := func(w dns.ResponseWriter) bool { return w.LocalAddr().Network() == "tcp" }
	for _, tt := range []struct {
		name   string
		handle func(n int, w dns.ResponseWriter, r *dns.Msg)
		asks   int
		heard  []string
	}{
		{"none given", func(_ int, w dns.ResponseWriter, r *dns.Msg) { bare(w, r) }, 3, []string{"udp new", "udp new", "udp new"}},
		{"given", func(_ int, w dns.ResponseWriter, r *dns.Msg) { full(w, r) }, 3, []string{"udp new", "udp given", "udp given"}},
		{"a forger is quicker", func(_ int, w dns.ResponseWriter, r *dns.Msg) {
			m := answer(r)
			m.Answer[0].(*dns.A).A = net.IPv4(203, 0, 113, 66)
			_ = w.WriteMsg(giving(m, "0000000000000000"+given))
			full(w, r)
		}, 2, []string{"udp new", "udp given"}},
		{"a forger without a cookie", func(n int, w dns.ResponseWriter, r *dns.Msg) {
			if n == 2 {
				m := answer(r)
				m.Answer[0].(*dns.A).A = net.IPv4(203, 0, 113, 66)
				_ = w.WriteMsg(m)
				return
			}
			full(w, r)
		}, 3, []string{"udp new", "udp given", "tcp given", "udp given"}},
		{"no longer given", func(n int, w dns.ResponseWriter, r *dns.Msg) {
			if n == 1 {
				full(w, r)
			} else {
				bare(w, r)
			}
		}, 3, []string{"udp new", "udp given", "tcp given", "udp new"}},
		{"another wanted", func(n int, w dns.ResponseWriter, r *dns.Msg) {
			if !strings.HasSuffix(cookieOf(r), given) {
				m := giving(new(dns.Msg).SetReply(r), cookieOf(r)[:16]+given)
				m.Rcode = dns.RcodeBadCookie
				_ = w.WriteMsg(m)
				return
			}
			full(w, r)
		}, 2, []string{"udp new", "udp given", "udp given"}},
		{"never content", func(_ int, w dns.ResponseWriter, r *dns.Msg) {
			if tcp(w) {
				full(w, r)
				return
			}
			m := giving(new(dns.Msg).SetReply(r), cookieOf(r)[:16]+given)
			m.Rcode = dns.RcodeBadCookie
			_ = w.WriteMsg(m)
		}, 1, []string{"udp new", "udp given", "tcp given"}},
		{"FORMERR for an option", func(_ int, w dns.ResponseWriter, r *dns.Msg) {
			if cookieOf(r) != "" {
				_ = w.WriteMsg(new(dns.Msg).SetRcode(r, dns.RcodeFormatError))
				return
			}
			bare(w, r)
		}, 2, []string{"udp new", "udp", "udp"}},
		{"silence for an option", func(_ int, w dns.ResponseWriter, r *dns.Msg) {
			if cookieOf(r) == "" {
				bare(w, r)
			}
		}, 2, []string{"udp new", "udp", "udp"}},
		{"a cookie of no length that is one", func(_ int, w dns.ResponseWriter, r *dns.Msg) {
			_ = w.WriteMsg(giving(answer(r), cookieOf(r)[:16]+"00"))
		}, 2, []string{"udp new", "udp new"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var c conversation
			f := plain(t, func(w dns.ResponseWriter, r *dns.Msg) { tt.handle(c.note(w, r), w, r) })
			p := pool(t, 500*time.Millisecond, udp(f.addr))
			for i := range tt.asks {
				m, err := exchange(p, context.Background(), ask(string(rune('a'+i))+".example."))
				if err != nil {
					t.Fatal(err)
				}
				if m.Rcode != dns.RcodeSuccess || len(m.Answer) != 1 || m.Answer[0].(*dns.A).A.Equal(net.IPv4(203, 0, 113, 66)) {
					t.Errorf("%d: %v", i, m)
				}
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			if !slices.Equal(c.heard, tt.heard) {
				t.Errorf("heard %q, want %q", c.heard, tt.heard)
			}
		})
	}
}

// Our part changes each day, and a server that never gives one is no longer told who asks.
func TestOurPartOfACookie(t *testing.T) {
	_, wq, err := wired(ask("a.example."))
	if err != nil {
		t.Fatal(err)
	}
	q := newQuestion(&wq)
	var c cookies
	day := time.Date(2026, time.September, 16, 12, 0, 0, 0, time.UTC)
	sent := func(at time.Time) string {
		msg := c.add(slices.Clone(q.msg), at)
		return cookieOf(parsed(t, msg))
	}
	first := sent(day)
	if again := sent(day.Add(23 * time.Hour)); len(first) != 16 || again != first {
		t.Errorf("%s after %s", again, first)
	}
	if next := sent(day.Add(24 * time.Hour)); len(next) != 16 || next == first {
		t.Errorf("%s after a day of %s", next, first)
	}
	for i := range mostBare + 1 {
		msg := c.add(slices.Clone(q.msg), day)
		if got, want := len(msg) > len(q.msg), i < mostBare; got != want {
			t.Fatalf("%d replies without one: sent %v", i, got)
		}
		if err := c.judge(q, packed(t, answer(parsed(t, q.msg))), msg); err != nil {
			t.Fatal(err)
		}
	}
}
