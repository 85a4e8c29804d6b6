// Package cache keeps answers as wire bytes: aged, negative and, when no upstream answers, stale.
package cache

import (
	"encoding/binary"
	"hash/maphash"
	"time"

	"schoolgate/blocklist/domain"
	"schoolgate/config"
	"schoolgate/resolver/wire"
)

const (
	mostShards = 32
	shardBytes = 128 << 10 // fewer shards rather than smaller ones
)

// State is what Get found.
type State uint8

// The states.
const (
	Miss State = iota
	Fresh
	Stale // past its time; to be served only when no upstream answers (RFC 8767)
)

func (s State) String() string {
	switch s {
	case Fresh:
		return "fresh"
	case Stale:
		return "stale"
	case Miss:
	}
	return "miss"
}

// Cache maps a question (name, type, class, DO, CD) to an Entry. Its methods may be called from many goroutines at once.
// The memory it takes is bounded by config.Cache.Size, entries, index and overhead together; not counted is what the
// garbage collector leaves lying between two runs.
type Cache struct {
	lives    lives
	staleFor time.Duration
	seed     maphash.Seed
	shards   []shard // a power of two
}

// New makes an empty cache. With a size of zero it stores nothing.
func New(l config.Cache) *Cache {
	n := 1
	for n < mostShards && int64(l.Size) >= int64(2*n)*shardBytes {
		n *= 2
	}
	c := &Cache{
		lives:    newLives(l.MinTTL.Std(), l.MaxTTL.Std()),
		staleFor: max(l.StaleFor.Std(), 0),
		seed:     maphash.MakeSeed(),
		shards:   make([]shard, n),
	}
	for i := range c.shards {
		c.shards[i].init(int(min(max(int64(l.Size)/int64(n), 0), 1<<30)))
	}
	return c
}

// Get finds what is kept for q, nil on Miss. It does not allocate. The entry stays valid for as long as it is held, also
// when the cache lets go of it.
func (c *Cache) Get(q *wire.Question, now time.Time) (*Entry, State) {
	hash := c.hash(q)
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.nodes[hash]
	if n == nil || !n.answers(q) {
		s.misses++
		return nil, Miss
	}
	switch age := n.age(now); {
	case age < n.life:
		s.hits++
		n.touch()
		return &n.Entry, Fresh
	case age < n.life+n.afterlife:
		s.stale++
		n.touch()
		return &n.Entry, Stale
	}
	s.remove(n)
	s.misses++
	return nil, Miss
}

// Put makes an Entry of r, the answer to q, and stores it if it may be stored: see lives for what is and for how long.
// r is only read. The entry can be answered from at once, stored or not; it is nil when r is the answer to another
// question.
//
// A SERVFAIL never takes the place of an answer that can still be served stale.
func (c *Cache) Put(q *wire.Question, r *wire.Reply, now time.Time) *Entry {
	n := new(node)
	if !n.fill(q, r, now, &c.lives) {
		return nil
	}
	if n.life <= 0 {
		return &n.Entry
	}
	if !n.failed() {
		n.afterlife = c.staleFor
	}
	n.hash = c.hash(q)
	s := c.shard(n.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(n, now)
	return &n.Entry
}

// Flush forgets every entry. The counters stay.
func (c *Cache) Flush() {
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		s.clear()
		s.mu.Unlock()
	}
}

// Stats is the state of a cache and what it did since it was made.
type Stats struct {
	Entries   int
	Bytes     int64 // all in; at most config.Cache.Size
	Hits      uint64
	Misses    uint64
	Stale     uint64 // found, but past its time
	Evictions uint64 // entries that had to make room
}

// Stats adds up the shards, each at its own moment.
func (c *Cache) Stats() Stats {
	var t Stats
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		t.Entries += len(s.nodes)
		t.Bytes += int64(s.small.bytes + s.main.bytes + s.fixed())
		t.Hits += s.hits
		t.Misses += s.misses
		t.Stale += s.stale
		t.Evictions += s.evictions
		s.mu.Unlock()
	}
	return t
}

// hash is over all that makes questions different. It is seeded, so nobody outside can aim at one shard.
func (c *Cache) hash(q *wire.Question) uint64 {
	var key [domain.MaxWire + 5]byte
	n := copy(key[:], q.Name.Bytes())
	binary.BigEndian.PutUint16(key[n:], q.Type)
	binary.BigEndian.PutUint16(key[n+2:], q.Class)
	key[n+4] = flags(q)
	return maphash.Bytes(c.seed, key[:n+5])
}

func flags(q *wire.Question) (f byte) {
	if q.DO {
		f |= 1
	}
	if q.CD {
		f |= 2
	}
	return f
}

func (c *Cache) shard(hash uint64) *shard { return &c.shards[hash&uint64(len(c.shards)-1)] }
