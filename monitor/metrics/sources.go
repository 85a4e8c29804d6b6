package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"schoolgate/monitor"
)

// Sources tells at each scrape what others hold. Each function may be called from any goroutine and must not wait for
// long; one that is nil leaves its metrics out.
type Sources struct {
	Cache     func() Cache
	Upstreams func() []Upstream
	Lists     func() []List
	Problems  func() int // lists whose last update did not work
	Journal   func() Journal
	Alerts    func() Alerts
	Dropped   func() uint64 // queries that the listeners dropped
	Guard     func() Guard
	DNSSEC    func() DNSSEC
	Panics    func() uint64
	Page      func() map[string]uint64 // requests for the block page, by outcome
	Config    func() Config
	// Certificate is when the box's certificate for encrypted DNS ends; ok is false when it has none.
	Certificate func() (end time.Time, ok bool)
	Conditions  func(now time.Time) []monitor.Condition
}

// Cache is the state of the cache of answers.
type Cache struct {
	Entries, Bytes                 int64
	Hits, Misses, Stale, Evictions uint64
}

// Upstream is one configured server.
type Upstream struct {
	Server            string // as configured
	Forward           string // of which forwarding it is; "" for none
	Up                bool
	RTT               time.Duration // 0: not known yet
	Queries, Failures uint64
}

// List is one list in force.
type List struct {
	Name    string
	Entries int
	Fetched time.Time // zero: never, as for a list that is built in
}

// Guard is what the listeners held back.
type Guard struct {
	Limited                     []Limited
	OutsideAsked, OutsideClosed uint64 // questions and connections of networks that are not answered
	Sessions                    int    // open now
}

// DNSSEC is how validation goes.
type DNSSEC struct {
	Verdicts             map[string]uint64 // by a closed set of words
	Enforced             bool
	Requests, Signatures uint64
}

// Limited is how often one limit held somebody back.
type Limited struct {
	Limit string // a closed set of words
	Count uint64
}

// Journal is the state of the record's way to disk.
type Journal struct {
	Dropped, Written uint64
	Queued           int
	LastFlush        time.Time
}

// Alerts is the state of alerts and their mails.
type Alerts struct {
	Opened         map[monitor.Kind]uint64
	Dropped        uint64
	Unsent         int64
	Oldest         time.Time // when the oldest unsent mail was made; zero: there is none
	Sent, Failures uint64    // of mails
}

// Config is the fate of the last load of the configuration.
type Config struct {
	OK     bool
	Loaded time.Time // of the configuration that is in force
}

type sourceCollector struct {
	sources Sources
	build   [3]string
	now     func() time.Time
}

// Describe is part of prometheus.Collector.
func (c *sourceCollector) Describe(ch chan<- *prometheus.Desc) {
	for i := cacheEntries; i < lastMetric; i++ {
		ch <- i.desc()
	}
}

// Collect is part of prometheus.Collector.
func (c *sourceCollector) Collect(ch chan<- prometheus.Metric) {
	e, now, s := newEmitter(ch), c.now(), c.sources
	e.put(buildInfo, 1, c.build[0], c.build[1], c.build[2])
	if s.Cache != nil {
		v := s.Cache()
		e.put(cacheEntries, float64(v.Entries))
		e.put(cacheBytes, float64(v.Bytes))
		e.put(cacheHits, float64(v.Hits))
		e.put(cacheMisses, float64(v.Misses))
		e.put(cacheStale, float64(v.Stale))
		e.put(cacheEvictions, float64(v.Evictions))
	}
	if s.Upstreams != nil {
		for _, u := range s.Upstreams() {
			e.put(upstreamUp, truth(u.Up), u.Server, u.Forward)
			e.put(upstreamQueries, float64(u.Queries), u.Server, u.Forward)
			e.put(upstreamFailures, float64(u.Failures), u.Server, u.Forward)
			if u.RTT > 0 {
				e.put(upstreamRTT, u.RTT.Seconds(), u.Server, u.Forward)
			}
		}
	}
	if s.Lists != nil {
		for _, l := range s.Lists() {
			e.put(listEntries, float64(l.Entries), l.Name)
			if !l.Fetched.IsZero() {
				e.put(listAge, now.Sub(l.Fetched).Seconds(), l.Name)
			}
		}
	}
	if s.Problems != nil {
		e.put(listProblems, float64(s.Problems()))
	}
	if s.Dropped != nil {
		e.put(listenDropped, float64(s.Dropped()))
	}
	if s.Guard != nil {
		v := s.Guard()
		for _, l := range v.Limited {
			e.put(listenLimited, float64(l.Count), l.Limit)
		}
		e.put(listenOutside, float64(v.OutsideAsked), "question")
		e.put(listenOutside, float64(v.OutsideClosed), "connection")
		e.put(listenSessions, float64(v.Sessions))
	}
	if s.DNSSEC != nil {
		v := s.DNSSEC()
		for verdict, n := range v.Verdicts {
			e.put(dnssecVerdicts, float64(n), verdict)
		}
		e.put(dnssecEnforced, truth(v.Enforced))
		e.put(dnssecRequests, float64(v.Requests))
		e.put(dnssecSignatures, float64(v.Signatures))
	}
	if s.Panics != nil {
		e.put(panics, float64(s.Panics()))
	}
	if s.Page != nil {
		for outcome, n := range s.Page() {
			e.put(pageRequests, float64(n), outcome)
		}
	}
	if s.Certificate != nil {
		if end, ok := s.Certificate(); ok {
			e.put(certificateEnd, seconds(end))
		}
	}
	if s.Config != nil {
		v := s.Config()
		e.put(configOK, truth(v.OK))
		e.put(configTime, seconds(v.Loaded))
	}
	c.collectMonitor(e, now)
}

// collectMonitor is the part that the monitor's wing tells.
func (c *sourceCollector) collectMonitor(e *emitter, now time.Time) {
	s := c.sources
	if s.Journal != nil {
		v := s.Journal()
		e.put(journalDropped, float64(v.Dropped))
		e.put(journalWritten, float64(v.Written))
		e.put(journalQueued, float64(v.Queued))
		e.put(journalFlush, seconds(v.LastFlush))
	}
	if s.Alerts != nil {
		v := s.Alerts()
		for _, k := range []monitor.Kind{monitor.Blocked, monitor.Illegal, monitor.System} {
			e.put(alertsOpened, float64(v.Opened[k]), k.String())
		}
		e.put(alertsDropped, float64(v.Dropped))
		e.put(outboxUnsent, float64(v.Unsent))
		var age time.Duration
		if !v.Oldest.IsZero() {
			age = max(now.Sub(v.Oldest), 0)
		}
		e.put(outboxOldest, age.Seconds())
		e.put(mailSent, float64(v.Sent))
		e.put(mailFailures, float64(v.Failures))
	}
	if s.Conditions != nil {
		var by [monitor.Critical + 1]int
		for _, v := range s.Conditions(now) {
			if v.Severity <= monitor.Critical {
				by[v.Severity]++
			}
			e.put(condition, 1, v.Code, v.Severity.String())
		}
		for sev, n := range by {
			e.put(conditions, float64(n), monitor.Severity(sev).String())
		}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// seconds is Unix time as Prometheus wants it, 0 for the zero time.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
