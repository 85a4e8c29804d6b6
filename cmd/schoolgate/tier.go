package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"schoolgate/blocklist"
	"schoolgate/blocklist/domain"
	"schoolgate/blocklist/feed"
	"schoolgate/blocklist/sealed"
	"schoolgate/blocklist/update"
	"schoolgate/config"
	"schoolgate/monitor"
	"schoolgate/monitor/reference"
	"schoolgate/resolver/query"
)

// Here the illegal tier is put in force, and proven to be.

// openTier loads what is sealed. What of it was ever kept in readable form goes.
func (a *appliance) openTier(ctx context.Context, cfg *config.Config) {
	a.keeper = feed.New(cfg.Store.Path, cfg.Lists, cfg.Update)
	a.keeper.Version, a.keeper.Log, a.keeper.Publish = version, part(a.log, "illegal"), a.publishTier
	set, err := a.keeper.Load(ctx)
	if err != nil {
		a.log.Error("not all of the illegal tier could be loaded", "error", err)
	}
	a.tier = set
	tier, _ := feed.Split(cfg.Store.Path, cfg.Lists)
	if err := update.Forget(listsDir(cfg), tier); err != nil {
		a.log.Error("readable copies of lists of the illegal tier could not be removed", "error", err)
	}
}

// publishTier puts newly sealed lists in force. While the appliance starts, it is openTier that does.
func (a *appliance) publishTier(set *sealed.Set) {
	if a.resolver == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.tier
	state, err := a.state(a.cfg.Load(), a.set, set, a.asking.Load())
	if err != nil {
		a.log.Error("new lists of the illegal tier are not used, the old ones stay in force", "error", err)
		return
	}
	a.tier = set
	a.resolver.Swap(state)
	a.proof.want()
	a.recordLists(tierInfo(before), tierInfo(set))
}

// tierInfo describes a set of the tier as one of lists is.
func tierInfo(set *sealed.Set) (out []blocklist.Info) {
	for _, l := range set.Lists() {
		out = append(out, blocklist.Info{Name: l.Name, Rules: l.Entries(), Digest: l.Mark})
	}
	return out
}

// proveEvery is how often the tier is proven, besides each time that it changes.
const proveEvery = 24 * time.Hour

// proof is what is known of the last time that the tier was put to the test.
type proof struct {
	canary atomic.Pointer[string] // in wire form
	wanted chan struct{}          // capacity 1
	seen   chan query.Rule        // capacity 1: by which rule the canary was refused
	once   sync.Once

	mu  sync.Mutex // guards the rest
	err error
}

func (p *proof) wake() chan struct{} {
	p.make()
	return p.wanted
}

func (p *proof) make() {
	p.once.Do(func() { p.wanted, p.seen = make(chan struct{}, 1), make(chan query.Rule, 1) })
}

// saw notes by which rule the canary was refused. It never waits.
func (p *proof) saw(rule query.Rule) {
	p.make()
	select {
	case p.seen <- rule:
	default:
	}
}

// decided wants the tier to have refused the canary, which is told a little after the answer was sent.
func (p *proof) decided(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	select {
	case rule := <-p.seen:
		if rule == query.Illegal {
			return nil
		}
	case <-ctx.Done():
	}
	return errRefused
}

// want has the tier proven soon. It never waits.
func (p *proof) want() {
	select {
	case p.wake() <- struct{}{}:
	default:
	}
}

