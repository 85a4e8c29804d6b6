package sealed

import (
	"encoding/binary"
	"math/bits"
)

// quick is a keyed hash of a name that costs one multiplication for most labels: it tells nearly all names that are not
// held from those that may be. It is no secret-keeping one, so no more than 32 bits of it are kept for a name.
type quick struct{ k0, k1 uint64 }

func newQuick(key [16]byte) quick {
	return quick{binary.LittleEndian.Uint64(key[:8]), binary.LittleEndian.Uint64(key[8:])}
}

// label gives the hash of a name from its leftmost label and the hash of what is behind it.
func (q quick) label(h uint64, b []byte) uint64 {
	n := len(b)
	var head, tail uint64
	switch {
	case n >= 8:
		for i := 8; i < n-8; i += 8 {
			h = fold(h^binary.LittleEndian.Uint64(b[i:]), q.k1)
		}
		head, tail = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[n-8:])
	case n >= 4:
		head, tail = uint64(binary.LittleEndian.Uint32(b)), uint64(binary.LittleEndian.Uint32(b[n-4:]))
	case n > 0:
		head = uint64(b[0])<<16 | uint64(b[n/2])<<8 | uint64(b[n-1])
	}
	return fold(h^head^q.k0, tail^q.k1^uint64(n)<<56)
}

// fold is the product of two words, both halves of it joined.
func fold(a, b uint64) uint64 {
	high, low := bits.Mul64(a, b)
	return high ^ low
}

// sip is SipHash-2-4 with 128 bits of output (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012, and its
// later 128-bit variant): a keyed function whose values say nothing of their input to who lacks the key. A sip is the
// state after some bytes; copying it lets one pass over a name yield the hash of each of its suffixes.
type sip struct {
	v0, v1, v2, v3 uint64
	word           uint64 // bytes that do not fill eight yet
	n              uint64 // bytes in all
}

func newSip(key [16]byte) sip {
	k0, k1 := binary.LittleEndian.Uint64(key[:8]), binary.LittleEndian.Uint64(key[8:])
	return sip{
		v0: k0 ^ 0x736f6d6570736575, v1: k1 ^ 0x646f72616e646f6d ^ 0xee,
		v2: k0 ^ 0x6c7967656e657261, v3: k1 ^ 0x7465646279746573,
	}
}

func (s *sip) round() {
	s.v0 += s.v1
	s.v2 += s.v3
	s.v1 = bits.RotateLeft64(s.v1, 13) ^ s.v0
	s.v3 = bits.RotateLeft64(s.v3, 16) ^ s.v2
	s.v0 = bits.RotateLeft64(s.v0, 32)
	s.v2 += s.v1
	s.v0 += s.v3
	s.v1 = bits.RotateLeft64(s.v1, 17) ^ s.v2
	s.v3 = bits.RotateLeft64(s.v3, 21) ^ s.v0
	s.v2 = bits.RotateLeft64(s.v2, 32)
}

func (s *sip) write(b []byte) {
	for _, c := range b {
		s.word |= uint64(c) << (8 * (s.n & 7))
		if s.n++; s.n&7 == 0 {
			s.mix(s.word)
			s.word = 0
		}
	}
}

func (s *sip) mix(m uint64) {
	s.v3 ^= m
	s.round()
	s.round()
	s.v0 ^= m
}

// high is the first half of the hash. It spends s: what goes on writes to a copy.
func (s *sip) high() uint64 {
	s.mix(s.word | s.n<<56)
	s.v2 ^= 0xee
	return s.finish()
}

// low is the second half, to be asked for after high.
func (s *sip) low() uint64 {
	s.v1 ^= 0xdd
	return s.finish()
}

func (s *sip) finish() uint64 {
	for range 4 {
		s.round()
	}
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3
}
