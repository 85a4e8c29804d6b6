package dnssec

import (
	"container/list"
	"sync"
	"time"
)

// standing is what is known of a name as a place where a zone may begin.
type standing uint8

const (
	signed    standing = iota // a zone begins here, and its keys are proven
	unsigned                  // a zone begins here, proven to be without keys that can be used
	continued                 // the zone above goes on here
	absent                    // the zone above proves that there is no such name
	broken                    // a zone that must be signed begins here, and its keys cannot be proven
)

// zone is what is known of one name. It is immutable.
type zone struct {
	name  string
	is    standing
	keys  []*key // of a signed one
	fault *Fault // of an unsigned or broken one: why
	late  bool   // of a signed one: proven by signatures that the time, which is not proven, speaks against
	until time.Time
}

// size is about how many bytes it takes in the store.
func (z *zone) size() int {
	n := 256 + 2*len(z.name)
	for _, k := range z.keys {
		n += 256 + 2*len(k.data)
	}
	return n
}

// How long what is known of a zone is kept, whatever its TTLs say.
const (
	leastKept = 10 * time.Second // or a TTL of 0 has everything asked again for each question
	mostKept  = 12 * time.Hour
	faultKept = 30 * time.Second // a broken zone: soon enough that a repair is seen
)

// keep makes the time until which something with a TTL is known.
func keep(now time.Time, ttl uint32) time.Time {
	return now.Add(min(max(time.Duration(ttl)*time.Second, leastKept), mostKept))
}

// maxStore bounds the store in bytes.
const maxStore = 4 << 20

// store keeps zones, and lets go of those that were not used for longest.
type store struct {
	mu    sync.Mutex // guards the rest
	zones map[string]*list.Element
	order *list.List // of *zone, the last used one first
	bytes int
}

func newStore() *store { return &store{zones: map[string]*list.Element{}, order: list.New()} }

// get finds what is known of a name now, nil for nothing.
func (s *store) get(name string, now time.Time) *zone {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.zones[name]
	if e == nil {
		return nil
	}
	z := e.Value.(*zone)
	if !now.Before(z.until) || z.until.Sub(now) > mostKept { // the latter: the clock was set back
		s.drop(e)
		return nil
	}
	s.order.MoveToFront(e)
	return z
}

func (s *store) put(z *zone) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.zones[z.name]; e != nil {
		s.drop(e)
	}
	s.zones[z.name] = s.order.PushFront(z)
	s.bytes += z.size()
	for s.bytes > maxStore {
		s.drop(s.order.Back())
	}
}

func (s *store) drop(e *list.Element) {
	z := s.order.Remove(e).(*zone)
	delete(s.zones, z.name)
	s.bytes -= z.size()
}

// counts is how many zones are known, and the bytes they take.
func (s *store) counts() (zones, bytes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.zones), s.bytes
}
