package config

import "testing"

// TestIllegalIsFresh: nobody may put off that a list of the illegal tier is looked at, or told of as too old.
func TestIllegalIsFresh(t *testing.T) {
	for what, tt := range map[string]struct {
		change func(*List)
		path   string
	}{
		"as it is":    {func(*List) {}, ""},
		"limits":      {func(l *List) { l.Every, l.MaxAge = 7*Duration(day), 31*Duration(day) }, ""},
		"seldom":      {func(l *List) { l.Every = 8 * Duration(day) }, "lists[0].every"},
		"old for all": {func(l *List) { l.MaxAge = 32 * Duration(day) }, "lists[0].max_age"},
	} {
		c := Default()
		l := List{Name: "feed", Category: IllegalTier, Source: "https://feed.example/list", Every: Duration(day), MaxSize: 1 << 20, MaxShrink: 50, MaxGrowth: 100}
		tt.change(&l)
		c.Lists = []List{l}
		got := ""
		for _, p := range c.Validate() {
			if p.Severity == Error {
				got = p.Path
			}
		}
		if got != tt.path {
			t.Errorf("%s: refused at %q, want %q", what, got, tt.path)
		}
	}
}
