package resolver

import (
	"encoding/binary"
	"net/netip"

	"schoolgate/blocklist/domain"
	"schoolgate/resolver/query"
	"schoolgate/resolver/wire"
)

// Own is the box itself as its clients know it: what is answered for its own name, for every group and at every hour, and to
// those that look for a way to ask encrypted (RFC 9461, RFC 9462). It is immutable once it is in a State. A nil one has
// no name.
type Own struct {
	Name             domain.Name
	Addrs            []netip.Addr // of the box; beside them that which was asked is known
	TLS, HTTPS, QUIC uint16       // ports, 0 for what is not served

	// Verifies says whether a client that asked in plain text at an address could check the certificate by that address.
	// Only then the box announces itself to it (RFC 9462 section 4.2). Nil is never.
	Verifies func(netip.Addr) bool

	zone   string // Name in wire form
	labels int    // of Name
}

// NewOwn finishes o, which holds all but what is worked out.
func NewOwn(o Own) *Own {
	var w domain.Wire
	if err := w.SetName(o.Name); err != nil {
		panic(err) // a name that was parsed is one
	}
	o.zone, o.labels = string(w.Bytes()), w.Labels()
	return &o
}

// same says whether both answer for the same names.
func (o *Own) same(other *Own) bool {
	return o == other || o != nil && other != nil && o.zone == other.zone
}

const (
	designated = "\x04_dns\x08resolver\x04arpa\x00"
	ownTTL     = 300
)

// has says whether answer may have something to say of a name, even if the policy refuses it.
func (o *Own) has(name *domain.Wire) bool {
	return o != nil && (below(name, o.zone) || string(name.Bytes()) == designated)
}

// answer answers for the box's own names; ok is false for all others, and where it would tell a client nothing that it
// could use.
func (o *Own) answer(q *query.Query, req, dst []byte) (out []byte, ok bool) {
	if !o.has(&q.Question.Name) {
		return dst, false
	}
	name := &q.Question.Name
	depth := name.Labels() - o.labels
	b := wire.Blocked{Kind: wire.BlockPage, TTL: ownTTL}
	switch first := string(name.Label(0)); {
	case string(name.Bytes()) == designated:
		if o.Verifies == nil || !q.Asked.IsValid() || !o.Verifies(q.Asked) {
			return dst, false
		}
		fallthrough
	case depth == 1 && first == "_dns":
		if q.Question.Type == wire.TypeSVCB {
			q.Verdict, q.Source, q.RCode = query.Verdict{}, query.Policy, wire.NoError
			n, body := o.designations(q.Asked)
			return wire.AppendReply(dst, req, &q.Question, wire.Header{Answers: n}, body, wire.EDE{}), true
		}
	case depth == 0, depth == 1 && first[0] != '_':
		b.V4, b.V6 = o.address(q.Asked, true), o.address(q.Asked, false)
	case depth > 1:
		b.Kind = wire.BlockNXDomain
	}
	q.Verdict = query.Verdict{}
	return reply(q, req, dst, b, wire.EDE{}), true
}

// address is that of the box for a client that asked at an address, the zero value when none of the family is known.
func (o *Own) address(asked netip.Addr, v4 bool) netip.Addr {
	if asked.IsValid() && asked.Is4() == v4 {
		return asked
	}
	for _, a := range o.Addrs {
		if a.Is4() == v4 && (a.IsLoopback() == asked.IsLoopback()) {
			return a
		}
	}
	return netip.Addr{}
}

// Keys of the parameters of an SVCB record (RFC 9460 section 14.3.2, RFC 9461 section 5).
const (
	svcALPN    = 1
	svcPort    = 3
	svcIPv4    = 4
	svcIPv6    = 6
	svcDoHPath = 7
)

// designations is an SVCB record for each transport, the most preferred first, with the address that was asked as hint.
func (o *Own) designations(asked netip.Addr) (n uint16, body []byte) {
	for _, t := range []struct {
		alpn string
		port uint16
		path string
	}{{"h2", o.HTTPS, "/dns-query{?dns}"}, {"dot", o.TLS, ""}, {"doq", o.QUIC, ""}} {
		if t.port == 0 {
			continue
		}
		n++
		data := binary.BigEndian.AppendUint16(nil, n) // priority
		data = append(data, o.zone...)
		data = appendParam(data, svcALPN, append([]byte{byte(len(t.alpn))}, t.alpn...))
		data = appendParam(data, svcPort, binary.BigEndian.AppendUint16(nil, t.port))
		switch {
		case asked.IsLinkLocalUnicast(): // which is an address on one interface alone
		case asked.Is4():
			data = appendParam(data, svcIPv4, asked.AsSlice())
		case asked.Is6():
			data = appendParam(data, svcIPv6, asked.AsSlice())
		}
		if t.path != "" {
			data = appendParam(data, svcDoHPath, []byte(t.path))
		}
		body = wire.AppendRecord(body, wire.TypeSVCB, ownTTL, data)
	}
	return n, body
}

func appendParam(data []byte, key uint16, value []byte) []byte {
	data = binary.BigEndian.AppendUint16(data, key)
	data = binary.BigEndian.AppendUint16(data, uint16(len(value)))
	return append(data, value...)
}
