package alert

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"schoolgate/config"
	"schoolgate/monitor"
)

// Intervals of sending.
const (
	pollEvery      = 30 * time.Second
	minBackoff     = 30 * time.Second
	maxBackoff     = time.Hour
	refusedBackoff = 6 * time.Hour // after a permanent refusal, which a person must mend
	mailPatience   = 5 * time.Minute
	mailCritical   = time.Hour
)

// Outbox holds the mails that are not sent yet. A mail is in it from the transaction that opened its alert until
// MailSent.
type Outbox interface {
	// NextMail gives the oldest mail that is not sent and whose NotBefore is not after now; false when there is none.
	NextMail(ctx context.Context, now time.Time) (monitor.Mail, bool, error)
	// MailSent marks a mail as taken by the mail server, for ever.
	MailSent(ctx context.Context, id int64, at time.Time) error
	// MailFailed counts an attempt and holds the mail back until next.
	MailFailed(ctx context.Context, id int64, next time.Time, reason string) error
}

// Sender takes mails from the outbox to the mail server. A mail that cannot be sent stays in the outbox for ever; trying
// again gets rarer, up to once an hour, or six hours for one that the server refuses for good.
type Sender struct {
	// Now is the clock; it is set before Run and not after.
	Now func() time.Time

	outbox Outbox
	config func() config.Alerts
	log    *slog.Logger
	wake   chan struct{}
	dial   func(context.Context, config.SMTP) (session, error)

	unmarked map[int64]time.Time // of Run alone: mails that the server has taken and the outbox does not know of

	mu    sync.Mutex
	state sendState // guarded by mu
}

// session is one connection to a mail server.
type session interface {
	// send returns nil once the server has answered 250 to the whole message, a *refusal when it takes this mail not but
	// may take others, and any other error when the connection is of no more use.
	send(context.Context, monitor.Mail) error
	close()
}

// sendState is what Health and SendStats tell of the sender.
type sendState struct {
	sent, failed uint64
	failures     int       // of the server, in a row
	since        time.Time // of the first of them
	last         time.Time // of the last of them
	text         string    // says what went wrong, names nobody
	refused      map[string]bool
	noPassword   time.Time // since when the password file holds none; zero: it does, or none is needed
}

// SendStats counts since the start of the process.
type SendStats struct {
	Sent   uint64
	Failed uint64 // attempts, be it for the server or for one mail
}

// NewSender makes a sender that does nothing until Run. settings is asked before each connection, so a reload, and a new
// password in the password file, hold from the next one on.
func NewSender(outbox Outbox, settings func() config.Alerts, log *slog.Logger) *Sender {
	return &Sender{
		Now: time.Now, outbox: outbox, config: settings, log: log,
		wake: make(chan struct{}, 1), dial: dialSMTP,
		unmarked: make(map[int64]time.Time), state: sendState{refused: make(map[string]bool)},
	}
}

// Wake says that there is new mail. It returns at once and may be called from any goroutine. While the server is down a
// new mail makes the sender try early, but not more often than every thirty seconds.
func (s *Sender) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// SendStats may be called from any goroutine.
func (s *Sender) SendStats() SendStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return SendStats{Sent: s.state.sent, Failed: s.state.failed}
}

// Run sends until ctx ends, waits for the answer to the message that is under way, and returns nil.
func (s *Sender) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		s.round(ctx)
		s.sleep(ctx)
	}
	for id := range s.unmarked {
		s.mark(ctx, id)
	}
	return nil
}

// round sends what is due over one connection.
func (s *Sender) round(ctx context.Context) {
	cfg := s.config().SMTP
	if cfg.Host == "" {
		return // they wait
	}
	locked := s.lacksPassword(cfg)
	var conn session
	defer func() {
		if conn != nil {
			conn.close()
		}
	}()
	for ctx.Err() == nil {
		m, ok, err := s.outbox.NextMail(ctx, s.Now())
		if err != nil {
			if ctx.Err() == nil {
				s.log.Error("reading the outbox", "err", err)
			}
			return
		}
		if !ok {
			return
		}
		if _, taken := s.unmarked[m.ID]; taken {
			if !s.mark(ctx, m.ID) {
				return
			}
			continue
		}
		if conn == nil {
			if locked {
				return // they wait, none of them held back: the next look sends them once there is a password
			}
			if conn, err = s.dial(ctx, cfg); err != nil {
				s.serverFailed(ctx, m, err)
				return
			}
		}
		err = conn.send(ctx, m)
		if ref, ok := errors.AsType[*refusal](err); ok {
			if !s.mailRefused(ctx, m, ref) {
				return
			}
			continue
		}
		if err != nil {
			s.serverFailed(ctx, m, err)
			return
		}
		if !s.delivered(ctx, m) {
			return
		}
	}
}

