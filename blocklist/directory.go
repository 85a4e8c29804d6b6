package blocklist

import (
	"encoding/binary"
	"math/bits"
)

// The directory says of twelve buckets in a row, in a line as large as a cache line, what is in them and where they are:
//
//	48 bytes  a Bloom filter of the names that have their homes there, in six words of 64 bits
//	 4 bytes  where the first bucket begins
//	12 bytes  how long each is
//
// So whatever is asked about a name and those above it, in one group, waits for memory once. In the filter a name has a
// mark: three bits of one word. A group that is called by a name that is not there has one too, so that most names below
// others need not be hashed to their last label, and a crowd has two more.
type directory []byte

const (
	lineSize  = 64
	lineHomes = 12
	lineWords = 6
	startAt   = 8 * lineWords
	sizesAt   = startAt + 4
)

type directoryLine [lineSize]byte

// homeOf is the home of a group, by the hash of what it is called by.
func homeOf(group uint64, homes uint64) uint64 {
	home, _ := bits.Mul64(group, homes)
	return home
}

// line is the line of a bucket.
func (d directory) line(bucket uint64) *directoryLine {
	return (*directoryLine)(d[bucket/lineHomes*lineSize:])
}

// markOf is where in a line the word of a name begins, and its bits there. The highest bits of a hash have no part in
// them: they are much the same in a line.
func markOf(name uint32) (at int, bits uint64) {
	return int(name >> 24 * lineWords >> 8 * 8), 1<<(name&63) | 1<<(name>>6&63) | 1<<(name>>12&63)
}

func (l *directoryLine) mark(name uint32) {
	at, bits := markOf(name)
	binary.LittleEndian.PutUint64(l[at:], binary.LittleEndian.Uint64(l[at:])|bits)
}

// has says whether a name may be there.
func (l *directoryLine) has(name uint32) bool {
	at, bits := markOf(name)
	return binary.LittleEndian.Uint64(l[at:])&bits == bits
}

func (l *directoryLine) markGroup(h uint64) { l.mark(uint32(h >> 12)) }

// hasGroup says whether there may be a group of this hash, called by a name that is not there.
func (l *directoryLine) hasGroup(h uint64) bool { return l.has(uint32(h >> 12)) }

func (l *directoryLine) markCrowd(h uint64) {
	l.mark(^uint32(h))
	l.mark(^uint32(h >> 16))
}

// hasCrowd says whether a crowd of this hash may be there.
func (l *directoryLine) hasCrowd(h uint64) bool { return l.has(^uint32(h)) && l.has(^uint32(h>>16)) }

// bucket is where a bucket begins, and how long it is.
func (d directory) bucket(bucket uint64) (at, size int) {
	l, i := d.line(bucket), int(bucket%lineHomes)
	low, high := binary.LittleEndian.Uint64(l[sizesAt:]), uint64(binary.LittleEndian.Uint32(l[sizesAt+8:]))
	return int(binary.LittleEndian.Uint32(l[startAt:])) + sumBytes(low, high, i), int(l[sizesAt+i])
}

// sumBytes is the sum of the first n bytes of two words, n < 16. Many numbers are summed at once, and no way is chosen by
// how many there are: what a processor guesses wrongly costs it more than that.
func sumBytes(low, high uint64, n int) int {
	low &= 1<<(8*uint(n)) - 1
	high &= 1<<(8*uint(max(n, 8)-8)) - 1
	const even, ones = 0x00ff00ff00ff00ff, 0x0001000100010001
	return int((low&even + low>>8&even + high&even + high>>8&even) * ones >> 48)
}
