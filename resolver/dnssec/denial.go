package dnssec

import (
	"strconv"

	"schoolgate/resolver/wire"
)

// finding is what a denial proves of a name.
type finding uint8

const (
	isNothing    finding = iota
	isNoData             // there is the name, or a wildcard for it, without the type
	isNoName             // there is no such name
	isDelegation         // the name is delegated without DS
	isOptedOut           // NSEC3 that leaves out unsigned delegations, or that is not worth computing: nothing is proven, and nothing need be
)

// denial is the proven NSEC and NSEC3 records of a reply, all of one zone.
type denial struct {
	w     *work
	zone  string
	nsec  []nsec
	hash  *hasher // nil without NSEC3
	fault *Fault  // why a record was not taken
	sets  []*rrset
	ttl   uint32
}

// nsec is one NSEC record (RFC 4034 section 4).
type nsec struct {
	owner, next string
	types       bitmap
}

// denial gathers what z signed. Records that are not in order are left out: they prove nothing.
func (w *work) denial(z *zone, all sections) (*denial, error) {
	d := &denial{w: w, zone: z.name, ttl: 1<<32 - 1}
	looked := 0
	for _, set := range all {
		if set.answer || set.typ != wire.TypeNSEC && set.typ != wire.TypeNSEC3 || !within(set.name, z.name) {
			continue
		}
		if looked++; looked > maxDenials {
			break
		}
		sig, f, err := w.authentic(z, set)
		if err != nil {
			return nil, err
		}
		if f == nil && set.expanded(sig) {
			f = fault(wire.EDEBogus, "made from a wildcard")
		}
		if f != nil {
			d.fault = f
			continue
		}
		if d.add(set) {
			d.sets, d.ttl = append(d.sets, set), min(d.ttl, set.lasts(sig, w.now))
		}
	}
	if len(d.sets) == 0 {
		d.ttl = 0
	}
	return d, nil
}

// add reads a proven set.
func (d *denial) add(set *rrset) bool {
	if len(set.data) != 1 {
		return false
	}
	if set.typ == wire.TypeNSEC3 {
		return d.addHashed(set)
	}
	next, types, ok := readName(set.data[0])
	if !ok || !within(next, d.zone) {
		return false
	}
	d.nsec = append(d.nsec, nsec{owner: set.name, next: next, types: bitmap(types)})
	return true
}

// missing is the fault of a proof that is not there.
func (d *denial) missing(why string) *Fault {
	if d.fault != nil {
		return fault(d.fault.Code, "proof that something is not there: "+d.fault.Why)
	}
	return fault(wire.EDENoNSEC, why)
}

// noData looks for the proof that there is no record of a type at name, be it that the name has none, that it only has names
// below it, or that it is made from a wildcard that has none (RFC 4035 section 5.4, RFC 5155 sections 8.5 to 8.7).
func (d *denial) noData(name string, typ uint16) (finding, *Fault, error) {
	if d.hash != nil {
		return d.hash.noData(d, name, typ)
	}
	for i := range d.nsec {
		r := &d.nsec[i]
		switch {
		case r.owner == name:
			if found := r.types.lacks(name, typ); found != isNothing {
				return found, nil, nil
			}
			return isNothing, fault(wire.EDEBogus, text(name)+" is said to have what is not in the answer"), nil
		case r.covers(name) && below(r.next, name) && !r.ends(name):
			return isNoData, nil, nil // an empty non-terminal
		}
	}
	if closest, ok := d.closest(name); ok {
		if w, ok := wildcard(closest); ok {
			for i := range d.nsec {
				if r := &d.nsec[i]; r.owner == w && r.types.lacks(w, typ) == isNoData {
					return isNoData, nil, nil
				}
			}
		}
	}
	return isNothing, d.missing("no proof that " + text(name) + " has no such record"), nil
}

