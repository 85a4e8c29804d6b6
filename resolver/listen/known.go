package listen

import (
	"sync/atomic"
	"time"
)

// known remembers which addresses asked within a day, in a table of fixed size without locks. It may take a stranger for
// known, hardly ever the other way round: each key has a place in each of two rows, and both hold when it was last there.
type known struct{ rows [2][]atomic.Uint32 }

const (
	knownWidth = 1 << 16
	knownFor   = 24 * time.Hour
	knownAgain = time.Hour // after which a place is written again
)

func newKnown() *known {
	k := new(known)
	for i := range k.rows {
		k.rows[i] = make([]atomic.Uint32, knownWidth)
	}
	return k
}

func (k *known) places(key uint64) (a, b *atomic.Uint32) {
	return &k.rows[0][key%knownWidth], &k.rows[1][key>>32%knownWidth]
}

// age is how long ago key was noted; now is in nanoseconds, as for a meter. It is knownFor for a stranger.
func (k *known) age(key uint64, now int64) time.Duration {
	a, b := k.places(key)
	last := min(a.Load(), b.Load()) // seconds and one, 0 for never
	if last == 0 {
		return knownFor
	}
	return min(time.Duration(now)-time.Duration(last-1)*time.Second, knownFor)
}

// note remembers key.
func (k *known) note(key uint64, now int64) {
	a, b := k.places(key)
	at := uint32(now/int64(time.Second)) + 1
	a.Store(at)
	b.Store(at)
}
