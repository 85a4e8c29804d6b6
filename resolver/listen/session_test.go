package listen

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// holders is a table and who was ended in it.
type holders struct {
	sessions
	ended []netip.Addr
}

func newHolders(most, perClient int) *holders {
	h := new(holders)
	h.init(most, perClient, 1024)
	return h
}

func (h *holders) come(client netip.Addr, st Standing) *session {
	return h.add(client, st, func() {}, func() { h.ended = append(h.ended, client) })
}

func TestWhoIsEndedForANewcomer(t *testing.T) {
	const most = 8
	tests := []struct {
		name string
		fill func(h *holders)
		want netip.Addr
	}{
		{"who has most", func(h *holders) {
			h.come(v4(1), Ordinary)
			for i := range 7 {
				h.come(v4(2+i/4), Ordinary) // four and three
			}
		}, v4(2)},
		{"who waits longest, of equals", func(h *holders) {
			for i := range most {
				h.come(v4(i), Ordinary).since.Store(int64(100 - i))
			}
		}, v4(7)},
		{"who asks nothing, of equals", func(h *holders) {
			for i := range most {
				if s := h.come(v4(i), Ordinary); i != 3 {
					s.began()
				}
			}
		}, v4(3)},
		{"one of a /64 with addresses at will", func(h *holders) {
			for i := range most {
				if i < 3 {
					h.come(v4(1), Ordinary).since.Store(1)
				} else {
					h.come(v6(1, i), Ordinary).since.Store(int64(10 + i))
				}
			}
		}, v6(1, 3)},
		{"not a router that many stand behind", func(h *holders) {
			for i := range most {
				if i < 6 {
					h.come(v4(1), Shared)
				} else {
					h.come(v4(2), Ordinary)
				}
			}
		}, v4(2)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHolders(most, most)
			tt.fill(h)
			if len(h.ended) > 0 {
				t.Fatalf("ended before there were too many: %v", h.ended)
			}
			if h.come(v4(99), Ordinary) == nil {
				t.Fatal("the newcomer was turned away")
			}
			if d := cmp.Diff([]netip.Addr{tt.want}, h.ended, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
				t.Error(d)
			}
			if open, evicted := h.counts(); open != most || evicted != 1 {
				t.Errorf("%d open, %d evicted", open, evicted)
			}
		})
	}
}

// However sessions come and go, there are never more than may be, nobody has more than its share, and the counts by client
// and network are those of what is open.
func TestSessionCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHolders(rapid.IntRange(1, 6).Draw(t, "most"), rapid.IntRange(1, 4).Draw(t, "per client"))
		var all []*session
		for range rapid.IntRange(0, 40).Draw(t, "steps") {
			if len(all) > 0 && rapid.Bool().Draw(t, "goes") {
				all[rapid.IntRange(0, len(all)-1).Draw(t, "which")].close() // perhaps again
				continue
			}
			client := v4(rapid.IntRange(0, 3).Draw(t, "client"))
			if rapid.Bool().Draw(t, "IPv6") {
				client = v6(rapid.IntRange(0, 1).Draw(t, "net"), rapid.IntRange(0, 2).Draw(t, "host"))
			}
			if s := h.come(client, rapid.SampledFrom([]Standing{Ordinary, Shared, Local}).Draw(t, "standing")); s != nil {
				all = append(all, s)
			}
			clients, nets := map[netip.Addr]int{}, map[netip.Addr]int{}
			for s := range h.open {
				clients[s.client]++
				if s.net.IsValid() {
					nets[s.net]++
				}
			}
			if len(h.open) > h.most || !cmp.Equal(clients, h.clients, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })) {
				t.Fatalf("%d open of %d, counted %v, are %v", len(h.open), h.most, h.clients, clients)
			}
			if len(nets) != len(h.nets) {
				t.Fatalf("networks counted %v, are %v", h.nets, nets)
			}
		}
	})
}

func TestPatience(t *testing.T) {
	h := newHolders(4, 4)
	for i, want := range []time.Duration{8, 8, 8, 2, 2} {
		if got := h.patience(8); got != want {
			t.Errorf("with %d open: %d, want %d", i, got, want)
		}
		h.come(v4(i), Ordinary)
	}
}

// Clients that open connections and never send a whole request keep nobody out.
func TestSlowLoris(t *testing.T) {
	s, addr := serving(t, newAnswerer(), localhost, func(s *Server) { s.Limits = Limits{Sessions: 16, SessionsPerClient: 8} })
	var held []net.Conn
	for i := range 64 {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%4))}}
		nc, err := d.Dial("tcp4", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if _, err := nc.Write([]byte{0, 40, 1, 2, 3}); err != nil {
			t.Logf("cut off while writing: %v", err) // which is as good
		}
		held = append(held, nc)
		good := dial(t, "tcp", addr)
		good.send(question(t, uint16(i), "blocked.example."))
		if m := good.receive(); int(m.Id) != i {
			t.Error(m)
		}
		good.Close()
	}
	if st := s.Stats(); st.TCPEnded == 0 || st.TCPOpen > 16 {
		t.Errorf("of %d that hold on: %+v", len(held), st)
	}
}

// A byte now and then buys no time: a request is to be whole within the limit.
func TestTrickle(t *testing.T) {
	s, addr := serving(t, newAnswerer(), localhost, func(s *Server) { s.Limits.Idle = 50 * time.Millisecond })
	c := dial(t, "tcp", addr)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	sent := 0
	for ; ; sent++ {
		<-tick.C
		if _, err := c.Write([]byte{0x0f}); err != nil {
			break
		}
		if s.Stats().TCPOpen == 0 && sent > 0 {
			break
		}
		if sent > 2000 {
			t.Fatal("the connection stays open")
		}
	}
}
