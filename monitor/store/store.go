// Package store is what a box keeps on disk: its record of queries, and a database in SQLite without cgo.
//
// The state directory holds schoolgate.db, which is small and must not be lost (alerts, outbox, changes, gaps, runs), and
// log/YYYY-MM-DD.log, the rows of one day of UTC each, in a form of its own (see frame.go) to which is only ever appended. A
// day ends its life by the deletion of its file. One Store writes; any number of Readers, in this process or in others,
// read at the same time.
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

// openFiles is how many days are kept open for writing: this one, and at its beginning the one before.
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
	disk   disk
	budget budget
	guard  leapGuard

	tune func(*logFile) // for tests: applied to each day's file when it is opened
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

// Append writes the rows of b, in any order but best by time, and returns how many, counted from the first, are on the disk.
// It writes once, and waits once for the disk, for each stretch of rows of one day. A damaged day is set aside and begun
// anew; any other error leaves the rest of the rows to the caller. It is ErrFull when the disk is full, or so nearly that
// the rest of it is kept for alerts. A device that asks for very many new names has them shortened; see budget. It pauses now and then,
// so as not to hold up others on the same core.
func (s *Store) Append(ctx context.Context, b *record.Batch) (n int, err error) {
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
	for n < len(b.Rows) {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		d, end := dateOfMillis(b.Rows[n].Time), n+1
		for end < len(b.Rows) && dateOfMillis(b.Rows[end].Time) == d {
			end++
		}
		done, err := s.appendDay(ctx, d, b, b.Rows[n:end])
		s.rows += int64(done)
		n += done
		if s.disk.outcome(err, s.now()); noRoom(err) {
			err = fmt.Errorf("%w: %w", ErrFull, err)
		}
		if err != nil {
			return n, fmt.Errorf("writing to the record of %s: %w", d, err)
		}
	}
	return n, s.beatIfDue(ctx)
}

var errClosed = errors.New("the store is closed")

func dateOfMillis(ms int64) date { return date(clampMillis(ms) / dayMillis) }

func (s *Store) appendDay(ctx context.Context, d date, b *record.Batch, rows []record.Entry) (n int, err error) {
	f, err := s.file(d)
	if errors.Is(err, errDamaged) {
		s.log.ErrorContext(ctx, "a day of the record is damaged: it is set aside and begun anew", "day", d.String(), "error", err)
		if err = s.replace(ctx, d); err == nil {
			f, err = s.file(d)
		}
	}
	if err != nil {
		return 0, err
	}
	return f.append(b, rows, &s.budget)
}

// file is the day's file, opened when it is not open.
func (s *Store) file(d date) (*logFile, error) {
	for i, f := range s.files {
		if f.date == d {
			s.files = append(append(s.files[:i], s.files[i+1:]...), f)
			return f, nil
		}
	}
	if len(s.files) >= openFiles {
		if err := s.drop(s.files[0].date); err != nil {
			return nil, err
		}
	}
	f, err := openLog(s.dir, d, &s.budget.known)
	if err != nil {
		return nil, err
	}
	if s.tune != nil {
		s.tune(f)
	}
	s.files = append(s.files, f)
	return f, nil
}

// drop closes the day's file if it is open.
func (s *Store) drop(d date) error {
	for i, f := range s.files {
		if f.date == d {
			s.files = append(s.files[:i], s.files[i+1:]...)
			return f.close()
		}
	}
	return nil
}

// replace sets a damaged day aside, and says in the record that it is not whole.
func (s *Store) replace(ctx context.Context, d date) error {
	if err := setAside(d.path(s.dir)); err != nil {
		return fmt.Errorf("setting a damaged file aside: %w", err)
	}
	end := (d + 1).start()
	if now := s.now(); now.Before(end) {
		end = now
	}
	return s.Gap(ctx, monitor.Gap{From: d.start(), To: end, Reason: "damaged"})
}

// setAside renames a file to the first free one of *.damaged, *.damaged.2 and so on, with its write-ahead log if it has one.
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
