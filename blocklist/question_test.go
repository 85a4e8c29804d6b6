package blocklist

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"schoolgate/blocklist/domain"
)

// anyWire makes a name of labels of all lengths, some with bytes that keys write as two.
func anyWire(t *testing.T, rnd *rand.Rand) *domain.Wire {
	t.Helper()
	var wire []byte
	odd := rnd.IntN(4) == 0
	for range 1 + rnd.IntN(8) {
		n := min(1+rnd.IntN(domain.MaxLabel), domain.MaxWire-2-len(wire))
		if n < 1 {
			break
		}
		wire = append(wire, byte(n))
		for range n {
			c := byte('a' + rnd.IntN(26))
			if odd && rnd.IntN(20) == 0 {
				c = byte(rnd.IntN(4))
			}
			wire = append(wire, c)
		}
	}
	var w domain.Wire
	if _, err := w.Read(append(wire, 0), 0); err != nil {
		t.Fatal(err)
	}
	return &w
}

// The fast way to a key gives the key that the builder knows a name by, or says that it cannot.
func TestPutKey(t *testing.T) {
	rnd := rand.New(rand.NewPCG(11, 12))
	for range 20_000 {
		w := anyWire(t, rnd)
		var buf [domain.MaxWire + maxSymbol]byte
		size, first, odd := putKey(&buf, w)
		want := appendWire(nil, w)
		if twice := bytes.IndexByte(want, escape) >= 0; twice != (odd != 0) {
			t.Fatalf("%q: odd = %x, but its key is %q", w.Name(), odd, want)
		}
		if odd != 0 {
			continue
		}
		if got := buf[:size]; !bytes.Equal(got, want) || first != len(w.Label(w.Labels()-1)) {
			t.Fatalf("key %q with a first label of %d bytes, want %q", got, first, want)
		}
	}
}

// A filter that holds one name, and nothing else, lets that name and all below it pass: both sides hash alike.
func TestAsk(t *testing.T) {
	rnd := rand.New(rand.NewPCG(13, 14))
	passed := 0
	for range 5_000 {
		w := anyWire(t, rnd)
		depth := 1 + rnd.IntN(w.Labels())
		var above domain.Wire
		if _, err := above.Read(w.From(w.Labels()-depth), 0); err != nil {
			t.Fatal(err)
		}
		h := hashKey(appendWire(nil, &above))
		held := [][]filterKey{{newFilterKey(h.line, h.whole)}}
		s := &Set{filter: makeFilter(held, 1), single: makeFilter(nil, 0)}
		if depth == 1 {
			s.filter, s.single = s.single, s.filter
		}
		q := s.ask(w)
		if q.held == 0 || q.top != h.top {
			t.Fatalf("%q below %q: held = %d, hash of the first label %x, want %x", w.Name(), above.Name(), q.held, q.top, h.top)
		}
		if s.ask(anyWire(t, rnd)).held != 0 {
			passed++
		}
	}
	if passed > 50 {
		t.Errorf("%d of 5,000 other names passed a filter of one name", passed)
	}
}

// Of names that are not there, few pass the filter.
func TestFilterErrors(t *testing.T) {
	const names = 50_000
	rnd := rand.New(rand.NewPCG(15, 16))
	var held []filterKey
	for range names {
		held = append(held, newFilterKey(rnd.Uint64(), rnd.Uint64()))
	}
	filter := makeFilter([][]filterKey{held}, names)
	passes := func(k filterKey) bool { return k.word(k.line(filter))&k.mask() == k.mask() }
	for _, k := range held {
		if !passes(k) {
			t.Fatalf("%x does not pass, though it is there", uint64(k))
		}
	}
	passed := 0
	for range names {
		if passes(newFilterKey(rnd.Uint64(), rnd.Uint64())) {
			passed++
		}
	}
	if share := float64(passed) / names; share > 0.035 {
		t.Errorf("%.1f %% of other names pass, want at most 3.5 %%", 100*share)
	}
}

// Restarts say what reading on from the start of the page says, and no name above them stands between.
func TestRestarts(t *testing.T) {
	b := NewBuilder([]Info{{Name: "one"}, {Name: "two"}}, "")
	rnd := rand.New(rand.NewPCG(17, 18))
	words := []string{"a", "b", "bad", "cdn", "play", "x1", "x2", "x3", "xn--abc", "very-long-label-that-takes-room"}
	for range 30_000 {
		name := words[rnd.IntN(3)]
		for range 1 + rnd.IntN(5) {
			name = words[rnd.IntN(len(words))] + string(rune('a'+rnd.IntN(26))) + "." + name
		}
		// Exceptions below a name add to its rule, so many names have others above them.
		if err := b.Add(rnd.IntN(2), Rule{Name: domain.Name(name), Except: rnd.IntN(3) == 0}); err != nil {
			t.Fatal(err)
		}
	}
	s, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	found, nested := 0, 0
	for i := range len(s.pages) / pageSize {
		page := s.pageAt(i)
		var c cursor
		var own [][]byte
		starts := page[restartAt:][:restarts]
		for c.open(s, i); ; {
			at := c.at
			if !c.next() {
				break
			}
			above := func(k []byte) bool { return bytes.HasPrefix(c.key, append(bytes.Clone(k), border)) }
			if slices.ContainsFunc(own, above) {
				nested++
			}
			if at > 0 && slices.Contains(starts, byte(at)) {
				found++
				e := edgeAt(page, at)
				if e.shared != int(page[1]) || e.tuple < 0 {
					t.Fatalf("page %d: the restart at %d keeps %d bytes of the path, not %d; tuple %d", i, at, e.shared, page[1], e.tuple)
				}
				if slices.ContainsFunc(own, above) {
					t.Fatalf("page %d: above the restart %q there is a name in the page that is no ghost", i, c.key)
				}
			}
			if !c.ghost {
				own = append(own, bytes.Clone(c.key))
			}
		}
	}
	if pages := len(s.pages) / pageSize; found < pages || nested < pages {
		t.Errorf("%d pages with %d restarts and %d names below others: too few to prove a thing", pages, found, nested)
	}
}
