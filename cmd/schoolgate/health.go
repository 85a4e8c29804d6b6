package main

import (
	"cmp"
	"fmt"
	"strings"
	"sync"
	"time"

	"schoolgate/blocklist/feed"
	"schoolgate/blocklist/update"
	"schoolgate/monitor"
	"schoolgate/monitor/change"
)

// Here what the parts know of themselves becomes conditions of health in the words of a technical lead. The parts that
// filter know nothing of conditions.

// conflictsLast is how long new conflicts of a list are a condition: long enough for somebody to look at them.
const conflictsLast = 7 * 24 * time.Hour

// listConditions says what is wrong with the lists.
func (a *appliance) listConditions(now time.Time) (out []monitor.Condition) {
	cfg := a.cfg.Load()
	if len(cfg.Lists) == 0 {
		out = append(out, monitor.Condition{
			Code: "lists.starter", Severity: monitor.Notice, Title: "Only the starter lists are in use: some hundred well-known names",
			Hint: "Add lists to the configuration; deploy/recommended.toml names some",
		})
	}
	var never, stale, held, waiting, conflicts []string
	for _, s := range a.updater.Status() {
		if s.Waiting != nil {
			waiting = append(waiting, s.Name)
		}
		if s.Conflicts.New > 0 && now.Sub(s.Conflicts.Since) < conflictsLast {
			conflicts = append(conflicts, fmt.Sprintf("%s (%d)", s.Name, s.Conflicts.New))
		}
		switch s.State {
		case update.Never:
			never = append(never, s.Name)
		case update.Stale:
			stale = append(stale, s.Name)
		case update.Held:
			held = append(held, s.Name)
		case update.Fresh, update.Starter, update.Waiting, update.Retired:
		}
	}
	const hint = "schoolgate lists shows why; schoolgate lists update tries again"
	if len(never) > 0 {
		out = append(out, monitor.Condition{
			Code: "lists.never", Severity: monitor.Warning, Title: "Lists that were never fetched block nothing: " + strings.Join(never, ", "), Hint: hint,
		})
	}
	if len(stale) > 0 {
		out = append(out, monitor.Condition{
			Code: "lists.stale", Severity: monitor.Warning, Title: "Lists are out of date, their last good versions are in use: " + strings.Join(stale, ", "), Hint: hint,
		})
	}
	if len(waiting) > 0 {
		out = append(out, monitor.Condition{
			Code: "lists.waiting", Severity: monitor.Warning, Title: "New versions of lists wait for a person, since they would block sites that schools use: " + strings.Join(waiting, ", "),
			Hint: "schoolgate lists diff NAME shows what is new; then schoolgate lists accept NAME, or refuse NAME",
		})
	}
	if len(conflicts) > 0 {
		out = append(out, monitor.Condition{
			Code: "lists.conflicts", Severity: monitor.Notice, Title: "Lists newly hold sites that schools need or that are popular: " + strings.Join(conflicts, ", "),
			Hint: "schoolgate lists status NAME names them; policy.allow lets one through, schoolgate lists revert NAME undoes the update",
		})
	}
	if len(held) > 0 {
		out = append(out, monitor.Condition{
			Code: "lists.held", Severity: monitor.Notice, Title: "Lists are held at a version that a person chose: " + strings.Join(held, ", "),
			Hint: "schoolgate lists resume NAME has them updated again",
		})
	}
	if _, err := a.updater.Compiled(); err != nil {
		out = append(out, monitor.Condition{
			Code: "lists.compile", Severity: monitor.Warning, Title: "The lists could not be compiled, the earlier set is in use", Hint: hint,
		})
	}
	return out
}

// upstreamConditions says what is wrong with the servers that are asked for names.
func (a *appliance) upstreamConditions(time.Time) (out []monitor.Condition) {
	say := func(code string, severity monitor.Severity, hint, title string) {
		out = append(out, monitor.Condition{Code: code, Severity: severity, Title: title, Hint: hint})
	}
	var down, loops, apart []string
	up, spare, upstreams := 0, 0, 0
	for _, s := range a.asking.Load().Status() {
		if s.Loops {
			loops = append(loops, s.Address)
		}
		switch {
		case s.Forward != "":
			if !s.Healthy {
				apart = append(apart, s.Address+" of "+s.Forward)
			}
			continue
		case !s.Healthy:
			down = append(down, s.Address)
		case s.Fallback:
			spare++
		default:
			up++
		}
		upstreams++
	}
	const hint = "Check the school's connection and upstream.servers; blocked names stay blocked meanwhile"
	switch {
	case upstreams == 0:
		say("upstream.none", monitor.Critical, hint, "No upstream server is configured: no allowed name resolves")
	case up+spare == 0:
		say("upstream.down", monitor.Critical, hint, "No upstream server answers: allowed names do not resolve")
	case up == 0:
		say("upstream.fallback", monitor.Warning, hint, "The upstream servers do not answer, those to fall back on do: "+strings.Join(down, ", "))
	case len(down) > 0:
		say("upstream.degraded", monitor.Notice, hint, "Upstream servers do not answer, others do: "+strings.Join(down, ", "))
	}
	if len(apart) > 0 {
		say("upstream.forward", monitor.Warning, "Check the server and [[forward]]; nobody else is asked for names of its zones", "Servers that zones are forwarded to do not answer: "+strings.Join(apart, ", "))
	}
	if len(loops) > 0 {
		say("upstream.loop", monitor.Critical, "A router that is told to use this box, or that catches all DNS, cannot be its upstream: give it another, or make an exception for this box",
			"Servers send back to this box what they are asked: "+strings.Join(loops, ", "))
	}
	return out
}

