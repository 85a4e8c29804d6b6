package alert

import (
	"cmp"
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"schoolgate/blocklist/domain"
	"schoolgate/monitor"
)

// key is what makes blocks one episode.
type key struct {
	kind           monitor.Kind
	device         string
	site, category string // both "" for the illegal tier
	more           bool   // the further blocks of an hour; device "" for those of all devices
}

// episode is one alert as the loop knows it.
type episode struct {
	alert monitor.Alert
	until time.Time // when it ends whatever comes; zero for an episode with a sliding window
	add   int64     // counted in alert.Count and not stored yet
	saved time.Time // the last time that is stored
	hint  string    // Kind System: what to do about it
	wide  bool      // Kind System: for the DSL too, whatever the severity
	nonce string    // of its mails' keys; made once, so that the store knows a second try after an unclear error
}

// holds says whether a block at this time still belongs to the episode. An episode that begins well after it does not
// hold it: the clock was wrong then, and an alert must not be swallowed until the same time comes again.
func (ep *episode) holds(at time.Time, window time.Duration) bool {
	age := at.Sub(ep.alert.First)
	if age < -window {
		return false
	}
	if !ep.until.IsZero() {
		return at.Before(ep.until)
	}
	return at.Sub(ep.alert.Last) < window && age < maxEpisode
}

// budget is a number of alerts in an hour that begins with the first of them.
type budget struct {
	start time.Time
	used  int
}

func (b *budget) take(now time.Time, limit int) bool {
	if b.over(now) {
		b.start, b.used = now, 0
	}
	if b.used >= limit {
		return false
	}
	b.used++
	return true
}

func (b *budget) over(now time.Time) bool { return now.Sub(b.start).Abs() >= time.Hour }

// take puts one sighting into its episode, and opens one when there is none.
func (e *Engine) take(ctx context.Context, s sighting) {
	k := key{kind: s.kind, device: s.device}
	if s.kind == monitor.Blocked {
		k.site, k.category = string(domain.Name(s.name).Site()), s.category
	}
	if e.extend(k, s) {
		return
	}
	if len(e.unopened) >= maxUnopened {
		e.drop(s.last)
		return
	}
	a := monitor.Alert{
		Kind: s.kind, Severity: monitor.Warning, Category: s.category, Group: s.group, Device: s.device, Site: k.site,
		First: s.first, Last: s.last, Count: s.count,
	}
	if s.kind == monitor.Illegal {
		a.Severity = monitor.Critical
	}
	var until time.Time
	if device, end, full := e.full(s); full {
		k = key{kind: s.kind, device: device, more: true}
		if e.extend(k, s) {
			return
		}
		a.Code, a.Device, a.Site, until = CodeMore, device, "", end
		a.Text = "Further blocks of the same hour, counted here and not mailed one by one."
		if s.kind == monitor.Blocked {
			a.Category = ""
		}
		if device == "" {
			a.Group = ""
		}
	}
	ep := &episode{alert: a, until: until}
	e.open[k] = ep
	e.begin(ctx, ep)
}

func (e *Engine) extend(k key, s sighting) bool {
	ep := e.open[k]
	if ep == nil || !ep.holds(s.first, e.rules.Load().window()) {
		return false
	}
	ep.alert.Count += s.count
	ep.add += s.count
	if s.last.After(ep.alert.Last) {
		ep.alert.Last = s.last
	}
	if k.more {
		e.stats.folded.Add(uint64(s.count))
	}
	if ep.alert.ID != 0 {
		e.dirty[ep] = true
	}
	return true
}

// full spends from the budgets that a new alert needs. When one is exhausted it says until when, and for which device
// ("" for all) the blocks are folded.
func (e *Engine) full(s sighting) (device string, until time.Time, full bool) {
	now := s.first
	if s.kind == monitor.Illegal {
		if e.illegal.take(now, perIllegal) {
			return "", time.Time{}, false
		}
		return "", e.illegal.start.Add(time.Hour), true
	}
	b := e.devices[s.device]
	if b == nil {
		b = new(budget)
	} else if b.used >= perDevice && !b.over(now) {
		return s.device, b.start.Add(time.Hour), true
	}
	if !e.total.take(now, perHour) {
		return "", e.total.start.Add(time.Hour), true
	}
	b.take(now, perDevice)
	e.devices[s.device] = b
	return "", time.Time{}, false
}

