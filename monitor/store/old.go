package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"

	"schoolgate/monitor/record"
	"schoolgate/resolver/query"
)

// The record was once kept in a SQLite database for each month of UTC, log/YYYY-MM.db. Those that are there are read, and
// retention empties them; nothing is written to them any more.

// month counts calendar months of UTC from year 0.
type month int

func (m month) start() time.Time {
	return time.Date(int(m/12), time.Month(m%12)+1, 1, 0, 0, 0, 0, time.UTC)
}

func (m month) String() string { return fmt.Sprintf("%04d-%02d", int(m/12), int(m%12)+1) }

func (m month) path(dir string) string { return filepath.Join(dir, logDir, m.String()+".db") }

// A row's id is its time since the month began, in milliseconds, and sequenceBits that tell rows of one millisecond apart.
const sequenceBits = 10

// bounds are the ids of the month's rows from from until before to; a zero time is no bound.
func (m month) bounds(from, to time.Time) (lo, hi int64) {
	lo, hi = span(from, to)
	begin, end := m.start().UnixMilli(), (m + 1).start().UnixMilli()
	return (max(lo, begin) - begin) << sequenceBits, (min(hi, end) - begin) << sequenceBits
}

var (
	monthFile    = regexp.MustCompile(`^(\d{4})-(0[1-9]|1[0-2])\.db$`)
	damagedMonth = regexp.MustCompile(`^(\d{4})-(0[1-9]|1[0-2])\.db\.damaged(\.\d+)?(-wal|-shm)?$`)
)

// months lists the files, oldest first.
func months(dir string) ([]month, error) {
	entries, err := os.ReadDir(filepath.Join(dir, logDir))
	if err != nil {
		return nil, fmt.Errorf("listing the record: %w", err)
	}
	var all []month
	for _, e := range entries {
		if m, ok := parseMonth(monthFile, e.Name()); ok {
			all = append(all, m)
		}
	}
	slices.Sort(all)
	return all, nil
}

func parseMonth(pattern *regexp.Regexp, name string) (month, bool) {
	p := pattern.FindStringSubmatch(name)
	if p == nil {
		return 0, false
	}
	year, _ := strconv.Atoi(p[1])
	number, _ := strconv.Atoi(p[2])
	return month(year*12 + number - 1), true
}

const oldText = `SELECT entry.id, entry.took, coalesce(name.text, ''),
	coalesce(who.device, ''), who.addr, coalesce(who."group", ''),
	coalesce(why.action, ''), coalesce(why.rule, ''), coalesce(why.category, ''), coalesce(why.list, ''),
	coalesce(why.source, ''), coalesce(why.rcode, 0), coalesce(why.type, 0)
	FROM entry LEFT JOIN name ON name.id = entry.name LEFT JOIN who ON who.id = entry.who LEFT JOIN why ON why.id = entry.why
	WHERE entry.id >= ? AND entry.id < ? ORDER BY entry.id DESC LIMIT ?`

// oldPage is how many rows are read at once. Between pages no lock is held.
const oldPage = 4096

// old gives the month's rows from from until before to, newest first.
func (r *Reader) old(ctx context.Context, m month, from, to time.Time, yield func(*record.Row) error) error {
	return r.inMonth(ctx, m, func(db *sql.DB) error {
		lo, hi := m.bounds(from, to)
		for lo < hi {
			var page []record.Row
			err := queryAll(ctx, db, func(rows *sql.Rows) error {
				row, err := oldRow(rows, m, &hi)
				page = append(page, row)
				return err
			}, oldText, lo, hi, oldPage)
			if err != nil {
				return err
			}
			for i := range page {
				if err := yield(&page[i]); err != nil {
					return err
				}
			}
			if len(page) < oldPage {
				return nil
			}
		}
		return nil
	})
}

func oldRow(rows *sql.Rows, m month, id *int64) (row record.Row, err error) {
	var took int64
	var addr []byte
	var action, rule, source string
	err = rows.Scan(id, &took, &row.Name, &row.Device, &addr, &row.Group, &action, &rule, &row.Category, &row.List, &source, &row.RCode, &row.Type)
	row.Time = time.UnixMilli(m.start().UnixMilli() + *id>>sequenceBits).UTC()
	row.Duration = time.Duration(took) * time.Microsecond
	row.Addr, _ = netip.AddrFromSlice(addr)
	row.Action, _ = query.ParseAction(action)
	row.Rule, _ = query.ParseRule(rule)
	row.Source, _ = query.ParseSource(source)
	return row, err
}

// inMonth calls f with the month's file, if there is one with anything in it.
func (r *Reader) inMonth(ctx context.Context, m month, f func(*sql.DB) error) error {
	db, ok, err := openReader(ctx, m.path(r.dir), "log")
	if err != nil || !ok {
		return err
	}
	return errors.Join(f(db), db.Close())
}

// retainOld deletes from the old months what retention does not keep.
func (s *Store) retainOld(ctx context.Context, border time.Time) error {
	all, err := months(s.dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, m := range all {
		var err error
		switch {
		case !(m + 1).start().After(border):
			err = removeOld(m.path(s.dir))
		case m.start().Before(border):
			err = s.trimOld(ctx, m, border)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("deleting old rows of %s: %w", m, err))
		}
	}
	return errors.Join(errs...)
}

func removeOld(path string) error {
	var errs []error
	for _, part := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + part); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// oldChunk is how many rows one transaction deletes, so that the card can breathe in between.
const oldChunk = 20_000

const oldOrphans = `DELETE FROM name WHERE id NOT IN (SELECT name FROM entry);
	DELETE FROM who WHERE id NOT IN (SELECT who FROM entry);
	DELETE FROM why WHERE id NOT IN (SELECT why FROM entry)`

// trimOld deletes the month's rows before border, and then what only they referred to.
func (s *Store) trimOld(ctx context.Context, m month, border time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	db, err := openWriter(ctx, m.path(s.dir), "log")
	if err != nil {
		return err
	}
	_, hi := m.bounds(time.Time{}, border)
	for n, all := int64(oldChunk), int64(0); n == oldChunk && err == nil; all += n {
		err = transact(ctx, db, func(tx *sql.Tx) error {
			res, err := tx.ExecContext(ctx, "DELETE FROM entry WHERE id IN (SELECT id FROM entry WHERE id < ? ORDER BY id LIMIT ?)", hi, oldChunk)
			if err != nil {
				return err
			}
			if n, err = res.RowsAffected(); err != nil || n == oldChunk || all+n == 0 {
				return err
			}
			_, err = tx.ExecContext(ctx, oldOrphans)
			return err
		})
	}
	return errors.Join(err, db.Close())
}
