package journal

import (
	"encoding/binary"
	"net/netip"

	"schoolgate/blocklist/domain"
	"schoolgate/monitor/record"
	"schoolgate/resolver/query"
)

// A record in the ring, all integers little-endian:
//
//	start, ms since 1970   8
//	duration, µs           4
//	who: address           1 + 0, 4 or 16
//	     device, group     1 + n each
//	why: type, rcode       2 + 2
//	     action and via, rule, source   1 + 1 + 1
//	     category, list    1 + n each
//	wire name              the rest; nothing in the illegal tier
//
// Texts are copied rather than pointed at: a ring without pointers costs the garbage collector nothing, and copying forty
// bytes costs less than finding out whether they were seen before. What says who and what says why are in one piece each,
// so that Run finds out with one look each.
const (
	timeSize  = 8 + 4
	whyFixed  = 2 + 2 + 3
	viaShift  = 4 // the byte of the action holds the Via too
	fixedSize = lengthSize + timeSize + 3 + whyFixed + 2
)

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
	if !q.Verdict.Rule.Withheld() {
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
	le.PutUint32(b[8:], record.Micros(q.Duration))
	b = b[timeSize:]
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
	le.PutUint16(b, q.Question.Type)
	le.PutUint16(b[2:], q.RCode)
	b[4], b[5], b[6] = byte(q.Verdict.Action)|byte(q.Verdict.Via())<<viaShift, byte(q.Verdict.Rule), byte(q.Source)
	b = putText(b[whyFixed:], q.Verdict.Category)
	b = putText(b, q.Verdict.List)
	if !q.Verdict.Rule.Withheld() {
		copy(b, q.Question.Name.Bytes())
	}
}

func putText(b []byte, s string) []byte {
	s = clip(s)
	b[0] = byte(len(s))
	return b[1+copy(b[1:], s):]
}

// parts takes a record apart, borrowed from b. Of e it sets the time and the duration.
func parts(b []byte, e *record.Entry) (who, why, name []byte) {
	e.Time, e.Took = int64(binary.LittleEndian.Uint64(b)), binary.LittleEndian.Uint32(b[8:])
	b = b[timeSize:]
	n := 0
	for range 3 {
		n += 1 + int(b[n])
	}
	who, b = b[:n], b[n:]
	n = whyFixed
	for range 2 {
		n += 1 + int(b[n])
	}
	return who, b[:n], b[n:]
}

// readWho is the inverse of what encode does, with an address's zone and all beyond maxText left out.
func readWho(b []byte) (w record.Who) {
	part, b := cut(b)
	w.Addr, _ = netip.AddrFromSlice(part)
	part, b = cut(b)
	w.Device = string(part)
	part, _ = cut(b)
	w.Group = string(part)
	return w
}

func readWhy(b []byte) record.Why {
	w := record.Why{
		Type: binary.LittleEndian.Uint16(b), RCode: binary.LittleEndian.Uint16(b[2:]),
		Action: query.Action(b[4] & (1<<viaShift - 1)), Via: query.Via(b[4] >> viaShift), Rule: query.Rule(b[5]), Source: query.Source(b[6]),
	}
	part, b := cut(b[whyFixed:])
	w.Category = string(part)
	part, _ = cut(b)
	w.List = string(part)
	return w
}

// appendName appends the text of a name to b.
func appendName(b, wire []byte) []byte {
	switch len(wire) {
	case 0:
		return append(b, record.Withheld...)
	case 1:
		return append(b, '.')
	}
	return domain.AppendText(b, wire)
}

func cut(b []byte) (part, rest []byte) {
	n := 1 + int(b[0])
	return b[1:n], b[n:]
}
