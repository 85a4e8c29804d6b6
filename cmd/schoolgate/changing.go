package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"schoolgate/blocklist"
	"schoolgate/blocklist/domain"
	"schoolgate/config"
	"schoolgate/monitor"
	"schoolgate/monitor/change"
	"schoolgate/resolver/policy"
	"schoolgate/resolver/query"
)

// Here the running appliance follows the log of changes. What is in force follows from the log and the clock alone; the
// lines that the appliance adds only tell of it.

// standing is what the appliance knows of the log of changes. It is immutable.
type standing struct {
	stamp   string // of the file that was read
	book    *change.Book
	active  []*change.Change
	without map[int]error // those of active that cannot be, and why
	fault   *change.Fault
	since   time.Time // when fault was first seen
	err     error     // why the log could not be read or written; then what was known before still holds
	tried   time.Time
}

// lookEvery is how often the log is looked at when nobody says that it has grown, and the clock for what has ended.
const lookEvery = time.Second

// again is how long after a failure the log is tried once more.
const again = time.Minute

// readChanges reads the log, and compares it with the heads that were kept of it. What was known before stays when it
// cannot be read.
func (a *appliance) readChanges(ctx context.Context) *standing {
	now := time.Now()
	s := &standing{stamp: a.changes.Stamp(), tried: now}
	var heads []monitor.Head
	var err error
	if s.book, s.err = a.changes.Read(); s.err == nil {
		if heads, err = a.store.Heads(ctx); err != nil {
			a.log.Warn("the heads of the log of changes cannot be read", "error", err)
		}
		if s.fault = s.book.Check(heads); s.fault != nil {
			s.book = s.book.Doubt(s.fault)
		}
		s.active = s.book.Active(now)
	}
	old := a.standing.Load()
	if s.err != nil {
		a.log.Error("the log of changes cannot be read", "error", s.err)
		if old != nil {
			s.book, s.active, s.without, s.fault, s.since = old.book, old.active, old.without, old.fault, old.since
		}
	}
	if s.fault != nil {
		if s.since = now; old != nil && old.fault != nil {
			s.since = old.since
		} else {
			a.log.Error("the log of changes is not whole", "line", s.fault.Line, "see", "schoolgate audit verify")
		}
	}
	return s
}

// keepHead keeps the head of the log where cutting it off does not reach.
func (a *appliance) keepHead(ctx context.Context, s *standing) {
	if s.err != nil || s.fault != nil || s.book.Head.Count == 0 {
		return
	}
	h := s.book.Head
	h.At = time.Now()
	if err := a.store.RecordHead(ctx, h); err != nil {
		a.log.Warn("the head of the log of changes could not be kept", "error", err)
	}
}

// overlaid is the configuration in force: that of the file with the changes in force. It notes them in s.
func overlaid(file *config.Config, s *standing) *config.Config {
	var cfg *config.Config
	cfg, s.without = change.Effective(file, s.active)
	return cfg
}

// follow puts changes in force within a second of their being written, at once when told, and ends them when their time
// has come.
func (a *appliance) follow(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	a.takeChanges(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-a.changed:
		}
		if a.stale(time.Now()) {
			a.takeChanges(ctx)
		}
	}
}

// stale says whether the log has grown, or another set of its changes is in force by the clock.
func (a *appliance) stale(now time.Time) bool {
	s := a.standing.Load()
	if s.err != nil {
		return now.Sub(s.tried).Abs() >= again
	}
	same := func(x, y *change.Change) bool { return x.ID == y.ID }
	return a.changes.Stamp() != s.stamp || !slices.EqualFunc(s.book.Active(now), s.active, same)
}

// takeChanges reads the log, puts in force what it says, and writes into it what came of that.
func (a *appliance) takeChanges(ctx context.Context) {
	for range 5 { // once more for each time that somebody else wrote meanwhile
		s := a.readChanges(ctx)
		if err := a.putChanges(s); err != nil {
			a.log.Error("changes are not in force, what was stays so", "error", err)
			failed := *s
			failed.err = err
			a.standing.Store(&failed)
			return
		}
		news := a.news(s, time.Now())
		if len(news) == 0 {
			a.keepHead(ctx, s)
			a.countRequests(ctx)
			return
		}
		b, err := a.changes.Update(func(b *change.Book, _ time.Time) ([]change.Entry, error) {
			news = slices.DeleteFunc(news, func(e change.Entry) bool { return told(b, e) })
			return news, nil
		})
		if err != nil {
			a.log.Error("what became of changes cannot be written down", "error", err)
			failed := *s
			failed.err = err
			a.standing.Store(&failed)
			return
		}
		a.mail(b, news)
	}
}

// mail tells people of what opened the filter, without names.
func (a *appliance) mail(b *change.Book, news []change.Entry) {
	for _, e := range news {
		c, ok := b.Change(e.Change)
		if !ok || e.Kind != change.KindApplied || !b.Opens(c.What) {
			continue
		}
		text := fmt.Sprintf("Change %d is in force, which opens the filter", c.ID)
		if !c.Until.IsZero() {
			text += ", until " + c.Until.In(a.cfg.Load().Location()).Format("2 January 2006 15:04")
		}
		if c.ApprovedBy == "" {
			text += "; no second person agreed to it"
		}
		a.alerts.Opened(text+".", fmt.Sprintf("sudo schoolgate changes show %d says what, who and why. %s", c.ID, headWords(b)))
	}
}

