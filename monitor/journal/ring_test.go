package journal

import (
	"bytes"
	"os"
	"testing"

	"pgregory.net/rapid"
)

// The oracle of a ring is a slice.
func TestRingAgainstSlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(16, 200).Draw(t, "size")
		g := &ring{buf: make([]byte, size), whole: 1<<rapid.IntRange(0, 3).Draw(t, "page") - 1}
		g.forget = func(pages []byte) {
			for i := range pages {
				pages[i] = 0xee
			}
		}
		var want [][]byte
		used, pending, next := 0, 0, byte(1)
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "put") {
				n := rapid.IntRange(lengthSize+1, 40).Draw(t, "n")
				b := g.reserve(n)
				if b == nil {
					if used == 0 && n < size/2-g.whole {
						t.Fatalf("no room for %d in an empty ring of %d", n, size)
					}
					continue
				}
				for i := range b {
					b[i] = next
				}
				next++
				g.commit(n)
				want = append(want, bytes.Clone(b))
				used += n
				if used >= size {
					t.Fatalf("%d bytes in a ring of %d", used, size)
				}
				continue
			}
			b := g.take()
			if (b == nil) != (len(want) == 0) {
				t.Fatalf("take gives %v, want %d records", b, len(want))
			}
			if b == nil {
				continue
			}
			if !bytes.Equal(b, want[0]) {
				t.Fatalf("got %v, want %v", b, want[0])
			}
			want = want[1:]
			pending += len(b) + lengthSize
			if rapid.Bool().Draw(t, "free") {
				g.free()
				used, pending = used-pending, 0
			}
		}
	})
}

// Memory that held records is the system's again, however far the ring has come.
func TestRingHoldsWhatWaits(t *testing.T) {
	const size = 1 << 20
	g := new(ring)
	g.hold(size)
	if g.whole == 0 {
		t.Skip("this system gives no memory outside of Go's heap")
	}
	for i := range 30_000 {
		for range 1 + i%10 {
			b := g.reserve(100)
			for k := range b {
				b[k] = 0xff
			}
			g.commit(100)
		}
		for g.take() != nil {
		}
		g.free()
	}
	used := 0
	for _, b := range g.buf {
		if b != 0 {
			used++
		}
	}
	if limit := 2*os.Getpagesize() + 20; used > limit {
		t.Errorf("%d bytes of an empty ring are in use, at most %d may be", used, limit)
	}
}

func BenchmarkDone(b *testing.B) {
	for name, lane := range map[string]int{"shared": 0, "own": 1} {
		b.Run(name, func(b *testing.B) {
			j := New(1, DefaultCapacity)
			q := question(b, lane, "www.example.com")
			l := j.lanes[lane]
			b.ReportAllocs()
			for b.Loop() {
				j.Done(q)
				l.ring.take()
				l.ring.free()
			}
		})
	}
}
