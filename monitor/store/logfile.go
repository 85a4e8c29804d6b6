package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"

	"schoolgate/monitor/record"
)

// file is an *os.File.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Truncate(size int64) error
	Sync() error
}

// logFile is one day's file, open for writing by one caller at a time.
type logFile struct {
	date  date
	file  file
	size  int64 // of what is whole
	torn  bool  // there may be something behind it
	block dictionary
	frame frame
	ids   numbers
	turn  record.Turn
}

// dictionary is what the block holds to which frames are being added.
type dictionary struct {
	who   map[record.Who]uint32
	why   map[record.Why]uint32
	names map[string]uint32
	rows  int
	bytes int // of texts
	begun bool
}

func newDictionary() dictionary {
	return dictionary{who: make(map[record.Who]uint32), why: make(map[record.Why]uint32), names: make(map[string]uint32)}
}

// full says whether the next row must begin another block.
func (d *dictionary) full() bool {
	return d.rows >= maxRows || d.bytes >= maxTexts || len(d.who) >= maxWho || len(d.why) >= maxWhy || len(d.names) >= maxNames
}

// numbers are, for each index of a batch, the number in the block + 1, or 0 when that is not known.
type numbers struct{ who, why, names []uint32 }

func (n *numbers) reset(b *record.Batch) {
	for s, size := range map[*[]uint32]int{&n.who: len(b.Who), &n.why: len(b.Why), &n.names: len(b.Names)} {
		if cap(*s) < size {
			*s = make([]uint32, size)
		}
		*s = (*s)[:size]
		clear(*s)
	}
}

// frame is one that is being made: its texts, each with their number, and its rows.
type frame struct {
	who, why, names    []byte
	nWho, nWhy, nNames uint64
	rows               []byte
	n                  uint32
	last               int64 // the time of the last row
	earliest, until    int64
	out                []byte // all of it, in the order of the file
}

func (f *frame) reset() {
	*f = frame{
		who: f.who[:0], why: f.why[:0], names: f.names[:0], rows: f.rows[:0], out: f.out[:0],
		earliest: math.MaxInt64, until: math.MinInt64,
	}
}

// openLog opens the day's file and makes it when it is not there. What a power cut left unfinished at its end is cut off.
// The names that its last rows have become known. The error is errDamaged when something in the midst of it is wrong.
func openLog(dir string, d date, known *recent) (*logFile, error) {
	path := d.path(dir)
	osFile, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening a day of the record: %w", err)
	}
	f := &logFile{date: d, file: osFile, block: newDictionary()}
	info, err := osFile.Stat()
	if err == nil {
		err = f.begin(filepath.Dir(path), info.Size(), known)
	}
	if err != nil {
		return nil, errors.Join(err, osFile.Close())
	}
	return f, nil
}

func (f *logFile) begin(dir string, size int64, known *recent) error {
	if size == 0 {
		return syncDir(dir)
	}
	r, err := readDay(f.file, size, f.date)
	if err != nil {
		return err
	}
	var b block
	last := len(r.blocks)
	for bytes := int64(0); last > 0 && bytes < maxBody; last-- {
		bytes += r.blocks[last-1].size
	}
	for _, at := range r.blocks[last:] {
		if err := r.load(at, &b); err != nil {
			return err
		}
		for _, name := range b.names {
			if !known.has(name) {
				known.add(strings.Clone(name))
			}
		}
	}
	f.size, f.torn = r.end, r.end < size
	return f.mend()
}

// syncDir makes sure that a new file is found after a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("opening the directory of the record: %w", err)
	}
	return errors.Join(d.Sync(), d.Close())
}

// mend cuts off what was not written to its end. The next frame begins a block, because what the block should hold may not
// have been written.
func (f *logFile) mend() error {
	if !f.torn {
		return nil
	}
	if err := f.file.Truncate(f.size); err != nil {
		return fmt.Errorf("cutting off what was not written to its end: %w", err)
	}
	f.torn, f.block = false, newDictionary()
	return nil
}

// append writes rows of this day, which belong to b, and says how many, counted from the first, are on the disk. Each frame
// is synced before the next begins, so that a power cut leaves at most one unfinished.
func (f *logFile) append(b *record.Batch, rows []record.Entry, known *budget) (n int, err error) {
	f.ids.reset(b)
	for n < len(rows) {
		if err := f.mend(); err != nil {
			return n, err
		}
		if f.block.full() {
			f.block = newDictionary()
			f.ids.reset(b)
		}
		taken := f.fill(b, rows[n:], known)
		if err := f.write(); err != nil {
			f.torn = true
			return n, err
		}
		n += taken
	}
	return n, nil
}

