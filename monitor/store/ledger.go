package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"schoolgate/monitor"
)

// Reasons of gaps.
const (
	stopped = "stopped"
	killed  = "killed"
	dropped = "dropped"
	full    = "full"
)

// joinGaps is how far apart two losses may be to be told as one.
const joinGaps = time.Minute

func millis(t time.Time) int64 { return clampTime(t).UnixMilli() }

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// begin records that this run started, and the gap since the last one.
func (s *Store) begin(ctx context.Context, write, read *sql.DB) error {
	now := s.now()
	gap, err := s.silence(ctx, read, s.begun)
	if err != nil {
		return err
	}
	s.beat, s.guard.trusted = now, now.Round(0)
	if gap.Reason != "" {
		s.guard.trusted = gap.From.Round(0)
	}
	return transact(ctx, write, func(tx *sql.Tx) error {
		if gap.Reason != "" {
			if err := insertGap(ctx, tx, gap); err != nil {
				return err
			}
		}
		res, err := tx.ExecContext(ctx, "INSERT INTO runs (started, beat) VALUES (?, ?)", millis(s.begun), millis(now))
		if err != nil {
			return err
		}
		s.run, err = res.LastInsertId()
		return err
	})
}

func (s *Store) end(ctx context.Context) error {
	main, err := s.main.get()
	if err != nil {
		return err
	}
	now := millis(s.now())
	_, err = main.ExecContext(ctx, "UPDATE runs SET beat = ?, stopped = ? WHERE id = ?", now, now, s.run)
	return err
}

// Heartbeat notes that the program runs; Append does so too when it is due. It is what a killed run's end is known by.
func (s *Store) Heartbeat(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	s.disk.look(s.dir, s.now())
	return s.beatIfDue(ctx)
}

// beatIfDue writes at most every beatEvery: each time costs an fsync, also in the night.
func (s *Store) beatIfDue(ctx context.Context) error {
	main, err := s.main.get()
	if err != nil {
		return err
	}
	now := s.now()
	if d := now.Sub(s.beat); d >= 0 && d < beatEvery {
		return nil
	}
	if _, err := main.ExecContext(ctx, "UPDATE runs SET beat = ? WHERE id = ?", millis(now), s.run); err != nil {
		return fmt.Errorf("noting that the program runs: %w", err)
	}
	s.beat = now
	return nil
}

// transact runs f in a transaction of schoolgate.db.
func (s *Store) transact(ctx context.Context, f func(*sql.Tx) error) error {
	main, err := s.main.get()
	if err != nil {
		return err
	}
	return transact(ctx, main, f)
}

// silence is the stretch from the end of the last run until until; its Reason is "" when there was no such run or time.
func (r *Reader) silence(ctx context.Context, db *sql.DB, until time.Time) (g monitor.Gap, err error) {
	var beat int64
	var end sql.NullInt64
	err = db.QueryRowContext(ctx, "SELECT beat, stopped FROM runs ORDER BY id DESC LIMIT 1").Scan(&beat, &end)
	if errors.Is(err, sql.ErrNoRows) {
		return g, nil
	}
	if err != nil {
		return g, fmt.Errorf("reading the last run: %w", err)
	}
	g = monitor.Gap{From: fromMillis(beat), To: until, Reason: killed}
	if end.Valid {
		g.From, g.Reason = fromMillis(end.Int64), stopped
	} else if last := r.lastRow(ctx, until); last.After(g.From) {
		g.From = last
	}
	if !g.From.Before(g.To) {
		return monitor.Gap{}, nil
	}
	return g, nil
}

// lastRow is the time of the last row before until, zero when there is none or it cannot be read: then the heartbeat will do.
func (r *Reader) lastRow(ctx context.Context, until time.Time) (last time.Time) {
	all, err := dates(r.dir)
	if err != nil {
		return last
	}
	for _, d := range slices.Backward(all) {
		lo, hi := d.bounds(time.Time{}, until)
		if lo >= hi || !last.IsZero() {
			continue
		}
		_ = r.onDay(ctx, d, func(file *day) error {
			last = later(last, file.lastRow(d, hi))
			return nil
		})
	}
	return last
}

// lastRow is the time of the last row before hi, milliseconds since midnight; zero when there is none or it cannot be read.
func (r *day) lastRow(d date, hi int64) (last time.Time) {
	var b block
	for i, at := range r.blocks {
		if i < len(r.blocks)-1 && int64(at.until) < hi { // the heads are enough, save where the end may be missing
			last = later(last, d.time(int64(at.until)))
			continue
		}
		_ = r.load(at, &b)
		for _, e := range b.rows {
			if int64(e.ms) < hi {
				last = later(last, d.time(int64(e.ms)))
			}
		}
	}
	return last
}

// Gap writes down that the record is not whole. Losses for the same reason, less than a minute apart,
// become one.
func (s *Store) Gap(ctx context.Context, g monitor.Gap) error {
	err := s.transact(ctx, func(tx *sql.Tx) error {
		if g.Reason == dropped || g.Reason == full {
			const join = `UPDATE gaps SET "from" = min("from", ?1), "to" = max("to", ?2), lost = lost + ?3
				WHERE id = (SELECT max(id) FROM gaps WHERE reason = ?4) AND "to" >= ?1 - ?5 AND "from" <= ?2 + ?5`
			res, err := tx.ExecContext(ctx, join, millis(g.From), millis(g.To), g.Lost, g.Reason, joinGaps.Milliseconds())
			if err != nil {
				return err
			}
			if n, err := res.RowsAffected(); err != nil || n > 0 {
				return err
			}
		}
		return insertGap(ctx, tx, g)
	})
	if err != nil {
		return fmt.Errorf("recording a gap: %w", err)
	}
	return nil
}

func insertGap(ctx context.Context, tx *sql.Tx, g monitor.Gap) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO gaps ("from", "to", reason, lost) VALUES (?, ?, ?, ?)`,
		millis(g.From), millis(g.To), g.Reason, g.Lost)
	return err
}

// RecordChange writes down a change of what is filtered or how.
func (s *Store) RecordChange(ctx context.Context, c monitor.Change) error {
	err := s.transact(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO changes (at, kind, summary, detail) VALUES (?, ?, ?, ?)",
			millis(c.At), c.Kind, c.Summary, c.Detail)
		return err
	})
	if err != nil {
		return fmt.Errorf("recording a change: %w", err)
	}
	return nil
}

// RecordHead keeps the head of the log of changes, unless it is the one kept last.
func (s *Store) RecordHead(ctx context.Context, h monitor.Head) error {
	err := s.transact(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO heads (at, count, hash) SELECT ?1, ?2, ?3
			WHERE NOT EXISTS (SELECT 1 FROM heads WHERE id = (SELECT max(id) FROM heads) AND count = ?2 AND hash = ?3)`,
			millis(h.At), h.Count, h.Hash)
		return err
	})
	if err != nil {
		return fmt.Errorf("keeping the head of the log of changes: %w", err)
	}
	return nil
}
