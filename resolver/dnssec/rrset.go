package dnssec

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"schoolgate/resolver/wire"
)

// rrset is the records of one name and type in one section of a reply, with the signatures over them.
type rrset struct {
	name   string
	typ    uint16
	answer bool
	ttl    uint32   // the least of its records
	data   [][]byte // canonical, in canonical order, each once
	sigs   []signature
	index  []int // of its records in the reply
}

// signature is one RRSIG record (RFC 4034 section 3).
type signature struct {
	alg        uint8
	labels     uint8
	original   uint32 // TTL
	expiration uint32
	inception  uint32
	tag        uint16
	signer     string
	head       []byte // what of the record is signed: all but the signature itself
	value      []byte
	index      int
}

const rrsigHead = 18 // bytes before the signer's name

func readSignature(data []byte) (covered uint16, s signature, ok bool) {
	if len(data) < rrsigHead {
		return 0, s, false
	}
	signer, value, ok := readName(data[rrsigHead:])
	if !ok {
		return 0, s, false
	}
	return binary.BigEndian.Uint16(data), signature{
		alg: data[2], labels: data[3],
		original: binary.BigEndian.Uint32(data[4:]), expiration: binary.BigEndian.Uint32(data[8:]), inception: binary.BigEndian.Uint32(data[12:]),
		tag: binary.BigEndian.Uint16(data[16:]), signer: signer,
		head: data[:len(data)-len(value)], value: value,
	}, true
}

// sections is the sets of a reply in the order in which they came.
type sections []*rrset

// collect sorts the records of a reply into sets. Records of other classes stay out.
func collect(r *wire.Reply) sections {
	type id struct {
		name   string
		typ    uint16
		answer bool
	}
	var all sections
	of := make(map[id]*rrset)
	find := func(k id) *rrset {
		s := of[k]
		if s == nil {
			s = &rrset{name: k.name, typ: k.typ, answer: k.answer, ttl: 1<<32 - 1}
			of[k] = s
			all = append(all, s)
		}
		return s
	}
	for i, rr := range r.RRs() {
		if rr.Class != wire.ClassIN {
			continue
		}
		k := id{string(rr.Name), rr.Type, rr.Answer}
		if rr.Type == wire.TypeRRSIG {
			covered, sig, ok := readSignature(rr.Data)
			if !ok || covered == wire.TypeRRSIG {
				continue
			}
			k.typ, sig.index = covered, i
			s := find(k)
			s.sigs = append(s.sigs, sig)
			continue
		}
		s := find(k)
		s.data, s.index, s.ttl = append(s.data, rr.Data), append(s.index, i), min(s.ttl, rr.TTL)
	}
	all = slices.DeleteFunc(all, func(s *rrset) bool { return len(s.data) == 0 }) // signatures over nothing
	for _, s := range all {
		slices.SortFunc(s.data, bytes.Compare)
		s.data = slices.CompactFunc(s.data, bytes.Equal) // RFC 4034 section 6.3
	}
	return all
}

// find gives the answer of a name and type, nil for none.
func (all sections) find(name string, typ uint16) *rrset {
	for _, s := range all {
		if s.answer && s.typ == typ && s.name == name {
			return s
		}
	}
	return nil
}

// signed is the bytes that sig covers (RFC 4034 section 3.1.8.1).
func (s *rrset) signed(sig *signature) []byte {
	owner := s.name
	if s.expanded(sig) {
		owner, _ = wildcard(last(s.name, int(sig.labels)))
	}
	size := len(sig.head)
	for _, d := range s.data {
		size += len(owner) + 10 + len(d)
	}
	b := append(make([]byte, 0, size), sig.head...)
	for _, d := range s.data {
		b = append(b, owner...)
		b = binary.BigEndian.AppendUint16(b, s.typ)
		b = binary.BigEndian.AppendUint16(b, wire.ClassIN)
		b = binary.BigEndian.AppendUint32(b, sig.original)
		b = binary.BigEndian.AppendUint16(b, uint16(len(d)))
		b = append(b, d...)
	}
	return b
}

// expanded says whether the set was made from a wildcard, by the number of labels that were signed. The wildcard itself, asked
// for by name, was not.
func (s *rrset) expanded(sig *signature) bool { return int(sig.labels) < s.labels() }

// labels counts as signatures do: without root, and without the asterisk of a wildcard.
func (s *rrset) labels() int {
	n := labels(s.name)
	if isWildcard(s.name) {
		n--
	}
	return n
}

// The clocks of signer and validator are allowed to differ by a tenth of a signature's life, within these bounds: what
// Unbound allows.
const (
	leastSkew = time.Hour
	mostSkew  = 24 * time.Hour
)

// timely says whether now lies in the life of the signature. Times wrap around (RFC 1982, RFC 4034 section 3.1.5).
func (sig *signature) timely(now time.Time) (f *Fault) {
	t := uint32(now.Unix())
	life := time.Duration(int32(sig.expiration-sig.inception)) * time.Second
	if life < 0 {
		return fault(wire.EDEBogus, "signature ends before it begins")
	}
	skew := uint32(min(max(life/10, leastSkew), mostSkew) / time.Second)
	switch {
	case int32(t-sig.inception) < 0 && sig.inception-t > skew:
		return fault(wire.EDESignatureNotYetValid, "signature is not valid before "+moment(sig.inception, now))
	case int32(sig.expiration-t) < 0 && t-sig.expiration > skew:
		return fault(wire.EDESignatureExpired, "signature ended "+moment(sig.expiration, now))
	}
	return nil
}

// moment writes a time of a signature, of the turn of 136 years that is closest to now.
func moment(t uint32, now time.Time) string {
	return now.Add(time.Duration(int32(t-uint32(now.Unix()))) * time.Second).UTC().Format("2006-01-02 15:04 UTC")
}

// lasts is how many seconds from now the set may be kept by sig: no longer than its signer says, nor than the signature lasts,
// which may be over already by the skew.
func (s *rrset) lasts(sig *signature, now time.Time) uint32 {
	left := int32(sig.expiration - uint32(now.Unix()))
	return min(s.ttl, sig.original, uint32(max(left, 60)))
}