// headWords is the head of the log as a mail has it.
func headWords(b *change.Book) string {
	return fmt.Sprintf("Keep this mail: the log of changes now ends with %d:%s", b.Head.Count, b.Head.Hash)
}

func (a *appliance) putChanges(s *standing) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	cfg := overlaid(a.file, s)
	a.standing.Store(s)
	if cfg.Equal(a.cfg.Load()) {
		return nil
	}
	state, err := a.state(cfg, a.set, a.tier, a.asking.Load())
	if err != nil {
		return err
	}
	a.cfg.Store(cfg)
	a.resolver.Swap(state)
	a.log.Info("changes in force", "changes", len(s.active)-len(s.without))
	return nil
}

// news is what the log does not tell yet of what came into force, and of what has ended by itself.
func (a *appliance) news(s *standing, now time.Time) (out []change.Entry) {
	if s.err != nil {
		return nil
	}
	for _, c := range s.book.Changes() {
		e := change.Entry{Change: c.ID, By: "Schoolgate"}
		switch state := c.State(now); {
		case state == change.Expired || state == change.Lapsed:
			e.Kind = change.KindExpired
		case s.without[c.ID] != nil:
			continue
		case state == change.Active:
			e.Kind = change.KindApplied
		case state == change.Done:
			e.Kind = change.KindApplied
		}
		if e.Kind == "" || told(s.book, e) {
			continue
		}
		if e.Kind == change.KindApplied {
			e.Before, e.After = a.effect(s.book, c, now)
			tier := a.resolver.State().Policy.Tier()
			e.Before, e.After = withheld(tier, e.Before), withheld(tier, e.After)
		}
		out = append(out, e)
	}
	return out
}

// told says whether the log has e already, or would not believe it.
func told(b *change.Book, e change.Entry) bool {
	c, ok := b.Change(e.Change)
	if !ok {
		return true
	}
	if e.Kind == change.KindExpired {
		return !c.Ended.IsZero() || b.Fault != nil
	}
	return !c.Applied.IsZero()
}

// effect is what c does, in words: how things are without it and with it, among the other changes in force.
func (a *appliance) effect(b *change.Book, c *change.Change, now time.Time) (without, with []string) {
	if c.Action == change.Revert {
		if of, ok := b.Change(c.Of); ok {
			with, without = a.effect(b, of, now)
		}
		return without, with
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	others := slices.DeleteFunc(b.Active(now), func(x *change.Change) bool { return x.ID == c.ID })
	off, _ := change.Effective(a.file, others)
	on, _ := change.Effective(a.file, append(others, c))
	if c.Name == "" {
		return config.Diff(on, off), config.Diff(off, on)
	}
	for _, side := range []struct {
		cfg  *config.Config
		into *[]string
	}{{off, &without}, {on, &with}} {
		p, err := policy.Compile(side.cfg, a.set, categories(side.cfg), a.tier)
		if err != nil {
			return config.Diff(on, off), config.Diff(off, on)
		}
		*side.into = verdicts(p, side.cfg, a.set, c.Name, now)
	}
	return without, with
}

// verdicts says what a name means for each group: "children: blocked (category gaming, list games)".
func verdicts(p *policy.Policy, cfg *config.Config, set *blocklist.Set, name domain.Name, now time.Time) (out []string) {
	var w domain.Wire
	if w.SetName(name) != nil {
		return nil
	}
	key := blocklist.KeyOf(&w)
	hits := set.LookupKey(&key)
	for i, g := range cfg.Groups {
		v := p.Decide(now, uint8(i), &key, hits)
		out = append(out, g.Name+": "+verdictWords(v))
	}
	return out
}

func verdictWords(v query.Verdict) string {
	why := v.Rule.String()
	if v.Category != "" {
		why += " " + v.Category
	}
	if v.List != "" {
		why += ", list " + v.List
	}
	return fmt.Sprintf("%s (%s)", v.Action, why)
}

// noteConfig writes a change of the configuration file into the log, and tells people when it opens the filter.
func (a *appliance) noteConfig(old, cfg *config.Config, why string) {
	before, after := config.Diff(cfg, old), config.Diff(old, cfg)
	if len(after) == 0 {
		return
	}
	b, err := a.changes.Update(func(*change.Book, time.Time) ([]change.Entry, error) {
		return []change.Entry{{
			Kind: change.KindConfiguration, By: "whoever edited the file", Why: why,
			Before: append([]string{"configuration " + old.Digest()}, withheld(a.tier, before)...),
			After:  append([]string{"configuration " + cfg.Digest()}, withheld(a.tier, after)...),
		}}, nil
	})
	if err != nil {
		a.log.Error("a change of the configuration could not be written down", "error", err)
		return
	}
	if config.Opens(old, cfg) {
		a.alerts.Opened(
			"The configuration file was changed, and the filter may refuse less than before.",
			"sudo schoolgate audit export --from yesterday says what was changed; no second person had to agree. "+headWords(b),
		)
	}
}
