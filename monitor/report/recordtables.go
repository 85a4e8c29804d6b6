package report

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"schoolgate/monitor"
)

// startKind is the kind of the change that every start of the program leaves.
const startKind = "start"

const (
	changeRows = 150
	updateRows = 80
	gapRows    = 100
)

func (c *count) alertsTable() table {
	t := table{
		ID: "alerts", Caption: "Alerts", Keys: 1, Empty: "There were no alerts.",
		Head: []column{col("Number"), col("Began"), col("Ended"), col("About"), col("Severity"), col("Device"), col("Site or fault"), numCol("Requests"), handCol("Who looked, and what was done")},
	}
	if c.alertsCut {
		t.Note = fmt.Sprintf("Only the newest %d are shown.", maxAlerts)
	}
	for _, a := range c.alerts {
		about, what := "The appliance itself", cmp.Or(a.Text, a.Code)
		switch a.Kind {
		case monitor.Blocked:
			about, what = kindOf(tallyOf(a)).label(), a.Site
		case monitor.Illegal:
			about, what = illegal.label(), "not kept"
		case monitor.System:
		}
		t.Rows = append(t.Rows, []cell{
			num(a.ID), momentCell(a.First, c.cal.loc), momentCell(a.Last, c.cal.loc), text(about), text(a.Severity.String()),
			text(orNone(a.Device, "–")), text(orNone(what, "–")), num(a.Count), blank(),
		})
	}
	return t
}

// changesTable is what people changed; what lists changed by themselves stands apart, or it would hide this.
func (c *count) changesTable() table {
	t := table{
		ID: "changes", Caption: "Changes of settings", Keys: 1, Empty: "No setting was changed.",
		Head: []column{col("When"), col("What"), col("Details"), handCol("Asked for and agreed by")},
	}
	for _, ch := range c.changes {
		if ch.Kind != "lists" && ch.Kind != startKind {
			t.Rows = append(t.Rows, []cell{momentCell(ch.At, c.cal.loc), text(ch.Summary), lines(ch.Detail), blank()})
		}
	}
	if more := len(t.Rows) - changeRows; more > 0 {
		t.Note = fmt.Sprintf("The last %d are shown; %d earlier ones are in the record.", changeRows, more)
		t.Rows = t.Rows[more:]
	}
	t.numbered()
	return t
}

func (c *count) updatesTable() table {
	t := table{
		ID: "updates", Caption: "New versions of lists, and starts of the program", Keys: 1, Empty: "No list changed, and the program was not started.",
		Head: []column{col("When"), col("What"), col("Details")},
	}
	for _, ch := range c.changes {
		if ch.Kind == "lists" || ch.Kind == startKind {
			t.Rows = append(t.Rows, []cell{momentCell(ch.At, c.cal.loc), text(ch.Summary), lines(ch.Detail)})
		}
	}
	if more := len(t.Rows) - updateRows; more > 0 {
		t.Note = fmt.Sprintf("The last %d are shown; %d earlier ones are in the record.", updateRows, more)
		t.Rows = t.Rows[more:]
	}
	t.numbered()
	return t
}

// down says of a gap whether nothing was filtered or recorded in all of it, rather than some rows lost.
func down(g monitor.Gap) bool { return g.Reason != "dropped" }

func (c *count) gapsTable() table {
	t := table{
		ID: "gaps", Caption: "Gaps in the record", Keys: 1, Empty: "The record has no gap.",
		Head: []column{col("From"), col("To"), col("Length"), col("Reason"), numCol("Rows lost")},
	}
	for _, g := range c.gaps {
		reason := g.Reason
		switch reason {
		case "stopped":
			reason = "the program was stopped"
		case "killed":
			reason = "power cut or crash"
		case "dropped":
			reason = "more requests than could be written down; they were filtered all the same"
		}
		t.Rows = append(t.Rows, []cell{momentCell(g.From, c.cal.loc), momentCell(g.To, c.cal.loc), text(duration(g.To.Sub(g.From))), text(reason), num(g.Lost)})
	}
	if more := len(t.Rows) - gapRows; more > 0 {
		longest := func(a, b monitor.Gap) int { return cmp.Compare(b.To.Sub(b.From), a.To.Sub(a.From)) }
		least := slices.SortedStableFunc(slices.Values(c.gaps), longest)[gapRows-1]
		t.Note = fmt.Sprintf("There are %d more, none of them longer than %s.", more, duration(least.To.Sub(least.From)))
		kept := t.Rows[:0:0]
		for i, g := range c.gaps {
			if len(kept) < gapRows && longest(g, least) <= 0 {
				kept = append(kept, t.Rows[i])
			}
		}
		t.Rows = kept
	}
	t.numbered()
	return t
}

