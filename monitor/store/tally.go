package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"time"

	"schoolgate/monitor/record"
	"schoolgate/resolver/query"
)

// tallyText counts within one stretch of one month. SQLite sorts; what does not fit into its cache goes to a temporary
// file, so that a flood of names costs disk and not memory. The order is that of tallyRow.compare.
const tallyText = `SELECT coalesce(who.device, '') AS d, coalesce(who."group", '') AS g, coalesce(name.text, '') AS n,
	coalesce(why.action, '') AS a, coalesce(why.rule, '') AS r, coalesce(why.category, '') AS c, coalesce(why.list, '') AS l, sum(count)
	FROM (SELECT who, why, name, count(*) AS count FROM entry WHERE id >= :lo AND id < :hi GROUP BY who, why, name) AS e
	LEFT JOIN name ON name.id = e.name LEFT JOIN who ON who.id = e.who LEFT JOIN why ON why.id = e.why
	GROUP BY d, g, n, a, r, c, l ORDER BY d, g, n, a, r, c, l`

// Tally counts the rows with from ≤ Time < to by local day, device, group, name, action, rule, category and list, day by
// day, each combination once. A zero time is no bound. Memory is bounded whatever was asked. It ends with the error of
// yield; a month that cannot be read does not hide the others: what is wrong with it is returned at the end.
func (r *Reader) Tally(ctx context.Context, from, to time.Time, loc *time.Location, yield func(record.Tally) error) error {
	all, err := r.within(from, to)
	if err != nil || len(all) == 0 {
		return err
	}
	begin, end := all[0].start(), (all[len(all)-1] + 1).start()
	if from.After(begin) {
		begin = from
	}
	if !to.IsZero() && to.Before(end) {
		end = to
	}
	t := tally{yield: yield}
	defer t.close()
	for day := midnight(begin, loc, 0); day.Before(end); day = midnight(day, loc, 1) {
		lo, hi := later(day, begin), earlier(midnight(day, loc, 1), end)
		for len(all) > 0 && !lo.Before((all[0] + 1).start()) {
			all = all[1:]
		}
		if err := t.day(ctx, r, all, day, lo, hi); err != nil {
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

// tally is one run of Tally, with the files that the present day touches.
type tally struct {
	yield  func(record.Tally) error
	open   []openMonth
	broken error
}

type openMonth struct {
	month month
	db    *sql.DB // nil: there is nothing to read
}

func (t *tally) close() {
	for _, o := range t.open {
		if o.db != nil {
			_ = o.db.Close() // it was only read
		}
	}
	t.open = nil
}

// file opens the month once. Months come in order, and no day touches more than two.
func (t *tally) file(ctx context.Context, r *Reader, m month) (*sql.DB, error) {
	for _, o := range t.open {
		if o.month == m {
			return o.db, nil
		}
	}
	db, _, err := openReader(ctx, m.path(r.dir), "log")
	if len(t.open) == 2 {
		if t.open[0].db != nil {
			err = errors.Join(err, t.open[0].db.Close())
		}
		t.open = t.open[1:]
	}
	t.open = append(t.open, openMonth{m, db})
	return db, err
}

// day merges what the months that the day touches say of it.
func (t *tally) day(ctx context.Context, r *Reader, all []month, day, lo, hi time.Time) error {
	var streams []*tallyStream
	defer func() {
		for _, s := range streams {
			s.rows.Close()
		}
	}()
	for _, m := range all {
		if !m.start().Before(hi) {
			break
		}
		db, err := t.file(ctx, r, m)
		if err == nil && db != nil {
			var s *tallyStream
			if s, err = openStream(ctx, db, m, lo, hi); err == nil {
				streams = append(streams, s)
			}
		}
		if err := stop(ctx, m, err, &t.broken); err != nil {
			return err
		}
	}
	for {
		least := (*tallyStream)(nil)
		for _, s := range streams {
			if s.ok && (least == nil || s.row.compare(least.row) < 0) {
				least = s
			}
		}
		if least == nil {
			break
		}
		row := least.row
		row.count = 0
		for _, s := range streams {
			for s.ok && s.row.compare(row) == 0 {
				row.count += s.row.count
				s.next()
			}
		}
		if err := t.yield(row.tally(day)); err != nil {
			return err
		}
	}
	for _, s := range streams {
		if err := stop(ctx, s.month, s.err, &t.broken); err != nil {
			return err
		}
	}
	return nil
}

// tallyStream is the answer of one month, in order.
type tallyStream struct {
	month month
	rows  *sql.Rows
	row   tallyRow
	ok    bool // row is one
	err   error
}

func openStream(ctx context.Context, db *sql.DB, m month, lo, hi time.Time) (*tallyStream, error) {
	rows, err := db.QueryContext(ctx, tallyText, sql.Named("lo", m.id(lo)), sql.Named("hi", m.id(hi)))
	if err != nil {
		return nil, err
	}
	s := &tallyStream{month: m, rows: rows}
	s.next()
	return s, nil
}

func (s *tallyStream) next() {
	if s.ok = s.rows.Next(); !s.ok {
		s.err = s.rows.Err()
		return
	}
	r := &s.row
	if s.err = s.rows.Scan(&r.device, &r.group, &r.name, &r.action, &r.rule, &r.category, &r.list, &r.count); s.err != nil {
		s.ok = false
	}
}

type tallyRow struct {
	device, group, name, action, rule, category, list string
	count                                             int64
}

// compare orders as SQLite does, byte by byte, and leaves out the count.
func (a tallyRow) compare(b tallyRow) int {
	return cmp.Or(cmp.Compare(a.device, b.device), cmp.Compare(a.group, b.group), cmp.Compare(a.name, b.name),
		cmp.Compare(a.action, b.action), cmp.Compare(a.rule, b.rule), cmp.Compare(a.category, b.category), cmp.Compare(a.list, b.list))
}

func (a tallyRow) tally(day time.Time) record.Tally {
	t := record.Tally{Day: day, Device: a.device, Group: a.group, Name: a.name, Category: a.category, List: a.list, Count: a.count}
	t.Action, _ = query.ParseAction(a.action)
	t.Rule, _ = query.ParseRule(a.rule)
	return t
}