// noName looks for the proof that neither name nor a wildcard for it is there (RFC 4035 section 5.4, RFC 5155 section 8.4).
func (d *denial) noName(name string) (finding, *Fault, error) {
	if d.hash != nil {
		return d.hash.noName(d, name)
	}
	if closest, ok := d.closest(name); ok {
		if w, ok := wildcard(closest); ok {
			for i := range d.nsec {
				if r := &d.nsec[i]; r.covers(w) && !r.ends(w) {
					return isNoName, nil, nil
				}
			}
		}
	}
	return isNothing, d.missing("no proof that there is no " + text(name)), nil
}

// noCloser looks for the proof that nothing is there between name and the wildcard below encloser that it was made from (RFC
// 4035 section 5.3.4, RFC 5155 section 8.8).
func (d *denial) noCloser(name, encloser string) (finding, *Fault, error) {
	if d.hash != nil {
		return d.hash.noCloser(d, name, encloser)
	}
	if closest, ok := d.closest(name); ok && closest == encloser {
		return isNoName, nil, nil
	}
	return isNothing, d.missing("no proof that " + text(name) + " is made from a wildcard"), nil
}

// closest is the longest ancestor of name that is there, when name itself is proven not to be.
func (d *denial) closest(name string) (encloser string, ok bool) {
	for i := range d.nsec {
		r := &d.nsec[i]
		if !r.covers(name) || below(r.next, name) || r.ends(name) {
			continue
		}
		a, b := shared(name, r.owner), shared(name, r.next)
		if len(b) > len(a) {
			a = b
		}
		return a, true
	}
	return "", false
}

// covers says whether name falls between owner and next name; the last record of a zone leads back to the first.
func (r *nsec) covers(name string) bool {
	after := compare(name, r.owner) > 0
	if compare(r.owner, r.next) < 0 {
		return after && compare(name, r.next) < 0
	}
	return after && within(name, r.next)
}

// ends says whether the zone ends at the owner, above name, so that the record says nothing of it: a delegation, or DNAME (RFC
// 6840 section 4.1).
func (r *nsec) ends(name string) bool {
	return below(name, r.owner) && r.types.ends()
}

// bitmap is the types that a name has, as NSEC and NSEC3 write them (RFC 4034 section 4.1.2).
type bitmap []byte

func (b bitmap) has(typ uint16) bool {
	for len(b) >= 2 {
		window, n := b[0], int(b[1])
		if len(b) < 2+n {
			return false
		}
		if window == byte(typ>>8) {
			i := int(typ & 0xff)
			return i/8 < n && b[2+i/8]&(0x80>>(i%8)) != 0
		}
		b = b[2+n:]
	}
	return false
}

// ends says whether what is below the name is not in the zone.
func (b bitmap) ends() bool {
	return b.has(wire.TypeNS) && !b.has(wire.TypeSOA) || b.has(wire.TypeDNAME)
}

// lacks says what the types of name prove of typ: isNoData, isDelegation, or isNothing. Those of a delegation, kept in the
// parent, speak of DS alone, and those of the zone's own beginning of all but DS (RFC 6840 section 4.1).
func (b bitmap) lacks(name string, typ uint16) finding {
	cut := b.has(wire.TypeNS) && !b.has(wire.TypeSOA)
	switch {
	case b.has(typ), b.has(wire.TypeCNAME):
		return isNothing
	case typ == wire.TypeDS && b.has(wire.TypeSOA) && name != root:
		return isNothing
	case typ == wire.TypeDS && cut:
		return isDelegation
	case typ != wire.TypeDS && cut:
		return isNothing
	}
	return isNoData
}

// code names a response code for people.
func code(rcode uint16) string {
	switch rcode {
	case wire.NoError:
		return "no error"
	case wire.ServFail:
		return "SERVFAIL"
	case wire.NXDomain:
		return "NXDOMAIN"
	case wire.Refused:
		return "REFUSED"
	}
	return "response code " + strconv.Itoa(int(rcode))
}
