package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"schoolgate/monitor"
)

// ErrNotFound is returned for a number that no alert, or no mail, has.
var ErrNotFound = errors.New("not found")

// OpenAlert writes a and the mails that compose makes for its new number, in one transaction, and returns the number;
// after an error nothing of it is written. When a mail with the same key was taken before, nothing is written either, and
// the number is that of its alert. compose must not use the store. A site of the illegal tier is never written.
func (s *Store) OpenAlert(ctx context.Context, a monitor.Alert, compose func(id int64) []monitor.Mail) (id int64, err error) {
	if a.Kind == monitor.Illegal {
		a.Site = ""
	}
	var known int64
	err = s.transact(ctx, func(tx *sql.Tx) error {
		const text = `INSERT INTO alerts (kind, severity, category, "group", device, site, code, text, first, last, count)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
		res, err := tx.ExecContext(ctx, text, a.Kind.String(), a.Severity.String(), a.Category, a.Group, a.Device, a.Site, a.Code, a.Text,
			millis(a.First), millis(a.Last), a.Count)
		if err != nil {
			return err
		}
		if id, err = res.LastInsertId(); err != nil {
			return err
		}
		if compose == nil {
			return nil
		}
		for _, m := range compose(id) {
			known, err = s.enqueue(ctx, tx, id, m)
			if err != nil {
				return err
			}
		}
		return nil
	})
	switch {
	case errors.Is(err, errKnown):
		return known, nil
	case err != nil:
		return 0, fmt.Errorf("opening an alert: %w", err)
	}
	return id, nil
}

// ExtendAlert sets the alert's last time, unless it is later already, and adds to its count.
func (s *Store) ExtendAlert(ctx context.Context, id int64, last time.Time, add int64) error {
	err := s.update(ctx, "UPDATE alerts SET last = max(last, ?), count = count + ? WHERE id = ?", millis(last), add, id)
	if err != nil {
		return fmt.Errorf("extending alert %d: %w", id, err)
	}
	return nil
}

// update runs a statement that is to change one row.
func (s *Store) update(ctx context.Context, text string, args ...any) error {
	main, err := s.main.get()
	if err != nil {
		return err
	}
	res, err := main.ExecContext(ctx, text, args...)
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err == nil && n == 0 {
		err = ErrNotFound
	}
	return err
}

const alertColumns = `SELECT id, kind, severity, category, "group", device, site, code, text, first, last, count FROM alerts `

// OpenAlerts gives the alerts whose last time is at or after since, oldest first.
func (r *Reader) OpenAlerts(ctx context.Context, since time.Time) ([]monitor.Alert, error) {
	return r.alerts(ctx, "WHERE last >= ? ORDER BY id", millis(since))
}

// Alerts gives at most limit alerts, newest first, which were going on at some time with from ≤ t < to. A zero time is no
// bound, nor is limit 0.
func (r *Reader) Alerts(ctx context.Context, from, to time.Time, limit int) ([]monitor.Alert, error) {
	if limit <= 0 {
		limit = math.MaxInt32
	}
	lo, hi := span(from, to)
	return r.alerts(ctx, "WHERE last >= ? AND first < ? ORDER BY first DESC, id DESC LIMIT ?", lo, hi, limit)
}

// Alert gives one alert, or ErrNotFound.
func (r *Reader) Alert(ctx context.Context, id int64) (monitor.Alert, error) {
	all, err := r.alerts(ctx, "WHERE id = ?", id)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("alert %d: %w", id, ErrNotFound)
	}
	if err != nil {
		return monitor.Alert{}, err
	}
	return all[0], nil
}

func (r *Reader) alerts(ctx context.Context, rest string, args ...any) ([]monitor.Alert, error) {
	var all []monitor.Alert
	err := r.query(ctx, func(rows *sql.Rows) error {
		var a monitor.Alert
		var kind, severity string
		var first, last int64
		err := rows.Scan(&a.ID, &kind, &severity, &a.Category, &a.Group, &a.Device, &a.Site, &a.Code, &a.Text, &first, &last, &a.Count)
		a.Kind, a.Severity = parseWord[monitor.Kind](kind), parseWord[monitor.Severity](severity)
		a.First, a.Last = fromMillis(first), fromMillis(last)
		all = append(all, a)
		return err
	}, alertColumns+rest, args...)
	if err != nil {
		return nil, fmt.Errorf("reading alerts: %w", err)
	}
	return all, nil
}

// parseWord is the inverse of String, the highest value for a word that none has: a later version's alert is not played
// down.
func parseWord[T interface {
	~uint8
	fmt.Stringer
}](s string) T {
	v := T(0)
	for unknown := T(math.MaxUint8).String(); v.String() != s; v++ {
		if (v + 1).String() == unknown {
			break
		}
	}
	return v
}
