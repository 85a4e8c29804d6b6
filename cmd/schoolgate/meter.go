package main

import (
	"context"
	"slices"
	"time"

	"schoolgate/blocklist/update"
	"schoolgate/config"
	"schoolgate/monitor/metrics"
)

// meter connects the metrics with what the parts count. Nothing is asked before the first scrape.
func (a *appliance) meter(lanes int, cfg *config.Config) {
	a.metrics = metrics.New(lanes, version, metrics.Sources{
		Cache: func() metrics.Cache {
			s := a.cache.Stats()
			return metrics.Cache{
				Entries: int64(s.Entries), Bytes: s.Bytes, Hits: s.Hits, Misses: s.Misses, Stale: s.Stale, Evictions: s.Evictions,
			}
		},
		Upstreams: a.meterUpstreams,
		Lists:     a.meterLists,
		Problems: func() (n int) {
			for _, s := range a.updater.Status() {
				if s.Error != "" {
					n++
				}
			}
			return n
		},
		Journal: func() metrics.Journal {
			s := a.journal.Stats()
			return metrics.Journal{Dropped: s.Dropped, Written: s.Written, Queued: int(s.Queued), LastFlush: s.Flushed}
		},
		Alerts:  a.meterAlerts,
		Dropped: func() uint64 { return a.server.Stats().Overloaded },
		Guard:   a.meterGuard,
		DNSSEC:  a.meterDNSSEC,
		Panics:  func() uint64 { return a.server.Stats().Panics },
		Page:    func() map[string]uint64 { return a.page.Count() },
		Config: func() metrics.Config {
			l := a.outcome.Load()
			return metrics.Config{OK: l.err == nil, Loaded: l.at}
		},
		Certificate: a.meterCertificate,
		Conditions:  a.checks.Conditions,
	})
	a.label(cfg)
}

// label tells the metrics which groups and categories there are.
func (a *appliance) label(cfg *config.Config) {
	groups := make([]string, len(cfg.Groups))
	for i, g := range cfg.Groups {
		groups[i] = g.Name
	}
	names := config.Categories()
	for _, l := range cfg.Lists {
		if !slices.Contains(names, l.Category) {
			names = append(names, l.Category)
		}
	}
	a.metrics.SetLabels(groups, names)
}

func (a *appliance) meterUpstreams() (out []metrics.Upstream) {
	for _, s := range a.asking.Load().Status() {
		out = append(out, metrics.Upstream{Server: s.Address, Forward: s.Forward, Up: s.Healthy, RTT: s.RTT, Queries: s.Queries, Failures: s.Failures})
	}
	return out
}

// meterLists tells of the lists in force, with the age that counts: since a list was last known to be current.
func (a *appliance) meterLists() (out []metrics.List) {
	for _, s := range append(a.updater.Status(), tierStatus(a.keeper)...) {
		l := metrics.List{Name: s.Name, Entries: s.Rules, Fetched: s.Checked}
		if s.State == update.Never || s.State == update.Starter {
			l.Fetched = time.Time{}
		}
		out = append(out, l)
	}
	return out
}

// meterGuard tells what the listeners held back.
func (a *appliance) meterGuard() metrics.Guard {
	s := a.server.Stats()
	return metrics.Guard{
		Limited: []metrics.Limited{
			{Limit: "client", Count: s.Limited.Client},
			{Limit: "lost", Count: s.Limited.Lost},
			{Limit: "stream", Count: s.Limited.Stream},
			{Limit: "network", Count: s.Limited.Network},
			{Limit: "answers", Count: s.Limited.Answers},
			{Limit: "spare", Count: s.Limited.Spare},
			{Limit: "sessions", Count: s.TCPEnded},
			{Limit: "client_sessions", Count: s.TCPRefused},
		},
		OutsideAsked: s.Outside.Questions, OutsideClosed: s.Outside.Connections, Sessions: s.TCPOpen,
	}
}

func (a *appliance) meterAlerts() metrics.Alerts {
	s, mail := a.alerts.Stats(), a.sender.SendStats()
	out := metrics.Alerts{Opened: s.Opened, Dropped: s.Dropped, Sent: mail.Sent, Failures: mail.Failed}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if unsent, oldest, err := a.store.OutboxStats(ctx); err == nil {
		out.Unsent, out.Oldest = unsent, oldest
	}
	return out
}
