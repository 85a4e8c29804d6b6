package journal

import (
	"bytes"
	"hash/maphash"
)

// table gives different texts numbers: 0, 1, 2 and so on, in the order in which they come. It allocates only to grow, and
// keeps nothing when it is reset but the room that it took.
type table struct {
	text  []byte   // all of them, one behind the other
	ends  []uint32 // in text
	slots []uint32 // by hash: a number + 1, or 0; a power of two of them, half of them used at most
	seed  maphash.Seed
}

const minSlots = 256

func newTable() table { return table{slots: make([]uint32, minSlots), seed: maphash.MakeSeed()} }

// id is the number of b, of which a copy is made when it is new.
func (t *table) id(b []byte) (id uint32, isNew bool) {
	mask := uint32(len(t.slots) - 1)
	at := uint32(maphash.Bytes(t.seed, b)) & mask
	for ; t.slots[at] != 0; at = (at + 1) & mask {
		if id = t.slots[at] - 1; bytes.Equal(t.at(id), b) {
			return id, false
		}
	}
	id = uint32(len(t.ends))
	t.slots[at] = id + 1
	t.text = append(t.text, b...)
	t.ends = append(t.ends, uint32(len(t.text)))
	if 2*len(t.ends) > len(t.slots) {
		t.grow()
	}
	return id, true
}

// at is text number id.
func (t *table) at(id uint32) []byte {
	begin := uint32(0)
	if id > 0 {
		begin = t.ends[id-1]
	}
	return t.text[begin:t.ends[id]]
}

func (t *table) grow() {
	t.slots = make([]uint32, 2*len(t.slots))
	mask := uint32(len(t.slots) - 1)
	for id := range uint32(len(t.ends)) {
		at := uint32(maphash.Bytes(t.seed, t.at(id))) & mask
		for t.slots[at] != 0 {
			at = (at + 1) & mask
		}
		t.slots[at] = id + 1
	}
}

// reset forgets all texts.
func (t *table) reset() {
	clear(t.text)
	clear(t.slots)
	t.text, t.ends = t.text[:0], t.ends[:0]
}
