package blocklist

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math/bits"
	"slices"
)

// How a set is laid out.
const (
	maxGroup    = 4   // names that share a home, unless no label more tells them apart
	maxUnit     = 128 // bytes of an entry and those that lean on it
	homeNames   = 8   // names in a bucket, on average
	heldBits    = 5   // of the filter, for each group
	crowdsBits  = 16
	longestCode = 3 // bytes that a code is reckoned to take before it is known
)

// compiler turns rules into buckets and all that leads to them, in two passes through bins. The first (read) sorts rules
// by the last two labels of their names, leaves out what adds nothing, and finds homes. The second (write) sorts entries
// by homes.
type compiler struct {
	lists   []Info
	symbols *symbols
	entries bins
	perHome int

	names   int
	groups  int
	crowded []uint64         // hashes of crowds
	above   map[string]tuple // rules at names of one label, which are read first

	topAt    map[string]uint32 // in tops
	tops     []byte
	tupleIDs map[tuple]uint32
	tuples   []byte
	pairs    map[pair]uint32 // numbers, which become codes
	uses     []int           // of pairs

	// What write makes.
	homes        uint64
	held, crowds filter
	codes        []byte
	index, far   []byte

	text, coded, record []byte // lent, used again and again
}

// pair is what a code stands for: the place of a top label, and the number of a tuple.
type pair struct{ top, tuple uint32 }

func newCompiler(lists []Info, s *symbols, entries bins, perHome int) *compiler {
	return &compiler{
		lists: lists, symbols: s, entries: entries, perHome: perHome,
		above: map[string]tuple{}, topAt: map[string]uint32{}, tupleIDs: map[tuple]uint32{}, pairs: map[pair]uint32{},
	}
}

// draftRule is a rule in a bin.
type draftRule struct {
	site uint64
	path []byte
	code ruleCode
}

// keptName is a name that is kept, and what is said of it.
type keptName struct {
	path  []byte
	rules tuple
}

// read takes the rules at names of one label, then all others, and puts entries into bins.
func (c *compiler) read(tops, others *bins) error {
	if err := c.readBin(tops, 0); err != nil {
		return err
	}
	for i := range binCount {
		if err := c.readBin(others, i); err != nil {
			return err
		}
	}
	return nil
}

func (c *compiler) readBin(from *bins, bin int) error {
	var rules []draftRule
	if err := from.take(bin, func(r []byte) {
		path := r[2:]
		rules = append(rules, draftRule{siteHash(path), path, ruleCode(binary.LittleEndian.Uint16(r))})
	}); err != nil {
		return err
	}
	slices.SortFunc(rules, func(a, b draftRule) int {
		if a.site != b.site {
			return cmp.Compare(a.site, b.site)
		}
		return cmp.Or(bytes.Compare(a.path, b.path), cmp.Compare(a.code, b.code))
	})
	var names []keptName
	for len(rules) > 0 {
		h, size := rules[0].site, siteSize(rules[0].path)
		names, rules = c.site(names[:0], rules)
		if err := c.place(names, size, h); err != nil {
			return err
		}
	}
	return nil
}

// site joins the rules of the first site, which is a name of two labels and all below it. It gives the names there that
// are kept, each before those below it, and the rules of other sites.
func (c *compiler) site(names []keptName, rules []draftRule) ([]keptName, []draftRule) {
	first := rules[0].path
	top, site := first[:firstLabel(first)], first[:siteSize(first)]
	var above []keptName // names above, from the root down, each with all that is said at it and above it
	if said, ok := c.above[string(top)]; ok {
		above = append(above, keptName{top, said})
	}
	for len(rules) > 0 && bytes.HasPrefix(rules[0].path, site) {
		path := rules[0].path
		var said tuple
		said, rules = c.join(rules)
		for len(above) > 0 && !bytes.HasPrefix(path, above[len(above)-1].path) {
			above = above[:len(above)-1]
		}
		var already tuple
		if n := len(above); n > 0 {
			already = above[n-1].rules
		}
		if said = said.without(already); said == (tuple{}) {
			continue
		}
		names = append(names, keptName{path, said})
		above = append(above, keptName{path, said.or(already)})
		if len(path) == len(top) {
			c.above[string(top)] = said
		}
	}
	return names, rules
}

// join joins the rules at the first name, and gives those at others.
func (c *compiler) join(rules []draftRule) (t tuple, rest []draftRule) {
	first := rules[0]
	for i, r := range rules {
		if !bytes.Equal(r.path, first.path) {
			return t, rules[i:]
		}
		if i == 0 || r.code != rules[i-1].code {
			c.lists[r.code.list()].Rules++
			t.add(r.code.list(), r.code.scope(), r.code.except())
		}
	}
	return t, nil
}

// place finds homes for the names of a group, which is called by the first size bytes of their paths, with hash h.
func (c *compiler) place(names []keptName, size int, h uint64) error {
	if len(names) <= maxGroup {
		return c.put(h, names)
	}
	c.crowded = append(c.crowded, h)
	if len(names[0].path) == size {
		if err := c.put(h, names[:1]); err != nil {
			return err
		}
		names = names[1:]
	}
	for len(names) > 0 {
		path := names[0].path
		end := size + firstLabel(path[size:])
		n := 1
		for n < len(names) && bytes.HasPrefix(names[n].path, path[:end]) {
			n++
		}
		if err := c.place(names[:n], end, hashLabel(h, path[size+1:end])); err != nil {
			return err
		}
		names = names[n:]
	}
	return nil
}

