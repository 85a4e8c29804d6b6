package blocklist

import (
	"encoding/binary"

	"schoolgate/blocklist/domain"
)

// tuple is what the lists say at one name. Names share tuples: a few thousand serve millions of names.
type tuple struct {
	block, except reach
}

// reach is the lists that speak of the name itself and those that speak of all below it.
type reach struct {
	at, below Mask
}

const tupleSize = 4 * MaxLists / 8 // bytes in the file

// add takes one rule of one list in.
func (t *tuple) add(list int, s Scope, except bool) {
	r := &t.block
	if except {
		r = &t.except
	}
	if s != Below {
		r.at.Add(list)
	}
	if s != Exact {
		r.below.Add(list)
	}
}

// without drops what the rules above the name say of it already.
func (t tuple) without(above tuple) tuple {
	drop := func(r, above reach) reach { return reach{r.at.Without(above.below), r.below.Without(above.below)} }
	return tuple{drop(t.block, above.block), drop(t.except, above.except)}
}

// or joins two tuples.
func (t tuple) or(o tuple) tuple {
	join := func(a, b reach) reach { return reach{a.at.Or(b.at), a.below.Or(b.below)} }
	return tuple{join(t.block, o.block), join(t.except, o.except)}
}

// appendTo appends the file form.
func (t tuple) appendTo(b []byte) []byte {
	for _, m := range [...]Mask{t.block.at, t.block.below, t.except.at, t.except.below} {
		for _, v := range m {
			b = binary.LittleEndian.AppendUint64(b, v)
		}
	}
	return b
}

// tupleAt reads the file form of tuple id.
func tupleAt(tuples []byte, id int) (t tuple) {
	t.block.at, t.except.at = reachAt(tuples, id, false)
	t.block.below, t.except.below = reachAt(tuples, id, true)
	return t
}

// reachAt reads what tuple id says of the name itself, or of all below it.
func reachAt(tuples []byte, id int, below bool) (block, except Mask) {
	b := (*[tupleSize]byte)(tuples[id*tupleSize:])
	at := 0
	if below {
		at = tupleSize / 4
	}
	mask := func(at int) Mask {
		return Mask{binary.LittleEndian.Uint64(b[at:]), binary.LittleEndian.Uint64(b[at+8:])}
	}
	return mask(at), mask(at + tupleSize/2)
}

// appendHits appends the rules of name that speak of names at it, below it, or either.
func (t tuple) appendHits(hits []Hit, name domain.Name, at, below bool) []Hit {
	for _, except := range [...]bool{false, true} {
		r := t.block
		if except {
			r = t.except
		}
		add := func(s Scope, lists Mask, wanted bool) {
			if wanted && !lists.Empty() {
				hits = append(hits, Hit{Rule{name, s, except}, lists})
			}
		}
		add(Subtree, r.at.And(r.below), at || below)
		add(Exact, r.at.Without(r.below), at)
		add(Below, r.below.Without(r.at), below)
	}
	return hits
}
