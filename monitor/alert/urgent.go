package alert

import (
	"context"
	"sync"

	"schoolgate/monitor"
	"schoolgate/resolver/query"
)

// urgent holds the blocks of the illegal tier that the loop has not taken yet, one entry per device.
type urgent struct {
	wake chan struct{} // has one element when there is something

	mu sync.Mutex
	by map[string]*sighting // guarded by mu
}

func newUrgent() urgent {
	return urgent{wake: make(chan struct{}, 1), by: make(map[string]*sighting)}
}

// add says false when too many devices wait.
func (u *urgent) add(q *query.Query) bool {
	u.mu.Lock()
	s, known := u.by[q.Client.Device]
	switch {
	case known:
		s.count++
		if q.Start.After(s.last) {
			s.last = q.Start
		}
	case len(u.by) >= illegalLimit:
		u.mu.Unlock()
		return false
	default:
		u.by[q.Client.Device] = &sighting{
			kind: monitor.Illegal, first: q.Start, last: q.Start, count: 1,
			device: q.Client.Device, group: q.Client.Name, category: q.Verdict.Category,
		}
	}
	u.mu.Unlock()
	signal(u.wake)
	return true
}

// takeUrgent empties the map and works on what was in it.
func (e *Engine) takeUrgent(ctx context.Context) {
	e.urgent.mu.Lock()
	by := e.urgent.by
	if len(by) > 0 {
		e.urgent.by = make(map[string]*sighting)
	}
	e.urgent.mu.Unlock()
	for _, s := range by {
		e.take(ctx, *s)
	}
}
