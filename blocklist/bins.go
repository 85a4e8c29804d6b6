package blocklist

import (
	"encoding/binary"
	"fmt"
	"os"
	"slices"
)

// bins sort records roughly, so that what is in one bin can be sorted in memory: all records of one hash are in one bin,
// and in the order of bins hashes ascend. Records wait in an unnamed file in dir, or in memory where dir is "".
type bins struct {
	dir   string
	piece int // bytes of a bin that are put away at once
	file  *os.File
	size  int64
	bins  [binCount]bin
}

const binCount = 256

// bin is the pieces put away, in memory or in the file, and the one being filled.
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

// add puts a record of fields into the bin of a hash.
func (b *bins) add(hash uint64, fields ...[]byte) error {
	to := &b.bins[hash>>56]
	size := 0
	for _, f := range fields {
		size += len(f)
	}
	if len(to.last) > 0 && len(to.last)+2+size > b.piece {
		if err := b.put(to); err != nil {
			return err
		}
	}
	to.last = binary.LittleEndian.AppendUint16(to.last, uint16(size))
	for _, f := range fields {
		to.last = append(to.last, f...)
	}
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

// take empties a bin and calls record with each of its records, which are the caller's.
func (b *bins) take(i int, record func(r []byte)) error {
	from := b.bins[i]
	b.bins[i] = bin{}
	all := slices.Concat(from.pieces...)
	for _, s := range from.spans {
		at := len(all)
		all = append(all, make([]byte, s.size)...)
		if _, err := b.file.ReadAt(all[at:], s.at); err != nil {
			return fmt.Errorf("reading what is to be sorted: %w", err)
		}
	}
	all = append(all, from.last...)
	for len(all) > 0 {
		size := int(binary.LittleEndian.Uint16(all))
		record(all[2:][:size])
		all = all[2+size:]
	}
	return nil
}

func (b *bins) close() {
	if b.file != nil {
		b.file.Close() // read only from here on, and unlinked: nothing to lose
	}
}
