package wire

import (
	"encoding/binary"

	"schoolgate/blocklist/domain"
)

// layout is where names stand in the data of a record.
type layout struct {
	head     int  // bytes before the names
	names    int  // how many there are
	tail     int  // bytes after them; -1 for any number
	compress bool // the names may be compressed (RFC 3597 section 4)
}

// layoutOf knows the types whose names somebody may compress: those of RFC 1035, who may, and those of which RFC 3597
// section 4 says that they are to be read so, or that have a name at all. Of others the data is a row of bytes.
func layoutOf(typ uint16) layout {
	switch typ {
	case TypeA:
		return layout{tail: 4}
	case TypeAAAA:
		return layout{tail: 16}
	case TypeNS, TypeCNAME, TypePTR, typeMD, typeMF, typeMB, typeMG, typeMR:
		return layout{names: 1, compress: true}
	case TypeSOA:
		return layout{names: 2, tail: 20, compress: true}
	case typeMINFO:
		return layout{names: 2, compress: true}
	case typeMX:
		return layout{head: 2, names: 1, compress: true}
	case typeAFSDB, typeRT, typeKX:
		return layout{head: 2, names: 1}
	case typePX:
		return layout{head: 2, names: 2}
	case typeRP:
		return layout{names: 2}
	case typeSRV:
		return layout{head: 6, names: 1}
	case typeNAPTR:
		return layout{head: 4, names: 1}
	case TypeDNAME:
		return layout{names: 1}
	case TypeSVCB, TypeHTTPS:
		return layout{head: 2, names: 1, tail: -1}
	case typeRRSIG:
		return layout{head: 18, names: 1, tail: -1}
	case typeNSEC, typeNXT:
		return layout{names: 1, tail: -1}
	}
	return layout{tail: -1}
}

// name appends a whole name, as a pointer from where one that ends alike was written. Where names begin is remembered by
// a hash, in one place each, so that a message made to be slow costs no more than another.
func (w *rewriter) name(name []byte, compress bool) {
	if !compress {
		w.out = append(w.out, name...)
		return
	}
	var starts [domain.MaxLabels]uint8
	labels := 0
	for at := 0; name[at] != 0; at += 1 + int(name[at]) {
		starts[labels] = uint8(at)
		labels++
	}
	var slots [domain.MaxLabels]uint8
	hash, end := uint32(0), len(name)-1
	for i := labels - 1; i >= 0; i-- {
		for _, c := range name[starts[i]:end] {
			hash = (hash ^ uint32(domain.Lower(c))) * 16777619
		}
		slots[i], end = uint8(hash>>16)%uint8(len(w.seen)), int(starts[i])
	}
	base, i := len(w.out), 0
	for ; i < labels; i++ {
		at := int(starts[i])
		if to := w.seen[slots[i]]; to != 0 && w.same(int(to), name[at:]) {
			w.out = append(w.out, name[:at]...)
			w.out = binary.BigEndian.AppendUint16(w.out, 0xc000|to)
			break
		}
	}
	if i == labels {
		w.out = append(w.out, name...)
	}
	for k := range i {
		if at := base + int(starts[k]); w.seen[slots[k]] == 0 && at < 0x4000 {
			w.seen[slots[k]] = uint16(at)
		}
	}
}

// same says whether the name that was written at off is name.
func (w *rewriter) same(off int, name []byte) bool {
	for {
		l := w.out[off]
		if l >= 0xc0 {
			off = int(binary.BigEndian.Uint16(w.out[off:]) & 0x3fff)
			continue
		}
		if l != name[0] || !sameName(w.out[off+1:off+1+int(l)], name[1:1+int(l)]) {
			return false
		}
		if l == 0 {
			return true
		}
		off += 1 + int(l)
		name = name[1+int(l):]
	}
}

// sameName compares without the case of ASCII letters (RFC 4343).
func sameName(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if domain.Lower(a[i]) != domain.Lower(b[i]) {
			return false
		}
	}
	return true
}
