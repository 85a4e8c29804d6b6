package store

// interned remembers the ids of things that were entered lately: of limit at least, of twice as many at most, whatever is
// asked of it. It is two generations of a map: when the young one is full it becomes the old one, and what is asked for in
// the old one becomes young again.
type interned[K comparable] struct {
	young, old map[K]int64
	limit      int
	next       int64 // the id of what is entered next
}

func newInterned[K comparable](limit int) *interned[K] {
	return &interned[K]{young: make(map[K]int64), limit: limit, next: 1}
}

// id is the one that k has, or else a new one: then k is yet to be entered under it.
func (i *interned[K]) id(k K) (id int64, isNew bool) {
	id, ok := i.get(k)
	if !ok {
		id = i.next
		i.put(k, id)
	}
	return id, !ok
}

// get is the id that k has, if it is remembered.
func (i *interned[K]) get(k K) (id int64, ok bool) {
	if id, ok := i.young[k]; ok {
		return id, true
	}
	if id, ok = i.old[k]; ok {
		i.put(k, id)
	}
	return id, ok
}

// put remembers the id of k.
func (i *interned[K]) put(k K, id int64) {
	if len(i.young) >= i.limit {
		i.old, i.young = i.young, make(map[K]int64)
	}
	i.young[k] = id
	i.next = max(i.next, id+1)
}

func (i *interned[K]) len() int { return len(i.young) + len(i.old) }
