package upstream

import (
	"context"
	"time"

	"github.com/miekg/dns"
)

// flight is one question under way, for everybody who asks it meanwhile.
type flight struct {
	done   chan struct{} // closed when reply and err are set
	reply  *dns.Msg      // shared: copied by each asker
	err    error
	cancel context.CancelFunc
}

// join finds the flight of q or starts it. The flight outlives the asker that began it, up to the pool's budget.
func (p *Pool) join(ctx context.Context, q *question) (*flight, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	if f, ok := p.flights[q.key]; ok {
		return f, nil
	}
	if len(p.flights) >= maxFlights || len(p.live) >= maxLive {
		return nil, ErrBusy
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.budget)
	f := &flight{done: make(chan struct{}), cancel: cancel}
	p.flights[q.key] = f
	p.live[f] = struct{}{}
	p.work.Go(func() {
		defer p.land(f)
		r := &race{pool: p, q: q, flight: f, order: p.order()}
		r.run(ctx)
	})
	return f, nil
}

// settle gives the outcome to all who wait; whoever asks from now on starts another flight.
func (p *Pool) settle(f *flight, q *question, reply *dns.Msg, err error) {
	p.mu.Lock()
	delete(p.flights, q.key)
	p.mu.Unlock()
	f.reply, f.err = reply, err
	close(f.done)
}

// land ends a flight once the last of its attempts is over.
func (p *Pool) land(f *flight) {
	f.cancel()
	p.mu.Lock()
	delete(p.live, f)
	p.mu.Unlock()
}

// order is all servers, those that are down at the end: better asked than nobody.
func (p *Pool) order() []*server {
	up := make([]*server, 0, len(p.servers))
	var down []*server
	for _, s := range p.servers {
		if s.healthy() {
			up = append(up, s)
		} else {
			down = append(down, s)
		}
	}
	return append(up, down...)
}

// race is the attempts of one flight. Losers run on to their own end: only so does a server that never answers, and is
// always overtaken, come to be seen as down.
type race struct {
	pool    *Pool
	q       *question
	flight  *flight
	order   []*server
	results chan result
	started int
	pending int
}

type result struct {
	from  *server
	reply *dns.Msg
	err   error
}

func (r *race) run(ctx context.Context) {
	r.results = make(chan result, len(r.order))
	hedge := time.NewTimer(time.Hour)
	defer hedge.Stop()
	var last *dns.Msg
	failed := new(Error)
	settled := false
	next := func() {
		if s := r.start(ctx); s != nil {
			hedge.Reset(s.patience(r.pool.hedge))
		} else {
			hedge.Stop()
		}
	}
	for next(); r.pending > 0; {
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
				r.pool.settle(r.flight, r.q, res.reply, nil)
				settled = true
			}
		}
	}
	switch {
	case settled:
	case last != nil:
		r.pool.settle(r.flight, r.q, last, nil)
	default:
		r.pool.settle(r.flight, r.q, nil, failed)
	}
}

// start begins the attempt at the next server; nil when there is none left, or no time.
func (r *race) start(ctx context.Context) *server {
	if r.started == len(r.order) || r.started > 0 && ctx.Err() != nil {
		return nil
	}
	s := r.order[r.started]
	r.started++
	r.pending++
	r.pool.work.Go(func() {
		reply, err := s.ask(ctx, r.q)
		r.results <- result{s, reply, err}
	})
	return s
}

// passOver says whether another server may do better than this reply.
func passOver(reply *dns.Msg) bool {
	switch reply.Rcode {
	case dns.RcodeServerFailure, dns.RcodeRefused, dns.RcodeFormatError, dns.RcodeNotImplemented:
		return !deliberate(reply)
	}
	return false
}

// deliberate says whether the server stands by its refusal, by RFC 8914.
func deliberate(reply *dns.Msg) bool {
	opt := reply.IsEdns0()
	if opt == nil {
		return false
	}
	for _, o := range opt.Option {
		ede, ok := o.(*dns.EDNS0_EDE)
		if !ok {
			continue
		}
		switch ede.InfoCode {
		case dns.ExtendedErrorCodeDNSBogus, dns.ExtendedErrorCodeSignatureExpired, dns.ExtendedErrorCodeSignatureNotYetValid,
			dns.ExtendedErrorCodeDNSKEYMissing, dns.ExtendedErrorCodeRRSIGsMissing, dns.ExtendedErrorCodeNoZoneKeyBitSet,
			dns.ExtendedErrorCodeNSECMissing, dns.ExtendedErrorCodeBlocked, dns.ExtendedErrorCodeCensored,
			dns.ExtendedErrorCodeFiltered:
			return true
		}
	}
	return false
}
