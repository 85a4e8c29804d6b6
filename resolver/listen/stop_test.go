package listen

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"schoolgate/resolver/query"
	"schoolgate/resolver/wire"
)

// What is in flight when the server is told to stop is still answered.
func TestStopDrains(t *testing.T) {
	for _, loop := range loops {
		for _, proto := range []string{"udp", "tcp"} {
			t.Run(loop.name+" "+proto, func(t *testing.T) {
				a := newAnswerer()
				s := listening(t, a, localhost, func(s *Server) { s.portable, s.Limits.Drain = loop.portable, patience })
				addr := s.Bound()[0]
				stop := run(t, s)
				c := dial(t, proto, addr)
				c.send(question(t, 1, "held.example."))
				eventually(t, "the query to wait", func() bool { return s.Stats().InFlight == 1 })
				ended := make(chan error, 1)
				go func() { ended <- stop() }()
				eventually(t, "no more connections", func() bool { // the listener closes once reading stops
					nc, err := net.Dial("tcp", addr.String())
					if err == nil {
						nc.Close()
					}
					return err != nil
				})
				close(a.release)
				if m := c.receive(); m.Id != 1 || len(m.Answer) != 1 {
					t.Error(m)
				}
				if err := <-ended; err != nil {
					t.Error(err)
				}
				a.records(t, 1)
			})
		}
	}
}

// After the time to drain the context of what is left ends, and it says SERVFAIL.
func TestStopEndsWhatIsLeft(t *testing.T) {
	for _, proto := range []string{"udp", "tcp"} {
		t.Run(proto, func(t *testing.T) {
			a := newAnswerer()
			s := listening(t, a, localhost, func(s *Server) { s.Limits.Drain = 20 * time.Millisecond })
			stop := run(t, s)
			c := dial(t, proto, s.Bound()[0])
			c.send(question(t, 1, "held.example."))
			eventually(t, "the query to wait", func() bool { return s.Stats().InFlight == 1 })
			if err := stop(); err != nil {
				t.Error(err)
			}
			if q := a.records(t, 1)[0]; q.RCode != wire.ServFail {
				t.Errorf("%+v", q)
			}
		})
	}
}

func TestStopWithoutMercy(t *testing.T) {
	a, stuck := newAnswerer(), make(chan struct{})
	s := listening(t, a, localhost, func(s *Server) {
		s.Limits.Drain = 10 * time.Millisecond
		s.Resolve = func(context.Context, *query.Query, []byte, []byte) []byte { <-stuck; return nil }
	})
	c := dial(t, "udp", s.Bound()[0])
	c.send(question(t, 1, "slow.example."))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	eventually(t, "the query to wait", func() bool { return s.Stats().InFlight == 1 })
	cancel()
	if err := <-ended; !errors.Is(err, ErrDrain) {
		t.Errorf("Run: %v", err)
	}
	close(stuck)
	s.jobs.Wait()
}

func TestStopWhenIdle(t *testing.T) {
	s := listening(t, newAnswerer(), localhost, nil)
	stop := run(t, s)
	c := dial(t, "tcp", s.Bound()[0])
	c.send(question(t, 1, "blocked.example."))
	c.receive()
	if err := stop(); err != nil {
		t.Error(err)
	}
	c.closed()
}

func TestListenErrors(t *testing.T) {
	first := listening(t, newAnswerer(), localhost, nil)
	taken := first.Bound()[0]
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	tests := []struct {
		name string
		addr netip.AddrPort
		want error
		hint string
	}{
		{"a second copy", taken, syscall.EADDRINUSE, "another program"},
		{"UDP taken", udp.LocalAddr().(*net.UDPAddr).AddrPort(), syscall.EADDRINUSE, "another program"},
		{"no such address", netip.MustParseAddrPort("192.0.2.1:0"), syscall.EADDRNOTAVAIL, "no interface"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := newAnswerer()
			s := &Server{Addrs: []netip.AddrPort{localhost, tt.addr}, Inline: a.inline, Resolve: a.resolve}
			err := s.Listen()
			var bind *BindError
			if !errors.As(err, &bind) || !errors.Is(err, tt.want) || !strings.Contains(bind.Hint(), tt.hint) {
				t.Fatalf("%v", err)
			}
			if want := "listening on " + tt.addr.String() + ": "; !strings.HasPrefix(err.Error(), want) || strings.Count(err.Error(), tt.addr.String()) != 1 {
				t.Errorf("text: %v", err)
			}
			if len(s.Bound()) != 0 || s.Lanes() != 0 {
				t.Error("something stayed bound")
			}
			if err := s.Run(t.Context()); err == nil {
				t.Error("Run without sockets")
			}
		})
	}
	if (&BindError{Err: syscall.EACCES}).Hint() == "" || (&BindError{Err: syscall.EIO}).Hint() != "" {
		t.Error("hints")
	}
	if err := (&Server{}).Listen(); err == nil {
		t.Error("listened on nothing")
	}
}

func TestSeveralAddresses(t *testing.T) {
	a := newAnswerer()
	s := &Server{Addrs: []netip.AddrPort{localhost, netip.MustParseAddrPort("127.0.0.2:0")}, Inline: a.inline, Resolve: a.resolve, Done: a.record}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	run(t, s)
	if s.Lanes() != 2*min(runtime.GOMAXPROCS(0), MaxPerAddr) || len(s.Stats().Lanes) != s.Lanes() {
		t.Errorf("%d lanes for two addresses", s.Lanes())
	}
	for i, addr := range s.Bound() {
		if addr.Addr() != s.Addrs[i].Addr() || addr.Port() == 0 {
			t.Errorf("bound %v for %v", addr, s.Addrs[i])
		}
		c := dial(t, "udp", addr)
		c.send(question(t, 1, "blocked.example."))
		c.receive()
		q := a.records(t, i+1)[i]
		if s.Stats().Lanes[q.Lane-1].Addr != addr {
			t.Errorf("asked at %v, carried by lane %d", addr, q.Lane)
		}
	}
}
