//go:build linux

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseDnsperf(t *testing.T) {
	said := `DNS Performance Testing Tool
[Status] Started at: Sun Nov 22 00:22:36 2026
> NXDOMAIN blocked.example A 0.500000
> NOERROR site1.lesson.example A 0.000200
> NOERROR blocked.example A 0.000300
> T site2.lesson.example A

Statistics:

  Queries sent:         4
  Queries completed:    3 (75.00%)
  Queries lost:         1 (25.00%)
`
	o, err := parseDnsperf(strings.NewReader(said), 1, false)
	if err != nil {
		t.Fatal(err)
	}
	got := []uint64{o.sent, o.lost, o.wrong, o.latency.total}
	if d := cmp.Diff([]uint64{4, 1, 1, 2}, got); d != "" {
		t.Errorf("sent, lost, wrong, latencies counted (-want +got):\n%s", d)
	}
	if _, err := parseDnsperf(strings.NewReader("nothing\n"), 0, false); err == nil {
		t.Error("a log without questions is taken")
	}
}

func TestProc(t *testing.T) {
	d, err := parseStat([]byte("7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 1 0 1 1 1"))
	if err != nil || d != 2*time.Second {
		t.Errorf("stat: %v, %v", d, err)
	}
	d, err = parseSchedstat([]byte("1500000 30 4\n"))
	if err != nil || d != 1500*time.Microsecond {
		t.Errorf("schedstat: %v, %v", d, err)
	}
	n, err := field([]byte("Name:\tx\nRssAnon:\t   12 kB\n"), "RssAnon:")
	if err != nil || n != 12 {
		t.Errorf("field: %v, %v", n, err)
	}
	for what, err := range map[string]error{
		"stat": second(parseStat([]byte("7 (a) S"))), "schedstat": second(parseSchedstat(nil)), "field": second(field(nil, "RssAnon:")),
	} {
		if err == nil {
			t.Errorf("%s: nothing is taken for a number", what)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestParseMetrics(t *testing.T) {
	got, err := parseMetrics(strings.NewReader("# HELP a_total words\na_total{x=\"1 2\"} 3\na_total{x=\"2\"} 4\nb 1e+06\n"))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(map[string]float64{"a_total": 7, "b": 1e6}, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestParseBenchmarks(t *testing.T) {
	got, err := parseBenchmarks(strings.NewReader("goos: linux\nBenchmarkLookup/allowed/1M-2   100   81.5 ns/op   9.5 bytes/name   0 B/op   0 allocs/op\nPASS\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []benchmark{{"Lookup/allowed/1M", map[string]float64{"ns/op": 81.5, "bytes/name": 9.5, "B/op": 0, "allocs/op": 0}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestBetween(t *testing.T) {
	got, err := between("before\n"+firstMark+"old\n"+lastMark+"after\n", "new\n")
	if want := "before\n" + firstMark + "new\n" + lastMark + "after\n"; err != nil || got != want {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := between("no marks", "new"); err == nil {
		t.Error("a page without marks is taken")
	}
}

func TestSpread(t *testing.T) {
	echo := &measured{Server: echoName, Rounds: []figures{{qps: 10}, {qps: 20}, {qps: 40}}}
	m := &measured{Server: "x", Rounds: []figures{{qps: 5}, nil, {qps: 10}}} // it did not finish round 2
	if d := cmp.Diff(spread{Median: 7.5, Min: 5, Max: 10, Rounds: 2}, m.spread(qps)); d != "" {
		t.Errorf("spread (-want +got):\n%s", d)
	}
	if d := cmp.Diff(spread{Median: 0.375, Min: 0.25, Max: 0.5, Rounds: 2}, m.ratio(echo, qps)); d != "" {
		t.Errorf("ratio (-want +got):\n%s", d)
	}
	if d := cmp.Diff(spread{Median: 20, Min: 10, Max: 40, Rounds: 3}, echo.spread(qps)); d != "" {
		t.Errorf("spread of three (-want +got):\n%s", d)
	}
	var table strings.Builder
	writeTable(&table, []*measured{echo, m})
	if want := "| x | 0.0k [0.0k–0.0k] | – |"; !strings.Contains(table.String(), want) {
		t.Errorf("no %q in\n%s", want, &table)
	}
}

func TestHistogram(t *testing.T) {
	var h histogram
	if h.quantile(0.5) != 0 {
		t.Error("an empty histogram has a middle")
	}
	for i := 1; i <= 1000; i++ {
		h.add(time.Duration(i) * time.Microsecond)
	}
	for _, p := range []float64{0.01, 0.5, 0.99, 0.999} {
		got, want := h.quantile(p).Seconds(), p*1e-3
		if got < want*0.97 || got > want*1.03 {
			t.Errorf("quantile %v: %v, want %v within 3 %%", p, got, want)
		}
	}
	for _, d := range []time.Duration{0, 1, 63, 64, 127, 128, 1000, time.Second, time.Hour} {
		if m := middle(bucket(uint64(d))); m < uint64(d)-uint64(d)/64 || m > uint64(d)+uint64(d)/64 {
			t.Errorf("%d ns stands as %d", d, m)
		}
	}
}

func TestVersionAndWanted(t *testing.T) {
	for only, want := range map[string]bool{"": true, "schoolgate": true, "dnsmasq, school": true, "dns": false, ",": false} {
		if wanted(only, "Schoolgate, logging") != want {
			t.Errorf("--only %q: %v", only, !want)
		}
	}
}
