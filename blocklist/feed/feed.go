// Package feed keeps the lists of the illegal tier: it fetches them, seals them as they come, keeps the last good version
// and the one before in sealed form, and publishes what they hold. What was once enforced ends by no configuration.
package feed

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"schoolgate/blocklist/sealed"
	"schoolgate/blocklist/update"
	"schoolgate/config"
)

// Bounds of the loop.
const (
	longestSleep  = 5 * time.Minute // the wall clock may be set meanwhile, and files change, which no timer notices
	shortestSleep = time.Second
)

// Keeper keeps the lists of the illegal tier. The exported fields are set before the first call of a method; all methods
// are safe for concurrent use.
type Keeper struct {
	Version   string            // of the program, for the User-Agent
	Publish   func(*sealed.Set) // gets every new set, one at a time; nil for none. It must not call Refresh.
	Transport http.RoundTripper // nil for one with time limits of its own
	Log       *slog.Logger      // nil for none
	Now       func() time.Time  // nil for time.Now

	store string // store.path
	dir   folder
	kick  chan struct{} // capacity 1
	turn  chan struct{} // capacity 1: full while somebody works in the folder

	mu      sync.Mutex // guards all below; never held during I/O
	lists   []config.List
	timeout time.Duration
	key     *sealed.Key // nil until it was read
	set     *sealed.Set // in force; nil for none
	seen    string      // stamp of the folder that set was made of
	trouble error       // of the folder or the key: why it cannot be worked with
}

// New makes a Keeper that keeps its state in the folders illegal and keys of store. lists are all that are configured;
// those of the tier are picked out by Split.
func New(store string, lists []config.List, cfg config.Update) *Keeper {
	k := &Keeper{store: store, dir: folderOf(store), kick: make(chan struct{}, 1), turn: make(chan struct{}, 1)}
	k.lists, _ = Split(store, lists)
	k.timeout = cfg.Timeout.Std()
	return k
}

// Split parts the configured lists into those of the illegal tier and all others. A list belongs to the tier by its
// category, and for as long as anything of its source is kept sealed here: no other category takes it out.
func Split(store string, lists []config.List) (tier, others []config.List) {
	f := folderOf(store)
	known := make(map[string]bool)
	s := f.readState()
	for _, name := range f.names() {
		if l := s[name]; l != nil {
			known[l.SourceID] = true
		}
	}
	for _, l := range lists {
		if l.Category == config.IllegalTier || known[update.Identity(l)] {
			tier = append(tier, l)
		} else {
			others = append(others, l)
		}
	}
	return tier, others
}

// SetLists takes another configuration and has Run act on it at once.
func (k *Keeper) SetLists(lists []config.List, cfg config.Update) {
	tier, _ := Split(k.store, lists)
	k.mu.Lock()
	k.lists, k.timeout = tier, cfg.Timeout.Std()
	k.mu.Unlock()
	k.Kick()
}

// Kick has Run look now at files, at lists that failed and at what another process did. It never waits.
func (k *Keeper) Kick() {
	select {
	case k.kick <- struct{}{}:
	default:
	}
}

// Run keeps the lists fresh until ctx ends, and then returns nil. What fails is logged, kept in Status and tried again.
func (k *Keeper) Run(ctx context.Context) error {
	again := false // also what failed before its time
	for ctx.Err() == nil {
		timer := time.NewTimer(k.attempt(ctx, again))
		select {
		case <-ctx.Done():
		case <-timer.C:
			again = false
		case <-k.kick:
			again = true
		}
		timer.Stop()
	}
	return nil
}

// attempt is a round whose errors go to the log, and says how long to wait for the next.
func (k *Keeper) attempt(ctx context.Context, again bool) time.Duration {
	now := k.now()
	errs, err := k.round(ctx, func(l config.List, m *look) bool {
		return !due(l, m, now).After(now) || again && m.Failures > 0
	}, false, nil)
	if ctx.Err() != nil {
		return 0 // a stop is no failure
	}
	for _, e := range errs {
		k.log().Warn("list of the illegal tier not updated", "list", e.List, "err", e.Err)
	}
	if err != nil {
		k.log().Error("the illegal tier cannot be looked after", "err", err)
	}
	return k.pause(err)
}

