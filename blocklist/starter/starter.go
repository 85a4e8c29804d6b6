// Package starter holds the lists that are built in, one for each category, so that a box filters from its first second,
// before any published list was ever fetched: short lists of well-known sites, and for categories that consist of services
// what the service catalogue has of them. They are no replacement for a published list.
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
	"schoolgate/blocklist/catalogue"
	"schoolgate/blocklist/domain"
	"schoolgate/config"
)

// Each file has one canonical name to a line, sorted; "#" begins a comment.
//
//go:embed *.txt
var files embed.FS

// Categories are those that have a list, in the order of their names. The caller may keep the slice.
func Categories() []string {
	c := append(catalogue.Categories(), config.Pornography, config.Hate, config.Extremism)
	slices.Sort(c)
	return c
}

// Catalogue says whether the list of a category is the service catalogue.
func Catalogue(category string) bool { return slices.Contains(catalogue.Categories(), category) }

// Name is the name of the list of a category: "starter-hate", "catalogue-gaming".
func Name(category string) string {
	if Catalogue(category) {
		return "catalogue-" + category
	}
	return "starter-" + category
}

// Rules gives the rules of a category: each site with all below it. A category without a list has none.
func Rules(category string) iter.Seq[blocklist.Rule] {
	return func(yield func(blocklist.Rule) bool) {
		if !slices.Contains(Categories(), category) {
			return
		}
		for _, n := range names(category) {
			if !yield(blocklist.Rule{Name: domain.Name(n), Scope: blocklist.Subtree}) {
				return
			}
		}
	}
}

func names(category string) (out []string) {
	if Catalogue(category) {
		return catalogue.Names(category)
	}
	text, err := files.ReadFile(category + ".txt")
	if err != nil {
		panic("starter: " + err.Error()) // not built in, which a test rules out
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			out = append(out, line)
		}
	}
	return out
}
