package blocklist_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"schoolgate/blocklist"
	"schoolgate/blocklist/domain"
)

func lists(names ...string) []blocklist.Info {
	l := make([]blocklist.Info, len(names))
	for i, n := range names {
		l[i].Name = n
	}
	return l
}

func numbered(n int) []blocklist.Info {
	l := make([]blocklist.Info, n)
	for i := range l {
		l[i].Name = fmt.Sprintf("list-%d", i)
	}
	return l
}

func lookup(t testing.TB, s *blocklist.Set, n domain.Name) blocklist.Mask {
	t.Helper()
	var w domain.Wire
	if err := w.SetName(n); err != nil {
		t.Fatalf("wire form of %q: %v", n, err)
	}
	return s.Lookup(&w)
}

func mask(lists ...int) (m blocklist.Mask) {
	for _, i := range lists {
		m.Add(i)
	}
	return m
}

func TestLookup(t *testing.T) {
	const a, b, c = 0, 1, 127
	b0 := blocklist.NewBuilder(numbered(128), "")
	for _, r := range []listRule{
		{a, blocklist.Rule{Name: "bad.example"}},
		{b, blocklist.Rule{Name: "bad.example", Scope: blocklist.Exact}},
		{c, blocklist.Rule{Name: "bad.example", Scope: blocklist.Below}},
		{a, blocklist.Rule{Name: "good.bad.example", Except: true}},
		{a, blocklist.Rule{Name: "worse.good.bad.example"}},
		{b, blocklist.Rule{Name: "mixed.example"}},
		{b, blocklist.Rule{Name: "mixed.example", Scope: blocklist.Exact, Except: true}},
		{c, blocklist.Rule{Name: "mixed.example"}},
		{c, blocklist.Rule{Name: "mixed.example", Scope: blocklist.Below, Except: true}},
		{a, blocklist.Rule{Name: "test"}},
		{a, blocklist.Rule{Name: `a\046b.example`}},
		{a, blocklist.Rule{Name: `\000.zero.example`}},
		{b, blocklist.Rule{Name: `\001.zero.example`}},
	} {
		if err := b0.Add(r.list, r.rule); err != nil {
			if strings.Contains(string(r.rule.Name), `\.`) {
				continue // no canonical name
			}
			t.Fatal(err)
		}
	}
	s, err := b0.Build()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[domain.Name]blocklist.Mask{
		"":                         mask(),
		"example":                  mask(),
		"bad.example":              mask(a, b),
		"www.bad.example":          mask(a, c),
		"a.b.c.d.e.bad.example":    mask(a, c),
		"notbad.example":           mask(),
		"bad.example.org":          mask(),
		"ad.example":               mask(),
		"bad-example":              mask(),
		"bad.examples":             mask(),
		"good.bad.example":         mask(c),
		"x.good.bad.example":       mask(c),
		"worse.good.bad.example":   mask(c),
		"x.worse.good.bad.example": mask(c),
		"mixed.example":            mask(c),
		"x.mixed.example":          mask(b),
		"test":                     mask(a),
		"any.thing.test":           mask(a),
		`a\046b.example`:           mask(a),
		`x.a\046b.example`:         mask(a),
		`a.b.example`:              mask(),
		`b.example`:                mask(),
		`\000.zero.example`:        mask(a),
		`\001.zero.example`:        mask(b),
		`\002.zero.example`:        mask(),
		`\001\001.zero.example`:    mask(),
		`\255.zero.example`:        mask(),
	} {
		if got := lookup(t, s, name); got != want {
			t.Errorf("Lookup(%q) = %x, want %x", name, got, want)
		}
	}
}

