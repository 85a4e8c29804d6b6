package dnssec

import (
	"fmt"

	"schoolgate/resolver/wire"
)

// judgement is the verdict on one reply, and what of the reply it rests on.
type judgement struct {
	Verdict
	rcode uint16         // as proven
	kept  map[int]uint32 // the records that are proven, and for how many seconds at most each may be kept
}

// keep notes a set that sig proves.
func (j *judgement) keep(set *rrset, sig *signature, w *work) {
	ttl := set.lasts(sig, w.now)
	for _, i := range set.index {
		j.kept[i] = ttl
	}
	for i := range set.sigs {
		j.kept[set.sigs[i].index] = ttl
	}
}

// judge validates a reply to name and typ: each alias that leads on, and what is at the end, or the proof that nothing is there.
func (w *work) judge(name string, typ uint16, reply *wire.Reply) (*judgement, error) {
	sets := collect(reply)
	j := &judgement{Verdict: secure(), rcode: reply.RCode, kept: map[int]uint32{}}
	at := name
	for hops := 0; ; hops++ {
		if set := sets.find(at, typ); set != nil {
			err := w.present(j, sets, set)
			if j.Status == Secure {
				j.rcode = wire.NoError // which is not signed, but follows
			}
			return j, err
		}
		target, err := w.alias(j, sets, at)
		switch {
		case err != nil:
			return nil, err
		case target == "":
			return j, w.missing(j, sets, at, typ)
		case hops == maxHops:
			return nil, errBudget
		}
		if w.note(at, "leads to %s: %s", text(target), j.Status); j.Status == Bogus {
			return j, nil
		}
		at = target
	}
}

// alias judges the record that leads from a name to another, "" for none: CNAME, or DNAME with the CNAME made from it.
func (w *work) alias(j *judgement, sets sections, at string) (target string, err error) {
	cname := sets.find(at, wire.TypeCNAME)
	if cname == nil || len(cname.sigs) == 0 {
		for _, set := range sets {
			if set.answer && set.typ == wire.TypeDNAME && below(at, set.name) {
				return w.redirected(j, sets, set, cname, at)
			}
		}
	}
	if cname == nil {
		return "", nil
	}
	target, rest, ok := readName(cname.data[0])
	if !ok || len(rest) > 0 || len(cname.data) > 1 {
		j.Verdict = bogus(fault(wire.EDEBogus, "more than one alias of "+text(at)))
		return target, nil
	}
	return target, w.present(j, sets, cname)
}

// redirected judges a DNAME above a name. The CNAME made from it is not signed, and must be what it says (RFC 6672 section
// 5.3.1); a DNAME made from a wildcard is not to be trusted.
func (w *work) redirected(j *judgement, sets sections, set, cname *rrset, at string) (target string, err error) {
	to, rest, ok := readName(set.data[0])
	if !ok || len(rest) > 0 || len(set.data) > 1 {
		j.Verdict = bogus(fault(wire.EDEBogus, "DNAME of "+text(set.name)+" is broken"))
		return to, nil
	}
	target = at[:len(at)-len(set.name)] + to
	if len(target) > 255 {
		return "", nil
	}
	if cname != nil {
		if made, _, ok := readName(cname.data[0]); !ok || made != target || len(cname.data) > 1 {
			j.Verdict = bogus(fault(wire.EDEBogus, "alias of "+text(at)+" is not what DNAME says"))
			return target, nil
		}
	}
	before := j.Verdict
	j.Verdict = secure()
	err = w.present(j, sets, set)
	ttl, kept := j.kept[set.index[0]]
	if cname != nil && kept {
		for _, i := range cname.index {
			j.kept[i] = ttl
		}
	}
	j.Verdict = before.worst(j.Verdict)
	return target, err
}

// exempt is why a name that must be signed need not be.
const exempt = "exempt by configuration"

// present judges a set of the answer.
func (w *work) present(j *judgement, sets sections, set *rrset) error {
	v, err := w.set(j, sets, set)
	if v, err = w.excused(v, home(set.name, set.typ), err); err != nil {
		return err
	}
	w.note(set.name, "%s: %s%s", typeName(set.typ), v.Status, because(v.Why))
	j.Verdict = j.worst(v)
	return nil
}

