package listen

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestSpans: many queries share a context, and each has the whole of its limit, and not much more.
func TestSpans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 16 * time.Second
		parent, cancel := context.WithCancel(context.Background())
		defer cancel()
		var s spans
		seen := map[context.Context]bool{}
		for range 100 {
			ctx := s.join(parent, limit)
			seen[ctx] = true
			if end, ok := ctx.Deadline(); !ok || time.Until(end) < limit || time.Until(end) > limit+limit/16 {
				t.Fatalf("ends in %v", time.Until(end))
			}
			time.Sleep(100 * time.Millisecond)
		}
		if len(seen) != 10 {
			t.Errorf("%d contexts in 10 s", len(seen))
		}
		last := s.join(parent, limit)
		cancel()
		if last.Err() == nil {
			t.Error("it outlives its parent")
		}
	})
}
