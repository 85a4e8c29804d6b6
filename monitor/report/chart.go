package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// chart is a bar chart, laid out here so that the template only writes it down. It needs no colour to be read: one series,
// every bar with its place on the axis, and a table with the same numbers.
type chart struct {
	ID      string
	Title   string
	Desc    string
	Table   string // the id of the table with the same numbers
	W, H    int
	Base    string // y of the axis
	Bars    []bar
	Marks   []mark // words around the bars
	Notches []mark // days without a request
	Grid    []mark // lines, by Y
	Small   bool
}

type bar struct {
	X, Y, W, H string
	Title      string
}

type mark struct {
	X, Y   string
	Anchor string
	Text   string
}

func px(v float64) string { return strconv.FormatFloat(v, 'f', 1, 64) }

const (
	chartWidth = 720
	fewBars    = 20 // of which each can bear its number
)

// weekChart draws refusals by week.
func (c *count) weekChart(weeks []week) chart {
	ch := chart{ID: "chart-weeks", Title: "Requests refused in each week", Table: "weeks", W: chartWidth, H: 250}
	values := make([]int64, len(weeks))
	top := int64(0)
	for i, w := range weeks {
		values[i] = c.sumDays(w).refused
		top = max(top, values[i])
	}
	const left, right, upper, lower = 44.0, 8.0, 26.0, 40.0
	base := float64(ch.H) - lower
	step := (float64(ch.W) - left - right) / float64(max(1, len(weeks)))
	scale := niceTop(top)
	for i := 0; i <= 2; i++ {
		v := scale * int64(i) / 2
		y := base - (base-upper)*float64(i)/2
		ch.Grid = append(ch.Grid, mark{X: px(left - 6), Y: px(y), Text: short(v)})
	}
	every := (len(weeks) + fewBars - 1) / fewBars
	for i, w := range weeks {
		h := (base - upper) * float64(values[i]) / float64(scale)
		x := left + step*float64(i)
		ch.Bars = append(ch.Bars, bar{
			X: px(x + step*.16), Y: px(base - h), W: px(step * .68), H: px(h),
			Title: fmt.Sprintf("week of %s: %s refused", w.monday.Format("2 January"), thousands(values[i])),
		})
		middle := px(x + step/2)
		if len(weeks) <= fewBars {
			ch.Marks = append(ch.Marks, mark{X: middle, Y: px(base - h - 6), Anchor: "middle", Text: short(values[i])})
		}
		if i%max(1, every) == 0 {
			ch.Marks = append(ch.Marks,
				mark{X: middle, Y: px(base + 16), Anchor: "middle", Text: w.monday.Format("2")},
				mark{X: middle, Y: px(base + 30), Anchor: "middle", Text: w.monday.Format("Jan")})
		}
	}
	ch.Base = px(base)
	ch.Desc = fmt.Sprintf("A bar for each week, by the date of its Monday. %s", c.peak(weeks, values))
	return ch
}

// peak says in words what stands out of a row of bars.
func (c *count) peak(weeks []week, values []int64) string {
	best := -1
	for i, v := range values {
		if v > 0 && (best < 0 || v > values[best]) {
			best = i
		}
	}
	if best < 0 {
		return "Nothing was refused in any of them."
	}
	return fmt.Sprintf("Most in the week of %s: %s.", weeks[best].monday.Format("2 January"), thousands(values[best]))
}

// dayChart draws refusals by day, and marks weekdays on which nobody asked anything.
func (c *count) dayChart(weeks []week) chart {
	ch := chart{ID: "chart-days", Title: "Requests refused on each day", Table: "days", W: chartWidth, H: 170}
	const left, right, upper, lower = 44.0, 8.0, 14.0, 36.0
	base := float64(ch.H) - lower
	step := (float64(ch.W) - left - right) / float64(c.cal.n)
	top, best := int64(0), 0
	for i := range c.days {
		if c.days[i].refused > top {
			top, best = c.days[i].refused, i
		}
	}
	scale := niceTop(top)
	for i := 0; i <= 2; i++ {
		ch.Grid = append(ch.Grid, mark{X: px(left - 6), Y: px(base - (base-upper)*float64(i)/2), Text: short(scale * int64(i) / 2)})
	}
	for i := range c.days {
		x := left + step*float64(i)
		if n := c.days[i].refused; n > 0 {
			h := (base - upper) * float64(n) / float64(scale)
			ch.Bars = append(ch.Bars, bar{
				X: px(x + step*.1), Y: px(base - h), W: px(step * .8), H: px(h),
				Title: fmt.Sprintf("%s: %s refused", c.cal.date(i).Format("Mon 2 January"), thousands(n)),
			})
		}
		if i < c.cal.past && c.days[i].requests == 0 && !c.cal.weekend(i) {
			ch.Notches = append(ch.Notches, mark{X: px(x + step/2), Y: px(base + 6)})
		}
	}
	every := (len(weeks) + 9) / 10
	for i, w := range weeks {
		if i%max(1, every) == 0 {
			ch.Marks = append(ch.Marks, mark{X: px(left + step*float64(w.from)), Y: px(base + 26), Anchor: "start", Text: c.cal.date(w.from).Format("2 Jan")})
		}
	}
	ch.Base = px(base)
	ch.Desc = "A bar for each day. Nothing was refused on any of them."
	if top > 0 {
		ch.Desc = fmt.Sprintf("A bar for each day. Most on %s: %s.", c.cal.date(best).Format("Monday 2 January"), thousands(top))
	}
	return ch
}

