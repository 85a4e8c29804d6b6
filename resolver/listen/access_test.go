package listen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"schoolgate/resolver/query"
	"schoolgate/resolver/wire"
)

func TestStanding(t *testing.T) {
	own := []netip.Prefix{netip.MustParsePrefix("203.0.113.0/26"), netip.MustParsePrefix("2001:db8:5::/64")}
	a := &Access{Own: func() ([]netip.Prefix, error) { return own, nil }}
	check := func(when string, want map[string]Standing) {
		t.Helper()
		for addr, st := range want {
			if got := a.Standing(netip.MustParseAddr(addr)); got != st {
				t.Errorf("%s: %s is %d, want %d", when, addr, got, st)
			}
		}
	}
	check("at first", map[string]Standing{"127.0.0.1": Local, "::1": Local, "10.0.0.1": Outside})
	a.Set(Private(), true, nil)
	if err := a.Refresh(); err != nil {
		t.Fatal(err)
	}
	check("by default", map[string]Standing{
		"10.1.2.3": Ordinary, "172.16.0.1": Ordinary, "172.31.255.255": Ordinary, "172.32.0.1": Outside, "192.168.9.9": Ordinary,
		"169.254.1.1": Ordinary, "100.64.0.1": Ordinary, "100.128.0.1": Outside, "fd00::1": Ordinary, "fe80::1": Ordinary,
		"203.0.113.63": Ordinary, "203.0.113.64": Outside, "2001:db8:5::99": Ordinary, "2001:db8:5:1::99": Outside,
		"192.0.2.1": Outside, "8.8.8.8": Outside, "2001:db8::1": Outside, "127.9.9.9": Local,
	})
	own = []netip.Prefix{netip.MustParsePrefix("2001:db8:6::/64")} // the provider gave another prefix
	if err := a.Refresh(); err != nil {
		t.Fatal(err)
	}
	check("after a change", map[string]Standing{"2001:db8:6::1": Ordinary, "2001:db8:5::99": Outside, "203.0.113.1": Outside})
	a.Set([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/25")}, false, []netip.Addr{netip.MustParseAddr("198.51.100.1")})
	check("configured", map[string]Standing{
		"192.0.2.127": Ordinary, "192.0.2.128": Outside, "10.1.2.3": Outside, "2001:db8:6::1": Outside, "198.51.100.1": Shared, "127.0.0.1": Local,
	})
}

// This machine's networks are looked at again and again, and those known before stay when that does not work.
func TestAccessRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		own, failing := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, error(nil)
		change := func(p string, err error) {
			mu.Lock()
			defer mu.Unlock()
			own, failing = []netip.Prefix{netip.MustParsePrefix(p)}, err
		}
		var log bytes.Buffer
		a := &Access{Log: slog.New(slog.NewTextHandler(&log, nil)), Own: func() ([]netip.Prefix, error) {
			mu.Lock()
			defer mu.Unlock()
			return own, failing
		}}
		a.Set(nil, true, nil)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- a.Run(ctx) }()
		after := func(addr string, want Standing) {
			t.Helper()
			time.Sleep(lookEvery + 1) //nolint:forbidigo // of the test's own time
			synctest.Wait()
			if got := a.Standing(netip.MustParseAddr(addr)); got != want {
				t.Errorf("%s is %d, want %d", addr, got, want)
			}
		}
		after("192.0.2.1", Ordinary)
		change("198.51.100.0/24", nil)
		after("198.51.100.1", Ordinary)
		after("192.0.2.1", Outside)
		change("203.0.113.0/24", errors.New("no such luck"))
		after("198.51.100.1", Ordinary)
		after("198.51.100.1", Ordinary)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if n := strings.Count(log.String(), "no such luck"); n != 1 {
			t.Errorf("the failure was logged %d times", n)
		}
	})
}

func TestOnLink(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.7/24": "192.0.2.0/24", "100.64.0.5/32": "100.64.0.5/32", "2001:db8::7/64": "2001:db8::/64",
		"2001:db8::7/128": "2001:db8::/64", "2001:db8::7/48": "2001:db8::/48", "127.0.0.1/8": "", "::1/128": "", "192.0.2.1/0": "",
	} {
		ip, n, err := net.ParseCIDR(in)
		if err != nil {
			t.Fatal(err)
		}
		n.IP = ip
		got := ""
		if p, ok := onLink(n); ok {
			got = p.String()
		}
		if got != want {
			t.Errorf("%s is %q, want %q", in, got, want)
		}
	}
	if _, err := Interfaces(); err != nil {
		t.Error(err)
	}
}

