package lookalike

import (
	"bufio"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/idna"
	"pgregory.net/rapid"

	"schoolgate/blocklist/domain"
	"schoolgate/blocklist/pack"
	"schoolgate/blocklist/starter"
)

func TestFind(t *testing.T) {
	for name, want := range map[string]string{
		"robloc.com":           "roblox.com misspelling",
		"www.robloxx.net":      "roblox.com misspelling",
		"roblx.co.uk":          "roblox.com misspelling",
		"rbolox.com":           "roblox.com misspelling",
		"play.rob1ox.com":      "roblox.com homograph",
		"robl0x.com":           "roblox.com homograph",
		"rnotherless.com":      "motherless.com homograph",
		"tvvitch.tv":           "twitch.tv homograph",
		"p0ki.com":             "poki.com homograph",
		"xnxх.com":             "xnxx.com homograph", // the last letter is Cyrillic
		"róblox.com":           "roblox.com homograph",
		"рornhub.com":          "pornhub.com homograph",
		"facebóok.example":     "facebook.com homograph",
		"ροκι.com":             "poki.com homograph",
		"рornhub1.com":         "pornhub.com misspelling",
		"m1necraft.net":        "minecraft.net misspelling",
		"roblox.com":           "",
		"roblox.de":            "", // as it is written: lists and people know it
		"www.minecraft.net":    "",
		"robloxgames.com":      "",
		"xnx.com":              "", // too short to tell
		"robloc.example.com":   "", // of somebody else's site
		"robloc.github.io":     "roblox.com misspelling",
		"com":                  "",
		".":                    "",
		"kinder.com":           "",
		"interest.com":         "",
		"replica.example":      "",
		"пример.бел":           "",
		"bbc.co.uk":            "",
		"xn--99zz99zz99zz.com": "",
		"twitchy.com":          "",
		"finder.com":           "",
	} {
		n, err := domain.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if hit, ok := FindName(n); ok {
			got = hit.Of.String() + " " + hit.Kind.String()
			if hit.Category == "" {
				t.Errorf("%s: no category", name)
			}
		}
		if got != want {
			t.Errorf("%s looks like %q, want %q", name, got, want)
		}
	}
}

// TestKnown: each well-known name is one that the box blocks, by the category that it stands under, and looks like itself.
func TestKnown(t *testing.T) {
	held := map[string][]string{}
	for _, c := range starter.Categories() {
		for r := range starter.Rules(c) {
			held[string(r.Name)] = append(held[string(r.Name)], c)
		}
	}
	names := read().known
	if len(names) < 70 {
		t.Errorf("%d names", len(names))
	}
	for _, h := range names {
		if !slices.Contains(held[string(h.Of)], h.Category) {
			t.Errorf("%s is not on the built-in list of %s", h.Of, h.Category)
		}
		if h.Of.Site() != h.Of {
			t.Errorf("%s is no site", h.Of)
		}
		if hit, ok := FindName(h.Of); ok {
			t.Errorf("%s looks like %s", h.Of, hit.Of)
		}
	}
}

// TestInnocent: none of the names that schools need or that people here use most looks like a blocked one, even if nobody had
// said that they are innocent.
func TestInnocent(t *testing.T) {
	b := read()
	for _, n := range append(pack.Names(), pack.Popular()...) {
		if hit, ok := FindName(domain.Name(n)); ok {
			t.Errorf("%s looks like %s", n, hit.Of)
		}
		label, _, _ := strings.Cut(string(domain.Name(n).Site()), ".")
		if hit, ok := b.label([]byte(label)); ok {
			t.Errorf("%s would look like %s if it were not popular", n, hit.Of)
		}
	}
	for n := range b.innocent {
		if strings.Contains(n, ".") {
			continue
		}
		delete(b.innocent, n)
		_, spared := b.label([]byte(n))
		b.innocent[n] = true
		if !spared {
			t.Errorf("%q is innocent of nothing", n)
		}
	}
}

