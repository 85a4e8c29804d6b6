package store

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"schoolgate/blocklist/domain"
	"schoolgate/monitor/record"
)

// selection is a record.Filter, read as people write it: a name in any case and script, an address or hardware address in
// any form. What it says of times is left to others.
type selection struct {
	record.Filter
	addr    netip.Addr
	name    string   // itself, and what is below it; "" for all names
	pattern []string // what is between the stars, when there are any
}

func selectionOf(f record.Filter) *selection {
	s := &selection{Filter: f}
	if a, err := netip.ParseAddr(f.Device); err == nil {
		s.addr = a.Unmap()
	}
	lower := strings.TrimSuffix(strings.ToLower(f.Name), ".")
	switch name, err := domain.Parse(f.Name); {
	case strings.Trim(f.Name, "*") == "" || f.Name == ".":
	case strings.Contains(f.Name, "*"):
		s.pattern = strings.Split(lower, "*")
	case err == nil:
		s.name = string(name)
	default:
		s.name = lower // names with odd bytes, and record.Withheld
	}
	return s
}

func (s *selection) selectsWho(w *record.Who) bool {
	return (s.Device == "" || strings.EqualFold(w.Device, s.Device) || s.addr.IsValid() && s.addr == w.Addr) &&
		(s.Group == "" || s.Group == w.Group)
}

func (s *selection) selectsWhy(w *record.Why) bool {
	return (s.Category == "" || s.Category == w.Category) && (s.Action == nil || *s.Action == w.Action)
}

func (s *selection) selectsName(name string) bool {
	if s.pattern != nil {
		return matches(s.pattern, name)
	}
	if s.name == "" {
		return true
	}
	above, ok := strings.CutSuffix(name, s.name)
	return ok && (above == "" || strings.HasSuffix(above, "."))
}

func (s *selection) selects(r *record.Row) bool {
	return s.selectsWho(&record.Who{Device: r.Device, Addr: r.Addr, Group: r.Group}) &&
		s.selectsWhy(&record.Why{Action: r.Action, Category: r.Category}) && s.selectsName(r.Name)
}

// matches says whether s consists of the parts, in order, with anything between them.
func matches(parts []string, s string) bool {
	first, last := parts[0], parts[len(parts)-1]
	s, ok := strings.CutPrefix(s, first)
	if !ok {
		return false
	}
	if s, ok = strings.CutSuffix(s, last); !ok {
		return false
	}
	for _, part := range parts[1 : len(parts)-1] {
		if _, s, ok = strings.Cut(s, part); !ok {
			return false
		}
	}
	return true
}

// keep leaves only the selected rows from lo until before hi in b.
func (s *selection) keep(b *block, lo, hi int64) {
	who := selected(b.who, s.selectsWho)
	why := selected(b.why, s.selectsWhy)
	names := selected(b.names, func(name *string) bool { return s.selectsName(*name) })
	kept := b.rows[:0]
	for _, e := range b.rows {
		if who[e.who] && why[e.why] && names[e.name] && int64(e.ms) >= lo && int64(e.ms) < hi {
			kept = append(kept, e)
		}
	}
	b.rows = kept
}

func selected[T any](all []T, is func(*T) bool) []bool {
	out := make([]bool, len(all))
	for i := range all {
		out[i] = is(&all[i])
	}
	return out
}

// Search gives the rows that f selects, newest first, and ends with the error of yield. A day that cannot be read does
// not hide the others: what is wrong with it is returned at the end.
func (r *Reader) Search(ctx context.Context, f record.Filter, yield func(record.Row) error) error {
	days, months, err := r.within(f.From, f.To)
	if err != nil {
		return err
	}
	s, left := selectionOf(f), f.Limit
	give := func(row *record.Row) error {
		if err := yield(*row); err != nil {
			return yielded{err}
		}
		if left--; left == 0 {
			return errEnough
		}
		return nil
	}
	var broken error
	for _, d := range slices.Backward(days) {
		err := r.onDay(ctx, d, func(day *day) error { return r.searchDay(ctx, day, d, s, give) })
		if err = stop(ctx, d, err, &broken); err != nil {
			return ended(err, broken)
		}
	}
	// What is in the old files is older, unless the clock was wrong.
	for _, m := range slices.Backward(months) {
		err := r.old(ctx, m, f.From, f.To, func(row *record.Row) error {
			if !s.selects(row) {
				return nil
			}
			return give(row)
		})
		if err = stop(ctx, m, err, &broken); err != nil {
			return ended(err, broken)
		}
	}
	return broken
}

