package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"schoolgate/monitor"
)

// maxRequests is how many requests of the block page are kept at once.
const maxRequests = 2000

var errRequests = errors.New("no room for more")

// AddRequest keeps a request of the block page and gives its number.
func (s *Store) AddRequest(ctx context.Context, r monitor.Request) (id int64, err error) {
	err = s.transact(ctx, func(tx *sql.Tx) error {
		const text = `INSERT INTO requests (at, site, reason, device, "group", name, role, why)
			SELECT ?, ?, ?, ?, ?, ?, ?, ? WHERE (SELECT count(*) FROM requests) < ?`
		res, err := tx.ExecContext(ctx, text, millis(r.At), r.Site, r.Reason, r.Device, r.Group, r.Name, r.Role, r.Why, maxRequests)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, errRequests)
		}
		id, err = res.LastInsertId()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("keeping a request of the block page: %w", err)
	}
	return id, nil
}

// Requests gives the requests of the block page with from ≤ At < to, newest first. A zero time is no bound.
func (r *Reader) Requests(ctx context.Context, from, to time.Time) (out []monitor.Request, err error) {
	lo, hi := span(from, to)
	err = r.query(ctx, func(rows *sql.Rows) error {
		var q monitor.Request
		var at int64
		if err := rows.Scan(&q.ID, &at, &q.Site, &q.Reason, &q.Device, &q.Group, &q.Name, &q.Role, &q.Why); err != nil {
			return err
		}
		q.At = fromMillis(at)
		out = append(out, q)
		return nil
	}, `SELECT id, at, site, reason, device, "group", name, role, why FROM requests WHERE at >= ? AND at < ? ORDER BY id DESC`, lo, hi)
	if err != nil {
		return nil, fmt.Errorf("reading the requests of the block page: %w", err)
	}
	return out, nil
}
