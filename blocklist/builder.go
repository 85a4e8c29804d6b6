package blocklist

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Errors of a Builder.
var (
	ErrLists = errors.New("lists that one set cannot hold")
	ErrSpent = errors.New("builder used after its set was built")
)

// Builder gathers the rules of some lists, in any order, and makes one Set of them. It is for one goroutine and one Set:
// Build or WriteFile ends it. Sorted runs of rules wait in an unnamed file in a folder of the caller's choice, or in
// memory; beside them a build takes about 60 MB and eight bytes for each name.
type Builder struct {
	lists  []Info
	err    error // that ends all
	draft  draft
	spill  spill
	sample [][]byte
}

// NewBuilder begins a set of these lists: at most MaxLists, each with a name of its own. Errors in them show in every
// other method. Where there are many rules, they are sorted in pieces in a file in tmpDir, or in memory if it is "".
func NewBuilder(lists []Info, tmpDir string) *Builder {
	b := &Builder{lists: slices.Clone(lists), spill: spill{dir: tmpDir}, draft: draft{most: runRules}}
	if len(lists) > MaxLists {
		b.err = fmt.Errorf("%w: %d, where %d is the most", ErrLists, len(lists), MaxLists)
	}
	seen := map[string]bool{}
	for i := range b.lists {
		if name := b.lists[i].Name; seen[name] {
			b.err = fmt.Errorf("%w: two named %q", ErrLists, name)
		} else {
			seen[name] = true
		}
		b.lists[i].Rules = 0
	}
	return b
}

// Add takes one rule of the list with this index. A rule may come more than once. An error other than ErrSpent, or that
// of a full disk, is about this rule alone: ErrRoot, or what is wrong with its name.
func (b *Builder) Add(list int, r Rule) error {
	if b.err != nil {
		return b.err
	}
	if list < 0 || list >= len(b.lists) {
		return fmt.Errorf("%w: index %d of %d", ErrLists, list, len(b.lists))
	}
	if r.Scope > Below {
		return fmt.Errorf("rule for %q: scope %d is none", r.Name, uint8(r.Scope))
	}
	d := &b.draft
	at := len(d.keys)
	keys, err := appendName(d.keys, r.Name)
	if err != nil {
		return fmt.Errorf("rule for %q: %w", r.Name, err)
	}
	d.keys = keys
	d.rules = append(d.rules, draftRule{
		at: uint32(at), size: uint16(len(keys) - at), rule: newRuleCode(list, r.Scope, r.Except),
	})
	if d.full() {
		b.err = b.endRun()
	}
	return b.err
}

// endRun puts the rules gathered so far away, sorted.
func (b *Builder) endRun() error {
	b.draft.sort()
	err := b.spill.add(&b.draft, func(end []byte) { b.sample = append(b.sample, bytes.Clone(end)) })
	b.draft.keys, b.draft.rules = b.draft.keys[:0], b.draft.rules[:0]
	return err
}

// Build makes the set in memory.
func (b *Builder) Build() (*Set, error) {
	var out memory
	head, err := b.finish(&out)
	if err != nil {
		return nil, fmt.Errorf("building a set: %w", err)
	}
	return open(out.join(head))
}

// finish writes all of the set but its head.
func (b *Builder) finish(out sink) (head []byte, err error) {
	if b.err != nil {
		return nil, b.err
	}
	if err = b.endRun(); err != nil {
		return nil, err
	}
	b.err, b.draft = ErrSpent, draft{}
	defer b.spill.close()
	w := newImage(out)
	c := compiler{lists: b.lists, tuples: map[tuple]int{}, filter: [][]filterKey{nil}}
	c.pager = pager{symbols: learn(b.sample), emit: func(page []byte) error { return w.write(page) }}
	b.sample = nil
	if err := b.spill.merged(c.take); err != nil {
		return nil, err
	}
	if err := c.endName(); err != nil {
		return nil, err
	}
	if err := c.pager.flush(); err != nil {
		return nil, err
	}
	return w.finish(&c)
}

// compiler turns the ordered stream of rules into pages and all that leads to them.
type compiler struct {
	lists []Info
	pager pager

	key    []byte // the name whose rules come in
	rules  tuple
	above  []ancestor // names kept that are above placed, from the root down, itself included
	placed []byte     // the name last kept

	names   int
	tuples  map[tuple]int
	ordered []byte // the tuples in file form
	tops    [][]byte
	index   []byte
	filter  [][]filterKey // of names of two labels or more, in pieces, so that growing copies none
	single  []filterKey   // of names of one label
	ghosts  []ghost
}

// ancestor is a name above the one at work.
type ancestor struct {
	ghost
	rules tuple // at it and above
}

// take takes the next rule.
func (c *compiler) take(key []byte, r ruleCode) error {
	c.lists[r.list()].Rules++
	if !bytes.Equal(key, c.key) {
		if err := c.endName(); err != nil {
			return err
		}
		c.key, c.rules = append(c.key[:0], key...), tuple{}
	}
	c.rules.add(r.list(), r.scope(), r.except())
	return nil
}

// endName puts the name whose rules have all come in into the radix, unless they add nothing.
func (c *compiler) endName() error {
	if len(c.key) == 0 {
		return nil
	}
	for len(c.above) > 0 {
		size := c.above[len(c.above)-1].size
		if size < len(c.key) && c.key[size] == border && bytes.Equal(c.placed[:size], c.key[:size]) {
			break
		}
		c.above = c.above[:len(c.above)-1]
	}
	var above tuple
	if n := len(c.above); n > 0 {
		above = c.above[n-1].rules
	}
	rules := c.rules.without(above)
	if rules == (tuple{}) {
		return nil
	}
	id, ok := c.tuples[rules]
	if !ok {
		id = len(c.tuples)
		c.tuples[rules] = id
		c.ordered = rules.appendTo(c.ordered)
	}
	if err := c.place(id); err != nil {
		return err
	}
	c.placed = append(c.placed[:0], c.key...)
	c.above = append(c.above, ancestor{ghost{len(c.key), id}, rules.or(above)})
	return nil
}

// place writes the name with its tuple, and what leads to it.
func (c *compiler) place(id int) error {
	first, _, _ := bytes.Cut(c.key, []byte{border})
	if n := len(c.tops); n == 0 || !bytes.Equal(c.tops[n-1], first) {
		c.tops = append(c.tops, bytes.Clone(first))
	}
	c.ghosts = c.ghosts[:0]
	for _, a := range c.above {
		c.ghosts = append(c.ghosts, a.ghost)
	}
	opens, err := c.pager.add(c.key, id, c.ghosts)
	if err != nil {
		return err
	}
	if opens {
		c.index = binary.LittleEndian.AppendUint64(c.index, pageCode(len(c.tops)-1, c.key, len(first)))
	}
	c.names++
	h := hashKey(c.key)
	k := newFilterKey(h.line, h.whole)
	if h.depth == 1 {
		c.single = append(c.single, k)
		return nil
	}
	const piece = 1 << 16
	last := len(c.filter) - 1
	if len(c.filter[last]) == piece {
		c.filter = append(c.filter, make([]filterKey, 0, piece))
		last++
	}
	c.filter[last] = append(c.filter[last], k)
	return nil
}
