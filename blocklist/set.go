package blocklist

import (
	"bytes"
	"encoding/binary"
	"io"
	"iter"
	"math/bits"
	"runtime"
	"slices"

	"schoolgate/blocklist/domain"
)

// Set is millions of names and what up to MaxLists lists say of each: a radix over reversed labels in one flat piece of
// memory that looks as its file does. It never changes, and all methods may be called at the same time from anywhere.
//
// A rule that adds nothing to the rules of the same list above its name (www.example.com below example.com) is left
// out, so Why and All give the rules that matter, and Names counts what is kept.
type Set struct {
	data  []byte // the whole file; all below points into it
	lists []Info
	names int

	pages, beyond []byte
	levels        [][]byte // of the index, the codes of the pages first
	filter        []byte
	tuples        []byte
	tops          tops
	symbols       *symbols
}

// Empty is a Set without lists or names.
func Empty() *Set {
	s, err := NewBuilder(nil, "").Build()
	if err != nil {
		panic(err) // nothing can fail without lists, names and files
	}
	return s
}

// Lists describes the lists, in the order of the bits of a Mask.
func (s *Set) Lists() []Info { return slices.Clone(s.lists) }

// Names counts the names that rules stand at.
func (s *Set) Names() int { return s.names }

// Size is all that the set takes, in memory as in a file, in bytes.
func (s *Set) Size() int64 { return int64(len(s.data)) }

// WriteTo writes the file form, which Open reads.
func (s *Set) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(s.data)
	runtime.KeepAlive(s)
	return int64(n), err
}

// Lookup is the lists that hold w: by a rule at w itself or at a name above it, if no exception of the same list speaks
// of w. It allocates nothing.
func (s *Set) Lookup(w *domain.Wire) Mask {
	if s.names == 0 {
		return Mask{}
	}
	depth, top := s.deepest(w)
	if depth == 0 {
		return Mask{}
	}
	var buf [domain.MaxWire + maxSymbol]byte
	if n := plainKey(&buf, w, depth); n > 0 {
		return s.find(buf[:], n, top, depth == w.Labels())
	}
	return s.lookupOdd(w, depth, top)
}

// plainKey puts the key of the last depth labels of w into buf and returns its size, 0 if there are bytes that keys write
// as two.
func plainKey(buf *[domain.MaxWire + maxSymbol]byte, w *domain.Wire, depth int) int {
	n, odd := 0, false
	last := w.Labels() - 1
	for i := last; i > last-depth; i-- {
		if i < last {
			buf[n] = border
			n++
		}
		for _, c := range w.Label(i) {
			odd = odd || c <= escape
			buf[n] = c
			n++
		}
	}
	if odd {
		return 0
	}
	return n
}

// lookupOdd is Lookup for names with bytes that keys write as two. They get more room, and clearing it takes time.
//
//go:noinline
func (s *Set) lookupOdd(w *domain.Wire, depth int, top uint64) Mask {
	var buf [maxKey + maxSymbol]byte
	key := appendWire(buf[:0], w, depth)
	return s.find(buf[:], len(key), top, depth == w.Labels())
}

// find is what the lists say of the key in buf[:n], given the hash of its first label.
func (s *Set) find(buf []byte, n int, top uint64, at bool) Mask {
	page := s.seek(buf, n, top)
	if page < 0 {
		return Mask{}
	}
	m := s.scan(s.pageAt(page), buf, n, at)
	runtime.KeepAlive(s)
	return m
}

// deepest says how many labels, counted from the right, the longest name at or above w has that rules may stand at, and
// gives the hash of the first.
func (s *Set) deepest(w *domain.Wire) (depth int, top uint64) {
	h := uint64(0)
	n := w.Labels()
	for i := n - 1; i >= 0; i-- {
		h = hashLabel(h, w.Label(i))
		if i == n-1 {
			top = h
		}
		if mayHold(s.filter, filterHash(h)) {
			depth = n - i
		}
	}
	return depth, top
}

// seek is the page that the key in buf[:n] falls into, given the hash of its first label; -1 for none.
func (s *Set) seek(buf []byte, n int, top uint64) int {
	key := buf[:n]
	size := bytes.IndexByte(key, border)
	if size < 0 {
		size = n
	}
	ordinal := s.tops.find(top, key[:size])
	if ordinal < 0 {
		return -1
	}
	return s.pageOf(pageCode(ordinal, key, size), buf, n)
}

