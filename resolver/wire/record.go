package wire

import (
	"encoding/binary"
	"errors"

	"schoolgate/blocklist/domain"
)

// ErrMalformed says that bytes are no whole DNS message, or no whole record.
var ErrMalformed = errors.New("malformed DNS message")

// record is where the parts of one resource record stand.
type record struct {
	typ   uint16
	fixed int // offset of the type; the class is at +2, the TTL at +4, RDLENGTH at +8
	data  int // offset of RDATA
	end   int // offset after RDATA
}

// readRecord reads the record at off. It steps over the owner's name without following its pointers.
func readRecord(msg []byte, off int) (r record, ok bool) {
	off, ok = skipName(msg, off)
	if !ok || off+recordLen > len(msg) {
		return r, false
	}
	r.typ = binary.BigEndian.Uint16(msg[off:])
	r.fixed = off
	r.data = off + recordLen
	r.end = r.data + int(binary.BigEndian.Uint16(msg[off+8:]))
	return r, r.end <= len(msg)
}

// skipName gives the offset after the name at off, which may end in a compression pointer.
func skipName(msg []byte, off int) (next int, ok bool) {
	for off < len(msg) {
		switch l := int(msg[off]); {
		case l == 0:
			return off + 1, true
		case l <= domain.MaxLabel:
			off += 1 + l
		case l >= 0xc0:
			return off + 2, off+2 <= len(msg)
		default:
			return 0, false
		}
	}
	return 0, false
}
