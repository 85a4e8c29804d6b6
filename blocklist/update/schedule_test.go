package update

import (
	"testing"
	"time"

	"schoolgate/config"
)

func TestDue(t *testing.T) {
	now := time.Date(2026, 11, 23, 8, 0, 0, 123, time.UTC)
	l := config.List{Name: "games", Source: "https://lists.example/games"}
	asked := func(ago time.Duration, failures int, refused bool, retry int64) meta {
		return meta{AskedID: identity(l), Attempted: now.Add(-ago), Failures: failures, Refused: refused, RetryAfter: retry}
	}
	const day = 24 * time.Hour
	tests := []struct {
		name string
		m    meta
		want time.Duration // from now at the latest; a tenth of the wait may be taken off
		wait time.Duration
	}{
		{"never asked", meta{}, 0, 0},
		{"just asked", asked(0, 0, false, 0), day, day},
		{"half a day ago", asked(12*time.Hour, 0, false, 0), 12 * time.Hour, day},
		{"off for a week", asked(7*day, 0, false, 0), -6 * day, day},
		{"asked in the future by a wrong clock", asked(-30*day, 0, false, 0), 0, 0},
		{"another address", meta{AskedID: "other", Attempted: now}, 0, 0},
		{"one failure", asked(0, 1, false, 0), time.Minute, time.Minute},
		{"three failures", asked(0, 3, false, 0), 4 * time.Minute, 4 * time.Minute},
		{"many failures", asked(0, 1_000_000, false, 0), time.Hour, time.Hour},
		{"content refused", asked(0, 1, true, 0), 6 * time.Hour, 6 * time.Hour},
		{"the server asks for patience", asked(0, 1, false, 7200), 2 * time.Hour, 2 * time.Hour},
		{"but no longer than usual", asked(0, 1, false, 7*86400), day, day},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := due(l, tt.m, now).Sub(now)
			if got > tt.want || got < tt.want-tt.wait/10 {
				t.Errorf("due in %v, want %v or a tenth less", got, tt.want)
			}
			if again := due(l, tt.m, now).Sub(now); again != got {
				t.Errorf("then in %v: a restart would change it", again)
			}
		})
	}
}

func TestDueSpreads(t *testing.T) {
	l := config.List{Name: "games", Source: "https://lists.example/games", Every: config.Duration(time.Hour)}
	seen := map[time.Duration]bool{}
	for i := range 100 {
		at := time.Date(2026, 11, 23, 8, 0, 0, i, time.UTC)
		seen[due(l, meta{AskedID: identity(l), Attempted: at}, at).Sub(at).Round(time.Second)] = true
	}
	if len(seen) < 50 {
		t.Errorf("100 boxes ask in %d different seconds", len(seen))
	}
}
