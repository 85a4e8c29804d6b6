package report_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"schoolgate/config"
	"schoolgate/monitor"
	"schoolgate/monitor/record"
	"schoolgate/monitor/report"
	"schoolgate/resolver/query"
)

// memory is a record in memory.
type memory struct {
	tallies []record.Tally
	changes []monitor.Change
	gaps    []monitor.Gap
	alerts  []monitor.Alert

	requests []monitor.Request
	err      error
}

func (m *memory) Tally(_ context.Context, from, to time.Time, loc *time.Location, yield func(record.Tally) error) error {
	for _, t := range m.tallies {
		if err := yield(t); err != nil {
			return err
		}
	}
	return m.err
}

func (m *memory) Changes(context.Context, time.Time, time.Time) ([]monitor.Change, error) {
	return m.changes, nil
}

func (m *memory) Gaps(context.Context, time.Time, time.Time) ([]monitor.Gap, error) {
	return m.gaps, nil
}

func (m *memory) Alerts(_ context.Context, _, _ time.Time, limit int) ([]monitor.Alert, error) {
	return m.alerts[:min(limit, len(m.alerts))], nil
}

func (m *memory) Requests(context.Context, time.Time, time.Time) ([]monitor.Request, error) {
	return m.requests, nil
}

func london(t testing.TB) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func date(loc *time.Location, y int, m time.Month, d int) time.Time {
	return time.Date(y, m, d, 0, 0, 0, 0, loc)
}

func autumn(t testing.TB) report.Span {
	loc := london(t)
	return report.Span{Title: "Autumn term 2026", From: date(loc, 2026, 9, 1), To: date(loc, 2026, 12, 19), Loc: loc}
}

func school(made time.Time) report.Site {
	cfg := config.Default()
	cfg.Devices = []config.Device{{Name: "tablet-01"}, {Name: "tablet-99"}}
	cfg.Lists = []config.List{{Name: "adult", Category: "pornography"}}
	return report.NewSite(cfg, "1.0.0", made)
}

func build(t testing.TB, src report.Source, span report.Span, site report.Site) *report.Report {
	t.Helper()
	r, err := report.Build(t.Context(), src, span, site)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func page(t testing.TB, r *report.Report) string {
	t.Helper()
	var b strings.Builder
	if err := r.HTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// term makes up a term of a small school.
func term(span report.Span, seed uint64) *memory {
	rnd := rand.New(rand.NewPCG(seed, 1))
	m := &memory{}
	type site struct {
		name, category string
		weight         int
	}
	sites := []site{
		{"cdn.games.example", "gaming", 60},
		{"play.games.example", "gaming", 30},
		{"chat.social.example", "social-media", 25},
		{"adult.example", "pornography", 2},
		{"hateful.example", "hate", 1},
		{"bets.example", "gambling", 3},
		{"vpn.example", "bypass", 3},
		{"phonics-play.example", "gaming", 8},
		{"www.valley-college.ac.uk", "hate", 1},
	}
	for day := span.From; day.Before(span.To); day = day.AddDate(0, 0, 1) {
		weekend := day.Weekday() == time.Saturday || day.Weekday() == time.Sunday
		holiday := day.Month() == time.October && day.Day() >= 26 && day.Day() <= 30
		if weekend && day.Day() > 6 || holiday {
			continue
		}
		for d := range 24 {
			device, group := fmt.Sprintf("tablet-%02d", d+1), "children"
			switch {
			case d >= 22:
				device, group = fmt.Sprintf("192.0.2.%d", d), "guests"
			case d >= 17:
				device, group = fmt.Sprintf("staff-laptop-%d", d-16), "staff"
			}
			if d == 7 && day.Month() >= time.November || rnd.IntN(10) == 0 {
				continue
			}
			add := func(t record.Tally) {
				t.Day, t.Device, t.Group = day, device, group
				m.tallies = append(m.tallies, t)
			}
			add(record.Tally{Name: "www.example.com", Count: int64(200 + rnd.IntN(900))})
			for _, s := range sites {
				if rnd.IntN(400) < s.weight {
					add(record.Tally{Name: s.name, Action: query.Block, Rule: query.Category, Category: s.category, List: "l", Count: int64(1 + rnd.IntN(6))})
				}
			}
			if d == 3 {
				add(record.Tally{Name: "telemetry.games.example", Action: query.Block, Rule: query.Category, Category: "gaming", List: "l", Count: int64(90 + rnd.IntN(90))})
			}
			if group == "children" {
				add(record.Tally{Name: "www.google.co.uk", Action: query.Rewrite, Rule: query.SafeSearch, Count: int64(1 + rnd.IntN(30))})
				add(record.Tally{Name: "mask.icloud.com", Action: query.Block, Rule: query.Bypass, Count: int64(1 + rnd.IntN(9))})
			}
		}
	}
	day := span.From.AddDate(0, 0, 9)
	m.tallies = append(m.tallies, record.Tally{
		Day: day, Device: "tablet-05", Group: "children", Name: record.Withheld, Action: query.Block,
		Rule: query.Illegal, Category: config.IllegalTier, List: "licensed", Count: 3,
	})
	slices.SortStableFunc(m.tallies, func(a, b record.Tally) int {
		return cmp.Or(a.Day.Compare(b.Day), cmp.Compare(a.Device, b.Device), cmp.Compare(a.Name, b.Name))
	})
	at := day.Add(10 * time.Hour)
	m.changes = []monitor.Change{
		{At: span.From.Add(7 * time.Hour), Kind: "start", Summary: "Schoolgate 1.0.0 started", Detail: "configuration abcdef\n9 lists"},
		{At: at, Kind: "config", Summary: "the configuration was changed", Detail: "group children: category social-media is now blocked\npolicy.allow: phonics-play.example added"},
		{At: at.AddDate(0, 0, 1), Kind: "lists", Summary: "1 list changed", Detail: "list adult: 120345 entries, before 120001"},
	}
	m.gaps = []monitor.Gap{
		{From: at.AddDate(0, 0, 20), To: at.AddDate(0, 0, 20).Add(95 * time.Minute), Reason: "killed"},
		{From: at.AddDate(0, 0, 30), To: at.AddDate(0, 0, 30).Add(time.Minute), Reason: "dropped", Lost: 17},
	}
	m.alerts = []monitor.Alert{
		{ID: 2, Kind: monitor.Blocked, Severity: monitor.Warning, Category: "pornography", Group: "children", Device: "tablet-02", Site: "adult.example", First: at.AddDate(0, 0, 3), Last: at.AddDate(0, 0, 3).Add(time.Minute), Count: 6},
		{ID: 1, Kind: monitor.Illegal, Severity: monitor.Critical, Category: "illegal", Group: "children", Device: "tablet-05", First: at, Last: at.Add(time.Minute), Count: 3},
	}
	return m
}
