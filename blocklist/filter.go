package blocklist

import "encoding/binary"

// The filter is a Bloom filter of 64-bit blocks in front of the radix: one load says of a name that it is not there, or
// that it may be. A key sets filterBits bits of one block.
const (
	filterBits    = 4
	filterPerName = 10 // bits of the filter for each name
)

// makeFilter makes the filter of these hashes.
func makeFilter(hashes [][]uint32, names int) []byte {
	filter := make([]byte, 8*(names*filterPerName/64+1))
	for _, chunk := range hashes {
		for _, h := range chunk {
			b := filter[filterBlock(h, len(filter)):]
			binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)|filterMask(h))
		}
	}
	return filter
}

// filterHash is the part of a name's hash that the filter goes by.
func filterHash(h uint64) uint32 { return uint32(h >> 32) }

// filterBlock is where in a filter of so many bytes the block of h begins.
func filterBlock(h uint32, size int) int { return int(uint64(h)*uint64(size>>3)>>32) << 3 }

// filterMask is the bits that h sets in its block.
func filterMask(h uint32) uint64 {
	g := uint64(h) * 0x9e3779b97f4a7c15
	return 1<<(g>>58) | 1<<(g>>52&63) | 1<<(g>>46&63) | 1<<(g>>40&63)
}

// mayHold says whether the filter speaks for a hash.
func mayHold(filter []byte, h uint32) bool {
	mask := filterMask(h)
	return binary.LittleEndian.Uint64(filter[filterBlock(h, len(filter)):])&mask == mask
}