// Nobody outside gets data, over any transport; a refusal with its reason now and then, and the log says once which network it was.
func TestOutsiders(t *testing.T) {
	for _, loop := range loops {
		t.Run(loop.name, func(t *testing.T) {
			outside := netip.MustParsePrefix("127.0.5.0/24")
			a := newAnswerer()
			var log safeBuffer
			s, addr := serving(t, a, localhost, func(s *Server) {
				s.portable = loop.portable
				s.Log = slog.New(slog.NewTextHandler(&log, nil))
				s.Standing = func(a netip.Addr) Standing {
					if outside.Contains(a) {
						return Outside
					}
					return Ordinary
				}
			})
			from := func(ip, network string) net.Conn {
				d := net.Dialer{LocalAddr: map[string]net.Addr{"udp": &net.UDPAddr{IP: net.ParseIP(ip)}, "tcp": &net.TCPAddr{IP: net.ParseIP(ip)}}[network]}
				c, err := d.Dial(network, addr.String())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { c.Close() })
				c.SetDeadline(time.Now().Add(patience))
				return c
			}
			c := &client{t, from("127.0.5.1", "udp"), false}
			c.send(question(t, 1, "slow.example.", bringing()))
			m := c.receive()
			if m.Rcode != dns.RcodeRefused || len(m.IsEdns0().Option) != 1 || m.IsEdns0().Option[0].(*dns.EDNS0_EDE).InfoCode != wire.EDEProhibited {
				t.Errorf("%v", m)
			}
			const n = 1000
			for i := range n {
				c.send(question(t, uint16(i), "blocked.example.")) // most of them will see nothing
			}
			eventually(t, "all to be seen", func() bool { return s.Stats().Outside.Questions == n+1 })
			(&client{t, from("127.0.5.9", "tcp"), true}).closed()
			st := s.Stats()
			if st.Outside.Connections != 1 || len(st.Outside.Networks) != 1 || st.Outside.Networks[0] != outside || st.TCPQueries != 0 {
				t.Errorf("%+v", st)
			}
			inside := dial(t, "udp", addr)
			inside.send(question(t, 1, "blocked.example."))
			inside.receive()
			if q := a.records(t, 1); len(q) != 1 {
				t.Errorf("%d recorded", len(q))
			}
			eventually(t, "the log", func() bool { return strings.Contains(log.String(), "network="+outside.String()) })
			if n := strings.Count(log.String(), "not answered"); n != 1 {
				t.Errorf("logged %d times: %s", n, log.String())
			}
		})
	}
}

// A network that is no longer answered gets no more data over connections that it has.
func TestNetworkLeaves(t *testing.T) {
	var left atomic.Bool
	_, addr := serving(t, newAnswerer(), localhost, func(s *Server) {
		s.Standing = func(netip.Addr) Standing { return map[bool]Standing{true: Outside}[left.Load()] }
	})
	c := dial(t, "tcp", addr)
	for _, want := range []int{dns.RcodeNameError, dns.RcodeRefused} {
		c.send(question(t, 1, "blocked.example.", bringing()))
		if m := c.receive(); m.Rcode != want {
			t.Errorf("want %d, got %v", want, m)
		}
		left.Store(true)
	}
}

// What those outside get is bounded for each network and for all.
func TestRefusalsAreFew(t *testing.T) {
	w := newStreet(t, Rates{}, newAnswerer().inline)
	w.Standing = func(netip.Addr) Standing { return Outside }
	req := question(t, 1, "blocked.example.", bringing())
	one, all := 0, 0
	for i := range 10_000 {
		w.now = w.now.Add(time.Millisecond)
		if w.send(v4(1), req) != nil {
			one++
		}
		if w.send(netip.AddrFrom4([4]byte{203, byte(i >> 8), byte(i), 1}), req) != nil {
			all++
		}
	}
	if most := refusalsEach * 16; one > most || one < 5 {
		t.Errorf("one network got %d refusals in ten seconds", one)
	}
	if most := refusalsAll * 16; one+all > most || all < most/2 {
		t.Errorf("all got %d refusals in ten seconds", all)
	}
	if n := len(w.Stats().Outside.Networks); n != MaxStrangers {
		t.Errorf("%d networks are remembered", n)
	}
	w.now = w.now.Add(2 * strangerLife)
	w.send(v4(1), req)
	if n := w.Stats().Outside.Networks; len(n) != 1 {
		t.Errorf("after two hours: %v", n)
	}
	for _, garbage := range [][]byte{nil, make([]byte, 11), {0, 1, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0}} {
		w.now = w.now.Add(time.Minute)
		if resp := w.send(v4(1), garbage); resp != nil {
			t.Errorf("%x was answered %x", garbage, resp)
		}
	}
	w.now = w.now.Add(time.Minute)
	if resp := w.send(v4(1), req[:20]); len(resp) > 2*20 {
		t.Errorf("%d bytes for 20", len(resp))
	}
}

// safeBuffer is a log that may be read while it is written.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func BenchmarkArrived(b *testing.B) {
	for _, on := range []bool{false, true} {
		b.Run(fmt.Sprint("limits ", on), func(b *testing.B) {
			r := Rates{}
			if on {
				r = Rates{Client: 1e6, Network: 1e6, Answers: 1e6, Spare: 1 << 30}
			}
			w := newStreet(b, r, sized(100))
			if on {
				a := new(Access)
				a.Set(Private(), true, nil)
				w.Standing = a.Standing
			}
			var q query.Query
			buf := make([]byte, replyRoom)
			req := question(b, 1, "www.school.example.", bringing())
			for i := range b.N {
				w.now = w.now.Add(10 * time.Microsecond)
				from := netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
				begin(&q, w.now, 1, query.UDP, from)
				st := w.standing(from)
				resp, _ := w.arrived(&q, st, req, buf[:0])
				w.forUDP(&q, from, st, req, resp)
			}
		})
	}
}
