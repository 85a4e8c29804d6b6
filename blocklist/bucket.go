package blocklist

import (
	"encoding/binary"
	"math/bits"

	"schoolgate/blocklist/domain"
)

// A bucket begins with a byte: how many entries it has, and whether entries of its home stand in the next one too, since
// it has no room left. Tags and shapes follow, a byte each for each entry, then the bodies. The shape of an entry is two
// bits for the labels of its text and six for the size of its body.
const (
	countMask = 0x7f
	goesOn    = 0x80
	sizeBits  = 6
	sizeMask  = 1<<sizeBits - 1

	maxBucket = 255 // bytes
	slack     = 16  // bytes behind the last bucket, since tags and shapes are read sixteen at a time
)

// search calls found with the codes of all entries of a home that have this tag and are at w or above it, and with the
// labels of w that they begin at.
func (s *Set) search(home uint64, tag byte, w *domain.Wire, found func(code, first int)) {
	for ; ; home++ {
		at, size := s.directory.bucket(home)
		b := s.buckets[at:][:size+slack]
		// The cache lines of a bucket, asked for together, come together, not one after the other as they are needed.
		if b[0]|b[size/2]|b[size-1] == 0 {
			return // it is empty
		}
		n := int(b[0] & countMask)
		for i := 0; i < n; i += 16 {
			like := equalBytes(binary.LittleEndian.Uint64(b[1+i:]), tag) | equalBytes(binary.LittleEndian.Uint64(b[9+i:]), tag)<<8
			for like &= 1<<(n-i) - 1; like != 0; like &= like - 1 {
				s.read(b, i+bits.TrailingZeros64(like), w, found)
			}
		}
		if b[0]&goesOn == 0 {
			return
		}
	}
}

// equalBytes has bit i set if byte i of v is b.
func equalBytes(v uint64, b byte) uint64 {
	const ones, rest, gather = 0x0101010101010101, 0x7f7f7f7f7f7f7f7f, 0x0102040810204080
	v ^= uint64(b) * ones
	return ^(v&rest + rest | v | rest) >> 7 * gather >> 56
}

// read reads entry i of a bucket, and those that lean on it.
func (s *Set) read(b []byte, i int, w *domain.Wire, found func(code, first int)) {
	e := s.entryAt(b, i)
	top := w.Labels() - 1
	if string(s.topOf(e.code)) != string(w.Bytes()[w.Offset(top):len(w.Bytes())-1]) {
		return
	}
	right := e.begins(s.symbols, w, top)
	if right < 0 {
		return
	}
	found(e.code, right)
	for i++; i < int(b[0]&countMask) && b[1+i] == again; i++ {
		e := s.entryAt(b, i)
		if first := e.begins(s.symbols, w, right); first >= 0 {
			found(e.code, first)
		}
	}
}

// entry is what stands for one name in a bucket. It leans on another, and has the tag again, if it gives only what is
// left of that: the other is the last one before it that does not lean.
type entry struct {
	tag    byte
	labels int // of the text; if 0, each stands after its length and there is no need to know, else the first does not
	code   int
	text   []byte
}

// entryAt reads entry i of a bucket.
func (s *Set) entryAt(b []byte, i int) entry {
	n := int(b[0] & countMask)
	shapes := b[1+n:]
	at, before := 1+2*n, i
	for ; before > 15; before-- {
		at += int(shapes[before-1] & sizeMask)
	}
	const sizes = sizeMask * 0x0101010101010101
	at += sumBytes(binary.LittleEndian.Uint64(shapes)&sizes, binary.LittleEndian.Uint64(shapes[8:])&sizes, before)
	e := entry{tag: b[1+i], labels: int(shapes[i] >> sizeBits)}
	body := b[at:][:shapes[i]&sizeMask]
	e.code, at = varint(binary.LittleEndian.Uint32(b[at:]))
	if e.text = body[at:]; len(e.text) > 0 && e.text[0] == far {
		at, size := binary.LittleEndian.Uint32(e.text[1:]), binary.LittleEndian.Uint16(e.text[5:])
		e.text = s.far[at:][:size]
	}
	return e
}

// begins is the label of w at which the text of an entry begins if it ends where label right begins; -1 if it does not
// stand there.
func (e *entry) begins(s *symbols, w *domain.Wire, right int) int {
	at := s.match(e.tag, e.text, w.Padded(), w.Offset(right))
	if e.labels > 0 {
		if first := right - e.labels; first >= 0 && at == w.Offset(first)+1 {
			return first
		}
		return -1
	}
	for first := right; first >= 0; first-- {
		if at == w.Offset(first) {
			return first
		}
	}
	return -1
}

// varint reads the number that four bytes begin with, seven bits in each and the top bit where it goes on, and says how
// many it takes.
func varint(v uint32) (number, size int) {
	size = bits.TrailingZeros32(^v&0x80808080)/8 + 1
	v = v&0x7f | v>>1&(0x7f<<7) | v>>2&(0x7f<<14) | v>>3&(0x7f<<21)
	return int(v & (1<<(7*uint(size)) - 1)), size
}

// A code is the number of a record: where a top label stands among tops, after its length, and what the lists say, as a
// tupleID.
const codeSize = 8

func (s *Set) topOf(code int) []byte {
	at := binary.LittleEndian.Uint32(s.codes[code*codeSize:])
	return s.tops[at:][:1+int(s.tops[at])]
}

func (s *Set) tupleOf(code int) tuple {
	return s.tuples.at(tupleID(binary.LittleEndian.Uint32(s.codes[code*codeSize+4:])))
}

// says is what the lists say of the name of a code, or of those below it.
func (s *Set) says(code int, below bool) (block, except Mask) {
	return s.tuples.says(tupleID(binary.LittleEndian.Uint32(s.codes[code*codeSize+4:])), below)
}
