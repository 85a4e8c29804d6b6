// Package upstream asks other servers: by UDP with TCP behind it, by TCP, TLS, HTTPS or QUIC; the preferred one first, the
// next when it fails or is slow; and for some zones others than for the rest.
package upstream

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"schoolgate/config"
	"schoolgate/resolver/clock"
	"schoolgate/resolver/wire"
)

// Bounds of one Pool.
const (
	maxFlights  = 1024                   // different questions whose askers wait: as many as listen lets in at once
	maxLive     = 2 * maxFlights         // these, and settled ones whose slower attempts still run
	maxBudget   = 5 * time.Second        // for one question at all servers together
	maxFails    = 3                      // failures in a row until a server is down
	minHedge    = 300 * time.Millisecond // the next server is not asked in parallel sooner
	firstRest   = time.Second            // a server that went down is left alone for this long, doubling
	longestRest = time.Minute            // … up to this
	idleClose   = 10 * time.Second       // a TLS connection is closed this long after its last question
)

// Errors of Exchange besides *Error, which lists what each server did. ErrBusy comes as it is, before any server is asked.
var (
	ErrNoServers = errors.New("no upstream servers are configured")
	ErrBusy      = errors.New("too many questions are under way")
	ErrClosed    = errors.New("upstream pool is closed")
)

// Pool asks the configured servers in order of preference. Its methods may be called from many goroutines at once.
type Pool struct {
	// RootCAs are whom certificates must lead to; nil means the system's. Set before the first use.
	RootCAs *x509.CertPool
	// Clock tells the time that certificates are checked against. Set before the first use.
	Clock *clock.Clock

	log      *slog.Logger
	forward  string    // the forwarding that it is for, "" for none
	zone     string    // one of that forwarding, in wire form
	servers  []*server // in the order of the configuration, those to fall back on last
	strategy config.Strategy
	turn     atomic.Uint64 // questions that the strategy had a choice for
	budget   time.Duration // for one question, all servers together
	hedge    time.Duration
	wake     chan struct{} // capacity 1: a server went down, Run must look when to probe it

	ctx    context.Context // of the races; cancelled when the pool closes
	cancel context.CancelFunc

	mu      sync.Mutex         // guards what follows
	flights map[string]*flight // questions that further askers may join
	live    int                // how many these are, and settled ones of which an attempt still runs
	closed  bool
	work    sync.WaitGroup // every goroutine of the pool; grows only while not closed or from within itself
}

// New makes a pool for cfg. It opens nothing and starts nothing: connections come with the first question.
func New(cfg config.Upstream, log *slog.Logger) *Pool {
	timeout := cfg.Timeout.Std()
	if timeout <= 0 {
		timeout = 2 * time.Second
	}
	servers, fallback := cfg.Asked()
	p := &Pool{
		log:      log,
		Clock:    new(clock.Clock),
		strategy: cfg.Strategy,
		budget:   min(maxBudget, timeout*time.Duration(max(1, len(servers)+len(fallback)))),
		hedge:    minHedge,
		wake:     make(chan struct{}, 1),
		flights:  make(map[string]*flight),
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	for i, conf := range slices.Concat(servers, fallback) {
		s := newServer(p, conf, min(timeout, maxBudget))
		s.fallback = i >= len(servers)
		for n := 2; slices.ContainsFunc(p.servers, func(o *server) bool { return o.address == s.address }); n++ {
			s.address = fmt.Sprintf("%s (%d)", shown(conf), n) // they differ by what is not shown
		}
		s.refusal = refusalOf(conf, cfg.BlockedAnswers)
		p.servers = append(p.servers, s)
	}
	return p
}

// Exchange asks a question and returns the reply, which is shared: everybody who asks the same meanwhile gets it too. Of
// the question only name, type, class, CD and the DO bit travel (and count as the same question); EDNS options of a client
// never do. AD is always asked for (RFC 6840 section 5.7), so the reply may carry it although the client did not ask.
//
// A server that answers SERVFAIL, REFUSED, FORMERR or NOTIMP is passed over for the next, unless it says with an extended
// error (RFC 8914) that it means it: a failed DNSSEC validation or a filter is not to be shopped around. When no server
// does better, the last such reply is returned. Otherwise errors are *Error, ErrNoServers, ErrBusy, ErrClosed, or that of
// ctx; the end of ctx ends the waiting of this caller alone.
func (p *Pool) Exchange(ctx context.Context, asked *wire.Question) (*wire.Reply, error) {
	if len(p.servers) == 0 {
		return nil, ErrNoServers
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("waiting for upstream: %w", context.Cause(ctx))
	}
	f, lead, err := p.join(newQuestion(asked))
	if err != nil {
		return nil, err
	}
	if lead {
		p.lead(ctx, f)
	}
	select {
	case <-f.done:
		return f.reply, f.err
	default:
	}
	select {
	case <-f.done:
		return f.reply, f.err
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for upstream: %w", context.Cause(ctx))
	}
}

// Status is how one server does.
type Status struct {
	Address  string // as in the configuration file
	Kind     string // "udp", "tcp", "tls", "https" or "quic"
	Forward  string // of which forwarding it is, "" for none
	Fallback bool   // asked only when the others give no answer
	Loops    bool   // sends questions back to this box
	Healthy  bool
	Fails    int           // in a row
	RTT      time.Duration // smoothed time to an answer; 0 before the first
	Queries  uint64        // attempts, probes included
	Failures uint64
	LastErr  string // "" when there was none; kept after recovery
}

// Status tells of each server, in order of preference.
func (p *Pool) Status() []Status {
	all := make([]Status, 0, len(p.servers))
	for _, s := range p.servers {
		all = append(all, s.status())
	}
	return all
}

// Run probes servers that are down until ctx ends; then it closes every connection, fails what is under way, and returns
// nil once nothing of the pool runs any more. A pool without Run works, but a server that is down stays last.
func (p *Pool) Run(ctx context.Context) error {
	defer p.close()
	if p.RootCAs == nil {
		_, _ = x509.SystemCertPool() // read now and kept by crypto/x509: on a slow disk it would outlast the first handshake
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.wake:
		case <-timer.C:
		}
		if wait, ok := p.probe(ctx, time.Now()); ok {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
	}
}

// probe starts a probe of each server that has rested long enough, and says how long until the next is due.
func (p *Pool) probe(ctx context.Context, now time.Time) (wait time.Duration, ok bool) {
	for _, s := range p.servers {
		at, down := s.due(now)
		if !down {
			continue
		}
		if !at.After(now) {
			p.work.Go(func() {
				s.probe(ctx)
				p.rouse()
			})
			continue
		}
		if until := at.Sub(now); !ok || until < wait {
			wait, ok = until, true
		}
	}
	return wait, ok
}

// rouse makes Run look again.
func (p *Pool) rouse() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *Pool) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	for _, s := range p.servers {
		s.ports.close()
		if s.way != nil {
			s.way.close()
		}
	}
	p.work.Wait()
}
