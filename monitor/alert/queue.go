package alert

import (
	"context"
	"sync"
	"time"

	"schoolgate/blocklist/domain"
	"schoolgate/monitor"
	"schoolgate/resolver/query"
)

// pace is the least time between two looks into the queue, unless it fills. An alert can wait that long, and waking the
// loop for each block would cost more than answering it.
const pace = 100 * time.Millisecond

// nameRoom is how many bytes of names the queue holds; one that is asked for has some 20.
const nameRoom = queueSize * 64

// A turn of blocks takes some 50 µs. Then the loop rests, so that a packet loop on the same core need not wait for all.
const (
	turn = 32
	rest = 20 * time.Microsecond
)

// queue holds blocks that the loop has not taken yet. Its memory is made once, so that adding does not allocate.
type queue struct {
	first chan struct{} // has one element when there is something
	full  chan struct{} // has one element when half of the room is taken

	mu sync.Mutex
	waiting
}

// waiting are blocks, and the names asked for in wire form, one after the other.
type waiting struct {
	blocks []queued
	names  []byte
}

type queued struct {
	sighting     // without its name
	end      int // of its name in names
}

func newWaiting() waiting {
	return waiting{blocks: make([]queued, 0, queueSize), names: make([]byte, 0, nameRoom)}
}

func newQueue() queue {
	return queue{first: make(chan struct{}, 1), full: make(chan struct{}, 1), waiting: newWaiting()}
}

// add says false when there is no room.
func (u *queue) add(q *query.Query) bool {
	name := q.Question.Name.Bytes()
	u.mu.Lock()
	n := len(u.blocks)
	if n == queueSize || len(u.names)+len(name) > nameRoom {
		u.mu.Unlock()
		return false
	}
	u.names = append(u.names, name...)
	u.blocks = append(u.blocks, queued{end: len(u.names), sighting: sighting{
		kind: monitor.Blocked, first: q.Start, last: q.Start, count: 1,
		device: q.Client.Device, group: q.Client.Name, category: q.Verdict.Kind(),
	}})
	u.mu.Unlock()
	switch n {
	case 0:
		signal(u.first)
	case queueSize / 2:
		signal(u.full)
	}
	return true
}

// signal puts an element into c unless it has one.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// swap gives what waits in exchange for room.
func (u *queue) swap(room waiting) waiting {
	u.mu.Lock()
	defer u.mu.Unlock()
	w := u.waiting
	u.waiting = waiting{blocks: room.blocks[:0], names: room.names[:0]}
	return w
}

// takeBlocks works on what waits in the queue. Those of the illegal tier come first, however long it is.
func (e *Engine) takeBlocks(ctx context.Context) {
	e.taken = e.queue.swap(e.taken)
	begin := 0
	for i, b := range e.taken.blocks {
		if i%turn == 0 {
			if i > 0 {
				time.Sleep(rest)
			}
			e.takeUrgent(ctx)
		}
		s := b.sighting
		s.name = string(domain.AppendText(nil, e.taken.names[begin:b.end]))
		begin = b.end
		e.take(ctx, s)
	}
	clear(e.taken.blocks)
}
