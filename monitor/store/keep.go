package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"schoolgate/monitor"
)

// wholeDay is a day of UTC.
const wholeDay = 24 * time.Hour

// Retain deletes all that is, or before the next midnight of UTC will be, older than so many days at now: whole days of rows,
// which are overwritten first, and alerts, mails, gaps and runs of that age. Called once a day it therefore never leaves anything older than promised, and deletes nothing more than
// a day early. Changes of the filtering are kept: they are the school's evidence, and about nobody. Rows with a time in the future, of a clock that was wrong, stay
// until that time has come and gone. Days below 1 delete nothing.
func (s *Store) Retain(ctx context.Context, now time.Time, days int) error {
	if days < 1 {
		return nil
	}
	if _, err := s.main.get(); err != nil {
		return err
	}
	border := now.Truncate(wholeDay).AddDate(0, 0, 1-days)
	var errs []error
	if err := s.retainMain(ctx, border); err != nil {
		errs = append(errs, fmt.Errorf("deleting old alerts and gaps: %w", err))
	}
	all, err := dates(s.dir)
	errs = append(errs, err)
	for _, d := range all {
		if d.start().Before(border) {
			errs = append(errs, s.remove(ctx, d))
		}
	}
	errs = append(errs, s.retainOld(ctx, border))
	// A damaged file's rows cannot be told apart, so all of it goes with the first.
	names, err := s.damagedFiles()
	for _, path := range names {
		name := filepath.Base(path)
		d, isDay := parseDate(damagedDay, name)
		m, isMonth := parseMonth(damagedMonth, name)
		if isDay && d.start().Before(border) || isMonth && m.start().Before(border) {
			errs = append(errs, erase(ctx, path))
		}
	}
	return errors.Join(append(errs, err)...)
}

func (s *Store) retainMain(ctx context.Context, border time.Time) error {
	return s.transact(ctx, func(tx *sql.Tx) error {
		for _, text := range []string{
			"DELETE FROM alerts WHERE last < ?", // and their mails
			"DELETE FROM hits WHERE last < ?",
			"DELETE FROM requests WHERE at < ?",
			`DELETE FROM gaps WHERE "to" < ?`,
			"DELETE FROM runs WHERE beat < ? AND id < (SELECT max(id) FROM runs)",
		} {
			if _, err := tx.ExecContext(ctx, text, millis(border)); err != nil {
				return err
			}
		}
		return nil
	})
}

// remove deletes the day's file.
func (s *Store) remove(ctx context.Context, d date) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	if err := s.drop(d); err != nil {
		s.log.Warn("closing a file before its deletion", "day", d.String(), "error", err)
	}
	if err := erase(ctx, d.path(s.dir)); err != nil {
		return fmt.Errorf("deleting the rows of %s: %w", d, err)
	}
	return nil
}

// erase overwrites a file and deletes it.
func erase(ctx context.Context, path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("erasing: %w", err)
	}
	info, err := f.Stat()
	zeros := make([]byte, windowSize)
	for at := int64(0); err == nil && at < info.Size(); at += windowSize {
		if err = ctx.Err(); err == nil {
			_, err = f.WriteAt(zeros[:min(windowSize, info.Size()-at)], at)
		}
	}
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("overwriting: %w", err)
	}
	return os.Remove(path)
}

// Check looks at every file for damage, which reads all of it: minutes on a small box.
func (r *Reader) Check(ctx context.Context) error {
	db, err := r.db.get()
	if err != nil {
		return fmt.Errorf("checking %s: %w", mainFile, err)
	}
	var errs []error
	if err := check(ctx, db); err != nil {
		errs = append(errs, fmt.Errorf("checking %s: %w", mainFile, err))
	}
	days, old, err := r.within(time.Time{}, time.Time{})
	errs = append(errs, err)
	for _, d := range days {
		var b block
		err := r.onDay(ctx, d, func(file *day) error { return file.each(ctx, 0, dayMillis, &b, func() error { return nil }) })
		if err != nil {
			errs = append(errs, fmt.Errorf("checking the record of %s: %w", d, err))
		}
	}
	for _, m := range old {
		if err := r.inMonth(ctx, m, func(db *sql.DB) error { return check(ctx, db) }); err != nil {
			errs = append(errs, fmt.Errorf("checking the record of %s: %w", m, err))
		}
	}
	return errors.Join(errs...)
}

// errCheck is what SQLite found wrong.
type errCheck string

func (e errCheck) Error() string { return string(e) }

func check(ctx context.Context, db *sql.DB) error {
	var lines []string
	err := queryAll(ctx, db, func(rows *sql.Rows) error {
		var s string
		err := rows.Scan(&s)
		lines = append(lines, s)
		return err
	}, "PRAGMA quick_check(10)")
	if err != nil {
		return err
	}
	if said := strings.Join(lines, "; "); said != "ok" {
		return errCheck(said)
	}
	return nil
}

