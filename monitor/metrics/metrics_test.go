package metrics

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"schoolgate/blocklist/domain"
	"schoolgate/monitor"
	"schoolgate/resolver/query"
)

var noon = time.Date(2026, time.November, 14, 12, 0, 0, 0, time.UTC)

func testSources() Sources {
	return Sources{
		Certificate: func() (time.Time, bool) { return time.Unix(1_900_000_000, 0), true },
		Cache:       func() Cache { return Cache{Entries: 1, Bytes: 2, Hits: 3, Misses: 4, Stale: 5, Evictions: 6} },
		Upstreams: func() []Upstream {
			u := Upstream{Server: "tls://192.0.2.1:853", Up: true, RTT: 12 * time.Millisecond, Queries: 9, Failures: 1}
			return []Upstream{u, u, {Server: "udp://192.0.2.2:53"}} // one is configured twice
		},
		Lists: func() []List {
			return []List{{Name: "adult", Entries: 100, Fetched: time.Now().Add(-time.Hour)}, {Name: "starter", Entries: 5}, {Name: "bad\xff"}}
		},
		Problems: func() int { return 1 },
		Journal:  func() Journal { return Journal{Dropped: 1, Written: 2, Queued: 3, LastFlush: noon} },
		Alerts: func() Alerts {
			return Alerts{Opened: map[monitor.Kind]uint64{monitor.Illegal: 2}, Unsent: 1, Oldest: time.Now().Add(-time.Minute)}
		},
		Dropped: func() uint64 { return 7 },
		DNSSEC: func() DNSSEC {
			return DNSSEC{Verdicts: map[string]uint64{"secure": 5, "bogus": 1}, Enforced: true, Requests: 7, Signatures: 9}
		},
		Guard: func() Guard {
			return Guard{Limited: []Limited{{"client", 3}, {"spare", 4}}, OutsideAsked: 5, OutsideClosed: 6, Sessions: 7}
		},
		Panics: func() uint64 { return 0 },
		Page:   func() map[string]uint64 { return map[string]uint64{"closed": 3} },
		Config: func() Config { return Config{OK: true, Loaded: noon} },
		Conditions: func(time.Time) []monitor.Condition {
			c := monitor.Condition{Code: "lists.stale", Severity: monitor.Warning}
			return []monitor.Condition{c, c, {Code: "upstream.down", Severity: monitor.Critical}}
		},
	}
}

func testMetrics(lanes int) *Metrics {
	m := New(lanes, "1.2.3", testSources())
	m.SetLabels([]string{"children", "staff"}, []string{"pornography", "hate"})
	return m
}

func answered(lane int, group, category string, action query.Action, source query.Source, took time.Duration, rcode uint16) *query.Query {
	q := &query.Query{Lane: lane, Source: source, Duration: took, RCode: rcode}
	q.Client.Name, q.Client.Device = group, "alices-tablet"
	q.Verdict.Action, q.Verdict.Category = action, category
	if err := q.Question.Name.SetName(domain.MustParse("secret.example.com")); err != nil {
		panic(err)
	}
	return q
}

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}

// values picks the lines of a scrape that begin so.
func values(scraped string, prefixes ...string) (out []string) {
	for line := range strings.Lines(scraped) {
		for _, p := range prefixes {
			if strings.HasPrefix(line, p) {
				out = append(out, strings.TrimSpace(line))
			}
		}
	}
	return out
}

func nonZero(lines []string) (out []string) {
	for _, l := range lines {
		if !strings.HasSuffix(l, " 0") {
			out = append(out, l)
		}
	}
	return out
}

