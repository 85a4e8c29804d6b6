package wire

import (
	"encoding/binary"
	"fmt"

	"schoolgate/blocklist/domain"
)

// Reply is what another server answered: read to its end, and written anew, so that nothing of it is left that was not
// understood. It is immutable and may be shared.
type Reply struct {
	Header         // with the counts of Body
	EDE     uint16 // extended error that came with it (RFC 8914), 0 for none
	Finding Finding
	By      string // BlockedUpstream: the name of the server that refuses, at most 255 bytes; shared with its pool
	Name    []byte // that was asked for, in lower-cased wire form
	Type    uint16
	Class   uint16
	Body    []byte   // the records of the answer and authority sections, to be appended by AppendReply
	TTLs    []uint16 // where in Body the TTL of each record stands
	Targets []byte   // names that the answers lead on to, in lower-cased wire form, one behind the other: see Reply.target
}

// ReadReply reads a response. It is ErrMalformed when it is none, is cut off or truncated, holds a name that is broken or
// whose compression points anywhere but back, or holds a record whose data cannot be of its type.
//
// Names are expanded and compressed again, those of RFC 3597 section 4 and later types with names included, so no pointer
// leads into what is later changed, such as a TTL: what is judged is what is sent. Names that end like the question point
// into it, and follow the letter case of whoever asks. The additional section stays out: nobody asked for it, and beside
// the MX of an allowed name it may hold the address of a blocked one. So do records that are for one hop only.
func ReadReply(msg []byte) (*Reply, error) { return readReply(msg, false) }

// readReply is ReadReply, and leaves out keys for an encrypted client hello if it is told to.
func readReply(msg []byte, noECH bool) (*Reply, error) {
	if len(msg) < headerLen || msg[2]&(flagQR|maskOpcode|flagTC) != flagQR || binary.BigEndian.Uint16(msg[4:]) != 1 {
		return nil, ErrMalformed
	}
	w := rewriter{in: msg, noECH: noECH}
	end, n := w.expand(headerLen)
	if n == 0 || end+4 > len(msg) {
		return nil, ErrMalformed
	}
	w.out = append(make([]byte, 0, len(msg)+32), msg[:headerLen]...)
	w.name(w.label[:n], true)
	w.out = append(w.out, msg[end:end+4]...)
	for i, c := range w.out[headerLen:end] {
		w.out[headerLen+i] = domain.Lower(c)
	}
	r := &Reply{
		Header: Header{RCode: uint16(msg[3] & maskRCode), AD: msg[3]&flagAD != 0},
		Name:   w.out[headerLen:end:end],
		Type:   binary.BigEndian.Uint16(msg[end:]),
		Class:  binary.BigEndian.Uint16(msg[end+2:]),
	}
	if err := w.sections(r, end+4); err != nil {
		return nil, err
	}
	r.Body = w.out[end+4 : len(w.out) : len(w.out)]
	return r, nil
}

// Record gives the i-th record of the body, 0 ≤ i < len(TTLs): those of the answer section come first. The data is
// borrowed, and its names may be compressed.
func (r *Reply) Record(i int) (typ uint16, ttl uint32, data []byte) {
	at := int(r.TTLs[i])
	end := at + 6 + int(binary.BigEndian.Uint16(r.Body[at+4:]))
	return binary.BigEndian.Uint16(r.Body[at-4:]), saneTTL(binary.BigEndian.Uint32(r.Body[at:])), r.Body[at+6 : end]
}

// rewriter writes the records of a message anew.
type rewriter struct {
	in, out []byte
	noECH   bool
	seen    [64]uint16 // where in out a name begins, by a hash of it; 0 for nowhere
	label   [domain.MaxWire]byte
}

// sections copies the records that start at off.
func (w *rewriter) sections(r *Reply, off int) error {
	answers, authority := int(binary.BigEndian.Uint16(w.in[6:])), int(binary.BigEndian.Uint16(w.in[8:]))
	start := off
	for i := range countRecords(w.in) {
		rec, ok := readRecord(w.in, off)
		if !ok {
			return ErrMalformed
		}
		switch {
		case i >= answers+authority:
			if rec.typ == TypeOPT && !readOPT(w.in, rec, r) {
				return ErrMalformed
			}
		case rec.typ == TypeOPT, rec.typ == typeTSIG, rec.typ == typeSIG, w.noECH && signsSVCB(w.in, rec):
		default:
			at := len(w.out)
			name, ok := w.record(rec, off)
			if !ok || len(w.out) > 0xffff {
				return fmt.Errorf("%w: record of type %d", ErrMalformed, rec.typ)
			}
			if i < answers {
				r.Answers++
				r.target(rec.typ, name)
			} else {
				r.Authority++
			}
			if r.TTLs == nil {
				r.TTLs = make([]uint16, 0, min(answers+authority, len(w.in)/(1+recordLen)))
			}
			fixed, _ := skipName(w.out, at)
			r.TTLs = append(r.TTLs, uint16(fixed+4-start))
		}
		off = rec.end
	}
	return nil
}

