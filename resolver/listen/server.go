// Package listen owns the UDP and TCP sockets: it turns packets into queries and sends the answers back.
//
// On Linux each address has one UDP socket per core (SO_REUSEPORT), each with a loop of its own, a lane, that reads and
// answers packets in batches (recvmmsg, sendmmsg). What can be answered at once never leaves the lane; what must wait for
// somebody else goes to a bounded number of goroutines. Elsewhere, and where batches cannot be had, a loop of one packet a
// call gives the same answers.
package listen

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"schoolgate/resolver/cookie"
	"schoolgate/resolver/query"
)

// Server answers DNS questions on its addresses, over UDP and TCP each. Fill in the fields, then Listen, then Run, once.
// Addrs, Inline and Resolve are required.
//
// A request that is malformed is answered here; Inline and Resolve see well-formed questions only. Who brings a DNS cookie
// (RFC 7873) finds one in each reply, and Query.Proven says whether that which it brought was good. A panic in them or in
// Done is counted, and the query answered SERVFAIL. Replies are cut to what the client takes over UDP (wire.Fit).
type Server struct {
	// Addrs are bound as they are written: [::] does not include IPv4, list 0.0.0.0 beside it. Port 0 takes a free one.
	Addrs []netip.AddrPort

	// Encrypted is what is served over TLS, HTTPS and QUIC besides; nil for nothing.
	Encrypted *Encrypted

	// Inline appends the reply to dst and returns it with done true, or leaves the query to Resolve. It must not block
	// nor allocate. Start, Lane, Proto, Proven, Client.Addr and Question of q are filled in, the rest is zero. req and dst are
	// borrowed for the call. Lanes 1…Lanes() have one caller each; in lane 0 (all others) many may call at the same time.
	// Done with an empty reply sends none.
	Inline func(q *query.Query, req, dst []byte) (resp []byte, done bool)

	// Resolve does the same but may wait, until ctx ends (see Limits.Answer). It is called for what Inline left, with
	// Lane 0, concurrently; q keeps what Inline wrote into it.
	Resolve func(ctx context.Context, q *query.Query, req, dst []byte) []byte

	// Done is called once for each request after its answer has been written, with RCode and Duration filled in; also
	// for malformed requests, whose Question is as far as it was understood. q is borrowed. May be nil.
	Done func(q *query.Query)

	// Standing says what an address is, for each packet and connection, so it must not block nor allocate. Nil: everybody
	// is Ordinary. Whoever is Outside is refused now and then over UDP, and else gets no answer.
	Standing func(netip.Addr) Standing

	PerAddr int // UDP sockets, and so lanes, for each address: one a core; 0 is GOMAXPROCS, MaxPerAddr at most

	Log    *slog.Logger     // nil discards
	Limits Limits           // zero fields take their defaults
	Now    func() time.Time // nil is time.Now

	portable bool // use the loop of one packet a call, for tests

	jar       *cookie.Jar
	lanes     []*lane
	tcp       []net.Listener
	epoch     time.Time // of the meters' time
	brakes    atomic.Pointer[brakes]
	limited   limited
	strangers *strangers
	gate      gate
	spans     spans
	sessions  sessions
	jobs      sync.WaitGroup
	counts    counters
	errands   sync.Pool    // of *errand
	panicLog  atomic.Int64 // when a panic was last logged, Unix seconds
}

// Limits bound what clients can make the server hold.
type Limits struct {
	InFlight          int           // queries waiting in Resolve at once; more are dropped over UDP, SERVFAIL over TCP; 1,024
	PerClient         int           // of these from one address; 256, since a router may ask for a whole school; 8 once half of InFlight is taken
	Sessions          int           // connections over all stream transports; 1,024. A further one ends that which is of least use
	SessionsPerClient int           // of these from one address; 256
	ConnInFlight      int           // queries waiting on one connection, which is then read no further; 32
	Idle              time.Duration // for a TCP client to send its next whole request; 10 s, a quarter of it once half of Sessions are open
	IdleTLS           time.Duration // the same where the connection is encrypted, which costs more to set up; 30 s
	Write             time.Duration // for a TCP client to take an answer; 5 s
	Answer            time.Duration // for Resolve, and up to a sixteenth more; 10 s
	Drain             time.Duration // for what is in flight when Run is to end; 2 s
}

func (l Limits) withDefaults() Limits {
	set(&l.InFlight, 1024)
	set(&l.PerClient, 256)
	set(&l.Sessions, 1024)
	set(&l.SessionsPerClient, 256)
	set(&l.ConnInFlight, 32)
	set(&l.Idle, 10*time.Second)
	set(&l.IdleTLS, 30*time.Second)
	set(&l.Write, 5*time.Second)
	set(&l.Answer, 10*time.Second)
	set(&l.Drain, 2*time.Second)
	return l
}

// idle is how long a connection may be silent.
func (s *Server) idle(p query.Proto) time.Duration {
	if p == query.TCP {
		return s.Limits.Idle
	}
	return s.Limits.IdleTLS
}

func set[T int | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

// SetSessions changes how many sessions may be open, in all and from one address, from Listen on. What is open stays so.
func (s *Server) SetSessions(most, perClient int) { s.sessions.limit(most, perClient) }

// ErrDrain is returned by Run when queries were still in flight although their context had ended.
var ErrDrain = errors.New("queries still in flight after the time to drain")

// Run serves until ctx ends, then stops reading, lets what is in flight be answered for at most Limits.Drain, and closes
// all sockets. It returns nil after such an end, and an error if a loop could not go on.
func (s *Server) Run(ctx context.Context) error {
	if len(s.lanes) == 0 {
		return errors.New("serving DNS: not listening")
	}
	defer s.Close()
	answering, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()

	loops, reading := errgroup.WithContext(ctx)
	for _, l := range s.lanes {
		loops.Go(func() error { return l.run(answering) })
	}
	for _, t := range s.tcp {
		loops.Go(func() error { return s.acceptLoop(answering, t, nil) })
	}
	if s.Encrypted != nil {
		s.Encrypted.run(answering, s, loops.Go)
	}
	loops.Go(func() error {
		s.tellOfStrangers(reading)
		return nil
	})
	loops.Go(func() error {
		<-reading.Done()
		s.stopReading()
		return nil
	})
	err := loops.Wait()

	drained := make(chan struct{})
	go func() {
		s.jobs.Wait()
		close(drained)
	}()
	for _, last := range []bool{false, true} {
		select {
		case <-drained:
			return err
		case <-time.After(s.Limits.Drain):
			cancel()
			if s.sessions.closeAll(); last {
				return errors.Join(err, ErrDrain)
			}
		}
	}
	return err
}

// stopReading ends all loops without closing what answers still leave by.
func (s *Server) stopReading() {
	for _, l := range s.lanes {
		l.sock.stop()
	}
	for _, t := range s.tcp {
		t.Close()
	}
	if s.Encrypted != nil {
		s.Encrypted.stop()
	}
	s.sessions.stopReading()
}

// Close frees the sockets of a server that listens but will not Run. Run does it itself.
func (s *Server) Close() {
	for _, l := range s.lanes {
		l.sock.Close()
	}
	for _, t := range s.tcp {
		t.Close()
	}
	if s.Encrypted != nil {
		s.Encrypted.close()
	}
	s.sessions.closeAll()
}
