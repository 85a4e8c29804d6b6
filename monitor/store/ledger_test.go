package store

import (
	"errors"
	"fmt"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"schoolgate/monitor"
	"schoolgate/monitor/record"
)

func at(h, m, s int) time.Time { return time.Date(2026, time.March, 5, h, m, s, 0, time.UTC) }

func TestRunsAndGaps(t *testing.T) {
	dir, c := t.TempDir(), &clock{at(8, 0, 0)}
	ctx := t.Context()
	gaps := func(r *Reader, from, to time.Time) []monitor.Gap {
		t.Helper()
		return must[[]monitor.Gap](t)(r.Gaps(ctx, from, to))
	}
	s := openTest(t, dir, c)
	if g := gaps(s.Reader, time.Time{}, time.Time{}); len(g) != 0 {
		t.Errorf("a first start has gaps %v", g)
	}
	c.Time = at(9, 0, 0)
	closeTest(t, s)

	r := must[*Reader](t)(OpenReader(ctx, dir))
	defer r.Close()
	r.now = c.now
	c.Time = at(9, 30, 0)
	want := []monitor.Gap{{From: at(9, 0, 0), To: at(9, 30, 0), Reason: "stopped"}}
	if diff := gocmp.Diff(want, gaps(r, time.Time{}, time.Time{})); diff != "" {
		t.Errorf("while it is stopped: %s", diff)
	}

	c.Time = at(10, 0, 0)
	s = openTest(t, dir, c)
	c.Time = at(11, 0, 0)
	if err := s.Heartbeat(ctx); err != nil {
		t.Fatal(err)
	}
	crash(t, s) // an hour later, with no row: the heartbeat tells
	c.Time = at(12, 0, 0)
	want = []monitor.Gap{{From: at(9, 0, 0), To: at(10, 0, 0), Reason: "stopped"}, {From: at(11, 0, 0), To: at(12, 0, 0), Reason: "killed"}}
	if diff := gocmp.Diff(want, gaps(r, time.Time{}, time.Time{})); diff != "" {
		t.Errorf("while it is dead: %s", diff)
	}
	s = openTest(t, dir, c)
	c.Time = at(12, 0, 20)
	appendAll(t, s, []record.Row{{Time: at(12, 0, 19), Name: "a.example"}})
	crash(t, s) // the row tells more than the heartbeat
	c.Time = at(13, 0, 0)
	s = openTest(t, dir, c)
	for _, g := range []monitor.Gap{
		{From: at(13, 1, 0), To: at(13, 1, 2), Reason: "dropped", Lost: 5},
		{From: at(13, 1, 3), To: at(13, 1, 9), Reason: "dropped", Lost: 7},
		{From: at(14, 0, 0), To: at(14, 0, 1), Reason: "dropped", Lost: 1},
	} {
		if err := s.Gap(ctx, g); err != nil {
			t.Fatal(err)
		}
	}
	want = append(want,
		monitor.Gap{From: at(12, 0, 19), To: at(13, 0, 0), Reason: "killed"},
		monitor.Gap{From: at(13, 1, 0), To: at(13, 1, 9), Reason: "dropped", Lost: 12},
		monitor.Gap{From: at(14, 0, 0), To: at(14, 0, 1), Reason: "dropped", Lost: 1})
	if diff := gocmp.Diff(want, gaps(s.Reader, time.Time{}, time.Time{})); diff != "" {
		t.Errorf("all: %s", diff)
	}
	if diff := gocmp.Diff(want[1:4], gaps(s.Reader, at(11, 30, 0), at(13, 30, 0))); diff != "" {
		t.Errorf("some: %s", diff)
	}
	closeTest(t, s)
	c.Time = at(7, 0, 0) // the clock was set back
	s = openTest(t, dir, c)
	if diff := gocmp.Diff(want, gaps(s.Reader, time.Time{}, time.Time{})); diff != "" {
		t.Errorf("after a clock set back: %s", diff)
	}
}

