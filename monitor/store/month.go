package store

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// month counts calendar months of UTC from year 0. UTC has no hour twice, so a file's rows are in order whatever the
// school's time zone does.
type month int

func monthOf(t time.Time) month {
	t = t.UTC()
	return month(t.Year()*12 + int(t.Month()) - 1)
}

// The months that have a four-digit year and no time before 1970. A clock that says otherwise is held to them.
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

func (m month) start() time.Time {
	return time.Date(int(m/12), time.Month(m%12)+1, 1, 0, 0, 0, 0, time.UTC)
}

func (m month) String() string { return fmt.Sprintf("%04d-%02d", int(m/12), int(m%12)+1) }

func (m month) path(dir string) string { return filepath.Join(dir, logDir, m.String()+".db") }

// sequenceBits is the part of an entry's id that tells rows of one millisecond apart.
const sequenceBits = 10

// id is the least id of a row of this month at or after t.
func (m month) id(t time.Time) int64 {
	start := m.start()
	switch {
	case t.Before(start):
		return 0
	case !t.Before((m + 1).start()):
		return math.MaxInt64
	}
	return (ceilMillis(t) - start.UnixMilli()) << sequenceBits
}

// ceilMillis rounds up, because rows are kept to the millisecond and the one that t lies in began before t.
func ceilMillis(t time.Time) int64 {
	ms := t.UnixMilli()
	if t.After(time.UnixMilli(ms)) {
		ms++
	}
	return ms
}

func (m month) time(id int64) time.Time {
	return time.UnixMilli(m.start().UnixMilli() + id>>sequenceBits).UTC()
}

var (
	monthFile   = regexp.MustCompile(`^(\d{4})-(0[1-9]|1[0-2])\.db$`)
	damagedFile = regexp.MustCompile(`^(\d{4})-(0[1-9]|1[0-2])\.db\.damaged(\.\d+)?(-wal|-shm)?$`)
)

// months lists the log's files, oldest first.
func months(dir string) ([]month, error) {
	entries, err := os.ReadDir(filepath.Join(dir, logDir))
	if err != nil {
		return nil, err
	}
	var all []month
	for _, e := range entries {
		if m, ok := parseMonth(monthFile, e.Name()); ok {
			all = append(all, m)
		}
	}
	slices.Sort(all)
	return all, nil
}

func parseMonth(pattern *regexp.Regexp, name string) (month, bool) {
	p := pattern.FindStringSubmatch(name)
	if p == nil {
		return 0, false
	}
	year, _ := strconv.Atoi(p[1])
	number, _ := strconv.Atoi(p[2])
	return month(year*12 + number - 1), true
}
