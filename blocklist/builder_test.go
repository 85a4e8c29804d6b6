package blocklist_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"schoolgate/blocklist"
	"schoolgate/blocklist/domain"
)

func TestAddErrors(t *testing.T) {
	b := blocklist.NewBuilder(lists("one"), "")
	for _, c := range []struct {
		list int
		rule blocklist.Rule
		want error
	}{
		{0, blocklist.Rule{}, blocklist.ErrRoot},
		{1, blocklist.Rule{Name: "a"}, blocklist.ErrLists},
		{-1, blocklist.Rule{Name: "a"}, blocklist.ErrLists},
		{0, blocklist.Rule{Name: "a..b"}, domain.ErrEmptyLabel},
		{0, blocklist.Rule{Name: ".a"}, domain.ErrEmptyLabel},
		{0, blocklist.Rule{Name: "a."}, domain.ErrEmptyLabel},
		{0, blocklist.Rule{Name: domain.Name(strings.Repeat("a", 64))}, domain.ErrLongLabel},
		{0, blocklist.Rule{Name: domain.Name(strings.Repeat("a.", 127) + "a")}, domain.ErrLongName},
		{0, blocklist.Rule{Name: `a\0`}, domain.ErrCharacter},
	} {
		if err := b.Add(c.list, c.rule); !errors.Is(err, c.want) {
			t.Errorf("Add(%d, %v): %v, want %v", c.list, c.rule, err, c.want)
		}
	}
	if err := b.Add(0, blocklist.Rule{Name: "a", Scope: 3}); err == nil {
		t.Error("a scope that is none was taken")
	}
	if err := b.Add(0, blocklist.Rule{Name: "fine.example"}); err != nil {
		t.Errorf("after errors, a good rule: %v", err)
	}
	s, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	if s.Names() != 1 {
		t.Errorf("%d names, want the good one alone", s.Names())
	}
	if err := b.Add(0, blocklist.Rule{Name: "late.example"}); !errors.Is(err, blocklist.ErrSpent) {
		t.Errorf("Add after Build: %v", err)
	}
	if _, err := b.Build(); !errors.Is(err, blocklist.ErrSpent) {
		t.Errorf("Build twice: %v", err)
	}
}

func TestNewBuilderErrors(t *testing.T) {
	for _, l := range [][]blocklist.Info{numbered(129), lists("one", "two", "one")} {
		b := blocklist.NewBuilder(l, "")
		if err := b.Add(0, blocklist.Rule{Name: "a"}); !errors.Is(err, blocklist.ErrLists) {
			t.Errorf("%d lists: Add: %v", len(l), err)
		}
		if _, err := b.Build(); !errors.Is(err, blocklist.ErrLists) {
			t.Errorf("%d lists: Build: %v", len(l), err)
		}
	}
	b := blocklist.NewBuilder(lists("one"), filepath.Join(t.TempDir(), "no folder")).SortInPiecesOf(1)
	if err := errors.Join(b.Add(0, blocklist.Rule{Name: "a.example"}), b.Add(0, blocklist.Rule{Name: "b.a.example"})); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("rules put away in no folder: %v", err)
	}
	if _, err := b.Build(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a set built in no folder: %v", err)
	}
}

// invent makes n names as lists hold them: most directly below a few endings, some deeper, many alike.
func invent(n int) []domain.Name {
	rnd := rand.New(rand.NewPCG(5, 6))
	syllables := []string{"ba", "co", "di", "fun", "ga", "ho", "ki", "lu", "me", "no", "play", "ru", "sto", "ti", "vi", "x", "-", "24"}
	word := func(most int) string {
		var b strings.Builder
		b.WriteString("q")
		for range 2 + rnd.IntN(most) {
			b.WriteString(syllables[rnd.IntN(len(syllables))])
		}
		b.WriteString("z")
		return b.String()
	}
	tops := []string{"com", "com", "com", "net", "org", "example", "co.test", "blog.invalid"}
	names := make([]domain.Name, n)
	for i := range names {
		name := word(4) + "." + tops[rnd.IntN(len(tops))]
		for rnd.IntN(5) == 0 {
			name = word(1) + "." + name
		}
		names[i] = domain.Name(name)
	}
	return names
}

