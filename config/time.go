package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const day = 24 * time.Hour

// Duration is a time.Duration written as "90s", "10m", "1h30m" or "150d" in the file; a day is 24 hours.
type Duration time.Duration

// Std gives the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// UnmarshalText reads what String writes, and any sum of units in falling order. It refuses negative durations.
func (d *Duration) UnmarshalText(text []byte) error {
	bad := &syntaxError{fmt.Sprintf("%q is no duration", text), `write a number and ms, s, m, h or d, such as "90s", "10m" or "150d"`}
	days, rest, found := strings.Cut(string(text), "d")
	if !found {
		days, rest = "0", days
	}
	n, err := strconv.ParseUint(days, 10, 32)
	if err != nil || n > uint64(math.MaxInt64/day) || rest == "" && !found {
		return bad
	}
	sum := time.Duration(n) * day
	if rest != "" {
		more, err := time.ParseDuration(rest)
		if err != nil || rest[0] == '-' || rest[0] == '+' || more > math.MaxInt64-sum {
			return bad
		}
		sum += more
	}
	*d = Duration(sum)
	return nil
}

// MarshalText writes String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (d Duration) String() string {
	std := time.Duration(d)
	if std >= 2*day && std%day == 0 {
		return strconv.FormatInt(int64(std/day), 10) + "d"
	}
	s := std.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Date is a calendar day, in the file a TOML date (2026-09-01) or the same as text.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// UnmarshalText reads "2026-09-01", and "" as no day. It refuses days that no calendar has.
func (d *Date) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*d = Date{}
		return nil
	}
	t, err := time.Parse(time.DateOnly, string(text))
	if err != nil {
		return &syntaxError{fmt.Sprintf("%q is no date", text), "write year, month and day, such as 2026-09-01"}
	}
	d.Year, d.Month, d.Day = t.Date()
	return nil
}

// MarshalText writes String.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (d Date) String() string {
	if d == (Date{}) {
		return ""
	}
	return fmt.Sprintf("%04d-%02d-%02d", d.Year, int(d.Month), d.Day)
}

// Compare is negative when d is before o, zero when they are the same day, positive when d is after o.
func (d Date) Compare(o Date) int {
	if d.Year != o.Year {
		return d.Year - o.Year
	}
	if d.Month != o.Month {
		return int(d.Month - o.Month)
	}
	return d.Day - o.Day
}

// Start is the first instant of the day in loc. On a day whose midnight the clocks skip, that is the first instant after.
func (d Date) Start(loc *time.Location) time.Time {
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, loc)
}

// schoolYear is the calendar year in which the school year of d began, on 1 August at the earliest.
func (d Date) schoolYear() int {
	if d.Month < time.August {
		return d.Year - 1
	}
	return d.Year
}

// TimeOfDay is minutes after midnight, 0 to 1439, written as "08:30" in the file.
type TimeOfDay int

// UnmarshalText reads "08:30" or "8:30".
func (t *TimeOfDay) UnmarshalText(text []byte) error {
	hint := `write hours and minutes from "00:00" to "23:59"`
	if string(text) == "24:00" {
		hint = `write "00:00": as the end of a window it means the end of the day`
	}
	hour, minute, found := strings.Cut(string(text), ":")
	h, err1 := strconv.ParseUint(hour, 10, 8)
	m, err2 := strconv.ParseUint(minute, 10, 8)
	if !found || err1 != nil || err2 != nil || len(hour) > 2 || len(minute) != 2 || h > 23 || m > 59 {
		return &syntaxError{fmt.Sprintf("%q is no time of day", text), hint}
	}
	*t = TimeOfDay(h*60 + m)
	return nil
}

// MarshalText writes String.
func (t TimeOfDay) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

func (t TimeOfDay) String() string { return fmt.Sprintf("%02d:%02d", int(t)/60, int(t)%60) }

// Weekday is a time.Weekday written as "monday" or "mon" in the file.
type Weekday time.Weekday

// UnmarshalText reads an English name of a day, whole or its first three letters, in any case.
func (w *Weekday) UnmarshalText(text []byte) error {
	word := strings.ToLower(string(text))
	var names []string
	for d := time.Sunday; d <= time.Saturday; d++ {
		name := Weekday(d).String()
		if word == name || word == name[:3] {
			*w = Weekday(d)
			return nil
		}
		names = append(names, name)
	}
	return &syntaxError{fmt.Sprintf("%q is no day of the week", text), suggest(word, names, `write "monday" or "mon" to "sunday" or "sun"`)}
}

// MarshalText writes String.
func (w Weekday) MarshalText() ([]byte, error) { return []byte(w.String()), nil }

func (w Weekday) String() string { return strings.ToLower(time.Weekday(w).String()) }
