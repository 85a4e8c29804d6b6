// Package store is the database of a box, in SQLite without cgo.
//
// The state directory holds schoolgate.db, which is small and must not be lost (alerts, outbox, changes, gaps, runs), and
// log/YYYY-MM.db, the rows of one month of UTC each. A month ends its life by the deletion of its file. One Store writes;
// any number of Readers, in this process or in others, read at the same time.
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"schoolgate/monitor"
	"schoolgate/monitor/record"
)

const (
	mainFile = "schoolgate.db"
	logDir   = "log"
	lockFile = "lock"
)

// beatEvery is how exactly the end of a killed run is known when no rows came; when rows came, the last one tells.
const beatEvery = 30 * time.Second

// openFiles is how many months are kept open for writing: this one, and at its beginning the one before.
const openFiles = 2

// Store is the one writer of a state directory, and a Reader of it. Its methods may be called from any goroutine; reading
// does not wait for writing. Until it could be opened, all of them return ErrUnavailable.
type Store struct {
	*Reader
	log  *slog.Logger
	main handle
	// begun is when Open was called. What is asked from then on waits in memory until it can be written, so the run began then
	// also when the first attempt to open failed.
	begun time.Time

	mu sync.Mutex
	// mu guards what follows, during I/O too: whoever writes rows waits for whoever deletes them, and no query waits here.
	lock   *os.File
	run    int64      // in table runs
	files  []*logFile // latest used last
	beat   time.Time
	rows   int64
	closed bool

	// disk is how much room there was when it was last looked at.
	disk disk

	tune func(*logFile) // for tests: applied to each month's file when it is opened
}

// Close records a clean stop. Rows that were appended are safe already.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if _, err := s.main.get(); err != nil { // it was never opened
		return s.release()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(s.end(ctx), s.release())
}

// release closes what is open.
func (s *Store) release() error {
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.close())
	}
	s.files = nil
	errs = append(errs, s.Reader.Close(), s.main.close())
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// Append writes rows, in any order but best by time, and returns how many, counted from the first, are on the disk. It
// makes one transaction for each stretch of rows of one month. A damaged month is set aside and begun anew; any other
// error leaves the rest of the rows to the caller. It is ErrFull when the disk is full, or so nearly that the rest of it is
// kept for alerts. A device that asks for very many new names has them shortened; see budget.
func (s *Store) Append(ctx context.Context, rows []record.Row) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, errClosed
	}
	if _, err := s.main.get(); err != nil {
		return 0, err
	}
	if s.disk.look(s.dir, s.now()); s.disk.full() {
		return 0, ErrFull
	}
	for n < len(rows) {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		m, end := monthOf(clampTime(rows[n].Time)), n+1
		for end < len(rows) && monthOf(clampTime(rows[end].Time)) == m {
			end++
		}
		err := s.appendMonth(ctx, m, rows[n:end])
		if damaged(err) {
			s.log.ErrorContext(ctx, "a month of the record is damaged: it is set aside and begun anew", "month", m.String(), "error", err)
			if err = s.replace(ctx, m); err == nil {
				err = s.appendMonth(ctx, m, rows[n:end])
			}
		}
		if s.disk.outcome(err, s.now()); hasCode(err, codeFull) {
			err = fmt.Errorf("%w: %w", ErrFull, err)
		}
		if err != nil {
			return n, fmt.Errorf("writing to the record of %s: %w", m, err)
		}
		s.rows += int64(end - n)
		n = end
	}
	return n, s.beatIfDue(ctx)
}

var errClosed = errors.New("the store is closed")

func (s *Store) appendMonth(ctx context.Context, m month, rows []record.Row) error {
	f, err := s.file(ctx, m)
	if err != nil {
		return err
	}
	if err := f.append(ctx, rows); err != nil {
		return errors.Join(err, s.drop(m))
	}
	return nil
}

// file is the month's file, opened when it is not open.
func (s *Store) file(ctx context.Context, m month) (*logFile, error) {
	for i, f := range s.files {
		if f.month == m {
			s.files = append(append(s.files[:i], s.files[i+1:]...), f)
			return f, nil
		}
	}
	if len(s.files) >= openFiles {
		if err := s.drop(s.files[0].month); err != nil {
			return nil, err
		}
	}
	f, err := openLog(ctx, s.dir, m)
	if err != nil {
		return nil, err
	}
	if s.tune != nil {
		s.tune(f)
	}
	s.files = append(s.files, f)
	return f, nil
}

// drop closes the month's file if it is open.
func (s *Store) drop(m month) error {
	for i, f := range s.files {
		if f.month == m {
			s.files = append(s.files[:i], s.files[i+1:]...)
			return f.close()
		}
	}
	return nil
}

// replace sets a damaged month aside, and says in the record that it is not whole.
func (s *Store) replace(ctx context.Context, m month) error {
	err := s.drop(m)
	if err := setAside(m.path(s.dir)); err != nil {
		return fmt.Errorf("setting a damaged file aside: %w", err)
	}
	if err != nil {
		s.log.WarnContext(ctx, "closing a damaged file", "error", err)
	}
	end := (m + 1).start()
	if now := s.now(); now.Before(end) {
		end = now
	}
	return s.Gap(ctx, monitor.Gap{From: m.start(), To: end, Reason: "damaged"})
}

// setAside renames a database to the first free one of *.damaged, *.damaged.2 and so on, with its write-ahead log.
func setAside(path string) error {
	to := path + ".damaged"
	for i := 2; exists(to); i++ {
		to = fmt.Sprintf("%s.damaged.%d", path, i)
	}
	if err := os.Rename(path, to); err != nil {
		return err
	}
	for _, part := range []string{"-wal", "-shm"} {
		if exists(path + part) {
			if err := os.Rename(path+part, to+part); err != nil {
				return err
			}
		}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
