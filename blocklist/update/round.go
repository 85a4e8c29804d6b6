package update

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"schoolgate/blocklist"
	"schoolgate/config"
)

// Progress is how far one list is, or the compilation of all of them.
type Progress struct {
	List        string // "" while compiling
	Compiling   bool
	Done, Total int64 // bytes, of a compilation rules; Total is -1 when the server does not say
	Finished    bool  // nothing more comes of this list; Err is set if it was not fetched
	Err         error
}

// errDropped is told of new versions that were waiting while a compilation broke off: one of them may have caused it.
var errDropped = errors.New("reading the new version broke off; it was dropped")

// picker says whether a list is to be looked at now.
type picker func(l config.List, m meta, now time.Time) bool

// round looks at the picked lists, then compiles if anything is new, then publishes. The first result tells of single
// lists, the error of everything else.
func (u *Updater) round(ctx context.Context, pick picker, progress func(Progress)) ([]*ListError, error) {
	if err := u.take(ctx); err != nil {
		return nil, err
	}
	defer u.release()
	f := folder(u.dir)
	plan, now := u.plan(), u.now()
	picked := f.picked(plan.Lists, pick, now)
	if len(picked) == 0 && !u.stale(now) {
		return nil, u.adopt()
	}
	unlock, err := f.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	// While this process waited, another may have looked at a list, or a person had it held.
	return u.work(ctx, plan, f.picked(picked, pick, u.now()), progress)
}

// picked gives the lists that are to be looked at now.
func (f folder) picked(lists []config.List, pick picker, now time.Time) (out []config.List) {
	for _, l := range lists {
		if pick(l, f.readMeta(l.Name), now) {
			out = append(out, l)
		}
	}
	return out
}

