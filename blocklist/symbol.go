package blocklist

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
)

// symbols is a table of up to 253 short strings, learned from the names of one set, that stand for one byte each. Texts
// are coded, and read, from their ends, where names that belong together are alike.
type symbols struct {
	word [256]uint64 // the string, first byte lowest
	size [256]uint8  // its length, 1 to 8; 0 for a code not in use

	// The trie of the strings, each from its end: nodes of so many columns, then codes of nodes, literal for none.
	trie   []uint16 // where a byte leads, 0 for nowhere
	width  int
	column [256]uint16 // of a byte, 0 for none
	code   []uint8
}

// Codes that are no symbols.
const (
	again   = 253 // the tag of an entry that leans on another
	none    = 254 // the tag of a name of one label, or of one that ends with no symbol
	far     = 254 // in place of a text: it stands apart, and where follows, and how long it is
	literal = 255 // the next byte stands for itself
)

const (
	maxSymbols = again
	maxSymbol  = 8
	symbolSize = 1 + maxSymbol // in the file: length, string
)

// hostBytes are what names of hosts are made of.
const hostBytes = "abcdefghijklmnopqrstuvwxyz0123456789-_\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"

// newSymbols makes the table of these strings, the first of which get the lowest codes.
func newSymbols(strings []string) *symbols {
	s := &symbols{}
	for i, str := range strings {
		var b [maxSymbol]byte
		s.size[i] = uint8(copy(b[:], str))
		s.word[i] = binary.LittleEndian.Uint64(b[:])
	}
	s.grow()
	return s
}

// grow makes the trie of the symbols, each read from its end.
func (s *symbols) grow() {
	s.width = 1
	var strings [maxSymbols][]byte
	for i := range strings {
		strings[i] = s.append(nil, byte(i))
		for _, c := range strings[i] {
			if s.column[c] == 0 {
				s.column[c] = uint16(s.width)
				s.width++
			}
		}
	}
	s.addNode()
	for i, str := range strings {
		node := 0
		for _, c := range slices.Backward(str) {
			at := node*s.width + int(s.column[c])
			if s.trie[at] == 0 {
				s.trie[at] = uint16(s.addNode())
			}
			node = int(s.trie[at])
		}
		if node > 0 {
			s.code[node] = uint8(i)
		}
	}
}

// addNode adds a node to the trie that leads nowhere yet.
func (s *symbols) addNode() int {
	s.trie = append(s.trie, make([]uint16, s.width)...)
	s.code = append(s.code, literal)
	return len(s.code) - 1
}

// last is the code of the longest symbol that b ends with, or literal.
func (s *symbols) last(b []byte) byte {
	code, node := byte(literal), 0
	for i := len(b) - 1; i >= 0; i-- {
		// Column 0 of every node leads nowhere.
		if node = int(s.trie[node*s.width+int(s.column[b[i]])]); node == 0 {
			break
		}
		if c := s.code[node]; c != literal {
			code = c
		}
	}
	return code
}

// encode appends the codes of b, from its end to its start.
func (s *symbols) encode(dst, b []byte) []byte {
	for len(b) > 0 {
		c := s.last(b)
		dst = append(dst, c)
		size := int(s.size[c])
		if c == literal {
			size = 1
			dst = append(dst, b[len(b)-1])
		}
		b = b[:len(b)-size]
	}
	return dst
}

// append appends what a symbol stands for.
func (s *symbols) append(dst []byte, code byte) []byte {
	var w [maxSymbol]byte
	binary.LittleEndian.PutUint64(w[:], s.word[code])
	return append(dst, w[:s.size[code]]...)
}

// decode appends what tag and text stand for.
func (s *symbols) decode(dst []byte, tag byte, text []byte) []byte {
	var pieces [][]byte
	for i, c := 0, tag; ; i++ {
		piece := s.append(nil, c)
		if c == literal && i < len(text) {
			piece = text[i : i+1]
			i++
		}
		pieces = append(pieces, piece)
		if i >= len(text) {
			break
		}
		c = text[i]
	}
	for _, p := range slices.Backward(pieces) {
		dst = append(dst, p...)
	}
	return dst
}

