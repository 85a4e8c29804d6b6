package store

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"schoolgate/monitor"
)

// Reader reads a state directory, which a Store in this or another process may be writing to. Its methods may be called
// from any goroutine.
type Reader struct {
	dir string
	now func() time.Time
	db  handle // schoolgate.db
}

// OpenReader opens an existing state directory for reading. The error is fs.ErrNotExist when nothing was ever recorded there,
// and fs.ErrPermission when this user may not read it.
func OpenReader(ctx context.Context, dir string) (*Reader, error) {
	path := filepath.Join(dir, mainFile)
	db, ok, err := openReader(ctx, path, "main")
	if err == nil && !ok {
		err = &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	if err != nil {
		return nil, fmt.Errorf("opening the record: %w", err)
	}
	r := &Reader{dir: dir, now: time.Now}
	r.db.set(db, nil)
	return r, nil
}

// Close ends reading.
func (r *Reader) Close() error { return r.db.close() }

// query calls each for every row of the answer.
func (r *Reader) query(ctx context.Context, each func(*sql.Rows) error, text string, args ...any) error {
	db, err := r.db.get()
	if err != nil {
		return err
	}
	return queryAll(ctx, db, each, text, args...)
}

func queryAll(ctx context.Context, db *sql.DB, each func(*sql.Rows) error, text string, args ...any) error {
	rows, err := db.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Gaps gives the stretches between from and to for which the record is not whole, oldest first: when the program had been
// stopped or killed, also if it still is, and when rows were lost. A zero time is no bound.
func (r *Reader) Gaps(ctx context.Context, from, to time.Time) ([]monitor.Gap, error) {
	var all []monitor.Gap
	lo, hi := span(from, to)
	const text = `SELECT "from", "to", reason, lost FROM gaps WHERE "to" >= ? AND "from" < ? ORDER BY "from", id`
	err := r.query(ctx, func(rows *sql.Rows) error {
		var a, b int64
		var g monitor.Gap
		err := rows.Scan(&a, &b, &g.Reason, &g.Lost)
		g.From, g.To = fromMillis(a), fromMillis(b)
		all = append(all, g)
		return err
	}, text, lo, hi)
	if err != nil {
		return nil, fmt.Errorf("reading gaps: %w", err)
	}
	db, err := r.db.get()
	if err != nil {
		return nil, fmt.Errorf("reading gaps: %w", err)
	}
	g, err := r.silence(ctx, db, r.now())
	if err != nil {
		return nil, err
	}
	// A run that is not stopped is taken for dead when it has missed several heartbeats.
	alive := g.Reason == "" || g.Reason == killed && g.To.Sub(g.From) < 4*beatEvery
	if !alive && millis(g.To) >= lo && millis(g.From) < hi {
		all = append(all, g)
	}
	return all, nil
}

// Changes gives the recorded changes with from ≤ At < to, oldest first. A zero time is no bound.
func (r *Reader) Changes(ctx context.Context, from, to time.Time) ([]monitor.Change, error) {
	var all []monitor.Change
	lo, hi := span(from, to)
	const text = "SELECT at, kind, summary, detail FROM changes WHERE at >= ? AND at < ? ORDER BY at, id"
	err := r.query(ctx, func(rows *sql.Rows) error {
		var at int64
		var c monitor.Change
		err := rows.Scan(&at, &c.Kind, &c.Summary, &c.Detail)
		c.At = fromMillis(at)
		all = append(all, c)
		return err
	}, text, lo, hi)
	if err != nil {
		return nil, fmt.Errorf("reading changes: %w", err)
	}
	return all, nil
}

// Heads gives all heads of the log of changes that were kept, in the order in which they were.
func (r *Reader) Heads(ctx context.Context) ([]monitor.Head, error) {
	var all []monitor.Head
	err := r.query(ctx, func(rows *sql.Rows) error {
		var at int64
		var h monitor.Head
		err := rows.Scan(&at, &h.Count, &h.Hash)
		h.At = fromMillis(at)
		all = append(all, h)
		return err
	}, "SELECT at, count, hash FROM heads ORDER BY id")
	if err != nil {
		return nil, fmt.Errorf("reading the heads of the log of changes: %w", err)
	}
	return all, nil
}
