package local

import (
	"encoding/binary"
	"net/netip"

	"schoolgate/blocklist/domain"
	"schoolgate/resolver/wire"
)

// find gives the records of a name for a group, nil for none, and at which of its labels a zone begins that is answered
// here, -1 for none. The nearest name that speaks for those below it counts.
func (n *Names) find(group uint8, name *domain.Wire) (s *set, zone int) {
	zone = -1
	for i := range name.Labels() {
		w := name.From(i)
		if o := n.owners[string(w)]; o != nil && s == nil {
			if s = o.of(group, i > 0); s == nil && i == 0 && len(o.sets) == 0 {
				// It exists, for what lies below it: nothing above speaks for it.
				return nil, n.zoneOf(name, i)
			}
		}
		if zone < 0 && n.zones[string(w)] {
			zone = i
		}
	}
	return s, zone
}

func (n *Names) zoneOf(name *domain.Wire, from int) int {
	for i := from; i < name.Labels(); i++ {
		if n.zones[string(name.From(i))] {
			return i
		}
	}
	return -1
}

// of gives the set for a group; below, of one that is below the owner.
func (o *owner) of(group uint8, below bool) *set {
	for _, s := range o.sets {
		if (s.groups == 0 || s.groups>>group&1 != 0) && (s.below || !below) {
			return s
		}
	}
	return nil
}

// follow goes along aliases as far as they are records here; the name where they end is left in name. target is where they
// leave, "" when they do not.
func (n *Names) follow(group uint8, s *set, name *domain.Wire) (last *set, target domain.Name) {
	for range 8 {
		if s == nil || s.alias == nil {
			return s, ""
		}
		if _, err := name.Read(s.alias, 0); err != nil {
			return nil, ""
		}
		next, zone := n.find(group, name)
		if next == nil && zone < 0 {
			return nil, s.outside
		}
		s = next
	}
	return nil, ""
}

// Find says whether a name is answered here for a group; target is the name outside that its records lead on to, "" for
// none. apart is true when only a zone holds it: servers of its own may know it better.
func (n *Names) Find(group uint8, name *domain.Wire) (here bool, target domain.Name, apart bool) {
	s, zone := n.find(group, name)
	if s == nil {
		return zone >= 0, "", zone >= 0
	}
	if s.alias != nil {
		end := *name
		_, target = n.follow(group, s, &end)
	}
	return true, target, false
}

// Answer appends the answer to a question for a group; ok is false for what is not known here. asked is the box's address
// that was asked; without it the box's own name is not known. A name whose records lead outside is for the caller (see
// Find). It holds AA and no signatures.
func (n *Names) Answer(q *wire.Question, group uint8, asked netip.Addr, box *Interfaces, req, dst []byte) (out []byte, rcode uint16, ok bool) {
	s, zone := n.find(group, &q.Name)
	if s == nil && zone < 0 || q.Type == typeDS && zone == 0 { // the keys of a zone are its parent's to tell
		return dst, 0, false
	}
	var room [1232]byte
	body, h := room[:0], wire.Header{AA: true}
	owner := uint16(12) // of what follows: the question's name, or where an alias ended
	switch {
	case s == nil:
		body, h.Answers = n.apex(body, q, zone, box)
		if h.Answers == 0 && zone > 0 && n.owners[string(q.Name.Bytes())] == nil {
			h.RCode = wire.NXDomain
		}
	case q.Type == wire.TypeANY: // RFC 8482
		return wire.AppendAny(dst, req, q, ttl), wire.NoError, true
	case s.alias != nil && q.Type != wire.TypeCNAME:
		end := q.Name
		last, target := n.follow(group, s, &end)
		if target != "" {
			return dst, 0, false
		}
		body = append(body, 0xc0, 12)
		body = append(body, s.records[0].data[:8]...)
		body = binary.BigEndian.AppendUint16(body, uint16(len(end.Bytes())))
		owner = uint16(q.End + len(body))
		body = append(body, end.Bytes()...)
		h.Answers, s = 1, last
		if last == nil {
			h.RCode = wire.NXDomain
		}
	}
	if s != nil {
		if s.box && !asked.IsValid() && (q.Type == wire.TypeA || q.Type == wire.TypeAAAA) || s.open && !s.holds(q.Type) {
			return dst, 0, false
		}
		var count uint16
		body, count = n.records(body, owner, s, q.Type, asked, box)
		if h.Answers += count; count == 0 {
			h.Authority = 1
		}
	} else if h.Answers == 0 || owner != 12 {
		h.Authority = 1
	}
	if h.Authority != 0 {
		if owner == 12 && zone > 0 {
			owner += uint16(q.Name.Offset(zone))
		}
		body = append(pointer(body, owner), n.soa...)
	}
	return wire.AppendReply(dst, req, q, h, body, wire.EDE{}), h.RCode, true
}

