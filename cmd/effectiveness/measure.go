package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"schoolgate/blocklist/domain"
	"schoolgate/blocklist/pack"
	"schoolgate/resolver/query"
)

// target is a share that a configuration has to refuse: of CitizenLab's label, or of the probes of that kind.
type target struct {
	probes bool
	label  string
	what   string
	of     int // at least need of every of; 0: none is set
	need   int
}

var targets = []target{
	{false, "PORN", "pornography", 100, 73},
	{false, "GMB", "gambling", 100, 40},
	{false, "GAME", "games", 100, 40},
	{false, "DATE", "dating", 0, 0},
	{false, "GRP", "social networks", 0, 0},
	{false, "ANON", "circumvention", 0, 0},
	{false, "HATE", "hate speech", 0, 0},
	{true, "adult", "adult sites", 0, 0},
	{true, "doh", "encrypted DNS", 1, 1},
	{true, "vpn", "VPNs and proxies", 38, 34},
	{true, "gambling", "gambling", 1, 1},
	{true, "social", "social networks", 35, 33},
	{true, "games", "games", 0, 0},
}

// untouched are labels of what a filter for pupils has no business with.
var untouched = []string{"XED", "LGBT", "PUBH", "HUMR", "REL", "CULTR", "ENV", "GOVT", "NEWS"}

// share is what was refused of some names, and by what.
type share struct {
	target
	total, blocked       int
	lists, both, program int // refused names that published lists alone hold, both, what is built in alone
	neither              int // refused by another rule: canaries, safe search
	missed               []domain.Name
}

// met says whether enough was refused.
func (s share) met() bool { return s.blocked*s.of >= s.total*s.need }

// result is all that was measured.
type result struct {
	sources   []source
	shares    []share
	open      []share // of untouched
	paths     int
	allow     int
	wronged   []judged // names that must resolve and are refused
	saved     int      // names that must resolve, on lists, and let through by the pack
	popular   map[string]int
	popularOf int
	own       []judged // of the pack's popular names
	ownOf     int
}

// judged is a name that was refused.
type judged struct {
	name    domain.Name
	verdict query.Verdict
}

func measure(b *box, t *truth) *result {
	r := &result{sources: b.sources, paths: t.paths, popular: map[string]int{}}
	for _, target := range targets {
		names := t.labels[target.label]
		if target.probes {
			names = t.probes[target.label]
		}
		if len(names) > 0 {
			r.shares = append(r.shares, b.share(target, names))
		}
	}
	for _, label := range untouched {
		if len(t.labels[label]) > 0 {
			r.open = append(r.open, b.share(target{label: label}, t.labels[label]))
		}
	}
	for _, n := range t.allow {
		f, err := b.ask(n)
		if err != nil {
			continue
		}
		r.allow++
		if f.Blocked() {
			r.wronged = append(r.wronged, judged{n, f.Verdict})
		} else if f.Rule == query.SchoolsPack && f.published {
			r.saved++
		}
	}
	for _, n := range t.popular[:min(len(t.popular), 10_000)] {
		if f, err := b.ask(n); err == nil {
			r.popularOf++
			if f.Blocked() {
				r.popular[cmp.Or(f.Category, f.Rule.String())]++
			}
		}
	}
	for _, n := range pack.Popular() {
		if f, err := b.ask(domain.Name(n)); err == nil {
			r.ownOf++
			if f.Blocked() {
				r.own = append(r.own, judged{domain.Name(n), f.Verdict})
			}
		}
	}
	return r
}

func (b *box) share(t target, names []domain.Name) share {
	s := share{target: t}
	for _, n := range names {
		f, err := b.ask(n)
		if err != nil {
			continue
		}
		s.total++
		switch {
		case !f.Blocked():
			s.missed = append(s.missed, n)
			continue
		case f.published && f.builtIn:
			s.both++
		case f.published:
			s.lists++
		case f.builtIn:
			s.program++
		default:
			s.neither++
		}
		s.blocked++
	}
	return s
}

// met says whether every target is met and no name that must resolve is refused.
func (r *result) met() bool {
	return len(r.wronged) == 0 && !slices.ContainsFunc(r.shares, func(s share) bool { return !s.met() })
}

func (r *result) print(out io.Writer) {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "LIST\tCATEGORY\tENTRIES\tREAD FROM")
	for _, s := range r.sources {
		from := s.file
		if s.note != "" {
			from = strings.TrimPrefix(from+": "+s.note, ": ")
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", s.list, s.category, s.rules, from)
	}
	fmt.Fprintf(w, "\nTO BE REFUSED\t\tREFUSED\tSHARE\tTARGET\tMET\tBY LISTS ALONE\tBOTH\tBUILT IN ALONE\tOTHER RULES\n")
	for _, s := range r.shares {
		from, goal, met := "label "+s.label, "-", "-"
		if s.probes {
			from = "probes " + s.label
		}
		if s.of > 0 {
			goal, met = fmt.Sprintf("%.1f %%", 100*float64(s.need)/float64(s.of)), "yes"
			if !s.met() {
				met = "NO"
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%d/%d\t%.1f %%\t%s\t%s\t%d\t%d\t%d\t%d\n", s.what, from, s.blocked, s.total,
			percent(s.blocked, s.total), goal, met, s.lists, s.both, s.program, s.neither)
	}
	fmt.Fprintln(w, "\nNOT MEANT TO BE REFUSED\t\tREFUSED\tSHARE")
	for _, s := range r.open {
		fmt.Fprintf(w, "label %s\t\t%d/%d\t%.1f %%\n", s.label, s.blocked, s.total, percent(s.blocked, s.total))
	}
	_ = w.Flush()
	fmt.Fprintf(out, "\n%d rows are single pages on shared hosts and are not counted.\n", r.paths)
	fmt.Fprintf(out, "\nMust resolve: %d of %d refused (target 0); lists hold %d more, which the schools pack lets through.\n", len(r.wronged), r.allow, r.saved)
	for _, j := range r.wronged {
		fmt.Fprintf(out, "  %s: %s %s %s\n", j.name, j.verdict.Rule, j.verdict.Category, j.verdict.List)
	}
	fmt.Fprintf(out, "\nOf the %d most popular names in the world, refused by category:", r.popularOf)
	for _, c := range slices.SortedFunc(maps.Keys(r.popular), func(a, b string) int { return r.popular[b] - r.popular[a] }) {
		fmt.Fprintf(out, " %s %d;", c, r.popular[c])
	}
	fmt.Fprintf(out, "\nOf the %d names popular in the United Kingdom, refused: %d\n", r.ownOf, len(r.own))
	for _, j := range r.own {
		fmt.Fprintf(out, "  %s (%s)\n", j.name, cmp.Or(j.verdict.List, j.verdict.Rule.String()))
	}
}

func percent(n, of int) float64 { return 100 * float64(n) / float64(max(of, 1)) }