// Stats is how the store stands.
type Stats struct {
	Rows   int64     // written since the start
	Bytes  int64     // of the record and the database, damaged files included
	Free   int64     // that the file system has left for this program; -1 when not known
	Oldest time.Time // the first day kept, or the first old month; zero when there is none
}

// Stats reads the directory; it does not touch the files.
func (s *Store) Stats() (Stats, error) {
	if _, err := s.main.get(); err != nil {
		return Stats{}, err
	}
	s.mu.Lock()
	st := Stats{Rows: s.rows}
	s.mu.Unlock()
	days, old, err := s.within(time.Time{}, time.Time{})
	if err != nil {
		return st, err
	}
	if len(days) > 0 {
		st.Oldest = days[0].start()
	}
	if len(old) > 0 && (len(days) == 0 || old[0].start().Before(st.Oldest)) {
		st.Oldest = old[0].start()
	}
	for _, dir := range []string{s.dir, filepath.Join(s.dir, logDir)} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return st, fmt.Errorf("listing the record: %w", err)
		}
		for _, e := range entries {
			if !strings.Contains(e.Name(), ".db") && !strings.Contains(e.Name(), ".log") {
				continue
			}
			if info, err := e.Info(); err == nil { // else it has just gone
				st.Bytes += info.Size()
			}
		}
	}
	st.Free, _, err = space(s.dir)
	return st, err
}

var damagedMain = regexp.MustCompile(`^` + regexp.QuoteMeta(mainFile) + `\.damaged(\.\d+)?$`)

// damagedFiles are the paths of what was set aside.
func (r *Reader) damagedFiles() ([]string, error) {
	var names []string
	for dir, patterns := range map[string][]*regexp.Regexp{
		r.dir: {damagedMain}, filepath.Join(r.dir, logDir): {damagedDay, damagedMonth},
	} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, fmt.Errorf("looking for damaged files: %w", err)
		}
		for _, e := range entries {
			if slices.ContainsFunc(patterns, func(p *regexp.Regexp) bool { return p.MatchString(e.Name()) }) {
				names = append(names, filepath.Join(dir, e.Name()))
			}
		}
	}
	return names, nil
}

// Conditions says what is wrong with the store now: record.unavailable until it could be opened, record.full or record.space
// since the disk was found full or nearly so, record.clock while deletion waits for a clock that leapt ahead, and record.damaged for as long as a file that was set aside is there. It takes
// a look at the directory each time.
func (s *Store) Conditions() []monitor.Condition {
	var all []monitor.Condition
	if _, err := s.main.get(); err != nil {
		all = append(all, monitor.Condition{
			Code: "record.unavailable", Severity: monitor.Critical, Since: s.begun,
			Title: "The record cannot be opened: nothing is recorded and no alert is mailed.",
			Hint:  "Check that the disk of store.path is not full, read-only or broken, and that the service may write there. A restart is not needed.",
		})
	}
	s.mu.Lock()
	all = append(all, s.disk.conditions()...)
	all = append(all, s.budget.conditions(s.now())...)
	all = append(all, s.guard.conditions()...)
	s.mu.Unlock()
	names, err := s.damagedFiles()
	if err != nil || len(names) == 0 {
		return all
	}
	since := s.now()
	for _, name := range names {
		if info, err := os.Stat(name); err == nil && info.ModTime().Before(since) {
			since = info.ModTime()
		}
	}
	return append(all, monitor.Condition{
		Code: "record.damaged", Severity: monitor.Warning, Since: since,
		Title: "A part of the record was damaged and has been set aside.",
		Hint:  "Test the disk or memory card, then look at the files *.damaged in the state directory and delete them.",
	})
}

// Run opens a store that Open could not open, as soon as that works; it tries every ten seconds in the first minute and each
// minute after it. From then on it notes every half minute that the program runs, and calls Retain at once, at every midnight
// of UTC and whenever days gives another number, until ctx ends, by a clock that is believed (leapGuard). What goes wrong is
// logged, and tried again after an hour.
func (s *Store) Run(ctx context.Context, days func() int) error {
	s.untilOpen(ctx)
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	var done, failed time.Time
	last := 0
	for {
		now, n := s.now(), days()
		at := s.believed(now)
		today := at.Truncate(wholeDay)
		if n != last || !today.Equal(done) && (failed.IsZero() || now.Sub(failed) >= time.Hour) {
			last, done, failed = n, today, time.Time{}
			if err := s.Retain(ctx, at, n); err != nil && ctx.Err() == nil {
				s.log.ErrorContext(ctx, "old rows could not be deleted", "error", err)
				done, failed = time.Time{}, now
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := s.Heartbeat(ctx); err != nil && ctx.Err() == nil {
			s.log.ErrorContext(ctx, "the database cannot be written", "error", err)
		}
	}
}

// believed is the time to delete by.
func (s *Store) believed(now time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.guard.trust(now)
}
