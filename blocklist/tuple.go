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

// tuples are all that the lists say of names. Most rules are of the scope Subtree and no exceptions: for what only such
// rules say one mask does, and the names that are asked about share fewer cache lines.
type tuples struct {
	plain []byte // masks
	whole []byte // block.at, block.below, except.at, except.below
}

const maskSize = MaxLists / 8

// tupleID is the number of a mask in plain, shifted left by one; or that of four in whole, likewise, plus one.
type tupleID uint32

// add adds a tuple.
func (ts *tuples) add(t tuple) tupleID {
	if t == (tuple{block: reach{t.block.at, t.block.at}}) {
		ts.plain = appendMask(ts.plain, t.block.at)
		return tupleID(len(ts.plain)/maskSize-1) << 1
	}
	for _, m := range [...]Mask{t.block.at, t.block.below, t.except.at, t.except.below} {
		ts.whole = appendMask(ts.whole, m)
	}
	return tupleID(len(ts.whole)/(4*maskSize)-1)<<1 | 1
}

// at is a tuple.
func (ts *tuples) at(id tupleID) (t tuple) {
	t.block.at, t.except.at = ts.says(id, false)
	t.block.below, t.except.below = ts.says(id, true)
	return t
}

// says is what a tuple says of the name itself, or of all below it.
func (ts *tuples) says(id tupleID, below bool) (block, except Mask) {
	if id&1 == 0 {
		return maskAt(ts.plain, int(id>>1)), Mask{}
	}
	i := int(id>>1) * 4
	if below {
		i++
	}
	return maskAt(ts.whole, i), maskAt(ts.whole, i+2)
}

func appendMask(b []byte, m Mask) []byte {
	for _, v := range m {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

func maskAt(b []byte, i int) Mask {
	b = b[i*maskSize:][:maskSize]
	return Mask{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}
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
