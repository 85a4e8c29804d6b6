package cache

import (
	"sync"
	"time"
)

// What an entry takes beside its blob and offsets, by measurement (see TestSizeIsHonest).
const (
	nodeBytes  = 144 // less on 32-bit machines
	indexBytes = 48  // its slot in the map, which is between half and nearly full
	shardFixed = 640 // the shard itself and an empty map
	ghostShare = 512 // bytes of the limit for each slot of 4 bytes in the ghost table
	most       = 3   // hits that are remembered
)

// node is an Entry in its shard. All but the Entry is guarded by the shard's mutex.
type node struct {
	Entry
	hash       uint64
	prev, next *node
	size       int32
	retry      uint32 // age in seconds from which on it is worth asking upstream again: see Cache.Failed
	hits       uint8  // since it was last spared, up to most
	main       bool   // in which queue
}

// state is what it is worth at an age.
func (n *node) state(now time.Time) State {
	switch age := n.age(now); {
	case age < time.Duration(n.life)*time.Second:
		return Fresh
	case age >= time.Duration(n.life)*time.Second+time.Duration(n.afterlife)*time.Second:
		return Miss
	case age < time.Duration(n.retry)*time.Second:
		return Spare
	}
	return Stale
}

func (n *node) touch() { n.hits = min(n.hits+1, most) }

// queue is a list in the order of arrival.
type queue struct {
	root  node // its next is the newest, its prev the oldest
	bytes int
}

func (q *queue) init() { q.root.next, q.root.prev, q.bytes = &q.root, &q.root, 0 }

func (q *queue) push(n *node) {
	n.prev, n.next = &q.root, q.root.next
	n.prev.next, n.next.prev = n, n
	q.bytes += int(n.size)
}

func (q *queue) remove(n *node) {
	n.prev.next, n.next.prev = n.next, n.prev
	n.prev, n.next = nil, nil // who still holds the entry must not hold its neighbours
	q.bytes -= int(n.size)
}

func (q *queue) oldest() *node {
	if q.root.prev == &q.root {
		return nil
	}
	return q.root.prev
}

// shard is one part of a cache. What has to go when room is short is found as in S3-FIFO (Yang and others, 2023): new
// entries wait in a small queue of a tenth of the bytes, and only those asked for again while there, or soon after they
// left (the ghost table remembers), come into the main queue. So a client that asks for ever new names pushes out but
// what others have just asked for once. In the main queue an entry is spared once for each of its last hits.
type shard struct {
	mu          sync.Mutex // guards all
	nodes       map[uint64]*node
	small, main queue
	ghost       []uint32 // marks of hashes that left the small queue, each in the one slot it can have
	limit       int      // for both queues together
	hits        uint64
	misses      uint64
	stale       uint64
	evictions   uint64
}

func (s *shard) init(limit int) {
	s.ghost = make([]uint32, limit/ghostShare)
	s.limit = max(limit-s.fixed(), 0)
	s.clear()
}

// fixed is what the shard takes when it is empty.
func (s *shard) fixed() int { return 4*len(s.ghost) + shardFixed }

func (s *shard) clear() {
	s.nodes = make(map[uint64]*node)
	s.small.init()
	s.main.init()
	clear(s.ghost)
}

// put stores n in place of what has its hash.
func (s *shard) put(n *node, now time.Time) {
	n.size = int32(nodeBytes + indexBytes + cap(n.blob) + max(8, 2*cap(n.offsets)))
	if int(n.size) > s.limit/8 {
		return // one answer must not empty the shard
	}
	if old := s.nodes[n.hash]; old != nil {
		if n.Failed() && !old.Failed() && old.state(now) != Miss {
			return // it came just now
		}
		n.main, n.hits = old.main, old.hits
		s.remove(old)
	} else {
		n.main = s.haunted(n.hash)
	}
	s.nodes[n.hash] = n
	s.of(n).push(n)
	for s.small.bytes+s.main.bytes > s.limit {
		s.evict(now)
	}
}

func (s *shard) of(n *node) *queue {
	if n.main {
		return &s.main
	}
	return &s.small
}

func (s *shard) remove(n *node) {
	s.of(n).remove(n)
	delete(s.nodes, n.hash)
}

// evict lets one entry go, or moves one that is spared.
func (s *shard) evict(now time.Time) {
	n := s.main.oldest()
	if old := s.small.oldest(); n == nil || old != nil && s.small.bytes > s.limit/10 {
		n = old
	}
	dead := n.state(now) == Miss
	switch {
	case dead:
		s.remove(n)
	case n.main && n.hits > 0:
		s.main.remove(n)
		n.hits--
		s.main.push(n)
		return
	case !n.main && n.hits > 1: // one more question alone may be the same client's retry
		s.small.remove(n)
		n.main, n.hits = true, 0
		s.main.push(n)
		return
	default:
		if !n.main {
			s.bury(n.hash)
		}
		s.remove(n)
	}
	s.evictions++
}

// bury remembers a hash that left the small queue.
func (s *shard) bury(hash uint64) {
	if i, mark, ok := s.grave(hash); ok {
		s.ghost[i] = mark
	}
}

// haunted says, once, whether a hash left the small queue not long ago.
func (s *shard) haunted(hash uint64) bool {
	i, mark, ok := s.grave(hash)
	if !ok || s.ghost[i] != mark {
		return false
	}
	s.ghost[i] = 0
	return true
}

// grave uses other bits for the slot than for the mark, and none of those that choose the shard.
func (s *shard) grave(hash uint64) (slot int, mark uint32, ok bool) {
	if len(s.ghost) == 0 {
		return 0, 0, false
	}
	return int(uint32(hash>>6) & 0x3ffffff % uint32(len(s.ghost))), uint32(hash>>32) | 1, true
}
