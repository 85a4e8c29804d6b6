package change

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"schoolgate/monitor"
)

// Book is the log as read: a value that is not altered once made.
type Book struct {
	Head    monitor.Head // of the chain; its At is that of the last line
	Fault   *Fault       // the first thing that is wrong and that nobody has acknowledged; nil: there is none
	Known   []Entry      // of KindAcknowledged: from the last of them on the chain is to be whole
	Partial []byte       // an end that is no whole line, at most maxLine of it: what a power cut leaves; nil: none
	Back    []int        // lines dated before the line before them: the clock was set back

	entries []Entry
	changes []*Change // by ID
	end     int64     // bytes of whole lines
	size    int64     // bytes
	hashes  []string  // by line; kept for Check
}

// Fault is the first line at which the chain is broken, and what that means.
type Fault struct {
	Line int
	What string
}

// readBook reads a log to its end.
func readBook(r io.Reader) (*Book, error) {
	b := &Book{Head: monitor.Head{Hash: origin}}
	in := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := in.ReadSlice('\n')
		switch {
		case err == nil:
			b.size += int64(len(line))
			b.end = b.size
			b.take(line[:len(line)-1])
		case errors.Is(err, bufio.ErrBufferFull):
			long := bytes.Clone(line)
			rest, whole, err := skipLine(in)
			if err != nil {
				return nil, fmt.Errorf("reading the log of changes: %w", err)
			}
			b.size += int64(len(long)) + rest
			if !whole {
				b.Partial = long
				return b, nil
			}
			b.end = b.size
			b.take(long)
		case errors.Is(err, io.EOF):
			if len(line) > 0 {
				b.size += int64(len(line))
				b.Partial = bytes.Clone(line)
			}
			return b, nil
		default:
			return nil, fmt.Errorf("reading the log of changes: %w", err)
		}
	}
}

// skipLine reads to the end of a line that is too long; whole says whether it has one.
func skipLine(in *bufio.Reader) (n int64, whole bool, err error) {
	for {
		part, err := in.ReadSlice('\n')
		n += int64(len(part))
		switch {
		case err == nil:
			return n, true, nil
		case errors.Is(err, io.EOF):
			return n, false, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return n, false, err
		}
	}
}

// take reads one line, whatever is in it: a broken line is a fault, and those behind it are read all the same.
func (b *Book) take(line []byte) {
	e, err := parseEntry(line)
	at := len(b.hashes) + 1
	if err != nil {
		b.fault(at, err.Error())
		sum := sha256.Sum256(line)
		b.Head = monitor.Head{At: b.Head.At, Count: b.Head.Count + 1, Hash: hex.EncodeToString(sum[:])}
		b.hashes = append(b.hashes, b.Head.Hash)
		return
	}
	switch {
	case e.Number != b.Head.Count+1:
		b.fault(at, fmt.Sprintf("it is number %d and stands where %d belongs: lines were taken out, put in or moved", e.Number, b.Head.Count+1))
	case e.Prev != b.Head.Hash:
		b.fault(at, "it does not follow from the line before it: that line was exchanged, or lines were taken out, put in or moved")
	}
	if e.At.Before(b.Head.At) {
		b.Back = append(b.Back, e.Number)
	}
	b.Head = monitor.Head{At: e.At, Count: e.Number, Hash: e.Hash}
	b.hashes = append(b.hashes, e.Hash)
	b.entries = append(b.entries, e)
	if e.Kind == KindAcknowledged {
		b.Known, b.Fault = append(b.Known, e), nil
	}
	b.fold(e)
}

func (b *Book) fault(line int, what string) {
	if b.Fault == nil {
		b.Fault = &Fault{Line: line, What: what}
	}
}

// Doubt is the Book with a break at f, which Check found: of the lines from there on, what opens the filter is not
// believed.
func (b *Book) Doubt(f *Fault) *Book {
	if b.Fault != nil {
		return b
	}
	d := *b
	d.changes = nil
	for _, e := range b.entries {
		if e.Number >= f.Line {
			d.Fault = f
		}
		d.fold(e)
	}
	d.Fault = f
	return &d
}

// fold is what an entry does to the change that it speaks of. Behind a break of the chain nothing that opens the filter is
// believed, while what tightens it is: the safe one of two mistakes.
func (b *Book) fold(e Entry) {
	doubt := b.Fault != nil
	if e.Kind == KindProposed {
		b.propose(e, doubt)
		return
	}
	c := b.change(e.Change)
	if c == nil {
		return
	}
	open := c.Ended.IsZero()
	switch e.Kind {
	case KindApproved:
		if c.Doubted = c.Doubted || doubt && b.Opens(c.What); !open || c.Doubted || c.ApprovedBy != "" {
			return
		}
		c.ApprovedBy, c.ApprovedAt = e.By, e.At
		if c.Risk == "" {
			c.Risk = e.Risk
		}
		if c.Began.IsZero() {
			b.begin(c, e)
		}
	case KindRefused:
		if open && c.Began.IsZero() {
			c.Ended, c.EndedAs, c.EndedBy, c.EndedWhy = e.At, Refused, e.By, e.Why
		}
	case KindApplied:
		c.Applied, c.Before, c.After = e.At, e.Before, e.After
	case KindExpired:
		if open && !doubt { // the clock ends it all the same
			c.Ended, c.EndedAs = e.At, Expired
			if c.Began.IsZero() {
				c.EndedAs = Lapsed
			}
		}
	case KindProposed, KindConfiguration, KindLists, KindOpened, KindAnswered, KindCut, KindAcknowledged:
	}
}

