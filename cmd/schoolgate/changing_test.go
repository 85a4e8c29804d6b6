package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"schoolgate/blocklist"
	"schoolgate/blocklist/domain"
	"schoolgate/config"
	"schoolgate/monitor"
	"schoolgate/monitor/alert"
	"schoolgate/monitor/change"
	"schoolgate/monitor/device"
	"schoolgate/monitor/store"
	"schoolgate/resolver"
	"schoolgate/resolver/cache"
	"schoolgate/resolver/clock"
	"schoolgate/resolver/upstream"
)

// follower is as much of an appliance as follows the log of changes.
func follower(t *testing.T, dir string) *appliance {
	t.Helper()
	cfg := config.Default()
	cfg.Store.Path = dir
	quiet := slog.New(slog.DiscardHandler)
	a := &appliance{log: quiet, set: blocklist.Empty(), neighbours: &device.Neighbours{}, file: cfg, changes: change.New(dir), changed: make(chan struct{}, 1)}
	var err error
	if a.store, err = store.Open(t.Context(), dir, quiet); err != nil {
		t.Fatal(err)
	}
	a.alerts = alert.New(a.store, alertSettings(cfg), quiet)
	a.asking.Store(&asker{Router: upstream.NewRouter(cfg.Upstream, cfg.Forward, new(clock.Clock), quiet)})
	a.cfg.Store(cfg)
	first, err := a.state(cfg, a.set, nil, a.asking.Load())
	if err != nil {
		t.Fatal(err)
	}
	a.resolver = resolver.New(cache.New(cfg.Cache), first)
	return a
}

