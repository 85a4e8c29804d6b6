package dnssec

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"schoolgate/resolver/wire"
)

// work is the validation of one answer.
type work struct {
	v     *Validator
	ctx   context.Context //nolint:containedctx // work is one call, and lives no longer
	now   time.Time
	timed bool // the time is known to be right
	late  bool // a signature was taken that the time, which is not proven, speaks against
	left  budget

	strange *Fault // of a zone whose keys nobody vouches for
	steps   []Step // what was found out, when somebody wants to know
	trace   bool
}

// Step is one link of a chain of trust.
type Step struct {
	Name    string // "." for the root
	Finding string
}

func (w *work) note(name, format string, args ...any) {
	if w.trace {
		w.steps = append(w.steps, Step{text(name), fmt.Sprintf(format, args...)})
	}
}

// fetch asks upstream for what a chain of trust is made of.
func (w *work) fetch(name string, typ uint16) (*wire.Reply, error) {
	if !take(&w.left.requests) {
		return nil, errBudget
	}
	q := wire.Question{Type: typ, Class: wire.ClassIN, RD: true, EDNS: true, DO: true, CD: true}
	if _, err := q.Name.Read([]byte(name), 0); err != nil {
		return nil, fmt.Errorf("asking for %s: %w", text(name), err)
	}
	w.v.requests.Add(1)
	return w.v.Upstream(w.ctx, &q)
}

// cover finds the deepest zone that holds name, as far as it is proven, walking down from the root: signed, unsigned or
// broken. exists is false when a signed zone proves that it has nothing of that name.
func (w *work) cover(name string) (z *zone, exists bool, err error) {
	if z, err = w.rootZone(); err != nil || z.is != signed {
		return z, true, err
	}
	for n := 1; n <= labels(name); n++ {
		at := last(name, n)
		next := w.v.zones.get(at, w.now)
		if next == nil {
			if next, err = w.descend(z, at); err != nil {
				return nil, false, err
			}
			w.v.zones.put(next)
		}
		switch next.is {
		case signed:
			z, w.late = next, w.late || next.late
		case unsigned, broken:
			return next, true, nil
		case absent:
			return z, false, nil
		case continued:
		}
	}
	return z, true, nil
}

// descend finds out whether a zone begins at name, one label or more below the apex of z, which holds all in between.
func (w *work) descend(z *zone, name string) (*zone, error) {
	reply, err := w.fetch(name, wire.TypeDS)
	if err != nil {
		return nil, err
	}
	if reply.RCode != wire.NoError && reply.RCode != wire.NXDomain {
		return w.breaks(name, fault(wire.EDEIndeterminate, fmt.Sprintf("upstream has no DS of %s (%s)", text(name), code(reply.RCode)))), nil
	}
	sets := collect(reply)
	if set := sets.find(name, wire.TypeDS); set != nil {
		return w.delegated(z, set)
	}
	for _, set := range sets { // a name that is an alias begins no zone, nor does any below DNAME
		if set.answer && (set.typ == wire.TypeCNAME && set.name == name || set.typ == wire.TypeDNAME && below(name, set.name)) {
			if sig, f, err := w.authentic(z, set); err != nil {
				return nil, err
			} else if f == nil && !(set.typ == wire.TypeDNAME && set.expanded(sig)) {
				w.note(name, "is an alias within %s", text(z.name))
				return &zone{name: name, is: continued, until: keep(w.now, set.lasts(sig, w.now))}, nil
			}
		}
	}
	d, err := w.denial(z, sets)
	if err != nil {
		return nil, err
	}
	found, f, err := d.noData(name, wire.TypeDS)
	if err == nil && f != nil && reply.RCode == wire.NXDomain {
		var nx *Fault
		if found, nx, err = d.noName(name); nx == nil {
			f = nil
		}
	}
	if err != nil {
		return nil, err
	}
	if f != nil {
		return w.breaks(name, fault(f.Code, "whether "+text(name)+" is signed is not proven: "+f.Why)), nil
	}
	out := &zone{name: name, until: keep(w.now, d.ttl)}
	switch found {
	case isDelegation:
		out.is, out.fault = unsigned, fault(0, text(z.name)+" proves that "+text(name)+" is not signed")
		w.note(name, "%s proves that it is delegated without DS: not signed", text(z.name))
	case isOptedOut:
		out.is, out.fault = unsigned, fault(0, text(z.name)+" opts out of proving whether "+text(name)+" is signed")
		w.note(name, "%s leaves it out of its proofs (opt-out, or too many iterations): not signed", text(z.name))
	case isNoName:
		out.is = absent
		w.note(name, "%s proves that there is no such name", text(z.name))
	case isNoData, isNothing: // the latter comes with a fault
		out.is = continued
		w.note(name, "belongs to %s", text(z.name))
	}
	return out, nil
}

// breaks remembers for a while that a zone cannot be proven.
func (w *work) breaks(name string, f *Fault) *zone {
	w.note(name, "%s", f.Why)
	return &zone{name: name, is: broken, fault: f, until: w.now.Add(faultKept)}
}

