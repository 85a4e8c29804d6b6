package alert

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"schoolgate/blocklist/domain"
	"schoolgate/config"
	"schoolgate/monitor"
	"schoolgate/resolver/query"
)

var testSettings = Settings{
	School: "Little Acorns", Location: time.UTC,
	Alerts: config.Alerts{
		Categories: []string{config.Pornography, config.Hate}, Window: config.Duration(10 * time.Minute),
		DSL: []string{"dsl@school.example", "deputy@school.example"}, Technical: []string{"it@school.example"},
	},
}

// rig is an engine at work in a bubble of synctest.
type rig struct {
	*Engine
	stop func()
}

func start(t *testing.T, store Store, with ...func(*Engine)) *rig {
	t.Helper()
	e := New(store, testSettings, slog.New(slog.DiscardHandler))
	for _, f := range with {
		f(e)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	synctest.Wait()
	return &rig{Engine: e, stop: func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	}}
}

func (r *rig) ask(device, name, category string, rule query.Rule) {
	q := block(device, name, category, rule)
	r.Done(&q)
	synctest.Wait()
}

func (r *rig) block(device, name, category string) { r.ask(device, name, category, query.Category) }

func block(device, name, category string, rule query.Rule) query.Query {
	var q query.Query
	q.Start = time.Now()
	q.Client.Device, q.Client.Name = device, "children"
	if err := q.Question.Name.SetName(domain.MustParse(name)); err != nil {
		panic(err)
	}
	q.Verdict = query.Verdict{Action: query.Block, Rule: rule, Category: category, List: "a list"}
	return q
}

// brief is an alert in one line.
func brief(alerts []monitor.Alert) (out []string) {
	for _, a := range alerts {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %q %q %s ×%d %s", a.Kind, a.Severity, a.Device, a.Site, a.Category, a.Count, a.Code)))
	}
	return out
}

func wantAlerts(t *testing.T, store *memStore, want ...string) {
	t.Helper()
	alerts, _ := store.snapshot()
	if d := cmp.Diff(want, brief(alerts)); d != "" {
		t.Errorf("alerts (-want +got):\n%s", d)
	}
}

func wantMails(t *testing.T, store *memStore, want int) {
	t.Helper()
	if _, mails := store.snapshot(); len(mails) != want {
		t.Errorf("%d mails, want %d", len(mails), want)
	}
}

func TestEpisodes(t *testing.T) {
	type step struct {
		after            time.Duration
		device, name, in string
	}
	tests := []struct {
		name  string
		steps []step
		want  []string
	}{
		{"one site is one alert, whatever the host", []step{
			{0, "tablet-1", "www.bad.example.com", "pornography"}, {time.Minute, "tablet-1", "cdn.example.com", "pornography"},
		}, []string{`blocked warning "tablet-1" "example.com" pornography ×2`}},
		{"another device, site or category is another alert", []step{
			{0, "tablet-1", "example.com", "pornography"},
			{0, "tablet-2", "example.com", "pornography"},
			{0, "tablet-1", "example.org", "pornography"},
			{0, "tablet-1", "example.com", "hate"},
		}, []string{
			`blocked warning "tablet-1" "example.com" pornography ×1`, `blocked warning "tablet-2" "example.com" pornography ×1`,
			`blocked warning "tablet-1" "example.org" pornography ×1`, `blocked warning "tablet-1" "example.com" hate ×1`,
		}},
		{"a category that makes none", []step{{0, "tablet-1", "game.example.com", "gaming"}, {0, "tablet-1", "example.com", ""}}, nil},
		{"the window slides", []step{
			{0, "tablet-1", "example.com", "hate"}, {9 * time.Minute, "tablet-1", "example.com", "hate"}, {9 * time.Minute, "tablet-1", "example.com", "hate"},
		}, []string{`blocked warning "tablet-1" "example.com" hate ×3`}},
		{"the window ends", []step{
			{0, "tablet-1", "example.com", "hate"}, {10 * time.Minute, "tablet-1", "example.com", "hate"},
		}, []string{`blocked warning "tablet-1" "example.com" hate ×1`, `blocked warning "tablet-1" "example.com" hate ×1`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newMemStore()
				r := start(t, store)
				for _, s := range tt.steps {
					time.Sleep(s.after)
					r.block(s.device, s.name, s.in)
				}
				r.stop()
				wantAlerts(t, store, tt.want...)
				wantMails(t, store, 2*len(tt.want))
			})
		})
	}
}

func TestAnEpisodeLastsSixHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemStore()
		r := start(t, store)
		for range 7 * 12 { // seven hours, every five minutes
			r.block("tablet-1", "example.com", "hate")
			time.Sleep(5 * time.Minute)
		}
		r.stop()
		wantAlerts(t, store,
			`blocked warning "tablet-1" "example.com" hate ×72`, `blocked warning "tablet-1" "example.com" hate ×12`)
	})
}

