package wire

import (
	"bytes"
	"encoding/binary"
)

// Response is an upstream's answer taken apart for AppendReply and a cache.
type Response struct {
	Header        // counts are those of Body
	TC     bool   // truncated: ask again over TCP, and never cache
	Body   []byte // the records without OPT; borrowed from the message
	EDE    uint16 // the first extended DNS error's code
	HasEDE bool   // whether there was one
}

// ParseResponse takes apart msg, the answer to the request with id and q. It fails with ErrMalformed on bytes that are no
// whole response to exactly that question (the name is compared without case), so what passes may be given on.
//
// Records after the OPT record in the additional section are left out: to take OPT out from before them would move names
// that they may point at.
func ParseResponse(msg []byte, id uint16, q *Question, r *Response) error {
	*r = Response{}
	if len(msg) < headerLen || msg[2]&flagQR == 0 || msg[2]&maskOpcode != 0 || binary.BigEndian.Uint16(msg) != id {
		return ErrMalformed
	}
	r.RCode = uint16(msg[3] & maskRCode)
	r.AA, r.TC, r.AD = msg[2]&flagAA != 0, msg[2]&flagTC != 0, msg[3]&flagAD != 0
	name := q.Name.Bytes()
	start := headerLen + len(name) + 4
	if binary.BigEndian.Uint16(msg[4:]) != 1 || len(msg) < start || !equalFold(msg[headerLen:start-4], name) ||
		binary.BigEndian.Uint16(msg[start-4:]) != q.Type || binary.BigEndian.Uint16(msg[start-2:]) != q.Class {
		return ErrMalformed
	}
	r.Answers, r.Authority = binary.BigEndian.Uint16(msg[6:]), binary.BigEndian.Uint16(msg[8:])
	before := int(r.Answers) + int(r.Authority)
	off, end := start, -1
	for i := range countRecords(msg) {
		rec, ok := readRecord(msg, off)
		if !ok || rec.typ == TypeOPT && (i < before || end >= 0) {
			return ErrMalformed
		}
		switch {
		case rec.typ == TypeOPT:
			end = off
			r.RCode |= uint16(msg[rec.fixed+4]) << 4
			r.readEDE(msg[rec.data:rec.end])
		case i >= before && end < 0:
			r.Additional++
		}
		off = rec.end
	}
	if end < 0 {
		end = off
	}
	r.Body = msg[start:end]
	return nil
}

// readEDE notes the first extended DNS error among the options of an OPT record.
func (r *Response) readEDE(data []byte) {
	for len(data) >= 4 {
		code, n := binary.BigEndian.Uint16(data), int(binary.BigEndian.Uint16(data[2:]))
		data = data[4:]
		if n > len(data) {
			return
		}
		if code == edeOption && n >= 2 {
			r.EDE, r.HasEDE = binary.BigEndian.Uint16(data), true
			return
		}
		data = data[n:]
	}
}

// equalFold compares a name as sent with a lower-cased one. Length bytes are below 'A', so they may be folded too.
func equalFold(sent, lower []byte) bool {
	if bytes.Equal(sent, lower) {
		return true
	}
	for i, c := range sent {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// AppendQuery appends a request to an upstream: the question of q, recursion desired, CD and DO as the client had them,
// and an OPT record that offers UDPMax.
func AppendQuery(dst []byte, id uint16, q *Question) []byte {
	b3, do := byte(0), byte(0)
	if q.AD {
		b3 |= flagAD
	}
	if q.CD {
		b3 |= flagCD
	}
	if q.DO {
		do = 0x80
	}
	dst = append(dst, byte(id>>8), byte(id), flagRD, b3, 0, 1, 0, 0, 0, 0, 0, 1)
	dst = append(dst, q.Name.Bytes()...)
	dst = binary.BigEndian.AppendUint16(dst, q.Type)
	dst = binary.BigEndian.AppendUint16(dst, q.Class)
	return append(dst, 0, 0, byte(TypeOPT), byte(UDPMax>>8), byte(UDPMax&0xff), 0, 0, do, 0, 0, 0)
}