// delegated proves the keys of the zone that a DS set of its parent z speaks of.
func (w *work) delegated(z *zone, set *rrset) (*zone, error) {
	sig, f, err := w.authentic(z, set)
	if err != nil {
		return nil, err
	}
	if f == nil && set.expanded(sig) {
		f = fault(wire.EDEBogus, "made from a wildcard")
	}
	if f != nil {
		return w.breaks(set.name, fault(f.Code, "DS of "+text(set.name)+": "+f.Why)), nil
	}
	var all []ds
	for _, data := range set.data[:min(len(set.data), maxDS)] {
		if d, ok := readDS(data); ok {
			all = append(all, d)
		}
	}
	ttl := set.lasts(sig, w.now)
	usable := usableDS(all)
	if len(usable) == 0 {
		w.note(set.name, "is signed with algorithms that are not supported: not signed")
		return &zone{
			name: set.name, is: unsigned, until: keep(w.now, ttl),
			fault: fault(0, text(set.name)+" is signed with algorithms that are not supported"),
		}, nil
	}
	return w.keys(set.name, usable, ttl)
}

// keys fetches the keys of a zone and proves them by DS records.
func (w *work) keys(name string, by []ds, ttl uint32) (*zone, error) {
	reply, err := w.fetch(name, wire.TypeDNSKEY)
	if err != nil {
		return nil, err
	}
	set := collect(reply).find(name, wire.TypeDNSKEY)
	if set == nil {
		return w.breaks(name, fault(wire.EDENoDNSKEY, "upstream has no keys of "+text(name)+" ("+code(reply.RCode)+")")), nil
	}
	z := &zone{name: name, is: signed}
	var trusted []*key                // by DS
	unusable := make(map[string]bool) // the digests of DS, and whether their key cannot be used
	for _, data := range set.data[:min(len(set.data), maxKeys)] {
		k, ok := readKey(data)
		if !ok || !k.signsZones() {
			continue
		}
		named := false
		for _, d := range by {
			if d.names(name, k) {
				named = true
				unusable[string(d.digest)] = k.pub == nil
			}
		}
		if named && k.pub != nil {
			trusted = append(trusted, k)
		}
		if k.pub != nil {
			z.keys = append(z.keys, k)
		}
	}
	if len(trusted) == 0 {
		// Only where each DS is of such a key: the set is not proven, and who took the others out of it is to gain nothing.
		if len(unusable) > 0 && !slices.ContainsFunc(by, func(d ds) bool { return !unusable[string(d.digest)] }) {
			w.note(name, "has keys of a size that is not supported: not signed")
			return &zone{name: name, is: unsigned, fault: fault(0, text(name)+" has keys of a size that is not supported"), until: keep(w.now, ttl)}, nil
		}
		w.strange = fault(wire.EDENoDNSKEY, "none of the keys of "+text(name)+" is one that is vouched for")
		return w.breaks(name, w.strange), nil
	}
	sig, f, err := w.authentic(&zone{name: name, is: signed, keys: trusted}, set)
	if err != nil {
		return nil, err
	}
	if f != nil {
		return w.breaks(name, fault(f.Code, "keys of "+text(name)+": "+f.Why)), nil
	}
	z.until = keep(w.now, min(ttl, set.lasts(sig, w.now)))
	if w.late {
		z.late, z.until = true, w.now.Add(leastKept)
	}
	w.note(name, "has %d keys, proven by key %d", len(z.keys), sig.tag)
	return z, nil
}

// authentic looks for a signature over set that a key of z made, and that holds now.
func (w *work) authentic(z *zone, set *rrset) (*signature, *Fault, error) {
	f := fault(wire.EDENoRRSIGs, "no signature")
	for i := range set.sigs[:min(len(set.sigs), maxSignatures)] {
		sig := &set.sigs[i]
		switch {
		case sig.signer != z.name:
			f = fault(wire.EDEBogus, "signed by "+text(sig.signer)+" instead of "+text(z.name))
			continue
		case int(sig.labels) > set.labels():
			f = fault(wire.EDEBogus, "signature over another name")
			continue
		}
		late := sig.timely(w.now)
		if late != nil && w.timed {
			f = late
			continue
		}
		ok, tried, err := w.verified(z, set, sig)
		switch {
		case err != nil:
			return nil, nil, err
		case ok:
			w.late = w.late || late != nil
			return sig, nil, nil
		case tried == 0:
			f = fault(wire.EDENoDNSKEY, fmt.Sprintf("signed with key %d, which %s has not", sig.tag, text(z.name)))
		default:
			f = fault(wire.EDEBogus, "signature does not fit")
		}
	}
	return nil, f, nil
}

// verified tries the keys that sig may be of, of which several can have the same tag.
func (w *work) verified(z *zone, set *rrset, sig *signature) (ok bool, tried int, err error) {
	var data []byte
	for _, k := range z.keys {
		if k.tag != sig.tag || k.alg != sig.alg || tried == maxSameTag {
			continue
		}
		if data == nil {
			data = set.signed(sig)
		}
		tried++
		if !take(&w.left.verifies) {
			return false, tried, errBudget
		}
		w.v.verifies.Add(1)
		if w.v.computed(w.ctx, func() { ok = k.verify(data, sig.value) }) != nil {
			return false, tried, context.Cause(w.ctx)
		}
		if ok {
			return true, tried, nil
		}
		if !take(&w.left.failures) {
			return false, tried, errBudget
		}
	}
	return false, tried, nil
}

// rootZone is the root, proven by the anchors.
func (w *work) rootZone() (*zone, error) {
	if z := w.v.zones.get(root, w.now); z != nil {
		w.late = w.late || z.late
		return z, nil
	}
	z, err := w.keys(root, w.v.Anchors, uint32(mostKept/time.Second))
	if err != nil {
		return nil, err
	}
	w.v.zones.put(z)
	return z, nil
}

// isBudget says whether a validation ended for its cost.
func isBudget(err error) bool { return errors.Is(err, errBudget) }
