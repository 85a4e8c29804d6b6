package journal

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// The oracle of a ring is a slice.
func TestRingAgainstSlice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(16, 200).Draw(t, "size")
		g := &ring{buf: make([]byte, size)}
		var want [][]byte
		used, next := 0, byte(1)
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "put") {
				n := rapid.IntRange(lengthSize+1, 40).Draw(t, "n")
				b := g.reserve(n)
				if b == nil {
					if used == 0 && n < size/2 {
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
			b := g.peek()
			if (b == nil) != (len(want) == 0) {
				t.Fatalf("peek gives %v, want %d records", b, len(want))
			}
			if b == nil {
				continue
			}
			if !bytes.Equal(b, want[0]) {
				t.Fatalf("got %v, want %v", b, want[0])
			}
			used -= len(b) + lengthSize
			want = want[1:]
			g.release()
		}
	})
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
				l.ring.peek()
				l.ring.release()
			}
		})
	}
}
