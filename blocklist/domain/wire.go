package domain

import "errors"

// Errors of a name in wire form.
var (
	ErrTruncated   = errors.New("name runs past the end of the message")
	ErrCompression = errors.New("compressed or reserved label where none may stand")
)

// Wire is a name in lower-cased wire form (RFC 1035 section 3.1) together with where its labels begin, so that it can be
// walked from the right without another pass. It holds no pointer and is meant to be reused: Read and SetName overwrite
// it. The zero value is not a name.
type Wire struct {
	buf    [MaxWire + 16]byte // the last sixteen are never written to: Padded
	off    [MaxLabels]uint8
	n      uint8 // bytes used in buf, root label included
	labels uint8
}

// Read takes the uncompressed name that starts at msg[at], lower-cases it into w and returns where the next field
// starts. A compression pointer is an error, since the first question of a message has nothing before it to point at.
// After an error w is the root.
func (w *Wire) Read(msg []byte, at int) (next int, err error) {
	n, labels := 0, 0
	for {
		if at < 0 || at >= len(msg) {
			return w.fail(ErrTruncated)
		}
		l := int(msg[at])
		if l > MaxLabel {
			return w.fail(ErrCompression)
		}
		if n+1+l > MaxWire-min(l, 1) { // room for the root label must remain
			return w.fail(ErrLongName)
		}
		if at+1+l > len(msg) {
			return w.fail(ErrTruncated)
		}
		if l == 0 {
			w.buf[n] = 0
			w.n, w.labels = uint8(n+1), uint8(labels)
			return at + 1, nil
		}
		w.off[labels] = uint8(n)
		labels++
		w.buf[n] = byte(l)
		n++
		for _, c := range msg[at+1 : at+1+l] {
			w.buf[n] = Lower(c)
			n++
		}
		at += 1 + l
	}
}

// fail leaves nothing half read behind.
func (w *Wire) fail(err error) (int, error) {
	w.buf[0], w.n, w.labels = 0, 1, 0
	return 0, err
}

// Lower folds one ASCII letter; DNS names compare without case in ASCII only (RFC 4343).
func Lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// SetName puts a canonical name into w; after an error w is as before.
func (w *Wire) SetName(name Name) error {
	var b [MaxWire]byte
	out, err := name.AppendWire(b[:0])
	if err != nil {
		return err
	}
	_, err = w.Read(out, 0)
	return err
}

// Bytes is the whole name in wire form, root label included. It is borrowed: valid until w changes.
func (w *Wire) Bytes() []byte { return w.buf[:w.n] }

// Padded is Bytes with at least sixteen bytes more behind it, whatever they are, so that any part of the name can be read as
// whole words. Borrowed as Bytes.
func (w *Wire) Padded() []byte { return w.buf[:] }

// Labels counts the labels, the root not included.
func (w *Wire) Labels() int { return int(w.labels) }

// Label is the i-th label from the left without its length byte, 0 ≤ i < Labels. Borrowed as Bytes.
func (w *Wire) Label(i int) []byte {
	o := int(w.off[i])
	return w.buf[o+1 : o+1+int(w.buf[o])]
}

// Offset is where the length of label i stands in Bytes, 0 ≤ i < Labels.
func (w *Wire) Offset(i int) int { return int(w.off[i]) }

// From is the name that starts at label i (From(1) is the parent), root label included. Borrowed as Bytes.
func (w *Wire) From(i int) []byte {
	if i >= int(w.labels) {
		return w.buf[w.n-1 : w.n]
	}
	return w.buf[w.off[i]:w.n]
}

// Name gives the canonical text. It allocates; the hot path uses AppendText or Bytes.
func (w *Wire) Name() Name {
	var b [4 * MaxWire]byte
	return Name(w.AppendText(b[:0]))
}

// AppendText appends the canonical text of the name to b, nothing for the root.
func (w *Wire) AppendText(b []byte) []byte {
	return AppendText(b, w.Bytes())
}

// AppendText appends the canonical text of a whole uncompressed lower-case wire name to b.
func AppendText(b, wire []byte) []byte {
	for i := 0; i < len(wire) && wire[i] != 0; i += 1 + int(wire[i]) {
		if i > 0 {
			b = append(b, '.')
		}
		for _, c := range wire[i+1 : i+1+int(wire[i])] {
			if hostByte(c) {
				b = append(b, c)
			} else {
				b = append(b, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
			}
		}
	}
	return b
}

// AppendWire appends the wire form of n, root label included, to b. What is no name (of a Name that was not made by Parse
// or Wire) is an error; upper case passes as it is.
func (n Name) AppendWire(b []byte) ([]byte, error) {
	start := len(b)
	if n != "" {
		length := len(b)
		b = append(b, 0)
		for i := 0; i < len(n); i++ {
			c := n[i]
			switch {
			case c == '.':
				if b[length] == 0 {
					return nil, ErrEmptyLabel
				}
				length = len(b)
				b = append(b, 0)
				continue
			case c == '\\':
				if i+3 >= len(n) {
					return nil, ErrCharacter
				}
				v := 0
				for _, d := range []byte(n[i+1 : i+4]) {
					if d < '0' || d > '9' {
						return nil, ErrCharacter
					}
					v = 10*v + int(d-'0')
				}
				if v > 255 {
					return nil, ErrCharacter
				}
				c = byte(v)
				i += 3
			}
			b = append(b, c)
			if b[length]++; b[length] > MaxLabel {
				return nil, ErrLongLabel
			}
		}
		if b[length] == 0 {
			return nil, ErrEmptyLabel
		}
	}
	b = append(b, 0)
	if len(b)-start > MaxWire {
		return nil, ErrLongName
	}
	return b, nil
}