func (b *Book) propose(e Entry, doubt bool) {
	if b.change(e.Number) != nil {
		return
	}
	c := &Change{
		ID: e.Number, What: *e.What, By: e.By, Role: e.Role, Via: e.Via, Why: e.Why, Risk: e.Risk, Proposed: e.At,
		Needs: e.Needs, Until: e.Until, For: e.For, Doubted: doubt && b.Opens(*e.What),
	}
	i, _ := slices.BinarySearchFunc(b.changes, c.ID, func(c *Change, id int) int { return c.ID - id })
	b.changes = slices.Insert(b.changes, i, c)
	if c.Needs != Approval && !c.Doubted {
		b.begin(c, e)
	}
}

// begin puts a change in force, or carries out a Revert.
func (b *Book) begin(c *Change, e Entry) {
	at := e.At
	c.Began, c.turn = at, e.Number
	if c.For > 0 {
		c.Until = at.Add(c.For)
	}
	if c.Action != Revert {
		return
	}
	if of := b.change(c.Of); of != nil && of.Ended.IsZero() {
		of.Ended, of.EndedAs, of.EndedBy, of.EndedWhy = at, Reverted, c.By, c.Why
	}
}

// Opens is What.Opens, of a Revert too.
func (b *Book) Opens(w What) bool {
	if w.Action != Revert {
		return w.Opens()
	}
	of := b.change(w.Of)
	return of != nil && of.Tightens()
}

func (b *Book) change(id int) *Change {
	i, ok := slices.BinarySearchFunc(b.changes, id, func(c *Change, id int) int { return c.ID - id })
	if !ok {
		return nil
	}
	return b.changes[i]
}

// Change finds one by its number.
func (b *Book) Change(id int) (*Change, bool) {
	c := b.change(id)
	return c, c != nil
}

// Changes gives all, in the order in which they were proposed.
func (b *Book) Changes() []*Change { return slices.Clone(b.changes) }

// Entries gives all lines that can be read, in their order.
func (b *Book) Entries() []Entry { return slices.Clone(b.entries) }

// Answer gives the line that says what became of a request of the block page, which was made at a time: numbers begin again
// when the record had to be begun anew.
func (b *Book) Answer(request int64, at time.Time) (Entry, bool) {
	for _, e := range slices.Backward(b.entries) {
		if e.Kind == KindAnswered && e.Asked == request && !e.At.Before(at.Truncate(time.Millisecond)) {
			return e, true
		}
	}
	return Entry{}, false
}

// Active is the changes in force at now, in the order in which they came into force.
func (b *Book) Active(now time.Time) []*Change {
	var out []*Change
	for _, c := range b.changes {
		if c.State(now) == Active {
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, func(x, y *Change) int { return x.turn - y.turn })
	return out
}

// Check compares the chain with heads that were kept elsewhere, oldest first. It gives the first thing that is wrong with
// either, nil when the log is whole, but for what was acknowledged.
func (b *Book) Check(heads []monitor.Head) *Fault {
	if b.Fault != nil {
		return b.Fault
	}
	var known time.Time
	if n := len(b.Known); n > 0 {
		last := b.Known[n-1]
		covers := func(h monitor.Head) bool {
			return h.Count >= last.Number && h.Count <= len(b.hashes) && b.hashes[h.Count-1] == h.Hash
		}
		if i := slices.IndexFunc(heads, covers); i >= 0 {
			heads = heads[i:] // whatever date the line bears
		} else {
			known = last.At
		}
	}
	for _, h := range heads {
		switch {
		case h.Count < 1 || h.At.Before(known):
		case h.Count > len(b.hashes):
			return &Fault{Line: len(b.hashes) + 1, What: fmt.Sprintf(
				"it is missing: the log had %d lines at %s and has %d now: its end was cut off", h.Count, h.At.UTC().Format(time.RFC3339), len(b.hashes))}
		case b.hashes[h.Count-1] != h.Hash:
			return &Fault{Line: h.Count, What: fmt.Sprintf(
				"it is not the line that stood there at %s: the log was written anew from there or before", h.At.UTC().Format(time.RFC3339))}
		}
	}
	if b.Partial != nil {
		return &Fault{Line: len(b.hashes) + 1, What: "it is not whole: the power failed while it was written, or somebody cut it; it is set aside, and said so, at the next write"}
	}
	return nil
}
