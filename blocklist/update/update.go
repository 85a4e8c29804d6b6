// Package update keeps the lists fresh: it fetches, checks, compiles and publishes them, and keeps the last good copy.
package update

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"schoolgate/blocklist"
	"schoolgate/blocklist/domain"
	"schoolgate/config"
)

// Bounds of the loop.
const (
	longestSleep   = 5 * time.Minute // the wall clock may be set meanwhile, which no timer notices
	shortestSleep  = time.Second
	compileLimit   = 30 * time.Minute
	fetchesAtOnce  = 3
	defaultTimeout = 5 * time.Minute
)

// Updater fetches lists when they are due, has them compiled and publishes the result. The exported fields are set before
// the first call of a method; all methods are safe for concurrent use.
//
// Its folder holds, for every list, LIST.raw (the last good copy of a file, as fetched), LIST.old (the version before it),
// LIST.new (fetched, not yet read), LIST.wait (read, and waiting for a person), LIST.meta (JSON: what is known of them), and
// for all of them current.set (the compiled set), decisions (what people decided and nobody was told of yet) and lock
// (held by the process that works there). Every file appears whole or not at all.
type Updater struct {
	Version    string                                  // of the program, for the User-Agent
	Publish    func(*blocklist.Set)                    // gets every new set, one at a time; nil for none. It must not call Refresh.
	CompileCmd func(ctx context.Context, p Plan) error // does what Compile does in a child process; nil compiles in this one
	Transport  http.RoundTripper                       // nil for one with the package's own time limits
	Essential  []domain.Name                           // names that schools need; an update that newly blocks many of them waits
	Popular    []domain.Name                           // names that many use, guarded in the same way
	Decided    func(Decision) error                    // is told of every decision of a person, until it gives no error; nil in a process that records none
	By         string                                  // who decides by Revert, Resume, Accept, Refuse and a named Refresh, for the record
	Log        *slog.Logger                            // nil for none
	Now        func() time.Time                        // nil for time.Now

	dir  string
	kick chan struct{} // capacity 1
	turn chan struct{} // capacity 1: full while somebody fetches and compiles

	mu       sync.Mutex // guards all below; never held during I/O
	lists    []config.List
	cfg      config.Update
	outdated bool   // the compiled set may differ from what the configuration asks for
	served   string // stamp of the current.set that was published last
	have     []blocklist.Info
	haveOf   string // stamp of the current.set that have describes
	compile  compileState
}

// compileState is what came of the last compilation.
type compileState struct {
	at       time.Time // of the last that went well
	err      error     // of the last one
	failures int       // in a row
	tried    time.Time
}

// New makes an Updater that keeps its state in dir, the folder "lists" of the store.
func New(dir string, lists []config.List, cfg config.Update) *Updater {
	return &Updater{
		dir: dir, lists: slices.Clone(lists), cfg: cfg, outdated: true,
		kick: make(chan struct{}, 1), turn: make(chan struct{}, 1),
	}
}

// SetLists takes another configuration and has Run act on it at once. A list that only got another name keeps its copy.
// Files of lists that are no longer configured go after a compilation in which every configured list has a usable copy.
func (u *Updater) SetLists(lists []config.List, cfg config.Update) {
	u.mu.Lock()
	u.lists, u.cfg, u.outdated = slices.Clone(lists), cfg, true
	u.mu.Unlock()
	u.Kick()
}

// Kick has Run look now at local sources, at lists that failed and at what another process compiled. It never waits.
func (u *Updater) Kick() {
	select {
	case u.kick <- struct{}{}:
	default:
	}
}

// Compiled says when the lists were last compiled by this Updater, and what went wrong the last time, if anything.
func (u *Updater) Compiled() (at time.Time, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.compile.at, u.compile.err
}

