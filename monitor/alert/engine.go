package alert

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"schoolgate/monitor"
	"schoolgate/resolver/query"
)

// Engine turns blocks and conditions of health into alerts. Done, Set, Stats and Health may be called from any
// goroutine; the exported fields are set before Run and not after.
type Engine struct {
	// Conditions is asked every ten seconds for the health of the box; nil raises no system alerts.
	Conditions func(now time.Time) []monitor.Condition
	// Mailed is called after mails were put into the outbox; nil calls nothing.
	Mailed func()
	// Now is the clock.
	Now func() time.Time

	store Store
	log   *slog.Logger
	rules atomic.Pointer[rules]

	queue   queue
	urgent  urgent
	notices chan notice
	stats   counters

	// What follows belongs to Run.
	taken      waiting // out of the queue
	open       map[key]*episode
	unopened   []*episode // not in the store yet, oldest first
	dirty      map[*episode]bool
	devices    map[string]*budget
	total      budget
	illegal    budget
	noticed    budget
	requested  budget
	troubles   map[string]*trouble
	storeRetry time.Time // no store before this, after it failed
}

// New makes an engine that does nothing until Run.
func New(store Store, s Settings, log *slog.Logger) *Engine {
	e := &Engine{
		Now: time.Now, store: store, log: log,
		queue:    newQueue(),
		taken:    newWaiting(),
		urgent:   newUrgent(),
		notices:  make(chan notice, maxNotices),
		open:     make(map[key]*episode),
		dirty:    make(map[*episode]bool),
		devices:  make(map[string]*budget),
		troubles: make(map[string]*trouble),
	}
	e.Set(s)
	return e
}

// Set puts other settings in force, for whatever comes after.
func (e *Engine) Set(s Settings) { e.rules.Store(newRules(s)) }

// sighting is one block on its way to the loop, or several of the illegal tier.
type sighting struct {
	kind        monitor.Kind
	first, last time.Time
	count       int64
	device      string
	group       string
	category    string
	name        string // asked for; "" for the illegal tier
}

// Done takes note of a query that was answered. It returns at once and does not allocate, but for the first block of a
// device in the illegal tier; nothing of q is retained but strings. When too many wait, the block is counted as dropped.
// One of the illegal tier is merged with those of the same device that wait already, so a flood of others cannot push it
// out.
func (e *Engine) Done(q *query.Query) {
	switch {
	case q.Verdict.Action != query.Block:
	case q.Verdict.Rule == query.Illegal:
		if !e.urgent.add(q) {
			e.drop(q.Start)
		}
	case e.rules.Load().categories[q.Verdict.Kind()]:
		if !e.queue.add(q) {
			e.drop(q.Start)
		}
	}
}

func (e *Engine) drop(at time.Time) {
	e.stats.dropped.Add(1)
	e.stats.lastDrop.Store(at.UnixNano())
}

// Run works until ctx ends, then takes in what is still queued, writes what is not written yet, and returns nil. Whoever
// calls Done must have stopped before ctx ends, or its last alerts are lost.
func (e *Engine) Run(ctx context.Context) error {
	restored := e.restore(ctx)
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	next := time.NewTimer(pace) // until then the queue is left alone
	defer next.Stop()
	rested, asked := true, false
	for restored {
		select {
		case <-ctx.Done():
			restored = false
		case <-e.urgent.wake:
			e.takeUrgent(ctx)
		case <-e.queue.first:
			asked = true
		case <-next.C:
			rested = true
		case <-e.queue.full:
			asked, rested = true, true
		case n := <-e.notices:
			e.takeNotice(ctx, n)
		case <-tick.C:
			e.tick(ctx, e.Now())
		}
		if asked && rested {
			e.takeBlocks(ctx)
			asked, rested = false, false
			next.Reset(pace)
		}
	}
	e.finish(ctx)
	return nil
}

// restore loads the episodes that were open before a restart, and tries until it has them: an alert opened without them
// could be mailed twice. It says false when ctx ended first.
func (e *Engine) restore(ctx context.Context) bool {
	for wait := time.Second; ; wait = min(2*wait, 30*time.Second) {
		now := e.Now()
		// Also when a stop comes first: finish would open again what is open.
		sctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
		alerts, err := e.store.OpenAlerts(sctx, now.Add(-systemAgain))
		cancel()
		if err == nil {
			e.stats.storeOK()
			e.storeRetry = time.Time{}
			e.resume(now, alerts)
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		e.storeFailed(now, "loading open alerts", err)
		select {
		case <-ctx.Done():
			return false
		case <-time.After(wait):
		}
	}
}

// finish writes what there is, within the time the store is given for one call.
func (e *Engine) finish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	e.storeRetry = time.Time{}
	e.takeUrgent(ctx)
	e.takeBlocks(ctx)
	for len(e.notices) > 0 {
		e.takeNotice(ctx, <-e.notices)
	}
	e.storeRetry = time.Time{}
	e.save(ctx, e.Now())
	if n := len(e.unopened); n > 0 {
		e.log.Error("stopping with alerts that could not be stored", "alerts", n)
	}
}

// tick is the work of every ten seconds.
func (e *Engine) tick(ctx context.Context, now time.Time) {
	if e.Conditions != nil {
		e.observe(ctx, now, e.Conditions(now))
	}
	e.save(ctx, now)
	e.prune(now)
}
