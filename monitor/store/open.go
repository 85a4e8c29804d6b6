package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

var (
	// ErrInUse is returned when another process writes to the state directory.
	ErrInUse = errors.New("in use by another schoolgate process")
	// ErrUnavailable is returned by the methods of a Store that could not be opened yet, together with the cause.
	ErrUnavailable = errors.New("the record is not open")
)

// How often Run tries to open a store that could not be opened: soon at first, because a disk may only be slow to appear.
const (
	openSoon    = 10 * time.Second
	openLater   = time.Minute
	soonAtFirst = 6
)

// handle is a database that is opened some time, perhaps later than it is asked for.
type handle struct {
	mu  sync.RWMutex
	db  *sql.DB
	err error // why it is not open; nil before the first attempt
}

// get is the database, or ErrUnavailable with the cause.
func (h *handle) get() (*sql.DB, error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	switch {
	case h.db != nil:
		return h.db, nil
	case h.err != nil:
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, h.err)
	}
	return nil, ErrUnavailable
}

func (h *handle) set(db *sql.DB, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.db, h.err = db, err
}

func (h *handle) close() error {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.db == nil {
		return nil
	}
	return h.db.Close()
}

// Open takes possession of the state directory, makes what is missing, and records the start of this run. A damaged
// schoolgate.db is renamed to *.damaged and a new one is begun: monitoring must go on.
//
// It fails with ErrInUse, with ErrNewer for what a newer version wrote, and when dir is not a directory: a person made a
// mistake. Whatever else is wrong, such as a disk that is full, read-only or broken, is no reason for a school to have no
// DNS: then the Store is returned without an error and not open, its methods return ErrUnavailable, Conditions says so, and
// Run tries again.
func Open(ctx context.Context, dir string, log *slog.Logger) (*Store, error) {
	return openAt(ctx, dir, log, time.Now)
}

func openAt(ctx context.Context, dir string, log *slog.Logger, now func() time.Time) (*Store, error) {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = syscall.ENOTDIR
	}
	if errors.Is(err, syscall.ENOTDIR) {
		return nil, fmt.Errorf("opening the state directory %q: %w", dir, err)
	}
	s := &Store{Reader: &Reader{dir: dir, now: now}, log: log, begun: now(), budget: newBudget()}
	err = s.open(ctx)
	switch {
	case errors.Is(err, ErrInUse) || errors.Is(err, ErrNewer):
		return nil, errors.Join(err, s.release())
	case err != nil:
		log.ErrorContext(ctx, "the record cannot be opened: rows wait in memory, it is tried again", "error", err)
	}
	return s, nil
}

// open does what Open says, unless it is done.
func (s *Store) open(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	if _, err := s.main.get(); err == nil {
		return nil
	}
	s.disk.look(s.dir, s.now())
	write, read, err := s.openBoth(ctx)
	if err == nil {
		if err = s.begin(ctx, write, read); err != nil {
			err = fmt.Errorf("recording the start: %w", err)
		}
	}
	if err != nil {
		for _, db := range []*sql.DB{write, read} {
			if db != nil {
				err = errors.Join(err, db.Close())
			}
		}
		s.main.set(nil, err)
		s.Reader.db.set(nil, err)
		return err
	}
	s.Reader.db.set(read, nil)
	s.main.set(write, nil)
	return nil
}

// openBoth opens schoolgate.db for writing and for reading. After an error, those that are not nil are to be closed.
func (s *Store) openBoth(ctx context.Context) (write, read *sql.DB, err error) {
	if err := os.MkdirAll(filepath.Join(s.dir, logDir), 0o700); err != nil {
		return nil, nil, fmt.Errorf("making the state directory: %w", err)
	}
	if s.lock == nil { // it is kept from one attempt to the next
		if s.lock, err = lock(filepath.Join(s.dir, lockFile)); err != nil {
			return nil, nil, fmt.Errorf("opening the state directory %q: %w", s.dir, err)
		}
	}
	path := filepath.Join(s.dir, mainFile)
	write, err = openMain(ctx, path)
	if damaged(err) {
		s.log.ErrorContext(ctx, "the database is damaged: it is set aside and a new one begun", "error", err)
		if err = setAside(path); err == nil {
			write, err = openMain(ctx, path)
		}
	}
	if err != nil {
		return nil, nil, fmt.Errorf("opening %s: %w", mainFile, err)
	}
	read, ok, err := openReader(ctx, path, "main")
	if err == nil && !ok {
		err = errors.New("it is empty")
	}
	if err != nil {
		return write, nil, fmt.Errorf("opening %s for reading: %w", mainFile, err)
	}
	return write, read, nil
}

// openMain opens schoolgate.db and checks it, which takes no time since it is small.
func openMain(ctx context.Context, path string) (*sql.DB, error) {
	db, err := openWriter(ctx, path, "main")
	if err != nil {
		return nil, err
	}
	if err := check(ctx, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// untilOpen tries to open the store until it is open, or ctx ends; then it tries once more, so that what waits in memory
// is written if it can be.
func (s *Store) untilOpen(ctx context.Context) {
	for n := 0; ; n++ {
		if _, err := s.main.get(); err == nil {
			return
		}
		wait := openSoon
		if n >= soonAtFirst {
			wait = openLater
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		err := s.open(context.WithoutCancel(ctx))
		switch {
		case err == nil:
			s.log.InfoContext(ctx, "the record is open", "after", s.now().Sub(s.begun))
		case ctx.Err() == nil:
			s.log.WarnContext(ctx, "the record still cannot be opened", "error", err)
		}
		if ctx.Err() != nil {
			return
		}
	}
}
