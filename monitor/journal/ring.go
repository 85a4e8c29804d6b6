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
}

// lengthSize is how many bytes the length of a record takes.
const lengthSize = 2

// reserve finds room for a record of n bytes, its length included, and writes the length; nil when there is none.
func (g *ring) reserve(n int) []byte {
	size, w, r := len(g.buf), int(g.w.Load()), int(g.r.Load())
	at := w
	switch {
	case w < r:
		if w+n >= r {
			return nil
		}
	case w+n < size || w+n == size && r > 0:
	case n < r:
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

// peek is the oldest record without its length, borrowed until release; nil when there is none.
func (g *ring) peek() []byte {
	r, w := int(g.r.Load()), int(g.w.Load())
	if r == w {
		return nil
	}
	if len(g.buf)-r < lengthSize || binary.LittleEndian.Uint16(g.buf[r:]) == 0 {
		r = 0
	}
	n := int(binary.LittleEndian.Uint16(g.buf[r:]))
	return g.buf[r+lengthSize : r+n]
}

// release gives the room of the record that peek returned back to the producer.
func (g *ring) release() {
	r := int(g.r.Load())
	if len(g.buf)-r < lengthSize || binary.LittleEndian.Uint16(g.buf[r:]) == 0 {
		r = 0
	}
	r += int(binary.LittleEndian.Uint16(g.buf[r:]))
	if r == len(g.buf) {
		r = 0
	}
	g.r.Store(uint32(r))
}
