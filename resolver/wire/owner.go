package wire

import (
	"encoding/binary"

	"schoolgate/blocklist/domain"
)

// Owner puts into w the name of the i-th record of the body, 0 ≤ i < len(TTLs). It does not allocate.
func (r *Reply) Owner(i int, w *domain.Wire) bool {
	at := 0
	if i > 0 {
		last := int(r.TTLs[i-1])
		at = last + 6 + int(binary.BigEndian.Uint16(r.Body[last+4:]))
	}
	start := headerLen + len(r.Name) + 4 // of the body, in a message
	var name [domain.MaxWire]byte
	n, off := 0, start+at
	for range domain.MaxWire {
		from, end := r.Body, off-start
		if off < start {
			from, end = r.Name, off-headerLen
		}
		if end < 0 || end >= len(from) {
			return false
		}
		l := int(from[end])
		switch {
		case l >= 0xc0:
			if end+2 > len(from) {
				return false
			}
			off = int(binary.BigEndian.Uint16(from[end:]) & 0x3fff)
		case l == 0:
			name[n] = 0
			_, err := w.Read(name[:n+1], 0)
			return err == nil
		case end+1+l > len(from) || n+1+l >= len(name):
			return false
		default:
			n += copy(name[n:], from[end:end+1+l])
			off += 1 + l
		}
	}
	return false
}