// delivered notes that the server has taken a mail. When the outbox cannot be told, the round ends, and later rounds tell
// it instead of sending the mail again.
func (s *Sender) delivered(ctx context.Context, m monitor.Mail) bool {
	s.mu.Lock()
	s.state.sent++
	s.state.failures, s.state.text = 0, ""
	delete(s.state.refused, m.To)
	s.mu.Unlock()
	s.log.Info("mail sent", "alert", m.AlertID, "mail", m.ID, "attempts", m.Attempts+1)
	s.unmarked[m.ID] = s.Now()
	return s.mark(ctx, m.ID)
}

// mark tells the outbox of a delivery, also while the sender is being stopped.
func (s *Sender) mark(ctx context.Context, id int64) bool {
	mctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	if err := s.outbox.MailSent(mctx, id, s.unmarked[id]); err != nil {
		s.log.Error("marking a mail as sent", "mail", id, "err", err)
		return false
	}
	delete(s.unmarked, id)
	return true
}

// mailRefused holds one mail back; it says false when the outbox does not take that, so that the round must end.
func (s *Sender) mailRefused(ctx context.Context, m monitor.Mail, ref *refusal) bool {
	wait := backoff(m.Attempts)
	s.mu.Lock()
	s.state.failed++
	s.state.failures, s.state.text = 0, "" // the server itself works
	if ref.permanent() {
		wait = refusedBackoff
		if ref.recipient {
			s.state.refused[m.To] = true
		}
	}
	s.mu.Unlock()
	s.log.Warn("mail refused", "mail", m.ID, "doing", ref.doing, "code", ref.code, "again_in", wait)
	return s.postpone(ctx, m, s.Now().Add(wait), ref.Error()+": "+ref.text)
}

// serverFailed notes that the server could not be used. The mail itself is held back shortly; how long all of them wait
// is for sleep to say.
func (s *Sender) serverFailed(ctx context.Context, m monitor.Mail, err error) {
	if ctx.Err() != nil {
		return // stopping, which is not the server's fault
	}
	now := s.Now()
	s.mu.Lock()
	s.state.failed++
	if s.state.failures++; s.state.failures == 1 {
		s.state.since = now
	}
	s.state.last, s.state.text = now, clip(err.Error())
	n := s.state.failures
	s.mu.Unlock()
	s.log.Warn("mail server", "err", err, "failures", n)
	s.postpone(ctx, m, now.Add(minBackoff), err.Error())
}

func (s *Sender) postpone(ctx context.Context, m monitor.Mail, next time.Time, reason string) bool {
	sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	err := s.outbox.MailFailed(sctx, m.ID, next, clip(reason))
	if err != nil {
		s.log.Error("holding back a mail", "mail", m.ID, "err", err)
	}
	return err == nil
}

// sleep waits for new mail or for the time to look again. After failures of the server it waits longer each time; new
// mail then shortens the wait to the least one.
func (s *Sender) sleep(ctx context.Context) {
	s.mu.Lock()
	failures, last := s.state.failures, s.state.last
	s.mu.Unlock()
	now := s.Now()
	least, until := now, now.Add(pollEvery)
	if failures > 0 {
		least, until = last.Add(minBackoff), last.Add(backoff(failures-1))
		if soon := now.Add(time.Second); until.Before(soon) {
			until = soon // nothing was due in this round: its time is rounded in the store
		}
	}
	timer := time.NewTimer(until.Sub(now))
	defer timer.Stop()
	wake := s.wake
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			return
		case <-wake:
			if d := least.Sub(s.Now()); d > 0 {
				timer.Reset(min(d, minBackoff))
				wake = nil
				continue
			}
			return
		}
	}
}

// backoff is how long to wait after that many failures before the last: 30 s, doubled each time up to an hour, give or
// take a fifth so that a server that comes back is not met by all at once.
func backoff(before int) time.Duration {
	d := maxBackoff
	if before < 7 {
		d = min(minBackoff<<before, maxBackoff)
	}
	d = time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
	return min(max(d, minBackoff), maxBackoff)
}
