package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"schoolgate/blocklist/domain"
	"schoolgate/monitor/record"
	"schoolgate/resolver/query"
)

// maxStars bounds the work that a pattern can make.
const maxStars = 8

// pageSize is how many rows are read at once. Between pages no lock is held and no snapshot kept, so that somebody who
// reads slowly does not make the write-ahead log grow.
const pageSize = 4096

// selection is a record.Filter as the arguments of one fixed SQL text: what a person typed never becomes part of it.
type selection struct {
	record.Filter
	args []any
}

// where holds for the rows that a selection chooses. A subquery in it does not depend on the row, so SQLite runs it once.
const where = ` entry.id >= :lo AND entry.id < :hi
	AND (:name IS NULL OR entry.name IN (SELECT id FROM name WHERE text = :name OR text LIKE :like ESCAPE '!'))
	AND (:device IS NULL OR entry.who IN (SELECT id FROM who WHERE device = :device COLLATE NOCASE OR addr = :addr))
	AND (:group IS NULL OR entry.who IN (SELECT id FROM who WHERE "group" = :group))
	AND (:category IS NULL OR entry.why IN (SELECT id FROM why WHERE category = :category))
	AND (:action IS NULL OR entry.why IN (SELECT id FROM why WHERE action = :action)) `

const searchText = `SELECT entry.id, entry.took, coalesce(name.text, ''),
	coalesce(who.device, ''), who.addr, coalesce(who."group", ''),
	coalesce(why.action, ''), coalesce(why.rule, ''), coalesce(why.category, ''), coalesce(why.list, ''),
	coalesce(why.source, ''), coalesce(why.rcode, 0), coalesce(why.type, 0)
	FROM entry LEFT JOIN name ON name.id = entry.name LEFT JOIN who ON who.id = entry.who LEFT JOIN why ON why.id = entry.why
	WHERE` + where + `ORDER BY entry.id DESC LIMIT :limit`

const countText = `SELECT count(*) FROM entry WHERE` + where

// selectionOf reads a filter as people write it: a name in any case and script, an address or hardware address in any form.
func selectionOf(f record.Filter) (selection, error) {
	s := selection{Filter: f}
	text := func(name, value string) {
		if value == "" {
			s.args = append(s.args, sql.Named(name, nil))
			return
		}
		s.args = append(s.args, sql.Named(name, value))
	}
	exact, like, err := namePattern(f.Name)
	if err != nil {
		return s, fmt.Errorf("reading the pattern %q: %w", f.Name, err)
	}
	text("name", exact)
	text("like", like)
	text("device", f.Device)
	addr := sql.Named("addr", nil)
	if a, err := netip.ParseAddr(f.Device); err == nil {
		addr.Value = addrBytes(a.Unmap())
	}
	s.args = append(s.args, addr)
	text("group", f.Group)
	text("category", f.Category)
	action := ""
	if f.Action != nil {
		action = f.Action.String()
	}
	text("action", action)
	return s, nil
}

// namePattern is the name itself, and a pattern of LIKE with the escape character !, which no name contains. Both are ""
// for all names.
func namePattern(s string) (exact, like string, err error) {
	if strings.Trim(s, "*") == "" || s == "." {
		return "", "", nil
	}
	if strings.Contains(s, "*") {
		for strings.Contains(s, "**") {
			s = strings.ReplaceAll(s, "**", "*")
		}
		if strings.Count(s, "*") > maxStars {
			return "", "", fmt.Errorf("more than %d stars", maxStars)
		}
		s = strings.TrimSuffix(strings.ToLower(s), ".")
		return s, strings.ReplaceAll(escapeLike(s), "*", "%"), nil
	}
	if name, err := domain.Parse(s); err == nil {
		s = string(name)
	} else {
		s = strings.TrimSuffix(strings.ToLower(s), ".") // names with odd bytes, and record.Withheld
	}
	return s, "%." + escapeLike(s), nil
}

func escapeLike(s string) string { return likeEscapes.Replace(s) }

var likeEscapes = strings.NewReplacer("!", "!!", "%", "!%", "_", "!_")

