package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// title is the first line of a day's file.
const (
	titleWords   = "Schoolgate record "
	titleVersion = 1
)

func (d date) title() string { return fmt.Sprintf("%s%d, %s UTC\n", titleWords, titleVersion, d) }

// windowSize is how much of a file is read at once in search of heads.
const windowSize = 64 << 10

// day is a day's file, open for reading, as it was when it was opened.
type day struct {
	file   io.ReaderAt
	found  int64 // where the last frame ends that has a head
	end    int64 // where the last whole frame ends, as far as is known
	blocks []blockAt

	data []byte // for load
}

// blockAt is where a block is, and what its heads say.
type blockAt struct {
	at, size        int64
	earliest, until uint32
}

// readDay finds the blocks. What follows the last frame and is no frame is taken for one that is being written, or was when
// the power was cut, if it looks so; else the error is errDamaged, and what comes before it can be read.
func readDay(file io.ReaderAt, size int64, d date) (*day, error) {
	r := &day{file: file}
	title := d.title()
	b := make([]byte, min(size, int64(len(title))))
	if _, err := file.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return r, fmt.Errorf("reading the title: %w", err)
	}
	if len(b) < len(title) {
		return r, nil // it is being made
	}
	if zero(b) {
		return r, r.tail(size)
	}
	if err := checkTitle(string(b), title); err != nil {
		return r, err
	}
	r.end = int64(len(title))
	err := r.find(size)
	r.found = r.end
	return r, err
}

func checkTitle(got, want string) error {
	if got == want {
		return nil
	}
	version, _, _ := strings.Cut(strings.TrimPrefix(got, titleWords), ",")
	if n, err := strconv.Atoi(version); err == nil && n > titleVersion {
		return fmt.Errorf("form %d, this program knows %d: %w", n, titleVersion, ErrNewer)
	}
	return fmt.Errorf("it does not begin as it must: %w", errDamaged)
}

func (r *day) find(size int64) error {
	w := window{file: r.file, size: size}
	for r.end < size {
		b, err := w.read(r.end, headSize)
		if err != nil {
			return err
		}
		h, ok := readHead(b)
		switch {
		case ok && r.end+h.size() > size:
			return nil // its end is not there yet
		case !ok:
			return r.tail(size)
		case h.begins:
			r.blocks = append(r.blocks, blockAt{at: r.end, earliest: h.earliest, until: h.until})
		case len(r.blocks) == 0:
			return fmt.Errorf("no block begins at %d: %w", r.end, errDamaged)
		}
		last := &r.blocks[len(r.blocks)-1]
		last.size += h.size()
		last.earliest, last.until = min(last.earliest, h.earliest), max(last.until, h.until)
		r.end += h.size()
	}
	return nil
}

// page is the unit in which a power cut leaves a file whole or not.
const page = 4096

// tail says whether what begins at end, where a head should be, may be the rest of one frame: then nothing more of it than
// that is there, the head is missing, at least the part of it that is in one page, and no other head follows.
func (r *day) tail(size int64) error {
	damaged := fmt.Errorf("no frame begins at %d: %w", r.end, errDamaged)
	if size-r.end < headSize {
		return nil
	}
	if size-r.end > headSize+maxBody {
		return damaged
	}
	b := make([]byte, size-r.end)
	if _, err := r.file.ReadAt(b, r.end); err != nil {
		return fmt.Errorf("reading: %w", err)
	}
	border := min(headSize, page-int(r.end%page))
	if !zero(b[:border]) && (border == headSize || !zero(b[border:headSize])) {
		return damaged
	}
	for len(b) > headSize {
		b = b[1:]
		if _, ok := readHead(b); ok {
			return damaged
		}
	}
	return nil
}

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// load reads a block. When its last frame, being the last of the file, is not whole, that frame is left out, and end is
// where it begins.
func (r *day) load(at blockAt, b *block) error {
	b.reset()
	if int64(cap(r.data)) < at.size {
		r.data = make([]byte, at.size)
	}
	n, err := r.file.ReadAt(r.data[:at.size], at.at)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading a block: %w", err)
	}
	data := r.data[:n]
	for pos := at.at; len(data) > 0; {
		h, ok := readHead(data)
		if n < int(at.size) && (!ok || h.size() > int64(len(data))) {
			return nil // the writer has cut it off meanwhile
		}
		if !ok || h.size() > int64(len(data)) {
			return fmt.Errorf("no frame begins at %d: %w", pos, errDamaged)
		}
		body := data[headSize:h.size()]
		pos, data = pos+h.size(), data[h.size():]
		if checksum(body) != h.sum {
			if pos == r.found {
				r.end = pos - h.size()
				return nil
			}
			return fmt.Errorf("the frame that ends at %d has a wrong checksum: %w", pos, errDamaged)
		}
		if err := b.add(h, body); err != nil {
			return err
		}
	}
	return nil
}

// each reads the blocks with rows from lo until before hi, milliseconds since midnight, one after the other into b, and
// ends with the error of f. A block that cannot be read does not hide the others.
func (r *day) each(ctx context.Context, lo, hi int64, b *block, f func() error) error {
	var broken error
	for _, at := range r.blocks {
		if int64(at.until) < lo || int64(at.earliest) >= hi {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		broken = errors.Join(broken, r.load(at, b))
		if err := f(); err != nil {
			return err
		}
	}
	return broken
}

// window reads a few bytes here and there, most of them near to each other.
type window struct {
	file io.ReaderAt
	size int64 // of the file
	b    []byte
	at   int64
}

// read gives n bytes at at, fewer at the end.
func (w *window) read(at int64, n int) ([]byte, error) {
	if off := at - w.at; off >= 0 && off+int64(n) <= int64(len(w.b)) {
		return w.b[off : off+int64(n)], nil
	}
	if w.b == nil {
		w.b = make([]byte, windowSize)
	}
	w.at, w.b = at, w.b[:min(w.size-at, windowSize)]
	if _, err := w.file.ReadAt(w.b, at); err != nil {
		return nil, fmt.Errorf("reading: %w", err)
	}
	return w.b[:min(n, len(w.b))], nil
}

// onDay calls f with the day's file, if there is one. It is called with what can be read of a damaged one too.
func (r *Reader) onDay(ctx context.Context, d date, f func(*day) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	osFile, err := os.Open(d.path(r.dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening: %w", err)
	}
	defer osFile.Close()
	info, err := osFile.Stat()
	if err != nil {
		return fmt.Errorf("opening: %w", err)
	}
	day, err := readDay(osFile, info.Size(), d)
	return errors.Join(f(day), err)
}
