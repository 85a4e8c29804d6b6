package report

import (
	"cmp"
	"fmt"
	"strings"
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
		t.Note = fmt.Sprintf("Only the newest %d are shown. ", maxAlerts)
	}
	t.Note += "After a power cut or crash, the number of requests of an alert may be too low by what came in the last seconds before."
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

// requestsTable is what people asked for on the block page. Who they were stays on the box: a review is passed around.
func (c *count) requestsTable() table {
	t := table{
		ID: "requests", Caption: "Asked for on the block page", Keys: 1, Empty: "Nobody asked for a site to be looked at.",
		Head: []column{col("Number"), col("When"), col("Site"), col("Refused as"), col("Group"), col("Says to be"), col("Answered"), col("What was done")},
		Note: "Nobody has checked who asked.",
	}
	if len(c.requests) > maxRequests {
		t.Note += fmt.Sprintf(" Only the newest %d are shown.", maxRequests)
	}
	for _, r := range c.requests[:min(len(c.requests), maxRequests)] {
		when := text("not yet")
		if !r.Answered.IsZero() {
			when = momentCell(r.Answered, c.cal.loc)
		}
		t.Rows = append(t.Rows, []cell{
			num(r.ID), momentCell(r.At, c.cal.loc), text(r.Site), text(orNone(r.Reason, "–")), text(r.Group), text(r.Role), when, text(orNone(r.Answer, "–")),
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
			by := blank()
			if ch.By != "" {
				by = text(ch.By)
			}
			t.Rows = append(t.Rows, []cell{momentCell(ch.At, c.cal.loc), text(ch.Summary), lines(ch.Detail), by})
		}
	}
	if more := len(t.Rows) - changeRows; more > 0 {
		t.Note = fmt.Sprintf("The last %d are shown; %d earlier ones are in the record.", changeRows, more)
		t.Rows = t.Rows[more:]
	}
	t.Note = strings.TrimSpace(t.Note + " " + c.chainNote())
	t.numbered()
	return t
}

// chainNote is the head of the log of changes: on paper it shows for ever that none of it was altered since.
func (c *count) chainNote() string {
	switch h := c.site.Changes; {
	case c.site.ChangesFault != "":
		return "The log of changes is not whole, so this table may not be: " + c.site.ChangesFault + "."
	case h.Count > 0:
		return fmt.Sprintf("The log of changes was whole and ended with %d:%s. Keep this: schoolgate audit verify --head with it shows whether any of that was altered later.", h.Count, h.Hash)
	}
	return ""
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

func (c *count) silentDaysTable() table {
	t := table{
		ID: "silentdays", Caption: "Days without a single request", Keys: 1, Empty: "There was a request on every Monday to Friday.",
		Head: []column{col("From"), col("To"), numCol("Days"), numCol("Mondays to Fridays"), col("What is known"), handCol("Reason")},
	}
	if c.cal.past == 0 {
		t.Empty = "No day of this time is over yet."
	}
	weekends := int64(0)
	for _, r := range c.silentRuns() {
		if c.weekdays(r) == 0 {
			weekends++
			continue
		}
		known := "not known: a holiday, a closure, or devices that did not ask this filter"
		switch {
		case c.explained(r) != "":
			known = c.explained(r)
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
