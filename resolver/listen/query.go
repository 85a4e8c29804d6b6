package listen

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"runtime/debug"
	"time"

	"schoolgate/resolver/query"
	"schoolgate/resolver/wire"
)

// outcome is what becomes of a request after the first look.
type outcome uint8

const (
	answered outcome = iota // resp is the answer; empty means that none is sent
	missed                  // Resolve has to be asked
	dropped                 // no request at all, or not worth an answer: neither answered nor recorded
	told                    // resp says no more than how to ask: it is sent, and not recorded
)

// begin makes q a new query. Question is left to ParseQuestion, which overwrites it.
func begin(q *query.Query, start time.Time, lane int, proto query.Proto, client netip.Addr) {
	q.Start, q.Lane, q.Proto, q.Proven = start, lane, proto, proto != query.UDP
	q.Ident, q.Asked = "", netip.Addr{}
	q.Client = query.Client{Addr: client}
	q.Verdict = query.Verdict{}
	q.Source, q.RCode, q.Duration = query.None, 0, 0
}

// first parses a request and answers it if that can be done at once. A panic on the way is that query's SERVFAIL.
func (s *Server) first(q *query.Query, st Standing, req, dst []byte) (resp []byte, what outcome) {
	parsed := false
	defer func() {
		if p := recover(); p != nil {
			s.panicked(p)
			resp, what = nil, dropped
			if parsed {
				resp, what = s.servFail(q, req, dst, wire.EDE{}), answered
			}
		}
	}()
	if err := s.parse(q, req); err != nil {
		rcode, ok := wire.Answer(err)
		if !ok {
			s.counts.notRequests.Add(1)
			return nil, dropped
		}
		s.counts.malformed.Add(1)
		q.RCode = rcode
		return wire.AppendError(dst, req, &q.Question, rcode, wire.EDE{}), answered
	}
	parsed = true
	switch {
	case st == Outside: // over a stream that began when it was not
		return wire.AppendError(dst, req, &q.Question, wire.Refused, notAnswered), told
	case s.crowded(q, st):
		return challenge(q, req, dst), told
	case s.overRate(q, st):
		return wire.AppendError(dst, req, &q.Question, wire.ServFail, errTooFast), told
	}
	resp, done := s.Inline(q, req, dst)
	if !done {
		return nil, missed
	}
	return resp, answered
}

// parse reads a request and judges its cookie: also what is answered with an error brings the client one.
func (s *Server) parse(q *query.Query, req []byte) error {
	err := wire.ParseQuestion(req, &q.Question)
	c := &q.Question.Cookie
	brought := c.Len > wire.ClientCookie
	switch {
	case c.Len == 0:
	case s.jar.Judge(c, q.Client.Addr, q.Start):
		q.Proven = true
	case brought && err == wire.RCodeError(wire.NoError): //nolint:errorlint // nobody wraps it
		return wire.RCodeError(wire.BadCookie)
	}
	return err
}

// resolve calls Resolve with its time limit; a panic in it is answered as in first.
func (s *Server) resolve(ctx context.Context, q *query.Query, req, dst []byte) (resp []byte) {
	defer func() {
		if p := recover(); p != nil {
			s.panicked(p)
			resp = s.servFail(q, req, dst, wire.EDE{})
		}
	}()
	return s.Resolve(s.spans.join(ctx, s.Limits.Answer), q, req, dst)
}

// standing says what an address is.
func (s *Server) standing(client netip.Addr) Standing {
	if s.Standing == nil {
		return Ordinary
	}
	return s.Standing(client)
}

// servFail answers a request that was parsed before. It is parsed again, as what panicked may have left q in any state.
func (s *Server) servFail(q *query.Query, req, dst []byte, ede wire.EDE) []byte {
	_ = s.parse(q, req)
	q.Source, q.RCode = query.None, wire.ServFail
	return wire.AppendError(dst[:0], req, &q.Question, wire.ServFail, ede)
}

// finish completes the facts about a query whose answer has been written, and hands it on.
func (s *Server) finish(q *query.Query, resp []byte, end time.Time) {
	if q.RCode < 16 && len(resp) > 3 { // what was sent counts; the upper bits are not in the header
		q.RCode = uint16(resp[3] & 0x0f)
	}
	q.Duration = end.Sub(q.Start)
	if s.Done == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			s.panicked(p)
		}
	}()
	s.Done(q)
}

// panicked counts a panic and logs it, once a minute at most. The value is only told if the runtime made it: one made
// elsewhere may hold the name that was asked for.
func (s *Server) panicked(p any) {
	s.counts.panics.Add(1)
	now := s.Now().Unix()
	last := s.panicLog.Load()
	if now-last < 60 || !s.panicLog.CompareAndSwap(last, now) {
		return
	}
	what := fmt.Sprintf("%T", p)
	if e, ok := p.(runtime.Error); ok {
		what = e.Error()
	}
	s.Log.Error("a query panicked and was answered SERVFAIL", "panic", what, "stack", string(debug.Stack()))
}
