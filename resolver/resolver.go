// Package resolver answers one question in one straight line: identify, judge, cache, ask, judge what the answer leads
// to, reply.
package resolver

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"

	"schoolgate/blocklist"
	"schoolgate/blocklist/domain"
	"schoolgate/resolver/cache"
	"schoolgate/resolver/local"
	"schoolgate/resolver/policy"
	"schoolgate/resolver/query"
	"schoolgate/resolver/wire"
)

// State is everything that a query reads and a reload replaces, as one immutable snapshot: a query never sees the lists
// of one moment with the policy of another.
type State struct {
	Lists    *blocklist.Set
	Policy   *policy.Policy // compiled against Lists
	Identify func(q *query.Query)
	Exchange func(ctx context.Context, q *wire.Question) (*wire.Reply, error)

	// Apart says whether a name is asked of servers of its own: what others say of names above it is nothing to it, and it is
	// no name of the Internet. Nil is never.
	Apart func(q *wire.Question) bool

	Box *local.Interfaces // the addresses of this box; nil for none

	// Page gives the box's own addresses at which a client reaches the block page, not valid for none; it must not wait.
	// nil: there is no page.
	Page    func(client netip.Addr) (v4, v6 netip.Addr)
	Office  *Office // nil: the reason of a refusal is told in words alone
	Answers Answers
	Own     *Own // nil: the box has no name of its own
}

// Resolver holds the current State and the cache. It is safe for concurrent use.
type Resolver struct {
	cache *cache.Cache
	state atomic.Pointer[State]

	ctx        context.Context // of what is asked for longer than its client waits; cancelled by Close
	cancel     context.CancelFunc
	refreshing sync.WaitGroup
}

// New makes a resolver that serves from first.
func New(c *cache.Cache, first *State) *Resolver {
	r := &Resolver{cache: c}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.state.Store(first)
	return r
}

// Close ends what is still being asked for, after the last query.
func (r *Resolver) Close() {
	r.cancel()
	r.refreshing.Wait()
}

// State is the snapshot in force.
func (r *Resolver) State() *State { return r.state.Load() }

// Swap puts next in force for every query that starts from now on. The cache stays: what it holds is judged anew for
// each query, so a changed policy holds at once. Only when other answers may be kept, it is emptied.
func (r *Resolver) Swap(next *State) {
	if old := r.state.Swap(next); !old.Answers.Same(&next.Answers) || !old.Own.same(next.Own) {
		r.cache.Flush()
	}
}

// Resolve answers req, whose question is parsed in q, appending the reply to dst; it is for the listener to cut it to
// what the client takes. It may wait for an upstream. What was found on the way is left in q.
func (r *Resolver) Resolve(ctx context.Context, q *query.Query, req, dst []byte) []byte {
	s := r.state.Load()
	asked := q.Asked
	if !asked.IsValid() {
		asked = netip.IPv6Unspecified() // it will not be known
	}
	if out, done := r.inline(s, q, asked, req, dst); done {
		return out
	}
	if out, ok := s.Own.answer(q, req, dst); ok {
		return out
	}
	if q.Verdict.Blocked() {
		return s.refuse(q, req, dst)
	}
	if q.Verdict.Target != "" {
		return r.steerAsking(ctx, s, q, req, dst)
	}
	return r.ask(ctx, s, q, req, dst)
}

// Inline is the part of Resolve that never waits, takes no lock that is held across I/O and does not allocate: it is
// called from the packet loops. done is false when the answer must be asked for; nothing has been appended then.
func (r *Resolver) Inline(q *query.Query, req, dst []byte) (out []byte, done bool) {
	return r.inline(r.state.Load(), q, q.Asked, req, dst)
}

