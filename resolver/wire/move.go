package wire

import "encoding/binary"

// Moved is a copy of a body (Reply.Body, with where its TTLs stand) that stands by bytes further behind in its message, and
// so behind a question whose name ends in that of its own: the names of the records stay what they were. It is nil when a
// pointer would lead further than pointers can.
func Moved(body []byte, ttls []uint16, by int) []byte {
	out := append([]byte(nil), body...)
	at := 0
	for _, ttl := range ttls {
		fixed := int(ttl) - 4
		data := fixed + recordLen
		end := data + int(binary.BigEndian.Uint16(out[data-2:]))
		if _, ok := moveName(out, at, by); !ok {
			return nil
		}
		l := layoutOf(binary.BigEndian.Uint16(out[fixed:]))
		for next := data + l.head; l.names > 0 && l.compress; l.names-- {
			var ok bool
			if next, ok = moveName(out, next, by); !ok {
				return nil
			}
		}
		at = end
	}
	return out
}

// moveName moves the pointer, if any, in which the name at off ends, and gives the offset after it.
func moveName(body []byte, off, by int) (next int, ok bool) {
	for off < len(body) {
		switch l := int(body[off]); {
		case l == 0:
			return off + 1, true
		case l < 0xc0:
			off += 1 + l
		case off+2 > len(body):
			return 0, false
		default:
			to := int(binary.BigEndian.Uint16(body[off:])&0x3fff) + by
			if to > 0x3fff {
				return 0, false
			}
			binary.BigEndian.PutUint16(body[off:], 0xc000|uint16(to))
			return off + 2, true
		}
	}
	return 0, false
}
