package blocklist

import (
	"iter"

	"schoolgate/blocklist/domain"
)

// cursor reads entries one after the other, whole names and all.
type cursor struct {
	s      *Set
	bucket uint64
	goesOn bool // entries of the bucket before stand in this one too
	code   int
	wire   []byte // the name, until next is called again

	at     int    // of the bucket
	i      int    // of the next entry in it
	right  []byte // the last name that did not lean
	some   bool   // only entries of this tag
	tag    byte
	passes bool // over the entry, and those that lean on it
}

// from is a cursor before the first entry of a bucket.
func (s *Set) from(bucket uint64) *cursor {
	at, _ := s.directory.bucket(bucket)
	return &cursor{s: s, bucket: bucket, at: at}
}

// only passes over entries of another tag, and those that lean on them.
func (c *cursor) only(tag byte) { c.some, c.tag = true, tag }

// near is a cursor at each entry that may be for w or a name below it, among others.
func (s *Set) near(w *domain.Wire) iter.Seq[*cursor] {
	return func(yield func(*cursor) bool) {
		homes, few := s.homesOf(w)
		if !few {
			homes = []uint64{0} // and all others
		}
		read := uint64(0) // what begins in a bucket before this one
		for _, home := range homes {
			if home < read {
				continue
			}
			c := s.from(home)
			if n := w.Labels(); n > 1 {
				c.only(s.symbols.tag(w.Label(n - 2)))
			}
			for c.next() && (!few || c.bucket <= home || c.goesOn) {
				if !yield(c) {
					return
				}
			}
			read = c.bucket
		}
	}
}

// next reads an entry; false at the end of the set.
func (c *cursor) next() bool {
	for {
		b := c.s.buckets[c.at:]
		if len(b) <= slack {
			return false
		}
		if c.i == int(b[0]&countMask) {
			_, size := c.s.directory.bucket(c.bucket)
			c.bucket, c.at, c.i, c.goesOn = c.bucket+1, c.at+size, 0, b[0]&goesOn != 0
			continue
		}
		i := c.i
		c.i++
		leans := b[1+i] == again
		if c.passes = c.some && (leans && c.passes || !leans && b[1+i] != c.tag); c.passes {
			continue
		}
		e := c.s.entryAt(b, i)
		if !leans {
			c.right = append(append(c.right[:0], c.s.topOf(e.code)...), 0)
		}
		c.wire = append(c.s.appendText(c.wire[:0], &e), c.right...)
		if !leans {
			c.right = append(c.right[:0], c.wire...)
		}
		c.code = e.code
		return true
	}
}

// appendText appends what the text of an entry stands for, in wire form.
func (s *Set) appendText(wire []byte, e *entry) []byte {
	at := len(wire)
	if e.labels > 0 {
		wire = append(wire, 0)
	}
	wire = s.symbols.decode(wire, e.tag, e.text)
	if e.labels > 0 {
		wire[at] = firstLength(wire[at+1:], e.labels)
	}
	return wire
}

// firstLength is the length of the first of so many labels, of which only the others stand after their lengths: the
// least from which lengths lead to the end.
func firstLength(text []byte, labels int) byte {
	if labels > 1 {
		for n := 1; n < len(text); n++ {
			at := n
			for at < len(text) {
				at += 1 + int(text[at])
			}
			if at == len(text) {
				return byte(n)
			}
		}
	}
	return byte(len(text))
}
