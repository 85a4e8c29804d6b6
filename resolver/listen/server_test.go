package listen

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"schoolgate/resolver/query"
	"schoolgate/resolver/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var localhost = netip.MustParseAddrPort("127.0.0.1:0")

// patience is how long a test waits for what must happen; it is no measure of speed.
const patience = 10 * time.Second

// loops are the two ways to serve UDP; everything that clients can see holds for both.
var loops = []struct {
	name     string
	portable bool
}{{"batches", false}, {"singly", true}}

// answerer answers by the first label of the name: "slow" and "held" in Resolve, "panic", "mess" and "slowpanic" by panicking,
// "silent" not at all, "big" with a reply over 4 KB, and all others at once.
type answerer struct {
	release chan struct{} // "held" waits for it to be closed, or for the end of its context

	mu   sync.Mutex
	done []query.Query
}

func newAnswerer() *answerer { return &answerer{release: make(chan struct{})} }

func (a *answerer) inline(q *query.Query, req, dst []byte) ([]byte, bool) {
	switch string(q.Question.Name.Label(0)) {
	case "slow", "held", "slowpanic":
		return nil, false
	case "panic":
		panic("on purpose")
	case "mess": // what it leaves behind must not break the answer
		q.Question = wire.Question{End: 1 << 20}
		q.Question.Name.Label(5)[100] = 0
	case "silent":
		return nil, true
	case "big":
		body := []byte{}
		for range 300 {
			body = wire.AppendAddr(body, netip.MustParseAddr("192.0.2.1"), 60)
		}
		return wire.AppendReply(dst, req, &q.Question, wire.Header{Answers: 300}, body, wire.EDE{}), true
	}
	q.Source = query.Policy
	return wire.AppendBlocked(dst, req, &q.Question, wire.Blocked{TTL: 60}, wire.EDE{}), true
}

func (a *answerer) resolve(ctx context.Context, q *query.Query, req, dst []byte) []byte {
	switch string(q.Question.Name.Label(0)) {
	case "slowpanic":
		var none []int
		_ = none[len(req)]
	case "held":
		select {
		case <-a.release:
		case <-ctx.Done():
			return wire.AppendError(dst, req, &q.Question, wire.ServFail, wire.EDE{})
		}
	}
	q.Source = query.Upstream
	body := wire.AppendAddr(nil, netip.MustParseAddr("192.0.2.9"), 60)
	return wire.AppendReply(dst, req, &q.Question, wire.Header{Answers: 1}, body, wire.EDE{})
}

func (a *answerer) record(q *query.Query) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.done = append(a.done, *q)
}

// records waits for n calls of Done.
func (a *answerer) records(t testing.TB, n int) []query.Query {
	t.Helper()
	var out []query.Query
	eventually(t, "enough records", func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		out = append([]query.Query(nil), a.done...)
		return len(out) >= n
	})
	return out
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.After(patience); !ok(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("still waiting for: %s", what)
		}
	}
}

// listening gives a server that listens and does not run yet.
func listening(t testing.TB, a *answerer, addr netip.AddrPort, edit func(*Server)) *Server {
	t.Helper()
	s := &Server{Addrs: []netip.AddrPort{addr}, Inline: a.inline, Resolve: a.resolve, Done: a.record}
	if edit != nil {
		edit(s)
	}
	if err := s.Listen(); err != nil {
		if addr.Addr().Is6() {
			t.Skipf("no IPv6 here: %v", err)
		}
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// run runs a server until stop is called, or the test ends; stop gives what Run returned.
func run(t testing.TB, s *Server) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(patience):
			return errors.New("Run did not end")
		}
	})
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return stop
}

func serving(t testing.TB, a *answerer, addr netip.AddrPort, edit func(*Server)) (*Server, netip.AddrPort) {
	t.Helper()
	s := listening(t, a, addr, edit)
	run(t, s)
	return s, s.Bound()[0]
}

// question packs a question with an id.
func question(t testing.TB, id uint16, name string, edit ...func(*dns.Msg)) []byte {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(name, dns.TypeA)
	m.Id = id
	for _, e := range edit {
		e(m)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// client is one end of a UDP or TCP conversation.
type client struct {
	t testing.TB
	net.Conn
	tcp bool
}

func dial(t testing.TB, proto string, addr netip.AddrPort) *client {
	t.Helper()
	c, err := net.Dial(proto, addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return &client{t, c, strings.HasPrefix(proto, "tcp")}
}

func (c *client) send(msgs ...[]byte) {
	c.t.Helper()
	var stream []byte
	for _, m := range msgs {
		if c.tcp {
			stream = binary.BigEndian.AppendUint16(stream, uint16(len(m)))
			stream = append(stream, m...)
		} else if _, err := c.Write(m); err != nil {
			c.t.Fatal(err)
		}
	}
	if c.tcp {
		if _, err := c.Write(stream); err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *client) receive() *dns.Msg {
	c.t.Helper()
	buf := make([]byte, 65536)
	var n int
	var err error
	if c.tcp {
		if _, err = io.ReadFull(c, buf[:2]); err == nil {
			n, err = io.ReadFull(c, buf[:binary.BigEndian.Uint16(buf)])
		}
	} else {
		n, err = c.Read(buf)
	}
	if err != nil {
		c.t.Fatalf("no answer: %v", err)
	}
	m := new(dns.Msg)
	if err := m.Unpack(buf[:n]); err != nil {
		c.t.Fatal(err)
	}
	return m
}

// closed waits for the server to end the connection, and fails if anything else comes.
func (c *client) closed() {
	c.t.Helper()
	var b [1]byte
	if n, err := c.Read(b[:]); n != 0 || errors.Is(err, context.DeadlineExceeded) {
		c.t.Fatalf("%d bytes, %v; want the end of the connection", n, err)
	} else if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		c.t.Fatal("the connection stayed open")
	}
}
