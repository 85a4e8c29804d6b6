package blocklist

import (
	"bufio"
	"bytes"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// Rules are gathered into runs: sorted, without duplicates, each key written as what it does not share with the one
// before. A run is a piece of one spill file, or of memory.
const (
	runBytes = 24 << 20 // of keys in a run
	runRules = 1 << 20
)

// ruleCode is list, scope and exception in one number.
type ruleCode uint16

func newRuleCode(list int, s Scope, except bool) ruleCode {
	c := ruleCode(list)<<3 | ruleCode(s)<<1
	if except {
		c |= 1
	}
	return c
}

func (c ruleCode) list() int    { return int(c >> 3) }
func (c ruleCode) scope() Scope { return Scope(c >> 1 & 3) }
func (c ruleCode) except() bool { return c&1 != 0 }

// draft is the run being gathered.
type draft struct {
	most  int // rules that it may hold
	keys  []byte
	rules []draftRule
}

type draftRule struct {
	code uint64 // of the key: settles most comparisons
	at   uint32 // of the key in keys
	size uint16
	rule ruleCode
}

func (d *draft) full() bool { return len(d.keys) >= runBytes || len(d.rules) >= d.most }

func (d *draft) key(r draftRule) []byte { return d.keys[r.at:][:r.size] }

// sort orders the run by key, then rule.
func (d *draft) sort() {
	for i := range d.rules {
		d.rules[i].code = codeOf(d.key(d.rules[i]), 11)
	}
	slices.SortFunc(d.rules, func(a, b draftRule) int {
		if a.code != b.code {
			return cmp.Compare(a.code, b.code)
		}
		return cmp.Or(bytes.Compare(d.key(a), d.key(b)), cmp.Compare(a.rule, b.rule))
	})
}

// writeTo writes the sorted run. Of every stride-th stretch it also hands the unshared ends of keys to sample.
func (d *draft) writeTo(w *bufio.Writer, sample func(end []byte)) (size int64, err error) {
	const stretch, stretches = 64, 256
	stride := max(1, len(d.rules)/(stretch*stretches))
	var last []byte
	var lastRule ruleCode
	var b []byte
	for i, r := range d.rules {
		key := d.key(r)
		if i > 0 && r.rule == lastRule && bytes.Equal(key, last) {
			continue
		}
		shared := sharedPrefix(last, key)
		b = binary.AppendUvarint(b[:0], uint64(shared))
		b = binary.AppendUvarint(b, uint64(len(key)-shared))
		b = append(b, key[shared:]...)
		b = binary.LittleEndian.AppendUint16(b, uint16(r.rule))
		if _, err := w.Write(b); err != nil {
			return 0, err
		}
		if size += int64(len(b)); i/stretch%stride == 0 && shared < len(key) {
			sample(key[shared:])
		}
		last, lastRule = key, r.rule
	}
	return size, w.Flush()
}

func sharedPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// spill keeps runs in an unnamed file in dir, or in memory where dir is "".
type spill struct {
	dir  string
	file *os.File
	size int64
	runs []*runReader
}

// add writes a sorted run.
func (s *spill) add(d *draft, sample func([]byte)) error {
	if s.dir == "" {
		var m memory
		if _, err := d.writeTo(bufio.NewWriter(&m), sample); err != nil {
			return err
		}
		pieces := make([]io.Reader, len(m.pieces))
		for i, p := range m.pieces {
			pieces[i] = bytes.NewReader(p)
		}
		s.runs = append(s.runs, &runReader{in: bufio.NewReaderSize(io.MultiReader(pieces...), 16<<10)})
		return nil
	}
	if s.file == nil {
		f, err := os.CreateTemp(s.dir, "runs-*.tmp")
		if err != nil {
			return fmt.Errorf("creating a file for sorted rules: %w", err)
		}
		s.file = f
		if err := os.Remove(f.Name()); err != nil { // so that nothing stays behind, whatever happens to us
			return fmt.Errorf("unlinking the file for sorted rules: %w", err)
		}
	}
	n, err := d.writeTo(bufio.NewWriterSize(s.file, 256<<10), sample)
	if err != nil {
		return fmt.Errorf("writing sorted rules: %w", err)
	}
	s.runs = append(s.runs, &runReader{in: bufio.NewReaderSize(io.NewSectionReader(s.file, s.size, n), 128<<10)})
	s.size += n
	return nil
}

func (s *spill) close() {
	if s.file != nil {
		s.file.Close() // read only from here on, and unlinked: nothing to lose
	}
	s.file, s.runs = nil, nil
}

// merged calls take with every distinct key and rule of all runs, in order. The key is lent.
func (s *spill) merged(take func(key []byte, rule ruleCode) error) error {
	var h runHeap
	for _, r := range s.runs {
		switch err := r.next(); err {
		case nil:
			h = append(h, r)
		case io.EOF:
		default:
			return err
		}
	}
	heap.Init(&h)
	var last []byte
	var lastRule ruleCode
	for len(h) > 0 {
		r := h[0]
		if r.rule != lastRule || !bytes.Equal(r.key, last) {
			last, lastRule = append(last[:0], r.key...), r.rule
			if err := take(last, lastRule); err != nil {
				return err
			}
		}
		switch err := r.next(); err {
		case nil:
			heap.Fix(&h, 0)
		case io.EOF:
			heap.Pop(&h)
		default:
			return err
		}
	}
	return nil
}

// runReader reads one run.
type runReader struct {
	in   *bufio.Reader
	key  []byte
	rule ruleCode
}

// next reads a rule; io.EOF at the end of the run.
func (r *runReader) next() error {
	shared, err := binary.ReadUvarint(r.in)
	if err != nil {
		if errors.Is(err, io.EOF) {
			return io.EOF
		}
		return fmt.Errorf("reading sorted rules: %w", err)
	}
	rest, err := binary.ReadUvarint(r.in)
	if err == nil && (shared > uint64(len(r.key)) || shared+rest > maxKey) {
		err = errors.New("not what was written")
	}
	if err == nil {
		r.key = slices.Grow(r.key[:shared], int(rest))[:shared+rest]
		_, err = io.ReadFull(r.in, r.key[shared:])
	}
	var rule [2]byte
	if err == nil {
		_, err = io.ReadFull(r.in, rule[:])
	}
	if err != nil {
		return fmt.Errorf("reading sorted rules: %w", err)
	}
	r.rule = ruleCode(binary.LittleEndian.Uint16(rule[:]))
	return nil
}

// runHeap has the run with the least rule first.
type runHeap []*runReader

func (h runHeap) Len() int { return len(h) }
func (h runHeap) Less(i, j int) bool {
	c := bytes.Compare(h[i].key, h[j].key)
	return c < 0 || c == 0 && h[i].rule < h[j].rule
}
func (h runHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *runHeap) Push(x any)   { *h = append(*h, x.(*runReader)) }
func (h *runHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
