package store

import (
	"time"

	"schoolgate/monitor"
)

// A clock that is more than maxLeap ahead of when the program was last known to run is believed, for deletion, after the
// program has run with it for leapHolds. A box that was off for the holidays keeps its rows that much longer; one whose
// clock leaps by years has the time to be put right, and a term's record is not gone in half a minute.
const (
	maxLeap   = 7 * wholeDay
	leapHolds = 2 * wholeDay
)

// leapGuard is what deletion believes of the time.
type leapGuard struct {
	trusted time.Time // the latest that was believed, without a monotonic reading
	leapt   time.Time // when the clock was first seen far ahead of it; zero when it is not
}

// trust is the time to delete by at now.
func (c *leapGuard) trust(now time.Time) time.Time {
	wall := now.Round(0)
	// Both have a monotonic reading, so that the time since is that of the machine, whatever becomes of its clock.
	held := !c.leapt.IsZero() && now.Sub(c.leapt) >= leapHolds
	if held || wall.Sub(c.trusted) <= maxLeap {
		c.trusted, c.leapt = wall, time.Time{}
		return wall
	}
	if c.leapt.IsZero() {
		c.leapt = now
	}
	return c.trusted
}

func (c *leapGuard) conditions() []monitor.Condition {
	if c.leapt.IsZero() {
		return nil
	}
	return []monitor.Condition{{
		Code: "record.clock", Severity: monitor.Warning, Since: c.leapt,
		Title: "The clock is more than a week ahead of when this box last ran: for two days nothing is deleted by it.",
		Hint:  "Look at the date of the box (timedatectl). If it is right, for instance after the holidays, there is nothing to do. Else put it right: rows keep the time that the clock showed.",
	}}
}
