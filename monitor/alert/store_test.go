package alert

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"schoolgate/monitor"
)

var errStore = errors.New("disk on fire")

// memStore is what the engine and the sender need of a store, in memory.
type memStore struct {
	mu     sync.Mutex
	broken bool
	unsure bool            // writes an alert and answers with an error all the same
	alerts []monitor.Alert // ID is the index plus one
	mails  []monitor.Mail
	sent   map[int64]time.Time
	reason map[int64]string
	writes int
}

func newMemStore() *memStore {
	return &memStore{sent: make(map[int64]time.Time), reason: make(map[int64]string)}
}

func (s *memStore) do(ctx context.Context, write bool, f func()) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken {
		return errStore
	}
	if write {
		s.writes++
	}
	f()
	return nil
}

func (s *memStore) breakDown(b bool) { s.mu.Lock(); s.broken = b; s.mu.Unlock() }

func (s *memStore) OpenAlert(ctx context.Context, a monitor.Alert, compose func(int64) []monitor.Mail) (int64, error) {
	err := s.do(ctx, true, func() {
		a.ID = int64(len(s.alerts) + 1)
		mails := compose(a.ID)
		for _, m := range mails {
			for _, old := range s.mails {
				if old.Key == m.Key {
					a.ID = old.AlertID
					return
				}
			}
		}
		s.alerts = append(s.alerts, a)
		for _, m := range mails {
			m.ID, m.AlertID = int64(len(s.mails)+1), a.ID
			s.mails = append(s.mails, m)
		}
	})
	if s.unsure && err == nil {
		err = errStore
	}
	return a.ID, err
}

func (s *memStore) ExtendAlert(ctx context.Context, id int64, last time.Time, add int64) error {
	return s.do(ctx, true, func() {
		s.alerts[id-1].Last = last
		s.alerts[id-1].Count += add
	})
}

func (s *memStore) OpenAlerts(ctx context.Context, since time.Time) (out []monitor.Alert, err error) {
	err = s.do(ctx, false, func() {
		for _, a := range s.alerts {
			if !a.Last.Before(since) {
				out = append(out, a)
			}
		}
		slices.Reverse(out)
	})
	return out, err
}

func (s *memStore) NextMail(ctx context.Context, now time.Time) (next monitor.Mail, ok bool, err error) {
	err = s.do(ctx, false, func() {
		for _, m := range s.mails {
			if _, sent := s.sent[m.ID]; !sent && !m.NotBefore.After(now) {
				next, ok = m, true
				return
			}
		}
	})
	return next, ok, err
}

func (s *memStore) MailSent(ctx context.Context, id int64, at time.Time) error {
	return s.do(ctx, true, func() { s.sent[id] = at })
}

func (s *memStore) MailFailed(ctx context.Context, id int64, next time.Time, reason string) error {
	return s.do(ctx, true, func() {
		s.mails[id-1].Attempts++
		s.mails[id-1].NotBefore = next
		s.reason[id] = reason
	})
}

func (s *memStore) snapshot() (alerts []monitor.Alert, mails []monitor.Mail) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.alerts), slices.Clone(s.mails)
}

func (s *memStore) unsent() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.mails) - len(s.sent)
}
