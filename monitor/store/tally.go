package store

import (
	"context"
	"errors"
	"hash/fnv"
	"io"
	"time"

	"schoolgate/monitor/record"
)

// maxTallies is how many tallies are counted at once. When a day has more, it is read several times, each time for another
// part of them: a flood of names costs time and not memory.
const maxTallies = 1 << 18

// Tally counts the rows with from ≤ Time < to by local day, device, group, name, action, rule, category and list, day by
// day, each combination once. A zero time is no bound. Memory is bounded whatever was asked. It ends with the error of
// yield; a day that cannot be read does not hide the others: what is wrong with it is returned at the end.
func (r *Reader) Tally(ctx context.Context, from, to time.Time, loc *time.Location, yield func(record.Tally) error) error {
	return r.tally(ctx, from, to, loc, maxTallies, yield)
}

func (r *Reader) tally(ctx context.Context, from, to time.Time, loc *time.Location, limit int, yield func(record.Tally) error) error {
	days, old, err := r.within(from, to)
	if err != nil || len(days)+len(old) == 0 {
		return err
	}
	begin, end := maxTime, minTime
	if len(days) > 0 {
		begin, end = days[0].start(), (days[len(days)-1] + 1).start()
	}
	if len(old) > 0 {
		begin, end = earlier(begin, old[0].start()), later(end, (old[len(old)-1]+1).start())
	}
	if from.After(begin) {
		begin = from
	}
	if !to.IsZero() && to.Before(end) {
		end = to
	}
	t := newTally(r, days, old, limit)
	for day := midnight(begin, loc, 0); day.Before(end); day = midnight(day, loc, 1) {
		t.lo, t.hi = later(day, begin), earlier(midnight(day, loc, 1), end)
		if err := t.day(ctx, part{0, 1}, func(n record.Tally) error { n.Day = day; return yield(n) }); err != nil {
			return err
		}
	}
	return t.broken
}

