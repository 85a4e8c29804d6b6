//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// figures are what one round found of one server.
type figures map[string]float64

// The figures, by their keys in the JSON form.
const (
	load1      = "load_s"
	qps        = "mix_qps"
	cpuFull    = "cpu_us_full"
	cpuLow     = "cpu_us_5000"
	p50        = "p50_us_20000"
	p99        = "p99_us_20000"
	p999       = "p999_us_20000"
	cold       = "cold_qps"
	cpuCold    = "cpu_us_cold"
	coldLost   = "cold_lost"
	rssAnon    = "rss_anon_mb"
	rssFile    = "rss_file_mb"
	bytesRow   = "written_bytes_per_query"
	lostFixed  = "lost_at_fixed_rates"
	lostFull   = "lost_full"
	wrongAll   = "wrong"
	answeredAl = "answered"
	rowsLog    = "rows"
	droppedRow = "rows_dropped"
)

// bench is one run of this program.
type bench struct {
	dir      string
	binary   string
	names    *names
	upstream *upstream
	dnsperf  bool
	perf     string // file of questions for dnsperf
	core     int    // of the server
	fixed    time.Duration
	full     time.Duration
	missing  time.Duration
	say      func(format string, args ...any)
}

// The rates that a school sees at most, and at which latency is compared.
const (
	lowRate  = 5000
	midRate  = 20000
	window   = 128 // fits into the receive buffer that a socket has when nobody asks for more
	discard  = time.Second
	settling = 2500 * time.Millisecond // longer than anybody's delay in writing
)

// round measures one server once.
func (b *bench) round(ctx context.Context, s *server, number int) (f figures, err error) {
	r, err := b.start(ctx, s)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(r.dir)
	defer r.stop()
	f = figures{load1: r.loaded.Seconds()}
	m := &measuring{bench: b, server: s, running: r, f: f}
	if !s.plain {
		if err := m.fixedRates(ctx); err != nil {
			return nil, err
		}
		if err := m.fullSpeed(ctx); err != nil {
			return nil, err
		}
	}
	if !s.echo {
		if err := m.misses(ctx, number); err != nil {
			return nil, err
		}
	}
	anon, file, err := memory(r.pid())
	if err != nil {
		return nil, err
	}
	f[rssAnon], f[rssFile] = float64(anon)/1e6, float64(file)/1e6
	if s.program == b.binary {
		return f, m.record(ctx)
	}
	return f, nil
}

func (b *bench) start(ctx context.Context, s *server) (*running, error) {
	dir, err := os.MkdirTemp(b.dir, "server-")
	if err != nil {
		return nil, fmt.Errorf("making a folder: %w", err)
	}
	p := &place{dir: dir, upstream: b.upstream.port, core: b.core, names: b.names}
	if p.port, err = freePort(); err == nil {
		p.http, err = freePort()
	}
	if err != nil {
		return nil, err
	}
	r, err := start(ctx, s, p)
	if err != nil {
		os.RemoveAll(dir)
	}
	return r, err
}

// measuring is a server in its round.
type measuring struct {
	*bench
	*server
	*running
	f figures
}

// drive runs a load and adds up what must be right in every one.
func (m *measuring) drive(ctx context.Context, l load) (*outcome, error) {
	l.to = m.addr
	o, err := drive(ctx, l)
	if err == nil {
		m.count(o)
	}
	return o, err
}

func (m *measuring) count(o *outcome) {
	m.f[wrongAll] += float64(o.wrong)
	if o.oddity != "" {
		m.say("%s: wrong answer: %s", m.server.name, o.oddity)
	}
	m.f[answeredAl] += float64(o.sent - o.lost)
}

// timed makes a load tell the server's processor time of its counted part.
func (m *measuring) timed(l *load) (cpu func() time.Duration) {
	var from, to time.Duration
	l.begin = func() { from, _ = cpuTime(m.pid()) }
	l.end = func() { to, _ = cpuTime(m.pid()) }
	return func() time.Duration { return to - from }
}