func TestWhy(t *testing.T) {
	b := blocklist.NewBuilder(lists("one", "two", "three"), "")
	for _, r := range []listRule{
		{0, blocklist.Rule{Name: "example"}},
		{1, blocklist.Rule{Name: "bad.example"}},
		{2, blocklist.Rule{Name: "bad.example"}},
		{0, blocklist.Rule{Name: "bad.example", Except: true}},
		{0, blocklist.Rule{Name: "www.bad.example"}}, // adds nothing
		{2, blocklist.Rule{Name: "www.bad.example", Scope: blocklist.Below}},
		{2, blocklist.Rule{Name: "www.bad.example", Scope: blocklist.Exact, Except: true}},
		{1, blocklist.Rule{Name: "below.example", Scope: blocklist.Below}},
		{1, blocklist.Rule{Name: "exact.example", Scope: blocklist.Exact}},
	} {
		if err := b.Add(r.list, r.rule); err != nil {
			t.Fatal(err)
		}
	}
	s, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	root := blocklist.Hit{Rule: blocklist.Rule{Name: "example"}, Lists: mask(0)}
	for name, want := range map[domain.Name][]blocklist.Hit{
		"":        nil,
		"other":   nil,
		"example": {root},
		"www.bad.example": {
			root,
			{Rule: blocklist.Rule{Name: "bad.example"}, Lists: mask(1, 2)},
			{Rule: blocklist.Rule{Name: "bad.example", Except: true}, Lists: mask(0)},
			{Rule: blocklist.Rule{Name: "www.bad.example", Scope: blocklist.Exact, Except: true}, Lists: mask(2)},
		},
		"below.example":   {root},
		"x.below.example": {root, {Rule: blocklist.Rule{Name: "below.example", Scope: blocklist.Below}, Lists: mask(1)}},
		"exact.example":   {root, {Rule: blocklist.Rule{Name: "exact.example", Scope: blocklist.Exact}, Lists: mask(1)}},
		"x.exact.example": {root},
	} {
		if diff := cmp.Diff(want, s.Why(name)); diff != "" {
			t.Errorf("Why(%q): (-want +got)\n%s", name, diff)
		}
	}
	want := []int{3, 3, 3}
	for i, l := range s.Lists() {
		if l.Rules != want[i] {
			t.Errorf("list %q has %d rules, want %d", l.Name, l.Rules, want[i])
		}
	}
}

// labels are few, alike, and some of them odd, so that names meet, nest and share what they can.
var labels = []string{
	"a", "b", "ab", "a-b", "a_b", "abc", "0", "www", "w", "example", "examples", `\000`, `\001`, `\001\001`, `\002`, `-\046`, `\255`, `z\255`,
	"xn--abc", strings.Repeat("long", 15) + "end",
}

func nameGen() *rapid.Generator[domain.Name] {
	label := rapid.SampledFrom(labels)
	return rapid.Custom(func(t *rapid.T) domain.Name {
		n := strings.Join(rapid.SliceOfN(label, 1, 4).Draw(t, "labels"), ".")
		if rapid.IntRange(0, 9).Draw(t, "deep") == 0 {
			n = strings.Repeat("a.", rapid.IntRange(0, 60).Draw(t, "depth")) + n
		}
		if _, err := domain.Name(n).AppendWire(nil); err != nil {
			n = "a.b"
		}
		return domain.Name(n)
	})
}

// made is a random set of rules with what the oracle needs to know of it.
type made struct {
	lists int
	run   int        // bytes that are put away at once
	crowd int        // names in a bucket
	seed  uint64     // of hashes
	rules []listRule // in the order of adding, with duplicates
	names []domain.Name
}

func madeGen(most int) *rapid.Generator[made] {
	name := nameGen()
	return rapid.Custom(func(t *rapid.T) made {
		m := made{lists: rapid.SampledFrom([]int{1, 2, 3, 128}).Draw(t, "lists")}
		m.run = rapid.SampledFrom([]int{1, 2, 7, 1000}).Draw(t, "run")
		m.crowd = rapid.SampledFrom([]int{1, 8, 1000}).Draw(t, "crowd")
		m.seed = rapid.Uint64Min(1).Draw(t, "seed")
		rule := rapid.Custom(func(t *rapid.T) listRule {
			return listRule{
				list: rapid.IntRange(0, m.lists-1).Draw(t, "list"),
				rule: blocklist.Rule{
					Name:   name.Draw(t, "name"),
					Scope:  blocklist.Scope(rapid.IntRange(0, 2).Draw(t, "scope")),
					Except: rapid.IntRange(0, 3).Draw(t, "except") == 0,
				},
			}
		})
		m.rules = rapid.SliceOfN(rule, 0, most).Draw(t, "rules")
		m.names = rapid.SliceOfN(name, 1, 20).Draw(t, "names")
		for _, r := range m.rules {
			n := r.rule.Name
			m.names = append(m.names, n, "www."+n)
			if p, ok := n.Parent(); ok {
				m.names = append(m.names, p)
			}
		}
		m.names = slices.DeleteFunc(m.names, func(n domain.Name) bool {
			_, err := n.AppendWire(nil)
			return err != nil
		})
		return m
	})
}

func (m made) oracle() oracle {
	o := oracle{}
	for _, lr := range m.rules {
		o[lr] = true
	}
	return o
}

