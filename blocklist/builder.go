package blocklist

import (
	"errors"
	"fmt"
	"slices"

	"schoolgate/blocklist/domain"
)

// Errors of a Builder.
var (
	ErrLists = errors.New("lists that one set cannot hold")
	ErrSpent = errors.New("builder used after its set was built")
	ErrRoot  = errors.New("rule at the root of all names") // it would speak of every name there is
)

// Builder gathers the rules of some lists, in any order, and makes one Set of them. It is for one goroutine and one Set:
// Build or WriteFile ends it. Rules wait in unnamed files in a folder of the caller's choice, or in memory; beside them a
// build of five million names takes about 70 MB. Names that end with the same two labels are sorted in memory, however many they are.
type Builder struct {
	lists  []Info
	seed   uint64 // of hashes
	err    error  // that ends all
	wire   domain.Wire
	path   []byte
	record []byte
	tops   bins // rules at names of one label
	rules  bins // all others
	sample sample

	perHome int // names in a bucket, on average: homeNames
}

// NewBuilder begins a set of these lists: at most MaxLists, each with a name of its own. Errors in them show in every
// other method. Where there are many rules, they are sorted in pieces in a file in tmpDir, or in memory if it is "".
func NewBuilder(lists []Info, tmpDir string) *Builder {
	b := &Builder{
		lists: slices.Clone(lists), seed: newSeed(),
		tops: newBins(tmpDir), rules: newBins(tmpDir), sample: newSample(), perHome: homeNames,
	}
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

// HashAs makes the set hash names as s does, so that one Key serves both, and returns b. It is called before Add.
func (b *Builder) HashAs(s *Set) *Builder {
	b.seed = s.seed
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
	if r.Name == "" {
		return fmt.Errorf("rule for %q: %w", r.Name, ErrRoot)
	}
	if err := b.wire.SetName(r.Name); err != nil {
		return fmt.Errorf("rule for %q: %w", r.Name, err)
	}
	b.path = appendPath(b.path[:0], &b.wire)
	b.record = appendRule(b.record[:0], siteHash(b.seed, b.path), b.path, newRuleCode(list, r.Scope, r.Except))
	if b.wire.Labels() == 1 {
		b.err = b.tops.add(b.record)
		return b.err
	}
	b.sample.add(hashLabel(b.seed, b.path), b.path)
	b.err = b.rules.add(b.record)
	return b.err
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
	b.err = ErrSpent
	defer b.tops.close()
	defer b.rules.close()
	units := newBins(b.rules.dir)
	units.piece = b.rules.piece
	c := newCompiler(b.lists, b.seed, learn(b.sample.texts()), units, b.perHome)
	defer c.units.close()
	if err := c.read(&b.tops, &b.rules); err != nil {
		return nil, err
	}
	w := newImage(out)
	if err := c.write(w); err != nil {
		return nil, err
	}
	return w.finish(c)
}

// ruleCode is list, scope and exception in one number.
type ruleCode uint16

func newRuleCode(list int, s Scope, except bool) ruleCode {
	c := ruleCode(list)<<3 | ruleCode(s)<<1
	if except {
		c |= 1
	}
	return c
}

func (c ruleCode) list() int    { return int(c >> 3) }
func (c ruleCode) scope() Scope { return Scope(c >> 1 & 3) }
func (c ruleCode) except() bool { return c&1 != 0 }

// sample keeps some of the names that it is shown, which ones does not depend on their order: those of the least hashes.
type sample struct {
	under uint64 // hashes to keep
	kept  []sampled
}

type sampled struct {
	hash uint64
	path string
}

const sampleMost = 1 << 15

func newSample() sample { return sample{under: 1<<64 - 1} }

func (s *sample) add(hash uint64, path []byte) {
	if hash >= s.under {
		return
	}
	s.kept = append(s.kept, sampled{hash, string(path)})
	for len(s.kept) > sampleMost {
		s.under /= 2
		s.kept = slices.DeleteFunc(s.kept, func(k sampled) bool { return k.hash >= s.under })
	}
}

// texts is what entries of the names in the sample code.
func (s *sample) texts() [][]byte {
	var texts [][]byte
	for _, k := range s.kept {
		path := []byte(k.path)
		top, site := firstLabel(path), siteSize(path)
		texts = append(texts, path[top+1:site])
		if site < len(path) {
			left, _ := appendText(nil, path[site:])
			texts = append(texts, append(left, path[top]))
		}
	}
	return texts
}
