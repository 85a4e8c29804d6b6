package blocklist

import "encoding/binary"

// The filter is a Bloom filter in front of the radix: it says of a name that no rule stands at it, or that one may. It is
// made of lines, each as large as a cache line, each of eight words, and a name sets four bits of one word. A lookup asks
// about a name and all above it, and waits for memory as rarely as can be: a name of two labels chooses its line by its
// own hash, all longer ones by that of their last three labels. Names of one label have a filter of their own, so small
// that it stays in the cache.
const (
	filterLine    = 64
	filterPerName = 10 // bits of the filter for each name
	filterDepth   = 3  // labels that choose the line
)

// filterKey is what the filter knows a name by: in its upper half the hash that chooses the line, in its lower half that
// of the name.
type filterKey uint64

func newFilterKey(line, name uint64) filterKey {
	return filterKey(line>>32<<32 | name&0xffffffff)
}

// makeFilter makes the filter of these names.
func makeFilter(pieces [][]filterKey, names int) []byte {
	filter := make([]byte, filterLine*(names*filterPerName/(8*filterLine)+1))
	for _, piece := range pieces {
		for _, k := range piece {
			line := k.line(filter)
			binary.LittleEndian.PutUint64(line[k.at():], k.word(line)|k.mask())
		}
	}
	return filter
}

// line is the line that k chooses. The hash that chooses may stand for k, as may that of the name for all below.
func (k filterKey) line(filter []byte) []byte {
	return filter[uint64(len(filter)/filterLine)*uint64(k>>32)>>32*filterLine:][:filterLine]
}

// at is where in its line the word of a name begins.
func (k filterKey) at() int { return int(k >> 24 & 7 * 8) }

// word is the word of a name.
func (k filterKey) word(line []byte) uint64 { return binary.LittleEndian.Uint64(line[k.at():]) }

// mask is the bits that a name sets in its word.
func (k filterKey) mask() uint64 {
	return 1<<(k&63) | 1<<(k>>6&63) | 1<<(k>>12&63) | 1<<(k>>18&63)
}
