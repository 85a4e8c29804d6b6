// Package wire reads and edits DNS messages as bytes, without allocation: what the hot path needs and no more.
package wire

import (
	"encoding/binary"

	"schoolgate/blocklist/domain"
)

// Question is what one request asks, with the parts of its header and OPT record that shape the answer. It holds no
// pointer into the message and is meant to be reused.
type Question struct {
	Name  domain.Wire
	Type  uint16 // RFC 1035 section 3.2.2 and later
	Class uint16

	ID     uint16
	RD, CD bool
	AD     bool // the client understands the AD bit of an answer (RFC 6840 section 5.7)
	End    int  // offset just after the question section: the bytes before it are echoed, with their case (0x20)

	EDNS    bool   // the request carried an OPT record (RFC 6891)
	DO      bool   // DNSSEC OK
	UDPSize uint16 // the client's limit for an answer over UDP: 512 without EDNS, never below

	Padded    bool // the request was padded (RFC 7830): over an encrypted transport so is the reply, see Pad
	KeepAlive bool // the client asks how long an idle connection stays open (RFC 7828), see AppendOption

	Cookie Cookie // what shows whether the client has the address that it asks from

	// Structured says that the client wants the reason of a refusal as structured data. It says so by option 26
	// (draft-ietf-dnsop-structured-dns-error-27; its content does not matter), or as up to version 19 of the draft by an
	// extended error of code 0 without text.
	Structured bool

	// What a trusted forwarder says of the device behind it; whether it is trusted is for Identify to judge.
	HasMAC bool
	MAC    [6]byte // EDNS option 65001, as dnsmasq --add-mac sends it
}

// Limit is the most bytes that an answer over UDP may have: what the client offers, between 512 (RFC 1035) and UDPMax.
func (q *Question) Limit() int {
	return int(min(max(q.UDPSize, minUDP), UDPMax))
}

// reset makes q the question of a message of which only the header is known, and perhaps an OPT record. Its name is the
// root, so that it is a name.
func (q *Question) reset(msg []byte) {
	*q = Question{ID: q.ID, RD: q.RD, CD: q.CD, AD: q.AD, End: headerLen}
	q.Name.Read([]byte{0}, 0) // cannot fail
	q.seekOPT(msg)
}

// seekOPT finds out whether a request that makes no sense has an OPT record all the same: then its answer has one too (RFC
// 6891 section 6.1.1).
func (q *Question) seekOPT(msg []byte) {
	q.forgetEDNS()
	off := headerLen
	for range binary.BigEndian.Uint16(msg[4:]) {
		next, ok := skipName(msg, off)
		if !ok || next+4 > len(msg) {
			return
		}
		off = next + 4
	}
	if opt := findOPT(msg, off); opt.end > 0 {
		q.EDNS = true
		q.UDPSize = max(binary.BigEndian.Uint16(msg[opt.fixed+2:]), minUDP)
		q.DO = msg[opt.fixed+6]&0x80 != 0
		if msg[opt.fixed+5] == 0 && !q.readOptions(msg[opt.data:opt.end]) {
			q.Cookie.Len = 0
		}
		q.HasMAC, q.MAC = false, [6]byte{}
	}
}

// forgetEDNS makes q a question without an OPT record. The bytes of the cookie may stay, since its length rules them.
func (q *Question) forgetEDNS() {
	q.EDNS, q.DO, q.UDPSize, q.HasMAC, q.MAC = false, false, minUDP, false, [6]byte{}
	q.Padded, q.KeepAlive, q.Structured = false, false, false
	q.Cookie.Len, q.Cookie.Ours = 0, false
}
