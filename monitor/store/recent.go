package store

// recent remembers the texts that were entered lately: limit of them at least, twice as many at most, whatever is asked of
// it. It is two generations of a set: when the young one is full it becomes the old one, and what is asked for in the old
// one becomes young again.
type recent struct {
	young, old map[string]struct{}
	limit      int
}

func newRecent(limit int) recent { return recent{young: make(map[string]struct{}), limit: limit} }

func (r *recent) has(s string) bool {
	if _, ok := r.young[s]; ok {
		return true
	}
	_, ok := r.old[s]
	if ok {
		r.add(s)
	}
	return ok
}

// add keeps s itself.
func (r *recent) add(s string) {
	if len(r.young) >= r.limit {
		r.old, r.young = r.young, make(map[string]struct{})
	}
	r.young[s] = struct{}{}
}