// readOPT takes from the OPT record what is of interest.
func readOPT(msg []byte, rec record, r *Reply) bool {
	r.RCode |= uint16(msg[rec.fixed+4]) << 4
	for data := msg[rec.data:rec.end]; len(data) > 0; {
		if len(data) < 4 {
			return false
		}
		code, n := binary.BigEndian.Uint16(data), int(binary.BigEndian.Uint16(data[2:]))
		data = data[4:]
		if n > len(data) {
			return false
		}
		if code == edeOption && n >= 2 && r.EDE == 0 {
			r.EDE = binary.BigEndian.Uint16(data)
		}
		data = data[n:]
	}
	return true
}

// target remembers a name that an answer leads on to. The name asked for is left out, and so is the root, which stands in
// SVCB and HTTPS records for the owner or for nothing (RFC 9460 section 2.5).
func (r *Reply) target(typ uint16, name []byte) {
	switch typ {
	case TypeCNAME, TypeDNAME, TypeHTTPS, TypeSVCB:
		if len(name) > 1 && !sameName(name, r.Name) {
			for _, c := range name {
				r.Targets = append(r.Targets, domain.Lower(c))
			}
		}
	}
}

// record copies one record and gives the last name of its data, borrowed until the next.
func (w *rewriter) record(rec record, off int) (name []byte, ok bool) {
	_, n := w.expand(off)
	if n == 0 {
		return nil, false
	}
	w.name(w.label[:n], true)
	w.out = append(w.out, w.in[rec.fixed:rec.data]...)
	from := len(w.out)
	if name, ok = w.data(rec); !ok {
		return nil, false
	}
	if isSVCB(rec.typ) {
		at := from + 2 + len(name)
		if !soundParams(w.out[at:]) {
			return nil, false
		}
		if w.noECH {
			w.out = append(w.out[:at], appendWithoutECH(nil, w.out[at:])...)
		}
	}
	binary.BigEndian.PutUint16(w.out[from-2:], uint16(len(w.out)-from))
	return name, true
}

// data copies the data of a record, as the layout of its type is.
func (w *rewriter) data(rec record) (name []byte, ok bool) {
	l := layoutOf(rec.typ)
	at, ok := w.names(rec, l)
	if !ok {
		return nil, false
	}
	w.out = append(w.out, w.in[rec.data:at]...)
	for range l.names {
		next, n := w.expand(at)
		if n == 0 || next > rec.end {
			return nil, false
		}
		name = w.label[:n]
		w.name(name, l.compress)
		at = next
	}
	if l.tail >= 0 && rec.end-at != l.tail {
		return nil, false
	}
	w.out = append(w.out, w.in[at:rec.end]...)
	return name, true
}

// names is where the names in the data of a record begin, or would begin.
func (w *rewriter) names(rec record, l layout) (at int, ok bool) {
	at = rec.data + l.head
	if rec.typ == typeNAPTR { // three strings stand before the name
		for range 3 {
			if at >= rec.end {
				return 0, false
			}
			at += 1 + int(w.in[at])
		}
	}
	return at, at <= rec.end
}

// signsSVCB says whether a record is a signature over SVCB or HTTPS records.
func signsSVCB(msg []byte, rec record) bool {
	return rec.typ == typeRRSIG && rec.end >= rec.data+2 && isSVCB(binary.BigEndian.Uint16(msg[rec.data:]))
}

// expand reads the name at off into w.label, following pointers, and gives the offset after it and its length, which is 0
// when it is broken. Each pointer must lead to before where the part that it ends began, so there is no loop.
func (w *rewriter) expand(off int) (next, n int) {
	part, msg := off, w.in
	for off < len(msg) {
		l := int(msg[off])
		switch {
		case l >= 0xc0:
			if off+2 > len(msg) {
				return 0, 0
			}
			if next == 0 {
				next = off + 2
			}
			to := int(binary.BigEndian.Uint16(msg[off:]) & 0x3fff)
			if to < headerLen || to >= part {
				return 0, 0
			}
			off, part = to, to
			continue
		case l > domain.MaxLabel, n+1+l > len(w.label)-min(l, 1), off+1+l > len(msg):
			return 0, 0
		}
		n += copy(w.label[n:], msg[off:off+1+l])
		off += 1 + l
		if l == 0 {
			if next == 0 {
				next = off
			}
			return next, n
		}
	}
	return 0, 0
}