func TestHeartbeatIsRare(t *testing.T) {
	c := &clock{at(8, 0, 0)}
	s := openTest(t, t.TempDir(), c)
	beat := func() (ms int64) {
		t.Helper()
		if err := s.Heartbeat(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.main.db.QueryRow("SELECT beat FROM runs").Scan(&ms); err != nil {
			t.Fatal(err)
		}
		return ms
	}
	first := beat()
	c.Time = c.Add(beatEvery - time.Second)
	if beat() != first {
		t.Error("written before it was due")
	}
	c.Time = c.Add(time.Second)
	if beat() != first+beatEvery.Milliseconds() {
		t.Error("not written when it was due")
	}
}

func TestChanges(t *testing.T) {
	s := openTest(t, t.TempDir(), &clock{at(8, 0, 0)})
	all := []monitor.Change{
		{At: at(8, 0, 0), Kind: "start", Summary: "Filtering began."},
		{At: at(9, 0, 0), Kind: "config", Summary: "One group was changed.", Detail: "before\nafter"},
		{At: at(10, 0, 0), Kind: "lists", Summary: "A list was renewed."},
	}
	for _, c := range all {
		if err := s.RecordChange(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	if diff := gocmp.Diff(all, must[[]monitor.Change](t)(s.Changes(t.Context(), time.Time{}, time.Time{}))); diff != "" {
		t.Error(diff)
	}
	if diff := gocmp.Diff(all[1:2], must[[]monitor.Change](t)(s.Changes(t.Context(), at(9, 0, 0), at(10, 0, 0)))); diff != "" {
		t.Error(diff)
	}
}

func TestAlertsAndOutbox(t *testing.T) {
	dir, c := t.TempDir(), &clock{at(8, 0, 0)}
	ctx := t.Context()
	s := openTest(t, dir, c)
	alerts := []monitor.Alert{
		{Kind: monitor.Blocked, Severity: monitor.Notice, Category: "gaming", Group: "children", Device: "tablet-1", Site: "play.example", First: at(8, 0, 0), Last: at(8, 1, 0), Count: 3},
		{Kind: monitor.Illegal, Severity: monitor.Critical, Category: "illegal", Device: "tablet-2", First: at(8, 2, 0), Last: at(8, 2, 0), Count: 1},
		{Kind: monitor.System, Severity: monitor.Warning, Code: "lists.stale", Text: "A list is old.", First: at(8, 3, 0), Last: at(8, 3, 0), Count: 1},
	}
	for i := range alerts {
		c.Time = at(8, i, 30)
		id, err := s.OpenAlert(ctx, alerts[i], func(id int64) []monitor.Mail {
			return []monitor.Mail{
				{Key: fmt.Sprint("a", id), To: "dsl@school.example", Subject: fmt.Sprint("Alert ", id), Body: "one"},
				{Key: fmt.Sprint("b", id), To: "deputy@school.example", Subject: fmt.Sprint("Alert ", id), Body: "two", NotBefore: at(20, i, 0)},
			}
		})
		if err != nil || id != int64(i+1) {
			t.Fatalf("alert %d: %v", id, err)
		}
		alerts[i].ID = id
	}
	t.Run("the same key is taken once", func(t *testing.T) {
		id, err := s.OpenAlert(ctx, alerts[0], func(int64) []monitor.Mail { return []monitor.Mail{{Key: "new"}, {Key: "b2"}} })
		if err != nil || id != 2 {
			t.Errorf("alert %d: %v", id, err)
		}
		if n, _, err := s.OutboxStats(ctx); n != 6 || err != nil {
			t.Errorf("%d mails: %v", n, err)
		}
	})
	t.Run("extended", func(t *testing.T) {
		if err := s.ExtendAlert(ctx, 1, at(8, 9, 0), 4); err != nil {
			t.Fatal(err)
		}
		if err := s.ExtendAlert(ctx, 1, at(8, 5, 0), 1); err != nil {
			t.Fatal(err)
		}
		alerts[0].Last, alerts[0].Count = at(8, 9, 0), 8
		if err := s.ExtendAlert(ctx, 99, at(8, 5, 0), 1); !errors.Is(err, ErrNotFound) {
			t.Errorf("error %v", err)
		}
	})
	closeTest(t, s)
	s = openTest(t, dir, c)
	t.Run("read", func(t *testing.T) {
		got := must[[]monitor.Alert](t)(s.OpenAlerts(ctx, at(8, 3, 0)))
		if diff := gocmp.Diff([]monitor.Alert{alerts[0], alerts[2]}, got); diff != "" {
			t.Error(diff)
		}
		got = must[[]monitor.Alert](t)(s.Alerts(ctx, at(8, 1, 0), at(8, 3, 0), 0))
		if diff := gocmp.Diff([]monitor.Alert{alerts[1], alerts[0]}, got); diff != "" {
			t.Error(diff)
		}
		got = must[[]monitor.Alert](t)(s.Alerts(ctx, time.Time{}, time.Time{}, 2))
		if diff := gocmp.Diff([]monitor.Alert{alerts[2], alerts[1]}, got); diff != "" {
			t.Error(diff)
		}
		if diff := gocmp.Diff(alerts[1], must[monitor.Alert](t)(s.Alert(ctx, 2))); diff != "" {
			t.Error(diff)
		}
		if _, err := s.Alert(ctx, 99); !errors.Is(err, ErrNotFound) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("sent", func(t *testing.T) {
		next := func(now time.Time) string {
			t.Helper()
			m, ok, err := s.NextMail(ctx, now)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				return ""
			}
			return fmt.Sprint(m.Key, " of ", m.AlertID, ", tried ", m.Attempts)
		}
		if got := next(at(7, 0, 0)); got != "" {
			t.Errorf("%q is due too early", got)
		}
		m, _, err := s.NextMail(ctx, at(9, 0, 0))
		want := monitor.Mail{ID: 1, AlertID: 1, Key: "a1", To: "dsl@school.example", Subject: "Alert 1", Body: "one", NotBefore: at(8, 0, 30)}
		if diff := gocmp.Diff(want, m); diff != "" || err != nil {
			t.Error(diff, err)
		}
		if err := s.MailFailed(ctx, 1, at(8, 30, 0), "451 try later"); err != nil {
			t.Fatal(err)
		}
		if got := next(at(9, 0, 0)); got != "a2 of 2, tried 0" {
			t.Errorf("next is %q", got)
		}
		for _, id := range []int64{3, 5} {
			if err := s.MailSent(ctx, id, at(9, 0, 0)); err != nil {
				t.Fatal(err)
			}
		}
		if got := next(at(9, 0, 0)); got != "a1 of 1, tried 1" {
			t.Errorf("next is %q", got)
		}
		n, oldest, err := s.OutboxStats(ctx)
		if n != 4 || !oldest.Equal(at(8, 0, 30)) || err != nil {
			t.Errorf("%d unsent since %v: %v", n, oldest, err)
		}
		for _, id := range []int64{1, 2, 4, 6} {
			if err := s.MailSent(ctx, id, at(21, 0, 0)); err != nil {
				t.Fatal(err)
			}
		}
		if got := next(at(23, 0, 0)); got != "" {
			t.Errorf("next is %q", got)
		}
		if n, oldest, err := s.OutboxStats(ctx); n != 0 || !oldest.IsZero() || err != nil {
			t.Errorf("%d unsent since %v: %v", n, oldest, err)
		}
		if err := s.MailSent(ctx, 99, at(9, 0, 0)); !errors.Is(err, ErrNotFound) {
			t.Errorf("error %v", err)
		}
	})
}

func TestParseWord(t *testing.T) {
	for _, k := range []monitor.Kind{monitor.Blocked, monitor.Illegal, monitor.System} {
		if got := parseWord[monitor.Kind](k.String()); got != k {
			t.Errorf("%v is read as %v", k, got)
		}
	}
	for s := monitor.Info; s <= monitor.Critical; s++ {
		if got := parseWord[monitor.Severity](s.String()); got != s {
			t.Errorf("%v is read as %v", s, got)
		}
	}
	if got := parseWord[monitor.Severity]("apocalyptic"); got != monitor.Critical {
		t.Errorf("an unknown severity is read as %v", got)
	}
}
