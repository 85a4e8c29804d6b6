//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// extras are what is asked of Schoolgate alone: the record at a steady 50,000 questions a second, what a quiet school
// writes, and new lists taken into use under load. They are sentences, and go below the table.
func (b *bench) extras(ctx context.Context, s *server, full float64, steady, quiet time.Duration) (said []string, err error) {
	r, err := b.start(ctx, s)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(r.dir)
	defer r.stop()
	m := &measuring{bench: b, server: s, running: r, f: figures{}}
	if err := m.warmUp(ctx); err != nil {
		return nil, err
	}
	for _, part := range []func() (string, error){
		func() (string, error) { return m.quiet(ctx, 20, quiet) },
		func() (string, error) { return m.swap(ctx, 0.8*full) },
		func() (string, error) { return m.steady(ctx, 50000, steady) },
	} {
		line, err := part()
		if err != nil {
			return said, err
		}
		said = append(said, line)
	}
	return said, nil
}

// quiet is what is written at the rate of a small school, where a batch holds few rows.
func (m *measuring) quiet(ctx context.Context, rate float64, span time.Duration) (string, error) {
	sleep(ctx, settling)
	before, err := written(m.pid())
	if err != nil {
		return "", err
	}
	o, err := m.drive(ctx, load{next: mixed(m.bench.names, false), rate: rate, window: window, span: span})
	if err != nil {
		return "", err
	}
	sleep(ctx, settling)
	after, err := written(m.pid())
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("At %.0f queries/s for %v: %.0f bytes written per logged query, WAL included; %d of %d lost.", rate, span,
		float64(after-before)/float64(max(o.sent, 1)), o.lost, o.sent), nil
}

// steady is whether the record keeps up.
func (m *measuring) steady(ctx context.Context, rate float64, span time.Duration) (string, error) {
	before, err := scrape(ctx, m.place)
	if err != nil {
		return "", err
	}
	wrote, _ := written(m.pid())
	o, err := m.drive(ctx, load{next: mixed(m.bench.names, false), rate: rate, window: maxWindow, warm: discard, span: span})
	if err != nil {
		return "", err
	}
	sleep(ctx, settling)
	after, err := scrape(ctx, m.place)
	if err != nil {
		return "", err
	}
	now, _ := written(m.pid())
	const dropped, kept = "schoolgate_journal_dropped_rows_total", "schoolgate_journal_written_rows_total"
	return fmt.Sprintf("At %.0f queries/s for %v: %.0f queries/s answered, %d of %d lost; %.0f rows written, %.0f dropped, %.0f bytes written per row, WAL included.",
		rate, span, o.perSecond(), o.lost, o.sent, after[kept]-before[kept], after[dropped]-before[dropped],
		float64(now-wrote)/max(after[kept]-before[kept], 1)), nil
}

// swap loads a list with one more name while the appliance answers, and compares the seconds before with those after. The
// compiler runs on the server's core as well.
func (m *measuring) swap(ctx context.Context, rate float64) (string, error) {
	const before, all = 4, 16
	if err := m.writeList(append([]string{"added.example"}, m.bench.names.blocked...)); err != nil {
		return "", err
	}
	took := make(chan string, 1)
	var peak atomic.Int64
	go func() {
		sleep(ctx, before*time.Second)
		begin := time.Now()
		if err := updateLists(ctx, m.binary, m.place, m.bench.core); err != nil {
			took <- err.Error()
			return
		}
		took <- fmt.Sprintf("compiled in %.1f s", time.Since(begin).Seconds())
	}()
	go func() {
		for range all * 10 {
			sleep(ctx, 100*time.Millisecond)
			if anon, _, err := memory(m.pid()); err == nil {
				peak.Store(max(peak.Load(), anon))
			}
		}
	}()
	o, err := m.drive(ctx, load{next: mixed(m.bench.names, false), rate: rate, window: maxWindow, span: all * time.Second, keepUp: true})
	if err != nil {
		return "", err
	}
	how := <-took
	var worst, usual histogram
	for i := range o.seconds[1:all] {
		h := &o.seconds[1+i]
		if 1+i < before {
			usual.merge(h)
		} else if h.quantile(0.999) > worst.quantile(0.999) {
			worst = *h
		}
	}
	was, is := micros(usual.quantile(0.999)), micros(worst.quantile(0.999))
	return strings.TrimSpace(fmt.Sprintf("New lists at %.0f queries/s, 80 %% of full speed (%s, on the server's core): %d of %d lost, p99.9 %.0f µs before and %.0f µs in the worst second (× %.1f); own memory at most %.0f MB.",
		rate, how, o.lost, o.sent, was, is, is/max(was, 1), float64(peak.Load())/1e6)), nil
}
