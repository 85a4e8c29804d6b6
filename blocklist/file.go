package blocklist

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
)

// Errors of a set file, to be tested with errors.Is.
var (
	ErrFormat  = errors.New("not a set file")
	ErrVersion = errors.New("set file of another version of this program")
	ErrCorrupt = errors.New("set file is damaged")
)

// The file: a head, then sections, each begun on a border of sectionAlign bytes. All numbers are little-endian. The head:
// magic, version, checksum of the head with this field zero, checksum of all after the head, whether there are names of one
// label (32 bits each after the magic), size of the file, names, homes, seed of hashes (64 bits), then offset and size of
// each section (64 bits).
const (
	magic        = "RadixSet"
	version      = 5
	sectionAlign = 64
	headSize     = 256
	headSections = 56
)

// The sections, in the order in which they stand.
const (
	sectionBuckets = iota
	sectionDirectory
	sectionFar
	sectionCodes
	sectionTops
	sectionPlain
	sectionWhole
	sectionSymbols
	sectionLists
	sections
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// sink takes what comes after the head.
type sink interface{ Write(b []byte) (int, error) }

// image writes the sections of a file.
type image struct {
	out  sink
	sum  uint32
	size int64 // head included
}

func newImage(out sink) *image { return &image{out: out, size: headSize} }

func (w *image) write(b []byte) error {
	w.sum = crc32.Update(w.sum, castagnoli, b)
	w.size += int64(len(b))
	_, err := w.out.Write(b)
	return err
}

// finish writes what follows the buckets and returns the head.
func (w *image) finish(c *compiler) ([]byte, error) {
	lists, err := json.Marshal(c.lists)
	if err != nil {
		return nil, fmt.Errorf("describing the lists: %w", err)
	}
	head := make([]byte, headSize)
	section := func(i int, at, size int64) {
		binary.LittleEndian.PutUint64(head[headSections+16*i:], uint64(at))
		binary.LittleEndian.PutUint64(head[headSections+16*i+8:], uint64(size))
	}
	section(sectionBuckets, headSize, w.size-headSize)
	for i, b := range [...][]byte{
		c.directory, c.far, c.codes, c.tops, c.tuples.plain, c.tuples.whole, c.symbols.appendTo(nil), lists,
	} {
		if err := w.write(make([]byte, -w.size&(sectionAlign-1))); err != nil {
			return nil, err
		}
		section(sectionDirectory+i, w.size, int64(len(b)))
		if err := w.write(b); err != nil {
			return nil, err
		}
	}
	if w.size > math.MaxInt32 {
		return nil, fmt.Errorf("set of %d bytes is larger than a file may be", w.size)
	}
	copy(head, magic)
	binary.LittleEndian.PutUint32(head[8:], version)
	binary.LittleEndian.PutUint32(head[16:], w.sum)
	binary.LittleEndian.PutUint64(head[24:], uint64(w.size))
	binary.LittleEndian.PutUint64(head[32:], uint64(c.names))
	binary.LittleEndian.PutUint64(head[40:], c.homes)
	binary.LittleEndian.PutUint64(head[48:], c.seed)
	if len(c.single) > 0 {
		head[20] = 1
	}
	binary.LittleEndian.PutUint32(head[12:], crc32.Checksum(head, castagnoli))
	return head, nil
}

// WriteFile makes the set as a file that Open reads. It appears whole or not at all: a temporary file in the same folder
// takes the place of path when all is on disk.
func (b *Builder) WriteFile(path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return fmt.Errorf("creating set file: %w", err)
	}
	err = b.writeFile(f)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("writing set file %q: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}

func (b *Builder) writeFile(f *os.File) error {
	if _, err := f.Write(make([]byte, headSize)); err != nil {
		return err
	}
	out := bufio.NewWriterSize(f, 256<<10)
	head, err := b.finish(out)
	if err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	_, err = f.WriteAt(head, 0)
	return err
}

// syncDir makes a rename last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("syncing folder: %w", err)
	}
	err = d.Sync()
	if err := errors.Join(err, d.Close()); err != nil {
		return fmt.Errorf("syncing folder %q: %w", dir, err)
	}
	return nil
}

// memory is a sink that keeps what it takes in pieces, each twice as large as the one before up to a limit, so that
// growing copies none.
type memory struct{ pieces [][]byte }

