package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"schoolgate/monitor"
	"schoolgate/monitor/record"
	"schoolgate/monitor/store"
)

// TestKill takes the power away under load. What was answered earlier than the flush interval, and a second for the disk,
// before that must be in the record; the record must be sound, and the stretch that is missing be told of.
func TestKill(t *testing.T) {
	t.Parallel()
	const flush = 500 * time.Millisecond
	dir := t.TempDir()
	path := school{upstream: serveDNS(t, answerAnything), store: `flush = "500ms"`}.write(t, dir)
	b := startBox(t, path)
	tr := startTraffic(t, b, 8, 2*time.Millisecond)
	began := time.Now()
	b.until("the devices have asked for some seconds", func() bool { return tr.count() > 6000 && time.Since(began) > 2*(flush+time.Second) })
	killed := time.Now()
	b.signal(syscall.SIGKILL)
	<-b.ended
	answered := tr.wait()
	t.Logf("%d answers in %v", len(answered), killed.Sub(began).Round(time.Millisecond))

	again := startBox(t, path)
	restarted := time.Now()
	again.read(func(r *store.Reader) error { return r.Check(t.Context()) })
	kept := questionsOf(again.rows())
	old, missing := 0, 0
	for question, at := range answered {
		if !at.Before(killed.Add(-flush - time.Second)) {
			continue
		}
		if old++; kept[question] != 1 {
			missing++
		}
	}
	if missing > 0 || old == 0 {
		t.Errorf("%d of %d queries answered in time are not in the record", missing, old)
	}
	for question, n := range kept {
		if n != 1 || !strings.HasSuffix(question.name, ".roblox.com") && !strings.HasSuffix(question.name, ".lesson.example") {
			t.Errorf("the record has %d rows of %v", n, question)
		}
	}
	if got := verdictOf(again.ask("127.30.0.1", "roblox.com", dns.TypeA)); got != "blocked" {
		t.Errorf("after the restart roblox.com is %s", got)
	}
	t.Logf("%d of %d rows kept", len(kept), len(answered))
	gap := gapOf(t, again, "killed")
	last := gap.From // of the last row: what follows it is missing
	if last.Before(killed.Add(-flush-time.Second)) || last.After(killed) || gap.To.Before(killed.Add(-time.Second)) || gap.To.After(restarted.Add(time.Second)) {
		t.Errorf("the gap is told to last from %v to %v; killed at %v, restarted at %v", gap.From, gap.To, killed, restarted)
	}
}

// TestStopUnderLoad stops the box as systemd does while devices ask: rows and answers must be the same.
func TestStopUnderLoad(t *testing.T) {
	t.Parallel()
	path := school{upstream: serveDNS(t, answerAnything)}.write(t, t.TempDir()) // with the default flush of two seconds
	b := startBox(t, path)
	tr := startTraffic(t, b, 8, 2*time.Millisecond)
	b.until("the devices have asked a while", func() bool { return tr.count() > 4000 })
	b.stop()
	answered := tr.wait()
	if len(tr.failed) > 0 {
		t.Errorf("%d queries failed before the end, the first: %v", len(tr.failed), tr.failed[0])
	}
	kept := questionsOf(b.rows())
	for question, n := range kept {
		if _, ok := answered[question]; !ok || n != 1 {
			t.Errorf("%d rows of %v, answered: %v", n, question, ok)
		}
	}
	lost := 0
	for question := range answered {
		if kept[question] == 0 {
			lost++
		}
	}
	if lost > 0 || len(kept) != len(answered) {
		t.Errorf("%d rows for %d answers, %d lost", len(kept), len(answered), lost)
	}
	again := startBox(t, path)
	if gap := gapOf(t, again, "stopped"); gap.Lost != 0 {
		t.Errorf("the stop is told as a loss of %d rows", gap.Lost)
	}
	again.read(func(r *store.Reader) error {
		gaps, err := r.Gaps(t.Context(), time.Time{}, time.Time{})
		if slices.ContainsFunc(gaps, func(g monitor.Gap) bool { return g.Reason != "stopped" }) {
			err = errors.Join(err, errors.New("a clean stop is told as something else"))
		}
		return err
	})
}

// questionsOf counts rows by question.
func questionsOf(rows []record.Row) map[asked]int {
	out := map[asked]int{}
	for _, r := range rows {
		out[asked{r.Name, r.Type}]++
	}
	return out
}

// gapOf is the one gap that has this reason.
func gapOf(t *testing.T, b *box, reason string) (found monitor.Gap) {
	t.Helper()
	b.read(func(r *store.Reader) error {
		gaps, err := r.Gaps(context.Background(), time.Time{}, time.Time{})
		n := 0
		for _, g := range gaps {
			if g.Reason == reason {
				found = g
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d gaps are told as %s, wants one: %v", n, reason, gaps)
		}
		return err
	})
	return found
}
