package blocklist

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// The index leads to the page of a key. It holds one code per page: the ordinal of the first label of the page's first own
// name (its top-level domain) among all first labels, then the code of the rest of the key. Codes may be equal where
// keys are not, so the last word is with the pages.
const (
	codeLength = 9 // bytes of the rest of the key in a code
	codeBits   = 49
	maxTop     = 1<<(64-codeBits) - 1 // first labels with this ordinal or a greater one share one code
)

// pageCode is the code of a key whose first label, of size bytes, has this ordinal.
func pageCode(ordinal int, key []byte, size int) uint64 {
	if ordinal >= maxTop {
		return maxTop << codeBits
	}
	if size == len(key) {
		return uint64(ordinal) << codeBits
	}
	return uint64(ordinal)<<codeBits | codeOf(key[size+1:], codeLength)
}

// tops finds the ordinal of a first label: an open hash table of ordinals plus one, and the labels in order, in key form.
type tops struct {
	slots  []byte // uint32 each, a power of two of them
	starts []byte // uint32 each, one more than labels
	labels []byte
}

// newTops makes the table of labels in their order.
func newTops(labels [][]byte) tops {
	n := 2
	for n < 2*len(labels) {
		n *= 2
	}
	t := tops{slots: make([]byte, 4*n), starts: make([]byte, 4)}
	for i, label := range labels {
		t.labels = append(t.labels, label...)
		t.starts = binary.LittleEndian.AppendUint32(t.starts, uint32(len(t.labels)))
		h := hashKey(label).top
		for slot := int(uint32(h)) & (n - 1); ; slot = (slot + 1) & (n - 1) {
			if b := t.slots[4*slot:]; binary.LittleEndian.Uint32(b) == 0 {
				binary.LittleEndian.PutUint32(b, uint32(i+1))
				break
			}
		}
	}
	return t
}

// find is the ordinal of the label with hash h, -1 for none.
func (t *tops) find(h uint64, label []byte) int {
	last := len(t.slots)>>2 - 1
	for slot := int(uint32(h)) & last; ; slot = (slot + 1) & last {
		i := int(binary.LittleEndian.Uint32(t.slots[4*slot:]))
		if i == 0 {
			return -1
		}
		start := binary.LittleEndian.Uint32(t.starts[4*(i-1):])
		end := binary.LittleEndian.Uint32(t.starts[4*i:])
		if string(t.labels[start:end]) == string(label) {
			return i - 1
		}
	}
}

// pageOf is the last page whose first own name does not come after the key in buf[:n], -1 if there is none.
func (s *Set) pageOf(code uint64, buf []byte, n int) int {
	lo := s.lastCode(code)
	if lo < 0 || s.codeAt(lo) < code || !s.opensAfter(lo, buf, n) {
		return lo
	}
	// Pages share the code: find the border among them, between one that opens no later and one that opens after.
	hi := lo
	lo = -1
	if code > 0 {
		lo = s.lastCode(code - 1)
	}
	for lo+1 < hi {
		mid := int(uint(lo+hi) >> 1)
		if s.opensAfter(mid, buf, n) {
			hi = mid
		} else {
			lo = mid
		}
	}
	return lo
}

// lastCode is the last page with no larger code, -1 if there is none.
func (s *Set) lastCode(code uint64) int {
	at := 0
	for i := len(s.levels) - 1; i >= 0; i-- {
		group := s.levels[i][at*groupSize:][:groupSize]
		n := groupCodes - int(larger(group[0:], code)+larger(group[8:], code)+larger(group[16:], code)+larger(group[24:], code)+
			larger(group[32:], code)+larger(group[40:], code)+larger(group[48:], code)+larger(group[56:], code))
		if n == 0 {
			return -1
		}
		at = at*groupCodes + n - 1
	}
	return at
}

// larger is 1 if the code in b is larger than this one, else 0. It jumps nowhere, since nobody could foresee where.
func larger(b []byte, code uint64) uint64 {
	_, borrow := bits.Sub64(code, binary.LittleEndian.Uint64(b), 0)
	return borrow
}

func (s *Set) codeAt(page int) uint64 { return binary.LittleEndian.Uint64(s.levels[0][page<<3:]) }

// The codes stand in groups that fill a cache line. The first codes of the groups of one level make the next level, up to
// the level of one group. Groups are filled up with a code larger than any.
const (
	groupCodes = 8
	groupSize  = 8 * groupCodes
)

// makeIndex puts levels upon the codes of the pages.
func makeIndex(codes []byte) []byte {
	index := codes
	for at := 0; ; {
		for (len(index)-at)%groupSize != 0 || len(index) == at {
			index = binary.LittleEndian.AppendUint64(index, math.MaxUint64)
		}
		end := len(index)
		if end-at == groupSize {
			return index
		}
		for ; at < end; at += groupSize {
			index = append(index, index[at:at+8]...)
		}
	}
}

// indexLevels finds the levels of an index over so many pages, the lowest first; nil if they do not fill it.
func indexLevels(index []byte, pages int) [][]byte {
	var levels [][]byte
	for n := pages; ; {
		groups := max(1, (n+groupCodes-1)/groupCodes)
		if groups > len(index)/groupSize {
			return nil
		}
		levels = append(levels, index[:groups*groupSize])
		index = index[groups*groupSize:]
		if n = groups; n == 1 {
			break
		}
	}
	if len(index) > 0 {
		return nil
	}
	return levels
}

// opensAfter says whether the first own name of a page comes after the key in buf[:n]. Its ghosts all lie on the path to
// that name, so their edges are followed as one.
func (s *Set) opensAfter(i int, buf []byte, n int) bool {
	page := s.pageAt(i)
	same, at := 0, pageHead
	for range int(page[0]) + 1 {
		e := edgeAt(page, at)
		var end int
		if same, end = s.symbols.follow(page[e.start:e.end], buf, same, n); end != 0 {
			return end > 0
		}
		at = e.end
	}
	return false
}