// warmUp brings all cached names into the cache.
func (m *measuring) warmUp(ctx context.Context) error {
	w := wantAddress
	if m.echo {
		w = wantEcho
	}
	for range 5 { // one that is lost is asked for again
		o, err := drive(ctx, load{to: m.addr, next: each(m.bench.names.cached, w), window: 16, span: 10 * time.Second, most: len(m.bench.names.cached)})
		if err != nil {
			return err
		}
		m.f[answeredAl] += float64(o.sent - o.lost)
		if o.lost == 0 && o.wrong == 0 {
			return nil
		}
	}
	return fmt.Errorf("%s does not answer for all names that it should cache", m.server.name)
}

// fixedRates measures what a school would see.
func (m *measuring) fixedRates(ctx context.Context) error {
	if err := m.warmUp(ctx); err != nil {
		return err
	}
	before, _ := written(m.pid())
	var asked uint64
	for _, rate := range []float64{lowRate, midRate} {
		o, cpu, err := m.atRate(ctx, rate, m.fixed)
		if err != nil {
			return err
		}
		asked += o.sent
		m.f[lostFixed] += float64(o.lost)
		if rate == lowRate {
			m.f[cpuLow] = micros(cpu) / float64(max(o.answered, 1))
			continue
		}
		m.f[p50], m.f[p99], m.f[p999] = micros(o.latency.quantile(0.5)), micros(o.latency.quantile(0.99)), micros(o.latency.quantile(0.999))
	}
	if m.logs {
		sleep(ctx, settling)
		after, err := written(m.pid())
		if err != nil {
			return err
		}
		m.f[bytesRow] = float64(after-before) / float64(asked)
	}
	return nil
}

// atRate drives the mix at a fixed rate, with dnsperf where it is installed.
func (m *measuring) atRate(ctx context.Context, rate float64, span time.Duration) (*outcome, time.Duration, error) {
	l := load{to: m.addr, rate: rate, window: 2000, warm: discard, span: span}
	cpu := m.timed(&l)
	if m.dnsperf {
		o, err := dnsperf(ctx, m.perf, l, m.echo)
		if err != nil {
			return nil, 0, err
		}
		m.count(o)
		return o, cpu(), nil
	}
	l.next = mixed(m.bench.names, m.echo)
	o, err := m.drive(ctx, l)
	if err != nil {
		return nil, 0, err
	}
	return o, cpu(), nil
}

func (m *measuring) fullSpeed(ctx context.Context) error {
	l := load{next: mixed(m.bench.names, m.echo), window: window, warm: discard, span: m.full}
	cpu := m.timed(&l)
	o, err := m.drive(ctx, l)
	if err != nil {
		return err
	}
	m.f[qps], m.f[lostFull] = o.perSecond(), float64(o.lost)
	m.f[cpuFull] = micros(cpu()) / float64(max(o.answered, 1))
	return nil
}

// misses asks for names that nobody has cached.
func (m *measuring) misses(ctx context.Context, number int) error {
	l := load{next: distinct(fmt.Sprint("r", number)), window: window, warm: discard, span: m.missing}
	cpu := m.timed(&l)
	o, err := m.drive(ctx, l)
	if err != nil {
		return err
	}
	m.f[cold], m.f[coldLost] = o.perSecond(), float64(o.lost)
	m.f[cpuCold] = micros(cpu()) / float64(max(o.answered, 1))
	return nil
}

// record stops the appliance and compares its record with what was answered.
func (m *measuring) record(ctx context.Context) error {
	sleep(ctx, settling)
	metrics, err := scrape(ctx, m.place)
	if err != nil {
		return err
	}
	m.stop()
	n, err := rows(ctx, m.binary, m.place)
	m.f[rowsLog], m.f[droppedRow] = float64(n), metrics["schoolgate_journal_dropped_rows_total"]
	return err
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// onDisk says whether what is written below dir is counted as written to a disk.
func onDisk(dir string) bool {
	probe := filepath.Join(dir, "probe")
	defer os.Remove(probe)
	before, err := written(os.Getpid())
	if err != nil || os.WriteFile(probe, make([]byte, 1<<20), 0o600) != nil {
		return false
	}
	after, err := written(os.Getpid())
	return err == nil && after > before
}
