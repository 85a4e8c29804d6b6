package resolver

import (
	"context"
	"errors"
	"time"

	"schoolgate/resolver/cache"
	"schoolgate/resolver/query"
	"schoolgate/resolver/upstream"
	"schoolgate/resolver/wire"
)

// Times of what is past its own (RFC 8767 section 5).
const (
	staleAfter = 1800 * time.Millisecond // when a client is given it, if the upstreams took so long: before it gives up
	refreshFor = 10 * time.Second        // how long an answer that comes later is still waited for
)

// What an upstream's reply can be short of.
var (
	errServfail  = errors.New("the upstream could not resolve the name")
	errMalformed = errors.New("the upstream's reply is no answer to the question")
)

// fetch finds the answer to a question in the cache, or asks an upstream for it, or falls back on an answer of the past
// when none replies in good time.
func (r *Resolver) fetch(ctx context.Context, s *State, question *wire.Question, now time.Time) (*cache.Entry, query.Source, error) {
	old, state := r.cache.Get(question, now)
	switch state {
	case cache.Fresh:
		return old, query.Cache, nil
	case cache.Spare:
		return old, query.Stale, nil
	case cache.Stale:
		if e := r.refresh(ctx, s, question, now); e != nil && !e.Failed() {
			return e, query.Upstream, nil
		}
		return old, query.Stale, nil
	case cache.Miss:
	}
	if e := r.cache.Below(question, now); e != nil && (s.Apart == nil || !s.Apart(question)) {
		return e, query.Cache, nil
	}
	e, err := r.exchange(ctx, s, question, now)
	if err != nil {
		return nil, query.None, err
	}
	return e, query.Upstream, nil
}

// exchange asks the upstreams and keeps the answer, or that there was none.
func (r *Resolver) exchange(ctx context.Context, s *State, question *wire.Question, now time.Time) (*cache.Entry, error) {
	asked := time.Now()
	reply, err := s.Exchange(ctx, question)
	now = now.Add(time.Since(asked))
	var e *cache.Entry
	if err == nil {
		if e = r.cache.Put(question, s.scrub(question, reply), now); e == nil {
			err = errMalformed
		}
	}
	if isFailure(err) {
		r.cache.Failed(question, now)
	}
	return e, err
}

// isFailure says whether an error of asking says something of the question, and not of us or of who waits for it.
func isFailure(err error) bool {
	for _, ours := range []error{upstream.ErrBusy, upstream.ErrNoServers, upstream.ErrClosed, context.Canceled} {
		if errors.Is(err, ours) {
			return false
		}
	}
	return err != nil
}

// refresh asks for what is past its time, while a client waits for a while. It is nil when there is no answer by then; one
// that comes later still gets into the cache.
func (r *Resolver) refresh(ctx context.Context, s *State, question *wire.Question, now time.Time) *cache.Entry {
	q := *question // outlives the query
	var failure any
	var e *cache.Entry
	done := make(chan struct{})
	r.refreshing.Go(func() {
		defer close(done)
		defer func() { failure = recover() }()
		ctx, cancel := context.WithTimeout(r.ctx, refreshFor)
		defer cancel()
		e, _ = r.exchange(ctx, s, &q, now)
	})
	timer := time.NewTimer(staleAfter)
	defer timer.Stop()
	select {
	case <-done:
		if failure != nil {
			panic(failure) // the listener answers for it
		}
		return e
	case <-timer.C:
		r.cache.Failed(question, now.Add(staleAfter))
	case <-ctx.Done():
	}
	return nil
}