func (m *memory) Write(b []byte) (int, error) {
	const least, most = 4 << 10, 1 << 20
	for rest := b; len(rest) > 0; {
		last := len(m.pieces) - 1
		if last < 0 {
			m.pieces = append(m.pieces, make([]byte, 0, least))
			last++
		} else if size := cap(m.pieces[last]); len(m.pieces[last]) == size {
			m.pieces = append(m.pieces, make([]byte, 0, min(2*size, most)))
			last++
		}
		p := m.pieces[last]
		n := min(len(rest), cap(p)-len(p))
		m.pieces[last] = append(p, rest[:n]...)
		rest = rest[n:]
	}
	return len(b), nil
}

// join gives all in one piece, after head.
func (m *memory) join(head []byte) []byte {
	size := len(head)
	for _, p := range m.pieces {
		size += len(p)
	}
	all := append(make([]byte, 0, size), head...)
	for i, p := range m.pieces {
		all, m.pieces[i] = append(all, p...), nil
	}
	return all
}

// Open maps a set file. The file must not be changed afterwards, only replaced, as WriteFile does. The mapping goes when
// the Set is no longer reachable. What is no whole and undamaged set file is refused: ErrFormat, ErrVersion, ErrCorrupt.
func Open(path string) (*Set, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening set: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("opening set %q: %w", path, err)
	}
	if !info.Mode().IsRegular() || info.Size() < headSize {
		return nil, fmt.Errorf("opening set %q: %w", path, ErrFormat)
	}
	if info.Size() > math.MaxInt32 {
		return nil, fmt.Errorf("opening set %q: %w: %d bytes", path, ErrFormat, info.Size())
	}
	data, unmap, err := mapFile(f, int(info.Size()))
	if err != nil {
		return nil, fmt.Errorf("mapping set %q: %w", path, err)
	}
	s, err := open(data)
	if err != nil {
		unmap(data)
		return nil, fmt.Errorf("opening set %q: %w", path, err)
	}
	s.unmapWhenGone(unmap)
	return s, nil
}

// read reads size bytes, for systems and file systems that map none.
func read(f io.Reader, size int) ([]byte, error) {
	b := make([]byte, size)
	_, err := io.ReadFull(f, b)
	return b, err
}

// open checks data and lays a Set over it.
func open(data []byte) (*Set, error) {
	if len(data) < headSize || string(data[:len(magic)]) != magic {
		return nil, ErrFormat
	}
	head := append([]byte(nil), data[:headSize]...)
	number := func(at int) uint64 { return binary.LittleEndian.Uint64(head[at:]) }
	if v := binary.LittleEndian.Uint32(head[8:]); v != version {
		return nil, fmt.Errorf("%w: %d, want %d", ErrVersion, v, version)
	}
	sum := binary.LittleEndian.Uint32(head[12:])
	clear(head[12:16])
	if crc32.Checksum(head, castagnoli) != sum {
		return nil, fmt.Errorf("%w: checksum of its head", ErrCorrupt)
	}
	if size := number(24); size != uint64(len(data)) {
		return nil, fmt.Errorf("%w: %d bytes long instead of %d", ErrCorrupt, len(data), size)
	}
	if crc32.Checksum(data[headSize:], castagnoli) != binary.LittleEndian.Uint32(head[16:]) {
		return nil, fmt.Errorf("%w: checksum", ErrCorrupt)
	}
	s := &Set{data: data, names: int(number(32)), homes: number(40), seed: number(48), singles: head[20] != 0}
	var symbols, lists []byte
	for i, part := range [sections]*[]byte{
		&s.buckets, (*[]byte)(&s.directory), &s.far, &s.codes, &s.tops, &s.tuples.plain, &s.tuples.whole, &symbols, &lists,
	} {
		at, size := number(headSections+16*i), number(headSections+16*i+8)
		if at > uint64(len(data)) || size > uint64(len(data))-at {
			return nil, fmt.Errorf("%w: section %d ends beyond its end", ErrCorrupt, i)
		}
		*part = data[at:][:size:size]
	}
	if s.seed == 0 || s.homes == 0 || s.homes > uint64(len(s.directory)/lineSize*lineHomes) || len(s.buckets) < slack {
		return nil, fmt.Errorf("%w: sections that do not fit each other", ErrCorrupt)
	}
	var err error
	if s.symbols, err = readSymbols(symbols); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(lists, &s.lists); err != nil {
		return nil, fmt.Errorf("%w: lists: %w", ErrCorrupt, err)
	}
	return s, nil
}
