package cache

import (
	"math"
	"time"
	"unsafe"

	"schoolgate/blocklist/domain"
	"schoolgate/resolver/wire"
)

// staleTTL is what clients may keep a stale answer for, in seconds (RFC 8767 section 4).
const staleTTL = 30

// Entry is one answer. It is immutable and may be used by many goroutines at once.
type Entry struct {
	blob      []byte   // the name asked for, the records, the targets; with a finding, the name and whose it is
	offsets   []uint16 // where the TTLs stand in the records
	stored    time.Time
	life      uint32 // fresh for so many seconds
	afterlife uint32 // then stale for so many
	header    wire.Header
	ede       uint16 // extended error that came with the answer, 0 for none
	typ       uint16 // noType for all
	class     uint16
	records   uint16 // length in blob
	name      uint8  // length in blob
	flags     uint8
	finding   wire.Finding
}

// Append appends the reply to req, which q was parsed from, as it stands at now: with the id and the letter case of the
// request, TTLs that have run down since, AD only for who asked for it, and an OPT record if the request had one. q must
// be the question that the entry was found or made for. The reply is not cut to what the client takes: see wire.Fit.
func (e *Entry) Append(dst, req []byte, q *wire.Question, now time.Time) []byte {
	at := len(dst)
	dst = wire.AppendReply(dst, req, q, e.header, e.body(), wire.EDE{Code: e.ede})
	seconds := min(e.age(now)/time.Second, math.MaxUint32)
	wire.AgeTTLs(dst[at+q.End:], e.offsets, uint32(seconds), 0)
	return dst
}

// AppendStale is Append for an entry past its time: all TTLs are 30 seconds, ede says why to clients with EDNS, and AD is
// not claimed, since signatures may have ended meanwhile.
func (e *Entry) AppendStale(dst, req []byte, q *wire.Question, ede wire.EDE) []byte {
	at := len(dst)
	header := e.header
	header.AD = false
	dst = wire.AppendReply(dst, req, q, header, e.body(), ede)
	wire.AgeTTLs(dst[at+q.End:], e.offsets, math.MaxUint32, staleTTL)
	return dst
}

// NextTarget puts into w a name that the answer leads on to: the target of a CNAME, DNAME, HTTPS or SVCB record. They are
// to be judged again at each hit, for the group that asks. It starts with 0 and goes on with next; ok is false after the
// last. It does not allocate.
func (e *Entry) NextTarget(off int, w *domain.Wire) (next int, ok bool) {
	targets := e.blob[int(e.name)+int(e.records):]
	if off < 0 || off >= len(targets) || e.finding != wire.NoFinding {
		return 0, false
	}
	next, err := w.Read(targets, off)
	return next, err == nil
}

// Finding is what was found in the reply, for which it is not to be given out, and whose finding it is; the text is shared
// with the entry. Such an entry has no records and no targets.
func (e *Entry) Finding() (f wire.Finding, by string) {
	if e.finding != wire.NoFinding {
		if b := e.blob[e.name:]; len(b) > 0 {
			by = unsafe.String(&b[0], len(b)) // nobody changes a blob, and a copy would be made for each question
		}
	}
	return e.finding, by
}

// RCode is the response code, extended bits included.
func (e *Entry) RCode() uint16 { return e.header.RCode }

// EDE is the code of the extended error (RFC 8914) that came with the answer, 0 for none. Append passes it on.
func (e *Entry) EDE() uint16 { return e.ede }

// TTL is how long the entry stays fresh after now, 0 when it no longer is or never was to be stored.
func (e *Entry) TTL(now time.Time) time.Duration {
	return max(time.Duration(e.life)*time.Second-e.age(now), 0)
}

// Failed says whether the entry is no answer but the news that none could be had.
func (e *Entry) Failed() bool {
	return e.header.RCode != wire.NoError && e.header.RCode != wire.NXDomain && e.finding == wire.NoFinding && !e.unproven()
}

// unproven says whether the entry is the refusal of an answer that failed validation: no failure, for which an answer of the past
// could stand in.
func (e *Entry) unproven() bool { return e.header.RCode == wire.ServFail && wire.Unproven(e.ede) }

func (e *Entry) body() []byte { return e.blob[e.name : int(e.name)+int(e.records)] }

// age is never negative, whatever the clock did.
func (e *Entry) age(now time.Time) time.Duration { return max(now.Sub(e.stored), 0) }

// answers says whether the entry is that of a name and a type with the class and flags of q, which its hash alone does not
// prove.
func (e *Entry) answers(q *wire.Question, name []byte, typ uint16) bool {
	return e.typ == typ && e.class == q.Class && e.flags == flags(q) && string(e.blob[:e.name]) == string(name)
}

// fill makes the entry from a reply, which it does not change; false when the reply is to another question.
func (e *Entry) fill(q *wire.Question, r *wire.Reply, now time.Time, l *lives) bool {
	name := q.Name.Bytes()
	if r.Type != q.Type || r.Class != q.Class || string(r.Name) != string(name) {
		return false
	}
	if r.Finding != wire.NoFinding {
		e.found(q, r, now, l)
		return true
	}
	life := l.life(q.Type, r)
	// Appending to nil makes the capacity that of the allocator's size class: no waste that is not counted.
	blob := append([]byte(nil), make([]byte, len(name)+len(r.Body)+len(r.Targets))...)
	n := copy(blob, name)
	n += copy(blob[n:], r.Body)
	copy(blob[n:], r.Targets)
	*e = Entry{
		blob: blob, offsets: append([]uint16(nil), r.TTLs...),
		stored: now, life: life, ede: r.EDE, header: r.Header,
		typ: q.Type, class: q.Class, records: uint16(len(r.Body)), name: uint8(len(name)), flags: flags(q),
	}
	if denies(q, r) {
		e.typ = noType
	}
	l.clamp(r, life, e.body())
	return true
}

// found makes the entry of a finding.
func (e *Entry) found(q *wire.Question, r *wire.Reply, now time.Time, l *lives) {
	name := q.Name.Bytes()
	blob := append([]byte(nil), make([]byte, len(name)+len(r.By))...)
	copy(blob[copy(blob, name):], r.By)
	*e = Entry{
		blob: blob, stored: now, life: l.found(q.Type, r),
		header: wire.Header{RCode: r.RCode}, typ: q.Type, class: q.Class, name: uint8(len(name)), flags: flags(q), finding: r.Finding,
	}
}