func (w *work) set(j *judgement, sets sections, set *rrset) (Verdict, error) {
	if w.v.exempted(set.name, w.now) {
		return insecure(exempt), nil
	}
	z, v, err := w.signer(set)
	if err != nil || z == nil {
		return v, err
	}
	sig, f, err := w.authentic(z, set)
	if err != nil {
		return v, err
	}
	if f != nil {
		return bogus(fault(f.Code, text(set.name)+" "+typeName(set.typ)+": "+f.Why)), nil
	}
	if !set.expanded(sig) {
		j.keep(set, sig, w)
		return secure(), nil
	}
	if set.typ == wire.TypeDNAME {
		return bogus(fault(wire.EDEBogus, "DNAME made from a wildcard")), nil
	}
	d, err := w.denial(z, sets)
	if err != nil {
		return v, err
	}
	found, f, err := d.noCloser(set.name, last(set.name, int(sig.labels)))
	switch {
	case err != nil:
		return v, err
	case f != nil:
		return bogus(f), nil
	}
	j.keep(set, sig, w)
	w.keepDenial(j, d)
	if found == isOptedOut {
		return insecure(text(z.name) + " opts out of proving what is not there"), nil
	}
	return secure(), nil
}

// signer finds the signed zone whose keys must have signed a set, by the signature or, without one, by where the set stands.
// The zone is nil when the verdict is clear without looking at signatures.
func (w *work) signer(set *rrset) (*zone, Verdict, error) {
	for i := range set.sigs[:min(len(set.sigs), maxSignatures)] {
		s := set.sigs[i].signer
		if within(set.name, s) && !(set.typ == wire.TypeDS && s == set.name && s != root) {
			return w.zoneOf(s)
		}
	}
	v, err := w.unsigned(home(set.name, set.typ), fault(wire.EDENoRRSIGs, text(set.name)+" "+typeName(set.typ)+" is not signed and must be"))
	return nil, v, err
}

// home is the name whose zone a record belongs to: DS stands in the zone above.
func home(name string, typ uint16) string {
	if typ == wire.TypeDS {
		return parent(name)
	}
	return name
}

// zoneOf finds the signed zone that begins at name. The zone is nil when it is not signed, or none.
func (w *work) zoneOf(name string) (*zone, Verdict, error) {
	z, _, err := w.cover(name)
	switch {
	case err != nil:
		return nil, Verdict{}, err
	case z.is == unsigned:
		return nil, insecure(z.fault.Why), nil
	case z.is == broken:
		return nil, bogus(z.fault), nil
	case z.name != name:
		return nil, bogus(fault(wire.EDEBogus, "signed by "+text(name)+", which is no zone")), nil
	}
	return z, secure(), nil
}

// unsigned judges what has no signature: insecure where it need not have one, else bogus for f.
func (w *work) unsigned(name string, f *Fault) (Verdict, error) {
	z, exists, err := w.cover(name)
	switch {
	case err != nil:
		return Verdict{}, err
	case z.is == unsigned:
		return insecure(z.fault.Why), nil
	case z.is == broken:
		return bogus(z.fault), nil
	case !exists:
		return bogus(fault(f.Code, f.Why+"; "+text(z.name)+" proves that there is no such name")), nil
	}
	return bogus(f), nil
}

// excused looks whether what seems bogus stands in a zone that is not signed: then it proves nothing, and need not.
func (w *work) excused(v Verdict, name string, err error) (Verdict, error) {
	if err != nil || v.Status != Bogus {
		return v, err
	}
	z, _, err := w.cover(name)
	if err == nil && z.is == unsigned {
		return insecure(z.fault.Why), nil
	}
	return v, err
}

// missing judges the proof that there is nothing of a type at name, or no such name.
func (w *work) missing(j *judgement, sets sections, name string, typ uint16) error {
	v, err := w.nothing(j, sets, name, typ)
	if v, err = w.excused(v, home(name, typ), err); err != nil {
		return err
	}
	w.note(name, "%s: %s%s", missingWords(j.rcode, typ), v.Status, because(v.Why))
	j.Verdict = j.worst(v)
	return nil
}

