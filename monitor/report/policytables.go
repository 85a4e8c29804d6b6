package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"schoolgate/config"
)

func (c *count) listsTable() table {
	t := table{
		ID: "lists", Caption: "Lists in use when this report was made", Keys: 1, Empty: "No list was given to this report.",
		Head: []column{col("List"), col("Category"), numCol("Entries"), col("Last found current"), col("Problem")},
	}
	for _, l := range c.site.Lists {
		row := []cell{text(l.Name), named(kind{category: l.Category}.label(), l.Category), num(int64(l.Entries)), text("not known"), text(orNone(l.Problem, "none known"))}
		if l.BuiltIn {
			row[3] = text("built in")
		}
		if l.Entries == 0 {
			row[2] = text("not known")
		}
		if !l.Fetched.IsZero() {
			row[3] = momentCell(l.Fetched, c.cal.loc)
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

// configured says whether there should be a list of a category.
func (c *count) configured(category string) bool {
	return slices.ContainsFunc(c.site.Lists, func(l List) bool { return l.Category == category })
}

// loaded says whether a list of a category is known to hold anything.
func (c *count) loaded(category string) bool {
	return slices.ContainsFunc(c.site.Lists, func(l List) bool { return l.Category == category && l.Entries > 0 })
}

func (c *count) policyTable() table {
	t := table{
		ID: "policy", Caption: "What each group may use, when this report was made", Keys: 1, Empty: "No policy was given to this report.",
		Head: []column{col("Group"), col("Refused"), col("Searches"), col("At certain hours")},
		Note: "The illegal tier is refused to everyone in any case.",
	}
	if !c.loaded(config.IllegalTier) {
		t.Note = "The illegal tier would be refused to everyone, but no list of it is loaded."
	}
	for _, g := range c.site.Groups {
		name := g.Name
		if name == c.site.Default {
			name += " (also every unknown device)"
		}
		t.Rows = append(t.Rows, []cell{named(name, g.Name), text(refuses(g)), text(searches(g)), lines(hours(g))})
	}
	return t
}

// labels are the words of the page for categories.
func labels(categories []string) []string {
	var all []string
	for _, c := range categories {
		all = append(all, kind{category: c}.label())
	}
	return all
}

func refuses(g config.Group) string {
	if !g.Internet {
		return "everything: the internet is switched off for this group"
	}
	s := strings.Join(labels(g.Block), ", ")
	if g.AllowOnly {
		s = "everything but " + count1(len(g.Approved)+len(g.Allow), "approved name")
	}
	if n := len(g.Deny); n > 0 {
		s += "; and " + count1(n, "name") + " of its own"
	}
	if n := len(g.Allow); n > 0 && !g.AllowOnly {
		s += "; but " + count1(n, "name") + " allowed as an exception"
	}
	return orNone(s, "nothing but the illegal tier")
}

func searches(g config.Group) string {
	s := "as the person sets them"
	if g.SafeSearch {
		s = "the safe form of the engines that have one, the others refused, for devices that ask this box"
		if len(g.SafeSearchExcept) > 0 {
			s += "; but " + strings.Join(g.SafeSearchExcept, ", ") + " as the person sets them"
		}
	}
	switch g.YouTube {
	case config.YouTubeStrict:
		s += "; YouTube strictly restricted"
	case config.YouTubeModerate:
		s += "; YouTube moderately restricted"
	case config.YouTubeBlocked:
		s += "; YouTube refused"
	case config.YouTubeOff:
	}
	return s
}

func hours(g config.Group) string {
	var all []string
	for _, h := range g.Hours {
		days := "every day"
		if len(h.Days) > 0 {
			var names []string
			for _, d := range h.Days {
				names = append(names, time.Weekday(d).String())
			}
			days = strings.Join(names, ", ")
		}
		var what []string
		if len(h.Block) > 0 {
			what = append(what, "also refused: "+strings.Join(labels(h.Block), ", "))
		}
		if len(h.Allow) > 0 {
			what = append(what, "not refused: "+strings.Join(labels(h.Allow), ", "))
		}
		all = append(all, fmt.Sprintf("%s, %s to %s: %s", days, h.From, h.To, strings.Join(what, "; ")))
	}
	return strings.Join(all, "\n")
}
