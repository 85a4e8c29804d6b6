package clock

import (
	"testing"
	"time"
)

func day(n int) time.Time { return time.Date(2026, time.September, n, 12, 0, 0, 0, time.UTC) }

func TestNow(t *testing.T) {
	for _, tt := range []struct {
		what                string
		system, built, told time.Time
		synced              bool
		want                time.Time
		wrong, proven       bool
	}{
		{"sane", day(3), day(1), time.Time{}, false, day(3), false, false},
		{"sane and kept", day(3), day(1), time.Time{}, true, day(3), false, true},
		{"before the build", time.Unix(0, 0), day(1), time.Time{}, false, day(1), true, false},
		{"before the build, though somebody keeps it", time.Unix(0, 0), day(1), time.Time{}, true, day(1), true, false},
		{"behind, a certificate says", day(3), day(1), day(9), false, day(9), true, false},
		{"kept, so what a certificate says does not count", day(3), day(1), day(9), true, day(3), false, true},
		{"ahead of what was told", day(3), day(1), day(2), false, day(3), false, false},
		{"build not known", time.Unix(0, 0), time.Time{}, time.Time{}, false, time.Unix(0, 0), false, false},
		{"a few seconds behind", day(3), day(1), day(3).Add(5 * time.Second), false, day(3).Add(5 * time.Second), false, false},
	} {
		c := &Clock{Built: tt.built, System: func() time.Time { return tt.system }, Synchronised: func() bool { return tt.synced }}
		if !tt.told.IsZero() {
			c.Heed(tt.told)
		}
		if got := c.Now(); !got.Equal(tt.want) {
			t.Errorf("%s: %v, want %v", tt.what, got, tt.want)
		}
		if _, believed, wrong := c.Wrong(); wrong != tt.wrong || !believed.Equal(tt.want) {
			t.Errorf("%s: wrong %v", tt.what, wrong)
		}
		if got := c.Proven(); got != tt.proven {
			t.Errorf("%s: proven %v", tt.what, got)
		}
	}
}

// TestTimeBecomesKnown: what was believed meanwhile is forgotten, and does not come back.
func TestTimeBecomesKnown(t *testing.T) {
	now, synced := day(1), false
	c := &Clock{Built: day(1), System: func() time.Time { return now }, Synchronised: func() bool { return synced }}
	c.Heed(day(9))
	c.Heed(day(5)) // earlier than what is known
	if got := c.Now(); !got.Equal(day(9)) {
		t.Errorf("believed %v", got)
	}
	now, synced = day(4), true
	if got := c.Now(); !got.Equal(day(4)) {
		t.Errorf("%v, although time is known", got)
	}
	synced = false
	if got := c.Now(); !got.Equal(day(4)) {
		t.Errorf("%v came back", got)
	}
}

func TestZeroValueIsTheSystem(t *testing.T) {
	var c Clock
	before := time.Now()
	if got := c.Now(); got.Before(before) || got.After(time.Now()) {
		t.Errorf("now is %v", got)
	}
	if _, _, wrong := c.Wrong(); wrong {
		t.Error("wrong against nothing")
	}
	if n := testing.AllocsPerRun(100, func() { c.Now() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
