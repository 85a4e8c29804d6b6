package reference

import (
	"context"
	"hash/maphash"
	"log/slog"
	"sync/atomic"
	"time"

	"schoolgate/blocklist/domain"
	"schoolgate/monitor"
	"schoolgate/resolver/query"
)

// Bounds.
const (
	window      = 10 * time.Minute // in which one name of one device is one hit
	flushEvery  = 10 * time.Second
	storeWithin = 10 * time.Second
	queueSize   = 256
	perHour     = 600  // rows; what comes beyond is counted in one, since whoever forges addresses can ask for ever
	perDevice   = 60   // of these: one that asks for ever new names leaves room for what others ask
	maxOpen     = 2048 // windows
)

// Store keeps hits. All methods may block on disk; they are called from one goroutine.
type Store interface {
	// AddHit writes a hit and gives its number.
	AddHit(ctx context.Context, h monitor.Hit) (int64, error)
	// ExtendHit sets the hit's last time and adds to its count.
	ExtendHit(ctx context.Context, id int64, last time.Time, add int64) error
}

// Keeper turns questions that the illegal tier refused into hits. Done, SetKey, Lost and Failed may be called from any
// goroutine.
type Keeper struct {
	Now func() time.Time

	store  Store
	log    *slog.Logger
	public atomic.Pointer[[32]byte] // nil: names are not taken
	queue  chan sighting
	lost   atomic.Int64 // when a hit was last lost, Unix nanoseconds
	failed atomic.Bool

	// What follows belongs to Run.
	seed  maphash.Seed
	open  map[key]*standing
	since time.Time // when the hour of the budget began
	used  int
	by    map[string]int // rows of the hour by device
}

// sighting is one question on its way to Run, for a moment: nothing else outside of the packet loop holds its name.
type sighting struct {
	at     time.Time
	device string
	list   string
	leads  bool
	name   [domain.MaxWire]byte // in wire form
	size   uint8
}

// key is what makes questions one hit. A name is known by a hash that means nothing to another process.
type key struct {
	device, list string
	name         uint64
}

// standing is a hit that may still grow.
type standing struct {
	id          int64
	first, last time.Time
	add         int64
}

// New makes a keeper that does nothing until Run.
func New(store Store, log *slog.Logger) *Keeper {
	return &Keeper{Now: time.Now, store: store, log: log, queue: make(chan sighting, queueSize), seed: maphash.MakeSeed(), open: make(map[key]*standing), by: make(map[string]int)}
}

// SetKey gives the public half of the key that names are sealed with from now on; zero is none.
func (k *Keeper) SetKey(public [32]byte) {
	if public == [32]byte{} {
		k.public.Store(nil)
	} else {
		k.public.Store(&public)
	}
}

// Lost is when a refused question last made no hit, since too many waited or the store took none; zero when all did.
func (k *Keeper) Lost() time.Time {
	if at := k.lost.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// Failed says whether the store did not take the last hit.
func (k *Keeper) Failed() bool { return k.failed.Load() }

// Done takes note of a query that was answered. It never waits.
func (k *Keeper) Done(q *query.Query) {
	if !q.Verdict.Rule.Withheld() || q.Verdict.Action != query.Block {
		return
	}
	s := sighting{at: q.Start, device: q.Client.Device, list: q.Verdict.List, leads: q.Verdict.Cloaked}
	if k.public.Load() != nil {
		s.size = uint8(copy(s.name[:], q.Question.Name.Bytes()))
	}
	select {
	case k.queue <- s:
	default:
		k.lost.Store(s.at.UnixNano())
	}
}

// Run works until ctx ends, then takes in what waits and returns nil. Whoever calls Done must have stopped before.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			for len(k.queue) > 0 {
				k.take(context.WithoutCancel(ctx), <-k.queue)
			}
			k.flush(context.WithoutCancel(ctx))
			return nil
		case s := <-k.queue:
			k.take(ctx, s)
		case <-tick.C:
			k.flush(ctx)
		}
	}
}

func (k *Keeper) take(ctx context.Context, s sighting) {
	name := s.name[:s.size]
	defer clear(name)
	id := key{s.device, s.list, maphash.Bytes(k.seed, name)}
	if h := k.open[id]; h != nil {
		if s.at.Sub(h.first).Abs() < window {
			h.grow(s.at)
			return
		}
		_ = k.write(ctx, h) // which says what went wrong
	}
	now := k.Now()
	if now.Sub(k.since).Abs() >= time.Hour {
		k.since, k.used = now, 0
		clear(k.by)
	}
	h := monitor.Hit{First: s.at, Last: s.at, Device: s.device, List: s.list, Count: 1}
	if k.used >= perHour || len(k.open) >= maxOpen {
		id, h.Device = key{list: s.list}, ""
		if rest := k.open[id]; rest != nil && s.at.Sub(rest.first).Abs() < time.Hour {
			rest.grow(s.at)
			return
		}
	} else if k.by[s.device] >= perDevice {
		id = key{device: s.device, list: s.list}
		if rest := k.open[id]; rest != nil && s.at.Sub(rest.first).Abs() < window {
			rest.grow(s.at)
			return
		}
	} else if public := k.public.Load(); public != nil && len(name) > 0 {
		var w domain.Wire
		if _, err := w.Read(name, 0); err == nil {
			var err error
			h.Sealed, err = seal(Secret{Name: w.Name().String(), Leads: s.leads, Device: s.device, List: s.list, At: s.at.UTC()}, *public)
			if err != nil {
				k.log.Error("a reference could not be sealed", "err", err)
			}
		}
	}
	k.used++
	k.by[id.device]++
	ctx, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	row, err := k.store.AddHit(ctx, h)
	if k.failed.Store(err != nil); err != nil {
		k.lost.Store(s.at.UnixNano())
		k.log.Error("a reference of the illegal tier could not be kept", "err", err)
		return
	}
	k.open[id] = &standing{id: row, first: s.at, last: s.at}
}

func (h *standing) grow(at time.Time) {
	h.add++
	if at.After(h.last) {
		h.last = at
	}
}

// write brings the count of a hit up to date.
func (k *Keeper) write(ctx context.Context, h *standing) error {
	if h.add == 0 {
		return nil
	}
	err := k.store.ExtendHit(ctx, h.id, h.last, h.add)
	if k.failed.Store(err != nil); err != nil {
		k.log.Error("references of the illegal tier could not be counted on", "err", err)
		return err
	}
	h.add = 0
	return nil
}

// flush writes counts, and forgets what grows no more.
func (k *Keeper) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, storeWithin)
	defer cancel()
	now := k.Now()
	for id, h := range k.open {
		if k.write(ctx, h) != nil {
			return
		}
		if now.Sub(h.first) >= time.Hour || id.device != "" && now.Sub(h.first) >= window {
			delete(k.open, id)
		}
	}
}
