package blocklist

import (
	"encoding/binary"
	"math"
)

// The radix is written in pre-order and cut into pages of one size. A page is
//
//	ghosts, base: one byte each
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
// shared of all records but the first. Where the ghosts and one name overrun a page, they stand elsewhere, and the page
// only says where: far, then offset and length as 32-bit numbers.
const (
	pageSize  = 192
	pageHead  = 2
	far       = 0xff // in place of the count of ghosts, of which there are at most 127
	moreTuple = 0x80
	maxShared = 7
	maxLength = 15
)

// record is one edge before it is written.
type record struct {
	shared     int
	tuple      int
	start, end int // of the coded edge in pager.coded
}

// pager cuts a stream of ascending keys into pages.
type pager struct {
	symbols *symbols
	emit    func(page []byte) error

	records []record
	coded   []byte
	ghosts  int
	base    int
	size    int
	last    []byte // key of the last record
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
		if p.append(key, tuple); p.size <= pageSize {
			return false, nil
		}
		p.records, p.base = p.records[:len(p.records)-1], base
		if err := p.flush(); err != nil {
			return false, err
		}
	}
	for _, g := range above {
		p.append(key[:g.size], g.tuple)
	}
	p.ghosts = len(above)
	p.append(key, tuple)
	if p.size > pageSize {
		return true, p.flush()
	}
	return true, nil
}

// append adds a record and reckons base and size anew.
func (p *pager) append(key []byte, tuple int) {
	shared := sharedPrefix(p.last, key)
	start := len(p.coded)
	p.coded = p.symbols.encode(p.coded, key[shared:])
	p.records = append(p.records, record{shared, tuple, start, len(p.coded)})
	p.last = append(p.last[:0], key...)

	n := len(p.records)
	if n == 1 {
		p.base, p.size = math.MaxUint8, pageHead
	} else if shared < p.base {
		p.base, p.size = shared, pageHead
		for i := range n - 1 {
			p.size += p.cost(i)
		}
	}
	p.size += p.cost(n - 1)
}

// fields are the numbers of record i as written.
func (p *pager) fields(i int) (shared, length int, newTuple bool) {
	r := p.records[i]
	if i > 0 {
		shared = r.shared - p.base
	}
	return shared, r.end - r.start, i == 0 || r.tuple != p.records[i-1].tuple
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
	for i, r := range p.records {
		shared, length, newTuple := p.fields(i)
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
	p.records, p.coded, p.last, p.ghosts = p.records[:0], p.coded[:0], p.last[:0], 0
	return p.emit(b)
}

// pageAt is page i, wherever it stands.
func (s *Set) pageAt(i int) []byte {
	p := s.pages[i*pageSize:][:pageSize]
	if p[0] == far {
		at, n := binary.LittleEndian.Uint32(p[1:]), binary.LittleEndian.Uint32(p[5:])
		return s.beyond[at:][:n]
	}
	return p
}

// cursor reads the records of one page, whole keys and all. Lookup has a faster way.
type cursor struct {
	symbols *symbols
	page    []byte
	at      int
	ghosts  int    // records to come that are ghosts
	key     []byte // of the record last read
	tuple   int
	ghost   bool
}

// open puts the cursor before the first record of page i.
func (c *cursor) open(s *Set, i int) {
	c.symbols, c.page, c.at = s.symbols, s.pageAt(i), pageHead
	c.ghosts, c.key = int(c.page[0]), c.key[:0]
}

// next reads a record; false at the end of the page.
func (c *cursor) next() bool {
	if c.at >= len(c.page) || c.page[c.at] == 0 {
		return false
	}
	e := edgeAt(c.page, c.at)
	if e.tuple >= 0 {
		c.tuple = e.tuple
	}
	c.key = c.symbols.decode(c.key[:e.shared], c.page[e.start:e.end])
	c.at = e.end
	c.ghost = c.ghosts > 0
	if c.ghost {
		c.ghosts--
	}
	return true
}

// edge is a record as read.
type edge struct {
	shared     int
	tuple      int // -1 for that of the record before
	start, end int // of the coded bytes in the page
}

// edgeAt reads the record at page[i:].
func edgeAt(page []byte, i int) edge {
	head := int(page[i])
	e := edge{shared: head >> 4 & maxShared, tuple: -1}
	length := head & maxLength
	var more int
	if i > pageHead {
		e.shared += int(page[1])
	}
	i++
	if head>>4&maxShared == maxShared {
		more, i = varint(page, i)
		e.shared += more
	}
	if length == maxLength {
		more, i = varint(page, i)
		length += more
	}
	if head&moreTuple != 0 {
		e.tuple, i = varint(page, i)
	}
	e.start, e.end = i, i+length
	return e
}

// varint reads a number at b[i:] and says where it ends. Most are one byte.
func varint(b []byte, i int) (v, end int) {
	if c := b[i]; c < 0x80 {
		return int(c), i + 1
	}
	return longVarint(b, i)
}

//go:noinline
func longVarint(b []byte, i int) (v, end int) {
	long, n := binary.Uvarint(b[i:])
	return int(long), i + max(n, 1)
}
