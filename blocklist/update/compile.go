package update

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"time"

	"schoolgate/blocklist"
	"schoolgate/blocklist/domain"
	"schoolgate/blocklist/parse"
	"schoolgate/blocklist/starter"
	"schoolgate/config"
)

// Report is what came of a compilation.
type Report struct {
	Lists []ListReport // as in the plan, then the starter lists
	Names int          // distinct names in the set
}

// ListReport is what came of one list.
type ListReport struct {
	Name     string
	Rules    int   // as read; 0 when it is not in the set
	Problems int   // lines or names on them that made no rule
	Accepted bool  // a new version became the last good copy
	Used     bool  // it is in the set
	Err      error // why the newest version is not used, or why there is none; nil when all is well
}

// entry is one list on its way into the set.
type entry struct {
	list     config.List
	category string // of a starter list, else ""
	path     string // what is read; "" when there is nothing to read
	was, now meta
	info     blocklist.Info
	report   parse.Report
	accepted bool
	err      error
}

// compiler is one run of Compile.
type compiler struct {
	ctx  context.Context // Compile's own: it lives no longer than the call
	dir  folder
	now  time.Time
	plan Plan

	guard       *guard
	done, total int // rules given to the builder, and about how many there are
}

// Compile makes current.set of the last good copies of all lists, of local sources, and of the starter lists.
//
// A new version waiting beside a last good copy is read once. It takes the place of the copy unless
//
//  1. it is no list: what package parse refuses, such as a web page or a file without names; or
//  2. it has lost or gained more of the rules that the last good copy has, read in the same way, than MaxShrink and
//     MaxGrowth of the list allow, as a damaged source would; or
//  3. it newly blocks more essential and popular names than MaxConflicts allows. Such a version waits for a person.
//
// A source that the configuration pins by SHA-256, or that is a local path, is believed in 2 and 3. The copy that a new
// version takes the place of is kept as well.
//
// One list that cannot be read does not stop the others; the Report says so. The file appears only when it is whole,
// has been read back, and is on disk. now is the time of confirmation of local sources.
//
// Compile needs much memory and a core for up to minutes. The program runs it in a child process of low priority; the
// caller, or the parent, holds the lock of the folder. It is not safe to run twice at once on one folder.
func Compile(ctx context.Context, p Plan, now time.Time) (Report, error) {
	c := &compiler{ctx: ctx, dir: folder(p.Dir), now: now.UTC().Round(0), plan: p, guard: newGuard(p.Essential, p.Popular)}
	if err := c.dir.make(); err != nil {
		return Report{}, fmt.Errorf("preparing the folder of lists: %w", err)
	}
	var entries []*entry
	for _, l := range p.Lists {
		if err := ctx.Err(); err != nil {
			return Report{}, err
		}
		e, err := c.prepare(l)
		if err != nil {
			return Report{}, &ListError{List: l.Name, Err: err}
		}
		entries = append(entries, e)
	}
	all, names, err := c.compile(entries)
	if err != nil {
		return report(entries, 0), err
	}
	for _, e := range all {
		if e.category != "" {
			continue
		}
		if err := c.note(e); err != nil {
			return report(all, names), &ListError{List: e.list.Name, Err: err}
		}
	}
	return report(all, names), nil
}

func report(entries []*entry, names int) Report {
	r := Report{Names: names}
	for _, e := range entries {
		r.Lists = append(r.Lists, ListReport{
			Name: e.info.Name, Rules: e.report.Rules, Problems: skipped(e.report), Accepted: e.accepted,
			Used: e.path != "" || e.category != "", Err: clean(e.err),
		})
	}
	return r
}

// compile builds, writes and checks the set. It returns the entries with those of starter lists behind.
func (c *compiler) compile(entries []*entry) (all []*entry, names int, err error) {
	b, all, err := c.build(entries)
	if err != nil {
		return entries, 0, err
	}
	draft := c.dir.set() + tempMark + "1"
	defer os.Remove(draft)
	if err := b.WriteFile(draft); err != nil {
		return entries, 0, err
	}
	set, err := blocklist.Open(draft)
	if err != nil {
		return entries, 0, fmt.Errorf("reading the set back: %w", err)
	}
	if set.Names() == 0 {
		return entries, 0, ErrNothing
	}
	if err := own(draft); err != nil {
		return entries, 0, err
	}
	if err := rename(draft, c.dir.set()); err != nil {
		return entries, 0, fmt.Errorf("putting the set in place: %w", err)
	}
	return all, set.Names(), nil
}

// build gives every readable list to a builder. What a list added before it proved unreadable cannot be taken out again,
// so then the build starts afresh without it, at most once for every list.
func (c *compiler) build(entries []*entry) (*blocklist.Builder, []*entry, error) {
	for {
		all := entries
		usable := make(map[string]bool, len(entries))
		for _, e := range entries {
			usable[e.list.Name] = e.path != ""
		}
		without := func(list string) bool { return !usable[list] }
		all = slices.Clone(all)
		for _, category := range c.plan.starters(without) {
			all = append(all, &entry{category: category, info: starterInfo(category)})
		}
		var in []*entry
		var infos []blocklist.Info
		for _, e := range all {
			if e.path != "" || e.category != "" {
				in = append(in, e)
				infos = append(infos, e.info)
			}
		}
		if len(in) == 0 {
			return nil, nil, ErrNothing
		}
		b := blocklist.NewBuilder(infos, string(c.dir))
		again, err := c.fill(b, in)
		if err != nil {
			return nil, nil, err
		}
		if !again {
			return b, all, nil
		}
	}
}

