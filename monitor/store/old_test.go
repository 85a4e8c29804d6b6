package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"schoolgate/monitor/record"
	"schoolgate/resolver/query"
)

// writeOld makes the databases in which the record was kept once.
func writeOld(t *testing.T, dir string, rows []record.Row) {
	t.Helper()
	for len(rows) > 0 {
		n, m := 0, monthOf(rows[0].Time)
		for n < len(rows) && monthOf(rows[n].Time) == m {
			n++
		}
		db := must[*sql.DB](t)(openWriter(t.Context(), m.path(dir), "log"))
		err := transact(t.Context(), db, func(tx *sql.Tx) error { return fillOld(tx, m, rows[:n]) })
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		rows = rows[n:]
	}
}

func monthOf(t time.Time) month { return month(t.Year()*12 + int(t.Month()) - 1) }

func fillOld(tx *sql.Tx, m month, rows []record.Row) error {
	put, err := tx.Prepare("INSERT INTO entry VALUES (?, ?, ?, ?, ?)")
	if err != nil {
		return err
	}
	defer put.Close()
	b := record.BatchOf(rows...)
	for i, e := range b.Rows {
		id := (e.Time-m.start().UnixMilli())<<sequenceBits | int64(i%1024)
		if _, err := put.Exec(id, e.Who+1, e.Why+1, e.Name+1, e.Took); err != nil {
			return err
		}
	}
	for i, name := range b.Names {
		_, err = tx.Exec("INSERT INTO name VALUES (?, ?)", i+1, name)
	}
	for i, w := range b.Who {
		_, e := tx.Exec("INSERT INTO who VALUES (?, ?, ?, ?)", i+1, w.Device, w.Addr.AsSlice(), w.Group)
		err = errors.Join(err, e)
	}
	for i, w := range b.Why {
		_, e := tx.Exec("INSERT INTO why VALUES (?, ?, ?, ?, ?, ?, ?, ?)", i+1, w.Action.String(), w.Rule.String(), w.Category, w.List,
			w.Source.String(), w.RCode, w.Type)
		err = errors.Join(err, e)
	}
	return err
}

// The record of an earlier version is found, counted, checked and deleted as if it were one with what came after.
func TestOldMonths(t *testing.T) {
	const oldRows = oldPage + 2000 // most of them in February
	dir := t.TempDir()
	begin, border := time.Date(2026, time.January, 30, 0, 0, 0, 0, time.UTC), time.Date(2026, time.March, 10, 12, 0, 0, 0, time.UTC)
	c := &clock{border.AddDate(0, 0, 5)}
	s := openTest(t, dir, c)
	rows := append(sample(1, oldRows, begin, border), sample(2, 1000, border, c.Time)...)
	for i := range rows {
		if rows[i].Time.Before(border.AddDate(0, 0, -6)) {
			rows[i].Name = "x." + rows[i].Name // which only rows have that retention deletes
		}
	}
	writeOld(t, dir, rows[:oldRows])
	appendAll(t, s, rows[oldRows:])
	block := query.Block
	for name, f := range map[string]record.Filter{
		"everything": {}, "between": {From: border.AddDate(0, 0, -20), To: border}, "device": {Device: "TABLET-3"}, "address": {Device: "192.0.2.4"},
		"all": {Name: "site1.example", Group: "children", Category: "gaming", Action: &block}, "pattern": {Name: "cdn*"},
	} {
		t.Run(name, func(t *testing.T) {
			var want []record.Row
			for _, r := range rows {
				if selects(f, r) {
					want = append(want, r)
				}
			}
			got := search(t, s.Reader, f)
			if diff := diffRows(want, got); diff != "" {
				t.Errorf("want %d rows, got %d: %.2000s", len(want), len(got), diff)
			}
			if n := must[int64](t)(s.Count(t.Context(), f)); n != int64(len(want)) {
				t.Errorf("count %d, want %d", n, len(want))
			}
			f.Limit = 2500
			if limited := search(t, s.Reader, f); len(limited) != min(2500, len(want)) || diffRows(got[:len(limited)], limited) != "" {
				t.Errorf("limited: %d rows", len(limited))
			}
		})
	}
	t.Run("tally", func(t *testing.T) {
		for _, limit := range []int{maxTallies, 100} {
			sum, days := int64(0), map[time.Time]bool{}
			err := s.tally(t.Context(), time.Time{}, time.Time{}, time.FixedZone("east", 3600), limit, func(n record.Tally) error {
				sum += n.Count
				days[n.Day] = true
				return nil
			})
			if err != nil || sum != int64(len(rows)) || len(days) != 45 && len(days) != 46 {
				t.Errorf("%d rows on %d days: %v", sum, len(days), err)
			}
		}
	})
	st := must[Stats](t)(s.Stats())
	if !st.Oldest.Equal(time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("oldest %v", st.Oldest)
	}
	t.Run("retention", func(t *testing.T) {
		if err := s.Retain(t.Context(), c.Time, 10); err != nil {
			t.Fatal(err)
		}
		kept := c.Time.Truncate(wholeDay).AddDate(0, 0, -9)
		var want []record.Row
		for _, r := range rows {
			if !r.Time.Before(kept) {
				want = append(want, r)
			}
		}
		if diff := diffRows(want, search(t, s.Reader, record.Filter{})); diff != "" {
			t.Errorf("%.2000s", diff)
		}
		if diff := gocmp.Diff([]month{2026*12 + 2}, must[[]month](t)(months(dir))); diff != "" {
			t.Error(diff)
		}
		err := s.inMonth(t.Context(), 2026*12+2, func(db *sql.DB) error {
			var rows, names, old int
			err := db.QueryRow("SELECT (SELECT count(*) FROM entry), (SELECT count(*) FROM name), (SELECT count(*) FROM name WHERE text LIKE 'x.%')").Scan(&rows, &names, &old)
			if rows == 0 || names == 0 || old != 0 {
				t.Errorf("%d rows and %d names are left, %d old ones", rows, names, old)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
	t.Run("damage", func(t *testing.T) {
		corrupt(t, month(2026*12+2).path(dir), 4096)
		if err := s.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "2026-03") {
			t.Errorf("check: %v", err)
		}
		n := 0
		err := s.Search(t.Context(), record.Filter{}, func(record.Row) error { n++; return nil })
		if err == nil || n < 1000 {
			t.Errorf("%d rows, %v", n, err)
		}
	})
	for _, path := range must[[]string](t)(filepath.Glob(filepath.Join(dir, logDir, "*.db*"))) {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
	if err := s.Retain(context.Background(), c.Time, 1); err != nil {
		t.Error(fmt.Errorf("without old months: %w", err))
	}
}