func (p *proof) note(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

func (p *proof) failed() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// isCanary knows the question that proves the tier: it is neither counted nor recorded.
func (a *appliance) isCanary(q *query.Query) bool {
	name := a.proof.canary.Load()
	return name != nil && string(q.Question.Name.Bytes()) == *name
}

// prove asks the box itself, at the start, once a day and whenever the tier changed, for the name that is sealed with
// every list.
func (a *appliance) prove(ctx context.Context) error {
	tick := time.NewTicker(proveEvery)
	defer tick.Stop()
	for {
		a.heedKeyAgain()
		if s := a.resolver.State(); !s.Policy.NoIllegal() {
			err := a.proveNow(ctx)
			if ctx.Err() != nil {
				return nil
			}
			if err == nil {
				err = a.keeper.Proved(ctx, time.Now())
			}
			if a.proof.note(err); err != nil {
				a.log.Error("the illegal tier could not be proven to be enforced", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-a.proof.wake():
		}
	}
}

// Errors of a proof.
var (
	errPassed  = errors.New("a name that every list holds was not refused")
	errUnheld  = errors.New("a list does not hold the name that every list holds")
	errRefused = errors.New("a name that every list holds was refused for another reason")
)

// proveNow takes the canary through all that a question goes through: over the network, for the group of the box itself,
// and through the policy for every group.
func (a *appliance) proveNow(ctx context.Context) error {
	name := domain.Name(a.keeper.Canary())
	var w domain.Wire
	if err := w.SetName(name); err != nil {
		return err
	}
	wire := string(w.Bytes())
	a.proof.canary.Store(&wire)
	s := a.resolver.State()
	if t := s.Policy.Tier(); t.Lookup(&w).Sites != t.All() {
		return errUnheld
	}
	key := blocklist.KeyOf(&w)
	for g := range a.cfg.Load().Groups {
		v := s.Policy.Decide(time.Now(), uint8(g), &key, s.Lists.LookupKey(&key))
		switch {
		case !v.Blocked():
			return errPassed
		case v.Rule != query.Illegal:
			return errRefused
		}
	}
	a.proof.make()
	select {
	case <-a.proof.seen: // of an earlier time
	default:
	}
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(string(name)), dns.TypeA)
	m.SetEdns0(1232, false)
	reply, err := a.askSelf(ctx, m)
	if err != nil {
		return fmt.Errorf("asking the box itself: %w", err)
	}
	if !isRefusal(reply) {
		return errPassed
	}
	return a.proof.decided(ctx) // clients are not told by which rule, so the answer does not show it
}

// isRefusal says whether a reply says that the filter made it.
func isRefusal(reply *dns.Msg) bool {
	if opt := reply.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok && e.InfoCode == dns.ExtendedErrorCodeBlocked {
				return true
			}
		}
	}
	return false
}

// heedKey has names sealed for whom the box trusts, now that the configuration says cfg.
func (a *appliance) heedKey(cfg *config.Config) {
	dir := cfg.Store.Path
	kept, err := reference.ReadTrust(dir)
	if err != nil {
		a.log.Error("whose key is trusted could not be read", "error", err)
	}
	was := a.trust.Load()
	if was == nil {
		was = &kept
	}
	is := was.Heed(cfg.Illegal.DSLKey, a.tier != nil, time.Now())
	a.trust.Store(&is)
	a.refs.SetKey(is.Key)
	if is == kept || is == (reference.Trust{}) {
		return
	}
	if err := reference.WriteTrust(dir, is); err != nil {
		a.log.Error("whose key is trusted could not be kept", "error", err)
	}
}

// heedKeyAgain is for a key that has waited long enough.
func (a *appliance) heedKeyAgain() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.heedKey(a.file)
}

// Limits of what is fresh.
const (
	unprovenAfter = 2 * proveEvery
	lossShown     = 24 * time.Hour
	confirmAgain  = 365 * 24 * time.Hour
)

// tierConditions says what is wrong with the illegal tier. All that may keep it from being enforced is critical, and so
// is mailed to the safeguarding lead as well.
func (a *appliance) tierConditions(now time.Time) (out []monitor.Condition) {
	say := func(code string, severity monitor.Severity, hint, format string, args ...any) {
		out = append(out, monitor.Condition{Code: code, Severity: severity, Title: fmt.Sprintf(format, args...), Hint: hint})
	}
	const see = "schoolgate illegal status shows each list"
	cfg := a.cfg.Load()
	status := a.keeper.Status()
	if err := a.keeper.Trouble(); err != nil {
		say("illegal.state", monitor.Critical, "Check the folders illegal and keys below store.path; the log of the process says more",
			"The state of the illegal tier cannot be read or written whole")
	}
	for _, s := range status {
		switch s.State {
		case feed.Stale:
			say("illegal.stale", monitor.Critical, see, "A list of the illegal tier is out of date, its last version is enforced: %s", s.Name)
		case feed.Retired:
			say("illegal.retired", monitor.Critical, "If that was not meant, put it back; when the licence has ended: schoolgate illegal forget",
				"A list of the illegal tier has left the configuration and is still enforced: %s", s.Name)
		case feed.Enforced, feed.Never: // of the latter filterConditions tells
		}
		if !s.Lost.IsZero() && now.Sub(s.Lost) < lossShown {
			say("illegal.lost", monitor.Critical, "Find out who or what touched the folders illegal and keys below store.path; "+see,
				"A sealed list of the illegal tier, or the key to all, was lost or damaged: %s", s.Name)
		}
		if s.Failures > 0 && s.State != feed.Stale && s.State != feed.Never {
			say("illegal.failing", monitor.Warning, see+"; schoolgate illegal update tries again", "The newest version of a list of the illegal tier could not be had: %s", s.Name)
		}
		if s.State != feed.Never && now.Sub(s.Proven) > unprovenAfter && now.Sub(a.started) > time.Minute || a.proof.failed() != nil {
			say("illegal.unproven", monitor.Critical, "Restart the service; if this stays, tell who maintains Schoolgate", "The illegal tier could not be proven to be enforced: %s", s.Name)
		}
	}
	if a.refs.Failed() {
		say("illegal.references", monitor.Critical, "Check that the disk is not full or read-only; the log of the process says more",
			"What the illegal tier refuses cannot be kept for the safeguarding lead")
	} else if at := a.refs.Lost(); !at.IsZero() && now.Sub(at) < lossShown {
		say("illegal.references", monitor.Critical, "A device asked faster than could be written, or the disk failed; schoolgate log --category illegal shows every one",
			"Some of what the illegal tier refused was not kept for the safeguarding lead; the record has it without the name")
	}
	if t := a.trust.Load(); !t.Since.IsZero() {
		say("illegal.newkey", monitor.Critical, "If the safeguarding lead did not ask for that, put the former dsl_key back under [illegal], and find out who changed it",
			"The configuration names another key of the safeguarding lead; it counts from %s, and until then the former one does", t.Since.Add(reference.Patience).In(cfg.Location()).Format("2 January 2006"))
	}
	switch {
	case len(status) > 0 && cfg.Illegal.DSLKey.IsZero():
		say("illegal.key", monitor.Notice, "schoolgate illegal key makes a key; the public half goes into [illegal] of the configuration",
			"There is no key of the safeguarding lead: what the illegal tier refuses is recorded without a reference to the name")
	case len(status) == 0 && cfg.Illegal.Upstream == "":
		say("illegal.none", monitor.Notice, "docs/illegal.md says how to get a list, or how to state who enforces one upstream", "The illegal tier is not enforced here: no licensed list")
	}
	if c := cfg.Illegal.Confirmed; c != (config.Date{}) && now.Sub(c.Start(cfg.Location())) > confirmAgain {
		say("illegal.confirm", monitor.Warning, "Ask them again, and write the day of the answer into [illegal]", "Who enforces the illegal tier upstream was last confirmed more than a year ago")
	}
	return out
}

