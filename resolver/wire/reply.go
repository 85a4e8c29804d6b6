package wire

import (
	"encoding/binary"
	"unicode/utf8"
)

// Header is what a reply says beside its records. The counts are those of the body, so without the OPT record.
type Header struct {
	RCode                          uint16 // extended bits included
	AA, AD                         bool
	Answers, Authority, Additional uint16
}

// Records counts the records of the body.
func (h Header) Records() int { return int(h.Answers) + int(h.Authority) + int(h.Additional) }

// EDE is an extended DNS error (RFC 8914): a code for programs and a text for people. The zero value is none, since
// code 0 (Other) without a text would tell nobody anything. A text longer than 128 bytes is cut. It is sent to clients
// that speak EDNS only.
type EDE struct {
	Code uint16
	Text string

	// What stands around Text where it is structured data (draft-ietf-dnsop-structured-dns-error), for a client that
	// asked for that: see Question.Structured. All three are then sent whole; their maker sees to their size. "" for none.
	Head, Tail string
}

// AppendReply appends a whole reply to dst: the header with QR, RA, the request's id, RD and CD; the request's question
// byte for byte, so with its case (0x20); body; and, when the request had one, an OPT record with UDPMax, DO, the
// extended response code, the cookie if there is one for the client (see Cookie.Ours), and ede.
//
// req and q are the request and what ParseQuestion made of it. body is the answer, authority and additional records
// without OPT; its compression pointers count from the start of a message with a question of the same length, so a body
// begins at offset q.End of the reply. AD is only set for a client that asked for it (RFC 6840 section 5.8). The reply
// is not cut to the client's limit: see Fit.
func AppendReply(dst, req []byte, q *Question, h Header, body []byte, ede EDE) []byte {
	dst = appendHead(dst, req, q, h)
	dst = append(dst, body...)
	return appendOPT(dst, q, h.RCode, ede)
}

// AppendError appends a reply without records. It also serves a request of which only the header could be read.
func AppendError(dst, req []byte, q *Question, rcode uint16, ede EDE) []byte {
	return AppendReply(dst, req, q, Header{RCode: rcode}, nil, ede)
}

// AppendAny appends the answer to a question for ANY that RFC 8482 section 4.2 gives: one HINFO record.
func AppendAny(dst, req []byte, q *Question, ttl uint32) []byte {
	dst = appendHead(dst, req, q, Header{Answers: 1})
	dst = appendRecord(dst, TypeHINFO, ttl, 9)
	dst = append(dst, "\x07RFC8482\x00"...)
	return appendOPT(dst, q, NoError, EDE{})
}

// Fit cuts a ready reply to the request q to what its client takes over UDP (see Question.Limit): if it is longer, all
// records but OPT go and TC is set. Records are left out all or none, since half an answer helps nobody and clients ask
// again over TCP. It works in place and leaves alone what is no reply to q.
func Fit(msg []byte, q *Question) []byte {
	if len(msg) <= q.Limit() || len(msg) < headerLen || q.End > len(msg) {
		return msg
	}
	opt := findOPT(msg, q.End)
	msg[2] |= flagTC
	clear(msg[6:headerLen])
	end := max(q.End, headerLen)
	if opt.end > 0 {
		end += copy(msg[end:], msg[opt.fixed-1:opt.end])
		msg[11] = 1
	}
	return msg[:end]
}

// findOPT finds the OPT record among the records that start at off; its end is 0 when there is none.
func findOPT(msg []byte, off int) record {
	for range countRecords(msg) {
		r, ok := readRecord(msg, off)
		if !ok {
			break
		}
		if r.typ == TypeOPT {
			return r
		}
		off = r.end
	}
	return record{}
}

func countRecords(msg []byte) int {
	return int(binary.BigEndian.Uint16(msg[6:])) + int(binary.BigEndian.Uint16(msg[8:])) + int(binary.BigEndian.Uint16(msg[10:]))
}

// appendHead appends the header and the question.
func appendHead(dst, req []byte, q *Question, h Header) []byte {
	rcode := h.RCode
	if rcode > 15 && !q.EDNS {
		rcode = ServFail // no room for the upper bits without an OPT record
	}
	b2 := flagQR | req[2]&maskOpcode
	if h.AA {
		b2 |= flagAA
	}
	if q.RD {
		b2 |= flagRD
	}
	b3 := flagRA | byte(rcode)&maskRCode
	if h.AD && (q.AD || q.DO) {
		b3 |= flagAD
	}
	if q.CD {
		b3 |= flagCD
	}
	questions, opt := byte(0), uint16(0)
	if q.End > headerLen {
		questions = 1
	}
	if q.EDNS {
		opt = 1
	}
	dst = append(dst, byte(q.ID>>8), byte(q.ID), b2, b3, 0, questions)
	dst = binary.BigEndian.AppendUint16(dst, h.Answers)
	dst = binary.BigEndian.AppendUint16(dst, h.Authority)
	dst = binary.BigEndian.AppendUint16(dst, h.Additional+opt)
	if questions != 0 {
		dst = append(dst, req[headerLen:q.End]...)
	}
	return dst
}

// appendOPT appends the OPT record (RFC 6891 section 6.1.2) if the request had one.
func appendOPT(dst []byte, q *Question, rcode uint16, ede EDE) []byte {
	if !q.EDNS {
		return dst
	}
	do := byte(0)
	if q.DO {
		do = 0x80
	}
	dst = append(dst, 0, 0, byte(TypeOPT), byte(UDPMax>>8), byte(UDPMax&0xff), byte(rcode>>4), 0, do, 0)
	options := len(dst) + 2
	dst = append(dst, 0, 0)
	if q.Cookie.Ours {
		dst = q.Cookie.append(dst)
	}
	if ede != (EDE{}) {
		dst = ede.append(dst)
	}
	binary.BigEndian.PutUint16(dst[options-2:], uint16(len(dst)-options))
	return dst
}

// append appends the option (RFC 8914 section 2).
func (e *EDE) append(dst []byte) []byte {
	text := e.Text
	if e.Head == "" {
		text = cut(text)
	}
	dst = binary.BigEndian.AppendUint16(dst, edeOption)
	dst = binary.BigEndian.AppendUint16(dst, uint16(2+len(e.Head)+len(text)+len(e.Tail)))
	dst = binary.BigEndian.AppendUint16(dst, e.Code)
	return append(append(append(dst, e.Head...), text...), e.Tail...)
}

// cut bounds an EDE text, on a border between characters.
func cut(text string) string {
	if len(text) <= maxEDEText {
		return text
	}
	n := maxEDEText
	for n > maxEDEText-utf8.UTFMax && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// appendRecord appends the start of a record of the question's own name, up to its RDATA.
func appendRecord(dst []byte, typ uint16, ttl uint32, length uint16) []byte {
	dst = append(dst, 0xc0, headerLen)
	dst = binary.BigEndian.AppendUint16(dst, typ)
	dst = binary.BigEndian.AppendUint16(dst, ClassIN)
	dst = binary.BigEndian.AppendUint32(dst, ttl)
	return binary.BigEndian.AppendUint16(dst, length)
}