func (m made) builder(t fataler, tmpDir string) *blocklist.Builder {
	b := blocklist.NewBuilder(numbered(m.lists), tmpDir).SortInPiecesOf(m.run).CrowdHomes(max(m.crowd, 1)).HashFrom(m.seed)
	for _, lr := range m.rules {
		if err := b.Add(lr.list, lr.rule); err != nil {
			t.Fatalf("adding %v: %v", lr, err)
		}
	}
	return b
}

type fataler interface {
	Helper()
	Fatalf(string, ...any)
	Errorf(string, ...any)
}

// check compares all that a set says with the oracle.
func (m made) check(t fataler, s *blocklist.Set) {
	t.Helper()
	o := m.oracle()
	var w domain.Wire
	kept := o.kept()
	for _, n := range m.names {
		if err := w.SetName(n); err != nil {
			t.Fatalf("wire form of %q: %v", n, err)
		}
		if got, want := s.Lookup(&w), o.lookup(n); got != want {
			t.Errorf("Lookup(%q) = %x, want %x", n, got, want)
		}
		hits := s.Why(n)
		if !slices.IsSortedFunc(hits, func(a, b blocklist.Hit) int { return len(a.Rule.Name) - len(b.Rule.Name) }) {
			t.Errorf("Why(%q) is not from the root down: %v", n, hits)
		}
		want := kept.hits(func(r blocklist.Rule) bool { return speaks(r, n) })
		if diff := cmp.Diff(want, byRule(t, slices.Values(hits))); diff != "" {
			t.Errorf("Why(%q): (-want +got)\n%s", n, diff)
		}
	}
	all := kept.hits(func(blocklist.Rule) bool { return true })
	if diff := cmp.Diff(all, byRule(t, s.All())); diff != "" {
		t.Errorf("All: (-want +got)\n%s", diff)
	}
	names, perList := map[domain.Name]bool{}, make([]int, m.lists)
	for lr := range kept {
		names[lr.rule.Name] = true
	}
	for lr := range o {
		perList[lr.list]++
	}
	if s.Names() != len(names) {
		t.Errorf("Names = %d, want %d", s.Names(), len(names))
	}
	for i, l := range s.Lists() {
		if l.Rules != perList[i] {
			t.Errorf("list %d has %d rules, want %d", i, l.Rules, perList[i])
		}
	}
}

func byRule(t fataler, hits func(func(blocklist.Hit) bool)) map[blocklist.Rule]blocklist.Mask {
	m := map[blocklist.Rule]blocklist.Mask{}
	for h := range hits {
		if _, ok := m[h.Rule]; ok {
			t.Errorf("rule %v came twice", h.Rule)
		}
		m[h.Rule] = h.Lists
	}
	return m
}

func TestSetAgainstOracle(t *testing.T) {
	made := madeGen(120)
	rapid.Check(t, func(t *rapid.T) {
		m := made.Draw(t, "made")
		s, err := m.builder(t, "").Build()
		if err != nil {
			t.Fatalf("building: %v", err)
		}
		m.check(t, s)
	})
}

func TestFileAgainstOracle(t *testing.T) {
	dir := t.TempDir()
	made := madeGen(60)
	rapid.Check(t, func(t *rapid.T) {
		m := made.Draw(t, "made")
		path := filepath.Join(dir, "set")
		if err := m.builder(t, dir).WriteFile(path); err != nil {
			t.Fatalf("writing: %v", err)
		}
		s, err := blocklist.Open(path)
		if err != nil {
			t.Fatalf("opening: %v", err)
		}
		m.check(t, s)
		built, err := m.builder(t, "").Build()
		if err != nil {
			t.Fatalf("building: %v", err)
		}
		var a, b bytes.Buffer
		s.WriteTo(&a)
		built.WriteTo(&b)
		if !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Errorf("the sets written and built differ")
		}
	})
}

// The order of adding must not show in the file, where all rules fit one run.
func TestOrderOfRules(t *testing.T) {
	m := madeGen(200).Example(1)
	m.run = 1000
	want := bytesOf(t, m)
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 5 {
		rnd.Shuffle(len(m.rules), func(i, j int) { m.rules[i], m.rules[j] = m.rules[j], m.rules[i] })
		if bytesOf(t, m) != want {
			t.Error("the same rules in another order made another file")
		}
	}
}

func bytesOf(t *testing.T, m made) string {
	s, err := m.builder(t, "").Build()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if n, err := s.WriteTo(&b); err != nil || n != s.Size() || int(n) != b.Len() {
		t.Fatalf("WriteTo = %d, %v; wrote %d of %d bytes", n, err, b.Len(), s.Size())
	}
	return b.String()
}
