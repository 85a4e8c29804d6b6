package wire

import (
	"encoding/binary"
	"math"
)

// EDNS options that are added to a finished reply, when it is known how it travels.
const (
	OptionKeepAlive uint16 = 11 // RFC 7828: how long an idle connection stays open, in units of 100 ms
	OptionPadding   uint16 = 12 // RFC 7830
)

// PadBlock is what padded replies are a multiple of (RFC 8467 section 4.1).
const PadBlock = 468

// maxMessage is the most that a length of two bytes can tell.
const maxMessage = 0xffff

// AppendOption adds an EDNS option to a reply to q that this package made. One without an OPT record at its end, or
// without room for it, is left as it is.
func AppendOption(msg []byte, q *Question, code uint16, data []byte) []byte {
	msg, at := grow(msg, q, code, len(data))
	if at > 0 {
		copy(msg[at:], data)
	}
	return msg
}

// Pad makes a reply to q as long as a multiple of PadBlock, as far as messages can be, so that its length tells less of
// what it says. As AppendOption it needs an OPT record.
func Pad(msg []byte, q *Question) []byte {
	n := (len(msg)+optionHeaderLen+PadBlock-1)/PadBlock*PadBlock - len(msg) - optionHeaderLen
	msg, _ = grow(msg, q, OptionPadding, min(n, maxMessage-len(msg)-optionHeaderLen))
	return msg
}

// grow appends an option of n zeros and says where they begin; 0 when there is none.
func grow(msg []byte, q *Question, code uint16, n int) (out []byte, at int) {
	if !q.EDNS || n < 0 || len(msg)+optionHeaderLen+n > maxMessage || len(msg) < headerLen || q.End > len(msg) {
		return msg, 0
	}
	opt := findOPT(msg, q.End)
	if opt.end != len(msg) {
		return msg, 0
	}
	length := msg[opt.data-2 : opt.data]
	binary.BigEndian.PutUint16(length, binary.BigEndian.Uint16(length)+uint16(optionHeaderLen+n))
	msg = binary.BigEndian.AppendUint16(msg, code)
	msg = binary.BigEndian.AppendUint16(msg, uint16(n))
	at = len(msg)
	for range n {
		msg = append(msg, 0)
	}
	return msg, at
}

// Freshness is how long a reply to q may be kept, in seconds: the smallest TTL of its answers; without answers what the SOA
// record says of names that do not exist (RFC 2308 section 5), else 0.
func Freshness(msg []byte, q *Question) uint32 {
	if len(msg) < headerLen || q.End > len(msg) {
		return 0
	}
	answers, off, least := int(binary.BigEndian.Uint16(msg[6:])), q.End, uint32(math.MaxUint32)
	for i := 0; i < answers || answers == 0 && i < countRecords(msg); i++ {
		r, ok := readRecord(msg, off)
		if !ok {
			return 0
		}
		off = r.end
		ttl := saneTTL(binary.BigEndian.Uint32(msg[r.fixed+4:]))
		if i < answers {
			least = min(least, ttl)
		} else if r.typ == TypeSOA && r.end-r.data >= 20 {
			return min(ttl, saneTTL(binary.BigEndian.Uint32(msg[r.end-4:])))
		}
	}
	if answers == 0 {
		return 0
	}
	return least
}