func TestDone(t *testing.T) {
	m := testMetrics(2)
	m.Done(answered(1, "children", "hate", query.Block, query.Policy, 30*time.Microsecond, 3))
	m.Done(answered(2, "children", "hate", query.Block, query.Policy, 2*time.Millisecond, 3))
	m.Done(answered(99, "staff", "", query.Block, query.Policy, time.Minute, 0))
	m.Done(answered(-1, "unheard-of", "new", query.Block, query.Policy, -time.Second, 5))
	m.Done(answered(0, "staff", "", query.Allow, query.Upstream, 20*time.Millisecond, 23))
	m.Done(answered(0, "staff", "", query.Action(9), query.Upstream, 0, 0))
	got := scrape(t, m)
	for name, tt := range map[string]struct {
		got, want []string
	}{
		"queries": {nonZero(values(got, "schoolgate_queries_total")), []string{
			`schoolgate_queries_total{group="children",proto="udp",source="policy",verdict="blocked"} 2`,
			`schoolgate_queries_total{group="other",proto="udp",source="policy",verdict="blocked"} 1`,
			`schoolgate_queries_total{group="staff",proto="udp",source="policy",verdict="blocked"} 1`,
			`schoolgate_queries_total{group="staff",proto="udp",source="upstream",verdict="allowed"} 1`,
		}},
		"blocked": {nonZero(values(got, "schoolgate_blocked_total")), []string{
			`schoolgate_blocked_total{category="hate",group="children"} 2`,
			`schoolgate_blocked_total{category="none",group="staff"} 1`,
			`schoolgate_blocked_total{category="other",group="other"} 1`,
		}},
		"responses": {nonZero(values(got, "schoolgate_responses_total")), []string{
			`schoolgate_responses_total{rcode="NOERROR"} 1`, `schoolgate_responses_total{rcode="NXDOMAIN"} 2`,
			`schoolgate_responses_total{rcode="REFUSED"} 1`, `schoolgate_responses_total{rcode="other"} 1`,
		}},
		"duration": {values(got, `schoolgate_query_duration_seconds_bucket{source="policy",le="5e-05"}`, `schoolgate_query_duration_seconds_bucket{source="policy",le="0.0025"}`,
			`schoolgate_query_duration_seconds_bucket{source="policy",le="5"}`, `schoolgate_query_duration_seconds_count{source="policy"}`, `schoolgate_query_duration_seconds_sum{source="policy"}`), []string{
			`schoolgate_query_duration_seconds_bucket{source="policy",le="5e-05"} 2`,
			`schoolgate_query_duration_seconds_bucket{source="policy",le="0.0025"} 3`,
			`schoolgate_query_duration_seconds_bucket{source="policy",le="5"} 3`,
			`schoolgate_query_duration_seconds_sum{source="policy"} 60.00203`,
			`schoolgate_query_duration_seconds_count{source="policy"} 4`,
		}},
	} {
		if d := cmp.Diff(tt.want, tt.got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	for _, s := range []string{"alices", "secret", "unheard-of"} {
		if strings.Contains(got, s) {
			t.Errorf("scrape holds %q", s)
		}
	}
}

func TestSources(t *testing.T) {
	got := scrape(t, testMetrics(1))
	for _, want := range []string{
		`schoolgate_cache_evictions_total 6`, `schoolgate_upstream_up{forward="",server="tls://192.0.2.1:853"} 1`,
		`schoolgate_upstream_up{forward="",server="udp://192.0.2.2:53"} 0`, `schoolgate_upstream_rtt_seconds{forward="",server="tls://192.0.2.1:853"} 0.012`,
		`schoolgate_list_entries{list="adult"} 100`, `schoolgate_list_problems 1`, `schoolgate_journal_dropped_rows_total 1`,
		`schoolgate_alerts_opened_total{kind="illegal"} 2`, `schoolgate_outbox_unsent 1`, `schoolgate_listen_dropped_total 7`,
		`schoolgate_config_last_reload_successful 1`, `schoolgate_health_conditions{severity="warning"} 2`,
		`schoolgate_health_condition{code="upstream.down",severity="critical"} 1`,
	} {
		if !strings.Contains(got, "\n"+want+"\n") {
			t.Errorf("scrape lacks %s", want)
		}
	}
	if n := strings.Count(got, `schoolgate_upstream_rtt_seconds{`); n != 1 {
		t.Errorf("%d round-trip times, want one: the other is not known", n)
	}
	if n := strings.Count(got, `schoolgate_list_age_seconds{`); n != 1 {
		t.Errorf("%d ages of lists, want one: the others were never fetched", n)
	}
	if empty := scrape(t, New(0, "", Sources{})); strings.Contains(empty, "schoolgate_cache") {
		t.Error("metrics of a source that is not there")
	}
}

func TestLint(t *testing.T) {
	// What testutil.GatherAndLint does, on a registry that also compares what is collected with what is described.
	m, pedantic := testMetrics(1), prometheus.NewPedanticRegistry()
	pedantic.MustRegister(&queryCollector{&m.counters}, &sourceCollector{sources: testSources(), now: time.Now})
	families, err := pedantic.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed; on Debian it is in the package prometheus")
	}
	cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(scrape(t, testMetrics(1)))
	if out, err := cmd.CombinedOutput(); err != nil || len(bytes.TrimSpace(out)) != 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

func TestNamesAreWhatIsServed(t *testing.T) {
	m := testMetrics(1)
	q := answered(0, "", "", query.Allow, query.Cache, 0, 0)
	q.Verdict.Pages = "feed"
	m.Done(q)
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	type shape struct{ Type, Help, Labels string }
	got, want := make(map[string]shape), make(map[string]shape)
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "schoolgate_") {
			continue
		}
		labels := make(map[string]bool)
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels[l.GetName()] = true
		}
		got[f.GetName()] = shape{strings.ToLower(f.GetType().String()), f.GetHelp(), strings.Join(sorted(labels), ",")}
	}
	for _, n := range Names() {
		labels := make(map[string]bool)
		for _, l := range n.Labels {
			labels[l] = true
		}
		want[n.Name] = shape{n.Type, n.Help, strings.Join(sorted(labels), ",")}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("Names and the scrape differ (-Names +scrape):\n%s", d)
	}
}

