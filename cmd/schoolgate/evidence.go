package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"schoolgate/config"
	"schoolgate/monitor"
	"schoolgate/monitor/change"
	"schoolgate/monitor/store"
)

// evidence is the record as the review reads it: the database, and the log of changes beside it.
type evidence struct {
	*store.Reader
	book *change.Book
	loc  *time.Location
	now  time.Time
}

func newEvidence(cfg *config.Config, r *store.Reader, now time.Time) (*evidence, error) {
	b, err := change.New(cfg.Store.Path).Read()
	if err != nil {
		return nil, err
	}
	return &evidence{Reader: r, book: b, loc: cfg.Location(), now: now}, nil
}

// Changes gives what changed from from to to, oldest first: versions of lists and starts from the database, and from the
// log of changes the edits of the configuration and each change to which something happened in that time, as a whole.
func (e *evidence) Changes(ctx context.Context, from, to time.Time) ([]monitor.Change, error) {
	all, err := e.Reader.Changes(ctx, from, to)
	if err != nil {
		return nil, err
	}
	seen := map[int]bool{}
	for _, line := range e.book.Entries() {
		if !from.IsZero() && line.At.Before(from) || !to.IsZero() && !line.At.Before(to) {
			continue
		}
		id := line.Change
		if line.Kind == change.KindProposed {
			id = line.Number
		}
		c, ok := e.book.Change(id)
		switch {
		case ok && seen[id]:
		case ok:
			seen[id] = true
			all = append(all, e.changed(c, line.At))
		case line.Kind == change.KindConfiguration:
			all = append(all, monitor.Change{At: line.At, Kind: "config", Summary: line.Why, Detail: strings.Join(without(line.After, "configuration "), "\n")})
		case line.Kind == change.KindLists && len(line.After) > 0: // not of the kind of lists that change by themselves
			all = append(all, monitor.Change{At: line.At, Kind: "decision", Summary: "A person decided on a list", Detail: strings.Join(line.After, "\n"), By: line.By})
		case line.Kind == change.KindAnswered: // stands with the requests
		case line.Kind == change.KindOpened:
			all = append(all, monitor.Change{At: line.At, Kind: string(line.Kind), Summary: "A sealed reference of the illegal tier was opened", Detail: strings.Join(line.After, "\n"), By: line.By})
		case line.Kind == change.KindAcknowledged:
			all = append(all, monitor.Change{
				At: line.At, Kind: string(line.Kind), Summary: "The log of changes was not whole before, and a person knows it",
				Detail: strings.Join(append(line.Before, "why: "+line.Why), "\n"), By: line.By,
			})
		default:
			all = append(all, monitor.Change{At: line.At, Kind: string(line.Kind), Summary: line.Why})
		}
	}
	slices.SortStableFunc(all, func(a, b monitor.Change) int { return a.At.Compare(b.At) })
	return all, nil
}

// Requests gives what people asked for on the block page from from to to, newest first, with what became of it.
func (e *evidence) Requests(ctx context.Context, from, to time.Time) ([]monitor.Request, error) {
	all, err := e.Reader.Requests(ctx, from, to)
	return answered(e.book, all), err
}

// changed is one change, whole.
func (e *evidence) changed(c *change.Change, at time.Time) monitor.Change {
	by := "Proposed by " + c.By
	switch {
	case c.ApprovedBy != "":
		by += ", agreed by " + c.ApprovedBy
	case c.Needs == change.Nothing:
		by += ", nobody else had to agree"
	default:
		by += ", agreed by nobody yet"
	}
	return monitor.Change{
		At: at, Kind: "change", Summary: fmt.Sprintf("Change %d: %s: %s", c.ID, c.What, c.State(e.now)),
		Detail: strings.Join(changeStory(c, e.loc, e.now), "\n"), By: by,
	}
}

// without leaves out the lines that begin with prefix.
func without(lines []string, prefix string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return strings.HasPrefix(l, prefix) })
}
