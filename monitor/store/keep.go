package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"schoolgate/monitor"
)

// chunk is how many rows one transaction deletes, so that the writer and the card can breathe in between.
const chunk = 20_000

// day is a day of UTC.
const day = 24 * time.Hour

// Retain deletes all that is, or before the next midnight of UTC will be, older than so many days at now: whole months, the
// older rows of the month in which the border falls with the names that no row has any more, and alerts, mails, gaps and
// runs of that age. Called once a day it therefore never leaves anything older than promised, and deletes nothing more than
// a day early. Changes of the filtering are kept: they are the school's evidence, and about nobody. Rows with a time in the future, of a clock that was wrong, stay
// until that time has come and gone. Days below 1 delete nothing.
func (s *Store) Retain(ctx context.Context, now time.Time, days int) error {
	if days < 1 {
		return nil
	}
	if _, err := s.main.get(); err != nil {
		return err
	}
	border := now.Truncate(day).AddDate(0, 0, 1-days)
	var errs []error
	if err := s.retainMain(ctx, border); err != nil {
		errs = append(errs, fmt.Errorf("deleting old alerts and gaps: %w", err))
	}
	all, err := months(s.dir)
	if err != nil {
		return errors.Join(append(errs, fmt.Errorf("listing the record: %w", err))...)
	}
	for _, m := range all {
		var err error
		switch {
		case !(m + 1).start().After(border):
			err = s.remove(m)
		case m.start().Before(border):
			err = s.trim(ctx, m, m.id(border))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("deleting old rows of %s: %w", m, err))
		}
	}
	// A damaged file's rows cannot be deleted one by one, so all of it goes with the first.
	names, err := s.damagedFiles()
	for _, name := range names {
		if m, ok := parseMonth(damagedFile, filepath.Base(name)); ok && m.start().Before(border) {
			errs = append(errs, os.Remove(name))
		}
	}
	return errors.Join(append(errs, err)...)
}

func (s *Store) retainMain(ctx context.Context, border time.Time) error {
	return s.transact(ctx, func(tx *sql.Tx) error {
		for _, text := range []string{
			"DELETE FROM alerts WHERE last < ?", // and their mails
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

// remove deletes the month's file.
func (s *Store) remove(m month) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	if err := s.drop(m); err != nil {
		s.log.Warn("closing a file before its deletion", "month", m.String(), "error", err)
	}
	path := m.path(s.dir)
	var errs []error
	for _, part := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + part); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// trim deletes the month's rows with ids below border, and what only they referred to.
func (s *Store) trim(ctx context.Context, m month, border int64) error {
	for {
		n, err := s.trimChunk(ctx, m, border)
		if err != nil || n < chunk {
			return err
		}
	}
}

func (s *Store) trimChunk(ctx context.Context, m month, border int64) (deleted int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, errClosed
	}
	f, err := s.file(ctx, m)
	if err != nil {
		return 0, err
	}
	deleted, err = f.trim(ctx, border)
	if err != nil {
		err = errors.Join(err, s.drop(m))
	}
	return deleted, err
}

// trim deletes at most chunk rows, and with the last of them what nothing refers to any more.
func (f *logFile) trim(ctx context.Context, border int64) (deleted int64, err error) {
	tx, err := f.conn.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback() }() // of no effect after Commit
	res, err := tx.ExecContext(ctx, "DELETE FROM entry WHERE id IN (SELECT id FROM entry WHERE id < ? ORDER BY id LIMIT ?)", border, chunk)
	if err != nil {
		return 0, err
	}
	if deleted, err = res.RowsAffected(); err != nil {
		return 0, err
	}
	if deleted > 0 && deleted < chunk {
		for _, text := range []string{
			"DELETE FROM name WHERE id NOT IN (SELECT name FROM entry)",
			"DELETE FROM who WHERE id NOT IN (SELECT who FROM entry)",
			"DELETE FROM why WHERE id NOT IN (SELECT why FROM entry)",
		} {
			if _, err := tx.ExecContext(ctx, text); err != nil {
				return 0, err
			}
		}
	}
	if err := tx.Commit(); err != nil {
		return 0, err
	}
	if deleted == 0 {
		return 0, nil
	}
	return deleted, f.remember(ctx)
}

// Check looks at every database for damage (PRAGMA quick_check), which reads all of it: minutes on a small box.
func (r *Reader) Check(ctx context.Context) error {
	db, err := r.db.get()
	if err != nil {
		return fmt.Errorf("checking %s: %w", mainFile, err)
	}
	var errs []error
	if err := check(ctx, db); err != nil {
		errs = append(errs, fmt.Errorf("checking %s: %w", mainFile, err))
	}
	all, err := months(r.dir)
	errs = append(errs, err)
	for _, m := range all {
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
	Bytes  int64     // of the state directory's databases, damaged ones included
	Free   int64     // that the file system has left for this program; -1 when not known
	Oldest time.Time // the first month kept; zero when there is none
}

// Stats reads the directory; it does not touch the databases.
func (s *Store) Stats() (Stats, error) {
	if _, err := s.main.get(); err != nil {
		return Stats{}, err
	}
	s.mu.Lock()
	st := Stats{Rows: s.rows}
	s.mu.Unlock()
	all, err := months(s.dir)
	if err != nil {
		return st, fmt.Errorf("listing the record: %w", err)
	}
	if len(all) > 0 {
		st.Oldest = all[0].start()
	}
	for _, dir := range []string{s.dir, filepath.Join(s.dir, logDir)} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return st, fmt.Errorf("listing the record: %w", err)
		}
		for _, e := range entries {
			if !strings.Contains(e.Name(), ".db") {
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
	for dir, pattern := range map[string]*regexp.Regexp{r.dir: damagedMain, filepath.Join(r.dir, logDir): damagedFile} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, fmt.Errorf("looking for damaged files: %w", err)
		}
		for _, e := range entries {
			if pattern.MatchString(e.Name()) {
				names = append(names, filepath.Join(dir, e.Name()))
			}
		}
	}
	return names, nil
}

// Conditions says what is wrong with the store now: record.unavailable until it could be opened, record.full or record.space
// since the disk was found full or nearly so, and record.damaged for as long as a file that was set aside is there. It takes
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
	all = append(all, shortened(s.files, s.now())...)
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
// of UTC and whenever days gives another number, until ctx ends. What goes wrong is logged, and tried again after an hour.
func (s *Store) Run(ctx context.Context, days func() int) error {
	s.untilOpen(ctx)
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	var next time.Time
	last := 0
	for {
		if now, n := s.now(), days(); n != last || !now.Before(next) {
			last, next = n, now.Truncate(day).Add(day)
			if err := s.Retain(ctx, now, n); err != nil && ctx.Err() == nil {
				s.log.ErrorContext(ctx, "old rows could not be deleted", "error", err)
				next = now.Add(time.Hour)
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