func sorted(set map[string]bool) (out []string) {
	for _, k := range []string{"category", "code", "goversion", "group", "kind", "list", "outcome", "proto", "rcode", "revision", "server", "severity", "source", "verdict", "version"} {
		if set[k] {
			out = append(out, k)
		}
		delete(set, k)
	}
	for k := range set {
		out = append(out, "unexpected label "+k)
	}
	return out
}

func TestLanesAddUp(t *testing.T) {
	const lanes, each = 8, 5000
	m := testMetrics(lanes)
	var wg sync.WaitGroup
	for i := range 2 * lanes { // half of them share lane 0
		wg.Go(func() {
			q := answered(max(i-lanes+1, 0), "children", "hate", query.Block, query.Policy, time.Millisecond, 3)
			for range each {
				m.Done(q)
			}
		})
	}
	wg.Go(func() {
		for i := range 20 {
			m.SetLabels([]string{"later-" + string(rune('a'+i))}, []string{"more"})
			scrape(t, m)
		}
	})
	wg.Wait()
	want := []string{`schoolgate_queries_total{group="children",proto="udp",source="policy",verdict="blocked"} 80000`}
	if d := cmp.Diff(want, nonZero(values(scrape(t, m), "schoolgate_queries_total"))); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestLabelsAreBoundedAndKeepTheirCounts(t *testing.T) {
	m := testMetrics(0)
	m.Done(answered(0, "staff", "hate", query.Block, query.Policy, 0, 0))
	for i := range 1000 {
		m.SetLabels([]string{"g" + strings.Repeat("x", i)}, []string{"c" + strings.Repeat("y", i)})
	}
	m.Done(answered(0, "g"+strings.Repeat("x", 999), "c", query.Block, query.Policy, 0, 0))
	l := m.labels.Load()
	if len(l.groupNames) != maxNames+1 || len(l.categoryList) != maxNames+1 {
		t.Errorf("%d groups, %d categories; want %d of each", len(l.groupNames), len(l.categoryList), maxNames+1)
	}
	want := []string{`schoolgate_blocked_total{category="c",group="other"} 1`, `schoolgate_blocked_total{category="hate",group="staff"} 1`}
	if d := cmp.Diff(want, nonZero(values(scrape(t, m), "schoolgate_blocked_total"))); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestDoneDoesNotAllocate(t *testing.T) {
	m := testMetrics(1)
	blocked := answered(1, "children", "hate", query.Block, query.Policy, time.Millisecond, 3)
	allowed := answered(1, "children", "", query.Allow, query.Cache, time.Millisecond, 0)
	if n := testing.AllocsPerRun(1000, func() { m.Done(blocked); m.Done(allowed) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestHandler(t *testing.T) {
	srv := httptest.NewServer(testMetrics(1).Handler())
	defer srv.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/plain;version=0.0.4")
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Contains(body, []byte("go_goroutines")) || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("%v, %s, %d bytes", err, resp.Header.Get("Content-Type"), len(body))
	}
}

func BenchmarkDone(b *testing.B) {
	m := testMetrics(1)
	q := answered(1, "children", "hate", query.Block, query.Policy, time.Millisecond, 3)
	b.ReportAllocs()
	for b.Loop() {
		m.Done(q)
	}
}

// TestTierIsCountedByListAlone: what the illegal tier speaks of is counted by list and outcome, and by nothing else.
func TestTierIsCountedByListAlone(t *testing.T) {
	m := testMetrics(1)
	count := func(v query.Verdict) {
		q := answered(0, "children", v.Category, v.Action, query.Policy, 0, 3)
		q.Verdict = v
		m.Done(q)
	}
	count(query.Verdict{Action: query.Block, Rule: query.Illegal, Category: "illegal", List: "feed"})
	count(query.Verdict{Action: query.Block, Rule: query.IllegalURL, List: "feed"})
	count(query.Verdict{Pages: "feed"})
	count(query.Verdict{Pages: "feed", Rule: query.OwnAllow})
	count(query.Verdict{Action: query.Block, Rule: query.Category, Pages: "feed"})
	text := scrape(t, m)
	for _, line := range []string{
		`schoolgate_illegal_questions_total{list="feed",outcome="refused"} 1`,
		`schoolgate_illegal_questions_total{list="feed",outcome="whole-host"} 1`,
		`schoolgate_illegal_questions_total{list="feed",outcome="passed"} 2`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	if n := strings.Count(text, "schoolgate_illegal_questions_total{"); n != 3 {
		t.Errorf("%d series", n)
	}
}
