package blocklist

import (
	"bytes"
	"cmp"
	"io"
	"iter"
	"runtime"
	"slices"

	"schoolgate/blocklist/domain"
)

// Set is millions of names and what up to MaxLists lists say of each: a radix over labels from the right, whose wide
// nodes are hashed, in one flat piece of memory that looks as its file does. It never changes, and all methods may be
// called at the same time from anywhere.
//
// A rule that adds nothing to the rules of the same list above its name (www.example.com below example.com) is left
// out, so Why and All give the rules that matter, and Names counts what is kept.
//
// Names are kept in groups: a name of two labels with all names below it. Where these are more than a few, it is a
// crowd, and each name one label longer makes a group; so on down. The hash of the name that a group is called by says
// which bucket is its home. To look up play.games.bad.example, whose last two labels are no crowd, is to search one home:
//
//	hash of bad.example ─┐
//	                     ▼
//	directory ─ ─ ┬──────────────────────────────────────────┬───────┬─────────────────┬ ─ ─   a line for twelve homes:
//	              │ filter: is any of the three names there? │ start │ size, size, ... │       48 + 4 + 12 bytes
//	          ─ ─ ┴──────────────────────────────────────────┴───┬───┴─────────────────┴ ─ ─
//	                     ┌───────────────────────────────────────┘
//	                     ▼
//	buckets ─ ─ ┬───────┬─────────────────┬─────────────────┬───────┬───────┬───────┬ ─ ─
//	            │ count │ tags            │ shapes          │ body  │ body  │ body  │
//	            │ 3     │ er │ ad │ again │ labels and size │ other │ bad   │ games │
//	        ─ ─ ┴───────┴─────────────────┴─────────────────┴───────┴───────┴───────┴ ─ ─
//
// A line of the directory is a cache line, and most buckets are one or two side by side. So a lookup waits for memory
// about twice, and for most names that the set has not, once. The filter says, too, which names are crowds.
//
// A tag is what the label next to the top one ends with, so all that may match is found by comparing eight
// bytes at once. What matches then is compared byte for byte: nothing is believed because of a hash. A body is
//
//	code: a varint that stands for the top label and a tuple, which is what the lists say of the name
//	text: the labels left of the top one, without what the tag says, coded by symbols
//
// The entry of games.bad.example leans on the one before it (tag: again) and gives only what is left of that.
type Set struct {
	data  []byte // the whole file; all below points into it
	lists []Info
	names int
	homes uint64
	seed  uint64 // of hashes

	singles   bool // there are names of one label
	directory directory
	buckets   []byte
	far       []byte // texts too long for a bucket
	codes     []byte
	tops      []byte
	tuples    tuples
	symbols   *symbols
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
	k := KeyOf(w)
	return s.LookupKey(&k)
}

// LookupKey is Lookup for a name that other sets are asked about too.
func (s *Set) LookupKey(k *Key) Mask {
	var block, except Mask
	s.find(k, func(code, first int) {
		b, e := s.says(code, first > 0)
		block, except = block.Or(b), except.Or(e)
	})
	runtime.KeepAlive(s)
	return block.Without(except)
}

// find calls found with the codes of a name and of all names above it that the set has, and with the labels that they
// begin at, in no order and perhaps more than once.
func (s *Set) find(k *Key, found func(code, first int)) {
	k.hash(s.seed)
	w := k.wire
	top := w.Labels() - 1
	if top >= 0 && s.singles {
		if home := homeOf(k.top, s.homes); s.directory.line(home).has(uint32(k.top)) {
			s.search(home, none, w, found)
		}
	}
	for i, h := top-1, k.site; i >= 0; {
		home := homeOf(h, s.homes)
		line := s.directory.line(home)
		if line.perhaps(h, w, i) {
			s.search(home, s.symbols.tag(w.Label(top-1)), w, found)
		}
		if !line.hasCrowd(h) {
			return
		}
		if i--; i >= 0 {
			h = hashLabel(h, w.Label(i))
		}
	}
}

// perhaps is false if a group of that line, called by what of w begins with label i, with hash h, has neither w nor a name
// above it.
func (l *directoryLine) perhaps(h uint64, w *domain.Wire, i int) bool {
	if l.has(uint32(h)) {
		return true
	}
	if i == 0 || !l.hasGroup(h) {
		return false
	}
	for i--; i >= 0; i-- {
		if h = hashLabel(h, w.Label(i)); l.has(uint32(h)) {
			return true
		}
	}
	return false
}

// homesOf are the homes of all names at w and below it that are in the set, ascending; few is false if they may have any.
// There is one for each name above w that the filter takes for a crowd, since it may be wrong.
func (s *Set) homesOf(w *domain.Wire) (homes []uint64, few bool) {
	h, last := s.seed, w.Labels()-1
	for i := last; i >= 0; i-- {
		if h = hashLabel(h, w.Label(i)); i == last {
			continue
		}
		home := homeOf(h, s.homes)
		homes = append(homes, home)
		if !s.directory.line(home).hasCrowd(h) {
			slices.Sort(homes)
			return homes, true
		}
	}
	return nil, false
}

// Why is every rule that speaks of n, with the lists that hold it, exceptions too, from the root down.
func (s *Set) Why(n domain.Name) []Hit {
	var w domain.Wire
	if w.SetName(n) != nil {
		return nil
	}
	type held struct{ code, first int }
	var all []held
	k := KeyOf(&w)
	s.find(&k, func(code, first int) { all = append(all, held{code, first}) })
	slices.SortFunc(all, func(a, b held) int { return cmp.Compare(b.first, a.first) })
	var hits []Hit
	for _, h := range slices.Compact(all) {
		name := domain.Name(domain.AppendText(nil, w.From(h.first)))
		hits = s.tupleOf(h.code).appendHits(hits, name, h.first == 0, h.first > 0)
	}
	runtime.KeepAlive(s)
	return hits
}

// All is every rule of the set, in an order of its own. Of lists that hold a name by the same rule it makes one Hit.
func (s *Set) All() iter.Seq[Hit] { return s.Within("") }

// Within is every rule at zone and below it, in the order of All. It reads all of the set if zone is a name of one label,
// or one with many names below it that are in the set, which takes up to a second.
func (s *Set) Within(zone domain.Name) iter.Seq[Hit] {
	return func(yield func(Hit) bool) {
		var w domain.Wire
		if w.SetName(zone) != nil {
			return
		}
		defer runtime.KeepAlive(s)
		var hits []Hit
		for c := range s.near(&w) {
			if !bytes.HasSuffix(c.wire, w.Bytes()) {
				continue
			}
			name := domain.Name(domain.AppendText(nil, c.wire))
			if !name.Within(zone) {
				continue
			}
			hits = s.tupleOf(c.code).appendHits(hits[:0], name, true, true)
			for _, h := range hits {
				if !yield(h) {
					return
				}
			}
		}
	}
}