// clockConditions says whether the time of this machine can be.
func (a *appliance) clockConditions(time.Time) (out []monitor.Condition) {
	if system, believed, wrong := a.clock.Wrong(); wrong {
		out = append(out, monitor.Condition{
			Code: "clock.wrong", Severity: monitor.Warning,
			Title: fmt.Sprintf("The clock says %s, which cannot be; certificates are checked against %s", dayOf(system), dayOf(believed)),
			Hint:  "timedatectl shows whether the time is kept; hours of groups, the record and certificates go by the clock",
		})
	}
	return out
}

func dayOf(t time.Time) string { return t.UTC().Format("2 January 2006") }

// recordConditions says what is wrong with the record of queries.
func (a *appliance) recordConditions(now time.Time) (out []monitor.Condition) {
	s := a.journal.Stats()
	if a.losses.recent(s.Dropped, now) {
		out = append(out, monitor.Condition{
			Code: "record.dropped", Severity: monitor.Critical, Title: "Queries are missing from the record",
			Hint: "The disk is too slow, full or broken; schoolgate report shows the gap and how many",
		})
	}
	if s.Err != nil {
		out = append(out, monitor.Condition{
			Code: "record.failing", Severity: monitor.Critical, Title: "The record cannot be written; queries wait in memory",
			Hint: "Check free space and the health of the disk; the log of the process says more",
		})
	}
	return append(out, a.store.Conditions()...)
}

// configConditions says what is wrong with the configuration.
func (a *appliance) configConditions(time.Time) (out []monitor.Condition) {
	l := a.outcome.Load()
	if l.err != nil {
		out = append(out, monitor.Condition{
			Code: "config.refused", Severity: monitor.Warning, Since: l.at, Title: "The configuration was refused, an earlier one is in force",
			Hint: "schoolgate check says what is wrong; then reload",
		})
	}
	if len(l.restart) > 0 {
		out = append(out, monitor.Condition{
			Code: "config.restart", Severity: monitor.Notice, Since: l.at, Title: "Changes wait for a restart: " + strings.Join(l.restart, ", "),
			Hint: "Restart the service outside lessons",
		})
	}
	return out
}

// notReady says why the box does not filter and answer: what keeps a watcher from sending it questions.
func (a *appliance) notReady(now time.Time) (why []string) {
	for _, c := range a.filterConditions(now) {
		why = append(why, c.Title)
	}
	return why
}

// filterConditions says whether anything is filtered with at all.
func (a *appliance) filterConditions(time.Time) (out []monitor.Condition) {
	if a.resolver == nil {
		return nil
	}
	set := a.resolver.State().Lists
	if set.Names() == 0 {
		out = append(out, monitor.Condition{
			Code: "filter.empty", Severity: monitor.Critical, Title: "No name is on any list: nothing is blocked by category",
			Hint: "Set update.starter = true, or see schoolgate lists",
		})
	}
	for _, s := range a.keeper.Status() {
		if s.State == feed.Never {
			out = append(out, monitor.Condition{
				Code: "filter.illegal", Severity: monitor.Critical, Title: "A list of the illegal tier is not in force: " + s.Name,
				Hint: "schoolgate illegal status shows why; right after a start it may still be on its way",
			})
		}
	}
	return out
}

// losses remembers when rows were last lost, so that the condition outlasts the moment but not the day.
type losses struct {
	mu    sync.Mutex // guards the rest
	count uint64
	at    time.Time
}

// lossLasts is how long lost rows stay a condition of health: long enough for somebody to see it.
const lossLasts = time.Hour

// recent says whether rows were lost within the last hour; dropped is the count so far.
func (l *losses) recent(dropped uint64, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if dropped != l.count {
		l.count, l.at = dropped, now
	}
	return !l.at.IsZero() && now.Sub(l.at) < lossLasts
}

// changeConditions says what is wrong with changes and their log.
func (a *appliance) changeConditions(now time.Time) (out []monitor.Condition) {
	s := a.standing.Load()
	if s.err != nil {
		out = append(out, monitor.Condition{
			Code: "changes.failing", Severity: monitor.Critical, Since: s.tried, Title: "The log of changes cannot be read or written",
			Hint: "Check the disk, and who may read changes.log in the state directory; the log of the process says more",
		})
	}
	if s.book == nil {
		return out
	}
	if s.fault != nil {
		out = append(out, monitor.Condition{
			Code: "changes.broken", Severity: monitor.Critical, Since: s.since, Title: "The log of changes was altered, or an end of it is missing",
			Hint: "schoolgate audit verify says where; what behind it opens the filter is not in force. Keep a copy and find out who did it",
		})
	}
	if len(s.without) > 0 {
		ids := make([]string, 0, len(s.without))
		for _, c := range s.active {
			if s.without[c.ID] != nil {
				ids = append(ids, fmt.Sprint(c.ID))
			}
		}
		out = append(out, monitor.Condition{
			Code: "changes.without", Severity: monitor.Warning, Title: "Changes have no effect, because the configuration leaves no room for them: " + strings.Join(ids, ", "),
			Hint: "schoolgate changes show NUMBER says why",
		})
	}
	waiting := 0
	for _, c := range s.book.Changes() {
		if c.State(now) == change.Pending || c.Unreviewed(now) {
			waiting++
		}
	}
	if waiting > 0 {
		out = append(out, monitor.Condition{
			Code: "changes.waiting", Severity: monitor.Notice, Title: cmp.Or(map[int]string{1: "1 change waits"}[waiting], fmt.Sprintf("%d changes wait", waiting)) + " for a second person",
			Hint: "schoolgate changes list --pending",
		})
	}
	return out
}
