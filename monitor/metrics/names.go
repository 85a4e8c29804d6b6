package metrics

import (
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Metric describes one metric, for the documentation.
type Metric struct {
	Name   string
	Type   string // counter, gauge or histogram
	Help   string
	Labels []string
}

// Names lists all metrics of this package, by name; those of the Go runtime and the process (go_…, process_…) are
// Prometheus's own and not in it.
func Names() []Metric {
	out := make([]Metric, 0, int(lastMetric))
	for _, m := range table {
		m.Labels = slices.Clone(m.Labels)
		out = append(out, m)
	}
	return out
}

type id int

const (
	queries id = iota
	blocked
	duration
	responses
	tierQuestions
	signals
	cacheEntries
	cacheBytes
	cacheHits
	cacheMisses
	cacheStale
	cacheEvictions
	upstreamUp
	upstreamRTT
	upstreamQueries
	upstreamFailures
	listEntries
	listAge
	listProblems
	journalDropped
	journalWritten
	journalQueued
	journalFlush
	alertsOpened
	alertsDropped
	outboxUnsent
	outboxOldest
	mailSent
	mailFailures
	listenDropped
	listenLimited
	listenOutside
	listenSessions
	dnssecVerdicts
	dnssecEnforced
	dnssecRequests
	dnssecSignatures
	panics
	pageRequests
	configOK
	configTime
	certificateEnd
	conditions
	condition
	buildInfo
	lastMetric
)

var table = [lastMetric]Metric{
	queries:          {"schoolgate_queries_total", "counter", "Queries answered, by group of the client, verdict (allowed, blocked, rewritten), source of the answer (none, policy, cache, stale, upstream, local) and transport (udp, tcp, tls, https, quic).", []string{"group", "verdict", "source", "proto"}},
	blocked:          {"schoolgate_blocked_total", "counter", "Queries refused, by category of the list that decided (none: no list did; blocked-upstream and rebinding: an upstream's reply did) and group of the client.", []string{"category", "group"}},
	duration:         {"schoolgate_query_duration_seconds", "histogram", "Time from taking a query to answering it, by source of the answer.", []string{"source"}},
	responses:        {"schoolgate_responses_total", "counter", "Answers, by response code.", []string{"rcode"}},
	tierQuestions:    {"schoolgate_illegal_questions_total", "counter", "Questions that a list of the illegal tier speaks of, by list and what became of them (refused; whole-host: for pages of it, which DNS cannot see; passed: the same, where the group lets them).", []string{"list", "outcome"}},
	signals:          {"schoolgate_signals_total", "counter", "Questions by which devices ask whether they may go around the filter, refused, by signal.", []string{"signal"}},
	cacheEntries:     {"schoolgate_cache_entries", "gauge", "Answers in the cache.", nil},
	cacheBytes:       {"schoolgate_cache_bytes", "gauge", "Memory that the cache takes.", nil},
	cacheHits:        {"schoolgate_cache_hits_total", "counter", "Look-ups that found a fresh answer.", nil},
	cacheMisses:      {"schoolgate_cache_misses_total", "counter", "Look-ups that found no fresh answer.", nil},
	cacheStale:       {"schoolgate_cache_stale_total", "counter", "Answers served past their time because no upstream answered.", nil},
	cacheEvictions:   {"schoolgate_cache_evictions_total", "counter", "Answers thrown out for want of room.", nil},
	upstreamUp:       {"schoolgate_upstream_up", "gauge", "1 while the server answers, else 0.", []string{"server", "forward"}},
	upstreamRTT:      {"schoolgate_upstream_rtt_seconds", "gauge", "Smoothed time that the server takes to answer.", []string{"server", "forward"}},
	upstreamQueries:  {"schoolgate_upstream_queries_total", "counter", "Queries sent to the server.", []string{"server", "forward"}},
	upstreamFailures: {"schoolgate_upstream_failures_total", "counter", "Queries to the server that brought no usable answer.", []string{"server", "forward"}},
	listEntries:      {"schoolgate_list_entries", "gauge", "Rules in the list that is in force.", []string{"list"}},
	listAge:          {"schoolgate_list_age_seconds", "gauge", "Time since the list was last confirmed to be current.", []string{"list"}},
	listProblems:     {"schoolgate_list_problems", "gauge", "Lists whose last update did not work; the last good copy is in force.", nil},
	journalDropped:   {"schoolgate_journal_dropped_rows_total", "counter", "Rows of the record that were lost because the disk did not keep up.", nil},
	journalWritten:   {"schoolgate_journal_written_rows_total", "counter", "Rows of the record written to disk.", nil},
	journalQueued:    {"schoolgate_journal_queued_rows", "gauge", "Rows of the record in memory, not on disk yet.", nil},
	journalFlush:     {"schoolgate_journal_last_flush_timestamp_seconds", "gauge", "When rows were last written to disk; 0 before the first time.", nil},
	alertsOpened:     {"schoolgate_alerts_opened_total", "counter", "Alerts opened, by kind (blocked, illegal, system).", []string{"kind"}},
	alertsDropped:    {"schoolgate_alerts_dropped_total", "counter", "Blocks that made no alert because too many came at once.", nil},
	outboxUnsent:     {"schoolgate_outbox_unsent", "gauge", "Mails that the mail server has not taken yet.", nil},
	outboxOldest:     {"schoolgate_outbox_oldest_unsent_age_seconds", "gauge", "Age of the oldest mail that is not sent; 0 when there is none.", nil},
	mailSent:         {"schoolgate_mail_sent_total", "counter", "Mails that the mail server has taken.", nil},
	mailFailures:     {"schoolgate_mail_failures_total", "counter", "Attempts to send mail that did not work.", nil},
	listenDropped:    {"schoolgate_listen_dropped_total", "counter", "Queries dropped unanswered because too many were in flight.", nil},
	listenLimited:    {"schoolgate_listen_limited_total", "counter", "What was over a limit, by limit: questions over UDP (client; lost: of these, those dropped unanswered), over streams (stream), of networks without proof (network); answers that said the same too often (answers) or were too long for what came (spare); connections ended for a newcomer (sessions) or refused (client_sessions).", []string{"limit"}},
	listenOutside:    {"schoolgate_listen_outside_total", "counter", "Questions and connections of networks that dns.allow does not name.", []string{"kind"}},
	listenSessions:   {"schoolgate_listen_sessions", "gauge", "Connections open now, over TCP and what is above it.", nil},
	dnssecVerdicts:   {"schoolgate_dnssec_answers_total", "counter", "Answers of upstreams, by what validation says of them (secure, insecure, bogus, indeterminate: what is needed to judge could not be had; unjudged: exempt, or asked for without).", []string{"verdict"}},
	dnssecEnforced:   {"schoolgate_dnssec_enforced", "gauge", "1 while answers that fail validation are refused, else 0.", nil},
	dnssecRequests:   {"schoolgate_dnssec_requests_total", "counter", "Questions sent upstream for keys and proofs alone.", nil},
	dnssecSignatures: {"schoolgate_dnssec_signatures_total", "counter", "Signatures computed.", nil},
	panics:           {"schoolgate_panics_total", "counter", "Queries that met a programming error and were answered with SERVFAIL.", nil},
	pageRequests:     {"schoolgate_page_requests_total", "counter", "Requests for the block page, by what became of them (closed: it was shown for a refused site; elsewhere: the site is not refused; asked, limited, failed, invalid: somebody asked for a site to be looked at).", []string{"outcome"}},
	configOK:         {"schoolgate_config_last_reload_successful", "gauge", "1 when the last load of the configuration worked, else 0: the one before is in force.", nil},
	certificateEnd:   {"schoolgate_certificate_end_timestamp_seconds", "gauge", "When the certificate for encrypted DNS ends.", nil},
	configTime:       {"schoolgate_config_last_reload_success_timestamp_seconds", "gauge", "When the configuration was last loaded with success.", nil},
	conditions:       {"schoolgate_health_conditions", "gauge", "Conditions of health that hold now, by severity (info, notice, warning, critical).", []string{"severity"}},
	condition:        {"schoolgate_health_condition", "gauge", "1 for each condition of health that holds now, by its code and severity.", []string{"code", "severity"}},
	buildInfo:        {"schoolgate_build_info", "gauge", "Always 1; the labels say what is running.", []string{"version", "goversion", "revision"}},
}

func (i id) desc() *prometheus.Desc {
	return prometheus.NewDesc(table[i].Name, table[i].Help, table[i].Labels, nil)
}

func (i id) kind() prometheus.ValueType {
	if table[i].Type == "counter" {
		return prometheus.CounterValue
	}
	return prometheus.GaugeValue
}

// emitter hands metrics of the table to a scrape. A label set that came already is left out: one double name of a list
// must not spoil the whole scrape.
type emitter struct {
	ch    chan<- prometheus.Metric
	descs map[id]*prometheus.Desc
	seen  map[string]bool
}

func newEmitter(ch chan<- prometheus.Metric) *emitter {
	return &emitter{ch: ch, descs: make(map[id]*prometheus.Desc), seen: make(map[string]bool)}
}

func (e *emitter) desc(i id, labels []string) (*prometheus.Desc, bool) {
	key := table[i].Name
	for _, l := range labels {
		key += "\xff" + l
	}
	if e.seen[key] {
		return nil, false
	}
	e.seen[key] = true
	if e.descs[i] == nil {
		e.descs[i] = i.desc()
	}
	return e.descs[i], true
}

func (e *emitter) put(i id, v float64, labels ...string) {
	for n, l := range labels {
		labels[n] = strings.ToValidUTF8(l, "?") // anything else makes Prometheus's client panic
	}
	if d, ok := e.desc(i, labels); ok {
		e.ch <- prometheus.MustNewConstMetric(d, i.kind(), v, labels...)
	}
}