func missingWords(rcode, typ uint16) string {
	if rcode == wire.NXDomain {
		return "no such name"
	}
	return "no " + typeName(typ)
}

func (w *work) nothing(j *judgement, sets sections, name string, typ uint16) (Verdict, error) {
	if w.v.exempted(name, w.now) {
		return insecure(exempt), nil
	}
	signer, some := "", false
	for _, set := range sets {
		if set.answer || set.typ != wire.TypeSOA && set.typ != wire.TypeNSEC && set.typ != wire.TypeNSEC3 || len(set.sigs) == 0 {
			continue
		}
		some = true
		if s := set.sigs[0].signer; within(home(name, typ), s) {
			signer = s
			break
		}
	}
	if signer == "" {
		f := fault(wire.EDENoRRSIGs, "that there is no "+text(name)+" "+typeName(typ)+" is not proven, and must be")
		if some {
			f.Code = wire.EDENoNSEC
		}
		return w.unsigned(home(name, typ), f)
	}
	z, v, err := w.zoneOf(signer)
	if err != nil || z == nil {
		return v, err
	}
	for _, set := range sets {
		if set.answer || set.typ != wire.TypeSOA {
			continue
		}
		sig, f, err := w.authentic(z, set)
		switch {
		case err != nil:
			return v, err
		case f == nil && set.expanded(sig):
			f = fault(wire.EDEBogus, "made from a wildcard")
		case f == nil && set.name != z.name:
			f = fault(wire.EDEBogus, "of another zone")
		}
		if f != nil {
			return bogus(fault(f.Code, text(set.name)+" SOA: "+f.Why)), nil
		}
		j.keep(set, sig, w)
	}
	d, err := w.denial(z, sets)
	if err != nil {
		return v, err
	}
	found, f, err := w.proven(j, d, name, typ)
	switch {
	case err != nil:
		return v, err
	case f != nil:
		return bogus(f), nil
	}
	w.keepDenial(j, d)
	if found == isOptedOut {
		return insecure(text(z.name) + " opts out of proving what is not there"), nil
	}
	return secure(), nil
}

// proven looks for the proof that fits the response code. Some servers answer NXDOMAIN for a name that has only names below it;
// when an NSEC says so, the answer is put right, as Unbound does.
func (w *work) proven(j *judgement, d *denial, name string, typ uint16) (finding, *Fault, error) {
	if j.rcode != wire.NXDomain {
		return d.noData(name, typ)
	}
	found, f, err := d.noName(name)
	if err != nil || f == nil || d.hash != nil {
		return found, f, err
	}
	if found, other, err := d.noData(name, typ); err != nil || other == nil {
		j.rcode = wire.NoError
		return found, other, err
	}
	return isNothing, f, nil
}

// keepDenial notes the records of a proof.
func (w *work) keepDenial(j *judgement, d *denial) {
	for _, set := range d.sets {
		for _, i := range set.index {
			j.kept[i] = d.ttl
		}
		for i := range set.sigs {
			j.kept[set.sigs[i].index] = d.ttl
		}
	}
}

func because(why string) string {
	if why == "" {
		return ""
	}
	return ", " + why
}

// typeName names a type for people.
func typeName(typ uint16) string {
	switch typ {
	case wire.TypeA:
		return "A"
	case wire.TypeNS:
		return "NS"
	case wire.TypeCNAME:
		return "CNAME"
	case wire.TypeSOA:
		return "SOA"
	case wire.TypePTR:
		return "PTR"
	case wire.TypeTXT:
		return "TXT"
	case wire.TypeAAAA:
		return "AAAA"
	case wire.TypeDNAME:
		return "DNAME"
	case wire.TypeDS:
		return "DS"
	case wire.TypeDNSKEY:
		return "DNSKEY"
	case wire.TypeHTTPS:
		return "HTTPS"
	}
	return fmt.Sprintf("TYPE%d", typ)
}