// fill makes a frame of as many rows as the block takes.
func (f *logFile) fill(b *record.Batch, rows []record.Entry, known *budget) (n int) {
	f.frame.reset()
	midnight := f.date.millis()
	for n < len(rows) && !f.block.full() {
		e := &rows[n]
		f.frame.put(clampMillis(e.Time)-midnight, f.whoOf(b, e), f.whyOf(b, e), f.nameOf(b, e, known), e.Took)
		f.block.rows++
		f.turn.Row()
		n++
	}
	return n
}

func clampMillis(ms int64) int64 { return min(max(ms, minTime.UnixMilli()), maxTime.UnixMilli()) }

func (f *logFile) whoOf(b *record.Batch, e *record.Entry) uint32 {
	if id := f.ids.who[e.Who]; id != 0 {
		return id - 1
	}
	w := b.Who[e.Who]
	w.Addr = w.Addr.WithZone("")
	id, known := f.block.who[w]
	if !known {
		id = uint32(len(f.block.who))
		f.block.who[w] = id
		f.frame.who = putWho(f.frame.who, &w)
		f.frame.nWho++
		f.block.bytes += len(w.Device) + len(w.Group)
	}
	f.ids.who[e.Who] = id + 1
	return id
}

func (f *logFile) whyOf(b *record.Batch, e *record.Entry) uint32 {
	if id := f.ids.why[e.Why]; id != 0 {
		return id - 1
	}
	w := b.Why[e.Why]
	id, known := f.block.why[w]
	if !known {
		id = uint32(len(f.block.why))
		f.block.why[w] = id
		f.frame.why = putWhy(f.frame.why, &w)
		f.frame.nWhy++
		f.block.bytes += len(w.Category) + len(w.List)
	}
	f.ids.why[e.Why] = id + 1
	return id
}

func (f *logFile) nameOf(b *record.Batch, e *record.Entry, known *budget) uint32 {
	why := &b.Why[e.Why]
	if why.Rule.Withheld() { // said by the journal already; the IWF's rules deserve a second lock
		return f.name(record.Withheld, known)
	}
	if id := f.ids.names[e.Name]; id != 0 {
		return id - 1
	}
	text := b.Names[e.Name]
	if id, ok := f.block.names[text]; ok {
		f.ids.names[e.Name] = id + 1
		return id
	}
	kept := known.afford(text, b.Who[e.Who].Device, why.Action, e.Time)
	id := f.name(kept, known)
	if kept == text { // and so it is known, for all other rows too
		f.ids.names[e.Name] = id + 1
	}
	return id
}

// name is the number of a name in the block, to which it is added when it is not in it. Either way it is known from then on.
func (f *logFile) name(text string, known *budget) uint32 {
	id, ok := f.block.names[text]
	if ok {
		return id
	}
	text = strings.Clone(text) // the batch's names are one piece of memory
	id = uint32(len(f.block.names))
	f.block.names[text] = id
	if !known.known.has(text) {
		known.known.add(text)
	}
	f.frame.names = putText(f.frame.names, text)
	f.frame.nNames++
	f.block.bytes += len(text)
	return id
}

// put adds a row of ms after midnight.
func (f *frame) put(ms int64, who, why, name, took uint32) {
	delta := ms - f.last
	b := binary.AppendUvarint(f.rows, uint64(delta<<1)^uint64(delta>>63))
	b = binary.AppendUvarint(b, uint64(who))
	b = binary.AppendUvarint(b, uint64(why))
	b = binary.AppendUvarint(b, uint64(name))
	f.rows = binary.AppendUvarint(b, uint64(took))
	f.last, f.earliest, f.until = ms, min(f.earliest, ms), max(f.until, ms)
	f.n++
}

// write puts the frame behind the others and waits until it is on the disk.
func (f *logFile) write() error {
	r := &f.frame
	out := r.out
	if f.size == 0 {
		out = append(out, f.date.title()...)
	}
	at := len(out)
	out = append(out, make([]byte, headSize)...)
	for _, part := range []struct {
		n    uint64
		text []byte
	}{{r.nWho, r.who}, {r.nWhy, r.why}, {r.nNames, r.names}} {
		out = append(binary.AppendUvarint(out, part.n), part.text...)
	}
	out = append(out, r.rows...)
	r.out = out
	h := head{
		length: uint32(len(out) - at - headSize), sum: checksum(out[at+headSize:]), rows: r.n, begins: !f.block.begun,
		earliest: uint32(r.earliest), until: uint32(r.until),
	}
	h.put(out[at:])
	if _, err := f.file.WriteAt(out, f.size); err != nil {
		return fmt.Errorf("writing rows: %w", err)
	}
	if err := f.file.Sync(); err != nil {
		return fmt.Errorf("writing rows to the disk: %w", err)
	}
	f.size += int64(len(out))
	f.block.begun = true
	return nil
}

func (f *logFile) close() error {
	err := f.mend()
	f.frame, f.block = frame{}, dictionary{}
	return errors.Join(err, f.file.Close())
}
