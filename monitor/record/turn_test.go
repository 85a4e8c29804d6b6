package record

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var turn Turn
		for range minTurn - 1 {
			turn.Row()
		}
		if d := time.Since(begin); d != 0 {
			t.Errorf("few rows take %v", d)
		}
		for range 99 * minTurn {
			turn.Row()
		}
		if d := time.Since(begin); d != 98*pause && d != 99*pause {
			t.Errorf("a hundred turns pause for %v", d)
		}
	})
}
