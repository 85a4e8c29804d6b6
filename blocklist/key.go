package blocklist

import (
	"crypto/rand"
	"encoding/binary"
	"math/bits"

	"schoolgate/blocklist/domain"
)

// Key is a name that several sets are asked about: what those that hash alike (see Builder.HashAs) need to know of it is
// found out once. It borrows the Wire that it is made of, and is good until that changes. It is a value of one goroutine.
type Key struct {
	wire *domain.Wire
	seed uint64 // of the hashes; 0 for none yet
	top  uint64 // hash of the last label
	site uint64 // of the last two, or of all there are
}

// KeyOf makes a name ready.
func KeyOf(w *domain.Wire) Key { return Key{wire: w} }

// hash makes the hashes those of this seed.
func (k *Key) hash(seed uint64) {
	last := k.wire.Labels() - 1
	if last < 0 || k.seed == seed {
		return
	}
	k.seed, k.top = seed, hashLabel(seed, k.wire.Label(last))
	k.site = k.top
	if last > 0 {
		k.site = hashLabel(k.top, k.wire.Label(last-1))
	}
}

// Wire is the name itself.
func (k *Key) Wire() *domain.Wire { return k.wire }

// The keys of the hash: odd, of no pattern.
const hashKey0, hashKey1 = 0x9e3779b97f4a7c15, 0xd6e8feb86659fd93

// newSeed is the hash of the root in one set. Nobody else knows it: a list could else be made of names that all have one
// home, and whoever is looked up there would wait until all of them were read.
func newSeed() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, by its documentation
	return binary.LittleEndian.Uint64(b[:]) | 1
}

// hashLabel goes on from the hash of the name to the right of label, the seed for the root, to that of the name with label.
// The result decides what stands where in files: it must not change within one version.
//
// Lengths of labels are what a processor cannot foresee, and a wrong guess costs it more than reading some bytes in vain.
// So a label is read as its first, second and last eight bytes, be they the same, be they beyond its end, and only a long
// one asks for a loop.
func hashLabel(h uint64, label []byte) uint64 {
	n := len(label)
	if cap(label) < 16 {
		label = append(make([]byte, 0, 16), label...)
	}
	all := label[:cap(label)]
	first, second := binary.LittleEndian.Uint64(all), binary.LittleEndian.Uint64(all[8:])
	last := binary.LittleEndian.Uint64(all[max(n-8, 0):])
	first &= ^uint64(0) >> (64 - 8*min(n, 8))
	second &= 1<<(8*uint(max(n, 8)-8)) - 1
	for at := 16; at < n-8; at += 8 {
		hi, lo := bits.Mul64(h^binary.LittleEndian.Uint64(all[at:]), hashKey0)
		h = hi ^ lo
	}
	if n < 8 {
		last = first
	}
	hi, lo := bits.Mul64(h^first^hashKey0, bits.RotateLeft64(h, 32)^last^second*hashKey0^uint64(n)*hashKey1)
	return hi ^ lo
}
