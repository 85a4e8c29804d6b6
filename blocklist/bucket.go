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
	slack     = 8   // bytes behind the last bucket, since tags are read eight at a time
)

// The index holds the sizes of buckets, a byte each, in groups after a 32-bit number: where the first of them begins.
const (
	indexGroup = 12
	indexSize  = 4 + indexGroup
)

// bucketAt is where a bucket begins, and how long it is.
func (s *Set) bucketAt(bucket uint64) (at, size int) {
	i := bucket % indexGroup
	group := (*[indexSize]byte)(s.index[bucket/indexGroup*indexSize:])
	low := binary.LittleEndian.Uint64(group[4:]) & (1<<(8*i) - 1)
	high := uint64(binary.LittleEndian.Uint32(group[12:])) & (1<<(8*max(i, 8)-64) - 1)
	const even, ones = 0x00ff00ff00ff00ff, 0x0001000100010001
	sizes := low&even + low>>8&even + high&even + high>>8&even
	return int(binary.LittleEndian.Uint32(group[:])) + int(sizes*ones>>48), int(group[4+i])
}

// homeOf is the bucket that all names at w and below it that are in the set stand in, or begin to; ok is false if they
// are in many.
func (s *Set) homeOf(w *domain.Wire) (bucket uint64, ok bool) {
	var h uint64
	last := w.Labels() - 1
	for i := last; i >= 0; i-- {
		if h = hashLabel(h, w.Label(i)); i < last && !s.crowds.has(h) {
			bucket, _ = bits.Mul64(h, s.homes)
			return bucket, true
		}
	}
	return 0, false
}

// search calls found with the codes of all entries in the home of hash h that have this tag and are at w or above it, and
// with the labels of w that they begin at.
func (s *Set) search(h uint64, tag byte, w *domain.Wire, found func(code, first int)) {
	for home, _ := bits.Mul64(h, s.homes); ; home++ {
		at, size := s.bucketAt(home)
		b := s.buckets[at:][:size+slack]
		// The cache lines of a bucket, asked for together, come together, not one after the other as they are needed.
		if b[0]|b[size/2]|b[size-1] == 0 {
			return // it is empty
		}
		n := int(b[0] & countMask)
		for i := 0; i < n; i += 8 {
			like := equalBytes(binary.LittleEndian.Uint64(b[1+i:]), tag, min(n-i, 8))
			for ; like != 0; like &= like - 1 {
				s.read(b, i+bits.TrailingZeros64(like)>>3, w, found)
			}
		}
		if b[0]&goesOn == 0 {
			return
		}
	}
}

// equalBytes has the top bits set of those of the first n bytes of v that are b.
func equalBytes(v uint64, b byte, n int) uint64 {
	const ones, rest = 0x0101010101010101, 0x7f7f7f7f7f7f7f7f
	v ^= uint64(b) * ones
	return ^(v&rest + rest | v | rest) & (1<<(8*n) - 1)
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
	shapes := b[1+n:][:n]
	at := 1 + 2*n
	for _, shape := range shapes[:i] {
		at += int(shape & sizeMask)
	}
	e := entry{tag: b[1+i], labels: int(shapes[i] >> sizeBits)}
	body := b[at:][:shapes[i]&sizeMask]
	e.code, at = varint(body)
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

// varint reads the number that b begins with, and says how long it is. Most are one byte.
func varint(b []byte) (v, size int) {
	if b[0] < 0x80 {
		return int(b[0]), 1
	}
	long, n := binary.Uvarint(b)
	return int(long), max(n, 1)
}

// A code is the number of a record: where a top label stands among tops, after its length, and which tuple it is.
const codeSize = 8

func (s *Set) topOf(code int) []byte {
	at := binary.LittleEndian.Uint32(s.codes[code*codeSize:])
	return s.tops[at:][:1+int(s.tops[at])]
}

func (s *Set) tupleOf(code int) tuple {
	return tupleAt(s.tuples, int(binary.LittleEndian.Uint32(s.codes[code*codeSize+4:])))
}