// Search gives the rows that f selects, newest first, and ends with the error of yield. A month that cannot be read does
// not hide the others: what is wrong with it is returned at the end.
func (r *Reader) Search(ctx context.Context, f record.Filter, yield func(record.Row) error) error {
	s, err := selectionOf(f)
	if err != nil {
		return err
	}
	all, err := r.within(f.From, f.To)
	if err != nil {
		return err
	}
	left := f.Limit
	if left <= 0 {
		left = -1
	}
	var broken error
	for i := len(all) - 1; i >= 0 && left != 0; i-- {
		m := all[i]
		err := r.inMonth(ctx, m, func(db *sql.DB) error {
			lo, hi := m.bounds(f.From, f.To)
			for left != 0 {
				rows, err := s.page(ctx, db, m, lo, hi, left)
				if err != nil {
					return err
				}
				for _, row := range rows {
					if err := yield(row.Row); err != nil {
						return yielded{err}
					}
				}
				if left > 0 {
					left -= len(rows)
				}
				if len(rows) < pageSize {
					return nil
				}
				hi = rows[len(rows)-1].id
			}
			return nil
		})
		if err = stop(ctx, m, err, &broken); err != nil {
			return err
		}
	}
	return broken
}

// yielded marks an error as that of the caller's function.
type yielded struct{ error }

// stop tells an error that ends the reading from one that concerns the month m alone, which it adds to broken.
func stop(ctx context.Context, m month, err error, broken *error) error {
	var y yielded
	switch {
	case err == nil:
	case errors.As(err, &y):
		return y.error
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		*broken = errors.Join(*broken, fmt.Errorf("reading the record of %s: %w", m, err))
	}
	return nil
}

// within lists the months that have a part between from and to.
func (r *Reader) within(from, to time.Time) ([]month, error) {
	if _, err := r.db.get(); err != nil {
		return nil, fmt.Errorf("reading the record: %w", err)
	}
	all, err := months(r.dir)
	if err != nil {
		return nil, fmt.Errorf("listing the record: %w", err)
	}
	kept := all[:0]
	for _, m := range all {
		if lo, hi := m.bounds(from, to); lo < hi {
			kept = append(kept, m)
		}
	}
	return kept, nil
}

// bounds are the ids of the month's rows from from until before to; a zero time is no bound.
func (m month) bounds(from, to time.Time) (lo, hi int64) {
	hi = m.id((m + 1).start())
	if !from.IsZero() {
		lo = m.id(from)
	}
	if !to.IsZero() {
		hi = m.id(to)
	}
	return lo, hi
}

// inMonth calls f with the month's file, if there is one with anything in it.
func (r *Reader) inMonth(ctx context.Context, m month, f func(*sql.DB) error) error {
	db, ok, err := openReader(ctx, m.path(r.dir), "log")
	if err != nil || !ok {
		return err
	}
	return errors.Join(f(db), db.Close())
}

func (s *selection) bind(lo, hi int64, more ...any) []any {
	args := append([]any{sql.Named("lo", lo), sql.Named("hi", hi)}, s.args...)
	return append(args, more...)
}

// found is a row with its id.
type found struct {
	record.Row
	id int64
}

func (s *selection) page(ctx context.Context, db *sql.DB, m month, lo, hi int64, limit int) ([]found, error) {
	if limit < 0 || limit > pageSize {
		limit = pageSize
	}
	var page []found
	err := queryAll(ctx, db, func(rows *sql.Rows) error {
		var f found
		var took int64
		var addr []byte
		var action, rule, source string
		err := rows.Scan(&f.id, &took, &f.Name, &f.Device, &addr, &f.Group, &action, &rule, &f.Category, &f.List, &source, &f.RCode, &f.Type)
		f.Time, f.Duration = m.time(f.id), time.Duration(took)*time.Microsecond
		f.Addr, _ = netip.AddrFromSlice(addr)
		f.Action, _ = query.ParseAction(action)
		f.Rule, _ = query.ParseRule(rule)
		f.Source, _ = query.ParseSource(source)
		page = append(page, f)
		return err
	}, searchText, s.bind(lo, hi, sql.Named("limit", limit))...)
	return page, err
}

// Count says how many rows f selects; its Limit does not matter.
func (r *Reader) Count(ctx context.Context, f record.Filter) (int64, error) {
	s, err := selectionOf(f)
	if err != nil {
		return 0, err
	}
	all, err := r.within(f.From, f.To)
	if err != nil {
		return 0, err
	}
	var sum int64
	var broken error
	for _, m := range all {
		err := r.inMonth(ctx, m, func(db *sql.DB) error {
			var n int64
			lo, hi := m.bounds(f.From, f.To)
			err := db.QueryRowContext(ctx, countText, s.bind(lo, hi)...).Scan(&n)
			sum += n
			return err
		})
		if err := stop(ctx, m, err, &broken); err != nil {
			return sum, err
		}
	}
	return sum, broken
}