// following runs it until stop.
func following(t *testing.T, dir string) (a *appliance, stop func()) {
	t.Helper()
	a = follower(t, dir)
	a.standing.Store(a.readChanges(t.Context()))
	end := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { defer close(end); _ = a.follow(ctx) }()
	synctest.Wait()
	return a, func() {
		cancel()
		<-end
		if err := a.store.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestFollow plays days of a box in no time: a change is in force within a second of being agreed to, ends at its time and
// not before, across restarts, and the log tells of it once.
func TestFollow(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		a, stop := following(t, dir)
		desk := &change.Desk{Log: change.New(dir), File: a.file}
		allowed := func() bool { return len(a.cfg.Load().Policy.Allow) == 1 }
		blocked := func() bool { return len(a.cfg.Load().Policy.Block) == 1 }
		c, err := desk.Propose(change.Proposal{
			What: change.What{Action: change.Allow, Name: "a.example"}, By: "Ann", Why: "x", Risk: "x", For: 49 * time.Hour,
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if allowed() {
			t.Error("in force before anybody agreed")
		}
		if c, err = desk.Approve(c.ID, "Bob", "", ""); err != nil {
			t.Fatal(err)
		}
		b, err := desk.Propose(change.Proposal{What: change.What{Action: change.Block, Name: "b.example"}, By: "Ann", Why: "x"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(lookEvery)
		synctest.Wait()
		if !allowed() || !blocked() {
			t.Error("not in force after a second")
		}

		time.Sleep(24 * time.Hour)
		stop()
		time.Sleep(time.Hour)
		a, stop = following(t, dir)
		if !allowed() || !blocked() {
			t.Error("not in force after a restart")
		}
		time.Sleep(time.Until(c.Until) - time.Millisecond)
		synctest.Wait()
		if !allowed() {
			t.Error("ended too soon")
		}
		time.Sleep(time.Millisecond + lookEvery)
		synctest.Wait()
		if allowed() || !blocked() {
			t.Errorf("a second past its end: allowed %v, blocked %v", a.cfg.Load().Policy.Allow, a.cfg.Load().Policy.Block)
		}
		time.Sleep(24 * time.Hour)
		stop()

		book, err := change.New(dir).Read()
		if err != nil {
			t.Fatal(err)
		}
		heads, err := keptIn(t, dir)
		if fault := book.Check(heads); err != nil || fault != nil || len(heads) < 3 {
			t.Errorf("%d heads, %v, %+v", len(heads), err, fault)
		}
		var told []string
		for _, e := range book.Entries() {
			told = append(told, fmt.Sprint(e.Kind, " ", e.Change))
		}
		want := fmt.Sprint([]string{"proposed 0", "approved 1", "proposed 0", "applied 1", "applied 3", "expired 1"})
		if fmt.Sprint(told) != want || b.ID != 3 {
			t.Errorf("the log tells %v, want %s", told, want)
		}
		if got, _ := book.Change(1); got.EndedAs != change.Expired || got.Ended.Sub(got.Until) > 2*lookEvery {
			t.Errorf("ended %v as %s, its end was %v", got.Ended, got.EndedAs, got.Until)
		}
	})
}

// TestFollowBroken: a log that cannot be read, or was altered, neither stops the box nor opens the filter.
func TestFollowBroken(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		a, stop := following(t, dir)
		defer func() { stop() }()
		desk := &change.Desk{Log: change.New(dir), File: a.file}
		for _, n := range []string{"one.example", "two.example"} {
			if _, err := desk.Propose(change.Proposal{What: change.What{Action: change.Block, Name: domain.Name(n)}, By: "Ann", Why: "x"}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(lookEvery)
		synctest.Wait()
		condition := func(code string) bool {
			for _, c := range a.changeConditions(time.Now()) {
				if c.Code == code {
					return true
				}
			}
			return false
		}
		if condition("changes.broken") || !condition("changes.waiting") {
			t.Error("conditions of a whole log")
		}

		// Its end is cut off at a line: the chain is whole, and the heads tell. What was closed by the lines that are gone is
		// open again, which nobody can know better; but it is told.
		path := filepath.Join(dir, change.FileName)
		text := readFile(t, path)
		lines := strings.SplitAfter(text, "\n")
		write := func(text string) {
			t.Helper()
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			time.Sleep(lookEvery)
			synctest.Wait()
		}
		write(strings.Join(lines[:1], ""))
		if !condition("changes.broken") {
			t.Error("nobody says that the end is missing")
		}
		if got := a.cfg.Load().Policy.Block; len(got) != 1 {
			t.Errorf("blocked: %v", got)
		}
		write(text)
		if got := a.cfg.Load().Policy.Block; len(got) != 2 {
			t.Errorf("blocked: %v", got)
		}

		// It is a folder all of a sudden: what was in force stays.
		if err := os.Rename(path, path+".aside"); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lookEvery)
		synctest.Wait()
		if got := a.cfg.Load().Policy.Block; len(got) != 2 || !condition("changes.failing") {
			t.Errorf("blocked: %v", got)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".aside", path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(again + lookEvery)
		synctest.Wait()
		if condition("changes.failing") || condition("changes.broken") {
			t.Errorf("conditions: %+v", a.changeConditions(time.Now()))
		}
	})
}

// TestChangesAtOnce has many commands and the box write at the same time: nothing is lost, all is in force, and the log
// is whole.
func TestChangesAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := school{upstream: serveDNS(t, answerAnything)}
	b := startBox(t, s.write(t, dir))
	const people = 8
	var wg sync.WaitGroup
	for i := range people {
		wg.Go(func() {
			_, stderr, code := invoke(t, dir, "changes", "propose", "block", fmt.Sprintf("x%d.example", i), "--config", b.config, "--by", fmt.Sprintf("Person %c", 'A'+i), "--why", "test")
			if code != exitOK {
				t.Errorf("exit %d: %s", code, stderr)
			}
			if got := verdictOf(b.ask("127.30.0.1", fmt.Sprintf("x%d.example", i), dns.TypeA)); got != "blocked" {
				t.Errorf("x%d.example is %s when the command has ended", i, got)
			}
		})
	}
	wg.Wait()
	if out := b.schoolgate("audit", "verify"); !strings.Contains(out, fmt.Sprintf("whole: %d lines", 2*people)) {
		t.Error(out)
	}

	// Killed between the line and the filter: the next start comes to the same.
	if err := b.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-b.ended
	if _, stderr, code := invoke(t, dir, "changes", "propose", "block", "late.example", "--config", b.config, "--by", "Person Z", "--why", "test"); code != exitOK || !strings.Contains(stderr, "takes this up when it starts") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	// The power went while somebody wrote.
	log := filepath.Join(b.record(), change.FileName)
	torn := readFile(t, log) + `{"n":18,"at":"2026-`
	if err := os.WriteFile(log, []byte(torn), 0o600); err != nil {
		t.Fatal(err)
	}
	b = startBox(t, b.config)
	for _, name := range []string{"late.example", "x0.example"} {
		if got := verdictOf(b.ask("127.30.0.1", name, dns.TypeA)); got != "blocked" {
			t.Errorf("%s is %s after a restart", name, got)
		}
	}
	b.until("the log is mended", func() bool {
		out, _, code := invoke(t, dir, "audit", "verify", "--config", b.config)
		return code == exitOK && strings.Contains(out, "whole: 19 lines") // and "cut", and "applied"
	})
	b.stop()
}

func keptIn(t *testing.T, dir string) ([]monitor.Head, error) {
	r, err := store.OpenReader(t.Context(), dir)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return r.Heads(t.Context())
}
