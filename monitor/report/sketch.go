package report

import (
	"cmp"
	"math/bits"
	"slices"
)

// sketch keeps what is counted most, in bounded memory. Until more keys than the limit have come it is exact. Then the
// lower half is forgotten, and floor is the most that anything forgotten had been counted: so a key that is absent was
// counted floor times at most, and the count of a key that is present lacks at most what its entry says.
type sketch[K comparable, V any] struct {
	limit   int
	entries map[K]*entry[V]
	floor   int64
	compare func(a, b K) int // decides between equal counts, so that the same record always gives the same report
}

type entry[V any] struct {
	n      int64
	missed int64 // at most so many were forgotten
	v      V
}

func newSketch[K comparable, V any](limit int, compare func(a, b K) int) *sketch[K, V] {
	return &sketch[K, V]{limit: limit, entries: map[K]*entry[V]{}, compare: compare}
}

// add counts n for k and gives its entry. The entry is good until the next call.
func (s *sketch[K, V]) add(k K, n int64) *entry[V] {
	e := s.entries[k]
	if e == nil {
		if len(s.entries) >= s.limit {
			s.forget()
		}
		e = &entry[V]{missed: s.floor}
		s.entries[k] = e
	}
	e.n += n
	return e
}

func (s *sketch[K, V]) forget() {
	keys := s.sorted(func(a, b *entry[V]) int { return cmp.Compare(a.n, b.n) })
	for _, k := range keys[:(len(keys)+1)/2] {
		e := s.entries[k]
		s.floor = max(s.floor, e.n+e.missed)
		delete(s.entries, k)
	}
}

// sorted gives the keys in the order of their entries, equal ones in that of the keys.
func (s *sketch[K, V]) sorted(by func(a, b *entry[V]) int) []K {
	keys := make([]K, 0, len(s.entries))
	for k := range s.entries {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b K) int { return cmp.Or(by(s.entries[a], s.entries[b]), s.compare(a, b)) })
	return keys
}

// set is a set of small numbers: a few in a list, many in a bit field.
type set struct {
	few  []uint16
	many []uint64
}

const fewAtMost = 16

func (s *set) add(i uint16) {
	if s.many == nil {
		if slices.Contains(s.few, i) {
			return
		}
		if len(s.few) < fewAtMost {
			s.few = append(s.few, i)
			return
		}
		for _, j := range s.few {
			s.set(j)
		}
		s.few = nil
	}
	s.set(i)
}

func (s *set) set(i uint16) {
	if w := int(i / 64); w >= len(s.many) {
		s.many = append(s.many, make([]uint64, w+1-len(s.many))...)
	}
	s.many[i/64] |= 1 << (i % 64)
}

func (s *set) len() int {
	n := len(s.few)
	for _, w := range s.many {
		n += bits.OnesCount64(w)
	}
	return n
}

// join puts what o has into s.
func (s *set) join(o *set) {
	for _, i := range o.few {
		s.add(i)
	}
	for w, v := range o.many {
		for ; v != 0; v &= v - 1 {
			s.add(uint16(w*64 + bits.TrailingZeros64(v)))
		}
	}
}
