package alert

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"schoolgate/config"
	"schoolgate/monitor"
)

// Stats counts since the start of the process.
type Stats struct {
	Opened  map[monitor.Kind]uint64
	Folded  uint64 // blocks counted in an alert of code CodeMore
	Dropped uint64 // blocks that made no alert because too many waited
	Waiting int    // alerts that the store has not taken yet
}

type counters struct {
	opened    [3]atomic.Uint64 // by Kind
	folded    atomic.Uint64
	dropped   atomic.Uint64
	lastDrop  atomic.Int64 // Unix nanoseconds
	waiting   atomic.Int64
	storeDown atomic.Int64 // since when, Unix nanoseconds; 0: it works
}

func (c *counters) open(k monitor.Kind) { c.opened[k].Add(1) }

func (c *counters) storeOK() { c.storeDown.Store(0) }

func (c *counters) storeFailed(now time.Time) { c.storeDown.CompareAndSwap(0, now.UnixNano()) }

// Stats may be called from any goroutine.
func (e *Engine) Stats() Stats {
	s := Stats{
		Opened: make(map[monitor.Kind]uint64, 3), Folded: e.stats.folded.Load(), Dropped: e.stats.dropped.Load(),
		Waiting: int(e.stats.waiting.Load()),
	}
	for k := range e.stats.opened {
		s.Opened[monitor.Kind(k)] = e.stats.opened[k].Load()
	}
	return s
}

// Health is what is wrong with the making of alerts. It may be called from any goroutine.
func (e *Engine) Health(now time.Time) []monitor.Condition {
	var out []monitor.Condition
	if down := e.stats.storeDown.Load(); down != 0 {
		out = append(out, monitor.Condition{
			Code: "alerts.store", Severity: monitor.Critical, Since: time.Unix(0, down),
			Title: "Alerts cannot be written to disk; they wait in memory.",
			Hint:  "Check that the disk is not full or read-only: schoolgate check, then the log of the service.",
		})
	}
	if last := e.stats.lastDrop.Load(); last != 0 && now.Sub(time.Unix(0, last)) < 24*time.Hour {
		out = append(out, monitor.Condition{
			Code: "alerts.dropped", Severity: monitor.Warning, Since: time.Unix(0, last),
			Title: fmt.Sprintf("%d blocks made no alert because too many came at once.", e.stats.dropped.Load()),
			Hint:  "The record has them all. Look for a device that asks for very many blocked names.",
		})
	}
	a := e.rules.Load().Alerts
	if len(a.DSL) == 0 {
		out = append(out, monitor.Condition{
			Code: "alerts.nobody", Severity: monitor.Warning,
			Title: "No address of a safeguarding lead is configured: alerts of blocks are kept but not mailed.",
			Hint:  "Set dsl under [alerts] in the configuration file.",
		})
	}
	return out
}

// Health is what is wrong with the sending of mail. It may be called from any goroutine.
func (s *Sender) Health(now time.Time) []monitor.Condition {
	cfg := s.config()
	if cfg.SMTP.Host == "" {
		return []monitor.Condition{{
			Code: "mail.unset", Severity: monitor.Warning,
			Title: "No mail server is configured: alerts wait on the box and nobody is told.",
			Hint:  "Set host under [alerts.smtp] in the configuration file.",
		}}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []monitor.Condition
	if !s.state.noPassword.IsZero() && cfg.SMTP.User != "" {
		out = append(out, monitor.Condition{
			Code: "mail.password", Severity: monitor.Warning, Since: s.state.noPassword,
			Title: "There is no password for the mail server: alerts wait on the box and nobody is told.",
			Hint: fmt.Sprintf("Write it on the first line of the file that password_file under [alerts.smtp] means, %q. "+
				"For the systemd service that is /etc/schoolgate/smtp-password; then: sudo systemctl restart schoolgate.", cfg.SMTP.PasswordFile),
		})
	}
	if s.state.failures > 0 && now.Sub(s.state.since) >= mailPatience {
		c := monitor.Condition{
			Code: "mail.failing", Severity: monitor.Warning, Since: s.state.since,
			Title: "The mail server does not take the alerts; they wait on the box.",
			Hint:  "Last answer: " + s.state.text,
		}
		if now.Sub(s.state.since) >= mailCritical {
			c.Severity = monitor.Critical
		}
		out = append(out, c)
	}
	refused := 0
	for _, to := range addresses(cfg.DSL, cfg.Technical) {
		if s.state.refused[to] {
			refused++
		}
	}
	if refused > 0 {
		out = append(out, monitor.Condition{
			Code: "mail.refused", Severity: monitor.Warning,
			Title: fmt.Sprintf("The mail server refuses for good what is sent to %d of the addresses for alerts.", refused),
			Hint:  "Check dsl and technical under [alerts] in the configuration file; sudo schoolgate alerts shows what waits.",
		})
	}
	return out
}

// lacksPassword looks whether the password that is to be used is there at all. Without one no server is asked: it could
// only refuse, and some lock an account after a few wrong passwords.
func (s *Sender) lacksPassword(cfg config.SMTP) bool {
	lacks := false
	if cfg.User != "" {
		_, err := cfg.Password()
		lacks = errors.Is(err, config.ErrNoPassword) // other errors are told by the attempt to send
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !lacks:
		s.state.noPassword = time.Time{}
	case s.state.noPassword.IsZero():
		s.state.noPassword = s.Now()
		s.state.failures, s.state.text = 0, "" // what the server said before is no longer what is wrong
		s.log.Warn("the password file holds no password, mail waits")
	}
	return lacks
}