// match compares what tag and text stand for with what of wire ends at end, and says where it begins, -1 if they differ.
// There are at least eight bytes behind end.
func (s *symbols) match(tag byte, text, wire []byte, end int) int {
	for i, c := 0, tag; ; i++ {
		word, size := s.word[c], int(s.size[c])
		if c == literal && i < len(text) {
			word, size = uint64(text[i]), 1
			i++
		}
		if end -= size; end < 0 || (binary.LittleEndian.Uint64(wire[end:])^word)<<(64-8*size) != 0 {
			return -1
		}
		if i >= len(text) {
			return end
		}
		c = text[i]
	}
}

// tag is the code of what a label ends with, or none.
func (s *symbols) tag(label []byte) byte {
	if c := s.last(label); c != literal {
		return c
	}
	return none
}

// learn makes the table that shortens the sample best: starting from single bytes it joins, round by round, what often
// stands side by side (the idea of FSST, Boncz, Neumann and Leis, 2020).
func learn(sample [][]byte) *symbols {
	base := make([]string, 0, len(hostBytes)) // so that these never need a literal
	for _, c := range []byte(hostBytes) {
		base = append(base, string([]byte{c}))
	}
	s := newSymbols(base)
	const rounds = 6
	for range rounds {
		gain := s.gains(sample)
		for _, b := range base {
			delete(gain, b)
		}
		best := make([]string, 0, len(gain))
		for str := range gain {
			best = append(best, str)
		}
		slices.SortFunc(best, func(a, b string) int { return cmp.Or(gain[b]-gain[a], cmp.Compare(a, b)) })
		s = newSymbols(append(slices.Clone(base), best[:min(len(best), maxSymbols-len(base))]...))
	}
	return s
}

// gains says of each symbol in use, and of each two side by side, how many bytes of the sample it covers.
func (s *symbols) gains(sample [][]byte) map[string]int {
	var one [256]int
	two := make([]int, 256*256)
	var coded []byte
	for _, b := range sample {
		coded = s.encode(coded[:0], b)
		last := -1
		for i := 0; i < len(coded); i++ {
			c := int(coded[i])
			if c == literal {
				i, last = i+1, -1
				continue
			}
			one[c]++
			if last >= 0 {
				two[last<<8|c]++
			}
			last = c
		}
	}
	gain := map[string]int{}
	add := func(n int, codes ...byte) {
		var str []byte
		for _, c := range slices.Backward(codes) {
			str = s.append(str, c)
		}
		if n > 1 && len(str) <= maxSymbol {
			gain[string(str)] += n * len(str)
		}
	}
	for c, n := range one {
		add(n, byte(c))
	}
	for c, n := range two {
		if n > 1 {
			add(n, byte(c>>8), byte(c))
		}
	}
	return gain
}

// appendTo appends the file form: length and string of each code.
func (s *symbols) appendTo(b []byte) []byte {
	for c := range maxSymbols {
		b = append(b, s.size[c])
		b = binary.LittleEndian.AppendUint64(b, s.word[c])
	}
	return b
}

// readSymbols reads the file form.
func readSymbols(b []byte) (*symbols, error) {
	if len(b) != maxSymbols*symbolSize {
		return nil, fmt.Errorf("%w: symbol table of %d bytes", ErrCorrupt, len(b))
	}
	s := &symbols{}
	for c := range maxSymbols {
		s.size[c] = b[c*symbolSize]
		s.word[c] = binary.LittleEndian.Uint64(b[c*symbolSize+1:])
		if s.size[c] > maxSymbol {
			return nil, fmt.Errorf("%w: symbol of %d bytes", ErrCorrupt, s.size[c])
		}
	}
	s.grow()
	return s, nil
}