// TestPopular: of the hundred thousand names that the world uses most, fewer than one in a thousand looks like a blocked one.
func TestPopular(t *testing.T) {
	const file = "../../../shared/data/groundtruth/tranco-100k.csv.zst"
	if _, err := os.Stat(file); err != nil {
		t.Skip("the shared test data is not here: ", err)
	}
	text, err := exec.Command("zstdcat", file).Output()
	if err != nil {
		t.Skip("zstdcat (package zstd) is not here: ", err)
	}
	all, found := 0, 0
	for s := bufio.NewScanner(strings.NewReader(string(text))); s.Scan(); all++ {
		name := s.Text()[strings.LastIndexByte(s.Text(), ',')+1:]
		if n, err := domain.Parse(name); err == nil {
			if _, ok := FindName(n); ok {
				found++
			}
		}
	}
	t.Logf("%d of %d", found, all)
	if found > 80 {
		t.Errorf("%d of %d names look like blocked ones", found, all)
	}
}

// TestOneLetter: whatever one letter is made of, the name is found, unless that makes it another well-known or innocent one.
func TestOneLetter(t *testing.T) {
	b := read()
	rapid.Check(t, func(t *rapid.T) {
		e := rapid.SampledFrom(b.known).Draw(t, "known")
		l := []byte(e.label)
		at, letter := rapid.IntRange(0, len(l)-1).Draw(t, "at"), rapid.Byte().Filter(func(c byte) bool { return 'a' <= c && c <= 'z' }).Draw(t, "letter")
		switch rapid.IntRange(0, 3).Draw(t, "edit") {
		case 0:
			l[at] = letter
		case 1:
			l = slices.Insert(l, at, letter)
		case 2:
			l = slices.Delete(l, at, at+1)
		case 3:
			if at > 0 {
				l[at], l[at-1] = l[at-1], l[at]
			}
		}
		if len(e.label) < leastMisspelt || b.labels[string(l)] || b.innocent[string(l)] {
			t.Skip("another name")
		}
		if _, ok := FindName(domain.Name(string(l) + ".example")); !ok {
			t.Fatalf("%s does not look like %s", l, e.label)
		}
	})
}

func TestOneOff(t *testing.T) {
	for _, pair := range [][2]string{{"roblox", "roblo"}, {"roblox", "robloxx"}, {"roblox", "roblos"}, {"roblox", "rolbox"}, {"aa", "a"}, {"ab", "ba"}} {
		if !oneOff([]byte(pair[0]), pair[1]) || !oneOff([]byte(pair[1]), pair[0]) {
			t.Errorf("%v are not one letter apart", pair)
		}
	}
	for _, pair := range [][2]string{{"roblox", "roblox"}, {"roblox", "robl"}, {"roblox", "xobloxx"}, {"abc", "cba"}, {"abcd", "badc"}} {
		if oneOff([]byte(pair[0]), pair[1]) || oneOff([]byte(pair[1]), pair[0]) {
			t.Errorf("%v are one letter apart", pair)
		}
	}
}

func TestFindDoesNotAllocate(t *testing.T) {
	for _, name := range []domain.Name{"www.bbc.co.uk", "edge.example.com", "a.very.long.name.of-many-labels.example.org"} {
		var w domain.Wire
		if err := w.SetName(name); err != nil {
			t.Fatal(err)
		}
		if got := testing.AllocsPerRun(100, func() { Find(&w) }); got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}

func FuzzFind(f *testing.F) {
	for _, s := range []string{"rob1ox.com", "xn--rblox-0ra.com", "xn--.com", "a.b", "xn--a-xn--b.c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := domain.Parse(s)
		if err != nil {
			return
		}
		if hit, ok := FindName(n); ok && (hit.Of == "" || n.Within(hit.Of)) {
			t.Errorf("%q looks like %q", n, hit.Of)
		}
		if label, err := idna.Punycode.ToASCII(s); err == nil && len(label) < domain.MaxLabel {
			latin(label)
		}
	})
}

func BenchmarkFind(b *testing.B) {
	var w domain.Wire
	if err := w.SetName("www.phonicsplay.co.uk"); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		Find(&w)
	}
}
