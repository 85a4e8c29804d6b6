package listen

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
	"time"
)

// surge is how far ahead of its rate anybody may be: who was quiet may ask for this time's worth at once.
const surge = 6 * time.Second

// meter lets each of any number of keys do so much a second, in a table of fixed size, without locks or allocation. A nil
// meter lets everything.
//
// It keeps no keys, so there is nothing that a flood of new ones could push out. Each key has a place in each of two rows,
// and what it did counts as the lower of the two (a count-min sketch): it is held for somebody else's flood only if that
// stands in both of its places, which nobody can bring about who does not know the seed of the keys, short of a flood over
// the whole table. A place holds one number: the time at which all that was let would have been due at the rate (the
// generic cell rate algorithm).
type meter struct {
	step  int64 // nanoseconds for one unit
	ahead int64 // nanoseconds that somebody may be ahead
	mask  uint64
	rows  [2][]atomic.Int64
}

// newMeter makes one for so many units a second, with 2 × width places; width is a power of two. No rate is no limit.
func newMeter(perSecond int64, width int) *meter {
	if perSecond <= 0 {
		return nil
	}
	m := &meter{step: max(int64(time.Second)/perSecond, 1), ahead: int64(surge), mask: uint64(width - 1)}
	for i := range m.rows {
		m.rows[i] = make([]atomic.Int64, width)
	}
	return m
}

// take lets key do cost units at now, in nanoseconds since any fixed time, or says that it is over its rate.
func (m *meter) take(key uint64, now, cost int64) bool {
	if m == nil {
		return true
	}
	a, b := &m.rows[0][key&m.mask], &m.rows[1][key>>32&m.mask]
	due := max(min(a.Load(), b.Load()), now) + cost*m.step
	if due > now+m.ahead {
		return false
	}
	raise(a, due)
	raise(b, due)
	return true
}

// calm says whether a meter of one key is less than half ahead.
func (m *meter) calm(now int64) bool { return m.rows[0][0].Load()-now < m.ahead/2 }

// pair is a meter for addresses and one for their networks, so that one address cannot use up what its neighbours are to have,
// and nobody gets more by having many addresses.
type pair struct{ one, all *meter }

// crowd is how many times as much as an address its network may have.
const crowd = 4

func newPair(perSecond int64, width int) pair {
	return pair{newMeter(perSecond, width), newMeter(perSecond*crowd, width)}
}

func (p *pair) take(one, all uint64, now, cost int64) bool {
	return p.one.take(one, now, cost) && p.all.take(all, now, cost)
}

// raise makes v at least to. Others may do so at the same time.
func raise(v *atomic.Int64, to int64) {
	for {
		old := v.Load()
		if old >= to || v.CompareAndSwap(old, to) {
			return
		}
	}
}

// keys makes keys for meters, by a hash that strangers cannot foresee.
type keys struct{ seed maphash.Seed }

func newKeys() keys { return keys{maphash.MakeSeed()} }

func (k *keys) addr(a netip.Addr) uint64 {
	b := a.As16()
	return maphash.Bytes(k.seed, b[:])
}

// network is the key of the IPv4 /24 or IPv6 /64 that an address is in.
func (k *keys) network(a netip.Addr) uint64 {
	b := a.As16()
	if a.Is4() {
		b[15] = 0
	} else {
		clear(b[8:])
	}
	return maphash.Bytes(k.seed, b[:])
}

// asked is the key of what was asked.
func (k *keys) asked(name []byte, typ uint16) uint64 {
	return maphash.Bytes(k.seed, name) + uint64(typ)*0x9e3779b97f4a7c15
}
