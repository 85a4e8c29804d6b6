package blocklist

import "encoding/binary"

// filter is a Bloom filter of names, by their hashes: of those that it was given it says yes, of most others no. It is
// made of lines as large as a cache line, and all names of a group choose the same one, by the hash that the group is
// called by, so that what is asked about a name and those above it waits for memory once. In its line a name has three
// bits of one word.
type filter []byte

const (
	filterLine  = 64
	filterLeast = 8 // lines: with few names it is all but certain
)

// newFilter makes room for n names, with so many bits for each.
func newFilter(n, bits int) filter {
	return make(filter, filterLine*max(n*bits/(8*filterLine)+1, filterLeast))
}

// line is the line of a group.
func (f filter) line(group uint64) *[filterLine]byte {
	return (*[filterLine]byte)(f[group&0xffffffff*uint64(len(f)/filterLine)>>32*filterLine:])
}

// bitsOf is where in its line the word of a name begins, and the bits of it there.
func bitsOf(name uint64) (at int, bits uint64) {
	name >>= 32
	return int(name & 7 * 8), 1<<(name>>3&63) | 1<<(name>>9&63) | 1<<(name>>15&63)
}

func (f filter) add(group, name uint64) {
	at, bits := bitsOf(name)
	word := f.line(group)[at:]
	binary.LittleEndian.PutUint64(word, binary.LittleEndian.Uint64(word)|bits)
}

// lineHas says whether a line may be that of a name.
func lineHas(line *[filterLine]byte, name uint64) bool {
	at, bits := bitsOf(name)
	return binary.LittleEndian.Uint64(line[at:])&bits == bits
}

// has says whether a name that chooses its own line may be in the filter.
func (f filter) has(name uint64) bool { return lineHas(f.line(name), name) }
