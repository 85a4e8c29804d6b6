package lookalike

import "testing"

func TestX(t *testing.T) {
	if h, ok := FindName("rob1ox.com"); !ok {
		t.Error(h)
	}
}
