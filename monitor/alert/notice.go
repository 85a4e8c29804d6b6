package alert

import (
	"context"

	"schoolgate/monitor"
)

// CodeOpened is the Code of an alert of Kind System that tells of a change which opened the filter. It is no trouble of the
// box: nothing ends it, and the DSL gets it too.
const CodeOpened = "changes.opened"

const (
	maxNotices = 64 // that wait for the loop
	perNotice  = 20 // alerts an hour; the log of changes has them all
)

// notice is something that happened once, in words.
type notice struct{ text, hint string }

// Opened tells that the filter was opened: text says what happened, hint where there is more, both without names. It
// returns at once; when too many wait, it is counted as dropped.
func (e *Engine) Opened(text, hint string) {
	select {
	case e.notices <- notice{text, hint}:
	default:
		e.drop(e.Now())
	}
}

func (e *Engine) takeNotice(ctx context.Context, n notice) {
	now := e.Now()
	if !e.noticed.take(now, perNotice) {
		return
	}
	e.begin(ctx, &episode{wide: true, hint: n.hint, alert: monitor.Alert{
		Kind: monitor.System, Severity: monitor.Warning, Code: CodeOpened, Text: n.text, First: now, Last: now, Count: 1,
	}})
}
