package resolver

import (
	"strings"

	"schoolgate/blocklist"
	"schoolgate/blocklist/domain"
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

// What BearsIllegal looks at, so that a long name costs no more than a short one: so many pieces, and so many labels
// taken away behind.
const (
	maxPieces = 8
	maxSearch = 8
)

// BearsIllegal says whether a name, in canonical text, holds an entry of the illegal tier in disguise: with other labels
// behind it, as a system makes when it tries the names of its search list in turn, or among characters that no host
// name has, as when an address of a page is taken for a name. It is for the record: nothing is refused by it. It costs
// at most some dozen look-ups.
func (s *State) BearsIllegal(name string) bool {
	if s.Policy.NoIllegal() {
		return false
	}
	pieces := 0
	for piece := range strings.FieldsFuncSeq(plain(name), func(r rune) bool { return !hostRune(r) }) {
		if pieces++; pieces > maxPieces {
			return false
		}
		piece = strings.Trim(piece, ".")
		if piece != name && s.illegal(piece) {
			return true
		}
		for range maxSearch {
			cut := strings.LastIndexByte(piece, '.')
			if cut < 0 {
				break
			}
			if piece = piece[:cut]; s.illegal(piece) {
				return true
			}
		}
	}
	return false
}

// plain puts a space for each escaped byte, \DDD, of a name in canonical text.
func plain(name string) string {
	for {
		i := strings.IndexByte(name, '\\')
		if i < 0 {
			return name
		}
		name = name[:i] + " " + name[min(i+4, len(name)):]
	}
}

func hostRune(r rune) bool {
	return 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' || r == '_' || r == '.'
}

func (s *State) illegal(name string) bool {
	var w domain.Wire
	return strings.Contains(name, ".") && w.SetName(domain.Name(name)) == nil && s.Policy.Illegal(&w)
}
