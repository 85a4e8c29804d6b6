// Package metrics counts queries and shows the box to Prometheus; it is the only package that knows Prometheus.
//
// Labels come from closed sets: groups and categories of the configuration, lists, upstream servers, and the words of
// package query. A device, a site or a person is never one. What is not known becomes "other".
package metrics

import (
	"net/http"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"schoolgate/resolver/query"
)

// Metrics counts queries. Done and SetLabels may be called from any goroutine at any time.
type Metrics struct {
	counters
	registry *prometheus.Registry
}

// New makes the counters for queries of lanes 0…lanes, and reads everything else from sources at each scrape. version
// is what the binary calls itself.
func New(lanes int, version string, sources Sources) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.lanes = make([]*lane, max(lanes, 0)+1)
	for i := range m.lanes {
		m.lanes[i] = new(lane)
	}
	m.labels.Store(newLabels(nil, nil))
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&queryCollector{&m.counters},
		&sourceCollector{sources: sources, build: [3]string{version, runtime.Version(), revision()}, now: time.Now},
	)
	return m
}

// SetLabels makes these groups and categories known, in addition to all that were before: a counter does not vanish. Of
// each at most 64 can be told apart; further ones count as "other".
func (m *Metrics) SetLabels(groups, categories []string) {
	m.setMu.Lock()
	defer m.setMu.Unlock()
	m.labels.Store(m.labels.Load().with(groups, categories))
}

// Done counts one answered query, without a lock or an allocation.
func (m *Metrics) Done(q *query.Query) { m.count(q) }

// Handler serves the metrics in the formats that Prometheus asks for. It runs at most four scrapes at a time.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4, Timeout: 10 * time.Second,
	})
}

func revision() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value
			}
		}
	}
	return "unknown"
}