// fill gives all rules to the builder. again says that one of the lists proved unreadable and was marked so.
func (c *compiler) fill(b *blocklist.Builder, in []*entry) (again bool, err error) {
	c.done, c.total = 0, 0
	for _, e := range in {
		c.total += e.info.Rules
	}
	for i, e := range in {
		s := c.overdue(e)
		add := func(r blocklist.Rule) error {
			c.tick()
			s.add(r)
			err := b.Add(i, r)
			if aboutRule(err) {
				return nil // one bad line never stops a list
			}
			return err
		}
		if e.category != "" {
			e.report = parse.Report{Rules: e.info.Rules}
			for r := range starter.Rules(e.category) {
				if err := add(r); err != nil {
					return false, fmt.Errorf("adding starter list %q: %w", e.category, err)
				}
			}
			continue
		}
		rep, stop, err := c.read(e.path, e.list, add)
		switch {
		case stop != nil:
			return false, stop
		case err != nil:
			e.path, e.err = "", errors.Join(e.err, err)
			e.now.Broken, e.now.Rules, e.now.Problems = e.info.Digest, 0, 0
			e.now.ETag, e.now.LastModified = "", ""
			e.now.fail(err, true, c.now)
			return true, nil
		}
		e.report = rep
		e.now.Broken, e.now.Rules, e.now.Problems, e.now.Reading = "", rep.Rules, skipped(rep), reading(e.list)
		e.now.Skipped = inspection{Report: rep}.reasons()
		if s != nil {
			hits, err := s.hits(e.list)
			if err != nil {
				return false, err
			}
			e.now.Conflicts = c.guard.conflicts(e.list, hits, hits, false, c.now)
		}
	}
	return false, nil
}

// overdue gives a sieve for a list whose conflicts are those with other names than the guard's, or whose entries are
// read in another way by now.
func (c *compiler) overdue(e *entry) *sieve {
	if c.guard == nil || e.category != "" || e.now.Conflicts.Guard == c.guard.id && e.now.Reading == reading(e.list) {
		return nil
	}
	return c.guard.sieve()
}

// tick tells how far the compilation is.
func (c *compiler) tick() {
	if c.done++; c.plan.Progress != nil && c.done%(1<<16) == 0 {
		c.plan.Progress(Progress{Compiling: true, Done: int64(min(c.done, c.total)), Total: int64(c.total)})
	}
}

// aboutRule says whether an error of Builder.Add is about the rule and not about the builder.
func aboutRule(err error) bool {
	for _, target := range []error{
		blocklist.ErrRoot, domain.ErrEmptyLabel, domain.ErrLongLabel, domain.ErrLongName, domain.ErrCharacter, domain.ErrHyphen,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// read parses one source. stop is an error of add or of the context, which no other source would mend; err is one of
// the source.
func (c *compiler) read(path string, l config.List, add func(blocklist.Rule) error) (rep parse.Report, stop, err error) {
	n := 0
	rep, err = parse.Source(path, l, func(r blocklist.Rule) error {
		if n++; n%4096 == 0 && c.ctx.Err() != nil {
			stop = c.ctx.Err()
			return stop
		}
		stop = add(r)
		return stop
	})
	return rep, stop, err
}

// inspection is what there is to know of a version before it is used.
type inspection struct {
	parse.Report
	hits map[int]bool // as sieve.hits gives them
}

// reasons counts the entries that made no rule by the words for why.
func (i inspection) reasons() map[string]int {
	if len(i.Skipped) == 0 {
		return nil
	}
	out := make(map[string]int, len(i.Skipped))
	for why, n := range i.Skipped {
		out[why.String()] = n
	}
	return out
}

// inspect reads a source only to see whether it is a list, how large a one, and what of the guarded names it blocks.
func (c *compiler) inspect(path string, l config.List) (found inspection, stop, err error) {
	var s *sieve
	if c.guard != nil {
		s = c.guard.sieve()
	}
	found.Report, stop, err = c.read(path, l, func(r blocklist.Rule) error {
		s.add(r)
		return nil
	})
	if stop == nil && err == nil {
		found.hits, stop = s.hits(l)
	}
	return found, stop, err
}

// note writes what is now known of a list, unless nothing has changed.
func (c *compiler) note(e *entry) error {
	if reflect.DeepEqual(e.now, e.was) {
		return nil
	}
	e.was = e.now
	return c.dir.writeMeta(e.list.Name, e.now)
}

func skipped(r parse.Report) int {
	n := 0
	for _, k := range r.Skipped {
		n += k
	}
	return n
}
