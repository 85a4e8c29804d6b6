package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"schoolgate/monitor"
)

// AddHit writes a hit of the illegal tier and gives its number.
func (s *Store) AddHit(ctx context.Context, h monitor.Hit) (id int64, err error) {
	err = s.transact(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, "INSERT INTO hits (first, last, device, list, sealed, count) VALUES (?, ?, ?, ?, ?, ?)",
			millis(h.First), millis(h.Last), h.Device, h.List, h.Sealed, h.Count)
		if err != nil {
			return err
		}
		id, err = res.LastInsertId()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("keeping a hit of the illegal tier: %w", err)
	}
	return id, nil
}

// ExtendHit sets the hit's last time, unless it is later already, and adds to its count.
func (s *Store) ExtendHit(ctx context.Context, id int64, last time.Time, add int64) error {
	if err := s.update(ctx, "UPDATE hits SET last = max(last, ?), count = count + ? WHERE id = ?", millis(last), add, id); err != nil {
		return fmt.Errorf("extending hit %d: %w", id, err)
	}
	return nil
}

// Hits gives the hits of the illegal tier whose last time is at or after since, newest first; of id alone when it is not
// 0.
func (r *Reader) Hits(ctx context.Context, since time.Time, id int64) (out []monitor.Hit, err error) {
	err = r.query(ctx, func(rows *sql.Rows) error {
		var h monitor.Hit
		var first, last int64
		if err := rows.Scan(&h.ID, &first, &last, &h.Device, &h.List, &h.Sealed, &h.Count); err != nil {
			return err
		}
		h.First, h.Last = fromMillis(first), fromMillis(last)
		out = append(out, h)
		return nil
	}, "SELECT id, first, last, device, list, sealed, count FROM hits WHERE last >= ? AND (? = 0 OR id = ?) ORDER BY id DESC",
		millis(since), id, id)
	if err != nil {
		return nil, fmt.Errorf("reading hits of the illegal tier: %w", err)
	}
	return out, nil
}
