package listen

import (
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever a key does, it gets no more than its rate and what it may be ahead, and no less as long as nobody else is there.
func TestMeterHoldsToItsRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.IntRange(1, 5000).Draw(t, "rate")
		m := newMeter(int64(rate), 64)
		k := newKeys()
		key := k.addr(v4(1))
		now, let, asked := int64(0), int64(0), int64(0)
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			now += rapid.Int64Range(0, int64(time.Second)).Draw(t, "pause")
			cost := rapid.Int64Range(1, int64(rate)).Draw(t, "cost")
			asked += cost
			if m.take(key, now, cost) {
				let += cost
			}
			most := int64(float64(now+int64(surge)) / float64(m.step))
			if let > most {
				t.Fatalf("%d were let in %v at %d a second", let, time.Duration(now), rate)
			}
			if least := min(asked, most-int64(rate)*int64(surge/time.Second)); let < least && asked <= int64(rate)*int64(surge/time.Second) {
				t.Fatalf("only %d of %d were let in %v at %d a second", let, asked, time.Duration(now), rate)
			}
		}
	})
}

// A flood of others, however many keys it has, neither has the meter forget what one did nor holds others back.
func TestMeterUnderManyKeys(t *testing.T) {
	const rate, most = 100, 600
	m := newMeter(rate, 4096)
	k := newKeys()
	flooder := k.addr(v4(1))
	for range most {
		if !m.take(flooder, 1, 1) {
			t.Fatal("held back before its time")
		}
	}
	for i := range 1_000_000 { // new addresses, some two thousand more than there are places
		m.take(k.addr(v6(i>>16, i)), 1, 1)
	}
	if m.take(flooder, 1, 1) {
		t.Error("what it did was forgotten")
	}
	held := 0
	for i := range 1000 {
		if !m.take(k.addr(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})), 1, 1) {
			held++
		}
	}
	if held > 5 {
		t.Errorf("%d of 1000 who did nothing are held back", held)
	}
	let := 0
	for range 10 * rate {
		if m.take(flooder, int64(time.Second), 1) {
			let++
		}
	}
	if let == 0 || let > rate {
		t.Errorf("%d let after a second", let)
	}
}

func TestNoRate(t *testing.T) {
	if m := newMeter(0, 16); m != nil || !m.take(1, 0, 1<<40) {
		t.Error("a meter without a rate holds back")
	}
}

// Addresses of one network have one key, all others another.
func TestKeys(t *testing.T) {
	k := newKeys()
	addr := netip.MustParseAddr
	for _, same := range [][2]string{{"192.0.2.1", "192.0.2.255"}, {"2001:db8::1", "2001:db8::ffff:0:0:1"}} {
		if k.network(addr(same[0])) != k.network(addr(same[1])) || k.addr(addr(same[0])) == k.addr(addr(same[1])) {
			t.Errorf("%v", same)
		}
	}
	for _, other := range [][2]string{{"192.0.2.1", "192.0.3.1"}, {"2001:db8::1", "2001:db8:0:1::1"}} {
		if k.network(addr(other[0])) == k.network(addr(other[1])) {
			t.Errorf("%v", other)
		}
	}
	if a := []byte("\x01a\x00"); k.asked(a, 1) == k.asked(a, 28) || k.asked(a, 1) == k.asked([]byte("\x01b\x00"), 1) {
		t.Error("another name or type has the same key")
	}
}

func BenchmarkMeter(b *testing.B) {
	m := newMeter(1000, 4096)
	k := newKeys()
	for i := range b.N {
		m.take(k.addr(v4(i&255)), int64(i)<<10, 1)
	}
}
