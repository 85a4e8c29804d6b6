package update

import (
	"time"

	"schoolgate/blocklist"
	"schoolgate/blocklist/domain"
	"schoolgate/config"
)

// Conflict is a name that a list blocks, and that schools need or that is popular.
type Conflict struct {
	Name      domain.Name `json:"name"`
	Essential bool        `json:"essential,omitempty"` // schools need it; else it is merely popular
	New       bool        `json:"new,omitempty"`       // the version before did not block it
}

// Conflicts is what one version of a list blocks of the names that must resolve and of those that are popular.
type Conflicts struct {
	Essential int        `json:"essential,omitempty"` // names that schools need
	Popular   int        `json:"popular,omitempty"`   // names that are popular
	New       int        `json:"new,omitempty"`       // of both, that the version before did not block
	Since     time.Time  `json:"since,omitzero"`      // when New was counted
	Names     []Conflict `json:"names,omitempty"`     // the first maxConflicts of them, new ones first; none of the illegal tier
	Guard     string     `json:"guard,omitempty"`     // which names were looked for
}

// maxConflicts is how many conflicts of one version are told one by one.
const maxConflicts = 200

// guard knows the names that lists are checked against. It is never changed after newGuard.
type guard struct {
	names     []domain.Name // essential ones first, each once
	essential int           // how many of them
	above     map[domain.Name]bool
	id        string
}

// newGuard gives nil when there is nothing to guard.
func newGuard(essential, popular []domain.Name) *guard {
	g := &guard{above: make(map[domain.Name]bool)}
	seen := make(map[domain.Name]bool)
	var parts []string
	for i, names := range [][]domain.Name{essential, popular} {
		for _, n := range names {
			if seen[n] || n == "" {
				continue
			}
			seen[n] = true
			g.names = append(g.names, n)
			parts = append(parts, string(n))
			for up, ok := n, true; ok && up != ""; up, ok = up.Parent() {
				g.above[up] = true
			}
		}
		if i == 0 {
			g.essential = len(g.names)
			parts = append(parts, "")
		}
	}
	if len(g.names) == 0 {
		return nil
	}
	g.id = digest(parts...)[:16]
	return g
}

// sieve gathers the few rules of one list that speak of guarded names.
type sieve struct {
	*guard
	rules map[blocklist.Rule]bool // bounded by the guarded names, however often a list repeats them
}

func (g *guard) sieve() *sieve { return &sieve{g, make(map[blocklist.Rule]bool)} }

func (s *sieve) add(r blocklist.Rule) {
	if s != nil && s.guard != nil && s.above[r.Name] {
		s.rules[r] = true
	}
}

// hits gives the places in names of those that the list blocks and that its configuration does not accept.
func (s *sieve) hits(l config.List) (map[int]bool, error) {
	out := make(map[int]bool)
	if s == nil || s.guard == nil || len(s.rules) == 0 {
		return out, nil
	}
	b := blocklist.NewBuilder([]blocklist.Info{{Name: l.Name}}, "")
	for r := range s.rules {
		if err := b.Add(0, r); err != nil && !aboutRule(err) {
			return nil, err
		}
	}
	set, err := b.Build()
	if err != nil {
		return nil, err
	}
	for i, n := range s.names {
		var w domain.Wire
		if accepted(l, n) || w.SetName(n) != nil || set.Lookup(&w).Empty() {
			continue
		}
		out[i] = true
	}
	return out, nil
}

func accepted(l config.List, n domain.Name) bool {
	for _, a := range l.Accept {
		if n.Within(a) {
			return true
		}
	}
	return false
}

// conflicts tells hits apart from those that a version had before. Of a list's first version only what schools need is
// new: whoever adds a list of social networks means the popular ones.
func (g *guard) conflicts(l config.List, hits, before map[int]bool, first bool, now time.Time) Conflicts {
	if g == nil {
		return Conflicts{}
	}
	c := Conflicts{Guard: g.id}
	var fresh, known []Conflict
	for i, n := range g.names {
		if !hits[i] {
			continue
		}
		k := Conflict{Name: n, Essential: i < g.essential, New: !before[i] && (!first || i < g.essential)}
		if k.Essential {
			c.Essential++
		} else {
			c.Popular++
		}
		if k.New {
			c.New++
			fresh = append(fresh, k)
		} else {
			known = append(known, k)
		}
	}
	if c.New > 0 {
		c.Since = now
	}
	if l.Category != config.IllegalTier {
		all := append(fresh, known...)
		c.Names = all[:min(len(all), maxConflicts)]
	}
	return c
}
