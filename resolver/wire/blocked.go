package wire

import (
	"encoding/binary"
	"net/netip"
)

// BlockKind is what a client sees instead of a blocked name.
type BlockKind uint8

// The kinds.
const (
	BlockNXDomain BlockKind = iota // the name does not exist
	BlockZero                      // 0.0.0.0 and ::, where nothing answers
	BlockPage                      // the addresses of a page that says why
)

func (k BlockKind) String() string {
	switch k {
	case BlockNXDomain:
		return "nxdomain"
	case BlockZero:
		return "zero"
	case BlockPage:
		return "page"
	}
	return "unknown"
}

// Blocked is how a blocked name is answered.
type Blocked struct {
	Kind   BlockKind
	V4, V6 netip.Addr // of BlockPage; one that is not valid gives an empty answer for its type
	TTL    uint32     // seconds, of addresses and of the SOA record that lets the refusal be cached (RFC 2308)
}

// AppendBlocked appends the answer for a blocked name. Questions that the kind has no address for get an empty answer
// (NODATA), HTTPS and SVCB too, so that no hint of the real address passes.
//
// Where there is no address, a SOA record follows whose owner is the queried name itself: resolvers cache a denial only
// under a SOA of the name or above it, and one for a parent would claim a zone in which other names live.
func AppendBlocked(dst, req []byte, q *Question, b Blocked, ede EDE) []byte {
	addr := b.address(q.Type)
	h := Header{Authority: 1}
	switch {
	case b.Kind == BlockNXDomain:
		h.RCode = NXDomain
	case addr.IsValid():
		h = Header{Answers: 1}
	}
	dst = appendHead(dst, req, q, h)
	if h.Answers != 0 {
		dst = AppendAddr(dst, addr, b.TTL)
	} else {
		dst = appendSOA(dst, q, b.TTL)
	}
	return appendOPT(dst, q, h.RCode, ede)
}

// address is the address that answers a question of type typ, if any.
func (b *Blocked) address(typ uint16) netip.Addr {
	v4, v6 := b.V4.Unmap(), b.V6
	if b.Kind == BlockZero {
		v4, v6 = netip.IPv4Unspecified(), netip.IPv6Unspecified()
	}
	switch {
	case b.Kind == BlockNXDomain:
	case typ == TypeA && v4.Is4():
		return v4
	case typ == TypeAAAA && v6.Is6():
		return v6
	}
	return netip.Addr{}
}

// AppendRecord appends a record of the question's own name to a body; ttl is in seconds, data as it stands in the record and
// without compressed names.
func AppendRecord(body []byte, typ uint16, ttl uint32, data []byte) []byte {
	return append(appendRecord(body, typ, ttl, uint16(len(data))), data...)
}

// AppendAddr appends an A or AAAA record of the question's own name to a body; ttl is in seconds.
func AppendAddr(body []byte, addr netip.Addr, ttl uint32) []byte {
	if addr.Is4() {
		a := addr.As4()
		return append(appendRecord(body, TypeA, ttl, 4), a[:]...)
	}
	a := addr.As16()
	return append(appendRecord(body, TypeAAAA, ttl, 16), a[:]...)
}

// The name of the SOA record's server, in the zone that RFC 2606 reserves for what must not exist.
const soaServer = "\x07blocked\x0aschoolgate\x07invalid\x00"

// appendSOA appends the authority record of a denial: minimum and TTL say how long it may be cached (RFC 2308 section 5).
func appendSOA(dst []byte, q *Question, ttl uint32) []byte {
	const mailbox = "\x0ahostmaster"
	dst = appendRecord(dst, TypeSOA, ttl, uint16(len(soaServer)+len(mailbox)+2+20))
	dst = append(dst, soaServer...)
	dst = append(dst, mailbox...)
	server := max(q.End, headerLen) + 2 + recordLen // where soaServer stands in the message
	dst = binary.BigEndian.AppendUint16(dst, 0xc000|uint16(server))
	return appendSOATimes(dst, ttl)
}

// appendSOATimes appends the numbers at the end of a SOA record's data.
func appendSOATimes(dst []byte, ttl uint32) []byte {
	dst = binary.BigEndian.AppendUint32(dst, 1)      // serial
	dst = binary.BigEndian.AppendUint32(dst, 3600)   // refresh
	dst = binary.BigEndian.AppendUint32(dst, 600)    // retry
	dst = binary.BigEndian.AppendUint32(dst, 604800) // expire
	return binary.BigEndian.AppendUint32(dst, ttl)   // minimum
}