// apex appends what a zone has of itself, and the name of an address of the box in it.
func (n *Names) apex(body []byte, q *wire.Question, zone int, box *Interfaces) (out []byte, answers uint16) {
	switch {
	case zone == 0 && q.Type == wire.TypeSOA:
		return append(pointer(body, 12), n.soa...), 1
	case zone == 0 && q.Type == wire.TypeNS:
		return append(pointer(body, 12), n.ns...), 1
	case q.Type == wire.TypePTR && box.Owns(&q.Name):
		return append(pointer(body, 12), n.ptr...), 1
	}
	return body, 0
}

// records appends those of a set that are of a type, under the name that stands at owner in the message.
func (n *Names) records(body []byte, owner uint16, s *set, typ uint16, asked netip.Addr, box *Interfaces) (out []byte, count uint16) {
	for i := range s.records {
		if r := &s.records[i]; r.typ == typ {
			body = append(pointer(body, owner), r.data...)
			count++
		}
	}
	if !s.box || typ != wire.TypeA && typ != wire.TypeAAAA {
		return body, count
	}
	if asked.Is4() == (typ == wire.TypeA) && !asked.IsLinkLocalUnicast() && !asked.IsUnspecified() {
		return appendAddress(pointer(body, owner), asked), 1
	}
	for _, a := range box.Beside(asked) {
		if a.Is4() == (typ == wire.TypeA) && count < mostAddresses {
			body = appendAddress(pointer(body, owner), a)
			count++
		}
	}
	return body, count
}

// mostAddresses are those that an interface of the box is told of.
const mostAddresses = 4

func pointer(body []byte, to uint16) []byte { return binary.BigEndian.AppendUint16(body, 0xc000|to) }

func appendAddress(body []byte, a netip.Addr) []byte {
	typ, length := wire.TypeA, uint16(4)
	if !a.Is4() {
		typ, length = wire.TypeAAAA, 16
	}
	body = binary.BigEndian.AppendUint16(body, typ)
	body = binary.BigEndian.AppendUint16(body, wire.ClassIN)
	body = binary.BigEndian.AppendUint32(body, ttl)
	body = binary.BigEndian.AppendUint16(body, length)
	if a.Is4() {
		b := a.As4()
		return append(body, b[:]...)
	}
	b := a.As16()
	return append(body, b[:]...)
}

// Unasked answers what no upstream is to be asked for although Find does not know it: the name of an address of this box,
// and single labels that are no top-level domain, by which people mean something of this network. It allocates.
func (n *Names) Unasked(q *wire.Question, box *Interfaces, req, dst []byte) (out []byte, rcode uint16, ok bool) {
	if q.Type == wire.TypePTR && box.Owns(&q.Name) {
		return wire.AppendReply(dst, req, q, wire.Header{AA: true, Answers: 1}, append(pointer(nil, 12), n.ptr...), wire.EDE{}), wire.NoError, true
	}
	switch q.Type {
	case wire.TypeNS, wire.TypeSOA, typeDS, typeDNSKEY, typeNSEC, typeRRSIG: // asked by resolvers, of the root's zone
		return dst, 0, false
	}
	if q.Name.Labels() != 1 || q.Name.Name().IsPublic() {
		return dst, 0, false
	}
	h := wire.Header{AA: true, RCode: wire.NXDomain, Authority: 1}
	return wire.AppendReply(dst, req, q, h, append(pointer(nil, 12), n.soa...), wire.EDE{}), wire.NXDomain, true
}

// holds says whether there is a record of a type.
func (s *set) holds(typ uint16) bool {
	for i := range s.records {
		if s.records[i].typ == typ {
			return true
		}
	}
	return false
}
