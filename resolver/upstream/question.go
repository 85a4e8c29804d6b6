package upstream

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"schoolgate/blocklist/domain"
	"schoolgate/resolver/wire"
)

const (
	headerSize = 12
	optSize    = 11  // an OPT record without options
	padBlock   = 128 // RFC 8467 section 4.1
)

// question is a question ready to be sent: immutable, with lower-case name and ID 0.
type question struct {
	key string // equal for questions that have the same answer
	msg []byte // as it goes over UDP and TCP
	end int    // where the question section ends
}

// newQuestion asks for recursion, for the AD bit (RFC 6840 section 5.7) and for datagrams that fit. Of the client's EDNS
// only the DO bit travels.
func newQuestion(from *wire.Question) *question {
	const recursion, authentic, checkingDisabled, dnssecOK = 0x01, 0x20, 0x10, 0x80
	name := from.Name.Bytes()
	q := &question{msg: make([]byte, headerSize, headerSize+len(name)+4+optSize), end: headerSize + len(name) + 4}
	q.msg[2], q.msg[3], q.msg[5], q.msg[11] = recursion, authentic, 1, 1
	if from.CD {
		q.msg[3] |= checkingDisabled
	}
	do := byte(0)
	if from.DO {
		do = dnssecOK
	}
	q.msg = append(q.msg, name...)
	q.msg = binary.BigEndian.AppendUint16(q.msg, from.Type)
	q.msg = binary.BigEndian.AppendUint16(q.msg, from.Class)
	q.msg = append(q.msg, 0, 0, byte(wire.TypeOPT), byte(wire.UDPMax>>8), byte(wire.UDPMax&0xff), 0, 0, do, 0, 0, 0)
	q.key = string(q.msg) // the header has CD, the OPT record DO
	return q
}

// message is a copy of the message for a connection. Padded, as what is encrypted is, its length does not tell the name
// (RFC 7830).
func (q *question) message(padded bool) []byte {
	if !padded {
		return bytes.Clone(q.msg)
	}
	const padding, header = 12, 4
	pad := (padBlock - (len(q.msg)+header)%padBlock) % padBlock
	b := append(make([]byte, 0, len(q.msg)+header+pad), q.msg...)
	binary.BigEndian.PutUint16(b[len(b)-2:], uint16(header+pad))
	b = binary.BigEndian.AppendUint16(b, padding)
	b = binary.BigEndian.AppendUint16(b, uint16(pad))
	return append(b, make([]byte, pad)...)
}

// lower folds a whole wire name: a length byte is at most 63, below every letter.
func lower(name []byte) {
	for i, c := range name {
		name[i] = domain.Lower(c)
	}
}

// stamp gives a message of q, in place, an unpredictable ID and, when mix is set, unpredictable letter case
// (draft-vixie-dnsext-dns0x20): together with the source port, what a forger must guess.
func (q *question) stamp(msg []byte, mix bool) {
	var random [2 + (domain.MaxWire+7)/8]byte
	name := q.msg[headerSize : q.end-4]
	_, _ = rand.Read(random[:2+(len(name)+7)/8]) // never fails, by its documentation
	copy(msg, random[:2])
	if !mix {
		return
	}
	for i, c := range name {
		if 'a' <= c && c <= 'z' {
			msg[headerSize+i] = c &^ (random[2+i/8] >> (i % 8) & 1 << 5)
		}
	}
}

// Why bytes that arrived are not, or not all of, the reply.
var (
	errAlien     = errors.New("reply to another question")
	errCase      = errors.New("reply in another letter case")
	errTruncated = errors.New("reply is truncated")
)

// check says whether reply answers the message sent, whose question section ends at end: errCase when it does but for
// the case of letters, errAlien when it does not.
func check(reply, sent []byte, end int) error {
	if len(reply) < end || reply[0] != sent[0] || reply[1] != sent[1] {
		return errAlien
	}
	const qr, opcode = 0x80, 0x78
	if reply[2]&qr == 0 || reply[2]&opcode != 0 || binary.BigEndian.Uint16(reply[4:]) != 1 {
		return errAlien
	}
	if bytes.Equal(reply[headerSize:end], sent[headerSize:end]) {
		return nil
	}
	if !bytes.Equal(reply[end-4:end], sent[end-4:end]) {
		return errAlien
	}
	for i := headerSize; i < end-4; i++ {
		if domain.Lower(reply[i]) != domain.Lower(sent[i]) {
			return errAlien
		}
	}
	return errCase
}

func truncated(reply []byte) bool { return reply[2]&0x02 != 0 }

// reply reads what may be the reply to the message sent of q: errAlien when it is not, errCase and errTruncated when it is
// to be asked for in another way.
func (q *question) reply(msg, sent []byte) (*wire.Reply, error) {
	if err := check(msg, sent, q.end); err != nil {
		return nil, err
	}
	r, err := q.read(msg)
	if err != nil && !errors.Is(err, errTruncated) {
		return nil, fmt.Errorf("%w: %w", errAlien, err)
	}
	return r, err
}

// answered reads what came back on a way where nobody else's reply can come: only what answers the message sent, whatever
// the case of its letters.
func (q *question) answered(msg, sent []byte) (*wire.Reply, error) {
	if len(msg) < headerSize {
		return nil, errAlien
	}
	if err := check(msg, sent, q.end); err != nil && !errors.Is(err, errCase) {
		return nil, err
	}
	return q.read(msg)
}

// read reads a reply that check accepted. The question is folded in place first: most names of the reply are pointers into
// it, and would carry the mixed case of the query.
func (q *question) read(reply []byte) (*wire.Reply, error) {
	if truncated(reply) {
		return nil, errTruncated
	}
	lower(reply[headerSize : q.end-4])
	r, err := wire.ReadReply(reply)
	if err != nil {
		return nil, fmt.Errorf("reading reply: %w", err)
	}
	return r, nil
}
