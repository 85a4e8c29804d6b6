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
	Spare // the same, when none did a short while ago: to be served at once, the upstreams are left alone (see Failed)
)

func (s State) String() string {
	switch s {
	case Fresh:
		return "fresh"
	case Stale:
		return "stale"
	case Spare:
		return "spare"
	case Miss:
	}
	return "miss"
}

// Cache maps a question (name, type, class, DO, CD) to an Entry; what DNSSEC proved not to exist stands for all types. Its methods may be called from many goroutines at once.
// The memory it takes is bounded by config.Cache.Size, entries, index and overhead together; not counted is what the
// garbage collector leaves lying between two runs.
type Cache struct {
	lives    lives
	staleFor uint32 // seconds
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
		staleFor: seconds(l.StaleFor.Std()),
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
	name := q.Name.Bytes()
	e, state := c.find(q, name, q.Type, now)
	if state == Fresh {
		return e, Fresh
	}
	switch none, s := c.find(q, name, noType, now); {
	case s == Fresh:
		return none, Fresh
	case state == Miss:
		e, state = none, s
	}
	s := c.shard(c.hash(q, name, q.Type))
	s.mu.Lock()
	defer s.mu.Unlock()
	if state == Miss {
		s.misses++
	} else {
		s.stale++
	}
	return e, state
}

// find looks for the entry of a name and a type, under the class and the flags of q. It counts what is fresh.
func (c *Cache) find(q *wire.Question, name []byte, typ uint16, now time.Time) (*Entry, State) {
	hash := c.hash(q, name, typ)
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.nodes[hash]
	if n == nil || !n.answers(q, name, typ) {
		return nil, Miss
	}
	state := n.state(now)
	if state == Miss {
		s.remove(n)
		return nil, Miss
	}
	n.touch()
	if state == Fresh {
		s.hits++
	}
	return &n.Entry, state
}

// Below makes an entry for q of the news that a name above it does not exist: then nothing below it does (RFC 8020). Only
// what DNSSEC proved counts (see denies). It is nil when nothing is known. The caller must know that q would be asked of the
// same servers as the name above it.
func (c *Cache) Below(q *wire.Question, now time.Time) *Entry {
	for i := 1; i < q.Name.Labels(); i++ {
		if e, state := c.find(q, q.Name.From(i), noType, now); state == Fresh {
			return e.below(q)
		}
	}
	return nil
}

// Put makes an Entry of r, the answer to q, and stores it if it may be stored: see lives for what is and for how long.
// r is only read. The entry can be answered from at once, stored or not; it is nil when r is the answer to another
// question.
//
// A failure never takes the place of an answer that can still be served: as Failed does, it has that spared for a while.
func (c *Cache) Put(q *wire.Question, r *wire.Reply, now time.Time) *Entry {
	n := new(node)
	if !n.fill(q, r, now, &c.lives) {
		return nil
	}
	c.store(n, q, now)
	return &n.Entry
}

// Failed notes that no answer to q could be had just now. For some seconds the next who asks gets the same news without
// anybody being asked (RFC 9520), or, for half a minute, the answer of the past if there is one (RFC 8767 section 5).
func (c *Cache) Failed(q *wire.Question, now time.Time) {
	n := new(node)
	n.fail(q, now)
	c.store(n, q, now)
}

func (c *Cache) store(n *node, q *wire.Question, now time.Time) {
	name := q.Name.Bytes()
	switch {
	case n.life == 0:
		return
	case n.unproven():
	case !n.Failed():
		n.afterlife = c.staleFor
	case c.spare(q, name, q.Type, now), c.spare(q, name, noType, now):
		return
	}
	n.hash = c.hash(q, name, n.typ)
	s := c.shard(n.hash)
	s.mu.Lock()
	s.put(n, now)
	s.mu.Unlock()
	if n.typ == noType { // what was known of the name is over
		c.forget(q, name, q.Type)
	} else if !n.Failed() {
		c.forget(q, name, noType)
	}
}

// spare has an answer that can still be served left as it is for a while, if there is one.
func (c *Cache) spare(q *wire.Question, name []byte, typ uint16, now time.Time) bool {
	hash := c.hash(q, name, typ)
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.nodes[hash]
	if n == nil || !n.answers(q, name, typ) || n.Failed() || n.state(now) == Miss {
		return false
	}
	n.retry = seconds(n.age(now)) + recheck
	return true
}

func (c *Cache) forget(q *wire.Question, name []byte, typ uint16) {
	hash := c.hash(q, name, typ)
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.nodes[hash]; n != nil && n.answers(q, name, typ) {
		s.remove(n)
	}
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
	Stale     uint64 // found, but past its time: Stale and Spare
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
func (c *Cache) hash(q *wire.Question, name []byte, typ uint16) uint64 {
	var key [domain.MaxWire + 5]byte
	n := copy(key[:], name)
	binary.BigEndian.PutUint16(key[n:], typ)
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