// kindCharts draws each kind by week, each on its own scale.
func (c *count) kindCharts(weeks []week) []chart {
	var all []chart
	for _, k := range c.order {
		if c.kindSums[k].n == 0 {
			continue
		}
		ch := chart{
			ID: fmt.Sprintf("chart-kind-%d", k), Title: clean(c.kinds[k].label()), Table: "weekkinds", W: 220, H: 84, Small: true,
		}
		values := make([]int64, len(weeks))
		top := int64(1)
		for i, w := range weeks {
			for d := w.from; d < w.to; d++ {
				values[i] += at(c.days[d].kinds, k)
			}
			top = max(top, values[i])
		}
		const base, upper = 62.0, 18.0
		step := 216.0 / float64(max(1, len(weeks)))
		peaked := false
		for i, v := range values {
			h := (base - upper) * float64(v) / float64(top)
			x := 2 + step*float64(i)
			ch.Bars = append(ch.Bars, bar{
				X: px(x + step*.14), Y: px(base - h), W: px(step * .72), H: px(h),
				Title: fmt.Sprintf("week of %s: %s", weeks[i].monday.Format("2 January"), thousands(v)),
			})
			if v == top && !peaked {
				peaked = true
				ch.Marks = append(ch.Marks, edge(x+step/2, float64(ch.W), upper-6, thousands(v)))
			}
		}
		ch.Marks = append(ch.Marks,
			mark{X: "2", Y: "78", Anchor: "start", Text: weeks[0].monday.Format("2 Jan")},
			mark{X: "218", Y: "78", Anchor: "end", Text: weeks[len(weeks)-1].monday.Format("2 Jan")})
		ch.Base = px(base)
		ch.Desc = fmt.Sprintf("%s refused in all, a bar for each week. %s", thousands(c.kindSums[k].n), c.peak(weeks, values))
		all = append(all, ch)
	}
	return all
}

// edge keeps a word inside the drawing.
func edge(x, width, y float64, text string) mark {
	half := 3.6 * float64(len(text))
	switch {
	case x-half < 2:
		return mark{X: "2", Y: px(y), Anchor: "start", Text: text}
	case x+half > width-2:
		return mark{X: px(width - 2), Y: px(y), Anchor: "end", Text: text}
	}
	return mark{X: px(x), Y: px(y), Anchor: "middle", Text: text}
}

// niceTop is a round number at or above n that halves well.
func niceTop(n int64) int64 {
	if n < 2 {
		return 2
	}
	for unit := int64(1); unit < 1<<60; unit *= 10 {
		for _, f := range [...]int64{2, 4, 6, 8, 10} {
			if v := f * unit; v >= n {
				return v
			}
		}
	}
	return n
}

// short writes a number in at most five characters, for where there is little room; the table has all of it.
func short(n int64) string {
	switch {
	case n < 10_000:
		return thousands(n)
	case n < 1_000_000:
		return trimZero(float64(n)/1e3) + "k"
	}
	return trimZero(float64(n)/1e6) + "m"
}

func trimZero(f float64) string {
	if f >= 100 {
		return strconv.FormatFloat(f, 'f', 0, 64)
	}
	return strings.TrimSuffix(strconv.FormatFloat(f, 'f', 1, 64), ".0")
}

// sumDays adds up a week.
func (c *count) sumDays(w week) (s sums) {
	for d := w.from; d < w.to; d++ {
		s.requests += c.days[d].requests
		s.refused += c.days[d].refused
		s.steered += c.days[d].steered
	}
	return s
}

// shown are the weeks that the page tells of: not those after the day on which it is made, unless something is in them.
func (c *count) shown() []week {
	all := c.cal.weeks()
	for len(all) > 1 {
		w := all[len(all)-1]
		if c.sumDays(w).requests > 0 || w.from <= c.cal.past {
			break
		}
		all = all[:len(all)-1]
	}
	return all
}

func longDate(t time.Time) string { return t.Format("Monday 2 January 2006") }
