// Package health says what is wrong with the box now, and serves that, with the metrics, to whatever watches it.
//
// Nothing that it says names a device, a person or a site; the sources of conditions keep to that.
package health

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"schoolgate/monitor"
)

// Check gives the conditions of one part of the box that hold at now. It may be called from several goroutines at once
// and must not wait for a network or a disk. A condition whose Since is zero gets the time at which it was first seen.
type Check func(now time.Time) []monitor.Condition

// Checks asks all parts and remembers since when each condition holds. The exported field is set before the first use and
// not after; Conditions may be called from any goroutine.
type Checks struct {
	Parts []Check

	mu    sync.Mutex
	since map[what]time.Time // guarded by mu
}

// what tells conditions apart for Since: a code may stand twice, once for each list.
type what struct {
	code string
	nth  int
}

// Conditions is what holds at now, the gravest first, then by code.
func (c *Checks) Conditions(now time.Time) []monitor.Condition {
	var all []monitor.Condition
	for _, check := range c.Parts {
		all = append(all, check(now)...)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	held, count := make(map[what]time.Time, len(all)), make(map[string]int)
	for i := range all {
		k := what{all[i].Code, count[all[i].Code]}
		count[k.code]++
		since := all[i].Since
		if since.IsZero() {
			if since = c.since[k]; since.IsZero() {
				since = now
			}
			all[i].Since = since
		}
		held[k] = since
	}
	c.since = held
	slices.SortStableFunc(all, func(a, b monitor.Condition) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.Code, b.Code))
	})
	return all
}

// Worst is the gravest severity among them; Info when there are none.
func Worst(conditions []monitor.Condition) monitor.Severity {
	worst := monitor.Info
	for _, c := range conditions {
		worst = max(worst, c.Severity)
	}
	return worst
}
