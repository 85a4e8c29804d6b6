package alert

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"schoolgate/monitor"
)

// sick is a box whose health the test sets.
type sick struct {
	mu  sync.Mutex
	now []monitor.Condition
}

func (s *sick) set(c ...monitor.Condition) { s.mu.Lock(); s.now = c; s.mu.Unlock() }

func (s *sick) conditions(time.Time) []monitor.Condition {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *sick) watched(e *Engine) { e.Conditions = s.conditions }

var (
	down  = monitor.Condition{Code: "upstream.down", Severity: monitor.Warning, Title: "No upstream answers.", Hint: "Check the line."}
	stale = monitor.Condition{Code: "lists.stale", Severity: monitor.Notice, Title: "A list is old."}
	lost  = monitor.Condition{Code: "record.dropped", Severity: monitor.Critical, Title: "Rows were lost."}
)

// wait lets the loop see the conditions for so long.
func wait(d time.Duration) {
	time.Sleep(d + time.Second)
	synctest.Wait()
}

func TestSystemAlerts(t *testing.T) {
	const (
		open   = `system warning "" ""  ×1 upstream.down`
		closed = `system info "" ""  ×1 upstream.down`
	)
	grave := down
	grave.Severity = monitor.Critical
	tests := []struct {
		name  string
		play  func(*sick)
		want  []string
		mails int
	}{
		{"not before it lasts", func(s *sick) { s.set(down); wait(50 * time.Second); s.set(); wait(time.Minute) }, nil, 0},
		{"once, however long it lasts", func(s *sick) { s.set(down, stale); wait(20 * time.Hour) }, []string{open}, 1},
		{"again every day", func(s *sick) { s.set(down); wait(25 * time.Hour) }, []string{open, open}, 2},
		{"a note when it is over", func(s *sick) { s.set(down); wait(time.Hour); s.set(); wait(time.Hour) }, []string{open, closed}, 2},
		{"a short pause is not the end", func(s *sick) {
			for range 10 {
				s.set(down)
				wait(4 * time.Minute)
				s.set()
				wait(4 * time.Minute)
			}
		}, []string{open}, 1},
		{"flapping is bounded", func(s *sick) {
			for range 6 {
				s.set(down)
				wait(2 * time.Minute)
				s.set()
				wait(6 * time.Minute)
			}
		}, []string{open, closed, open, closed, open, closed}, 6},
		{"worse is told, to the DSL as well", func(s *sick) {
			s.set(down)
			wait(2 * time.Minute)
			s.set(grave)
			wait(time.Minute)
			s.set(down)
			wait(time.Hour)
			s.set()
			wait(time.Hour)
		}, []string{open, `system critical "" ""  ×1 upstream.down`, closed}, 1 + 3 + 3},
		{"lost rows at once", func(s *sick) { s.set(lost); wait(flushEvery) }, []string{`system critical "" ""  ×1 record.dropped`}, 3},
		{"two of one code are one, the graver", func(s *sick) { s.set(down, grave, down); wait(2 * time.Minute) }, []string{`system critical "" ""  ×1 upstream.down`}, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, box := newMemStore(), new(sick)
				r := start(t, store, box.watched)
				tt.play(box)
				r.stop()
				wantAlerts(t, store, tt.want...)
				wantMails(t, store, tt.mails)
			})
		})
	}
}

func TestSystemAlertsAcrossARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, box := newMemStore(), new(sick)
		box.set(down)
		r := start(t, store, box.watched)
		wait(2 * time.Hour)
		r.stop()
		r = start(t, store, box.watched)
		wait(2 * time.Hour)
		wantMails(t, store, 1)
		r.stop()
		box.set()
		r = start(t, store, box.watched)
		wait(2 * clearAfter)
		r.stop()
		r = start(t, store, box.watched)
		wait(2 * clearAfter)
		r.stop()
		wantAlerts(t, store, `system warning "" ""  ×1 upstream.down`, `system info "" ""  ×1 upstream.down`)
		wantMails(t, store, 2)
	})
}

func TestAStandingConditionSparesTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, box := newMemStore(), new(sick)
		box.set(down)
		r := start(t, store, box.watched)
		wait(time.Hour)
		if store.writes > 14 {
			t.Errorf("%d writes in an hour, want no more than one every five minutes", store.writes)
		}
		if alerts, _ := store.snapshot(); time.Since(alerts[0].Last) > 2*systemSave {
			t.Errorf("last time is %v old", time.Since(alerts[0].Last))
		}
		r.stop()
	})
}