func (r *Resolver) inline(s *State, q *query.Query, asked netip.Addr, req, dst []byte) (out []byte, done bool) {
	s.Identify(q)
	key := blocklist.KeyOf(&q.Question.Name)
	q.Verdict = s.Policy.Decide(q.Start, q.Client.Group, &key, s.Lists.LookupKey(&key))
	switch q.Verdict.Action {
	case query.Block:
		if s.Own.has(&q.Question.Name) { // no group is kept from the box itself; it is not a lane that knows which address was asked
			return dst, false
		}
		return s.refuse(q, req, dst), true
	case query.Rewrite:
		return r.steer(s, q, req, dst)
	case query.Allow:
	}
	if q.Verdict.Rule == query.LocalName && !s.Own.has(&q.Question.Name) { // Own says more of the box than its addresses
		if out, done, mine := r.local(s, q, asked, req, dst); mine {
			return out, done
		}
	}
	switch e, state := r.cache.Get(&q.Question, q.Start); state {
	case cache.Fresh:
		return s.give(q, req, dst, e, query.Cache), true
	case cache.Spare:
		return s.give(q, req, dst, e, query.Stale), true
	case cache.Stale, cache.Miss:
	}
	return dst, false
}

// give answers with what was found, unless what it leads to is refused.
func (s *State) give(q *query.Query, req, dst []byte, e *cache.Entry, source query.Source) []byte {
	if !s.judgeTargets(q, e) {
		return s.refuse(q, req, dst)
	}
	q.Source, q.RCode = source, e.RCode()
	switch {
	case source != query.Stale:
		return e.Append(dst, req, &q.Question, q.Start)
	case e.RCode() == wire.NXDomain:
		return e.AppendStale(dst, req, &q.Question, staleDenial)
	}
	return e.AppendStale(dst, req, &q.Question, staleAnswer)
}

// ask gets the answer from an upstream, or from the past when none replies.
func (r *Resolver) ask(ctx context.Context, s *State, q *query.Query, req, dst []byte) []byte {
	if out, ok := s.unasked(q, req, dst); ok {
		return out
	}
	if q.Question.Type == wire.TypeANY { // RFC 8482: an answer that is of no use to who would amplify with it
		q.Source, q.RCode = query.Policy, wire.NoError
		return wire.AppendAny(dst, req, &q.Question, anyTTL)
	}
	e, source, err := r.fetch(ctx, s, &q.Question, q.Start)
	if err != nil {
		return fail(q, req, dst, err)
	}
	return s.give(q, req, dst, e, source)
}

// anyTTL is how long the answer to ANY may be kept, in seconds.
const anyTTL = 3600

// judgeTargets judges every name that the answer leads to, for the client that asks. It reports false, with the verdict
// in q, when one of them is refused.
func (s *State) judgeTargets(q *query.Query, e *cache.Entry) bool {
	if found(e) {
		q.Verdict = verdictOf(e)
		return false
	}
	var w domain.Wire
	for at, ok := e.NextTarget(0, &w); ok; at, ok = e.NextTarget(at, &w) {
		if !s.judgeTarget(q, &w) {
			return false
		}
	}
	return true
}

// judgeTarget is judgeTargets for one name.
func (s *State) judgeTarget(q *query.Query, name *domain.Wire) bool {
	key := blocklist.KeyOf(name)
	v := s.Policy.DecideTarget(q.Start, q.Client.Group, q.Verdict, &key, s.Lists.LookupKey(&key))
	if v.Action == query.Block {
		q.Verdict = v
		return false
	}
	return true
}

// found says whether an answer is not to be given out, whoever asks, for what was found in it.
func found(e *cache.Entry) bool {
	f, _ := e.Finding()
	return f != wire.NoFinding
}

// verdictOf is what a finding means for who asks.
func verdictOf(e *cache.Entry) query.Verdict {
	v := query.Verdict{Action: query.Block}
	var f wire.Finding
	switch f, v.List = e.Finding(); f {
	case wire.BlockedUpstream:
		v.Rule = query.BlockedUpstream
	case wire.Rebinding:
		v.Rule = query.Rebinding
	case wire.NoFinding:
	}
	return v
}
