package journal

import (
	"testing"

	"pgregory.net/rapid"
)

// The oracle of a table is a map.
func TestTableAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tab := newTable()
		for range rapid.IntRange(1, 3).Draw(t, "rounds") {
			want := map[string]uint32{}
			texts := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 3), 0, 600).Draw(t, "texts")
			for _, b := range texts {
				id, isNew := tab.id(b)
				known, ok := want[string(b)]
				if !ok {
					known = uint32(len(want))
					want[string(b)] = known
				}
				if id != known || isNew == ok {
					t.Fatalf("%x has number %d (new %v), want %d (new %v)", b, id, isNew, known, !ok)
				}
			}
			for text, id := range want {
				if string(tab.at(id)) != text {
					t.Fatalf("number %d is %x, want %x", id, tab.at(id), text)
				}
			}
			tab.reset()
		}
	})
}