// begin stores a new episode now, or leaves it to the next tick while the store is broken.
func (e *Engine) begin(ctx context.Context, ep *episode) {
	e.stats.open(ep.alert.Kind)
	ep.nonce = strings.ToLower(rand.Text()) // no number: those begin again on a new box, and a mail server drops Message-IDs it knows
	if ep.alert.Code == CodeMore {
		e.stats.folded.Add(uint64(ep.alert.Count))
	}
	e.unopened = append(e.unopened, ep)
	e.stats.waiting.Store(int64(len(e.unopened)))
	if now := e.Now(); len(e.unopened) == 1 && !now.Before(e.storeRetry) {
		e.openAll(ctx, now)
	}
}

// save brings the store up to date, and stops at its first error.
func (e *Engine) save(ctx context.Context, now time.Time) {
	if now.Before(e.storeRetry) || !e.openAll(ctx, now) {
		return
	}
	for ep := range e.dirty {
		sctx, cancel := context.WithTimeout(ctx, storeTimeout)
		err := e.store.ExtendAlert(sctx, ep.alert.ID, ep.alert.Last, ep.add)
		cancel()
		if err != nil {
			e.storeFailed(now, "extending an alert", err)
			return
		}
		ep.add, ep.saved = 0, ep.alert.Last
		delete(e.dirty, ep)
		e.stats.storeOK()
	}
}

// openAll stores the episodes that wait for it, oldest first.
func (e *Engine) openAll(ctx context.Context, now time.Time) bool {
	for len(e.unopened) > 0 {
		ep := e.unopened[0]
		mails := 0
		sctx, cancel := context.WithTimeout(ctx, storeTimeout)
		id, err := e.store.OpenAlert(sctx, ep.alert, func(id int64) []monitor.Mail {
			a := ep.alert
			a.ID = id
			m := compose(e.rules.Load(), a, ep)
			mails = len(m)
			return m
		})
		cancel()
		if err != nil {
			e.storeFailed(now, "opening an alert", err)
			return false
		}
		ep.alert.ID, ep.add, ep.saved = id, 0, ep.alert.Last
		e.unopened = slices.Delete(e.unopened, 0, 1)
		e.stats.waiting.Store(int64(len(e.unopened)))
		e.stats.storeOK()
		e.log.Info("alert opened", "alert", id, "kind", ep.alert.Kind.String(), "severity", ep.alert.Severity.String())
		if mails > 0 && e.Mailed != nil {
			e.Mailed()
		}
	}
	return true
}

func (e *Engine) storeFailed(now time.Time, doing string, err error) {
	e.storeRetry = now.Add(flushEvery - time.Second) // the next tick tries again, not each block before it
	e.stats.storeFailed(now)
	e.log.Error("alert store", "doing", doing, "err", err)
}

// prune forgets what has ended and is stored.
func (e *Engine) prune(now time.Time) {
	window := e.rules.Load().window()
	for k, ep := range e.open {
		if ep.alert.ID != 0 && !e.dirty[ep] && !ep.holds(now, window) {
			delete(e.open, k)
		}
	}
	for d, b := range e.devices {
		if b.over(now) {
			delete(e.devices, d)
		}
	}
}

// resume takes up the episodes and budgets that the store's latest alerts tell of.
func (e *Engine) resume(now time.Time, alerts []monitor.Alert) {
	slices.SortFunc(alerts, func(a, b monitor.Alert) int {
		return cmp.Or(a.First.Compare(b.First), cmp.Compare(a.ID, b.ID))
	})
	for _, a := range alerts {
		if a.Kind == monitor.System {
			e.resumeSystem(now, a)
			continue
		}
		ep := &episode{alert: a, saved: a.Last}
		k := key{kind: a.Kind, device: a.Device, site: a.Site, category: a.Category}
		switch {
		case a.Code == CodeMore:
			k = key{kind: a.Kind, device: a.Device, more: true}
			ep.until = a.First.Add(time.Hour)
		case a.Kind == monitor.Illegal:
			k = key{kind: a.Kind, device: a.Device}
			e.illegal.take(a.First, perIllegal)
		default:
			if e.devices[a.Device] == nil {
				e.devices[a.Device] = new(budget)
			}
			e.devices[a.Device].take(a.First, perDevice)
			e.total.take(a.First, perHour)
		}
		e.open[k] = ep
	}
	e.prune(now)
}