// Refresh looks at the named lists now, at all of them without a name. With accept, a version that looks too little like
// the last one is taken all the same. progress may be nil; it is called one call at a time. The error joins an
// update.ListError for every list of them that could not be brought up to date.
func (k *Keeper) Refresh(ctx context.Context, accept bool, progress func(update.Progress), names ...string) error {
	for _, n := range names {
		if !slices.ContainsFunc(k.configured(), func(l config.List) bool { return l.Name == n }) {
			return &update.ListError{List: n, Err: update.ErrUnknown}
		}
	}
	errs, err := k.round(ctx, func(l config.List, _ *look) bool {
		return len(names) == 0 || slices.Contains(names, l.Name)
	}, accept, progress)
	all := []error{err}
	for _, e := range errs {
		all = append(all, e)
	}
	return errors.Join(all...)
}

// Load reads what is sealed: what a start serves, and what another process shows. An error says that not all could be
// read; what could is in the set.
func (k *Keeper) Load(ctx context.Context) (*sealed.Set, error) {
	if err := k.dir.readable(); err != nil { // else a folder that was locked away would look like none
		k.note(err)
		return k.inForce(), err
	}
	if len(k.dir.names()) == 0 {
		return nil, nil
	}
	done, err := k.enter(ctx)
	if err == nil {
		defer done()
	} else if ctx.Err() != nil {
		return nil, err
	} // else nothing can be written there, and what can be read is enforced all the same
	err = errors.Join(err, k.reload(k.now(), false))
	k.note(err)
	return k.inForce(), err
}

// idle says whether there is no trace of the tier, so that nothing is made on disk.
func (k *Keeper) idle() bool {
	return len(k.configured()) == 0 && k.dir.readable() == nil && len(k.dir.names()) == 0 && k.inForce() == nil
}

// round looks at the picked lists, then publishes if anything is new. The first result tells of single lists, the error
// of everything else.
func (k *Keeper) round(ctx context.Context, pick func(config.List, *look) bool, accept bool, progress func(update.Progress)) ([]*update.ListError, error) {
	if k.idle() {
		return nil, nil
	}
	done, err := k.enter(ctx)
	if err != nil {
		k.note(err)
		return nil, err
	}
	defer done()
	now := k.now()
	if err := k.reload(now, true); k.key == nil {
		return nil, err
	}
	s := k.dir.readState()
	var errs []*update.ListError
	for _, l := range k.configured() {
		if !pick(l, s.of(l.Name)) {
			continue
		}
		p := update.Progress{List: l.Name, Total: -1}
		err := k.look(ctx, l, s.of(l.Name), accept, func(done, total int64) {
			if p.Done, p.Total = done, total; progress != nil {
				progress(p)
			}
		})
		if ctx.Err() != nil {
			return errs, ctx.Err() // a stop says nothing of the source
		}
		if p.Finished, p.Err = true, err; progress != nil {
			progress(p)
		}
		if err != nil {
			errs = append(errs, &update.ListError{List: l.Name, Err: err})
		}
		if err := k.dir.writeState(s); err != nil {
			return errs, err
		}
	}
	return errs, k.reload(now, true)
}

// enter waits for the turn, of this process and of all others.
func (k *Keeper) enter(ctx context.Context) (done func(), err error) {
	select {
	case k.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	unlock, err := k.dir.lock(ctx)
	if err != nil {
		<-k.turn
		return nil, err
	}
	return func() { unlock(); <-k.turn }, nil
}

// pause is how long Run may sleep.
func (k *Keeper) pause(err error) time.Duration {
	if err != nil {
		return time.Minute
	}
	now, wait := k.now(), longestSleep
	s := k.dir.readState()
	for _, l := range k.configured() {
		wait = min(wait, due(l, s.of(l.Name), now).Sub(now))
	}
	return max(wait, shortestSleep)
}

func (k *Keeper) configured() []config.List {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.lists
}

func (k *Keeper) inForce() *sealed.Set {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.set
}

// note keeps an error for Trouble.
func (k *Keeper) note(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.trouble = err
}

// Trouble is why the folder or the key of the tier cannot be worked with; nil when they can.
func (k *Keeper) Trouble() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.trouble
}

func (k *Keeper) now() time.Time {
	if k.Now != nil {
		return k.Now().UTC().Round(0)
	}
	return time.Now().UTC().Round(0)
}

func (k *Keeper) log() *slog.Logger {
	if k.Log != nil {
		return k.Log
	}
	return slog.New(slog.DiscardHandler)
}
