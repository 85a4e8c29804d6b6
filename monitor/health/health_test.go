package health

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"schoolgate/monitor"
)

var noon = time.Date(2026, time.November, 14, 12, 0, 0, 0, time.UTC)

func TestConditionsKeepTheirSince(t *testing.T) {
	var now []monitor.Condition
	c := &Checks{Parts: []Check{
		func(time.Time) []monitor.Condition { return nil },
		func(time.Time) []monitor.Condition { return append([]monitor.Condition(nil), now...) },
	}}
	down := monitor.Condition{Code: "upstream.down", Severity: monitor.Warning}
	stale := monitor.Condition{Code: "lists.stale", Severity: monitor.Warning}
	dated := monitor.Condition{Code: "record.dropped", Severity: monitor.Critical, Since: noon.Add(-time.Hour)}
	at := func(c monitor.Condition, minute int) monitor.Condition {
		c.Since = noon.Add(time.Duration(minute) * time.Minute)
		return c
	}
	for _, tt := range []struct {
		minute    int
		now, want []monitor.Condition
	}{
		{0, []monitor.Condition{down}, []monitor.Condition{at(down, 0)}},
		{1, []monitor.Condition{down, stale, stale, dated}, []monitor.Condition{dated, at(stale, 1), at(stale, 1), at(down, 0)}},
		{2, []monitor.Condition{stale}, []monitor.Condition{at(stale, 1)}},
		{3, []monitor.Condition{down, stale, stale}, []monitor.Condition{at(stale, 1), at(stale, 3), at(down, 3)}},
		{4, nil, nil},
	} {
		now = tt.now
		if d := cmp.Diff(tt.want, c.Conditions(noon.Add(time.Duration(tt.minute)*time.Minute))); d != "" {
			t.Errorf("minute %d (-want +got):\n%s", tt.minute, d)
		}
	}
}

func TestConditionsFromManyGoroutines(t *testing.T) {
	c := &Checks{Parts: []Check{func(time.Time) []monitor.Condition { return []monitor.Condition{{Code: "a.b"}} }}}
	c.Conditions(noon)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 200 {
				if got := c.Conditions(noon.Add(time.Duration(i) * time.Second)); !got[0].Since.Equal(noon) {
					t.Errorf("since %v", got[0].Since)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestWorst(t *testing.T) {
	if got := Worst(nil); got != monitor.Info {
		t.Errorf("Worst(nil) = %v", got)
	}
	if got := Worst([]monitor.Condition{{Severity: monitor.Notice}, {Severity: monitor.Critical}, {Severity: monitor.Warning}}); got != monitor.Critical {
		t.Errorf("Worst = %v, want critical", got)
	}
}
