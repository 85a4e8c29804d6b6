package dnssec

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // the only hash of NSEC3
	"encoding/base32"
	"encoding/binary"
	"strings"

	"schoolgate/resolver/wire"
)

// NSEC3 (RFC 5155): denials by hashed names. A zone whose hash has more than 50 iterations is taken for unsigned, once the
// signature over the number is proven (RFC 9276 section 3.2). RFC 9276 wants none and leaves the limit open; validators came
// down from 150 to 50 after CVE-2023-50868, and hardly a zone is between.

var hashText = base32.HexEncoding.WithPadding(base32.NoPadding)

// hasher is the NSEC3 records of one reply, all with the same parameters.
type hasher struct {
	salt       []byte
	iterations uint16
	records    []hashed
	known      map[string][]byte // hashes of names
}

// hashed is one NSEC3 record.
type hashed struct {
	owner, next []byte // hashes
	optOut      bool
	types       bitmap
}

// addHashed reads a proven NSEC3 set. What is not understood is passed over (RFC 5155 section 8.1 and 8.2).
func (d *denial) addHashed(set *rrset) bool {
	const head, algorithm, optOut = 5, 1, 0x01
	b := set.data[0]
	if len(b) < head || b[0] != algorithm || b[1]&^optOut != 0 || parent(set.name) != d.zone {
		return false
	}
	iterations, n := binary.BigEndian.Uint16(b[2:]), int(b[4])
	if len(b) < head+n+1+sha1.Size || int(b[head+n]) != sha1.Size {
		return false
	}
	salt, next, types := b[head:head+n], b[head+n+1:head+n+1+sha1.Size], b[head+n+1+sha1.Size:]
	owner, err := hashText.DecodeString(strings.ToUpper(set.name[1 : 1+set.name[0]]))
	if err != nil || len(owner) != sha1.Size {
		return false
	}
	if d.hash == nil {
		d.hash = &hasher{salt: salt, iterations: iterations, known: map[string][]byte{}}
	} else if !bytes.Equal(d.hash.salt, salt) || d.hash.iterations != iterations {
		return false
	}
	d.hash.records = append(d.hash.records, hashed{owner: owner, next: next, optOut: b[1]&optOut != 0, types: bitmap(types)})
	return true
}

// of is the hash of a name (RFC 5155 section 5).
func (h *hasher) of(w *work, name string) ([]byte, error) {
	if sum, ok := h.known[name]; ok {
		return sum, nil
	}
	if !take(&w.left.hashes) {
		return nil, errBudget
	}
	sum := sha1.Sum(append([]byte(name), h.salt...)) //nolint:gosec // see above
	buf := make([]byte, 0, sha1.Size+len(h.salt))
	for range h.iterations {
		buf = append(append(buf[:0], sum[:]...), h.salt...)
		sum = sha1.Sum(buf) //nolint:gosec // see above
	}
	h.known[name] = sum[:]
	return sum[:], nil
}

// match finds the record of a name.
func (h *hasher) match(w *work, name string) (*hashed, error) {
	sum, err := h.of(w, name)
	if err != nil {
		return nil, err
	}
	for i := range h.records {
		if r := &h.records[i]; bytes.Equal(r.owner, sum) {
			return r, nil
		}
	}
	return nil, nil
}

// cover finds a record that shows that a name is not there.
func (h *hasher) cover(w *work, name string) (*hashed, error) {
	sum, err := h.of(w, name)
	if err != nil {
		return nil, err
	}
	for i := range h.records {
		r := &h.records[i]
		after, before := bytes.Compare(sum, r.owner) > 0, bytes.Compare(sum, r.next) < 0
		if bytes.Compare(r.owner, r.next) < 0 {
			if after && before {
				return r, nil
			}
		} else if (after || before) && !bytes.Equal(sum, r.owner) && !bytes.Equal(sum, r.next) { // the last one leads back to the first
			return r, nil
		}
	}
	return nil, nil
}

// closest is the proof of the closest encloser (RFC 5155 section 8.3): the longest ancestor of name that is there, and the
// record that covers the name one label longer. The record is nil when the name itself is there, or when there is no proof.
func (h *hasher) closest(w *work, zone, name string) (encloser string, next *hashed, f *Fault, err error) {
	for at, longer := name, ""; within(at, zone); longer, at = at, parent(at) {
		r, err := h.match(w, at)
		if err != nil {
			return "", nil, nil, err
		}
		if r == nil {
			if at == root {
				break
			}
			continue
		}
		if longer == "" {
			return at, nil, nil, nil
		}
		if r.types.ends() {
			return "", nil, fault(wire.EDEBogus, "proof by a zone that does not reach to "+text(name)), nil
		}
		next, err = h.cover(w, longer)
		return at, next, nil, err
	}
	return "", nil, nil, nil
}

func (h *hasher) tooSlow() bool { return h.iterations > maxIterations }

func (h *hasher) noData(d *denial, name string, typ uint16) (finding, *Fault, error) {
	if h.tooSlow() {
		return isOptedOut, nil, nil
	}
	r, err := h.match(d.w, name)
	if err != nil {
		return isNothing, nil, err
	}
	if r != nil {
		if found := r.types.lacks(name, typ); found != isNothing {
			return found, nil, nil
		}
		return isNothing, fault(wire.EDEBogus, text(name)+" is said to have what is not in the answer"), nil
	}
	encloser, next, f, err := h.closest(d.w, d.zone, name)
	switch {
	case err != nil || f != nil:
		return isNothing, f, err
	case next == nil:
		return isNothing, d.missing("no proof that " + text(name) + " has no such record"), nil
	case next.optOut: // of any type: names above unsigned delegations may be left out too (erratum 3441 of RFC 5155)
		return isOptedOut, nil, nil
	}
	if w, ok := wildcard(encloser); ok {
		if r, err = h.match(d.w, w); err != nil {
			return isNothing, nil, err
		}
		if r != nil && r.types.lacks(w, typ) == isNoData {
			return isNoData, nil, nil
		}
	}
	return isNothing, d.missing("no proof that " + text(name) + " has no such record"), nil
}

func (h *hasher) noName(d *denial, name string) (finding, *Fault, error) {
	if h.tooSlow() {
		return isOptedOut, nil, nil
	}
	encloser, next, f, err := h.closest(d.w, d.zone, name)
	if err != nil || f != nil {
		return isNothing, f, err
	}
	if next != nil {
		w, ok := wildcard(encloser)
		if !ok {
			return isNoName, nil, nil
		}
		r, err := h.cover(d.w, w)
		switch {
		case err != nil:
			return isNothing, nil, err
		case r != nil && next.optOut:
			return isOptedOut, nil, nil // RFC 5155 section 9.2
		case r != nil:
			return isNoName, nil, nil
		}
	}
	return isNothing, d.missing("no proof that there is no " + text(name)), nil
}

func (h *hasher) noCloser(d *denial, name, encloser string) (finding, *Fault, error) {
	if h.tooSlow() {
		return isOptedOut, nil, nil
	}
	r, err := h.cover(d.w, last(name, labels(encloser)+1))
	switch {
	case err != nil:
		return isNothing, nil, err
	case r == nil:
		return isNothing, d.missing("no proof that " + text(name) + " is made from a wildcard"), nil
	case r.optOut:
		return isOptedOut, nil, nil
	}
	return isNoName, nil, nil
}
