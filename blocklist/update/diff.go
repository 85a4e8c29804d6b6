package update

import (
	"context"
	"hash/maphash"
	"slices"
	"time"

	"schoolgate/blocklist"
	"schoolgate/blocklist/parse"
	"schoolgate/config"
)

// Side is one of the two versions that a Difference is between.
type Side struct {
	SHA256  string    `json:"sha256"`
	Rules   int       `json:"rules"`
	Fetched time.Time `json:"fetched"`
}

// Difference is what came and went from one version of a list to a later one.
type Difference struct {
	List           string   `json:"list"`
	From           Side     `json:"from"`
	To             Side     `json:"to"`
	Waiting        bool     `json:"waiting"` // To waits for a person; else To is in use
	Added          int      `json:"added"`   // entries
	Removed        int      `json:"removed"`
	AddedEntries   []string `json:"added_entries,omitempty"` // the first of them as people read them; none of the illegal tier
	RemovedEntries []string `json:"removed_entries,omitempty"`
	Withheld       bool     `json:"withheld,omitempty"` // the names are of the illegal tier and told to nobody
}

// Diff compares the version of a list that waits for a person with the one in use; when none waits, the one in use with
// the one before. At most most entries of each kind are told one by one. It reads the state on disk, needs about 16 bytes
// for each entry, and is safe for concurrent use.
func (u *Updater) Diff(ctx context.Context, list string, most int) (Difference, error) {
	l, err := u.find(list)
	if err != nil {
		return Difference{}, err
	}
	f := folder(u.dir)
	m := f.readMeta(list)
	d := Difference{List: list, Withheld: l.Category == config.IllegalTier}
	if d.Withheld {
		most = 0
	}
	current := m.current()
	var from, to string
	switch {
	case f.waits(l, m) && f.hasRaw(list):
		from, to, d.From, d.To, d.Waiting = f.raw(list), f.wait(list), current.side(), m.Waiting.side(), true
	case m.Before != nil && f.holds(f.old(list), *m.Before) && f.hasRaw(list):
		from, to, d.From, d.To = f.old(list), f.raw(list), m.Before.side(), current.side()
	default:
		return Difference{}, &ListError{List: list, Err: ErrNoVersion}
	}
	if err := d.compare(ctx, l, from, to, most); err != nil {
		return Difference{}, &ListError{List: list, Err: clean(err)}
	}
	return d, nil
}

func (v version) side() Side { return Side{SHA256: v.SHA256, Rules: v.Rules, Fetched: v.Fetched} }

// compare reads both files twice: once for the hashes of all entries, once for the words of those that are in one only.
func (d *Difference) compare(ctx context.Context, l config.List, from, to string, most int) error {
	seed := maphash.MakeSeed()
	hash := func(r blocklist.Rule) uint64 { return maphash.Comparable(seed, r) }
	gather := func(path string) (all []uint64, err error) {
		err = each(ctx, path, l, func(r blocklist.Rule) { all = append(all, hash(r)) })
		slices.Sort(all)
		return slices.Compact(all), err
	}
	older, err := gather(from)
	if err != nil {
		return err
	}
	newer, err := gather(to)
	if err != nil {
		return err
	}
	gone, come := apart(older, newer)
	d.Removed, d.Added = len(gone), len(come)
	name := func(path string, which []uint64) (out []string, err error) {
		if len(which) == 0 || most <= 0 {
			return nil, nil
		}
		told := make(map[uint64]bool)
		err = each(ctx, path, l, func(r blocklist.Rule) {
			h := hash(r)
			if _, ok := slices.BinarySearch(which, h); ok && !told[h] && len(out) < most {
				told[h] = true
				out = append(out, words(r))
			}
		})
		slices.Sort(out)
		return out, err
	}
	if d.RemovedEntries, err = name(from, gone); err != nil {
		return err
	}
	d.AddedEntries, err = name(to, come)
	return err
}

// each reads the rules of a kept version.
func each(ctx context.Context, path string, l config.List, do func(blocklist.Rule)) error {
	n := 0
	_, err := parse.Source(path, l, func(r blocklist.Rule) error {
		if n++; n%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		do(r)
		return nil
	})
	return err
}

// apart gives what only one of two sorted slices has.
func apart(a, b []uint64) (onlyA, onlyB []uint64) {
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			onlyA, a = append(onlyA, a[0]), a[1:]
		case a[0] > b[0]:
			onlyB, b = append(onlyB, b[0]), b[1:]
		default:
			a, b = a[1:], b[1:]
		}
	}
	return append(onlyA, a...), append(onlyB, b...)
}

// words is a rule as people read it.
func words(r blocklist.Rule) string {
	s := string(r.Name)
	switch r.Scope {
	case blocklist.Exact:
		s += " (alone)"
	case blocklist.Below:
		s += " (below it)"
	case blocklist.Subtree:
	}
	if r.Except {
		s += " (exception)"
	}
	return s
}

// maxRefused bounds what Refused tells one by one.
const maxRefused = 10_000

// Refused reads the version of a list that is in use and tells of at most most entries one by one why they make no rule.
// Of the illegal tier it tells where, and not what.
func (u *Updater) Refused(list string, most int) (parse.Report, error) {
	l, err := u.find(list)
	if err != nil {
		return parse.Report{}, err
	}
	f := folder(u.dir)
	path := f.raw(list)
	if !f.hasRaw(list) {
		if _, is := fingerprint(l.Source); remote(l.Source) || is != directory {
			return parse.Report{}, &ListError{List: list, Err: ErrNoCopy}
		}
		path = l.Source
	}
	rep, err := parse.Refused(path, l, min(most, maxRefused))
	if l.Category == config.IllegalTier {
		for i := range rep.Problems {
			rep.Problems[i].Text = ""
		}
	}
	rep.Problems = rep.Problems[:min(len(rep.Problems), max(most, 0))]
	if err != nil {
		return rep, &ListError{List: list, Err: clean(err)}
	}
	return rep, nil
}