func TestFirstBlockIsStoredAtOnceAndOthersInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, mailed := newMemStore(), 0
		r := start(t, store, func(e *Engine) { e.Mailed = func() { mailed++ } })
		for range 50 {
			r.block("tablet-1", "example.com", "hate")
		}
		wantAlerts(t, store, `blocked warning "tablet-1" "example.com" hate ×1`)
		if mailed != 1 {
			t.Errorf("Mailed called %d times before the first tick, want 1", mailed)
		}
		time.Sleep(flushEvery)
		synctest.Wait()
		wantAlerts(t, store, `blocked warning "tablet-1" "example.com" hate ×50`)
		if store.writes != 2 {
			t.Errorf("%d writes for 50 blocks, want 2", store.writes)
		}
		r.stop()
	})
}

func TestIllegalTier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemStore()
		r := start(t, store)
		r.ask("tablet-1", "never.example.net", config.IllegalTier, query.Illegal)
		r.ask("tablet-1", "other.example.org", config.IllegalTier, query.Illegal)
		r.ask("tablet-2", "never.example.net", config.IllegalTier, query.Illegal)
		r.stop()
		wantAlerts(t, store,
			`illegal critical "tablet-1" "" illegal ×2`, `illegal critical "tablet-2" "" illegal ×1`)
		wantMails(t, store, 4)
		alerts, mails := store.snapshot()
		if s := fmt.Sprintf("%+v %+v", alerts, mails); strings.Contains(s, "never") || strings.Contains(s, "other.example") {
			t.Errorf("a name of the illegal tier was kept: %s", s)
		}
	})
}

func TestIllegalTierIsNotPushedOutByAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemStore()
		e := New(store, testSettings, slog.New(slog.DiscardHandler))
		for i := range 2 * queueSize { // before Run: nothing takes them
			q := block("tablet-1", fmt.Sprintf("s%d.example", i), "hate", query.Category)
			e.Done(&q)
		}
		for range 3 {
			q := block("tablet-2", "never.example", config.IllegalTier, query.Illegal)
			e.Done(&q)
		}
		if got := e.Stats().Dropped; got != queueSize {
			t.Errorf("dropped %d, want %d", got, queueSize)
		}
		if got := codes(e.Health(time.Now())); !cmp.Equal(got, []string{"alerts.dropped"}) {
			t.Errorf("conditions %q, want alerts.dropped", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := e.Run(ctx); err != nil {
			t.Fatal(err)
		}
		alerts, _ := store.snapshot()
		if got := brief(alerts)[0]; got != `illegal critical "tablet-2" "" illegal ×3` {
			t.Errorf("first alert %s", got)
		}
	})
}

func codes(conditions []monitor.Condition) (out []string) {
	for _, c := range conditions {
		out = append(out, c.Code)
	}
	return out
}

func TestADeviceCannotMakeThousandsOfMails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemStore()
		r := start(t, store)
		walk := func() {
			for i := range 1000 {
				r.block("tablet-1", fmt.Sprintf("s%d.example", i), "hate")
			}
		}
		walk()
		r.block("tablet-2", "s1.example", "hate") // others are not affected
		for range 3 {
			r.ask("tablet-1", "never.example", config.IllegalTier, query.Illegal) // nor is the illegal tier
		}
		time.Sleep(flushEvery)
		synctest.Wait()
		alerts, mails := store.snapshot()
		if len(alerts) != perDevice+3 || len(mails) != 2*len(alerts) {
			t.Fatalf("%d alerts, %d mails; want %d and twice that", len(alerts), len(mails), perDevice+3)
		}
		if got := brief(alerts[perDevice : perDevice+1])[0]; got != `blocked warning "tablet-1" ""  ×980 more` {
			t.Errorf("folded alert: %s", got)
		}
		if got := r.Stats().Folded; got != 980 {
			t.Errorf("folded %d, want 980", got)
		}
		time.Sleep(time.Hour)
		walk()
		r.stop()
		if alerts, _ := store.snapshot(); len(alerts) != 2*(perDevice+1)+2 {
			t.Errorf("%d alerts after another hour, want %d", len(alerts), 2*(perDevice+1)+2)
		}
	})
}

func TestAllDevicesTogetherCannotEither(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemStore()
		r := start(t, store)
		for i := range 1000 {
			r.block(fmt.Sprintf("2001:db8::%x", i), "bad.example", "hate")
			r.ask(fmt.Sprintf("2001:db8::%x", i), "never.example", config.IllegalTier, query.Illegal)
		}
		time.Sleep(flushEvery)
		r.stop()
		alerts, _ := store.snapshot()
		var folded []monitor.Alert
		for _, a := range alerts {
			if a.Code == CodeMore {
				folded = append(folded, a)
			}
		}
		if len(alerts) != perHour+perIllegal+2 {
			t.Errorf("%d alerts, want %d", len(alerts), perHour+perIllegal+2)
		}
		want := []string{`illegal critical "" "" illegal ×900 more`, `blocked warning "" ""  ×800 more`}
		if d := cmp.Diff(want, brief(folded)); d != "" {
			t.Errorf("folded (-want +got):\n%s", d)
		}
	})
}

