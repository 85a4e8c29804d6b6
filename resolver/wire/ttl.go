package wire

import (
	"encoding/binary"

	"schoolgate/blocklist/domain"
)

// Offsets appends to dst where the TTLs of a body's records stand, counted from the start of the body, OPT left out.
// records is how many the body holds (Header.Records).
func Offsets(dst []uint16, body []byte, records int) ([]uint16, error) {
	off := 0
	for range records {
		r, ok := readRecord(body, off)
		if !ok || r.fixed+4 > 0xffff {
			return dst, ErrMalformed
		}
		if r.typ != TypeOPT {
			dst = append(dst, uint16(r.fixed+4))
		}
		off = r.end
	}
	return dst, nil
}

// AgeTTLs takes age seconds from each TTL at offsets, in place; none falls below floor. A body within a reply made by
// AppendReply is reply[q.End:]. With a large age and the wished floor it gives stale answers their TTL (RFC 8767).
func AgeTTLs(body []byte, offsets []uint16, age, floor uint32) {
	for _, o := range offsets {
		b := body[o : o+4]
		ttl := saneTTL(binary.BigEndian.Uint32(b))
		binary.BigEndian.PutUint32(b, max(ttl-min(age, ttl), floor))
	}
}

// saneTTL reads a TTL with its top bit set as 0 (RFC 2181 section 8).
func saneTTL(ttl uint32) uint32 {
	if ttl > 1<<31-1 {
		return 0
	}
	return ttl
}

// TargetReader gives the names that an answer leads on to, one after the other.
type TargetReader struct {
	msg  []byte
	off  int
	left int
	err  error
}

// Targets starts to read the names that the answer section of a packed response leads on to: the targets of CNAME, DNAME,
// HTTPS and SVCB records, of whatever owner. The reader borrows msg.
func Targets(msg []byte) TargetReader {
	if len(msg) < headerLen {
		return TargetReader{err: ErrMalformed}
	}
	t := TargetReader{msg: msg, off: headerLen, left: int(binary.BigEndian.Uint16(msg[6:]))}
	for range binary.BigEndian.Uint16(msg[4:]) {
		next, ok := skipName(msg, t.off)
		if !ok || next+4 > len(msg) {
			return TargetReader{err: ErrMalformed}
		}
		t.off = next + 4
	}
	return t
}

// Next puts the next target into w, lower-cased and uncompressed; it is false after the last or on an error. The root as a
// target is passed over: in SVCB and HTTPS it stands for the owner, or for nothing (RFC 9460 section 2.5).
func (t *TargetReader) Next(w *domain.Wire) bool {
	for t.err == nil && t.left > 0 {
		t.left--
		r, ok := readRecord(t.msg, t.off)
		if !ok {
			t.err = ErrMalformed
			break
		}
		t.off = r.end
		at := r.data
		switch r.typ {
		case TypeCNAME, TypeDNAME:
		case TypeHTTPS, TypeSVCB:
			at += 2 // the priority
		default:
			continue
		}
		if at >= r.end || !expandName(t.msg[:r.end], at, w) {
			t.err = ErrMalformed
			break
		}
		if w.Labels() > 0 {
			return true
		}
	}
	return false
}

// Err is why Next ended early: ErrMalformed, or nil after the last target. A response that cannot be read to its end must
// not be passed on unjudged.
func (t *TargetReader) Err() error { return t.err }
