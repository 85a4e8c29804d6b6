// Package report is the review of one stretch of time, a term as a rule, which a safeguarding lead reads, decides upon and
// signs: one self-contained page, and the same numbers as CSV.
package report

import (
	"context"
	"errors"
	"fmt"
	"time"

	"schoolgate/config"
	"schoolgate/monitor"
	"schoolgate/monitor/record"
)

// Source is the record. Tally yields each combination once, day by day; Alerts gives the newest first; the others give
// the oldest first.
type Source interface {
	Tally(ctx context.Context, from, to time.Time, loc *time.Location, yield func(record.Tally) error) error
	Changes(ctx context.Context, from, to time.Time) ([]monitor.Change, error)
	Gaps(ctx context.Context, from, to time.Time) ([]monitor.Gap, error)
	Alerts(ctx context.Context, from, to time.Time, limit int) ([]monitor.Alert, error)
	Requests(ctx context.Context, from, to time.Time) ([]monitor.Request, error)
}

// Span is the stretch that a report is about.
type Span struct {
	Title string    // "Autumn term 2026"
	From  time.Time // inclusive
	To    time.Time // exclusive
	Loc   *time.Location
}

// Site is what the reader must know of the school and its filtering as it stands when the report is made. It is not
// kept: none of it is changed.
type Site struct {
	Name      string
	Version   string    // of the program
	Made      time.Time // now, required; days that are not over by then are not called silent
	Retention time.Duration
	Groups    []config.Group
	Default   string   // the group of unknown devices
	Devices   []string // names in the configuration
	Alerting  []string // categories that alert
	Alike     bool     // whether to look for names that look like blocked ones
	Lists     []List
	Tier      []string      // who enforces the illegal tier and when that was last proven, a sentence each without its full stop
	Flush     time.Duration // the most that a power cut or crash loses of what was answered; 0 when not known

	Changes      monitor.Head // of the log of changes; Count 0: there is none
	ChangesFault string       // what is wrong with it; "" for nothing
}

// List is how one list stands.
type List struct {
	Name     string
	Category string
	Entries  int       // in force; 0 when that is not known or there are none
	Fetched  time.Time // when it was last confirmed to be current; zero when not known
	BuiltIn  bool      // part of the program, and as old
	Problem  string    // what went wrong last, a plain sentence; "" for nothing
}

// NewSite takes from a validated configuration what a report says of it. The caller adds how the lists stand.
func NewSite(cfg *config.Config, version string, now time.Time) Site {
	s := Site{
		Name: cfg.Site.Name, Version: version, Made: now, Retention: cfg.Store.Retention.Std(), Flush: cfg.Store.Flush.Std(),
		Groups: cfg.Groups, Default: cfg.Policy.DefaultGroup, Alerting: cfg.Alerts.Categories,
		Alike: cfg.Answers.Lookalikes != config.LookalikesOff,
	}
	for _, d := range cfg.Devices {
		s.Devices = append(s.Devices, d.Name)
	}
	for _, l := range cfg.Lists {
		s.Lists = append(s.Lists, List{Name: l.Name, Category: l.Category})
	}
	return s
}

// Bounds of one report. What goes beyond them is counted together, and the page says so.
const (
	maxSpanDays = 800
	maxDevices  = 8192
	maxGroups   = 64
	maxKinds    = 64
	maxNames    = 1 << 15 // refused names, each by reason
	maxPairs    = 1 << 16 // a device and a site that it was refused
	maxAlerts   = 200
	maxRequests = 200
)

// Report is one review, ready to be written. It is immutable.
type Report struct {
	totals Totals
	page   page
}

// Totals are the sums of a report. Requests = Allowed + Refused + Steered.
type Totals struct {
	Requests int64 `json:"requests"` // DNS queries in the record
	Allowed  int64 `json:"allowed"`
	Refused  int64 `json:"refused"`
	Steered  int64 `json:"steered"` // answered with the safe form of a search engine
	Illegal  int64 `json:"illegal"` // refused by the illegal tier; part of Refused
	Devices  int   `json:"devices"` // that asked anything and are known; at most 8192 are told apart
	Days     int   `json:"days"`    // with at least one request
	Alerts   int   `json:"alerts"`  // at most 200 are read
	Changes  int   `json:"changes"` // of configuration and lists; starts of the program do not count
	Lost     int64 `json:"lost"`    // rows known to be missing from the record
	Kills    int   `json:"kills"`   // power cuts and crashes: each lost what Site.Flush says at most, uncounted
	Damaged  int   `json:"damaged"` // files of the record found damaged, which lost rows uncounted
}

// Totals gives the sums.
func (r *Report) Totals() Totals { return r.totals }

// Build reads the record once and counts. An error of the source ends it: a review of half a record would look like a
// quiet term.
func Build(ctx context.Context, src Source, span Span, site Site) (*Report, error) {
	if span.Loc == nil {
		return nil, errors.New("a report needs a time zone")
	}
	if span.From.IsZero() || !span.From.Before(span.To) {
		return nil, fmt.Errorf("a report needs a first and a last day: nothing lies between %v and %v", span.From, span.To)
	}
	if site.Made.IsZero() {
		return nil, errors.New("a report needs the time at which it is made")
	}
	cal := newCalendar(span, site.Made)
	if cal.n > maxSpanDays {
		return nil, fmt.Errorf("a report over %d days: %d at most", cal.n, maxSpanDays)
	}
	c := newCount(cal, site)
	if err := src.Tally(ctx, span.From, span.To, span.Loc, c.add); err != nil {
		return nil, fmt.Errorf("counting the record: %w", err)
	}
	var err error
	if c.changes, err = src.Changes(ctx, span.From, span.To); err != nil {
		return nil, fmt.Errorf("reading changes: %w", err)
	}
	if c.gaps, err = src.Gaps(ctx, span.From, span.To); err != nil {
		return nil, fmt.Errorf("reading gaps: %w", err)
	}
	if c.alerts, err = src.Alerts(ctx, span.From, span.To, maxAlerts+1); err != nil {
		return nil, fmt.Errorf("reading alerts: %w", err)
	}
	if c.alertsCut = len(c.alerts) > maxAlerts; c.alertsCut {
		c.alerts = c.alerts[:maxAlerts]
	}
	if c.requests, err = src.Requests(ctx, span.From, span.To); err != nil {
		return nil, fmt.Errorf("reading requests: %w", err)
	}
	c.finish()
	return &Report{totals: c.totals(), page: c.page(span)}, nil
}
