package listen

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"schoolgate/resolver/query"
	"schoolgate/resolver/wire"
)

func TestAnswers(t *testing.T) {
	big := func(m *dns.Msg) { m.SetEdns0(4096, false) }
	type fact struct {
		RCode  uint16
		Source query.Source
		Name   string
		Slow   bool // carried by lane 0 over UDP
	}
	tests := []struct {
		name    string
		req     []byte
		rcode   int
		answers [2]int // over UDP, over TCP
		cut     bool   // over UDP
		want    fact
	}{
		{"at once", question(t, 1, "Blocked.example."), 3, [2]int{}, false, fact{3, query.Policy, "blocked.example", false}},
		{"asked for", question(t, 2, "slow.example."), 0, [2]int{1, 1}, false, fact{0, query.Upstream, "slow.example", true}},
		{"too long", question(t, 3, "big.example."), 0, [2]int{0, 300}, true, fact{0, query.None, "big.example", false}},
		{"too long with EDNS", question(t, 4, "big.example.", big), 0, [2]int{0, 300}, true, fact{0, query.None, "big.example", false}},
		{"panic", question(t, 5, "panic.example."), 2, [2]int{}, false, fact{2, query.None, "panic.example", false}},
		{"panic in a mess", question(t, 6, "mess.example."), 2, [2]int{}, false, fact{2, query.None, "mess.example", false}},
		{"panic in Resolve", question(t, 7, "slowpanic.example."), 2, [2]int{}, false, fact{2, query.None, "slowpanic.example", true}},
		{"malformed", question(t, 8, "a.example.")[:20], 1, [2]int{}, false, fact{1, query.None, "", false}},
		{"transfer", question(t, 9, "a.example.", func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAXFR }), 5, [2]int{}, false, fact{5, query.None, "a.example", false}},
	}
	addrs := []netip.AddrPort{localhost, netip.MustParseAddrPort("[::1]:0"), netip.MustParseAddrPort("0.0.0.0:0"), netip.MustParseAddrPort("[::]:0")}
	for _, loop := range loops {
		for _, addr := range addrs {
			t.Run(loop.name+" "+addr.String(), func(t *testing.T) {
				a := newAnswerer()
				s, bound := serving(t, a, addr, func(s *Server) { s.portable = loop.portable })
				me := addr.Addr()
				if me.IsUnspecified() {
					me = map[bool]netip.Addr{true: netip.MustParseAddr("127.0.0.1"), false: netip.IPv6Loopback()}[me.Is4()]
				}
				to := netip.AddrPortFrom(me, bound.Port())
				for i, proto := range []string{"udp", "tcp"} {
					c := dial(t, proto, to)
					for k, tt := range tests {
						c.send(tt.req)
						m := c.receive()
						if m.Id != uint16(k+1) || m.Rcode != tt.rcode || len(m.Answer) != tt.answers[i] || m.Truncated != (tt.cut && i == 0) {
							t.Errorf("%s over %s: %v", tt.name, proto, m)
						}
						q := a.records(t, i*len(tests)+k+1)[i*len(tests)+k]
						if d := cmp.Diff(tt.want, fact{q.RCode, q.Source, string(q.Question.Name.Name()), tt.want.Slow}); d != "" {
							t.Errorf("%s over %s: %s", tt.name, proto, d)
						}
						if inLane := q.Lane >= 1 && q.Lane <= s.Lanes(); inLane != (i == 0 && !tt.want.Slow) {
							t.Errorf("%s over %s: lane %d of %d", tt.name, proto, q.Lane, s.Lanes())
						}
						if q.Proto.String() != proto || q.Client.Addr != me || q.Start.IsZero() || q.Duration < 0 {
							t.Errorf("%s over %s: %v %v %v %v", tt.name, proto, q.Proto, q.Client.Addr, q.Start, q.Duration)
						}
					}
				}
				if st := s.Stats(); st.Panics != 6 || st.Malformed != 4 || st.TCPQueries != 9 || st.SocketErrors != 0 {
					t.Errorf("%+v", st)
				}
			})
		}
	}
}

