package main

import (
	"fmt"
	"strings"
	"time"

	"schoolgate/config"
)

// moment reads a point in time as a person gives it, in the school's time zone. A bare day is its first moment, or for
// the end of a span the first moment after it.
func moment(s string, now time.Time, loc *time.Location, end bool) (time.Time, error) {
	now = now.In(loc)
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, loc)
	day := func(t time.Time) time.Time {
		if end {
			return t.AddDate(0, 0, 1)
		}
		return t
	}
	switch s {
	case "now":
		return now, nil
	case "today":
		return day(today), nil
	case "yesterday":
		return day(today.AddDate(0, 0, -1)), nil
	}
	if ago, ok := strings.CutSuffix(s, " ago"); ok {
		if d, err := time.ParseDuration(ago); err == nil {
			return now.Add(-d), nil
		}
	}
	if t, err := time.ParseInLocation(time.DateOnly, s, loc); err == nil {
		return day(t), nil
	}
	if t, err := time.ParseInLocation("15:04", s, loc); err == nil {
		return time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), 0, 0, loc), nil
	}
	for _, layout := range []string{"2006-01-02 15:04", "2006-01-02T15:04", time.DateTime} {
		if t, err := time.ParseInLocation(layout, s, loc); err == nil {
			return t, nil
		}
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	return time.Time{}, usage("give 2026-09-01, \"2026-09-01 10:30\", 10:30 (today), today, yesterday or \"2h ago\"", "%q is no time", s)
}

// span is the stretch of time between --from and --to; what is not given stays open.
func span(from, to string, now time.Time, loc *time.Location) (start, end time.Time, err error) {
	if from != "" {
		if start, err = moment(from, now, loc, false); err != nil {
			return start, end, err
		}
	}
	if to != "" {
		if end, err = moment(to, now, loc, true); err != nil {
			return start, end, err
		}
	}
	if !start.IsZero() && !end.IsZero() && !start.Before(end) {
		return start, end, usage("--from must lie before --to", "nothing lies between %q and %q", from, to)
	}
	return start, end, nil
}

// termNamed finds a term by name: of several school years, the one that now lies in, else the last that has begun, else
// the first. "autumn 2026" names the year in which it begins.
func termNamed(cfg *config.Config, name string, now time.Time, loc *time.Location) (config.Term, error) {
	word, year, hasYear := strings.Cut(strings.ToLower(strings.TrimSpace(name)), " ")
	var best *config.Term
	var names []string
	for i := range cfg.Terms {
		t := &cfg.Terms[i]
		names = append(names, fmt.Sprintf("%s %d", t.Name, t.First.Year))
		if !strings.EqualFold(t.Name, word) || hasYear && year != fmt.Sprint(t.First.Year) {
			continue
		}
		first := midnight(t.First, loc)
		switch {
		case best == nil:
			best = t
		case first.After(now):
		case midnight(best.First, loc).After(now) || first.After(midnight(best.First, loc)):
			best = t
		}
	}
	if best == nil {
		return config.Term{}, usage("the configuration has "+strings.Join(names, ", "), "no term %q", name)
	}
	return *best, nil
}

func midnight(d config.Date, loc *time.Location) time.Time {
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, loc)
}
