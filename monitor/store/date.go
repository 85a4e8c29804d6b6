package store

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"
)

// date counts days of UTC from 1970. UTC has no hour twice, so a day's rows are in order whatever the school's time zone
// does.
type date int

// dayMillis is how long a day of UTC is.
const dayMillis = 24 * 60 * 60 * 1000

func dateOf(t time.Time) date { return date(t.UnixMilli() / dayMillis) }

// The dates that have a four-digit year and no time before 1970. A clock that says otherwise is held to them.
var (
	minTime = time.UnixMilli(0).UTC()
	maxTime = time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC)
)

func clampTime(t time.Time) time.Time {
	switch {
	case t.Before(minTime):
		return minTime
	case t.After(maxTime):
		return maxTime
	}
	return t
}

func (d date) millis() int64 { return int64(d) * dayMillis }

func (d date) start() time.Time { return time.UnixMilli(d.millis()).UTC() }

// time is ms milliseconds after midnight.
func (d date) time(ms int64) time.Time { return time.UnixMilli(d.millis() + ms).UTC() }

func (d date) String() string { return d.start().Format(time.DateOnly) }

func (d date) path(dir string) string { return filepath.Join(dir, logDir, d.String()+".log") }

// bounds are the milliseconds of the day from from until before to; a zero time is no bound. There are none when lo ≥ hi.
func (d date) bounds(from, to time.Time) (lo, hi int64) {
	lo, hi = span(from, to)
	return max(lo, d.millis()) - d.millis(), min(hi, (d+1).millis()) - d.millis()
}

// span is from ≤ t < to in milliseconds; a zero time is no bound.
func span(from, to time.Time) (lo, hi int64) {
	lo, hi = math.MinInt64, math.MaxInt64
	if !from.IsZero() {
		lo = ceilMillis(from)
	}
	if !to.IsZero() {
		hi = ceilMillis(to)
	}
	return lo, hi
}

// ceilMillis rounds up, because rows are kept to the millisecond and the one that t lies in began before t.
func ceilMillis(t time.Time) int64 {
	ms := t.UnixMilli()
	if t.After(time.UnixMilli(ms)) {
		ms++
	}
	return ms
}

var (
	dayFile    = regexp.MustCompile(`^(\d{4}-\d\d-\d\d)\.log$`)
	damagedDay = regexp.MustCompile(`^(\d{4}-\d\d-\d\d)\.log\.damaged(\.\d+)?$`)
)

// dates lists the log's files, oldest first.
func dates(dir string) ([]date, error) {
	entries, err := os.ReadDir(filepath.Join(dir, logDir))
	if err != nil {
		return nil, fmt.Errorf("listing the record: %w", err)
	}
	var all []date
	for _, e := range entries {
		if d, ok := parseDate(dayFile, e.Name()); ok {
			all = append(all, d)
		}
	}
	slices.Sort(all)
	return all, nil
}

func parseDate(pattern *regexp.Regexp, name string) (date, bool) {
	p := pattern.FindStringSubmatch(name)
	if p == nil {
		return 0, false
	}
	t, err := time.Parse(time.DateOnly, p[1])
	return dateOf(t), err == nil && !t.Before(minTime)
}
