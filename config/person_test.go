package config

import "testing"

// Nobody agrees to a change of their own by another spelling of their name.
func TestSamePerson(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"C. Class", " c  class", true},
		{"Jos\u00e9 Lead", "Jose\u0301 Lead", true},
		{"Jos\u00e9 Lead", "Jose Lead", true},
		{"\uff21. Lead", "A. Lead", true}, // a full-width letter
		{"\ufb01nn", "Finn", true},        // a ligature
		{"C. Class", "C. Clark", false},
		{"", "C. Class", false},
	} {
		if got := SamePerson(tt.a, tt.b); got != tt.same {
			t.Errorf("%q and %q are the same: %v", tt.a, tt.b, got)
		}
	}
}
