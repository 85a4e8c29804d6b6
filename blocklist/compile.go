package blocklist

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
)

// How a set is laid out.
const (
	maxGroup    = 4   // names that share a home, unless no label more tells them apart
	maxUnit     = 128 // bytes of an entry and those that lean on it
	homeNames   = 6   // names in a bucket, on average
	longestCode = 3   // bytes that a code is reckoned to take before it is known
)

// compiler turns rules into buckets and all that leads to them, in two passes through bins. The first (read) sorts rules
// by the last two labels of their names, leaves out what adds nothing, and finds homes. The second (write) sorts entries
// by homes.
type compiler struct {
	lists   []Info
	seed    uint64
	symbols *symbols
	units   bins
	perHome int

	names   int
	crowded []uint64         // hashes of crowds
	single  map[string]tuple // names of one label that are kept, and what is said of them

	topAt    map[string]uint32 // in tops
	tops     []byte
	tupleIDs map[tuple]tupleID
	tuples   tuples
	pairs    map[pair]uint32 // numbers, which become codes
	uses     []int           // of pairs

	// What write makes.
	homes     uint64
	directory directory
	codes     []byte
	far       []byte

	// Used again and again.
	sorted              records
	kept                []name
	above               []name // the one at work, from the root down, each with all that is said at it and above it
	text, coded, record []byte
	entries             unit
}

// pair is what a code stands for: the place of a top label, and a tuple.
type pair struct {
	top   uint32
	tuple tupleID
}

func newCompiler(lists []Info, seed uint64, s *symbols, units bins, perHome int) *compiler {
	return &compiler{
		lists: lists, seed: seed, symbols: s, units: units, perHome: perHome,
		single: map[string]tuple{}, topAt: map[string]uint32{}, tupleIDs: map[tuple]tupleID{}, pairs: map[pair]uint32{},
	}
}

// name is a name that is kept, and what is said of it.
type name struct {
	path  []byte
	rules tuple
}

// read takes the rules at names of one label, then all others, and puts entries into bins.
func (c *compiler) read(tops, others *bins) error {
	for i := range 2 * binCount {
		from := tops
		if i >= binCount {
			from = others
		}
		if err := from.take(i%binCount, &c.sorted); err != nil {
			return err
		}
		for at := 0; at < len(c.sorted.order); {
			h, size := c.sorted.order[at].hash, siteSize(rulePath(c.sorted.record(at)))
			at = c.site(at)
			if err := c.place(c.kept, size, h); err != nil {
				return err
			}
		}
	}
	return nil
}

// A rule in a bin: the hash of the last two labels of its name, its path, a zero, and its code. So rules of one name stand
// together, and before those at names below it.

func appendRule(b []byte, site uint64, path []byte, code ruleCode) []byte {
	b = binary.BigEndian.AppendUint64(b, site)
	return binary.BigEndian.AppendUint16(append(append(b, path...), 0), uint16(code))
}

func rulePath(r []byte) []byte { return r[hashSize : len(r)-3] }

func ruleOf(r []byte) ruleCode { return ruleCode(binary.BigEndian.Uint16(r[len(r)-2:])) }

// site joins the rules of a site, which is a name of two labels and all below it, and leaves the names that are kept in
// c.kept, each before those below it. The rules begin with number at; it says where the next begin.
func (c *compiler) site(at int) int {
	c.kept, c.above = c.kept[:0], c.above[:0]
	first := rulePath(c.sorted.record(at))
	top, site := first[:firstLabel(first)], first[:siteSize(first)]
	if said, ok := c.single[string(top)]; ok {
		c.above = append(c.above, name{top, said})
	}
	for at < len(c.sorted.order) {
		path := rulePath(c.sorted.record(at))
		if !bytes.HasPrefix(path, site) {
			break
		}
		var said, already tuple
		said, at = c.join(at)
		for len(c.above) > 0 && !bytes.HasPrefix(path, c.above[len(c.above)-1].path) {
			c.above = c.above[:len(c.above)-1]
		}
		if n := len(c.above); n > 0 {
			already = c.above[n-1].rules
		}
		if said = said.without(already); said == (tuple{}) {
			continue
		}
		c.kept = append(c.kept, name{path, said})
		c.above = append(c.above, name{path, said.or(already)})
		if len(path) == len(top) {
			c.single[string(top)] = said
		}
	}
	return at
}

