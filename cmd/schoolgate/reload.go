package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"schoolgate/blocklist"
	"schoolgate/blocklist/sealed"
	"schoolgate/blocklist/update"
	"schoolgate/config"
	"schoolgate/monitor"
	"schoolgate/monitor/change"
	"schoolgate/monitor/device"
	"schoolgate/resolver"
	"schoolgate/resolver/policy"
	"schoolgate/resolver/upstream"
)

// state compiles what queries read. It changes nothing in force.
func (a *appliance) state(cfg *config.Config, set *blocklist.Set, tier *sealed.Set, ask *asker) (*resolver.State, error) {
	p, err := policy.Compile(cfg, set, categories(cfg), tier)
	if err != nil {
		return nil, fmt.Errorf("compiling the policy: %w", err)
	}
	return &resolver.State{
		Lists: set, Policy: p, Identify: device.New(cfg, a.neighbours).Identify, Exchange: ask.Exchange, Apart: ask.Apart,
		Box:     a.interfaces,
		Page:    a.pageServer.Addresses,
		Office:  resolver.NewOffice(cfg.Site.Name, cfg.Page.Contact),
		Answers: resolver.NewAnswers(cfg),
		Own:     a.own(cfg),
	}, nil
}

// ask puts the upstreams to work.
func (a *appliance) ask(cfg *config.Config) *asker {
	router := upstream.NewRouter(cfg.Upstream, cfg.Forward, a.clock, part(a.log, "upstream"))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = router.Run(ctx) // returns nil, when ctx has ended
	}()
	return &asker{Router: router, validator: a.validator(cfg, router.Exchange), stop: func() { cancel(); <-ended }}
}

// reload reads the configuration again and puts it in force, or changes nothing: everything that may fail comes before
// the first change.
func (a *appliance) reload(ctx context.Context) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, _ = daemon.SdNotify(false, daemon.SdNotifyReloading)
	defer func() { _, _ = daemon.SdNotify(false, daemon.SdNotifyReady) }()
	old, asking := a.file, a.asking.Load()
	next, err := config.Load(a.path)
	if err != nil {
		a.refused("the configuration is refused, the old one stays in force", err)
		return
	}
	restart := config.NeedsRestart(old, next)
	next.DNS.Listen, next.HTTP, next.Cache = old.DNS.Listen, old.HTTP, old.Cache
	next.Encrypted.TLS, next.Encrypted.HTTPS, next.Encrypted.QUIC = old.Encrypted.TLS, old.Encrypted.HTTPS, old.Encrypted.QUIC
	next.Page.HTTP, next.Page.HTTPS = old.Page.HTTP, old.Page.HTTPS
	next.Store.Path, next.Store.Flush = old.Store.Path, old.Store.Flush
	stand := *a.standing.Load()
	inForce := overlaid(next, &stand)
	ask, sameZones := asking, slices.EqualFunc(old.Forward, next.Forward, config.Forward.Equal)
	if !old.Upstream.Equal(&next.Upstream) || !sameZones || !old.DNSSEC.Equal(&next.DNSSEC) {
		ask = a.ask(next)
	}
	state, err := a.state(inForce, a.set, a.tier, ask)
	if err != nil {
		if ask != asking {
			ask.stop()
		}
		a.refused("the configuration is refused, the old one stays in force", err)
		return
	}

	a.file = next
	a.cfg.Store(inForce)
	a.standing.Store(&stand)
	a.asking.Store(ask)
	a.resolver.Swap(state)
	if !sameZones || !old.Upstream.Alike(&next.Upstream) || !old.DNSSEC.Equal(&next.DNSSEC) {
		a.cache.Flush() // what others said of these names, or nobody validated
	}
	a.guard(next)
	a.reloadBox(next)
	a.alerts.Set(alertSettings(next))
	a.heedKey(next)
	a.label(next)
	a.keeper.SetLists(next.Lists, next.Update)
	a.updater.SetLists(openLists(next), next.Update)
	if ask != asking {
		// Queries that began under the old state may still be waiting for its servers.
		time.AfterFunc(15*time.Second, asking.stop)
	}
	a.outcome.Store(&loading{at: time.Now(), restart: restart})
	a.noteConfig(old, next, "the configuration was changed")
	a.keepCopy(next)
	a.log.Info("configuration in force", "file", a.path, "needs_restart", strings.Join(restart, ","))
}

// refused notes that a configuration was not taken. The log says where its problems are; what they are can name devices,
// which have no place in it: schoolgate check tells.
func (a *appliance) refused(what string, err error) {
	a.outcome.Store(&loading{at: time.Now(), err: err})
	var problems config.Problems
	if !errors.As(err, &problems) {
		a.log.Error(what, "file", a.path, "error", err)
		return
	}
	var where []string
	for _, p := range problems {
		if p.Severity == config.Error && len(where) < 20 {
			where = append(where, fmt.Sprintf("line %d %s", p.Line, p.Path))
		}
	}
	a.log.Error(what, "file", a.path, "problems", strings.Join(where, "; "), "see", "schoolgate check")
}