// blind is how long, within the span and until now, the program did not run.
func (c *count) blind(span Span) (sum time.Duration) {
	end := span.To
	if c.site.Made.Before(end) {
		end = c.site.Made
	}
	reached := span.From
	for _, g := range slices.SortedFunc(slices.Values(c.gaps), func(a, b monitor.Gap) int { return a.From.Compare(b.From) }) {
		from, to := g.From, g.To
		if from.Before(reached) {
			from = reached
		}
		if to.After(end) {
			to = end
		}
		if down(g) && from.Before(to) {
			sum += to.Sub(from)
			reached = to
		}
	}
	return sum
}

// duration writes a length of time in the words of the two largest units.
func duration(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	parts := []struct {
		unit string
		n    int64
	}{
		{"day", int64(d / (24 * time.Hour))}, {"hour", int64(d / time.Hour % 24)}, {"minute", int64(d / time.Minute % 60)}, {"second", int64(d / time.Second % 60)},
	}
	for i, p := range parts {
		if p.n > 0 {
			s := count1(p.n, p.unit)
			if i+1 < len(parts) && parts[i+1].n > 0 {
				s += " " + count1(parts[i+1].n, parts[i+1].unit)
			}
			return s
		}
	}
	return "under a second"
}

// count1 is a number and its noun.
func count1[T int | int64](n T, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return thousands(int64(n)) + " " + noun + "s"
}

// silentRuns are days, over by now, without one request.
func (c *count) silentRuns() [][2]int {
	return c.cal.runs(func(i int) bool { return c.days[i].requests == 0 })
}

func (c *count) weekdays(run [2]int) (n int) {
	for i := run[0]; i < run[1]; i++ {
		if !c.cal.weekend(i) {
			n++
		}
	}
	return n
}

// wasDown says whether the program did not run in all of the days.
func (c *count) wasDown(run [2]int) bool {
	from, to := c.cal.start(run[0]), c.cal.start(run[1])
	return slices.ContainsFunc(c.gaps, func(g monitor.Gap) bool { return down(g) && !g.From.After(from) && !g.To.Before(to) })
}

func (c *count) silentDaysTable() table {
	t := table{
		ID: "silentdays", Caption: "Days without a single request", Keys: 1, Empty: "There was a request on every Monday to Friday.",
		Head: []column{col("From"), col("To"), numCol("Days"), numCol("Mondays to Fridays"), col("What is known"), handCol("Reason")},
	}
	weekends := int64(0)
	for _, r := range c.silentRuns() {
		if c.weekdays(r) == 0 {
			weekends++
			continue
		}
		known := "not known: a holiday, a closure, or devices that did not ask this filter"
		switch {
		case c.wasDown(r):
			known = "the program was not running"
		case c.site.Retention > 0 && c.cal.start(r[0]).Before(c.site.Made.Add(-c.site.Retention)):
			known = "older than the record is kept, at least in part"
		}
		t.Rows = append(t.Rows, []cell{
			dateCell(c.cal.date(r[0])), dateCell(c.cal.date(r[1] - 1)), num(int64(r[1] - r[0])), num(int64(c.weekdays(r))), text(known), blank(),
		})
	}
	if weekends > 0 {
		t.Note = was(weekends, "weekend without a request is", "weekends without a request are") + " left out."
	}
	return t
}
