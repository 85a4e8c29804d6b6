package report

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestSketch holds a sketch against exact counts: what it says of a key it holds, and of those it does not, must be true.
func TestSketch(t *testing.T) {
	const limit = 64
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		s, exact := newSketch[int, struct{}](limit, cmp.Compare[int]), map[int]int64{}
		keys := limit / 2 * (1 + int(seed))
		for range 5000 {
			k := rnd.IntN(1 + rnd.IntN(keys))
			n := 1 + rnd.Int64N(9)
			exact[k] += n
			s.add(k, n)
			if len(s.entries) > limit {
				t.Fatalf("%d entries", len(s.entries))
			}
		}
		for k, n := range exact {
			e := s.entries[k]
			switch {
			case e == nil && n > s.floor:
				t.Errorf("seed %d: a key counted %d times is absent, the floor is %d", seed, n, s.floor)
			case e != nil && (e.n > n || n > e.n+e.missed):
				t.Errorf("seed %d: a key counted %d times is said to be %d and at most %d more", seed, n, e.n, e.missed)
			}
		}
		if len(exact) <= limit && s.floor != 0 {
			t.Errorf("seed %d: nothing need be forgotten, but the floor is %d", seed, s.floor)
		}
		if len(exact) > 2*limit && s.floor == 0 {
			t.Errorf("seed %d: something must be forgotten, but the floor is 0", seed)
		}
	}
}

func TestSet(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		var a, b set
		exact := map[uint16]bool{}
		for range 1 + seed*7 {
			i, j := uint16(rnd.IntN(400)), uint16(rnd.IntN(400))
			a.add(i)
			b.add(j)
			a.add(i)
			exact[i], exact[j] = true, true
		}
		a.join(&b)
		if a.len() != len(exact) {
			t.Errorf("seed %d: %d in the set, %d added", seed, a.len(), len(exact))
		}
	}
}

func TestWords(t *testing.T) {
	var got []string
	for _, n := range []int64{0, 9999, 10_000, 12_345, 123_456, 999_500, 1_234_567} {
		got = append(got, short(n))
	}
	if want := []string{"0", "9,999", "10k", "12.3k", "123k", "1000k", "1.2m"}; !slices.Equal(got, want) {
		t.Errorf("short: %q, want %q", got, want)
	}
	for n, want := range map[int64]int64{0: 2, 1: 2, 3: 4, 7: 8, 11: 20, 600: 600, 601: 800, 999: 1000} {
		if got := niceTop(n); got != want {
			t.Errorf("niceTop(%d) = %d, want %d", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234: "-1,234", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %q, want %q", n, got, want)
		}
	}
}