// Many names, in several runs, say the same through a file as through a map.
func TestManyNames(t *testing.T) {
	names := invent(200_000)
	dir := t.TempDir()
	b := blocklist.NewBuilder(numbered(3), dir).SortInPiecesOf(1_000)
	held := make(map[domain.Name]uint8, len(names))
	for i, n := range names {
		if err := b.Add(i%3, blocklist.Rule{Name: n}); err != nil {
			t.Fatal(err)
		}
		held[n] |= 1 << (i % 3)
	}
	path := filepath.Join(dir, "set")
	if err := b.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	s, err := blocklist.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(n domain.Name) {
		var want blocklist.Mask
		for up, ok := n, true; ok; up, ok = up.Parent() {
			want[0] |= uint64(held[up])
		}
		if got := lookup(t, s, n); got != want {
			t.Errorf("Lookup(%q) = %x, want %x", n, got, want)
		}
	}
	for _, n := range names[:50_000] {
		check(n)
		check("x." + n)
		check(n[1:])
		check(n[:1] + "y" + n[1:])
	}
	if perName := float64(s.Size()) / float64(s.Names()); perName > 9 {
		t.Errorf("%.2f bytes for a name, want at most 9", perName)
	}
}

func TestBytesPerName(t *testing.T) {
	names := invent(100_000)
	b := blocklist.NewBuilder(numbered(8), "")
	rnd := rand.New(rand.NewPCG(7, 8))
	for _, n := range names {
		if err := b.Add(rnd.IntN(8)&rnd.IntN(8), blocklist.Rule{Name: n}); err != nil {
			t.Fatal(err)
		}
	}
	s, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	perName := float64(s.Size()) / float64(s.Names())
	t.Logf("%.2f bytes for a name", perName)
	if perName > 12 {
		t.Errorf("%.2f bytes for a name, want at most 12", perName)
	}
}

func TestLookupAllocations(t *testing.T) {
	b := blocklist.NewBuilder(lists("one"), "")
	odd := domain.Name(strings.Repeat(`\000\001.`, 60) + "example")
	for _, n := range []domain.Name{"bad.example", odd} {
		if err := b.Add(0, blocklist.Rule{Name: n}); err != nil {
			t.Fatal(err)
		}
	}
	s, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	for name, blocked := range map[domain.Name]bool{"bad.example": true, "a.b.c.bad.example": true, "good.example": false, odd: true} {
		var w domain.Wire
		if err := w.SetName(name); err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() {
			if s.Lookup(&w).Empty() == blocked {
				t.Errorf("%q: blocked = %v", name, !blocked)
			}
		}); n != 0 {
			t.Errorf("Lookup(%q) allocates %v times", name, n)
		}
	}
}

func Example() {
	b := blocklist.NewBuilder([]blocklist.Info{{Name: "adult"}, {Name: "games"}}, "")
	for _, r := range []struct {
		list int
		rule blocklist.Rule
	}{
		{0, blocklist.Rule{Name: "bad.example"}},
		{1, blocklist.Rule{Name: "bad.example"}},
		{1, blocklist.Rule{Name: "learn.bad.example", Except: true}},
	} {
		if err := b.Add(r.list, r.rule); err != nil {
			fmt.Println(err)
			return
		}
	}
	set, err := b.Build()
	if err != nil {
		fmt.Println(err)
		return
	}
	var w domain.Wire
	for _, name := range []domain.Name{"www.bad.example", "learn.bad.example", "notbad.example"} {
		if err := w.SetName(name); err != nil {
			fmt.Println(err)
			return
		}
		mask := set.Lookup(&w)
		fmt.Print(name, ":")
		for i, list := range set.Lists() {
			if mask.Has(i) {
				fmt.Print(" ", list.Name)
			}
		}
		fmt.Println()
	}
	for _, hit := range set.Why("learn.bad.example") {
		fmt.Println(hit.Rule.Name, hit.Rule.Scope, hit.Rule.Except)
	}
	// Output:
	// www.bad.example: adult games
	// learn.bad.example: adult
	// notbad.example:
	// bad.example subtree false
	// learn.bad.example subtree true
}
