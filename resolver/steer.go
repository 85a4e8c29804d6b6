package resolver

import (
	"context"
	"encoding/binary"
	"errors"

	"schoolgate/blocklist/domain"
	"schoolgate/resolver/cache"
	"schoolgate/resolver/query"
	"schoolgate/resolver/upstream"
	"schoolgate/resolver/wire"
)

// steerTTL is how long a client may keep the alias to a safe search, in seconds.
const steerTTL = 300

// steer answers a question whose verdict has a target with an alias to it and, for addresses, what that has, if nobody must
// be asked for it. Every type gets the alias: an HTTPS record of the original name, or the hints in it, would lead around it.
func (r *Resolver) steer(s *State, q *query.Query, req, dst []byte) (out []byte, done bool) {
	var target wire.Question
	if err := aim(&target, q); err != nil {
		return fail(q, req, dst, err), true
	}
	if target.Type != wire.TypeA && target.Type != wire.TypeAAAA {
		return lead(s, q, req, dst, &target, nil, query.Policy), true
	}
	switch e, state := r.cache.Get(&target, q.Start); state {
	case cache.Fresh:
		return lead(s, q, req, dst, &target, e, query.Cache), true
	case cache.Spare:
		return lead(s, q, req, dst, &target, e, query.Stale), true
	case cache.Stale, cache.Miss:
	}
	return dst, false
}

// steerAsking is steer for a target that somebody must be asked for. A safe form that cannot be had is a failure: the
// client is never given the name's own addresses.
func (r *Resolver) steerAsking(ctx context.Context, s *State, q *query.Query, req, dst []byte) []byte {
	var target wire.Question
	if err := aim(&target, q); err != nil {
		return fail(q, req, dst, err)
	}
	e, source, err := r.fetch(ctx, s, &target, q.Start)
	if err != nil {
		return fail(q, req, dst, err)
	}
	return lead(s, q, req, dst, &target, e, source)
}

// aim makes target the question for what q is led to. The alias is ours and no signature covers it, so nobody is asked for
// signatures of the rest.
func aim(target *wire.Question, q *query.Query) error {
	target.Type, target.Class = q.Question.Type, q.Question.Class
	err := target.Name.SetName(q.Verdict.Target)
	target.End = requestHead + len(target.Name.Bytes()) + 4
	return err
}

// requestHead is the length of a message's header.
const requestHead = 12

// lead answers with an alias to target and what e, from source, says of that; e is nil when nothing is said of it.
func lead(s *State, q *query.Query, req, dst []byte, target *wire.Question, e *cache.Entry, source query.Source) []byte {
	if e != nil && found(e) {
		q.Verdict = verdictOf(e)
		return s.refuse(q, req, dst)
	}
	if q.Verdict.Rule == query.LocalName && (!s.judgeTarget(q, &target.Name) || e != nil && !s.judgeTargets(q, e)) {
		return s.refuse(q, req, dst)
	}
	if e != nil && e.RCode() != wire.NoError {
		return fail(q, req, dst, errServfail)
	}
	var ask [requestHead + domain.MaxWire + 4]byte
	whole, why := dst, wire.EDE{} // what is said of target stands behind dst until the answer, behind that, takes its place
	request := append(ask[:requestHead], target.Name.Bytes()...)
	request = binary.BigEndian.AppendUint16(request, target.Type)
	request = binary.BigEndian.AppendUint16(request, target.Class)
	switch {
	case e == nil:
	case source == query.Stale:
		why = staleAnswer
		whole = e.AppendStale(dst, request, target, wire.EDE{})
	default:
		whole = e.Append(dst, request, target, q.Start)
	}
	out, ok := wire.AppendAliased(whole, req, &q.Question, target.Name.Bytes(), steerTTL, whole[len(dst):], why)
	if !ok {
		return fail(q, req, dst, errMalformed)
	}
	q.Source, q.RCode = source, wire.NoError
	return append(dst, out[len(whole):]...)
}

// fail answers SERVFAIL with the reason that a person can act on.
func fail(q *query.Query, req, dst []byte, err error) []byte {
	q.Source, q.RCode = query.None, wire.ServFail
	why := unreachable
	switch {
	case errors.Is(err, upstream.ErrNoServers):
		why = noUpstream
	case errors.Is(err, upstream.ErrBusy):
		why = busy
	case errors.Is(err, errServfail):
		why = unresolved
	}
	return wire.AppendError(dst, req, &q.Question, wire.ServFail, why)
}