// publish puts a newly compiled set in force.
func (a *appliance) publish(set *blocklist.Set) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.set
	state, err := a.state(a.cfg.Load(), set, a.tier, a.asking.Load())
	if err != nil {
		a.log.Error("new lists are not used, the old ones stay in force", "error", err)
		return
	}
	a.set = set
	a.resolver.Swap(state)
	a.log.Info("lists in force", "names", set.Names(), "lists", len(set.Lists()), "bytes", set.Size())
	a.recordLists(before.Lists(), set.Lists())
}

// recordLists writes down how the lists in force differ from those before.
func (a *appliance) recordLists(before, after []blocklist.Info) {
	if lines := listChanges(before, after); len(lines) > 0 {
		a.change(context.Background(), monitor.Change{
			At: time.Now(), Kind: "lists", Summary: count(len(lines), "list") + " changed", Detail: strings.Join(lines, "\n"),
		})
	}
}

// decided writes a person's decision on the versions of a list into the log of changes.
func (a *appliance) decided(d update.Decision) error {
	e := change.Entry{Kind: change.KindLists, By: d.By, Via: d.By, After: []string{"list " + d.List + ": " + d.What}}
	if time.Since(d.At) > time.Minute {
		e.After = append(e.After, "decided while no appliance was running, at "+d.At.Format(time.RFC3339))
	}
	_, err := a.changes.Update(func(*change.Book, time.Time) ([]change.Entry, error) { return []change.Entry{e}, nil })
	return err
}

// listChanges says in plain sentences how the lists of two sets differ.
func listChanges(before, after []blocklist.Info) (lines []string) {
	old := map[string]blocklist.Info{}
	for _, l := range before {
		old[l.Name] = l
	}
	for _, l := range after {
		was, had := old[l.Name]
		delete(old, l.Name)
		switch {
		case !had:
			lines = append(lines, fmt.Sprintf("list %s: added, %d entries", l.Name, l.Rules))
		case was.Digest != l.Digest || was.Rules != l.Rules:
			lines = append(lines, fmt.Sprintf("list %s: %d entries, before %d", l.Name, l.Rules, was.Rules))
		}
	}
	for _, l := range before {
		if _, gone := old[l.Name]; gone {
			lines = append(lines, fmt.Sprintf("list %s: removed, had %d entries", l.Name, l.Rules))
		}
	}
	return lines
}

// change writes one change of filtering into the record. A record that cannot be written is not worth stopping for: the
// log says so, and health does.
func (a *appliance) change(ctx context.Context, c monitor.Change) {
	if err := a.store.RecordChange(ctx, c); err != nil {
		a.log.Error("a change of filtering could not be recorded", "kind", c.Kind, "error", err)
	}
}

// recordStart writes down that the appliance began, and what changed in the file while it was stopped.
func (a *appliance) recordStart(ctx context.Context) {
	a.change(ctx, monitor.Change{
		At: a.started, Kind: "start", Summary: "Schoolgate " + version + " started",
		Detail: fmt.Sprintf("configuration %s\n%s", a.file.Digest(), a.filterWords()),
	})
	if err := a.outcome.Load().err; err != nil {
		return // the copy stays as it is: it is what serves
	}
	if old, err := config.Load(a.lastGood); err == nil {
		a.noteConfig(old, a.file, "the configuration was changed while Schoolgate was stopped")
	}
	a.keepCopy(a.file)
}

// keepCopy keeps a copy of the configuration file to fall back on, and to tell changes by.
func (a *appliance) keepCopy(file *config.Config) {
	if err := writeFile(a.lastGood, file.Encode()); err != nil {
		a.log.Warn("no copy of the configuration could be kept", "file", a.lastGood, "error", err)
	}
}

// writeFile writes a whole file or none.
func writeFile(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err = f.Write(text); err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return err
}

// retention is how many days rows are kept, now.
func (a *appliance) retention() int {
	return int(a.cfg.Load().Store.Retention.Std() / (24 * time.Hour))
}

// filterWords says how much is filtered with.
func (a *appliance) filterWords() string {
	set := a.resolver.State().Lists
	words := fmt.Sprintf("%d names of %s", set.Names(), count(len(set.Lists()), "list"))
	if len(a.cfg.Load().Lists) == 0 {
		words += " (starter lists only: deploy/recommended.toml names full ones)"
	}
	return words
}

// compileCommand is the child process that compiles the lists: a peak of memory that goes back to the system, and a
// crash or an end for want of memory that harms nobody.
const compileCommand = "compile-lists"
