package listen

import (
	"net"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// Answers overtake each other: a slow name does not hold up what was asked after it (RFC 7766 section 6.2.1.1).
func TestPipelining(t *testing.T) {
	a := newAnswerer()
	_, addr := serving(t, a, localhost, nil)
	c := dial(t, "tcp", addr)
	c.send(question(t, 1, "held.example."), question(t, 2, "blocked.example."), question(t, 3, "slow.example."))
	got := map[uint16]bool{c.receive().Id: true, c.receive().Id: true}
	if !got[2] || !got[3] {
		t.Errorf("came first: %v", got)
	}
	close(a.release)
	if m := c.receive(); m.Id != 1 {
		t.Error(m)
	}
}

func TestBytesOneByOne(t *testing.T) {
	_, addr := serving(t, newAnswerer(), localhost, nil)
	c := dial(t, "tcp", addr)
	req := question(t, 7, "blocked.example.")
	for _, b := range append([]byte{0, byte(len(req))}, req...) {
		if _, err := c.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	if m := c.receive(); m.Id != 7 {
		t.Error(m)
	}
}

// A connection with its fill of waiting queries is read no further, and goes on when answers come.
func TestConnInFlight(t *testing.T) {
	a := newAnswerer()
	s, addr := serving(t, a, localhost, func(s *Server) { s.Limits.ConnInFlight = 2 })
	c := dial(t, "tcp", addr)
	for i := range uint16(5) {
		c.send(question(t, i, "held.example."))
	}
	c.send(question(t, 5, "blocked.example."))
	eventually(t, "the third to be read", func() bool { return s.Stats().TCPQueries == 3 })
	close(a.release)
	seen := map[uint16]bool{}
	for range 6 {
		seen[c.receive().Id] = true
	}
	if len(seen) != 6 {
		t.Errorf("answered %v", seen)
	}
}

func TestSlowReaders(t *testing.T) {
	tests := []struct {
		name string
		send []byte
	}{
		{"nothing", nil},
		{"half a length", []byte{0}},
		{"half a request", append([]byte{0, 40}, make([]byte, 20)...)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, addr := serving(t, newAnswerer(), localhost, func(s *Server) { s.Limits.Idle = 20 * time.Millisecond })
			c := dial(t, "tcp", addr)
			c.Write(tt.send)
			c.closed()
			eventually(t, "the connection to be gone", func() bool { return s.Stats().TCPOpen == 0 })
		})
	}
}

func TestBadStreams(t *testing.T) {
	tests := []struct {
		name string
		send []byte
	}{
		{"too long", []byte{0xff, 0xff, 1, 2, 3}},
		{"less than a header", []byte{0, 3, 1, 2, 3}},
		{"a response", append([]byte{0, 33}, question(t, 1, "blocked.example.", func(m *dns.Msg) { m.Response = true })...)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, addr := serving(t, newAnswerer(), localhost, nil)
			c := dial(t, "tcp", addr)
			c.Write(tt.send)
			c.closed()
			if n := s.Stats().NotRequests; n != 1 {
				t.Errorf("%d counted", n)
			}
		})
	}
}

// A client that asks and never reads is cut off by the deadline for writing.
func TestClientThatNeverReads(t *testing.T) {
	s, addr := serving(t, newAnswerer(), localhost, func(s *Server) { s.Limits.Write = 20 * time.Millisecond })
	c := dial(t, "tcp", addr)
	c.Conn.(*net.TCPConn).SetReadBuffer(4096)
	req := question(t, 1, "big.example.")
	req = append([]byte{0, byte(len(req))}, req...)
	for {
		if _, err := c.Write(req); err != nil {
			break
		}
		if s.Stats().SocketErrors > 0 {
			break
		}
	}
	eventually(t, "the connection to be gone", func() bool { return s.Stats().TCPOpen == 0 && s.Stats().SocketErrors == 1 })
}

// A client may close its half when it has asked; the answers still come, then the end.
func TestHalfClose(t *testing.T) {
	a := newAnswerer()
	s, addr := serving(t, a, localhost, nil)
	c := dial(t, "tcp", addr)
	c.send(question(t, 1, "held.example."), question(t, 2, "held.example."))
	c.Conn.(*net.TCPConn).CloseWrite()
	eventually(t, "both to wait", func() bool { return s.Stats().InFlight == 2 })
	close(a.release)
	c.receive()
	c.receive()
	c.closed()
}

// Of one client's connections only so many are taken; when all are taken, a newcomer ends that which has been of no use for
// longest, of the client that has most.
func TestTooManyConnections(t *testing.T) {
	s, addr := serving(t, newAnswerer(), localhost, func(s *Server) { s.Limits = Limits{Sessions: 4, SessionsPerClient: 3} })
	ask := func(from string) *client {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		nc, err := d.Dial("tcp4", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		nc.SetDeadline(time.Now().Add(patience))
		c := &client{t, nc, true}
		return c
	}
	served := func(c *client) {
		t.Helper()
		c.send(question(t, 1, "blocked.example."))
		c.receive()
	}
	first, second := ask("127.0.0.1"), ask("127.0.0.1")
	served(first)
	served(second)
	served(first) // so the second has been idle for longer
	third := ask("127.0.0.1")
	served(third)
	ask("127.0.0.1").closed() // its own limit
	other := ask("127.0.0.2")
	served(other)
	newcomer := ask("127.0.0.3") // that of all
	served(newcomer)
	second.closed()
	served(first)
	served(third)
	served(other)
	if st := s.Stats(); st.TCPAccepted != 6 || st.TCPRefused != 1 || st.TCPEnded != 1 || st.TCPOpen != 4 {
		t.Errorf("%+v", st)
	}
}
