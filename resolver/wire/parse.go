package wire

import (
	"encoding/binary"
	"errors"
)

// ErrDrop marks bytes that must never be answered: less than a header, or a response. Answering a response could set
// two servers talking to each other without end.
var ErrDrop = errors.New("not a DNS request")

// RCodeError is why a request is answered with an error: its value is the response code to answer with.
type RCodeError uint16

func (e RCodeError) Error() string {
	switch uint16(e) {
	case NoError:
		return "a cookie without a question"
	case FormErr:
		return "malformed request"
	case NotImp:
		return "kind of request not implemented"
	case Refused:
		return "kind of request refused"
	case BadVers:
		return "unknown EDNS version"
	case BadCookie:
		return "a cookie that is not good, without a question"
	}
	return "unanswerable request"
}

// Answer gives the response code that a request with this error of ParseQuestion is answered with. ok is false when it
// must not be answered at all.
func Answer(err error) (rcode uint16, ok bool) {
	e, ok := errors.AsType[RCodeError](err)
	return uint16(e), ok
}

// ParseQuestion reads a request into q, which it overwrites. It does not allocate and keeps no reference to msg.
//
// ErrDrop means: send nothing. An RCodeError carries the code to answer with, by AppendError; q is then filled as far as
// the request could be understood, EDNS too:
//
//   - NOERROR: no question but a cookie (RFC 7873 section 5.4)
//   - FORMERR: otherwise not exactly one question (RFC 9619), a compressed or broken name, a section that ends early, an
//     OPT record that is broken, doubled or outside the additional section, a cookie of a length that cannot be, type 0,
//     OPT or NXNAME (RFC 9824) asked for
//   - NOTIMP: an opcode other than QUERY, or a type from the range for meta types (RFC 6895) that is none of the others
//   - REFUSED: a class other than IN, or a zone transfer
//   - BADVERS: an EDNS version other than 0
//
// ANY is a question like any other here; RFC 8482 is the resolver's business (see AppendAny). Bytes after the last record
// are ignored.
func ParseQuestion(msg []byte, q *Question) error {
	if len(msg) < headerLen || msg[2]&flagQR != 0 {
		return ErrDrop
	}
	q.ID = binary.BigEndian.Uint16(msg)
	q.RD = msg[2]&flagRD != 0
	q.AD = msg[3]&flagAD != 0
	q.CD = msg[3]&flagCD != 0
	if msg[2]&maskOpcode != 0 {
		q.reset(msg)
		return RCodeError(NotImp)
	}
	switch binary.BigEndian.Uint16(msg[4:]) {
	case 0:
		return q.readNone(msg)
	case 1:
	default:
		q.reset(msg)
		return RCodeError(FormErr)
	}
	off, err := q.Name.Read(msg, headerLen)
	if err != nil || off+4 > len(msg) {
		q.reset(msg)
		return RCodeError(FormErr)
	}
	q.Type = binary.BigEndian.Uint16(msg[off:])
	q.Class = binary.BigEndian.Uint16(msg[off+2:])
	q.End = off + 4
	q.forgetEDNS()
	if binary.BigEndian.Uint32(msg[6:]) != 0 || binary.BigEndian.Uint16(msg[10:]) != 0 {
		if err := q.readSections(msg); err != nil {
			return err
		}
	}
	return q.acceptable()
}

// readNone reads a request without a question, which has a meaning when it brings a cookie: the client wants one, or wants
// to know whether that which it has is still good (RFC 7873 section 5.4).
func (q *Question) readNone(msg []byte) error {
	q.reset(msg)
	if q.Cookie.Len == 0 {
		return RCodeError(FormErr)
	}
	if err := q.readSections(msg); err != nil {
		return err
	}
	q.HasMAC, q.MAC = false, [6]byte{}
	return RCodeError(NoError)
}

// acceptable judges a question that was read in full.
func (q *Question) acceptable() error {
	switch {
	case q.Type == 0, q.Type == TypeOPT, q.Type == 128: // 128 is NXNAME
		return RCodeError(FormErr)
	case q.Class != ClassIN:
		return RCodeError(Refused)
	case q.Type < 128, q.Type > 255, q.Type == TypeANY:
		return nil
	case q.Type == TypeAXFR, q.Type == TypeIXFR:
		return RCodeError(Refused)
	}
	return RCodeError(NotImp)
}

// readSections walks the records after the question for the OPT record. Each takes at least eleven bytes, so the length
// of the message bounds the walk whatever the counts say.
func (q *Question) readSections(msg []byte) error {
	before := int(binary.BigEndian.Uint16(msg[6:])) + int(binary.BigEndian.Uint16(msg[8:]))
	all := before + int(binary.BigEndian.Uint16(msg[10:]))
	version := byte(0)
	q.forgetEDNS()
	off := q.End
	for i := range all {
		r, ok := readRecord(msg, off)
		if ok && r.typ == TypeOPT {
			version = msg[r.fixed+5]
			ok = i >= before && !q.EDNS && r.fixed == off+1 && msg[off] == 0 && (version != 0 || q.readOptions(msg[r.data:r.end]))
			if ok {
				q.EDNS = true
				q.UDPSize = max(binary.BigEndian.Uint16(msg[r.fixed+2:]), minUDP)
				q.DO = msg[r.fixed+6]&0x80 != 0
			}
		}
		if !ok {
			q.seekOPT(msg)
			return RCodeError(FormErr)
		}
		off = r.end
	}
	if version != 0 {
		return RCodeError(BadVers)
	}
	return nil
}

// readOptions reads the options of an OPT record (RFC 6891 section 6.1.2); what it does not know it passes over. Two different statements of a MAC are none:
// a device behind a forwarder must not be able to choose who it is.
func (q *Question) readOptions(data []byte) bool {
	macs := 0
	for len(data) > 0 {
		if len(data) < 4 {
			return false
		}
		code, n := binary.BigEndian.Uint16(data), int(binary.BigEndian.Uint16(data[2:]))
		data = data[4:]
		if n > len(data) {
			return false
		}
		switch {
		case code == macOption && n == len(q.MAC):
			copy(q.MAC[:], data)
			macs++
		case code == cookieOption && !q.Cookie.read(data[:n]):
			return false
		case code == OptionPadding:
			q.Padded = true
		case code == OptionKeepAlive:
			q.KeepAlive = true
		case code == sdeOption, code == edeOption && n == 2 && data[0]|data[1] == 0:
			q.Structured = true
		}
		data = data[n:]
	}
	if q.HasMAC = macs == 1; !q.HasMAC {
		q.MAC = [6]byte{}
	}
	return true
}
