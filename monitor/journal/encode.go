package journal

import (
	"encoding/binary"
	"net/netip"
	"time"

	"schoolgate/blocklist/domain"
	"schoolgate/monitor/record"
	"schoolgate/resolver/query"
)

// A record in the ring, all integers little-endian:
//
//	start, ms since 1970   8
//	duration, µs           4
//	type, rcode            2 + 2
//	action, rule, source   1 + 1 + 1
//	address                1 + 0, 4 or 16
//	device, group, category, list, wire name: 1 + n each
//
// Texts are copied rather than pointed at: a ring without pointers costs the garbage collector nothing, and copying forty
// bytes costs less than finding out whether they were seen before.
const fixedSize = lengthSize + 8 + 4 + 2 + 2 + 3 + 1 + 5

// maxText is how much of a text is kept; configured names are shorter.
const maxText = 255

func clip(s string) string {
	if len(s) > maxText {
		return s[:maxText]
	}
	return s
}

// size is what encode will need, the length included.
func size(q *query.Query) int {
	n := fixedSize + len(clip(q.Client.Device)) + len(clip(q.Client.Name)) + len(clip(q.Verdict.Category)) + len(clip(q.Verdict.List))
	if q.Verdict.Rule != query.Illegal {
		n += len(q.Question.Name.Bytes())
	}
	switch {
	case q.Client.Addr.Is4():
		n += 4
	case q.Client.Addr.IsValid():
		n += 16
	}
	return n
}

// encode fills b, which is exactly as long as size says without the length. The name of an illegal-tier question is not
// put into it at all (IWF rules): the rule byte stands for it.
func encode(b []byte, q *query.Query) {
	le := binary.LittleEndian
	le.PutUint64(b, uint64(q.Start.UnixMilli()))
	le.PutUint32(b[8:], micros(q.Duration))
	le.PutUint16(b[12:], q.Question.Type)
	le.PutUint16(b[14:], q.RCode)
	b[16], b[17], b[18] = byte(q.Verdict.Action), byte(q.Verdict.Rule), byte(q.Source)
	b = b[19:]
	switch addr := q.Client.Addr; {
	case addr.Is4():
		a := addr.As4()
		b[0] = 4
		b = b[1+copy(b[1:], a[:]):]
	case addr.IsValid():
		a := addr.As16()
		b[0] = 16
		b = b[1+copy(b[1:], a[:]):]
	default:
		b[0] = 0
		b = b[1:]
	}
	b = putText(b, q.Client.Device)
	b = putText(b, q.Client.Name)
	b = putText(b, q.Verdict.Category)
	b = putText(b, q.Verdict.List)
	b[0] = 0
	if q.Verdict.Rule != query.Illegal {
		b[0] = byte(copy(b[1:], q.Question.Name.Bytes()))
	}
}

func putText(b []byte, s string) []byte {
	s = clip(s)
	b[0] = byte(len(s))
	return b[1+copy(b[1:], s):]
}

// micros keeps a duration in 32 bits, which is more than an hour.
func micros(d time.Duration) uint32 {
	return uint32(min(max(d.Microseconds(), 0), 1<<32-1))
}

// decode is the inverse of encode, with an address's zone and all beyond maxText left out.
func (j *Journal) decode(b []byte) record.Row {
	le := binary.LittleEndian
	r := record.Row{
		Time:     time.UnixMilli(int64(le.Uint64(b))).UTC(),
		Duration: time.Duration(le.Uint32(b[8:])) * time.Microsecond,
		Type:     le.Uint16(b[12:]),
		RCode:    le.Uint16(b[14:]),
		Action:   query.Action(b[16]),
		Rule:     query.Rule(b[17]),
		Source:   query.Source(b[18]),
	}
	var part []byte
	part, b = cut(b[19:])
	r.Addr, _ = netip.AddrFromSlice(part)
	part, b = cut(b)
	r.Device = j.intern(part)
	part, b = cut(b)
	r.Group = j.intern(part)
	part, b = cut(b)
	r.Category = j.intern(part)
	part, b = cut(b)
	r.List = j.intern(part)
	part, _ = cut(b)
	r.Name = record.Withheld
	if r.Rule != query.Illegal {
		var text [4 * domain.MaxWire]byte
		r.Name = domain.Name(domain.AppendText(text[:0], part)).String()
	}
	return r
}

func cut(b []byte) (part, rest []byte) {
	n := 1 + int(b[0])
	return b[1:n], b[n:]
}

// maxInterned bounds the texts that Run remembers; devices, groups, categories and lists of a school are far fewer.
const maxInterned = 4096

// intern makes one string of the many copies of a text.
func (j *Journal) intern(b []byte) string {
	if s, ok := j.interned[string(b)]; ok {
		return s
	}
	if len(j.interned) >= maxInterned {
		clear(j.interned)
	}
	s := string(b)
	j.interned[s] = s
	return s
}
