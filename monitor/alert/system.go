package alert

import (
	"context"
	"time"

	"schoolgate/monitor"
)

// atOnce has the conditions that are a fact rather than a state: waiting to see whether they last proves nothing.
var atOnce = map[string]bool{"record.dropped": true, "illegal.retired": true, "illegal.lost": true}

// trouble is what the loop knows of one code of condition.
type trouble struct {
	seen   time.Time // when it appeared; zero while it is absent
	absent time.Time // when it went, while an alert for it is open; zero while it is there
	last   monitor.Condition
	alert  *episode // nil: none is open
	opened budget
}

// observe compares the conditions with the system alerts that are open. Of conditions with one code the gravest counts.
func (e *Engine) observe(ctx context.Context, now time.Time, conditions []monitor.Condition) {
	present := make(map[string]monitor.Condition)
	for _, c := range conditions {
		if c.Severity < monitor.Warning {
			continue
		}
		if p, ok := present[c.Code]; !ok || c.Severity > p.Severity {
			present[c.Code] = c
		}
	}
	for code, c := range present {
		t := e.troubles[code]
		if t == nil {
			t = new(trouble)
			e.troubles[code] = t
		}
		e.stands(ctx, now, t, c)
	}
	for code, t := range e.troubles {
		if _, ok := present[code]; !ok {
			e.gone(ctx, now, t)
			if t.alert == nil && t.opened.over(now) {
				delete(e.troubles, code)
			}
		}
	}
}

// stands handles a condition that is there now.
func (e *Engine) stands(ctx context.Context, now time.Time, t *trouble, c monitor.Condition) {
	if t.seen.IsZero() {
		t.seen = now
	}
	t.absent, t.last = time.Time{}, c
	fresh := t.alert == nil || c.Severity > t.alert.alert.Severity || now.Sub(t.alert.alert.First) >= systemAgain
	switch {
	case !fresh:
		if now.Sub(t.alert.saved) >= systemSave && t.alert.alert.ID != 0 {
			t.alert.alert.Last = now
			e.dirty[t.alert] = true
		}
	case now.Sub(t.seen) >= persist || atOnce[c.Code]:
		if !t.opened.take(now, perCondition) {
			return // flapping: it is told when the hour is over, if it still stands then
		}
		t.alert = &episode{hint: c.Hint, saved: now, alert: monitor.Alert{
			Kind: monitor.System, Severity: c.Severity, Code: c.Code, Text: c.Title, First: now, Last: now, Count: 1,
		}}
		e.begin(ctx, t.alert)
	}
}

// gone handles a condition that is not there now.
func (e *Engine) gone(ctx context.Context, now time.Time, t *trouble) {
	t.seen = time.Time{}
	if t.alert == nil {
		return
	}
	if t.absent.IsZero() {
		t.absent = now
	}
	if now.Sub(t.absent) < clearAfter {
		return
	}
	a := t.alert.alert
	e.begin(ctx, &episode{wide: a.Severity >= monitor.Critical, alert: monitor.Alert{
		Kind: monitor.System, Severity: monitor.Info, Code: a.Code, Text: clearedPrefix + a.Text, First: t.absent, Last: now, Count: 1,
	}})
	t.alert, t.absent = nil, time.Time{}
}

// resumeSystem takes up one system alert; they come oldest first.
func (e *Engine) resumeSystem(now time.Time, a monitor.Alert) {
	if a.Code == CodeOpened {
		e.noticed.take(a.First, perNotice)
		return
	}
	if a.Severity < monitor.Warning { // it was over
		if t := e.troubles[a.Code]; t != nil {
			t.alert = nil
		}
		return
	}
	t := e.troubles[a.Code]
	if t == nil {
		t = new(trouble)
		e.troubles[a.Code] = t
	}
	t.opened.take(a.First, perCondition)
	t.alert = &episode{alert: a, saved: a.Last}
	t.absent = now // until the first look says otherwise
}
