package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net/netip"
	"strings"

	"schoolgate/monitor/record"
	"schoolgate/resolver/query"
)

// A day's file begins with a line of text that says what it is. Then come frames, one for each time that rows were written.
// Frames are grouped to blocks: what the rows of a frame refer to by number stands in it or in an earlier frame of the same
// block. A frame is a head and a body. The head, of 32-bit integers, little-endian:
//
//	length of the body
//	checksum of the body (CRC-32C)
//	rows in the frame; + 1<<31 when a block begins with it
//	time of the earliest row, milliseconds since midnight
//	time of the latest
//	checksum of the five before
//
// The body, of unsigned varints (u), texts (u and so many bytes) and bytes:
//
//	u, and so many times what says who:   device, address (0, 4 or 16 bytes), group, as texts
//	u, and so many times what says why:   action, rule, category, list, source as texts; answer code, type of query as u
//	u, and so many names, as texts
//	for each row: time minus that of the row before (zigzag), who, why, name, microseconds
//
// The first row's time is counted from midnight. Numbers of who, why and name begin at 0 in each block.
const headSize = 24

const blockBegins = 1 << 31

// What a block holds at most, so that reading one takes little memory; maxTexts is in bytes. maxBody is more than a frame of
// it can take.
const (
	maxRows  = 1 << 17
	maxNames = 1 << 15
	maxWho   = 1 << 12
	maxWhy   = 1 << 12
	maxTexts = 1 << 20
	maxBody  = 8 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

var errDamaged = errors.New("damaged")

// head is what stands before a frame's body.
type head struct {
	length, sum     uint32
	rows            uint32
	begins          bool
	earliest, until uint32 // until is the time of the latest row
}

func (h *head) put(b []byte) {
	le := binary.LittleEndian
	rows := h.rows
	if h.begins {
		rows |= blockBegins
	}
	for i, v := range []uint32{h.length, h.sum, rows, h.earliest, h.until} {
		le.PutUint32(b[4*i:], v)
	}
	le.PutUint32(b[headSize-4:], checksum(b[:headSize-4]))
}

// readHead reads the head that b begins with; ok is false when it is none.
func readHead(b []byte) (h head, ok bool) {
	if len(b) < headSize {
		return h, false
	}
	le := binary.LittleEndian
	h = head{length: le.Uint32(b), sum: le.Uint32(b[4:]), rows: le.Uint32(b[8:]), earliest: le.Uint32(b[12:]), until: le.Uint32(b[16:])}
	h.begins = h.rows&blockBegins != 0
	h.rows &^= blockBegins
	sane := h.length <= maxBody && h.rows <= maxRows && h.earliest <= h.until && h.until < dayMillis
	return h, sane && le.Uint32(b[headSize-4:]) == checksum(b[:headSize-4])
}

func (h *head) size() int64 { return headSize + int64(h.length) }

func putText(b []byte, s string) []byte { return append(binary.AppendUvarint(b, uint64(len(s))), s...) }

func putWho(b []byte, w *record.Who) []byte {
	b = putText(b, w.Device)
	if w.Addr.IsValid() {
		a := w.Addr.AsSlice()
		b = append(binary.AppendUvarint(b, uint64(len(a))), a...)
	} else {
		b = append(b, 0)
	}
	return putText(b, w.Group)
}

// Words rather than the numbers of this program, which may change. What is judged stands behind the rule, where it is not the
// name asked for.
func putWhy(b []byte, w *record.Why) []byte {
	rule := w.Rule.String()
	if w.Via != 0 {
		rule += viaMark + w.Via.String()
	}
	for _, s := range []string{w.Action.String(), rule, w.Category, w.List, w.Source.String()} {
		b = putText(b, s)
	}
	b = binary.AppendUvarint(b, uint64(w.RCode))
	return binary.AppendUvarint(b, uint64(w.Type))
}

// viaMark stands between a rule and what it is about; no rule has it in its name.
const viaMark = "/"

// body reads the body of a frame. After bad is set it gives zeros.
type body struct {
	b   []byte
	bad bool
}

func (r *body) uint() uint64 {
	if len(r.b) > 0 && r.b[0] < 0x80 { // most are small
		v := r.b[0]
		r.b = r.b[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.b, r.bad = nil, true
		return 0
	}
	r.b = r.b[n:]
	return v
}

// index is a number below n.
func (r *body) index(n int) uint32 {
	v := r.uint()
	if v >= uint64(n) {
		r.bad = true
		return 0
	}
	return uint32(v)
}

// count is a number of things that take at least one byte each.
func (r *body) count() int {
	v := r.uint()
	if v > uint64(len(r.b)) {
		r.bad = true
		return 0
	}
	return int(v)
}

func (r *body) text() []byte {
	n := r.count()
	s := r.b[:n]
	r.b = r.b[n:]
	return s
}

func (r *body) who() (w record.Who) {
	w.Device = string(r.text())
	w.Addr, _ = netip.AddrFromSlice(r.text())
	w.Group = string(r.text())
	return w
}

func (r *body) why() (w record.Why) {
	w.Action, _ = query.ParseAction(string(r.text()))
	rule, via, _ := strings.Cut(string(r.text()), viaMark)
	w.Rule, _ = query.ParseRule(rule)
	w.Via, _ = query.ParseVia(via)
	w.Category = string(r.text())
	w.List = string(r.text())
	w.Source, _ = query.ParseSource(string(r.text()))
	w.RCode = uint16(r.index(1 << 16))
	w.Type = uint16(r.index(1 << 16))
	return w
}

// block is one block in memory.
type block struct {
	who   []record.Who
	why   []record.Why
	names []string
	rows  []entry
}

// entry is a row of a block: its time since midnight in milliseconds, the rest as in record.Entry.
type entry struct {
	ms, took       uint32
	who, why, name uint32
}

func (b *block) reset() {
	clear(b.who)
	clear(b.why)
	clear(b.names)
	b.who, b.why, b.names, b.rows = b.who[:0], b.why[:0], b.names[:0], b.rows[:0]
}

// texts reads the first part of a frame's body.
func (b *block) texts(r *body) {
	for range r.count() {
		b.who = append(b.who, r.who())
	}
	for range r.count() {
		b.why = append(b.why, r.why())
	}
	n, begin := r.count(), r.b
	for range n {
		r.text()
	}
	names := body{b: begin[:len(begin)-len(r.b)]}
	all := string(names.b) // one piece of memory for all of them
	for range n {
		size := len(names.text())
		end := len(all) - len(names.b)
		b.names = append(b.names, all[end-size:end])
	}
}

// add reads a frame whose head and checksum are right.
func (b *block) add(h head, data []byte) error {
	r := body{b: data}
	b.texts(&r)
	if len(b.rows)+int(h.rows) > maxRows {
		return fmt.Errorf("more than %d rows in a block: %w", maxRows, errDamaged)
	}
	ms := int64(0)
	for range h.rows {
		delta := r.uint()
		ms += int64(delta>>1) ^ -int64(delta&1)
		e := entry{ms: uint32(ms), who: r.index(len(b.who)), why: r.index(len(b.why)), name: r.index(len(b.names)), took: uint32(r.uint())}
		if r.bad || ms < int64(h.earliest) || ms > int64(h.until) {
			return fmt.Errorf("a row with impossible numbers: %w", errDamaged)
		}
		b.rows = append(b.rows, e)
	}
	if len(r.b) > 0 {
		return fmt.Errorf("%d bytes too many: %w", len(r.b), errDamaged)
	}
	return nil
}
