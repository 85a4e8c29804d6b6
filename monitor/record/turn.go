package record

import "time"

// A row takes some 100 ns wherever it is worked on. Work pauses after so many rows, 50 µs, and after at most so many.
const (
	rowTime  = 100 * time.Nanosecond
	minTurn  = 512
	maxTurn  = 1 << 14
	pause    = 20 * time.Microsecond
	mostPart = 10
)

// Turn divides long work on rows, so that packet loops on the same core are not kept waiting: the runtime would let the
// work go on for 10 ms. The zero value is ready; it belongs to one goroutine.
type Turn struct{ left int }

// Row is called for each row. It sleeps now and then, rather than only let others run that can (runtime.Gosched), since
// a loop that waits for packets is looked for when nothing else can run. When it was long until it got the core back, others need
// all of it; then the next turn is as long as a tenth of that, so that rows are worked on at least at that rate.
func (t *Turn) Row() {
	if t.left--; t.left > 0 {
		return
	}
	begin := time.Now()
	if t.left == 0 {
		time.Sleep(pause)
	}
	t.left = min(max(minTurn, int(time.Since(begin)/(mostPart*rowTime))), maxTurn)
}
