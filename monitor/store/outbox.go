package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"schoolgate/monitor"
)

// errKnown ends the transaction of a mail whose key is in the outbox already.
var errKnown = errors.New("this mail was taken before")

// enqueue puts m into the outbox. With errKnown it returns the alert that the mail of the same key belongs to.
func (s *Store) enqueue(ctx context.Context, tx *sql.Tx, alert int64, m monitor.Mail) (known int64, err error) {
	made := s.now()
	due := m.NotBefore
	if due.IsZero() {
		due = made
	}
	const text = `INSERT INTO outbox (alert, key, "to", subject, body, made, due) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING`
	res, err := tx.ExecContext(ctx, text, alert, m.Key, m.To, m.Subject, m.Body, millis(made), millis(due))
	if err != nil {
		return 0, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 1 {
		return 0, err
	}
	if err := tx.QueryRowContext(ctx, "SELECT alert FROM outbox WHERE key = ?", m.Key).Scan(&known); err != nil {
		return 0, err
	}
	return known, errKnown
}

// NextMail gives the unsent mail that has been due for longest at now; ok is false when none is due.
func (s *Store) NextMail(ctx context.Context, now time.Time) (m monitor.Mail, ok bool, err error) {
	const text = `SELECT id, alert, key, "to", subject, body, attempts, due FROM outbox
		WHERE sent IS NULL AND due <= ? ORDER BY due, id LIMIT 1`
	main, err := s.main.get()
	if err != nil {
		return monitor.Mail{}, false, fmt.Errorf("looking for a mail to send: %w", err)
	}
	var due int64
	err = main.QueryRowContext(ctx, text, millis(now)).
		Scan(&m.ID, &m.AlertID, &m.Key, &m.To, &m.Subject, &m.Body, &m.Attempts, &due)
	if errors.Is(err, sql.ErrNoRows) {
		return monitor.Mail{}, false, nil
	}
	if err != nil {
		return monitor.Mail{}, false, fmt.Errorf("looking for a mail to send: %w", err)
	}
	m.NotBefore = fromMillis(due)
	return m, true, nil
}

// MailSent marks a mail as sent: NextMail will not give it again.
func (s *Store) MailSent(ctx context.Context, id int64, at time.Time) error {
	err := s.update(ctx, "UPDATE outbox SET sent = ?, attempts = attempts + 1, error = '' WHERE id = ?", millis(at), id)
	if err != nil {
		return fmt.Errorf("marking mail %d as sent: %w", id, err)
	}
	return nil
}

// MailFailed counts an attempt, and makes the mail due again at next.
func (s *Store) MailFailed(ctx context.Context, id int64, next time.Time, reason string) error {
	err := s.update(ctx, "UPDATE outbox SET due = ?, attempts = attempts + 1, error = ? WHERE id = ?", millis(next), reason, id)
	if err != nil {
		return fmt.Errorf("postponing mail %d: %w", id, err)
	}
	return nil
}

// OutboxStats says how many mails are unsent and since when the oldest of them has been waiting; that is zero when none is.
func (r *Reader) OutboxStats(ctx context.Context) (unsent int64, oldest time.Time, err error) {
	db, err := r.db.get()
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("counting unsent mail: %w", err)
	}
	var made sql.NullInt64
	err = db.QueryRowContext(ctx, "SELECT count(*), min(made) FROM outbox WHERE sent IS NULL").Scan(&unsent, &made)
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("counting unsent mail: %w", err)
	}
	if made.Valid {
		oldest = fromMillis(made.Int64)
	}
	return unsent, oldest, nil
}
