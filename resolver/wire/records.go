package wire

import (
	"encoding/binary"

	"schoolgate/blocklist/domain"
)

// Types of DNSSEC (RFC 4034, RFC 5155).
const (
	TypeDS     uint16 = 43
	TypeRRSIG         = typeRRSIG
	TypeNSEC          = typeNSEC
	TypeDNSKEY uint16 = 48
	TypeNSEC3  uint16 = 50
)

// Unproven says whether an extended error is that of a failed validation (RFC 8914 sections 4.6 to 4.13): whoever sends it with SERVFAIL
// has an answer, and means not to give it.
func Unproven(ede uint16) bool { return ede >= EDEIndeterminate && ede <= EDENoNSEC }

// RR is one record of a Reply in the canonical form that signatures cover (RFC 4034 section 6.2, as RFC 6840 section 5.1
// corrects it): names whole, and in lower case where that form asks for it.
type RR struct {
	Name   []byte // lower-cased wire form
	Type   uint16
	Class  uint16
	TTL    uint32 // as received
	Data   []byte
	Answer bool // stands in the answer section, else in the authority section
}

// RRs gives every record of the body, in order. Nothing in it is shared with the reply.
func (r *Reply) RRs() []RR {
	w := rewriter{in: r.message()}
	all := make([]RR, len(r.TTLs))
	off := len(w.in) - len(r.Body)
	for i := range all {
		rec, ok := readRecord(w.in, off)
		_, n := w.expand(off)
		if !ok || n == 0 {
			return nil // no Body of ReadReply is so
		}
		rr := &all[i]
		*rr = RR{Type: rec.typ, Class: binary.BigEndian.Uint16(w.in[rec.fixed+2:]), TTL: binary.BigEndian.Uint32(w.in[rec.fixed+4:]), Answer: i < int(r.Answers)}
		rr.Name = lowered(w.label[:n])
		if rr.Data, ok = w.canonical(rec); !ok {
			return nil
		}
		off = rec.end
	}
	return all
}

// Select gives a reply with those records alone of which keep says so; ttl may lower what each may be kept for. The reply
// itself stays as it is.
func (r *Reply) Select(keep func(i int) bool, ttl func(i int, ttl uint32) uint32) *Reply {
	w := rewriter{in: r.message()}
	off := len(w.in) - len(r.Body)
	w.out = append(make([]byte, 0, len(w.in)), w.in[:off]...)
	s := *r
	s.Name = w.out[headerLen : off-4 : off-4]
	s.Answers, s.Authority, s.TTLs, s.Targets = 0, 0, make([]uint16, 0, len(r.TTLs)), nil
	w.seed(off - 4)
	start := off
	for i := range r.TTLs {
		rec, ok := readRecord(w.in, off)
		if !ok {
			break // no Body of ReadReply is so
		}
		if keep(i) {
			at := len(w.out)
			name, ok := w.record(rec, off)
			if !ok {
				break
			}
			if i < int(r.Answers) {
				s.Answers++
				s.target(rec.typ, name)
			} else {
				s.Authority++
			}
			fixed, _ := skipName(w.out, at)
			b := w.out[fixed+4:]
			binary.BigEndian.PutUint32(b, ttl(i, saneTTL(binary.BigEndian.Uint32(b))))
			s.TTLs = append(s.TTLs, uint16(fixed+4-start))
		}
		off = rec.end
	}
	s.Body = w.out[start:len(w.out):len(w.out)]
	return &s
}

// message is a message of the reply's question and body.
func (r *Reply) message() []byte {
	msg := make([]byte, headerLen, headerLen+len(r.Name)+4+len(r.Body))
	msg[5] = 1
	msg = append(msg, r.Name...)
	msg = binary.BigEndian.AppendUint16(msg, r.Type)
	msg = binary.BigEndian.AppendUint16(msg, r.Class)
	return append(msg, r.Body...)
}

// seed lets later names point into the question, whose name ends at end.
func (w *rewriter) seed(end int) {
	question := rewriter{out: w.out[:headerLen:headerLen]}
	question.name(w.out[headerLen:end], true)
	w.seen = question.seen
}

// canonical is the data of a record with its names expanded.
func (w *rewriter) canonical(rec record) ([]byte, bool) {
	l := layoutOf(rec.typ)
	from := len(w.out)
	if l.names == 0 {
		return append([]byte(nil), w.in[rec.data:rec.end]...), true
	}
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
		if rec.typ == TypeNSEC || rec.typ == TypeSVCB || rec.typ == TypeHTTPS {
			w.out = append(w.out, w.label[:n]...)
		} else {
			w.out = append(w.out, lowered(w.label[:n])...)
		}
		at = next
	}
	w.out = append(w.out, w.in[at:rec.end]...)
	return append([]byte(nil), w.out[from:]...), true
}

func lowered(name []byte) []byte {
	out := make([]byte, len(name))
	for i, c := range name {
		out[i] = domain.Lower(c)
	}
	return out
}