// scan reads the page that the key in buf[:n] falls into, and joins what its records say of the key. at says that the key
// is the whole name asked for, not a name above it. buf has room for a symbol more than the key.
//
// Of each record only what it shares with the one before is looked at, unless the key left the path there: same is how
// much of the key lies on the path so far.
func (s *Set) scan(page, buf []byte, n int, at bool) Mask {
	var block, except Mask
	same, tuple, base := 0, 0, 0
	for i := pageHead; i < len(page) && page[i] != 0; base = int(page[1]) {
		head := page[i]
		i++
		shared, length := int(head>>4)&maxShared, int(head&maxLength)
		if shared == maxShared {
			v, k := varint(page, i)
			shared, i = shared+v, k
		}
		if length == maxLength {
			v, k := varint(page, i)
			length, i = length+v, k
		}
		if head&moreTuple != 0 {
			tuple, i = varint(page, i)
		}
		edge := page[i:][:length]
		i += length
		if shared += base; shared > same {
			continue // as the record before, it comes before the key
		}
		if shared < same {
			break // it comes after the key, and so do all that follow
		}
		var end int
		if same, end = s.symbols.follow(edge, buf, same, n); end > 0 {
			break
		} else if end < 0 {
			continue
		}
		t := tupleAt(s.tuples, tuple)
		if same == n {
			if at {
				block, except = block.Or(t.block.at), except.Or(t.except.at)
			} else {
				block, except = block.Or(t.block.below), except.Or(t.except.below)
			}
			break
		}
		if buf[same] == border {
			block, except = block.Or(t.block.below), except.Or(t.except.below)
		}
	}
	return block.Without(except)
}

// follow compares a coded edge with buf[same:n]: how far they go together, and where the edge stands: 0 where all of it
// is on the key's path, else whether it comes before (-1) or after (1).
func (s *symbols) follow(edge, buf []byte, same, n int) (int, int) {
	for i := 0; i < len(edge); i++ {
		word, size := s.word[edge[i]], int(s.size[edge[i]])
		if edge[i] == literal && i+1 < len(edge) {
			i++
			word, size = uint64(edge[i]), 1
		}
		diff := (binary.LittleEndian.Uint64(buf[same:]) ^ word) << (64 - 8*size)
		if diff == 0 {
			if same += size; same > n {
				return n, 1
			}
			continue
		}
		off := bits.TrailingZeros64(diff>>(64-8*size)) >> 3
		if same += off; same >= n {
			return n, 1
		}
		if byte(word>>(8*off)) > buf[same] {
			return same, 1
		}
		return same, -1
	}
	return same, 0
}

// Why is every rule that speaks of n, with the lists that hold it, exceptions too, from the root down.
func (s *Set) Why(n domain.Name) []Hit {
	key, err := appendName(nil, n)
	if err != nil || s.names == 0 {
		return nil
	}
	_, top := hashKey(key)
	page := s.seek(append(key, make([]byte, maxSymbol)...), len(key), top)
	if page < 0 {
		return nil
	}
	var hits []Hit
	var c cursor
	for c.open(s, page); c.next() && string(c.key) <= string(key); {
		at := len(c.key) == len(key)
		if string(key[:min(len(c.key), len(key))]) == string(c.key) && (at || key[len(c.key)] == border) {
			hits = tupleAt(s.tuples, c.tuple).appendHits(hits, nameOf(c.key), at, !at)
		}
	}
	runtime.KeepAlive(s)
	return hits
}

// All is every rule of the set, in the order of the radix: a name before the names below it. Of lists that hold a name
// by the same rule it makes one Hit.
func (s *Set) All() iter.Seq[Hit] {
	return func(yield func(Hit) bool) {
		defer runtime.KeepAlive(s)
		var c cursor
		var hits []Hit
		for page := range len(s.pages) / pageSize {
			for c.open(s, page); c.next(); {
				if c.ghost {
					continue
				}
				hits = tupleAt(s.tuples, c.tuple).appendHits(hits[:0], nameOf(c.key), true, true)
				for _, h := range hits {
					if !yield(h) {
						return
					}
				}
			}
		}
	}
}
