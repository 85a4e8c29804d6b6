package journal

import (
	"encoding/binary"
	"sync/atomic"
)

// ring is a queue of byte records for one producer and one consumer, without a lock. A record is contiguous and begins
// with its own length as two bytes; length 0, or less room than two bytes, means that the next one is at offset 0.
// The positions are equal when it is empty, so one byte always stays free.
type ring struct {
	buf []byte
	_   [64]byte // producer and consumer write to different cache lines
	w   atomic.Uint32
	at  uint32 // of the producer: where the record that is being written begins
	_   [64]byte
	r   atomic.Uint32
	_   [64]byte

	next uint32 // of the consumer: the record that take gives

	whole  int          // the bits within a page, if free gives pages back to the system, else 0
	forget func([]byte) // gives whole pages back; nil gives none
}

// lengthSize is how many bytes the length of a record takes.
const lengthSize = 2

// reserve finds room for a record of n bytes, its length included, and writes the length; nil when there is none.
func (g *ring) reserve(n int) []byte {
	size, w, r := len(g.buf), int(g.w.Load()), int(g.r.Load())
	at, limit := w, r&^g.whole // which the next turn stays below
	switch {
	case w < r:
		if w+n >= limit {
			return nil
		}
	case w+n < size || w+n == size && r > 0:
	case n < limit:
		if size-w >= lengthSize {
			binary.LittleEndian.PutUint16(g.buf[w:], 0)
		}
		at = 0
	default:
		return nil
	}
	g.at = uint32(at)
	b := g.buf[at : at+n]
	binary.LittleEndian.PutUint16(b, uint16(n))
	return b[lengthSize:]
}

// commit publishes the record of n bytes that was reserved last, and says whether the ring is half full or more.
func (g *ring) commit(n int) (half bool) {
	w := int(g.at) + n
	if w == len(g.buf) {
		w = 0
	}
	g.w.Store(uint32(w))
	used := w - int(g.r.Load())
	if used < 0 {
		used += len(g.buf)
	}
	return used >= len(g.buf)/2
}

// take is the oldest record without its length, borrowed until free; nil when there is none.
func (g *ring) take() []byte {
	at, w := int(g.next), int(g.w.Load())
	if at == w {
		return nil
	}
	if len(g.buf)-at < lengthSize || binary.LittleEndian.Uint16(g.buf[at:]) == 0 {
		at = 0
	}
	n := int(binary.LittleEndian.Uint16(g.buf[at:]))
	if g.next = uint32(at + n); int(g.next) == len(g.buf) {
		g.next = 0
	}
	return g.buf[at+lengthSize : at+n]
}

// free gives the room of all records that were taken back to the producer, and the pages before the next record, which
// the producer has not reached again, to the system: only what waits takes memory.
func (g *ring) free() {
	from, to := int(g.r.Load())&^g.whole, int(g.next)&^g.whole
	if g.forget != nil && from != to {
		if to < from {
			g.forget(g.buf[from:])
			from = 0
		}
		g.forget(g.buf[from:to])
	}
	g.r.Store(g.next)
}
