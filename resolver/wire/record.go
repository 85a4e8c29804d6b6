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

// expandName reads the name at off into w, following pointers. Each pointer must lead to before where the part that
// it ends began, so there is no loop; the number of pointers is bounded as well.
func expandName(msg []byte, off int, w *domain.Wire) bool {
	var buf [domain.MaxWire]byte
	n, part := 0, off
	for range maxPointers + domain.MaxLabels {
		if off >= len(msg) {
			return false
		}
		l := int(msg[off])
		switch {
		case l >= 0xc0:
			if off+2 > len(msg) {
				return false
			}
			to := int(binary.BigEndian.Uint16(msg[off:]) & 0x3fff)
			if to < headerLen || to >= part {
				return false
			}
			off, part = to, to
			continue
		case l > domain.MaxLabel:
			return false
		}
		if n+1+l > len(buf) || off+1+l > len(msg) {
			return false
		}
		n += copy(buf[n:], msg[off:off+1+l])
		off += 1 + l
		if l == 0 {
			_, err := w.Read(buf[:n], 0)
			return err == nil
		}
	}
	return false
}
