package wire

import "encoding/binary"

// AppendAliased appends a reply to q that leads on to another name: a CNAME record from the question's own name to target,
// a whole name in wire form, with a TTL in seconds, and behind it the records of about, a reply to the same question about
// target. Nothing of about's header is taken. Where it holds no record, or is nil, a SOA record says for how long there is
// none (RFC 2308 section 2.2), so that this can be kept too. ok is false when about is no such reply; nothing is appended then.
func AppendAliased(dst, req []byte, q *Question, target []byte, ttl uint32, about []byte, ede EDE) (out []byte, ok bool) {
	w := rewriter{in: about, out: appendHead(dst[len(dst):], req, q, Header{Answers: 1})} // offsets count from a message's start
	if q.End-4 < headerLen+1 || len(about) != 0 && len(about) < headerLen {
		return dst, false
	}
	w.out = w.out[:headerLen]
	w.name(req[headerLen:q.End-4], true) // the names that follow point into it
	w.out = append(w.out, req[q.End-4:q.End]...)
	w.out = appendRecord(w.out, TypeCNAME, ttl, 0)
	data := len(w.out)
	w.name(target, true)
	binary.BigEndian.PutUint16(w.out[data-2:], uint16(len(w.out)-data))
	answers, authority, ok := w.behind()
	if !ok || len(w.out) > 0xffff {
		return dst, false
	}
	if answers+authority == 0 && q.Type != TypeCNAME {
		w.name(target, true)
		w.out = appendSOAData(w.out, ttl)
		authority = 1
	}
	binary.BigEndian.PutUint16(w.out[6:], 1+answers)
	binary.BigEndian.PutUint16(w.out[8:], authority)
	return append(dst, appendOPT(w.out, q, NoError, ede)...), true
}

// behind copies the answer and authority records of a whole message, if there is one.
func (w *rewriter) behind() (answers, authority uint16, ok bool) {
	if len(w.in) == 0 {
		return 0, 0, true
	}
	off, ok := skipName(w.in, headerLen)
	off += 4
	answers, authority = binary.BigEndian.Uint16(w.in[6:]), binary.BigEndian.Uint16(w.in[8:])
	for range int(answers) + int(authority) {
		rec, fits := readRecord(w.in, off)
		if !ok || !fits {
			return 0, 0, false
		}
		if _, ok = w.record(rec, off); !ok {
			return 0, 0, false
		}
		off = rec.end
	}
	return answers, authority, ok
}

// appendSOAData appends the rest of a SOA record behind its owner: TTL and minimum are ttl seconds.
func appendSOAData(dst []byte, ttl uint32) []byte {
	const mailbox = "\x0ahostmaster" + soaServer
	dst = binary.BigEndian.AppendUint16(dst, TypeSOA)
	dst = binary.BigEndian.AppendUint16(dst, ClassIN)
	dst = binary.BigEndian.AppendUint32(dst, ttl)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(soaServer)+len(mailbox)+20))
	dst = append(dst, soaServer...)
	dst = append(dst, mailbox...)
	return appendSOATimes(dst, ttl)
}
