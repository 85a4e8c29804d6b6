package listen

import (
	"net/netip"
	"runtime"
	"testing"

	"schoolgate/resolver/query"
)

// allocations counts them per question that is asked and answered inline, in the whole process.
func allocations(t *testing.T, addr netip.AddrPort) float64 {
	t.Helper()
	const n = 2000
	c := dial(t, "udp", addr)
	req, buf := question(t, 1, "blocked.example."), make([]byte, 2000)
	ask := func(n int) {
		for range n {
			if _, err := c.Write(req); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Read(buf); err != nil {
				t.Fatal(err)
			}
		}
	}
	ask(100)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	ask(n)
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / n
}

// A question that is answered inline allocates nothing; what little the process does beside it is below one in ten.
func TestAllocations(t *testing.T) {
	for _, loop := range loops {
		for _, addr := range []netip.AddrPort{localhost, netip.MustParseAddrPort("0.0.0.0:0")} {
			if loop.portable && addr != localhost {
				continue // parsing control messages allocates there, and may
			}
			t.Run(loop.name+" "+addr.String(), func(t *testing.T) {
				_, bound := serving(t, newAnswerer(), addr, func(s *Server) {
					s.portable = loop.portable
					s.Done = func(*query.Query) {}
				})
				if got := allocations(t, netip.AddrPortFrom(localhost.Addr(), bound.Port())); got > 0.1 {
					t.Errorf("%.2f allocations per question", got)
				}
			})
		}
	}
	t.Run("the measure sees one", func(t *testing.T) {
		var sink []byte
		_, bound := serving(t, newAnswerer(), localhost, func(s *Server) {
			s.Done = func(*query.Query) { sink = make([]byte, 100) }
		})
		if got := allocations(t, bound); got < 0.9 {
			t.Errorf("%.2f allocations per question were seen, of one made (%d)", got, len(sink))
		}
	})
}
