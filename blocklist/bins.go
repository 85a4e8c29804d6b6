package blocklist

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
)

// bins sort records, which begin with a hash, highest byte first. Each bin takes the records of some hashes, and waits in
// an unnamed file in dir, or in memory where dir is "", until it is sorted in memory. In the order of bins hashes ascend.
type bins struct {
	dir   string
	piece int // bytes of a bin that are put away at once
	file  *os.File
	size  int64
	bins  [binCount]bin
}

const (
	binCount = 256
	hashSize = 8
)

// bin is the pieces put away, in memory or in the file, and the one being filled. Each record stands after its size.
type bin struct {
	pieces [][]byte
	spans  []span
	last   []byte
}

// span is a piece of the file.
type span struct {
	at   int64
	size int
}

func newBins(dir string) bins { return bins{dir: dir, piece: 16 << 10} }

// add puts a record into its bin.
func (b *bins) add(record []byte) error {
	to := &b.bins[record[0]]
	if len(to.last) > 0 && len(to.last)+2+len(record) > b.piece {
		if err := b.put(to); err != nil {
			return err
		}
	}
	to.last = binary.LittleEndian.AppendUint16(to.last, uint16(len(record)))
	to.last = append(to.last, record...)
	return nil
}

// put puts the last piece of a bin away.
func (b *bins) put(from *bin) error {
	if b.dir == "" {
		from.pieces, from.last = append(from.pieces, from.last), make([]byte, 0, b.piece)
		return nil
	}
	if b.file == nil {
		f, err := os.CreateTemp(b.dir, "rules-*.tmp")
		if err != nil {
			return fmt.Errorf("creating a file to sort in: %w", err)
		}
		b.file = f
		if err := os.Remove(f.Name()); err != nil { // so that nothing stays behind, whatever happens to us
			return fmt.Errorf("unlinking the file to sort in: %w", err)
		}
	}
	if _, err := b.file.WriteAt(from.last, b.size); err != nil {
		return fmt.Errorf("writing what is to be sorted: %w", err)
	}
	from.spans = append(from.spans, span{b.size, len(from.last)})
	b.size += int64(len(from.last))
	from.last = from.last[:0]
	return nil
}

func (b *bins) close() {
	if b.file != nil {
		b.file.Close() // read only from here on, and unlinked: nothing to lose
	}
}

// records are those of a bin, in order. They hold no pointers, which a collector of garbage would have to follow.
type records struct {
	all    []byte
	order  []place
	spread []place
}

// place is where a record stands.
type place struct {
	hash uint64
	at   uint32
	size uint32
}

// take empties a bin into r, in place of what r held.
func (b *bins) take(i int, r *records) error {
	from := b.bins[i]
	b.bins[i] = bin{}
	r.all, r.order = r.all[:0], r.order[:0]
	for _, p := range from.pieces {
		r.all = append(r.all, p...)
	}
	for _, s := range from.spans {
		at := len(r.all)
		r.all = slices.Grow(r.all, s.size)[:at+s.size]
		if _, err := b.file.ReadAt(r.all[at:], s.at); err != nil {
			return fmt.Errorf("reading what is to be sorted: %w", err)
		}
	}
	r.all = append(r.all, from.last...)
	for at := 0; at < len(r.all); {
		size := int(binary.LittleEndian.Uint16(r.all[at:]))
		at += 2
		r.order = append(r.order, place{binary.BigEndian.Uint64(r.all[at:]), uint32(at), uint32(size)})
		at += size
	}
	r.sort()
	return nil
}

// record is record i.
func (r *records) record(i int) []byte {
	p := r.order[i]
	return r.all[p.at:][:p.size]
}

// sort orders the records. Where there are many, it spreads them over slots first, by the bits of their hashes that follow
// those that a bin has in common.
func (r *records) sort() {
	const bits = 12
	if len(r.order) < 1<<bits {
		r.sortRange(0, len(r.order))
		return
	}
	slot := func(p place) uint64 { return p.hash << 8 >> (64 - bits) }
	var ends [1<<bits + 1]int
	for _, p := range r.order {
		ends[slot(p)+1]++
	}
	for i := range 1 << bits {
		ends[i+1] += ends[i]
	}
	r.spread = slices.Grow(r.spread[:0], len(r.order))[:len(r.order)]
	for _, p := range r.order {
		s := slot(p)
		r.spread[ends[s]] = p
		ends[s]++ // from where the slot begins to where it ends
	}
	r.order, r.spread = r.spread, r.order
	start := 0
	for _, end := range ends[:1<<bits] {
		r.sortRange(start, end)
		start = end
	}
}

func (r *records) sortRange(start, end int) {
	if end-start < 2 {
		return
	}
	slices.SortFunc(r.order[start:end], func(a, b place) int {
		if a.hash != b.hash {
			return cmp.Compare(a.hash, b.hash)
		}
		return bytes.Compare(r.all[a.at:][:a.size], r.all[b.at:][:b.size])
	})
}
