package blocklist

import (
	"encoding/binary"
	"math"
)

// The radix is written in pre-order and cut into pages of one size. A page is
//
//	ghosts, base: one byte each
//	restarts: where up to three records begin, one byte each, 0 for none
//	records, in the order of their keys, then a zero byte unless the page is full
//
// and a record, one edge of the radix, is
//
//	head: 1 bit "a tuple follows" (else it is that of the record before) | 3 bits shared | 4 bits length
//	shared: how many bytes of the path to the record before stay, less base; if 7, a varint with the rest follows
//	length: bytes of the coded edge, at least 1; if 15, a varint with the rest follows
//	tuple: a varint
//	edge: all bytes, over as many labels as there are, from where it leaves the path before, coded by symbols
//
// The varints stand in that order. The first records of a page are its ghosts: the names above its first own name that
// earlier pages hold, repeated, so that one page tells everything about every name that falls into it. base is the least
// shared of all records but the first: what all keys of the page share. Where the ghosts and one name overrun a page,
// they stand elsewhere, and the page only says where: far, then offset and length as 32-bit numbers.
//
// A restart is a record that tells its tuple, and all of its edge from base on, so that reading can begin with it, and
// all names above it that stand in the page are ghosts. A lookup reads the ghosts and the first own name, goes to the
// last restart that does not come after its key, and reads no further than to the next.
const (
	pageSize  = 192
	restarts  = 3
	restartAt = 2 // where they stand
	pageHead  = restartAt + restarts
	far       = 0xff // in place of the count of ghosts, of which there are at most 127
	moreTuple = 0x80
	maxShared = 7
	maxLength = 15

	stride   = (pageSize - pageHead) / (restarts + 1) // restarts are at least so far apart
	lastCall = pageSize - stride/2                    // a restart further on is not worth its bytes
)

// record is one edge before it is written.
type record struct {
	key        []byte // whole
	shared     int
	tuple      int
	start, end int  // of the coded edge in pager.coded
	free       bool // all names above it that stand in the page are ghosts
	restart    bool // the edge begins at base
}

// pager cuts a stream of ascending keys into pages.
type pager struct {
	symbols *symbols
	emit    func(page []byte) error

	records []record
	keys    []byte // of the records
	coded   []byte
	ghosts  int
	base    int
	size    int
	next    int // where the next restart may stand
	left    int // restarts that may yet come
	page    []byte
	beyond  []byte // pages that overran
}

// ghost is a name above others: the length of its key within theirs, and its tuple.
type ghost struct {
	size  int
	tuple int
}

// add takes the next key, below all of above, and reports whether it opens a new page.
func (p *pager) add(key []byte, tuple int, above []ghost) (opens bool, err error) {
	if len(p.records) > 0 {
		base := p.base
		if p.append(key, tuple, above); p.size <= pageSize {
			return false, nil
		}
		p.records = p.records[:len(p.records)-1]
		if p.base != base {
			p.layOut(base)
		}
		if err := p.flush(); err != nil {
			return false, err
		}
	}
	p.ghosts = len(above)
	for i, g := range above {
		p.append(key[:g.size], g.tuple, above[:i])
	}
	p.append(key, tuple, above)
	if p.size > pageSize {
		return true, p.flush()
	}
	return true, nil
}

// append adds a record and reckons base and size anew.
func (p *pager) append(key []byte, tuple int, above []ghost) {
	n := len(p.records)
	r := record{tuple: tuple}
	if n > 0 {
		r.shared = sharedPrefix(p.records[n-1].key, key)
	}
	if n > p.ghosts {
		// What is above the first own name too is a ghost.
		r.free = len(above) == 0 || sharedPrefix(p.records[p.ghosts].key, key) > above[len(above)-1].size
	}
	at := len(p.keys)
	p.keys = append(p.keys, key...)
	r.key = p.keys[at:]
	p.records = append(p.records, r)
	switch {
	case n == 0:
		p.layOut(math.MaxUint8)
	case r.shared < p.base:
		p.layOut(r.shared)
	default:
		p.place(n)
	}
}

// layOut places all records anew, with this base.
func (p *pager) layOut(base int) {
	p.base, p.size, p.coded = base, pageHead, p.coded[:0]
	p.next, p.left = pageHead+stride, restarts
	for i := range p.records {
		p.place(i)
	}
}

// place codes record i behind those before it.
func (p *pager) place(i int) {
	r := &p.records[i]
	from := r.shared
	if r.restart = r.free && p.left > 0 && p.size >= p.next && p.size <= lastCall; r.restart {
		from = p.base
		p.next = p.size + stride
		p.left--
	}
	r.start = len(p.coded)
	p.coded = p.symbols.encode(p.coded, r.key[from:])
	r.end = len(p.coded)
	p.size += p.cost(i)
}

// fields are the numbers of record i as written.
func (p *pager) fields(i int) (shared, length int, newTuple bool) {
	r := &p.records[i]
	if i > 0 && !r.restart {
		shared = r.shared - p.base
	}
	return shared, r.end - r.start, i == 0 || r.restart || r.tuple != p.records[i-1].tuple
}

// cost is the size of record i as written.
func (p *pager) cost(i int) int {
	shared, length, newTuple := p.fields(i)
	n := 1 + length
	if shared >= maxShared {
		n += varintSize(shared - maxShared)
	}
	if length >= maxLength {
		n += varintSize(length - maxLength)
	}
	if newTuple {
		n += varintSize(p.records[i].tuple)
	}
	return n
}

func varintSize(v int) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

// flush writes the records as a page and forgets them.
func (p *pager) flush() error {
	if len(p.records) == 0 {
		return nil
	}
	b := append(p.page[:0], byte(p.ghosts), byte(p.base))
	b = append(b, make([]byte, restarts)...)
	restart := restartAt
	for i := range p.records {
		r := &p.records[i]
		shared, length, newTuple := p.fields(i)
		if r.restart {
			b[restart] = byte(len(b))
			restart++
		}
		head := min(shared, maxShared)<<4 | min(length, maxLength)
		if newTuple {
			head |= moreTuple
		}
		b = append(b, byte(head))
		if shared >= maxShared {
			b = binary.AppendUvarint(b, uint64(shared-maxShared))
		}
		if length >= maxLength {
			b = binary.AppendUvarint(b, uint64(length-maxLength))
		}
		if newTuple {
			b = binary.AppendUvarint(b, uint64(r.tuple))
		}
		b = append(b, p.coded[r.start:r.end]...)
	}
	if len(b) > pageSize {
		at := len(p.beyond)
		p.beyond = append(p.beyond, b...)
		b = append(b[:0], far)
		b = binary.LittleEndian.AppendUint32(b, uint32(at))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(p.beyond)-at))
	}
	for len(b) < pageSize {
		b = append(b, 0)
	}
	p.page = b
	p.records, p.keys, p.coded, p.ghosts = p.records[:0], p.keys[:0], p.coded[:0], 0
	return p.emit(b)
}
