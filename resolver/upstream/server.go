package upstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"schoolgate/config"
	"schoolgate/resolver/wire"
)

// server is one upstream and what is known of its health.
type server struct {
	pool     *Pool
	conf     config.Server
	address  string
	timeout  time.Duration // for one attempt
	rest     time.Duration // how long the first back-off is
	fallback bool          // asked when the others give no answer
	ports    ports         // ServerUDP
	way      way           // all others
	folds    atomic.Bool   // ServerUDP: does not keep the case of letters
	refusal  refusal

	mu        sync.Mutex // guards what follows
	rtt       time.Duration
	fails     int
	queries   uint64
	failures  uint64
	lastErr   string
	down      bool
	backoff   time.Duration
	probeAt   time.Time
	probing   bool
	probeName string // of the last probe, in wire form
	loops     bool   // the last probe came back
	warned    limiter
	fell      limiter
}

// way is how a server is asked by anything but UDP.
type way interface {
	ask(ctx context.Context, q *question) (*wire.Reply, error)
	close() // ends all connections
}

func newServer(p *Pool, conf config.Server, timeout time.Duration) *server {
	s := &server{pool: p, conf: conf, timeout: timeout, rest: firstRest}
	s.address = shown(conf)
	s.ports.server = s
	switch conf.Kind {
	case config.ServerUDP:
	case config.ServerTCP:
		s.way = &pipes{server: s, idle: idleClose}
	case config.ServerTLS:
		s.way = &pipes{server: s, idle: idleClose, conf: s.tlsConfig("dot")}
	case config.ServerHTTPS:
		s.way = newWeb(s)
	case config.ServerQUIC:
		s.way = newQuick(s)
	}
	return s
}

// shown is a server for people, without the path, which can be what tells one customer of a provider from others.
func shown(conf config.Server) string {
	conf.Path, conf.Pins = "", ""
	return conf.String()
}

// ask makes one attempt, or goes on with one, and takes note of how it went. A panic becomes an error here, since this
// goroutine is out of reach of whoever recovers for the query.
func (s *server) ask(ctx context.Context, q *question, b *begun) (reply *wire.Reply, err error) {
	defer func() {
		if v := recover(); v != nil {
			reply, err = nil, fmt.Errorf("panic: %v", v)
		}
		if !errors.Is(ctx.Err(), context.Canceled) { // the pool closes: nobody's fault
			s.note(time.Now(), time.Since(b.start), err)
		}
	}()
	attempt, cancel := context.WithDeadline(ctx, b.start.Add(s.timeout))
	defer cancel()
	if s.way != nil {
		reply, err = s.way.ask(attempt, q)
	} else {
		reply, err = s.overUDP(attempt, q, b)
	}
	if err == nil {
		s.refusal.judge(reply)
	}
	return reply, err
}

// note takes the outcome of an attempt. Any reply shows a server that is alive, SERVFAIL too.
func (s *server) note(now time.Time, took time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queries++
	if err == nil {
		if s.rtt == 0 {
			s.rtt = took
		}
		s.rtt += (took - s.rtt) / 8
		s.fails = 0
		if s.down && !s.loops {
			s.down = false
			if s.fell.muted == 0 {
				s.pool.log.Info("upstream server answers again", slog.String("server", s.address))
			}
		}
		return
	}
	s.failures++
	s.fails++
	s.lastErr = printable(err.Error())
	if muted, ok := s.warned.allow(now); ok {
		s.pool.log.Warn("upstream server failed", slog.String("server", s.address), slog.Any("err", err), slog.Int("unreported", muted))
	}
	if s.fails >= maxFails && !s.down {
		s.down, s.backoff = true, s.rest
		s.probeAt = now.Add(s.backoff)
		if muted, ok := s.fell.allow(now); ok {
			s.pool.log.Warn("upstream server is down", slog.String("server", s.address), slog.Int("fails", s.fails), slog.Int("unreported", muted))
		}
		s.pool.rouse()
	}
}

func (s *server) healthy() bool {
	up, _ := s.standing()
	return up
}

// standing says whether the server is not down, and its smoothed time to an answer, 0 before the first.
func (s *server) standing() (up bool, rtt time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.down, s.rtt
}

func (s *server) speed() time.Duration {
	_, rtt := s.standing()
	return rtt
}

// patience is how long to wait for the server before the next is asked too.
func (s *server) patience(least time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(least, 3*s.rtt)
}

// due says whether the server is down, and if so when it is to be probed. A server whose time has come is the caller's to
// probe; until that is done it is not reported again.
func (s *server) due(now time.Time) (at time.Time, down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.down || s.probing {
		return time.Time{}, false
	}
	s.probing = !s.probeAt.After(now)
	return s.probeAt, true
}

// probe asks a server that is down a real question.
func (s *server) probe(ctx context.Context) {
	q, err := s.probeQuestion()
	if err == nil {
		_, err = s.ask(ctx, q, &begun{start: time.Now()})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.probing = false
	if err != nil || s.loops {
		s.backoff = min(2*s.backoff, longestRest)
		s.probeAt = time.Now().Add(s.backoff)
	}
}

func (s *server) status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Status{
		Address: s.address, Kind: s.conf.Kind.String(), Forward: s.pool.forward, Fallback: s.fallback, Loops: s.down && s.loops, Healthy: !s.down, Fails: s.fails, RTT: s.rtt,
		Queries: s.queries, Failures: s.failures, LastErr: s.lastErr,
	}
}

// limiter lets one log line through a minute and counts the rest.
type limiter struct {
	last  time.Time
	muted int
}

func (l *limiter) allow(now time.Time) (muted int, ok bool) {
	if !l.last.IsZero() && now.Sub(l.last) < time.Minute {
		l.muted++
		return 0, false
	}
	muted = l.muted
	l.last, l.muted = now, 0
	return muted, true
}
