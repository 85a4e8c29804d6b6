package blocklist

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/bits"
	"strings"

	"schoolgate/blocklist/domain"
)

// A key is a name as the radix orders it: its labels from the right, joined by a border byte lower than any label byte,
// so that a name is directly followed by everything below it. The two lowest label bytes are written as two.
const (
	border = 0x00
	escape = 0x01
	maxKey = 2 * domain.MaxWire
)

// ErrRoot is a rule at the root: it would speak of every name there is.
var ErrRoot = errors.New("rule at the root of all names")

// appendLabel appends one label in key form.
func appendLabel(key, label []byte) []byte {
	for _, c := range label {
		if c <= escape {
			key = append(key, escape)
			c++
		}
		key = append(key, c)
	}
	return key
}

// plainLabel undoes appendLabel. It returns label itself where nothing is to undo.
func plainLabel(label []byte) []byte {
	if bytes.IndexByte(label, escape) < 0 {
		return label
	}
	plain := make([]byte, 0, len(label))
	for i := 0; i < len(label); i++ {
		c := label[i]
		if c == escape && i+1 < len(label) {
			i++
			c = label[i] - 1
		}
		plain = append(plain, c)
	}
	return plain
}

// appendName appends the key of n.
func appendName(key []byte, n domain.Name) ([]byte, error) {
	if n == "" {
		return key, ErrRoot
	}
	start := len(key)
	if len(n) <= domain.MaxWire-2 {
		text := string(n)
		for {
			dot := strings.LastIndexByte(text, '.')
			label := text[dot+1:]
			if !hostLabel(label) {
				break
			}
			key = append(key, label...)
			if dot < 0 {
				return key, nil
			}
			key = append(key, border)
			text = text[:dot]
		}
	}
	var w domain.Wire
	if err := w.SetName(n); err != nil {
		return key[:start], err
	}
	return appendWire(key[:start], &w), nil
}

// appendWire appends the key of w.
func appendWire(key []byte, w *domain.Wire) []byte {
	last := w.Labels() - 1
	for i := last; i >= 0; i-- {
		if i < last {
			key = append(key, border)
		}
		key = appendLabel(key, w.Label(i))
	}
	return key
}

// nameOf is the name whose key this is.
func nameOf(key []byte) domain.Name {
	var wire []byte
	for rest := key; ; {
		cut := bytes.LastIndexByte(rest, border)
		label := plainLabel(rest[cut+1:])
		wire = append(append(wire, byte(len(label))), label...)
		if cut < 0 {
			break
		}
		rest = rest[:cut]
	}
	return domain.Name(domain.AppendText(nil, append(wire, 0)))
}

func hostLabel(label string) bool {
	if label == "" || len(label) > domain.MaxLabel {
		return false
	}
	for i := range len(label) {
		if class[label[i]]&hostClass == 0 {
			return false
		}
	}
	return true
}

// Ranks of bytes in a code, in the order of the bytes. A byte that shares its rank ends the code that it stands in,
// because what follows it could not be ordered.
const (
	ranks     = 42
	rankMask  = 0x3f
	hostClass = 0x40 // a byte of canonical host names
	endClass  = 0x80 // a byte that shares its rank
)

var class = func() (t [256]uint8) {
	for c := range t {
		switch {
		case c == border:
			t[c] = 0
		case c < '-':
			t[c] = 1 | endClass
		case c == '-':
			t[c] = 2 | hostClass
		case c < '0':
			t[c] = 3 | endClass
		case c <= '9':
			t[c] = uint8(4+c-'0') | hostClass
		case c < 'a':
			t[c] = 14 | endClass
		case c <= 'z':
			t[c] = uint8(15+c-'a') | hostClass
		default:
			t[c] = 41 | endClass
		}
	}
	t['_'] |= hostClass
	return t
}()

// codeOf squeezes the first n bytes of a key into a number that orders as the keys do: a smaller key never has a larger
// code, though two keys may share one. 42^11 < 2^64 and 42^9 < 2^49.
func codeOf(key []byte, n int) uint64 {
	code, i := uint64(0), 0
	for ; i < n && i < len(key); i++ {
		t := class[key[i]]
		code = code*ranks + uint64(t&rankMask)
		if t&endClass != 0 {
			i++
			break
		}
	}
	for ; i < n; i++ {
		code *= ranks
	}
	return code
}

// hashLabel goes on from the hash of the name to the right of label to that of the name with label. The result is
// written in files: it must not change within one version.
func hashLabel(h uint64, label []byte) uint64 {
	n := len(label)
	var b [16]byte
	switch {
	case n <= 8:
		copy(b[:], label)
		copy(b[8:], label)
	default:
		copy(b[:8], label)
		copy(b[8:], label[n-8:])
	}
	return hashEnds(hashMiddle(h, label), n, binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:]))
}

// The keys of the hash: odd, of no pattern.
const hashKey0, hashKey1 = 0x9e3779b97f4a7c15, 0xd6e8feb86659fd93

// hashEnds takes a label of n bytes in, given its first eight bytes and its last eight, or twice all it has.
func hashEnds(h uint64, n int, first, last uint64) uint64 {
	hi, lo := bits.Mul64(h^first^hashKey0, bits.RotateLeft64(h, 32)^last^uint64(n)*hashKey1)
	return hi ^ lo
}

// hashMiddle takes the bytes in that are not among the first or the last eight.
func hashMiddle(h uint64, label []byte) uint64 {
	for at := 8; at < len(label)-8; at += 8 {
		hi, lo := bits.Mul64(h^binary.LittleEndian.Uint64(label[at:]), hashKey0)
		h = hi ^ lo
	}
	return h
}

// hashes are those of a name that the set is asked by.
type hashes struct {
	top   uint64 // of the last label
	line  uint64 // of the last filterDepth labels
	whole uint64
	depth int // labels
}

// add takes the next label to the left in, given the hash of the name with it.
func (h *hashes) add(whole uint64) {
	h.whole = whole
	if h.depth++; h.depth == 1 {
		h.top = whole
	}
	if h.depth <= filterDepth {
		h.line = whole
	}
}

// hashKey hashes the name that the key stands for.
func hashKey(key []byte) hashes {
	var h hashes
	for more := true; more; {
		var label []byte
		label, key, more = bytes.Cut(key, []byte{border})
		h.add(hashLabel(h.whole, plainLabel(label)))
	}
	return h
}
