package resolver

import (
	"context"
	"errors"

	"github.com/miekg/dns"

	"schoolgate/blocklist/domain"
	"schoolgate/resolver/cache"
	"schoolgate/resolver/query"
	"schoolgate/resolver/upstream"
	"schoolgate/resolver/wire"
)

// steerTTL is how long a client may keep the alias to a safe search, in seconds.
const steerTTL = 300

// steer answers a rewritten question with an alias and, for addresses, what the alias leads to. Every type gets the
// alias: an HTTPS record of the original name would lead around it.
func (r *Resolver) steer(ctx context.Context, s *State, q *query.Query, req, dst []byte) []byte {
	target := q.Question
	target.DO, target.CD = false, false // the alias is ours, no signature covers it
	if err := target.Name.SetName(q.Verdict.Target); err != nil {
		return fail(q, req, dst, err)
	}
	alias := &dns.CNAME{
		Hdr:    dns.RR_Header{Name: presentation(&q.Question.Name), Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: steerTTL},
		Target: presentation(&target.Name),
	}
	m := new(dns.Msg)
	m.Response = true
	m.Question = []dns.Question{{Name: alias.Hdr.Name, Qtype: q.Question.Type, Qclass: q.Question.Class}}
	m.Answer = []dns.RR{alias}
	q.Source = query.Policy
	if t := q.Question.Type; t == dns.TypeA || t == dns.TypeAAAA {
		e, source, err := r.fetch(ctx, s, &target, q.Start)
		if err != nil {
			return fail(q, req, dst, err)
		}
		if found(e) {
			q.Verdict = verdictOf(e)
			return s.refuse(q, req, dst)
		}
		addresses, err := records(e, source, &target, q)
		if err != nil {
			return fail(q, req, dst, err)
		}
		m.Answer = append(m.Answer, addresses...)
		q.Source = source
	}
	m.Compress = true
	packed, err := m.Pack()
	if err != nil {
		return fail(q, req, dst, err)
	}
	// The question is as long in the packed message as in the request, so what follows can be taken as it is.
	h := wire.Header{Answers: uint16(len(m.Answer))}
	q.RCode = wire.NoError
	return wire.AppendReply(dst, req, &q.Question, h, packed[q.Question.End:], wire.EDE{})
}

// records are those of the answer to target.
func records(e *cache.Entry, source query.Source, target *wire.Question, q *query.Query) ([]dns.RR, error) {
	if e.RCode() != wire.NoError {
		return nil, errServfail
	}
	var m dns.Msg
	m.SetQuestion(presentation(&target.Name), target.Type)
	ask, err := m.Pack()
	if err != nil {
		return nil, err
	}
	if err := wire.ParseQuestion(ask, target); err != nil {
		return nil, err
	}
	packed := e.Append(nil, ask, target, q.Start)
	if source == query.Stale {
		packed = e.AppendStale(nil, ask, target, wire.EDE{})
	}
	if err := m.Unpack(packed); err != nil {
		return nil, err
	}
	return m.Answer, nil
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

// presentation is the name as miekg/dns writes it, which escapes fewer bytes than the canonical text.
func presentation(w *domain.Wire) string {
	name, _, err := dns.UnpackDomainName(w.Bytes(), 0)
	if err != nil {
		panic(err) // a name that was read off the wire
	}
	return name
}
