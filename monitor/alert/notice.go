package alert

import (
	"context"

	"schoolgate/monitor"
)

// CodeOpened is the Code of an alert of Kind System that tells of a change which opened the filter. It is no trouble of the
// box: nothing ends it, and the DSL gets it too.
const CodeOpened = "changes.opened"

// CodeRequest is the Code of an alert of Kind System that tells of a request from the block page. Nothing ends it either.
const CodeRequest = "page.request"

const (
	maxNotices = 64 // that wait for the loop
	perNotice  = 20 // alerts an hour of what opened the filter; the log of changes has them all
	perRequest = 4  // alerts an hour of requests; a condition of health says how many wait
)

// notice is something that happened once, in words.
type notice struct{ code, text, hint string }

// Opened tells that the filter was opened: text says what happened, hint where there is more, both without names. It
// returns at once; when too many wait, it is counted as dropped.
func (e *Engine) Opened(text, hint string) {
	e.notify(notice{CodeOpened, text, hint})
}

// Requested tells the technical lead that somebody asked for a site to be looked at, as Opened does.
func (e *Engine) Requested(text, hint string) {
	e.notify(notice{CodeRequest, text, hint})
}

func (e *Engine) notify(n notice) {
	select {
	case e.notices <- n:
	default:
		e.drop(e.Now())
	}
}

func (e *Engine) takeNotice(ctx context.Context, n notice) {
	now := e.Now()
	severity, of, limit := monitor.Warning, &e.noticed, perNotice
	if n.code == CodeRequest {
		severity, of, limit = monitor.Notice, &e.requested, perRequest
	}
	if !of.take(now, limit) {
		return
	}
	e.begin(ctx, &episode{wide: n.code == CodeOpened, hint: n.hint, alert: monitor.Alert{
		Kind: monitor.System, Severity: severity, Code: n.code, Text: n.text, First: now, Last: now, Count: 1,
	}})
}