// take waits for this Updater's turn to work in the folder.
func (u *Updater) take(ctx context.Context) error {
	select {
	case u.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (u *Updater) release() { <-u.turn }

// work is round with the turn taken and the folder locked.
func (u *Updater) work(ctx context.Context, plan Plan, picked []config.List, progress func(Progress)) ([]*ListError, error) {
	f := folder(u.dir)
	if err := f.sweep(); err != nil {
		return nil, err
	}
	u.tell(f)
	renamed, err := f.inherit(plan.Lists)
	for _, r := range renamed {
		u.log().Info("list renamed, its last good copy is kept", "list", r.to, "was", r.from)
	}
	if err != nil {
		u.log().Warn("the copies of renamed lists could not be kept", "err", err)
	}
	errs := u.look(ctx, picked, progress)
	if ctx.Err() != nil {
		return errs, ctx.Err()
	}
	unread := f.unread(plan)
	plan.Progress = progress
	err = u.bring(ctx, plan)
	if progress != nil {
		progress(Progress{Compiling: true, Finished: true})
	}
	told := make(map[string]bool)
	for _, e := range errs {
		told[e.List] = true
	}
	for _, l := range unread {
		if told[l.Name] {
			continue
		}
		if why := u.news(f.readMeta(l.Name), l, err == nil); why != nil {
			errs = append(errs, &ListError{List: l.Name, Err: why})
		}
	}
	return errs, err
}

// news says why a version that was read just now is not in use, and logs what came of it if it is.
func (u *Updater) news(m meta, l config.List, compiled bool) error {
	switch {
	case m.Failures > 0:
		return errors.New(m.Error)
	case m.Waiting != nil:
		return &WaitingError{New: m.Waiting.Conflicts.New, Limit: l.MaxConflicts}
	case !compiled:
		return nil
	}
	u.log().Info("list updated", "list", l.Name, "rules", m.Rules, "problems", m.Problems)
	if n := m.Conflicts.New; n > 0 && m.Conflicts.Since.Equal(m.Attempted) {
		u.log().Warn("the list newly holds names that schools need or that are popular", "list", l.Name, "names", n, "see", "schoolgate lists status "+l.Name)
	}
	return nil
}

// stale says whether the compiled set has to be compared with the configuration.
func (u *Updater) stale(now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.outdated && !u.compile.retry().After(now)
}

// unread gives the lists of which a new version waits, or may wait, to be read.
func (f folder) unread(p Plan) []config.List {
	var out []config.List
	for _, l := range p.Lists {
		if f.wantedDigest(l) == changed {
			out = append(out, l)
		}
	}
	return out
}

// look asks the sources of some lists, a few at once.
func (u *Updater) look(ctx context.Context, lists []config.List, progress func(Progress)) []*ListError {
	u.mu.Lock()
	timeout := u.cfg.Timeout.Std()
	u.mu.Unlock()
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	get := newFetcher(u.Transport, u.Version, timeout)
	var mu sync.Mutex // guards errs and calls of progress
	var errs []*ListError
	tell := func(p Progress) {
		mu.Lock()
		defer mu.Unlock()
		if p.Err != nil {
			errs = append(errs, &ListError{List: p.List, Err: p.Err})
		}
		if progress != nil {
			progress(p)
		}
	}
	var group errgroup.Group
	group.SetLimit(fetchesAtOnce)
	for _, l := range lists {
		group.Go(func() error {
			p := Progress{List: l.Name, Total: -1}
			p.Err = clean(u.lookAt(ctx, get, l, func(done, total int64) {
				p.Done, p.Total = done, total
				tell(p)
			}))
			p.Finished = true
			tell(p)
			return nil
		})
	}
	group.Wait() // its functions return no error
	return errs
}

// bring makes current.set what the plan wants, if it is not, and publishes it.
func (u *Updater) bring(ctx context.Context, p Plan) error {
	f := folder(u.dir)
	wants := p.wanted()
	switch {
	case len(wants) == 0: // nothing was ever fetched, and no starter list is wanted
		return u.adopt()
	case u.upToDate(wants):
		return u.conclude(p, false)
	}
	ctx, cancel := context.WithTimeout(ctx, compileLimit)
	defer cancel()
	var err error
	if u.CompileCmd != nil {
		err = u.CompileCmd(ctx, p)
	} else {
		_, err = Compile(ctx, p, u.now())
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	if err != nil {
		f.dropFirst(p.Lists, u.now())
		u.settle(err, true)
		return err
	}
	return u.conclude(p, true)
}

// conclude publishes what is up to date, and then removes what no list needs any more.
func (u *Updater) conclude(p Plan, compiled bool) error {
	u.settle(nil, compiled)
	if err := u.adopt(); err != nil {
		return err
	}
	return u.prune(p)
}

// upToDate says whether current.set holds what is wanted and nothing else.
func (u *Updater) upToDate(wants []want) bool {
	path := folder(u.dir).set()
	mark := stamp(path)
	u.mu.Lock()
	have, known := u.have, u.haveOf == mark && mark != ""
	u.mu.Unlock()
	if !known {
		set, err := blocklist.Open(path)
		if err != nil {
			return false
		}
		have = set.Lists()
		u.mu.Lock()
		u.have, u.haveOf = have, mark
		u.mu.Unlock()
	}
	lacks, surplus := lacking(have, wants)
	return len(lacks) == 0 && !surplus
}

// settle notes what came of comparing or compiling.
func (u *Updater) settle(err error, compiled bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.compile.tried, u.compile.err = u.now(), err
	if err != nil {
		u.compile.failures++
		u.outdated = true
		return
	}
	u.compile.failures, u.outdated = 0, false
	if compiled {
		u.compile.at = u.compile.tried
	}
}

// dropFirst throws away the first version that waits to be read: versions are read in the order of the lists, so it is
// the one that a compilation broke off at, if one was. Those behind it are read the next time.
func (f folder) dropFirst(lists []config.List, now time.Time) {
	for _, l := range lists {
		m := f.readMeta(l.Name)
		if m.Candidate == nil {
			continue
		}
		m.Candidate = nil
		m.fail(errDropped, true, now)
		if f.writeMeta(l.Name, m) == nil {
			os.Remove(f.next(l.Name))
		}
		return
	}
}