// A machine with several addresses must answer from the one that was asked, or the client throws the answer away.
func TestWildcardAnswersFromAskedAddress(t *testing.T) {
	for _, loop := range loops {
		t.Run(loop.name, func(t *testing.T) {
			_, bound := serving(t, newAnswerer(), netip.MustParseAddrPort("0.0.0.0:0"), func(s *Server) { s.portable = loop.portable })
			c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(patience))
			for i, name := range []string{"blocked.example.", "slow.example.", "blocked.example."} {
				asked := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, byte(2 + i)}), bound.Port())
				if _, err := c.WriteToUDPAddrPort(question(t, 1, name), asked); err != nil {
					t.Fatal(err)
				}
				_, from, err := c.ReadFromUDPAddrPort(make([]byte, 2000))
				if err != nil || from != asked {
					t.Errorf("%s asked at %v, answered from %v, %v", name, asked, from, err)
				}
			}
		})
	}
}

// Many packets are there before the loop starts, so it must take them in batches, keep them apart and answer each.
func TestBatches(t *testing.T) {
	for _, loop := range loops {
		t.Run(loop.name, func(t *testing.T) {
			const n = 100
			a := newAnswerer()
			s := listening(t, a, localhost, func(s *Server) { s.portable = loop.portable })
			c := dial(t, "udp", s.Bound()[0])
			for i := range uint16(n) {
				name := []string{"blocked.example.", "slow.example.", "silent.example.", "panic.example.", "big.example."}[i%5]
				c.send(question(t, i, name))
			}
			run(t, s)
			got := map[uint16]int{}
			for range n * 4 / 5 {
				m := c.receive()
				got[m.Id] = m.Rcode
			}
			for i := range uint16(n) {
				rcode, ok := got[i]
				if want := []int{3, 0, 0, 2, 0}[i%5]; ok != (i%5 != 2) || rcode != want {
					t.Errorf("answer %d: %d, %v", i, rcode, ok)
				}
			}
			facts := map[uint16]uint16{}
			for _, q := range a.records(t, n) {
				facts[q.Question.ID] = q.RCode
			}
			for i := range uint16(n) {
				if rcode, ok := facts[i]; !ok || int(rcode) != got[i] { // a silent one has 0 in both
					t.Errorf("record %d: %d, %v; sent %d", i, rcode, ok, got[i])
				}
			}
			var packets, batches, answers, deferred uint64
			for _, l := range s.Stats().Lanes {
				packets, batches, answers, deferred = packets+l.Packets, batches+l.Batches, answers+l.Answers, deferred+l.Deferred
				if l.Batched == loop.portable {
					t.Errorf("lane batched: %v", l.Batched)
				}
			}
			if packets != n || answers != n*3/5 || deferred != n/5 {
				t.Errorf("%d packets, %d answers, %d deferred", packets, answers, deferred)
			}
			if limit := uint64(n/4 + 1); !loop.portable && batches > limit {
				t.Errorf("%d packets took %d calls", packets, batches)
			}
		})
	}
}

