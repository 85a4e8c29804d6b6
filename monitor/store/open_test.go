package store

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"schoolgate/blocklist/domain"
	"schoolgate/monitor"
	"schoolgate/monitor/journal"
	"schoolgate/monitor/record"
	"schoolgate/resolver/query"
)

var discard = slog.New(slog.DiscardHandler)

// everything calls what needs the database.
func everything(ctx context.Context, s *Store) map[string]error {
	errs := make(map[string]error)
	_, errs["Append"] = s.Append(ctx, record.BatchOf(record.Row{Name: "a.example"}))
	errs["Gap"] = s.Gap(ctx, monitor.Gap{Reason: "dropped", Lost: 1})
	errs["RecordChange"] = s.RecordChange(ctx, monitor.Change{})
	errs["Heartbeat"] = s.Heartbeat(ctx)
	errs["Retain"] = s.Retain(ctx, time.Now(), 1)
	_, errs["Stats"] = s.Stats()
	_, errs["OpenAlert"] = s.OpenAlert(ctx, monitor.Alert{}, nil)
	errs["ExtendAlert"] = s.ExtendAlert(ctx, 1, time.Now(), 1)
	_, _, errs["NextMail"] = s.NextMail(ctx, time.Now())
	errs["MailSent"] = s.MailSent(ctx, 1, time.Now())
	errs["MailFailed"] = s.MailFailed(ctx, 1, time.Now(), "")
	_, errs["OpenAlerts"] = s.OpenAlerts(ctx, time.Time{})
	_, errs["Alerts"] = s.Alerts(ctx, time.Time{}, time.Time{}, 0)
	_, errs["Alert"] = s.Alert(ctx, 1)
	_, _, errs["OutboxStats"] = s.OutboxStats(ctx)
	_, errs["Gaps"] = s.Gaps(ctx, time.Time{}, time.Time{})
	_, errs["Changes"] = s.Changes(ctx, time.Time{}, time.Time{})
	errs["Search"] = s.Search(ctx, record.Filter{}, func(record.Row) error { return nil })
	_, errs["Count"] = s.Count(ctx, record.Filter{})
	errs["Tally"] = s.Tally(ctx, time.Time{}, time.Time{}, time.UTC, func(record.Tally) error { return nil })
	errs["Check"] = s.Check(ctx)
	return errs
}

func codes(s *Store) (all []string) {
	for _, c := range s.Conditions() {
		all = append(all, c.Code)
	}
	return all
}

// whatever makes opening impossible, and what ends it.
type obstacle struct {
	put   func(t *testing.T, dir string)
	clear func(t *testing.T, dir string)
}