// put puts the entries of a group into the bin of its home, in units.
func (c *compiler) put(h uint64, names []keptName) error {
	if len(names) > 0 {
		c.groups++
	}
	for len(names) > 0 {
		first := names[0].path
		top := first[:firstLabel(first)]
		c.record = binary.LittleEndian.AppendUint64(c.record[:0], h)
		n := 0
		for size := 0; n < len(names) && bytes.HasPrefix(names[n].path, first); n++ {
			e := c.lean(names[n].path[len(first):])
			if n == 0 {
				e = c.whole(first)
			}
			if size += 2 + longestCode + len(e.text); n > 0 && size > maxUnit {
				break
			}
			p := c.pair(top, names[n].rules)
			c.uses[p]++
			c.record = binary.LittleEndian.AppendUint32(c.record, p)
			c.record = append(c.record, e.tag, byte(e.labels))
			c.record = binary.LittleEndian.AppendUint16(c.record, uint16(len(e.text)))
			c.record = append(c.record, e.text...)
		}
		if err := c.entries.add(h, c.record); err != nil {
			return err
		}
		c.names += n
		names = names[n:]
	}
	return nil
}

// whole is the entry of a name. What it holds is lent.
func (c *compiler) whole(path []byte) entry {
	top, site := firstLabel(path), siteSize(path)
	if top == site {
		return entry{tag: none}
	}
	var labels int
	c.text, labels = appendText(c.text[:0], path[top:])
	label := path[top+1 : site] // coded by itself, so that a tag can be found without knowing what is left of it
	c.coded = c.symbols.encode(c.coded[:0], label)
	c.coded = c.symbols.encode(c.coded, c.text[:len(c.text)-len(label)])
	if tag := c.symbols.tag(label); tag != none {
		return entry{tag: tag, labels: labels, text: c.coded[1:]}
	}
	return entry{tag: none, labels: labels, text: c.coded}
}

// lean is the entry of a name that leans on another, given what its path has more than that. What it holds is lent.
func (c *compiler) lean(path []byte) entry {
	var labels int
	c.text, labels = appendText(c.text[:0], path)
	c.coded = c.symbols.encode(c.coded[:0], c.text)
	return entry{tag: again, labels: labels, text: c.coded}
}

// pair is the number of a top label with a tuple.
func (c *compiler) pair(top []byte, t tuple) uint32 {
	var p pair
	var ok bool
	if p.top, ok = c.topAt[string(top)]; !ok {
		p.top = uint32(len(c.tops))
		c.topAt[string(top)] = p.top
		c.tops = append(c.tops, top...)
	}
	if p.tuple, ok = c.tupleIDs[t]; !ok {
		p.tuple = uint32(len(c.tupleIDs))
		c.tupleIDs[t] = p.tuple
		c.tuples = t.appendTo(c.tuples)
	}
	id, ok := c.pairs[p]
	if !ok {
		id = uint32(len(c.pairs))
		c.pairs[p] = id
		c.uses = append(c.uses, 0)
	}
	return id
}

// write writes the buckets.
func (c *compiler) write(w *image) error {
	code := c.rank()
	c.homes = uint64(c.names/c.perHome + 1)
	c.held, c.crowds = newFilter(c.groups, heldBits), newFilter(len(c.crowded), crowdsBits)
	for _, h := range c.crowded {
		c.crowds.add(h)
	}
	p := packer{emit: w.write}
	for i := range binCount {
		var units []draftUnit
		if err := c.entries.take(i, func(r []byte) {
			units = append(units, draftUnit{binary.LittleEndian.Uint64(r), r[8:]})
		}); err != nil {
			return err
		}
		slices.SortFunc(units, func(a, b draftUnit) int {
			return cmp.Or(cmp.Compare(a.home, b.home), bytes.Compare(a.record, b.record))
		})
		for _, u := range units {
			c.held.add(u.home)
			home, _ := bits.Mul64(u.home, c.homes)
			if err := p.add(home, u.read(code)); err != nil {
				return err
			}
		}
	}
	err := p.finish(c.homes)
	c.index, c.far = p.index, p.far
	return err
}

// draftUnit is a unit in a bin.
type draftUnit struct {
	home   uint64 // hash
	record []byte
}

// read gives the entries, with codes for pairs.
func (u draftUnit) read(code []uint32) unit {
	var entries unit
	for r := u.record; len(r) > 0; {
		size := int(binary.LittleEndian.Uint16(r[6:]))
		entries = append(entries, entry{
			tag: r[4], labels: int(r[5]), code: int(code[binary.LittleEndian.Uint32(r)]), text: r[8:][:size],
		})
		r = r[8+size:]
	}
	return entries
}

// rank gives each pair its code. The most used have the lowest, since they are the shortest.
func (c *compiler) rank() []uint32 {
	pairs, order := make([]pair, len(c.pairs)), make([]uint32, len(c.pairs))
	for p, id := range c.pairs {
		pairs[id], order[id] = p, id
	}
	slices.SortStableFunc(order, func(a, b uint32) int { return cmp.Compare(c.uses[b], c.uses[a]) })
	code := make([]uint32, len(order))
	for i, id := range order {
		code[id] = uint32(i)
		c.codes = binary.LittleEndian.AppendUint32(c.codes, pairs[id].top)
		c.codes = binary.LittleEndian.AppendUint32(c.codes, pairs[id].tuple)
	}
	return code
}
