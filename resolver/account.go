package resolver

import (
	"strings"

	"schoolgate/blocklist/domain"
	"schoolgate/resolver/query"
)

// Account finds out whose a question was that was answered with an error before it was judged, and judges it for the
// record's sake: probing for names of the illegal tier by odd classes or types is no less than asking for them.
func (r *Resolver) Account(q *query.Query) {
	s := r.state.Load()
	s.Identify(q)
	name := &q.Question.Name
	if v := s.Policy.Decide(q.Start, q.Client.Group, name, s.Lists.Lookup(name)); v.Rule == query.Illegal {
		q.Verdict = v
	}
}

// BearsIllegal says whether a name, in canonical text, is an entry of the illegal tier with other labels behind it, as a
// system makes when it tries the names of its search list in turn. It is for the record: nothing is refused by it.
func (s *State) BearsIllegal(name string) bool {
	if s.Policy.NoIllegal() {
		return false
	}
	var w domain.Wire
	for cut := strings.LastIndexByte(name, '.'); cut > 0; cut = strings.LastIndexByte(name[:cut], '.') {
		if err := w.SetName(domain.Name(name[:cut])); err != nil {
			return false // Withheld and the like: no name
		}
		if w.Labels() > 1 && s.Policy.Illegal(s.Lists.Lookup(&w)) {
			return true
		}
	}
	return false
}