// keeperOf is a keeper for a command.
func keeperOf(cfg *config.Config) *feed.Keeper {
	k := feed.New(cfg.Store.Path, cfg.Lists, cfg.Update)
	k.Version = version
	return k
}

// currentTier is what an appliance with this configuration would enforce from now.
func currentTier(ctx context.Context, cfg *config.Config) (*sealed.Set, error) {
	set, err := keeperOf(cfg).Load(ctx)
	if err != nil {
		return nil, failed("run the command as the user schoolgate, or with sudo", "reading the illegal tier: %v", err)
	}
	return set, nil
}

// tierStatus is the lists of the tier among all others.
func tierStatus(k *feed.Keeper) (out []update.Status) {
	for _, s := range k.Status() {
		u := update.Status{
			Name: s.Name, Category: config.IllegalTier, Source: s.Source, Rules: s.Entries(), Problems: s.Skipped, Fetched: s.Fetched,
			Checked: s.Checked, Next: s.Next, Failures: s.Failures, Error: s.Error,
			State: map[feed.State]update.State{feed.Enforced: update.Fresh, feed.Stale: update.Stale, feed.Never: update.Never, feed.Retired: update.Retired}[s.State],
		}
		if !s.Checked.IsZero() {
			u.Age = max(0, time.Since(s.Checked))
		}
		out = append(out, u)
	}
	return out
}

// allStatus is the state of all lists, in the order of the configuration but for those of the tier, which come last.
func allStatus(ctx context.Context, cfg *config.Config, k *feed.Keeper) ([]update.Status, error) {
	if _, err := k.Load(ctx); err != nil {
		return nil, failed("run the command as the user schoolgate, or with sudo", "reading the illegal tier: %v", err)
	}
	return append(updaterOf(cfg).Status(), tierStatus(k)...), nil
}

// refreshAll brings lists of both kinds up to date.
func refreshAll(ctx context.Context, c *call, cfg *config.Config, u *update.Updater, names []string) error {
	tier, _ := feed.Split(cfg.Store.Path, cfg.Lists)
	var sealed, open []string
	for _, n := range names {
		if isOf(tier, n) {
			sealed = append(sealed, n)
		} else {
			open = append(open, n)
		}
	}
	var errs []error
	if len(tier) > 0 && (len(names) == 0 || len(sealed) > 0) {
		errs = append(errs, keeperOf(cfg).Refresh(ctx, false, progressLine(c), sealed...))
	}
	if len(names) == 0 || len(open) > 0 {
		errs = append(errs, u.Refresh(ctx, progressLine(c), open...))
	}
	return errors.Join(errs...)
}

func isOf(lists []config.List, name string) bool {
	for _, l := range lists {
		if l.Name == name {
			return true
		}
	}
	return false
}
