// Package starter holds short lists of well-known sites inside the program, one for each category, so that a box filters
// from its first second, before any published list was ever fetched. They are no replacement for one.
//
// There is no list for the illegal tier, and there never will be one: those lists go to licensed members only (the Internet
// Watch Foundation's) or to filtering providers by the police, and a guess would be worse than none.
package starter

import (
	"embed"
	"iter"
	"slices"
	"strings"

	"schoolgate/blocklist"
	"schoolgate/blocklist/domain"
	"schoolgate/config"
)

// Each file has one canonical name to a line, sorted, "@@" before an exception; "#" begins a comment.
//
//go:embed *.txt
var files embed.FS

// Categories are those that have a starter list, in the order of their names. The caller may keep the slice.
func Categories() []string {
	c := []string{config.Pornography, config.Hate, config.Extremism, config.Gaming, config.SocialMedia, config.Gambling, config.Circumvent}
	slices.Sort(c)
	return c
}

// Rules gives the rules of a category: each site with all below it, and exceptions. A category without a list has none.
func Rules(category string) iter.Seq[blocklist.Rule] {
	return func(yield func(blocklist.Rule) bool) {
		if !slices.Contains(Categories(), category) {
			return
		}
		text, err := files.ReadFile(category + ".txt")
		if err != nil {
			panic("starter: " + err.Error()) // not built in, which a test rules out
		}
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSpace(line)
			if line == "" || line[0] == '#' {
				continue
			}
			name, except := strings.CutPrefix(line, "@@")
			if !yield(blocklist.Rule{Name: domain.Name(name), Scope: blocklist.Subtree, Except: except}) {
				return
			}
		}
	}
}
