package journal

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"schoolgate/monitor"
	"schoolgate/monitor/record"
)

// How long to wait before a batch that could not be written is tried again.
const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 5 * time.Second
)

// noteEvery is how often losses are written down while rows cannot be: there may be room, or a place, for that.
const noteEvery = time.Minute

// drainTime is how long a stop may take to write what is left.
const drainTime = 5 * time.Second

// freeEvery is after how many rows their room in a lane is free again; it costs a system call.
const freeEvery = 4096

// Run writes every flush, and sooner when a lane is half full, until ctx ends; then it writes what is left. Stop the
// callers of Done first: what they hand over after Run has returned stays in memory. While w fails, the batch in hand is
// kept and tried again, and Done goes on until the lanes are full. Run returns an error only when rows were left unwritten
// at the end. A loss that comes while w says syscall.ENOSPC has the reason "full". It is called once.
func (j *Journal) Run(ctx context.Context, w Appender, flush time.Duration) error {
	r := run{j: j, w: w, g: newGatherer()}
	tick := time.NewTicker(flush)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
			r.drain(ctx)
		case <-j.wake:
			r.drain(ctx)
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	if r.drain(last) {
		return nil
	}
	return r.abandon(context.WithoutCancel(ctx))
}

// run is what belongs to Run alone.
type run struct {
	j    *Journal
	w    Appender
	g    *gatherer     // with the batch in hand
	gaps []monitor.Gap // lost rows not yet written down, one for each reason at most
	turn record.Turn
	next int  // which lane to begin with
	full bool // what is lost now is lost because the disk is full
}

// drain writes until the lanes were seen empty; false when ctx ended first.
func (r *run) drain(ctx context.Context) bool {
	for {
		full := r.fill()
		if !r.write(ctx) {
			return false
		}
		if !full {
			return true
		}
	}
}

// fill takes rows from the lanes into the batch, each lane in its turn, and says whether there may be more of them.
func (r *run) fill() (full bool) {
	lanes := r.j.lanes
	r.drops()
	for i := range lanes {
		l := lanes[(r.next+i)%len(lanes)]
		for !r.g.full() {
			b := l.ring.take()
			if b == nil {
				break
			}
			r.g.add(b)
			if len(r.g.Rows)%freeEvery == 0 {
				l.ring.free()
			}
			r.turn.Row()
		}
		l.ring.free()
	}
	r.next = (r.next + 1) % len(lanes)
	r.g.finish()
	r.j.state.hold(r.g.oldest())
	return r.g.full()
}

// drops takes over what the lanes have lost since it was last called.
func (r *run) drops() {
	for _, l := range r.j.lanes {
		if g, ok := l.drops(); ok {
			r.lost(g)
		}
	}
}

// lost remembers a gap until it is written down, as one with what waits already for the same reason.
func (r *run) lost(g monitor.Gap) {
	g.Reason = "dropped"
	if r.full {
		g.Reason = "full"
	}
	for i := range r.gaps {
		old := &r.gaps[i]
		if old.Reason != g.Reason {
			continue
		}
		old.Lost += g.Lost
		if g.From.Before(old.From) {
			old.From = g.From
		}
		if g.To.After(old.To) {
			old.To = g.To
		}
		return
	}
	r.gaps = append(r.gaps, g)
}

// write offers the batch and the gap until they are taken; false when ctx ended first.
func (r *run) write(ctx context.Context) bool {
	noted := time.Now()
	for wait := minBackoff; ; wait = min(2*wait, maxBackoff) {
		if ctx.Err() != nil {
			return false
		}
		err := r.try(ctx)
		if changed := r.j.state.outcome(err); changed && r.j.Log != nil && (err == nil || ctx.Err() == nil) {
			if err != nil {
				r.j.Log.Error("the record cannot be written: rows wait in memory", "error", err)
			} else {
				r.j.Log.Info("the record is written again")
			}
		}
		if err == nil {
			return true
		}
		r.full = errors.Is(err, syscall.ENOSPC)
		r.drops()
		if time.Since(noted) >= noteEvery {
			noted = time.Now()
			_ = r.note(ctx) // it is tried again, and what failed was said
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(wait):
		}
	}
}

func (r *run) try(ctx context.Context) error {
	if len(r.g.Rows) > 0 {
		begin, oldest := time.Now(), r.g.oldest()
		n, err := r.w.Append(ctx, &r.g.Batch)
		n = min(max(n, 0), len(r.g.Rows))
		r.g.taken(n)
		r.j.state.wrote(n, oldest, begin, time.Now())
		r.j.state.hold(r.g.oldest())
		if err != nil {
			return fmt.Errorf("writing rows: %w", err)
		}
	}
	r.drops() // what was lost until now has the reason why it could not be written
	r.full = false
	return r.note(ctx)
}

// note writes down what was lost.
func (r *run) note(ctx context.Context) error {
	for len(r.gaps) > 0 {
		if err := r.w.Gap(ctx, r.gaps[0]); err != nil {
			return fmt.Errorf("writing down a gap: %w", err)
		}
		r.gaps = r.gaps[1:]
	}
	r.gaps = nil
	return nil
}

// abandon counts what the last drain could not write, and tries once to write at least that number down.
func (r *run) abandon(ctx context.Context) error {
	n := 0
	for full := true; full; {
		full = r.fill()
		for i := range r.g.Rows {
			at := time.UnixMilli(r.g.Rows[i].Time).UTC()
			r.lost(monitor.Gap{From: at, To: at, Lost: 1})
		}
		n += len(r.g.Rows)
		r.g.taken(len(r.g.Rows))
	}
	err := r.j.state.abandon(n)
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if gap := r.try(ctx); gap != nil {
		err = errors.Join(err, gap)
	}
	return fmt.Errorf("stopping the journal with %d rows unwritten: %w", n, err)
}
