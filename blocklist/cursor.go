package blocklist

import "encoding/binary"

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
