// Package pack is the UK schools pack: names that must resolve at a school, written by hand for this program, by theme.
// Lists of games, adult or proxy sites hold many of them by mistake. The pack outranks category lists and nothing else.
//
// It knows no other package, so that any floor can read it: names are text in the canonical form of package domain.
package pack

import (
	"embed"
	"iter"
	"slices"
	"strings"
	"sync"
)

// Each file has a theme: a reason at its head, then one rule to a line, sorted by name; "#" begins a comment.
//
//	name      the name and all below it
//	=name     the name alone: below it others publish what the pack cannot answer for
//	@@name    not in the pack though a name above it is, with all below it
//
//go:embed themes/*.txt popular.txt targets.txt
var files embed.FS

// Rule is one line of the pack.
type Rule struct {
	Name   string
	Exact  bool // the name alone, not what is below it
	Except bool // what is at the name and below it is not in the pack
	Theme  string
}

// Themes names the themes, sorted, in a fresh slice.
func Themes() []string {
	entries, err := files.ReadDir("themes")
	if err != nil {
		panic("pack: " + err.Error()) // not built in, which a test rules out
	}
	themes := make([]string, len(entries))
	for i, e := range entries {
		themes[i] = strings.TrimSuffix(e.Name(), ".txt")
	}
	return themes
}

var rules = sync.OnceValue(read)

// Rules is the whole pack, theme by theme, in a fresh slice.
func Rules() []Rule { return slices.Clone(rules()) }

func read() (out []Rule) {
	for _, theme := range Themes() {
		for line := range lines("themes/" + theme + ".txt") {
			r := Rule{Theme: theme}
			line, r.Except = strings.CutPrefix(line, "@@")
			r.Name, r.Exact = strings.CutPrefix(line, "=")
			out = append(out, r)
		}
	}
	return out
}

// Names is every name that the pack holds, sorted, in a fresh slice: what an update of lists is checked against. Of each
// name everything below it is meant too, unless its rule is exact.
func Names() []string {
	var names []string
	for _, r := range rules() {
		if !r.Except {
			names = append(names, r.Name)
		}
	}
	slices.Sort(names)
	return names
}

// Popular is about a thousand of the sites that people in the United Kingdom use most, in no order that means anything, in
// a fresh slice. They need not resolve: among them are games and social networks that a list rightly holds. A new version
// of a list that suddenly holds many of them deserves a look.
func Popular() []string { return slices.Collect(lines("popular.txt")) }

// Targets is content networks and load balancers, in a fresh slice: as what the answer for another name leads to, no category
// list refuses these names and all below them, save what the pack excepts.
func Targets() []string { return slices.Collect(lines("targets.txt")) }

// Holds finds what the pack says of a name: its theme, and whether it holds the name.
func Holds(name string) (theme string, ok bool) {
	held := ""
	for _, r := range rules() {
		below := strings.HasSuffix(name, "."+r.Name)
		if name != r.Name && (!below || r.Exact) {
			continue
		}
		if r.Except {
			return "", false
		}
		if len(r.Name) > len(held) {
			held, theme = r.Name, r.Theme
		}
	}
	return theme, held != ""
}

// lines yields the lines of a file that say something.
func lines(file string) iter.Seq[string] {
	return func(yield func(string) bool) {
		text, err := files.ReadFile(file)
		if err != nil {
			panic("pack: " + err.Error()) // not built in, which a test rules out
		}
		for line := range strings.Lines(string(text)) {
			line, _, _ = strings.Cut(line, "#")
			if line = strings.TrimSpace(line); line != "" && !yield(line) {
				return
			}
		}
	}
}
