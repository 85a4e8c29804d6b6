package blocklist

import (
	"encoding/binary"

	"schoolgate/blocklist/domain"
)

// Key is a name made ready to be looked up in several sets: what all of them need to know of it is found out once. It
// borrows the Wire that it is made of, and is good until that changes. It is a value of one goroutine.
type Key struct{ wire *domain.Wire }

// KeyOf makes a name ready.
func KeyOf(w *domain.Wire) Key { return Key{w} }

// Wire is the name itself.
func (k *Key) Wire() *domain.Wire { return k.wire }

// Lengths of labels are what a processor cannot foresee, and a wrong guess costs it more than reading some bytes in vain.
// So a label is read as its first and its last eight bytes, be they the same, be they beyond its end, and only one of
// more than wordsLabel bytes asks for a loop.
const wordsLabel = 16

// question is what Lookup first finds out about a name.
type question struct {
	top  uint64 // hash of the last label
	held uint64 // 0 if no rule stands at the name or above it
}

// ask hashes w from the right, and puts w and all names above it to the filter. It jumps as little as it can, so that
// nobody waits for the answer about one name before putting the next.
func (s *Set) ask(w *domain.Wire) (q question) {
	var h uint64
	var line []byte
	last := w.Labels() - 1
	for i := last; i >= 0; i-- {
		label := w.Label(i)
		n := len(label)
		head, tail := ends(label)
		beyond := ^(^uint64(0) >> (64 - 8*min(n, 8)))
		if n > wordsLabel {
			h = hashMiddle(h, label)
		}
		h = hashEnds(h, n, head&^beyond, tail&^beyond)
		switch {
		case i == last:
			q.top = h
			line = filterKey(h).line(s.single)
		case last-i < filterDepth:
			line = filterKey(h).line(s.filter)
		}
		missing := filterKey(h).mask() &^ filterKey(h).word(line)
		q.held |= (missing - 1) &^ missing >> 63
	}
	return q
}

// putKey puts the key of w into buf and returns its size, and that of its first label. Where odd is not 0, there are
// bytes that keys write as two, and the key is of no use.
func putKey(buf *[domain.MaxWire + maxSymbol]byte, w *domain.Wire) (size, first int, odd uint64) {
	last := w.Labels() - 1
	for i := last; i >= 0; i-- {
		label := w.Label(i)
		n := len(label)
		head, tail := ends(label)
		if n > wordsLabel {
			copy(buf[size:], label)
			odd |= lowAmong(label)
		} else {
			binary.LittleEndian.PutUint64(buf[size:], head)
			binary.LittleEndian.PutUint64(buf[size+max(n-8, 0):], tail)
		}
		beyond := ^(^uint64(0) >> (64 - 8*min(n, 8)))
		odd |= low(head|beyond) | low(tail|beyond)
		if size += n; i == last {
			first = n
		}
		buf[size] = border
		size++
	}
	return size - 1, first, odd
}

// ends are the first and last eight bytes of a label. Of one that is shorter, both are all its bytes and what follows in
// memory.
func ends(label []byte) (first, last uint64) {
	if cap(label) < 8 { // close to the end of the longest names
		var b [8]byte
		copy(b[:], label)
		first = binary.LittleEndian.Uint64(b[:])
		return first, first
	}
	long := label[:cap(label)]
	return binary.LittleEndian.Uint64(long), binary.LittleEndian.Uint64(long[max(len(label)-8, 0):])
}

// low is 0 if no byte of v is one that keys write as two.
func low(v uint64) uint64 {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	return (v - (escape+1)*ones) &^ v & tops
}

// lowAmong is low for a label.
func lowAmong(label []byte) uint64 {
	for _, c := range label {
		if c <= escape {
			return 1
		}
	}
	return 0
}
