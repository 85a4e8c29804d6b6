package blocklist

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
)

// symbols is a table of up to 255 short strings, learned from the names of one set, that stand for one byte each. Code
// 255 says that the next byte stands for itself.
type symbols struct {
	word [256]uint64 // the string, first byte lowest
	size [256]uint8  // its length, 1 to 8; 0 for a code not in use
	trie [][ranks]uint16
	code []int16 // of a node of the trie; -1 for none
}

const (
	literal    = 255
	maxSymbol  = 8
	symbolSize = 9 // bytes in the file: length, string
)

// singles are the bytes that always have a symbol of their own, so that host names never need a literal.
func singles() []string {
	s := []string{"\x00", "_"}
	for c := range 256 {
		if class[c]&hostClass != 0 && c != '_' {
			s = append(s, string([]byte{byte(c)}))
		}
	}
	return s
}

// branch is where a byte leads from a node of the trie, -1 for nowhere.
func branch(c byte) int {
	t := class[c]
	if t&endClass != 0 && c != '_' {
		return -1
	}
	return int(t & rankMask)
}

// newSymbols makes the table of these strings, the first of which get the lowest codes.
func newSymbols(strings []string) *symbols {
	s := &symbols{trie: make([][ranks]uint16, 1), code: []int16{-1}}
	for i, str := range strings {
		var b [maxSymbol]byte
		s.size[i] = uint8(copy(b[:], str))
		s.word[i] = binary.LittleEndian.Uint64(b[:])
		node := 0
		for _, c := range []byte(str) {
			if next := &s.trie[node][branch(c)]; *next == 0 {
				*next = uint16(len(s.trie))
				s.trie = append(s.trie, [ranks]uint16{})
				s.code = append(s.code, -1)
			}
			node = int(s.trie[node][branch(c)])
		}
		s.code[node] = int16(i)
	}
	return s
}

// longest is the code of the longest symbol that b begins with, -1 for none.
func (s *symbols) longest(b []byte) int {
	code, node := int16(-1), 0
	for _, c := range b {
		i := branch(c)
		if i < 0 {
			break
		}
		if node = int(s.trie[node][i]); node == 0 {
			break
		}
		if s.code[node] >= 0 {
			code = s.code[node]
		}
	}
	return int(code)
}

// encode appends the coded form of b.
func (s *symbols) encode(dst, b []byte) []byte {
	for len(b) > 0 {
		c := s.longest(b)
		if c < 0 {
			dst = append(dst, literal, b[0])
			b = b[1:]
			continue
		}
		dst = append(dst, byte(c))
		b = b[s.size[c]:]
	}
	return dst
}

// decode appends the plain form of coded bytes.
func (s *symbols) decode(dst, b []byte) []byte {
	for i := 0; i < len(b); i++ {
		if b[i] == literal {
			if i++; i < len(b) {
				dst = append(dst, b[i])
			}
			continue
		}
		var w [maxSymbol]byte
		binary.LittleEndian.PutUint64(w[:], s.word[b[i]])
		dst = append(dst, w[:s.size[b[i]]]...)
	}
	return dst
}

// learn makes the table that shortens the sample best: starting from single bytes it joins, round by round, what often
// stands side by side (the idea of FSST, Boncz, Neumann and Leis, 2020).
func learn(sample [][]byte) *symbols {
	base := singles()
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
		s = newSymbols(append(slices.Clone(base), best[:min(len(best), literal-len(base))]...))
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
		if str := s.decode(nil, codes); n > 1 && len(str) <= maxSymbol {
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
	for c := range literal {
		b = append(b, s.size[c])
		b = binary.LittleEndian.AppendUint64(b, s.word[c])
	}
	return b
}

// readSymbols reads the file form; the table can decode only.
func readSymbols(b []byte) (*symbols, error) {
	if len(b) != literal*symbolSize {
		return nil, fmt.Errorf("%w: symbol table of %d bytes", ErrCorrupt, len(b))
	}
	s := &symbols{}
	for c := range literal {
		s.size[c] = b[c*symbolSize]
		s.word[c] = binary.LittleEndian.Uint64(b[c*symbolSize+1:])
		if s.size[c] > maxSymbol {
			return nil, fmt.Errorf("%w: symbol of %d bytes", ErrCorrupt, s.size[c])
		}
	}
	return s, nil
}
