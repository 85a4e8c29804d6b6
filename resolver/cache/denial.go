package cache

import (
	"time"

	"schoolgate/resolver/wire"
)

// noType is the type under which the denial of a whole name is kept: nobody can ask for it.
const noType = 0

// denies says whether a reply is good for every type of its name, and for all names below it: no such name (RFC 2308 section
// 5, RFC 8020), and DNSSEC proved it (AD). Without proof it is kept for what was asked alone: servers that filter, or answer
// wrongly for names without records of their own, are too many.
func denies(q *wire.Question, r *wire.Reply) bool {
	return r.RCode == wire.NXDomain && r.AD && r.Answers == 0 && r.Authority > 0 && r.EDE == 0 && !q.CD
}

// below makes of a denial that for a question below its name. It is nil when the denial is too long to be moved.
func (e *Entry) below(q *wire.Question) *Entry {
	name := q.Name.Bytes()
	body := wire.Moved(e.body(), e.offsets, len(name)-int(e.name))
	if body == nil {
		return nil
	}
	down := *e
	down.blob = append(append(make([]byte, 0, len(name)+len(body)), name...), body...)
	down.name, down.records, down.typ = uint8(len(name)), uint16(len(body)), q.Type
	return &down
}

// fail makes the entry of a question that nobody answered.
func (e *Entry) fail(q *wire.Question, now time.Time) {
	name := q.Name.Bytes()
	*e = Entry{
		blob: append([]byte(nil), name...), stored: now, life: failure, ede: wire.EDECachedError,
		header: wire.Header{RCode: wire.ServFail}, typ: q.Type, class: q.Class, name: uint8(len(name)), flags: flags(q),
	}
}
