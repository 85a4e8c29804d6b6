// Package alert tells people: it groups blocks into episodes, writes each episode to the store together with its mails,
// and sends the mails that wait there.
//
// # What makes an alert
//
// A block makes one when its category is among config.Alerts.Categories, or when it is of the illegal tier. Blocks by
// one device, at one registrable domain, in one category are an episode: the first opens an alert and mails it at once,
// further ones only add to its count, until none has come for Alerts.Window, or the episode is six hours old. The illegal
// tier has one episode per device, whatever the name was; the name is never held, not even in memory.
//
// A device that walks through thousands of blocked names must not drown its reader. After twenty alerts of one device in
// an hour, one more alert ("more of the same") is opened and mailed, and all further blocks of that device in that hour
// only count in it: its Count says how many were folded. It is opened at the first of them, not at the end of the hour,
// so that a power cut cannot lose it. The same holds for all devices together at two hundred an hour. The illegal tier is
// exempt from both; it has a backstop of its own at one hundred devices an hour, since source addresses can be forged.
//
// A condition of health of severity Warning or worse that lasts a minute makes an alert of Kind System; when it has been
// gone for five minutes a second one of severity Info says so.
//
// # Never lost, not twice
//
// An alert and its mails are one transaction of the store. While the store is broken alerts wait in memory and are
// counted as waiting. A mail is marked as sent once the server has answered 250 to the message. A power cut or SIGKILL
// between that answer and the mark sends the mail a second time after the restart, and so does a connection that breaks
// after the message and before the answer: SMTP has no way to ask. Both copies carry the same Message-ID. An orderly
// stop waits for the answer and marks it.
//
// Counts and last times are written in batches every ten seconds, so that is what a power cut may take off an alert's
// count; the queries themselves are in the record.
package alert

import (
	"context"
	"time"

	"schoolgate/config"
	"schoolgate/monitor"
)

// CodeMore is the Code of an alert of Kind Blocked or Illegal in which the further blocks of an hour are counted.
const CodeMore = "more"

// Bounds and intervals; the package comment says what they are for.
const (
	maxEpisode   = 6 * time.Hour
	perDevice    = 20  // alerts an hour
	perHour      = 200 // of all devices
	perIllegal   = 100
	perCondition = 3
	flushEvery   = 10 * time.Second
	persist      = time.Minute
	clearAfter   = 5 * time.Minute
	systemSave   = 5 * time.Minute
	systemAgain  = 24 * time.Hour
	storeTimeout = 10 * time.Second

	queueSize    = 1024
	illegalLimit = 4096 // devices that wait for the loop at one time
	maxUnopened  = 4096 // alerts that wait for the store
)

// Settings is what the engine needs of the configuration; a reload gives it another.
type Settings struct {
	School   string
	Location *time.Location // of the times in mails
	Alerts   config.Alerts
}

// Store keeps alerts. All methods may block on disk; the engine calls them from one goroutine.
type Store interface {
	// OpenAlert writes a and the mails that compose makes for its new number, in one transaction. When a mail of the same
	// Key is there already it writes nothing and returns the number of that mail's alert: so a call is safe to repeat when
	// its error left it open whether it had written. compose must not touch the store.
	OpenAlert(ctx context.Context, a monitor.Alert, compose func(id int64) []monitor.Mail) (int64, error)
	// ExtendAlert sets the alert's last time and adds to its count.
	ExtendAlert(ctx context.Context, id int64, last time.Time, add int64) error
	// OpenAlerts gives the alerts whose last time is at or after since, in any order.
	OpenAlerts(ctx context.Context, since time.Time) ([]monitor.Alert, error)
}

// rules is Settings in the form that Done reads; immutable.
type rules struct {
	Settings
	categories map[string]bool
}

func newRules(s Settings) *rules {
	r := &rules{Settings: s, categories: make(map[string]bool, len(s.Alerts.Categories))}
	for _, c := range s.Alerts.Categories {
		r.categories[c] = true
	}
	if r.Location == nil {
		r.Location = time.UTC
	}
	return r
}

func (r *rules) window() time.Duration { return r.Alerts.Window.Std() }
