package resolver

import (
	"schoolgate/blocklist"
	"schoolgate/resolver/query"
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

// BearsIllegal says whether a name, in canonical text, holds an entry of the illegal tier in disguise (see sealed.Set.Bears).
// It is for the record: nothing is refused by it.
func (s *State) BearsIllegal(name string) bool { return s.Policy.Tier().Bears(name) }
