package metrics

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"schoolgate/resolver/query"
)

// queryCollector shows the counters. Series of known groups and categories exist from the start with 0, so that a first
// event is a rise; those of "other" appear when something was counted there.
type queryCollector struct{ *counters }

// Describe is part of prometheus.Collector.
func (c *queryCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, i := range []id{queries, blocked, duration, responses, tierQuestions, signals} {
		ch <- i.desc()
	}
}

// Collect is part of prometheus.Collector.
func (c *queryCollector) Collect(ch chan<- prometheus.Metric) {
	e, names := newEmitter(ch), c.labels.Load()
	for g, group := range names.groupNames {
		c.collectGroup(e, g, group)
		for k, category := range names.categoryList {
			n := c.sum(func(l *lane) *atomic.Uint64 { return &l.blocked[k][g] })
			if n > 0 || k > 0 && g > 0 {
				e.put(blocked, n, category, group)
			}
		}
	}
	for s := range numSources {
		c.collectDurations(e, s)
	}
	c.tier.Range(func(k, n any) bool {
		e.put(tierQuestions, float64(n.(*atomic.Uint64).Load()), k.(tierKey).list, k.(tierKey).outcome)
		return true
	})
	for i, name := range signalNames {
		e.put(signals, c.sum(func(l *lane) *atomic.Uint64 { return &l.signals[i] }), name)
	}
	for i, name := range codeNames {
		e.put(responses, c.sum(func(l *lane) *atomic.Uint64 { return &l.codes[i] }), name)
	}
}

func (c *queryCollector) collectGroup(e *emitter, g int, group string) {
	for a := range numActions {
		for s := range numSources {
			for p := range numProtos {
				n := c.sum(func(l *lane) *atomic.Uint64 { return &l.queries[g][a][s][p] })
				if n > 0 || g > 0 {
					e.put(queries, n, group, query.Action(a).String(), query.Source(s).String(), query.Proto(p).String())
				}
			}
		}
	}
}

func (c *queryCollector) collectDurations(e *emitter, s int) {
	source := query.Source(s).String()
	d, ok := e.desc(duration, []string{source})
	if !ok {
		return
	}
	var total uint64
	cumulative := make(map[float64]uint64, len(buckets))
	for b := range len(buckets) + 1 {
		for _, l := range c.lanes {
			total += l.durations[s][b].Load()
		}
		if b < len(buckets) {
			cumulative[buckets[b].Seconds()] = total
		}
	}
	nanos := c.sum(func(l *lane) *atomic.Uint64 { return &l.nanos[s] })
	e.ch <- prometheus.MustNewConstHistogram(d, total, nanos/float64(time.Second), cumulative, source)
}
