// Package journal takes records of queries without making a query wait, and hands them to a writer in batches.
package journal

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"schoolgate/monitor"
	"schoolgate/monitor/record"
	"schoolgate/resolver/query"
)

// DefaultCapacity is the memory, in bytes, for records that wait. A record takes about 90 bytes, so that a disk may stand
// still for more than two seconds at 50,000 queries a second, or for five hours at ten.
const DefaultCapacity = 16 << 20

// MaxBatch is the most rows that an Appender gets at once: all that come within 2 seconds at 30,000 queries a second, because
// each batch costs the disk a wait. They take 24 bytes each while they are in hand.
const MaxBatch = 1 << 16

// maxNames is how many bytes of different names there are in a batch that is not at its end yet: what 65,536 rows have of
// them is a fraction of it, unless somebody asks for odd names, whose text takes four times what they take in a lane.
const maxNames = 4 << 20

// minRing holds a few records of the greatest size.
const minRing = 8 << 10

// Appender is where the rows go. Its methods are called from one goroutine.
type Appender interface {
	// Append writes the rows of b, which is borrowed until it returns, and whose Who, Why and Names may hold more than its
	// rows refer to. Those of one lane are in the order in which it took them. It says how many, counted from the
	// first, are safe; the rest is offered again when err is not nil. A string that is kept keeps the others in memory.
	Append(ctx context.Context, b *record.Batch) (n int, err error)
	// Gap writes down that rows were lost. It is called after errors of Append too.
	Gap(ctx context.Context, g monitor.Gap) error
}

// Journal is the bounded memory between the packet loops, which call Done, and the writer, which is Run. Done never waits
// for Run: when a lane is full, the new record is dropped and counted, because the older ones are being read at that
// moment, and because it is the beginning of an incident that explains it.
type Journal struct {
	Log *slog.Logger // where Run says that writing fails or works again; nil is silence. Set before Run.

	lanes []*lane // 0 is shared
	mu    sync.Mutex
	// mu guards the producer's side of lane 0, for as long as a record takes to copy.
	wake  chan struct{}
	state state
}

// New makes a Journal for lanes 1 to lanes, with one producer each, and lane 0 for everybody else. All of them together
// hold capacity bytes, but at least 8 KiB each. A quarter is for lane 0, where only what had to be asked upstream goes.
func New(lanes, capacity int) *Journal {
	lanes = max(lanes, 0)
	j := &Journal{wake: make(chan struct{}, 1)}
	shared, each := capacity, 0
	if lanes > 0 {
		shared = capacity / 4
		each = (capacity - shared) / lanes
	}
	j.lanes = append(j.lanes, newLane(shared))
	for range lanes {
		j.lanes = append(j.lanes, newLane(each))
	}
	return j
}

// Done takes the record of q; nothing of q is retained. It neither allocates nor waits for I/O. For each of the lanes
// 1…n there may be one caller at a time; lane 0, and any lane that New was not told of, may be called from everywhere.
func (j *Journal) Done(q *query.Query) {
	if q.Lane > 0 && q.Lane < len(j.lanes) {
		j.take(j.lanes[q.Lane], q)
		return
	}
	j.mu.Lock()
	j.take(j.lanes[0], q)
	j.mu.Unlock()
}

func (j *Journal) take(l *lane, q *query.Query) {
	l.offered.Add(1)
	n := size(q)
	b := l.ring.reserve(n)
	if b == nil {
		l.drop(q.Start.UnixMilli())
		return
	}
	encode(b, q)
	if l.ring.commit(n) {
		select {
		case j.wake <- struct{}{}:
		default:
		}
	}
}

// lane is one ring with its counts.
type lane struct {
	ring    *ring
	offered atomic.Uint64
	dropped atomic.Uint64
	// When records were dropped, in milliseconds: the first since drops last asked (0: none), and the last.
	first, last atomic.Int64

	reported uint64 // of Run alone: dropped as of the last call of drops
	until    int64  // of Run alone: the last as of then
}

func newLane(size int) *lane {
	l := &lane{ring: new(ring)}
	l.ring.hold(max(size, minRing))
	return l
}

func (l *lane) drop(ms int64) {
	if first := l.first.Load(); first == 0 || ms < first { // in lane 0 queries are not in the order of their start
		l.first.Store(ms)
	}
	l.last.Store(max(ms, l.last.Load()))
	l.dropped.Add(1)
}

// drops is what was lost since it was last called. A record that is dropped meanwhile may be counted in the next gap with
// its time in this one, so that times overlap by one record but none is ever counted twice or not at all.
func (l *lane) drops() (g monitor.Gap, ok bool) {
	from := l.first.Swap(0)
	n := l.dropped.Load()
	to := l.last.Load()
	if n == l.reported {
		if from != 0 {
			l.until = from
		}
		return g, false
	}
	if from == 0 {
		from = l.until
	}
	g = monitor.Gap{From: time.UnixMilli(from).UTC(), To: time.UnixMilli(to).UTC(), Lost: int64(n - l.reported)}
	l.reported, l.until = n, to
	return g, true
}