// join joins the rules of the name of rule number at, and says where those of the next begin.
func (c *compiler) join(at int) (t tuple, next int) {
	path := rulePath(c.sorted.record(at))
	for next = at; next < len(c.sorted.order); next++ {
		r := c.sorted.record(next)
		if !bytes.Equal(rulePath(r), path) {
			break
		}
		if code := ruleOf(r); next == at || code != ruleOf(c.sorted.record(next-1)) {
			c.lists[code.list()].Rules++
			t.add(code.list(), code.scope(), code.except())
		}
	}
	return t, next
}

// place finds homes for the names of a group, which is called by the first size bytes of their paths, with hash h.
func (c *compiler) place(names []name, size int, h uint64) error {
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
func (c *compiler) put(h uint64, names []name) error {
	for len(names) > 0 {
		first := names[0].path
		top := first[:firstLabel(first)]
		c.record = binary.BigEndian.AppendUint64(c.record[:0], h)
		n := 0
		for size := 0; n < len(names) && bytes.HasPrefix(names[n].path, first); n++ {
			var e entry
			if n == 0 {
				e = c.whole(first)
			} else {
				e = c.lean(names[n].path[len(first):])
			}
			if size += 2 + longestCode + len(e.text); n > 0 && size > maxUnit {
				break
			}
			p := c.pair(top, names[n].rules)
			c.uses[p]++
			c.record = binary.LittleEndian.AppendUint32(c.record, uint32(pathHash(c.seed, names[n].path)))
			c.record = binary.LittleEndian.AppendUint32(c.record, p)
			c.record = append(c.record, e.tag, byte(e.labels))
			c.record = binary.LittleEndian.AppendUint16(c.record, uint16(len(e.text)))
			c.record = append(c.record, e.text...)
		}
		if err := c.units.add(c.record); err != nil {
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
		p.tuple = c.tuples.add(t)
		c.tupleIDs[t] = p.tuple
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
	p := packer{emit: w.write, directory: make(directory, (c.homes+lineHomes-1)/lineHomes*lineSize)}
	for _, h := range c.crowded {
		p.directory.line(homeOf(h, c.homes)).markCrowd(h)
	}
	for i := range binCount {
		if err := c.units.take(i, &c.sorted); err != nil {
			return err
		}
		for at, u := range c.sorted.order {
			home := homeOf(u.hash, c.homes)
			if err := p.add(home, c.unit(p.directory.line(home), u.hash, c.sorted.record(at), code)); err != nil {
				return err
			}
		}
	}
	err := p.finish(c.homes)
	c.directory, c.far = p.directory, p.far
	return err
}

// unit reads a record of the group with hash h, with codes for pairs, and marks its names in their line. It is lent.
func (c *compiler) unit(line *directoryLine, h uint64, r []byte, code []uint32) unit {
	c.entries = c.entries[:0]
	if r = r[hashSize:]; binary.LittleEndian.Uint32(r) != uint32(h) {
		line.markGroup(h)
	}
	for len(r) > 0 {
		name, id := binary.LittleEndian.Uint32(r), binary.LittleEndian.Uint32(r[4:])
		line.mark(name)
		size := int(binary.LittleEndian.Uint16(r[10:]))
		c.entries = append(c.entries, entry{tag: r[8], labels: int(r[9]), code: int(code[id]), text: r[12:][:size]})
		r = r[12+size:]
	}
	return c.entries
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
		c.codes = binary.LittleEndian.AppendUint32(c.codes, uint32(pairs[id].tuple))
	}
	return code
}
