package upstream

import (
	"context"
	"time"

	"schoolgate/config"
	"schoolgate/resolver/wire"
)

// flight is one question under way, for everybody who asks it meanwhile.
type flight struct {
	q     *question
	end   time.Time     // of the pool's budget
	done  chan struct{} // closed when reply and err are set
	reply *wire.Reply
	err   error
}

// join finds the flight of q or makes it; then the caller is to lead it.
func (p *Pool) join(q *question) (f *flight, lead bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, false, ErrClosed
	}
	if f, ok := p.flights[q.key]; ok {
		return f, false, nil
	}
	if len(p.flights) >= maxFlights || p.live >= maxLive {
		return nil, false, ErrBusy
	}
	f = &flight{q: q, end: time.Now().Add(p.budget), done: make(chan struct{})}
	p.flights[q.key] = f
	p.live++
	return f, true, nil
}

// lead asks the preferred server in the goroutine of the asker. Nearly always its datagram is answered, and all is done.
// What is left else, for the flight outlives its first asker too, is handed over to a race.
func (p *Pool) lead(ctx context.Context, f *flight) {
	s, start := p.preferred(), time.Now()
	var w *waiter
	var err error
	if s.way == nil && p.strategy != config.Parallel {
		w, err = s.ports.send(f.q, !s.folds.Load(), nil)
	}
	if w != nil {
		w.timer.Reset(min(s.patience(p.hedge), s.timeout/2))
		select {
		case o := <-w.outcome:
			if o.err == nil {
				s.refusal.judge(o.reply)
			}
			if o.err == nil && !passOver(o.reply) {
				s.ports.release(w)
				s.note(time.Now(), time.Since(start), nil)
				p.settle(f, o.reply, nil)
				p.land()
				return
			}
			w.outcome <- o // for the race
		case <-w.timer.C:
		case <-ctx.Done():
		}
	}
	p.hand(f, s, &begun{start, w, err})
}

// begun is the first attempt of a flight as its race finds it.
type begun struct {
	start  time.Time
	waiter *waiter // nil when nothing was sent
	err    error   // why not
}

// hand lets a race go on with a flight.
func (p *Pool) hand(f *flight, s *server, b *begun) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		delete(p.flights, f.q.key)
		f.err = ErrClosed
		close(f.done)
		p.live--
		return
	}
	p.work.Go(func() {
		defer p.land()
		ctx, cancel := context.WithDeadline(p.ctx, f.end)
		defer cancel()
		r := &race{pool: p, flight: f, order: p.order(s), begun: b}
		r.run(ctx)
	})
}

// settle gives the outcome to all who wait; whoever asks from now on starts another flight.
func (p *Pool) settle(f *flight, reply *wire.Reply, err error) {
	p.mu.Lock()
	delete(p.flights, f.q.key)
	p.mu.Unlock()
	f.reply, f.err = reply, err
	close(f.done)
}

// land ends a flight once the last of its attempts is over.
func (p *Pool) land() {
	p.mu.Lock()
	p.live--
	p.mu.Unlock()
}

// race is the attempts of one flight. Losers run on to their own end: only so does a server that never answers, and is
// always overtaken, come to be seen as down.
type race struct {
	pool    *Pool
	flight  *flight
	order   order
	begun   *begun // of the first of order
	results chan result
	started int
	pending int
}

type result struct {
	from  *server
	reply *wire.Reply
	err   error
}

func (r *race) run(ctx context.Context) {
	r.results = make(chan result, len(r.order.servers))
	hedge := time.NewTimer(time.Hour)
	defer hedge.Stop()
	var last *wire.Reply
	failed := new(Error)
	settled := false
	next := func() {
		if s := r.start(ctx); s != nil {
			patience := s.patience(r.pool.hedge)
			if r.started == 1 {
				patience -= time.Since(r.begun.start)
			}
			hedge.Reset(patience)
		} else {
			hedge.Stop()
		}
	}
	for range r.order.atOnce {
		next()
	}
	for r.pending > 0 {
		select {
		case <-hedge.C:
			if !settled {
				next()
			}
		case res := <-r.results:
			r.pending--
			switch {
			case settled:
			case res.err != nil:
				failed.Causes = append(failed.Causes, Cause{res.from.address, res.err})
				next()
			case passOver(res.reply):
				last = res.reply
				next()
			default:
				r.pool.settle(r.flight, res.reply, nil)
				settled = true
			}
		}
	}
	switch {
	case settled:
	case last != nil:
		r.pool.settle(r.flight, last, nil)
	default:
		r.pool.settle(r.flight, nil, failed)
	}
}

// start begins the attempt at the next server; nil when there is none left, or no time, or when it is one to fall back on
// and others may still answer.
func (r *race) start(ctx context.Context) *server {
	switch {
	case r.started == len(r.order.servers) || r.started > 0 && ctx.Err() != nil:
		return nil
	case r.started == r.order.reserve && r.pending > 0:
		return nil
	}
	s, b := r.order.servers[r.started], r.begun
	if r.started > 0 {
		b = &begun{start: time.Now()}
	}
	r.started++
	r.pending++
	r.pool.work.Go(func() {
		reply, err := s.ask(ctx, r.flight.q, b)
		r.results <- result{s, reply, err}
	})
	return s
}

// passOver says whether another server may do better than this reply, as its sender does not stand by it, by RFC 8914.
func passOver(reply *wire.Reply) bool {
	switch reply.RCode {
	case wire.ServFail, wire.Refused, wire.FormErr, wire.NotImp:
	default:
		return false
	}
	if reply.Finding != wire.NoFinding {
		return false
	}
	switch reply.EDE {
	case wire.EDEBogus, wire.EDESignatureExpired, wire.EDESignatureNotYetValid, wire.EDENoDNSKEY, wire.EDENoRRSIGs, wire.EDENoZoneKeyBit,
		wire.EDENoNSEC, wire.EDEBlocked, wire.EDECensored, wire.EDEFiltered:
		return false
	}
	return true
}
