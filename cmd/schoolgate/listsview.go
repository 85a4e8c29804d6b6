package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"schoolgate/blocklist/update"
	"schoolgate/config"
)

func listStatus(ctx context.Context, c *call, cfg *config.Config, o listOptions, names []string) error {
	if o.refused {
		return listRefused(c, updaterOf(cfg), names[0], o)
	}
	all, err := allStatus(ctx, cfg, keeperOf(cfg))
	if err != nil {
		return err
	}
	status := chosen(all, names)
	if o.json {
		return printStatus(c, status)
	}
	if len(names) > 0 {
		for i, s := range status {
			if i > 0 {
				fmt.Fprintln(c.stdout)
			}
			describe(c.stdout, s, cfg.Location())
		}
		return nil
	}
	w := tabwriter.NewWriter(c.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "LIST\tCATEGORY\tSTATE\tENTRIES\tPASSED OVER\tFETCHED\tPROBLEM")
	for _, s := range status {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\t%s\n", s.Name, s.Category, s.State, s.Rules, s.Problems, cameAt(s.Fetched, cfg.Location()), dash(cell(problem(s))))
	}
	return w.Flush()
}

func printStatus(c *call, status []update.Status) error {
	return json.NewEncoder(c.stdout).Encode(status)
}

// chosen gives the status of the named lists, of all without a name.
func chosen(all []update.Status, names []string) []update.Status {
	if len(names) == 0 {
		return all
	}
	return slices.DeleteFunc(all, func(s update.Status) bool { return !slices.Contains(names, s.Name) })
}

// problem is what a person should know of a list first.
func problem(s update.Status) string {
	switch {
	case s.Error != "":
		return s.Error
	case s.State == update.Held:
		return "schoolgate lists resume " + s.Name + " when newer versions are wanted"
	case s.Waiting != nil:
		return fmt.Sprintf("%d new conflicts: schoolgate lists diff %s, then accept or refuse", s.Waiting.Conflicts.New, s.Name)
	}
	return ""
}

func cameAt(t time.Time, in *time.Location) string {
	if t.IsZero() {
		return "-"
	}
	return t.In(in).Format("2006-01-02 15:04")
}

// describe writes all that there is to say of one list, a line for each thing.
func describe(w io.Writer, s update.Status, in *time.Location) {
	say := func(what, format string, args ...any) {
		fmt.Fprintf(w, "  %-12s %s\n", what, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(w, "%s (%s): %s\n", s.Name, s.Category, s.State)
	if s.Source != "" {
		say("source", "%s", printable(s.Source))
	}
	if s.Served != "" {
		say("came from", "%s", printable(s.Served))
	}
	say("entries", "%d", s.Rules)
	for _, why := range slices.Sorted(maps.Keys(s.Skipped)) {
		say("passed over", "%d %s", s.Skipped[why], why)
	}
	if s.SHA256 != "" {
		say("version", "%s", version8(s.SHA256, s.Fetched, in))
		say("confirmed", "%s (stale after %v)", cameAt(s.Checked, in), config.Duration(s.MaxAge))
	}
	if s.Before != nil {
		what := "before it"
		if s.State == update.Held {
			what = "also kept" // it may be the newer one
		}
		say(what, "%s, %d entries", version8(s.Before.SHA256, s.Before.Fetched, in), s.Before.Rules)
	}
	if !s.HeldSince.IsZero() {
		say("held", "since %s by %s", cameAt(s.HeldSince, in), dash(printable(s.HeldBy)))
	}
	if !s.Next.IsZero() {
		say("next look", "%s", cameAt(s.Next, in))
	}
	if s.Error != "" {
		say("problem", "%s (%d in a row)", printable(s.Error), s.Failures)
	}
	describeConflicts(say, "holds", s.Conflicts)
	if s.Waiting != nil {
		say("waiting", "%s, %d entries", version8(s.Waiting.SHA256, s.Waiting.Fetched, in), s.Waiting.Rules)
		describeConflicts(say, "would hold", s.Waiting.Conflicts)
	}
}

func describeConflicts(say func(what, format string, args ...any), what string, c update.Conflicts) {
	if c.Essential+c.Popular == 0 {
		return
	}
	say(what, "%d names that schools need, %d popular ones; %d of them new", c.Essential, c.Popular, c.New)
	for _, n := range c.Names {
		kind := "popular"
		if n.Essential {
			kind = "needed"
		}
		if n.New {
			kind += ", new"
		}
		say("", "%s (%s)", n.Name, kind)
	}
}

// version8 names a version by the beginning of its digest, as --to takes it.
func version8(sha256 string, fetched time.Time, in *time.Location) string {
	return sha256[:min(len(sha256), 12)] + ", came " + cameAt(fetched, in)
}

// listRefused tells which entries of a list make no rule, and why.
func listRefused(c *call, u *update.Updater, name string, o listOptions) error {
	rep, err := u.Refused(name, o.limit)
	if err != nil {
		return failed("schoolgate lists status "+name, "%v", err)
	}
	if o.json {
		return json.NewEncoder(c.stdout).Encode(map[string]any{"list": name, "counts": rep.Skipped, "refused": rep.Problems})
	}
	for _, p := range rep.Problems {
		fmt.Fprintln(c.stdout, printable(p.String()))
	}
	all := 0
	for _, n := range rep.Skipped {
		all += n
	}
	if left := all - len(rep.Problems); left > 0 {
		fmt.Fprintf(c.stderr, "schoolgate: %d of %d are shown; --limit shows more\n", len(rep.Problems), all)
	}
	return nil
}

func listDiff(ctx context.Context, c *call, cfg *config.Config, o listOptions, names []string) error {
	d, err := updaterOf(cfg).Diff(ctx, names[0], o.limit)
	if err != nil {
		return failed("schoolgate lists status "+names[0]+" shows the versions that are kept", "%v", err)
	}
	if o.json {
		return json.NewEncoder(c.stdout).Encode(d)
	}
	in := cfg.Location()
	state := "in use"
	if d.Waiting {
		state = "waiting for a person"
	}
	fmt.Fprintf(c.stdout, "from %s, %d entries\n", version8(d.From.SHA256, d.From.Fetched, in), d.From.Rules)
	fmt.Fprintf(c.stdout, "to   %s, %d entries (%s)\n", version8(d.To.SHA256, d.To.Fetched, in), d.To.Rules, state)
	fmt.Fprintf(c.stdout, "%d added, %d removed\n", d.Added, d.Removed)
	for _, e := range d.RemovedEntries {
		fmt.Fprintln(c.stdout, "- "+e)
	}
	for _, e := range d.AddedEntries {
		fmt.Fprintln(c.stdout, "+ "+e)
	}
	switch {
	case d.Withheld:
		fmt.Fprintln(c.stdout, "(names withheld: illegal tier)")
	case len(d.AddedEntries) < d.Added || len(d.RemovedEntries) < d.Removed:
		fmt.Fprintf(c.stderr, "schoolgate: the first %d of each are shown; --limit shows more\n", o.limit)
	}
	return nil
}

// cell makes an error fit for one line of a table.
func cell(s string) string {
	s = strings.Join(strings.Fields(printable(s)), " ")
	if r := []rune(s); len(r) > 120 {
		s = string(r[:119]) + "…"
	}
	return s
}
