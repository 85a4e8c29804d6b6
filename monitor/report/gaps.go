package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"schoolgate/monitor"
)

// Reasons of gaps, as the record has them.
const (
	stopped = "stopped"
	killed  = "killed"
	dropped = "dropped"
	full    = "full"
	damaged = "damaged"
)

// restart is how long a restart that nobody need look at takes at most.
const restart = time.Minute

// losses is what is known of what the record lacks.
type losses struct {
	down    time.Duration // the program did not run
	longest time.Duration // of that, the longest at a stretch
	kills   int           // power cuts and crashes: what was answered last before each is lost
	damages int
	strange int   // gaps of a reason that this version does not know
	rows    int64 // known to be missing
}

// grave says whether more than restarts is known of.
func (l losses) grave() bool {
	return l.longest >= restart || l.kills > 0 || l.damages > 0 || l.strange > 0 || l.rows > 0
}

// down says of a gap whether nothing was filtered or recorded in all of it, rather than some rows lost.
func down(g monitor.Gap) bool { return g.Reason == stopped || g.Reason == killed }

// losses counts time within the span and until now alone, and no moment twice.
func (c *count) losses(span Span) (l losses) {
	end := span.To
	if c.site.Made.Before(end) {
		end = c.site.Made
	}
	reached := span.From
	for _, g := range slices.SortedFunc(slices.Values(c.gaps), func(a, b monitor.Gap) int { return a.From.Compare(b.From) }) {
		l.rows += g.Lost
		switch g.Reason {
		case killed:
			l.kills++
		case damaged:
			l.damages++
		case stopped, dropped, full:
		default:
			l.strange++
		}
		from, to := later(g.From, span.From), g.To
		if to.After(end) {
			to = end
		}
		if !down(g) || !from.Before(to) {
			continue
		}
		l.longest = max(l.longest, to.Sub(from))
		if from = later(from, reached); from.Before(to) {
			l.down += to.Sub(from)
			reached = to
		}
	}
	return l
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// unflushed is what a power cut or crash loses.
func (c *count) unflushed() string {
	if c.site.Flush <= 0 {
		return "the last queries"
	}
	return fmt.Sprintf("up to %g s of queries", c.site.Flush.Seconds())
}

// lostCell owns up where nobody counted.
func (c *count) lostCell(g monitor.Gap) cell {
	switch g.Reason {
	case killed:
		s := "not known: " + c.unflushed()
		if g.Lost > 0 {
			s = fmt.Sprintf("%d and more: %s", g.Lost, c.unflushed())
		}
		return text(s)
	case stopped, dropped, full:
		return num(g.Lost)
	}
	if g.Lost > 0 {
		return text(fmt.Sprintf("%d or more", g.Lost))
	}
	return text("not known")
}

func (c *count) gapsTable() table {
	t := table{
		ID: "gaps", Caption: "Gaps in the record", Keys: 1, Empty: "The record has no gap.",
		Head: []column{col("From"), col("To"), col("Length"), col("Reason"), numCol("Rows lost")},
	}
	for _, g := range c.gaps {
		reason := g.Reason
		switch reason {
		case stopped:
			reason = "the program was stopped"
		case killed:
			reason = "power cut or crash"
		case dropped:
			reason = "more requests than could be written down; they were filtered all the same"
		case full:
			reason = "no room on the disk to write requests down; they were filtered all the same"
		case damaged:
			reason = "the file with the record of this time was damaged; requests were filtered all the same"
		}
		t.Rows = append(t.Rows, []cell{momentCell(g.From, c.cal.loc), momentCell(g.To, c.cal.loc), text(duration(g.To.Sub(g.From))), text(reason), c.lostCell(g)})
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

// wholeness answers whether the record is whole. The first sentence names every kind of loss.
func (c *count) wholeness(span Span) []string {
	if c.future() && len(c.gaps) == 0 {
		return []string{"This time has not begun, so there is no record of it yet."}
	}
	if len(c.gaps) == 0 {
		return []string{"As far as is known, Schoolgate ran during all of this time" + c.soFar() + ", and wrote down every request that it answered."}
	}
	l := c.losses(span)
	var parts, more []string
	if l.down > 0 {
		parts = append(parts, "Schoolgate did not run for "+duration(l.down)+" in all")
		more = append(more, "While it does not run it neither filters nor records; devices then get no answers, unless they were told of another DNS service.")
	}
	if l.kills > 0 {
		parts = append(parts, c.killWords(l))
	}
	if l.rows > 0 {
		parts = append(parts, was(l.rows, "row is", "rows are")+" known to be missing from times when it ran")
		more = append(more, "Requests that were not written down while it ran were filtered all the same.")
	}
	if l.damages > 0 {
		parts = append(parts, "a file of the record was damaged "+often(l.damages)+", and how many rows that lost is not known")
	}
	if l.strange > 0 {
		parts = append(parts, "there is a gap for a reason that this version does not know")
	}
	if len(parts) == 0 { // gaps that touch this time with no moment of it
		return []string{"As far as is known, Schoolgate ran during all of this time" + c.soFar() + ", and wrote down every request that it answered."}
	}
	return append([]string{"The record is not whole: " + strings.Join(parts, "; ") + "."}, more...)
}

func (c *count) killWords(l losses) string {
	if l.kills == 1 {
		return "a power cut or crash ended Schoolgate once, and " + c.unflushed() + " that it had answered may be missing"
	}
	return fmt.Sprintf("power cuts or crashes ended Schoolgate %s, and each time %s that it had answered may be missing", often(l.kills), c.unflushed())
}

func often(n int) string {
	if n == 1 {
		return "once"
	}
	return thousands(int64(n)) + " times"
}

// lossFindings is what stands out of the losses.
func (c *count) lossFindings(span Span, say func(grave bool, where, link, format string, args ...any)) {
	const where, link = "sec-record", "Is the record whole?"
	l := c.losses(span)
	switch {
	case l.longest >= restart:
		say(true, where, link, "Schoolgate did not run for %s in all, and recorded nothing then.", duration(l.down))
	case l.down > 0:
		say(false, where, link, "Schoolgate did not run for %s in all, never for as long as %s at a stretch.", duration(l.down), duration(restart))
	}
	if l.kills > 0 {
		s := c.killWords(l)
		say(true, where, link, "%s.", strings.ToUpper(s[:1])+s[1:])
	}
	if l.rows > 0 {
		say(true, where, link, "%s known to be missing from the record.", was(l.rows, "row is", "rows are"))
	}
	if l.damages > 0 {
		say(true, where, link, "A file of the record was damaged %s: how many rows that lost is not known.", often(l.damages))
	}
	if l.strange > 0 {
		say(true, where, link, "The record has a gap for a reason that this version does not know.")
	}
}

// during says whether one gap of the given kind takes up all of the days.
func (c *count) during(run [2]int, is func(monitor.Gap) bool) bool {
	from, to := c.cal.start(run[0]), c.cal.start(run[1])
	return slices.ContainsFunc(c.gaps, func(g monitor.Gap) bool { return is(g) && !g.From.After(from) && !g.To.Before(to) })
}

// explained is what is known of days without requests; "" for nothing.
func (c *count) explained(run [2]int) string {
	switch {
	case c.during(run, down):
		return "the program was not running"
	case c.during(run, func(g monitor.Gap) bool { return g.Reason == damaged }):
		return "the record of this time was damaged"
	case c.during(run, func(g monitor.Gap) bool { return g.Reason == full }):
		return "there was no room on the disk to write requests down"
	}
	return ""
}
