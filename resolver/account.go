package resolver

import (
	"schoolgate/blocklist"
	"schoolgate/resolver/cache"
	"schoolgate/resolver/query"
	"schoolgate/resolver/wire"
)

// Account finds out whose a question was that was answered with an error before it was judged, and judges it for the
// record's sake: probing for names of the illegal tier by odd classes or types is no less than asking for them.
func (r *Resolver) Account(q *query.Query) {
	s := r.state.Load()
	s.Identify(q)
	key := blocklist.KeyOf(&q.Question.Name)
	if v := s.Policy.Decide(q.Start, q.Client.Group, &key, s.Lists.LookupKey(&key)); v.Rule.Withheld() {
		q.Verdict = v
	}
}

// Judge finds out whose q is and what holds for its name, of which Start, Client.Addr and Question.Name are filled in, as far
// as that is known without asking anybody, and gives what the client may be told of it. It is for what speaks to clients
// otherwise than by DNS.
func (r *Resolver) Judge(q *query.Query) (told query.Verdict) {
	s := r.state.Load()
	s.Identify(q)
	key := blocklist.KeyOf(&q.Question.Name)
	q.Verdict = s.Policy.Decide(q.Start, q.Client.Group, &key, s.Lists.LookupKey(&key))
	q.Question.Class = wire.ClassIN
	for _, t := range [...]uint16{wire.TypeA, wire.TypeAAAA, wire.TypeHTTPS} {
		if q.Verdict.Action != query.Allow {
			break
		}
		q.Question.Type = t
		if e, state := r.cache.Get(&q.Question, q.Start); state != cache.Miss {
			s.judgeTargets(q, e)
		}
	}
	return s.Policy.Told(q.Client.Group, q.Verdict)
}

// BearsIllegal says whether a name, in canonical text, holds an entry of the illegal tier in disguise (see sealed.Set.Bears).
// It is for the record: nothing is refused by it.
func (s *State) BearsIllegal(name string) bool { return s.Policy.Tier().Bears(name) }