// Run keeps the lists fresh until ctx ends, and then returns nil. What fails is logged, kept in Status and tried again.
func (u *Updater) Run(ctx context.Context) error {
	due := func(l config.List, m meta, now time.Time) bool { return !due(l, m, now).After(now) }
	failed := func(l config.List, m meta, now time.Time) bool {
		return m.Failures > 0 && m.Held == nil || due(l, m, now)
	}
	none := func(config.List, meta, time.Time) bool { return false }
	pick := due
	for {
		u.attempt(ctx, none) // what is here already, or changed on disk, does not wait for a slow server
		u.attempt(ctx, pick)
		if ctx.Err() != nil {
			return nil
		}
		timer := time.NewTimer(u.pause())
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
			pick = due
		case <-u.kick:
			timer.Stop()
			pick = failed
			u.forgive()
		}
	}
}

// attempt is a round whose errors go to the log.
func (u *Updater) attempt(ctx context.Context, pick picker) {
	errs, err := u.round(ctx, pick, nil)
	if ctx.Err() != nil {
		return
	}
	for _, e := range errs {
		u.log().Warn("list not updated", "list", e.List, "err", e.Err)
	}
	if err != nil {
		u.log().Error("lists not compiled", "err", err)
	}
}

// Refresh looks at the named lists now, without a name at all that nobody holds, and compiles when anything is new. progress may be
// nil; it is called one call at a time. The error joins a ListError for every list of them that could not be brought up to
// date with that of the compilation.
func (u *Updater) Refresh(ctx context.Context, progress func(Progress), names ...string) error {
	configured := make(map[string]bool)
	for _, l := range u.plan().Lists {
		configured[l.Name] = true
	}
	for _, n := range names {
		if !configured[n] {
			return &ListError{List: n, Err: ErrUnknown}
		}
	}
	u.forgive()
	errs, err := u.round(ctx, func(l config.List, m meta, _ time.Time) bool {
		return len(names) == 0 && m.Held == nil || slices.Contains(names, l.Name)
	}, progress)
	return joined(errs, err)
}

func joined(errs []*ListError, err error) error {
	all := []error{err}
	for _, e := range errs {
		all = append(all, e)
	}
	return errors.Join(all...)
}

// plan is a copy of what is configured.
func (u *Updater) plan() Plan {
	u.mu.Lock()
	defer u.mu.Unlock()
	return Plan{Dir: u.dir, Lists: slices.Clone(u.lists), Starter: u.cfg.Starter, Catalogue: u.cfg.Catalogue, Essential: u.Essential, Popular: u.Popular}
}

// pause is how long Run may sleep.
func (u *Updater) pause() time.Duration {
	now := u.now()
	wait := longestSleep
	for _, l := range u.plan().Lists {
		next := due(l, folder(u.dir).readMeta(l.Name), now).Sub(now)
		if next <= 0 { // it was looked at just now, and a full disk did not let that be noted
			next = min(every(l), firstRetry)
		}
		wait = min(wait, next)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.compile.failures > 0 {
		wait = min(wait, u.compile.retry().Sub(now))
	}
	return max(wait, shortestSleep)
}

// retry is when a compilation that failed is tried again.
func (c compileState) retry() time.Time {
	if c.failures == 0 {
		return c.tried
	}
	return c.tried.Add(backoff(c.failures, false))
}

// forgive has the next round compile even when the last attempt failed just now.
func (u *Updater) forgive() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.compile.failures = 0
	u.outdated = true
}

func (u *Updater) now() time.Time {
	if u.Now != nil {
		return u.Now().UTC().Round(0)
	}
	return time.Now().UTC().Round(0)
}

func (u *Updater) log() *slog.Logger {
	if u.Log != nil {
		return u.Log
	}
	return slog.New(slog.DiscardHandler)
}

// adopt publishes current.set when it is not the one that was published last.
func (u *Updater) adopt() error {
	path := folder(u.dir).set()
	mark := stamp(path)
	u.mu.Lock()
	same := mark == u.served
	u.mu.Unlock()
	if same || mark == "" || u.Publish == nil {
		return nil
	}
	set, err := blocklist.Open(path)
	if err != nil {
		return fmt.Errorf("opening the compiled set: %w", err)
	}
	u.Publish(set)
	u.mu.Lock()
	u.served = mark
	u.mu.Unlock()
	u.log().Info("lists published", "lists", len(set.Lists()), "names", set.Names())
	return nil
}