// midnight is when the day of t, or days later, begins in loc; after it, where clocks skip it.
func midnight(t time.Time, loc *time.Location, days int) time.Time {
	y, m, d := t.In(loc).Date()
	begin := time.Date(y, m, d+days, 0, 0, 0, 0, loc)
	if noon := time.Date(y, m, d+days, 12, 0, 0, 0, loc); begin.Day() != noon.Day() {
		begin = begin.Add(time.Hour) // time.Date took the offset from before the skip
	}
	return begin
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// tally is one run of Tally. Who, why and names are those of the present part of the present day, which numbers refer to.
type tally struct {
	r      *Reader
	days   []date
	old    []month
	lo, hi time.Time
	limit  int
	broken error
	said   map[any]bool // the days and months of which broken speaks

	who   texts[record.Who]
	why   texts[record.Why]
	names texts[string]
	index map[combination]int32
	count []counted
	block block
}

// combination is what is counted apart; Addr of its who is zero, and of its why all that a Tally has not.
type combination struct{ who, why, name uint32 }

type counted struct {
	combination
	n int64
}

func newTally(r *Reader, days []date, old []month, limit int) *tally {
	return &tally{
		r: r, days: days, old: old, limit: limit, said: make(map[any]bool),
		who: newTexts[record.Who](), why: newTexts[record.Why](), names: newTexts[string](), index: make(map[combination]int32),
	}
}

// part is those combinations whose hash, divided by of, leaves rest.
type part struct{ rest, of uint64 }

func (p part) has(hash uint64) bool { return hash&(p.of-1) == p.rest }

// day yields the combinations of the part of the day, in the order in which they are in the record; when they are too
// many, half of them after the other.
func (t *tally) day(ctx context.Context, p part, yield func(record.Tally) error) error {
	t.who.reset()
	t.why.reset()
	t.names.reset()
	clear(t.index)
	t.count = t.count[:0]
	err := t.read(ctx, p)
	if errors.Is(err, errEnough) {
		if err := t.day(ctx, part{p.rest, 2 * p.of}, yield); err != nil {
			return err
		}
		return t.day(ctx, part{p.rest + p.of, 2 * p.of}, yield)
	}
	if err != nil {
		return err
	}
	for _, c := range t.count {
		who, why := &t.who.all[c.who], &t.why.all[c.why]
		err := yield(record.Tally{
			Device: who.Device, Group: who.Group, Name: t.names.all[c.name],
			Action: why.Action, Rule: why.Rule, Category: why.Category, List: why.List, Count: c.n,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// read counts the part of the day in all files that it touches. The error is errEnough when it has too many combinations.
func (t *tally) read(ctx context.Context, p part) error {
	for _, m := range t.old {
		if lo, hi := m.bounds(t.lo, t.hi); lo >= hi {
			continue
		}
		err := t.r.old(ctx, m, t.lo, t.hi, func(row *record.Row) error { return t.row(row, p) })
		if err := t.stop(ctx, m, err); err != nil {
			return err
		}
	}
	for _, d := range t.days {
		lo, hi := d.bounds(t.lo, t.hi)
		if lo >= hi {
			continue
		}
		err := t.r.onDay(ctx, d, func(file *day) error {
			return file.each(ctx, lo, hi, &t.block, func() error { return t.rows(lo, hi, p) })
		})
		if err := t.stop(ctx, d, err); err != nil {
			return err
		}
	}
	return nil
}

// stop is stop, and speaks once of each day and month.
func (t *tally) stop(ctx context.Context, of interface{ String() string }, err error) error {
	broken := t.broken
	if err := stop(ctx, of, err, &broken); err != nil {
		return err
	}
	if err != nil && !t.said[of] {
		t.said[of] = true
		t.broken = broken
	}
	return nil
}

// row counts one row of an old file.
func (t *tally) row(r *record.Row, p part) error {
	who, why := record.Who{Device: r.Device, Group: r.Group}, record.Why{Action: r.Action, Rule: r.Rule, Category: r.Category, List: r.List}
	if p.has(hashWho(&who) + hashWhy(&why) + hashName(&r.Name)) {
		t.add(combination{t.who.id(who), t.why.id(why), t.names.id(r.Name)}, 1)
	}
	return t.bound()
}

// add counts n rows.
func (t *tally) add(c combination, n int64) {
	i, ok := t.index[c]
	if !ok {
		i = int32(len(t.count))
		t.index[c] = i
		t.count = append(t.count, counted{combination: c})
	}
	t.count[i].n += n
}

func (t *tally) bound() error {
	if len(t.count) > t.limit {
		return errEnough
	}
	return nil
}

// rows counts those of the block.
func (t *tally) rows(lo, hi int64, p part) error {
	b := &t.block
	for i := range b.who {
		b.who[i].Addr = record.Who{}.Addr
	}
	for i := range b.why {
		b.why[i].Source, b.why[i].RCode, b.why[i].Type, b.why[i].Via = 0, 0, 0, 0
	}
	var who, why, names []uint64
	if p.of > 1 {
		who, why, names = hashes(b.who, hashWho), hashes(b.why, hashWhy), hashes(b.names, hashName)
	}
	whoID, whyID, nameID := make([]uint32, len(b.who)), make([]uint32, len(b.why)), make([]uint32, len(b.names)) // plus one
	for _, e := range b.rows {
		if int64(e.ms) < lo || int64(e.ms) >= hi || p.of > 1 && !p.has(who[e.who]+why[e.why]+names[e.name]) {
			continue
		}
		if whoID[e.who] == 0 {
			whoID[e.who] = t.who.id(b.who[e.who]) + 1
		}
		if whyID[e.why] == 0 {
			whyID[e.why] = t.why.id(b.why[e.why]) + 1
		}
		if nameID[e.name] == 0 {
			nameID[e.name] = t.names.id(b.names[e.name]) + 1
		}
		t.add(combination{whoID[e.who] - 1, whyID[e.why] - 1, nameID[e.name] - 1}, 1)
		if err := t.bound(); err != nil {
			return err
		}
	}
	return nil
}

// texts numbers different things.
type texts[T comparable] struct {
	ids map[T]uint32
	all []T
}

func newTexts[T comparable]() texts[T] { return texts[T]{ids: make(map[T]uint32)} }

func (t *texts[T]) id(v T) uint32 {
	id, ok := t.ids[v]
	if !ok {
		id = uint32(len(t.all))
		t.ids[v] = id
		t.all = append(t.all, v)
	}
	return id
}

func (t *texts[T]) reset() {
	clear(t.ids)
	clear(t.all)
	t.all = t.all[:0]
}

func hashes[T any](all []T, hash func(*T) uint64) []uint64 {
	out := make([]uint64, len(all))
	for i := range all {
		out[i] = hash(&all[i])
	}
	return out
}

func hashWho(w *record.Who) uint64 { return hash(w.Device, w.Group) }

func hashWhy(w *record.Why) uint64 {
	return hash(w.Action.String(), w.Rule.String(), w.Category, w.List)
}

func hashName(s *string) uint64 { return hash(*s) }

func hash(parts ...string) uint64 {
	h := fnv.New64a()
	for _, s := range parts {
		_, _ = io.WriteString(h, s)
		_, _ = h.Write([]byte{0})
	}
	return h.Sum64()
}
