package upstream

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/miekg/dns"

	"schoolgate/blocklist/domain"
)

const (
	headerSize = 12
	ednsSize   = 1232 // what fits every path unfragmented (DNS flag day 2020)
	padBlock   = 128  // RFC 8467 section 4.1
)

// question is a question ready to be sent: immutable, with lower-case name and ID 0.
type question struct {
	key    string // equal for questions that have the same answer
	plain  []byte // the message for UDP and TCP
	padded []byte // the message for TLS: its length shall not tell the name (RFC 7830)
	end    int    // where the question section ends
}

func newQuestion(req *dns.Msg) (*question, error) {
	if len(req.Question) != 1 || req.Response || req.Opcode != dns.OpcodeQuery {
		return nil, ErrQuestion
	}
	opt := req.IsEdns0()
	do := opt != nil && opt.Do()
	m := &dns.Msg{Question: req.Question}
	m.RecursionDesired, m.AuthenticatedData, m.CheckingDisabled = true, true, req.CheckingDisabled
	m.SetEdns0(ednsSize, do)
	q := new(question)
	var err error
	if q.plain, err = m.Pack(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrQuestion, err)
	}
	const optionHeader = 4
	pad := (padBlock - (len(q.plain)+optionHeader)%padBlock) % padBlock
	m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_PADDING{Padding: make([]byte, pad)}}
	if q.padded, err = m.Pack(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrQuestion, err)
	}
	q.end = headerSize
	for q.plain[q.end] != 0 {
		q.end += 1 + int(q.plain[q.end])
	}
	q.end += 1 + 4
	lower(q.plain[headerSize : q.end-4])
	lower(q.padded[headerSize : q.end-4])
	q.key = string(q.plain[headerSize:q.end]) + string([]byte{flag(do), flag(req.CheckingDisabled)})
	return q, nil
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// lower folds a whole wire name: a length byte is at most 63, below every letter.
func lower(name []byte) {
	for i, c := range name {
		name[i] = domain.Lower(c)
	}
}

// stamp makes a copy of a message of q with an unpredictable ID and, when mix is set, unpredictable letter case
// (draft-vixie-dnsext-dns0x20): together with the source port, what a forger must guess.
func (q *question) stamp(msg []byte, mix bool) []byte {
	sent := bytes.Clone(msg)
	var random [2 + domain.MaxWire]byte
	_, _ = rand.Read(random[:]) // never fails, by its documentation
	copy(sent, random[:2])
	if mix {
		for i, c := range sent[headerSize : q.end-4] {
			if 'a' <= c && c <= 'z' {
				sent[headerSize+i] = c &^ (random[2+i] & 0x20)
			}
		}
	}
	return sent
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

// unpack reads a reply that check accepted. The question is folded in place first: most names of the reply are pointers
// into it, and would carry the mixed case of the query.
func (q *question) unpack(reply []byte) (*dns.Msg, error) {
	lower(reply[headerSize : q.end-4])
	m := new(dns.Msg)
	if err := m.Unpack(reply); err != nil {
		return nil, fmt.Errorf("reading reply: %w", err)
	}
	return m, nil
}
