package report

import "time"

// calendar numbers the local days of a span from 0. It reckons in days since 1970 and never in hours, so that a day on
// which the clocks change is a day like others.
type calendar struct {
	loc   *time.Location
	first int // days since 1970
	n     int
	past  int // days 0 to past-1 are over
}

func newCalendar(span Span, made time.Time) calendar {
	c := calendar{loc: span.Loc, first: dayNumber(span.From.In(span.Loc))}
	c.n = dayNumber(span.To.Add(-time.Nanosecond).In(span.Loc)) - c.first + 1
	c.past = min(c.n, max(0, dayNumber(made.In(span.Loc))-c.first))
	return c
}

// dayNumber is the date of t, in its location, as days since 1970.
func dayNumber(t time.Time) int {
	y, m, d := t.Date()
	return int(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / (24 * 60 * 60))
}

// index is the day of the span that t lies in, -1 for none.
func (c calendar) index(t time.Time) int {
	if i := dayNumber(t.In(c.loc)) - c.first; 0 <= i && i < c.n {
		return i
	}
	return -1
}

// date is midnight UTC of day i: for its name, never for reckoning with instants.
func (c calendar) date(i int) time.Time { return time.Unix(int64(c.first+i)*24*60*60, 0).UTC() }

// start is when day i begins.
func (c calendar) start(i int) time.Time {
	y, m, d := c.date(i).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, c.loc)
}

func (c calendar) weekend(i int) bool {
	d := c.date(i).Weekday()
	return d == time.Saturday || d == time.Sunday
}

// week is a Monday-to-Sunday week, cut to the span: days from ≤ i < to.
type week struct {
	monday   time.Time // may lie before the span
	from, to int
}

func (c calendar) weeks() []week {
	var all []week
	for i := 0; i < c.n; {
		into := (int(c.date(i).Weekday()) + 6) % 7 // days since Monday
		w := week{monday: c.date(i).AddDate(0, 0, -into), from: i, to: min(c.n, i+7-into)}
		all = append(all, w)
		i = w.to
	}
	return all
}

// runs joins neighbouring days for which is holds.
func (c calendar) runs(is func(i int) bool) [][2]int {
	var all [][2]int
	for i := 0; i < c.past; i++ {
		if !is(i) {
			continue
		}
		if n := len(all); n > 0 && all[n-1][1] == i {
			all[n-1][1]++
		} else {
			all = append(all, [2]int{i, i + 1})
		}
	}
	return all
}