func TestGarbage(t *testing.T) {
	for _, loop := range loops {
		t.Run(loop.name, func(t *testing.T) {
			s, addr := serving(t, newAnswerer(), localhost, func(s *Server) { s.portable = loop.portable })
			c := dial(t, "udp", addr)
			tooLong := append(question(t, 9, "blocked.example."), make([]byte, 3000)...)
			response := question(t, 8, "blocked.example.", func(m *dns.Msg) { m.Response = true })
			c.send([]byte{}, []byte{1}, make([]byte, 11), response, tooLong, question(t, 10, "blocked.example."))
			for _, want := range []struct {
				id        uint16
				rcode     int
				questions int
			}{{9, dns.RcodeFormatError, 0}, {10, dns.RcodeNameError, 1}} {
				if m := c.receive(); m.Id != want.id || m.Rcode != want.rcode || len(m.Question) != want.questions {
					t.Errorf("want %v, got %v", want, m)
				}
			}
			if st := s.Stats(); st.NotRequests != 4 || st.Malformed != 1 {
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestTooManyInFlight(t *testing.T) {
	for _, loop := range loops {
		t.Run(loop.name, func(t *testing.T) {
			a := newAnswerer()
			s, addr := serving(t, a, localhost, func(s *Server) {
				s.portable = loop.portable
				s.Limits = Limits{InFlight: 10, PerClient: 4}
				s.Standing = func(a netip.Addr) Standing {
					if a == netip.MustParseAddr("127.0.0.3") {
						return Shared
					}
					return Ordinary
				}
			})
			flood := func(from string, n int) *net.UDPConn {
				c, err := net.DialUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(from+":0")), net.UDPAddrFromAddrPort(addr))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { c.Close() })
				c.SetDeadline(time.Now().Add(patience))
				for i := range n {
					if _, err := c.Write(question(t, uint16(i), "held.example.")); err != nil {
						t.Fatal(err)
					}
				}
				return c
			}
			check := func(inFlight int, over uint64) {
				t.Helper()
				eventually(t, "the flood to be counted", func() bool {
					st := s.Stats()
					return st.InFlight == inFlight && st.Overloaded == over
				})
			}
			one := flood("127.0.0.1", 20)
			check(4, 16) // its own limit
			shared := flood("127.0.0.3", 10)
			check(10, 20) // no limit of its own, but that of all
			flood("127.0.0.4", 1)
			check(10, 21)

			c := &client{t, one, false} // what can be answered at once is still answered
			c.send(question(t, 99, "blocked.example."))
			if m := c.receive(); m.Id != 99 {
				t.Error(m)
			}
			overTCP := dial(t, "tcp", addr)
			overTCP.send(question(t, 98, "slow.example.", func(m *dns.Msg) { m.SetEdns0(1232, false) }))
			if m := overTCP.receive(); m.Rcode != dns.RcodeServerFailure || len(m.IsEdns0().Option) != 1 {
				t.Error(m)
			}
			close(a.release)
			for range 4 {
				c.receive()
			}
			for range 6 {
				(&client{t, shared, false}).receive()
			}
			check(0, 22)
			eventually(t, "nobody to be remembered, and the jobs to be kept", func() bool {
				s.gate.mu.Lock()
				defer s.gate.mu.Unlock()
				return len(s.gate.clients) == 0 && len(s.gate.nets) == 0 && len(s.gate.free) == 10
			})
		})
	}
}

// Identify may say that a client has another address than the packet; the limits count the packet's.
func TestLimitSurvivesIdentify(t *testing.T) {
	a := newAnswerer()
	s, addr := serving(t, a, localhost, func(s *Server) {
		s.Inline = func(q *query.Query, req, dst []byte) ([]byte, bool) {
			q.Client = query.Client{Addr: netip.MustParseAddr("192.0.2.55"), Device: "laptop"}
			return nil, false
		}
	})
	c := dial(t, "udp", addr)
	c.send(question(t, 1, "slow.example."))
	c.receive()
	if q := a.records(t, 1)[0]; q.Client.Device != "laptop" {
		t.Errorf("what Inline found was lost: %+v", q.Client)
	}
	eventually(t, "the query to leave", func() bool { return s.Stats().InFlight == 0 })
	if len(s.gate.clients) != 0 {
		t.Error(s.gate.clients)
	}
}

func TestDonePanics(t *testing.T) {
	for _, loop := range loops {
		t.Run(loop.name, func(t *testing.T) {
			s, addr := serving(t, newAnswerer(), localhost, func(s *Server) {
				s.portable = loop.portable
				s.Done = func(*query.Query) { panic("on purpose") }
			})
			c := dial(t, "udp", addr)
			for i, name := range []string{"blocked.example.", "slow.example.", "blocked.example."} {
				c.send(question(t, uint16(i), name))
				c.receive()
			}
			eventually(t, "three panics", func() bool { return s.Stats().Panics == 3 })
		})
	}
}

func TestNoDone(t *testing.T) {
	_, addr := serving(t, newAnswerer(), localhost, func(s *Server) { s.Done = nil })
	c := dial(t, "udp", addr)
	c.send(question(t, 1, "blocked.example."))
	if m := c.receive(); m.Rcode != int(wire.NXDomain) {
		t.Error(m)
	}
}
