package sealed

import (
	"errors"
	"math/bits"
	"slices"

	"schoolgate/blocklist/domain"
)

// MaxLists is how many lists a Set can hold.
const MaxLists = 16

// Errors of NewSet.
var (
	ErrOtherKey = errors.New("sealed under another key")
	ErrTooMany  = errors.New("more lists of the illegal tier than can be told apart")
)

// Set answers which lists hold a name. It is immutable and safe for concurrent use; its nil value holds nothing.
type Set struct {
	key   [16]byte
	quick quick
	lists []*List

	filter []uint64 // a bit for the first bits of each name's quick
	wide   uint8    // 64 less the number of those bits
	start  []uint32 // start[i] to start[i+1] are the slots whose hash begins with the bits of i
	shift  uint8
	slots  []slot
}

// slot is one name, with the lists that hold it as bits.
type slot struct {
	hash
	sites, hosts uint16
}

// Hit says which lists hold a name, as bits in the order of Lists.
type Hit struct {
	Sites uint16 // the name, or one above it, is listed as a whole
	Hosts uint16 // pages of exactly this host are listed
}

// NewSet makes a set of lists that were sealed under one key.
func NewSet(k *Key, lists ...*List) (*Set, error) {
	if len(lists) > MaxLists {
		return nil, ErrTooMany
	}
	s := &Set{key: k.names, quick: newQuick(k.quick), lists: slices.Clone(lists)}
	for i, l := range lists {
		if l.key != k.id {
			return nil, ErrOtherKey
		}
		for _, h := range l.sites {
			s.slots = append(s.slots, slot{hash: h, sites: 1 << i})
		}
		for _, h := range l.hosts {
			s.slots = append(s.slots, slot{hash: h, hosts: 1 << i})
		}
	}
	slices.SortFunc(s.slots, func(a, b slot) int { return compare(a.hash, b.hash) })
	out := s.slots[:0]
	for _, e := range s.slots {
		if n := len(out); n > 0 && out[n-1].hash == e.hash {
			out[n-1].sites |= e.sites
			out[n-1].hosts |= e.hosts
		} else {
			out = append(out, e)
		}
	}
	s.slots = slices.Clip(out)
	s.index()
	return s, nil
}

// filterBits is how many bits of the filter there are at least for each name: of 32 names that are not held, one at most is
// looked up in vain for each of its labels.
const filterBits = 5 // as a power of two

// index makes the filter, and as many buckets as there are slots, or up to twice as many.
func (s *Set) index() {
	width := bits.Len(uint(len(s.slots)))
	wide := min(max(width+filterBits, 6), 32)
	s.wide = uint8(64 - wide)
	s.filter = make([]uint64, 1<<(wide-6))
	for i := range s.slots {
		bit := uint64(s.slots[i].quick) << 32 >> s.wide
		s.filter[bit/64] |= 1 << (bit % 64)
	}
	s.shift = uint8(64 - width)
	s.start = make([]uint32, 1<<width+1)
	for i := range s.slots {
		s.start[s.slots[i].high>>s.shift+1]++
	}
	for i := 1; i < len(s.start); i++ {
		s.start[i] += s.start[i-1]
	}
}

// Lists gives the lists in the order of the bits of a Hit. They are borrowed.
func (s *Set) Lists() []*List {
	if s == nil {
		return nil
	}
	return s.lists
}

// All is the bits of all lists.
func (s *Set) All() uint16 { return 1<<len(s.Lists()) - 1 }

// Lookup finds the lists that hold a name. It does not allocate. For what may be held the whole of a name is looked at,
// whether anything is found on the way or not, so that the time taken tells little of what is listed.
func (s *Set) Lookup(name *domain.Wire) Hit {
	if s == nil || !s.mayHold(name) {
		return Hit{}
	}
	return s.find(name)
}

// mayHold puts a name and all above it to the filter.
func (s *Set) mayHold(name *domain.Wire) bool {
	var h, any uint64
	for i := name.Labels() - 1; i >= 0; i-- {
		h = s.quick.label(h, name.Label(i))
		bit := h >> s.wide
		any |= s.filter[bit/64] >> (bit % 64)
	}
	return any&1 != 0
}

func (s *Set) find(name *domain.Wire) (hit Hit) {
	h := newSip(s.key)
	for i := name.Labels() - 1; i >= 0; i-- {
		writeLabel(&h, name.Label(i))
		if i == name.Labels()-1 && i > 0 {
			continue // no feed lists a whole registry
		}
		end := h
		high := end.high()
		bucket := high >> s.shift
		for at := s.start[bucket]; at < s.start[bucket+1]; at++ {
			e, end := &s.slots[at], end
			if e.high == high && e.low == end.low() {
				hit.Sites |= e.sites
				if i == 0 {
					hit.Hosts = e.hosts
				}
			}
		}
	}
	return hit
}
