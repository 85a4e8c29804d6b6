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
	single        []byte // the filter of names of one label
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
	q := s.ask(w)
	if q.held == 0 {
		return Mask{}
	}
	var buf [domain.MaxWire + maxSymbol]byte
	size, first, odd := putKey(&buf, w)
	if odd != 0 {
		return s.lookupOdd(w, q.top)
	}
	return s.find(buf[:], size, first, q.top)
}

// LookupKey is Lookup for a name that other sets are asked about too.
func (s *Set) LookupKey(k *Key) Mask { return s.Lookup(k.wire) }

// lookupOdd is Lookup for names with bytes that keys write as two. They get more room, and clearing it takes time.
//
//go:noinline
func (s *Set) lookupOdd(w *domain.Wire, top uint64) Mask {
	var buf [maxKey + maxSymbol]byte
	key := appendWire(buf[:0], w)
	first := bytes.IndexByte(key, border)
	if first < 0 {
		first = len(key)
	}
	return s.find(buf[:], len(key), first, top)
}

// find is what the lists say of the key in buf[:n], given size and hash of its first label.
func (s *Set) find(buf []byte, n, first int, top uint64) Mask {
	page := s.seek(buf, n, first, top)
	if page < 0 {
		return Mask{}
	}
	p := s.pageAt(page)
	// Touched together, the cache lines of a page come from memory together, not one after the other as scan needs them.
	if len(p) == pageSize && p[pageHead]|p[filterLine]|p[2*filterLine] == 0 {
		return Mask{} // never: no record begins with 0
	}
	m := s.scan(p, buf, n)
	runtime.KeepAlive(s)
	return m
}

// seek is the page that the key in buf[:n] falls into, given size and hash of its first label; -1 for none.
func (s *Set) seek(buf []byte, n, first int, top uint64) int {
	ordinal := s.tops.find(top, buf[:first])
	if ordinal < 0 {
		return -1
	}
	return s.pageOf(pageCode(ordinal, buf[:n], first), buf, n)
}

// scan reads the page that the key in buf[:n] falls into, and joins what its records say of the key. buf
// has room for a symbol more than the key.
//
// Of each record only what it shares with the one before is looked at, unless the key left the path there: same is how
// much of the key lies on the path so far.
func (s *Set) scan(page, buf []byte, n int) Mask {
	var block, except Mask
	base := int(page[1])
	opening := int(page[0]) // records until the first own name has been read
	same, tuple, least := 0, 0, 0
	end := len(page)
	for i := pageHead; i < end && page[i] != 0; least = base {
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
		if shared += least; shared == same {
			var order int
			if same, order = s.symbols.follow(edge, buf, same, n); order > 0 {
				break
			}
			if order == 0 {
				t := tupleAt(s.tuples, tuple)
				if same == n {
					block, except = block.Or(t.block.at), except.Or(t.except.at)
					break
				}
				if buf[same] == border {
					block, except = block.Or(t.block.below), except.Or(t.except.below)
				}
			}
		} else if shared < same {
			break // it comes after the key, and so do all that follow
		} // else, as the record before, it comes before the key
		if opening--; opening == -1 {
			if same < base {
				break // the key leaves the path that all records share
			}
			var restart int
			if restart, end = s.restart(page, buf, base, n); restart > 0 {
				i, same = restart, base
			}
		}
	}
	return block.Without(except)
}

// restart finds the last restart of a page that does not come after the key in buf[:n], 0 if there is none, and the next,
// or the end of the page.
func (s *Set) restart(page, buf []byte, base, n int) (at, end int) {
	for _, next := range page[restartAt:][:restarts] {
		if next == 0 {
			break
		}
		e := edgeAt(page, int(next))
		if _, order := s.symbols.follow(page[e.start:e.end], buf, base, n); order > 0 {
			return at, int(next)
		}
		at = int(next)
	}
	return at, len(page)
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
	first, _, _ := bytes.Cut(key, []byte{border})
	page := s.seek(append(key, make([]byte, maxSymbol)...), len(key), len(first), hashKey(key).top)
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