// playObstacle opens a store that cannot be opened, lets queries come in, takes the obstacle away after some time, and looks for
// everything in the record.
func playObstacle(t *testing.T, dir string, o obstacle) {
	synctest.Test(t, func(t *testing.T) {
		o.put(t, dir)
		begun := time.Now().UTC()
		s, err := Open(t.Context(), dir, discard)
		if err != nil {
			t.Fatal(err)
		}
		for name, err := range everything(t.Context(), s) {
			if !errors.Is(err, ErrUnavailable) || len(err.Error()) < len(ErrUnavailable.Error())+5 {
				t.Errorf("%s: %v, want ErrUnavailable and its cause", name, err)
			}
		}
		c := s.Conditions()
		if len(c) == 0 || c[0].Code != "record.unavailable" || c[0].Severity != monitor.Critical || !c[0].Since.Equal(begun) {
			t.Errorf("conditions %+v", c)
		}
		ctx, cancel := context.WithCancel(t.Context())
		j := journal.New(1, 1<<20)
		done := make(chan error, 2)
		go func() { done <- s.Run(ctx, func() int { return 30 }) }()
		go func() { done <- j.Run(ctx, s, 2*time.Second) }()
		ask := func(name domain.Name) record.Row {
			q := &query.Query{Start: time.Now().UTC(), Lane: 1, Client: query.Client{Addr: netip.MustParseAddr("192.0.2.1"), Device: "tablet-1"}}
			if err := q.Question.Name.SetName(name); err != nil {
				t.Fatal(err)
			}
			j.Done(q)
			return record.FromQuery(q)
		}
		want := []record.Row{ask("at.once.example")}
		time.Sleep(3 * time.Minute)
		want = append(want, ask("later.example"))
		if got := codes(s); len(got) == 0 || got[0] != "record.unavailable" {
			t.Errorf("conditions %v after three minutes", got)
		}
		o.clear(t, dir)
		time.Sleep(openLater + 6*time.Second)
		synctest.Wait()
		if diff := diffRows(want, search(t, s.Reader, record.Filter{})); diff != "" {
			t.Error(diff)
		}
		if got := codes(s); len(got) != 0 {
			t.Errorf("conditions %v when it is open", got)
		}
		for name, err := range everything(t.Context(), s) {
			if errors.Is(err, ErrUnavailable) {
				t.Errorf("%s: %v", name, err)
			}
		}
		var started, beat int64
		if err := s.main.db.QueryRow("SELECT started, beat FROM runs").Scan(&started, &beat); err != nil || started != begun.UnixMilli() {
			t.Errorf("the run started at %v, want %v: %v", fromMillis(started), begun, err)
		}
		time.Sleep(2 * beatEvery)
		before := beat
		if err := s.main.db.QueryRow("SELECT beat FROM runs").Scan(&beat); err != nil || beat <= before {
			t.Errorf("no heartbeat after %v: %v", fromMillis(before), err)
		}
		cancel()
		if err := errors.Join(<-done, <-done, s.Close()); err != nil {
			t.Error(err)
		}
	})
}

func TestUnavailableUntilItOpens(t *testing.T) {
	playObstacle(t, t.TempDir(), obstacle{
		put: func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, logDir), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		},
		clear: func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, logDir)); err != nil {
				t.Fatal(err)
			}
		},
	})
}

// A stop comes before the next attempt: Run makes one more, and what waits in memory is written.
func TestLastAttemptAtTheEnd(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, logDir)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := must[*Store](t)(Open(t.Context(), dir, discard))
	defer closeTest(t, s)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx, func() int { return 0 }); err != nil {
		t.Fatal(err)
	}
	appendAll(t, s, []record.Row{{Time: time.Now(), Name: "a.example"}})
}

// What ran before ends where it ended, and the time in which rows wait in memory is not part of the gap.
func TestGapEndsWhereOpenWasCalled(t *testing.T) {
	dir, c := t.TempDir(), &clock{at(8, 0, 0)}
	closeTest(t, openTest(t, dir, c))
	main := filepath.Join(dir, mainFile)
	if err := os.Rename(main, main+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(main, 0o700); err != nil {
		t.Fatal(err)
	}
	c.Time = at(9, 0, 0)
	s := openTest(t, dir, c)
	if err := s.Heartbeat(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Fatalf("heartbeat: %v", err)
	}
	if err := errors.Join(os.Remove(main), os.Rename(main+".away", main)); err != nil {
		t.Fatal(err)
	}
	c.Time = at(9, 20, 0)
	if err := s.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []monitor.Gap{{From: at(8, 0, 0), To: at(9, 0, 0), Reason: "stopped"}}
	if diff := gocmp.Diff(want, must[[]monitor.Gap](t)(s.Gaps(t.Context(), time.Time{}, time.Time{}))); diff != "" {
		t.Error(diff)
	}
}

func TestOpenRefusesWhatIsNoDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		if s, err := Open(t.Context(), dir, discard); err == nil {
			closeTest(t, s)
			t.Errorf("%s was opened", dir)
		}
	}
}

func TestCloseOfWhatNeverOpened(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, logDir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := must[*Store](t)(Open(t.Context(), dir, discard))
	for range 2 {
		closeTest(t, s)
	}
	if err := s.open(t.Context()); !errors.Is(err, errClosed) {
		t.Errorf("opened after the end: %v", err)
	}
}
