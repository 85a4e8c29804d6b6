package listen

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"schoolgate/resolver/query"
)

// flood enters as client until it is refused, and gives the jobs it got.
func flood(g *gate, client netip.Addr, st Standing) (jobs []*job) {
	for {
		j := g.enter(client, st)
		if j == nil {
			return jobs
		}
		jobs = append(jobs, j)
	}
}

func v4(i int) netip.Addr {
	return netip.AddrFrom4([4]byte{192, 0, 2 + byte(i>>8), byte(i)})
}

// v6 is host i in network n of the documentation's addresses.
func v6(n, i int) netip.Addr {
	a := netip.MustParseAddr("2001:db8::").As16()
	binary.BigEndian.PutUint16(a[6:], uint16(n))
	binary.BigEndian.PutUint32(a[12:], uint32(i))
	return netip.AddrFrom16(a)
}

func TestGateKeepsRoomForNewcomers(t *testing.T) {
	const most, perClient = 1024, 256
	tests := []struct {
		name     string
		flood    func(g *gate) []*job
		newcomer netip.Addr
		want     int // queries that the newcomer may have
	}{
		{"alone", func(*gate) []*job { return nil }, v4(999), perClient},
		{"one flooder", func(g *gate) []*job { return flood(g, v4(0), Ordinary) }, v4(999), perClient},
		{"two", floodFrom(2, v4), v4(999), crowdShare},
		{"three", floodFrom(3, v4), v4(999), crowdShare},
		{"as many as leave room", floodFrom(most/16-1, v4), v4(999), crowdShare},
		{"two IPv6 neighbours", floodFrom(2, func(i int) netip.Addr { return v6(1, i) }), v6(1, 999), crowdShare},
		{"one with addresses at will", floodFrom(5000, func(i int) netip.Addr { return v6(1, i) }), v6(2, 999), crowdShare},
		{"one with addresses at will, seen by IPv4", floodFrom(5000, func(i int) netip.Addr { return v6(1, i) }), v4(999), crowdShare},
		{"three networks with addresses at will", floodFrom(15000, func(i int) netip.Addr { return v6(i%3, i) }), v6(9, 9), crowdShare},
		{"a router said to be shared", func(g *gate) []*job { return flood(g, v4(0), Shared) }, v4(999), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var g gate
			g.init(most, perClient)
			jobs := tt.flood(&g)
			mine := flood(&g, tt.newcomer, Ordinary)
			if len(mine) != tt.want {
				t.Errorf("beside %d queries of others the newcomer got %d in, want %d", len(jobs), len(mine), tt.want)
			}
			for _, j := range append(jobs, mine...) {
				g.leave(j)
			}
			if g.inFlight != 0 || len(g.clients) != 0 || len(g.nets) != 0 {
				t.Errorf("left behind: %d in flight, clients %v, networks %v", g.inFlight, g.clients, g.nets)
			}
		})
	}
}

func floodFrom(n int, addr func(i int) netip.Addr) func(*gate) []*job {
	return func(g *gate) (jobs []*job) {
		for i := range n {
			jobs = append(jobs, flood(g, addr(i), Ordinary)...)
		}
		return jobs
	}
}

// Whoever floods goes on flooding: what one of its queries gives up is contended for anew.
func TestGateUnderLastingFlood(t *testing.T) {
	var g gate
	g.init(1024, 256)
	var held []*job
	for i := range 20_000 {
		for f := range 3 {
			held = append(held, flood(&g, v4(f), Ordinary)...)
		}
		j := g.enter(v4(999), Ordinary)
		if j == nil {
			t.Fatalf("query %d of the normal client was refused", i)
		}
		g.leave(held[0])
		held = held[1:]
		g.leave(j)
	}
}

// Floods of queries that hang must not keep a third client's from Resolve.
func TestFloodLeavesOthersTheirAnswers(t *testing.T) {
	for _, loop := range loops {
		t.Run(loop.name, func(t *testing.T) {
			a := newAnswerer()
			normal := netip.MustParseAddr("127.0.0.9")
			var handed atomic.Int64
			s, addr := serving(t, a, localhost, func(s *Server) {
				s.portable = loop.portable
				s.Limits = Limits{InFlight: 64, PerClient: 32}
				s.Resolve = func(ctx context.Context, q *query.Query, req, dst []byte) []byte {
					if q.Client.Addr == normal {
						handed.Add(1)
					}
					return a.resolve(ctx, q, req, dst)
				}
			})
			defer close(a.release)
			from := func(ip string) *client {
				c, err := net.DialUDP("udp4", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(ip+":0")), net.UDPAddrFromAddrPort(addr))
				if err != nil {
					t.Skipf("only one loopback address here: %v", err)
				}
				t.Cleanup(func() { c.Close() })
				c.SetDeadline(time.Now().Add(patience))
				return &client{t, c, false}
			}
			var sent uint64
			surge := func() {
				for _, ip := range []string{"127.0.0.2", "127.0.0.3", "127.0.0.4"} {
					c := from(ip)
					for i := range 60 {
						c.send(question(t, uint16(i), fmt.Sprintf("held.%d.example.", i)))
						sent++
					}
				}
			}
			surge()
			eventually(t, "the flood", func() bool {
				st := s.Stats()
				return uint64(st.InFlight)+st.Overloaded == sent
			})
			c := from(normal.String())
			for i := range 50 {
				c.send(question(t, uint16(i), "slow.example."))
				if m := c.receive(); m.Id != uint16(i) || m.Rcode != 0 {
					t.Fatalf("query %d: %v", i, m)
				}
			}
			if n := handed.Load(); n != 50 {
				t.Errorf("%d of 50 queries were handed to Resolve", n)
			}
			if n := s.Stats().InFlight; n < 32 {
				t.Errorf("only %d queries hang: no flood", n)
			}
		})
	}
}