// yielded marks an error as that of the caller's function.
type yielded struct{ error }

// errEnough ends a search when the limit is reached.
var errEnough = errors.New("enough")

func ended(err, broken error) error {
	if errors.Is(err, errEnough) {
		return broken
	}
	return err
}

// stop tells an error that ends the reading from one that concerns one day or month alone, which it adds to broken.
func stop(ctx context.Context, of fmt.Stringer, err error, broken *error) error {
	var y yielded
	switch {
	case err == nil:
	case errors.As(err, &y):
		return y.error
	case errors.Is(err, errEnough):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		*broken = errors.Join(*broken, fmt.Errorf("reading the record of %s: %w", of, err))
	}
	return nil
}

// within lists the days, and the old months, that have a part between from and to.
func (r *Reader) within(from, to time.Time) (days []date, old []month, err error) {
	if _, err := r.db.get(); err != nil {
		return nil, nil, fmt.Errorf("reading the record: %w", err)
	}
	if days, err = dates(r.dir); err != nil {
		return nil, nil, err
	}
	if old, err = months(r.dir); err != nil {
		return nil, nil, err
	}
	days = slices.DeleteFunc(days, func(d date) bool { lo, hi := d.bounds(from, to); return lo >= hi })
	old = slices.DeleteFunc(old, func(m month) bool { lo, hi := m.bounds(from, to); return lo >= hi })
	return days, old, nil
}

// searchDay gives the selected rows of a day, newest first. Blocks overlap a little, since a row has the time of its question
// and is written after its answer, and much when the clock was set back; each is read when its latest row is due.
func (r *Reader) searchDay(ctx context.Context, file *day, d date, s *selection, give func(*record.Row) error) error {
	lo, hi := d.bounds(s.From, s.To)
	due := slices.DeleteFunc(slices.Clone(file.blocks), func(at blockAt) bool { return int64(at.until) < lo || int64(at.earliest) >= hi })
	slices.SortStableFunc(due, func(a, b blockAt) int { return int(a.until) - int(b.until) }) // the last is due first
	var open, spare []*block
	var broken error
	for {
		var next *block
		for _, b := range open {
			if next == nil || b.last().ms >= next.last().ms {
				next = b
			}
		}
		if n := len(due); n > 0 && (next == nil || due[n-1].until >= next.last().ms) {
			if err := ctx.Err(); err != nil {
				return err
			}
			b := &block{}
			if len(spare) > 0 {
				b, spare = spare[0], spare[1:]
			}
			broken = errors.Join(broken, file.load(due[n-1], b))
			due = due[:n-1]
			s.keep(b, lo, hi)
			slices.SortStableFunc(b.rows, func(a, b entry) int { return int(a.ms) - int(b.ms) })
			open = append(open, b)
			next = b
		}
		if next == nil {
			return broken
		}
		if n := len(next.rows); n > 0 {
			row := next.row(d, n-1)
			next.rows = next.rows[:n-1]
			if err := give(&row); err != nil {
				return err
			}
		}
		if len(next.rows) == 0 {
			open = slices.DeleteFunc(open, func(b *block) bool { return b == next })
			spare = append(spare, next)
		}
	}
}

// last is the block's last row.
func (b *block) last() *entry { return &b.rows[len(b.rows)-1] }

func (b *block) row(d date, i int) record.Row {
	e := &b.rows[i]
	entry := record.Entry{Time: d.millis() + int64(e.ms), Took: e.took}
	return entry.Row(&b.who[e.who], &b.why[e.why], b.names[e.name])
}

// Count says how many rows f selects; its Limit does not matter.
func (r *Reader) Count(ctx context.Context, f record.Filter) (int64, error) {
	days, months, err := r.within(f.From, f.To)
	if err != nil {
		return 0, err
	}
	s, sum := selectionOf(f), int64(0)
	var b block
	var broken error
	for _, d := range days {
		err := r.onDay(ctx, d, func(file *day) error {
			lo, hi := d.bounds(f.From, f.To)
			return file.each(ctx, lo, hi, &b, func() error {
				s.keep(&b, lo, hi)
				sum += int64(len(b.rows))
				return nil
			})
		})
		if err := stop(ctx, d, err, &broken); err != nil {
			return sum, err
		}
	}
	for _, m := range months {
		err := r.old(ctx, m, f.From, f.To, func(row *record.Row) error {
			if s.selects(row) {
				sum++
			}
			return nil
		})
		if err := stop(ctx, m, err, &broken); err != nil {
			return sum, err
		}
	}
	return sum, broken
}