func TestARestartMailsNothingTwice(t *testing.T) {
	for _, how := range []string{"stop", "kill"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := newMemStore()
				r := start(t, store)
				play := func() {
					for i := range perDevice + 5 {
						r.block("tablet-1", fmt.Sprintf("s%d.example", i), "hate")
					}
					r.ask("tablet-2", "never.example", config.IllegalTier, query.Illegal)
				}
				play()
				if how == "kill" {
					store.breakDown(true) // nothing is written any more
				}
				r.stop()
				store.breakDown(false)
				time.Sleep(time.Minute)

				r = start(t, store)
				play()
				r.stop()
				alerts, mails := store.snapshot()
				if len(alerts) != perDevice+2 || len(mails) != 2*len(alerts) {
					t.Errorf("%d alerts, %d mails; want %d and twice that", len(alerts), len(mails), perDevice+2)
				}
			})
		})
	}
}

func TestAStopDuringTheStartMailsNothingTwice(t *testing.T) {
	store := newMemStore()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 3 {
		e := New(store, testSettings, slog.New(slog.DiscardHandler))
		q := block("tablet-1", "s1.example", "hate", query.Category)
		e.Done(&q)
		if err := e.Run(ctx); err != nil {
			t.Fatal(err)
		}
	}
	wantAlerts(t, store, `blocked warning "tablet-1" "s1.example" hate ×3`)
	wantMails(t, store, 2)
}

func TestABrokenStoreLosesNoAlert(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemStore()
		store.breakDown(true)
		r := start(t, store)
		time.Sleep(time.Minute)
		r.block("tablet-1", "s1.example", "hate") // while it cannot even be read
		store.breakDown(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		wantAlerts(t, store, `blocked warning "tablet-1" "s1.example" hate ×1`)

		store.breakDown(true)
		for range 3 {
			r.block("tablet-1", "s1.example", "hate")
			r.block("tablet-1", "s2.example", "hate")
		}
		time.Sleep(2 * pace)
		synctest.Wait()
		r.ask("tablet-1", "never.example", config.IllegalTier, query.Illegal)
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := r.Stats().Waiting; got != 2 {
			t.Errorf("%d alerts wait, want 2", got)
		}
		if got := codes(r.Health(time.Now())); !cmp.Equal(got, []string{"alerts.store"}) {
			t.Errorf("conditions %q, want alerts.store", got)
		}
		store.breakDown(false)
		time.Sleep(flushEvery)
		synctest.Wait()
		wantAlerts(t, store, `blocked warning "tablet-1" "s1.example" hate ×4`,
			`blocked warning "tablet-1" "s2.example" hate ×3`, `illegal critical "tablet-1" "" illegal ×1`)
		if got := r.Health(time.Now()); got != nil {
			t.Errorf("conditions %v after the store came back", got)
		}
		r.stop()
		wantMails(t, store, 6)
	})
}

func TestAnUnclearErrorDoesNotDoubleAnAlert(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemStore()
		store.unsure = true
		r := start(t, store)
		r.block("tablet-1", "s1.example", "hate")
		time.Sleep(time.Minute)
		synctest.Wait()
		store.unsure = false
		r.block("tablet-1", "s1.example", "hate")
		r.stop()
		wantMails(t, store, 2)
		if alerts, _ := store.snapshot(); len(alerts) != 1 {
			t.Errorf("%d alerts, want 1", len(alerts))
		}
	})
}

func TestSetHoldsFromTheNextBlockOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemStore()
		r := start(t, store)
		s := testSettings
		s.Alerts.Categories, s.Alerts.DSL = []string{"gaming"}, nil
		r.Set(s)
		r.block("tablet-1", "example.com", "hate")
		r.block("tablet-1", "game.example", "gaming")
		if got := codes(r.Health(time.Now())); !cmp.Equal(got, []string{"alerts.nobody"}) {
			t.Errorf("conditions %q, want alerts.nobody", got)
		}
		r.stop()
		wantAlerts(t, store, `blocked warning "tablet-1" "game.example" gaming ×1`)
		wantMails(t, store, 0)
	})
}

func TestDoneDoesNotAllocate(t *testing.T) {
	e := New(newMemStore(), testSettings, slog.New(slog.DiscardHandler))
	allowed := block("tablet-1", "example.com", "hate", query.Category)
	allowed.Verdict.Action = query.Allow
	other := block("tablet-1", "example.com", "gaming", query.Category)
	if n := testing.AllocsPerRun(100, func() { e.Done(&allowed); e.Done(&other) }); n != 0 {
		t.Errorf("%v allocations for queries that make no alert", n)
	}
	flood := block("tablet-1", "example.com", "hate", query.Category)
	if n := testing.AllocsPerRun(100, func() { e.Done(&flood) }); n != 0 {
		t.Errorf("%v allocations for a block that waits", n)
	}
	for range queueSize {
		e.Done(&flood)
	}
	if n := testing.AllocsPerRun(100, func() { e.Done(&flood) }); n != 0 {
		t.Errorf("%v allocations for a block that is dropped", n)
	}
}
