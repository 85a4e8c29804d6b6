package blocklist

import "encoding/binary"

// filter is a Bloom filter of hashes: of those that it was given it says yes, of most others no. It is made of words of 64
// bits, and all bits of a hash are in one word, so that a question waits for memory once at most.
type filter []byte

// newFilter makes room for n hashes, with so many bits for each.
func newFilter(n, bits int) filter { return make(filter, 8*(n*bits/64+1)) }

// word is where the word of a hash begins, and its bits there.
func (f filter) word(h uint64) (at int, bits uint64) {
	at = int(h & 0xffffffff * uint64(len(f)/8) >> 32 * 8)
	return at, 1<<(h>>32&63) | 1<<(h>>38&63) | 1<<(h>>44&63)
}

func (f filter) add(h uint64) {
	at, bits := f.word(h)
	binary.LittleEndian.PutUint64(f[at:], binary.LittleEndian.Uint64(f[at:])|bits)
}

func (f filter) has(h uint64) bool {
	at, bits := f.word(h)
	return binary.LittleEndian.Uint64(f[at:])&bits == bits
}
