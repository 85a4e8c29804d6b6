package store

import (
	"context"
	"errors"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"schoolgate/monitor"
	"schoolgate/monitor/journal"
	"schoolgate/monitor/record"
	"schoolgate/resolver/query"
)

func TestFloorAndHysteresis(t *testing.T) {
	const mb = 1 << 20
	c := &clock{at(8, 0, 0)}
	s := openTest(t, t.TempDir(), c)
	free, total := int64(0), int64(0)
	var failing error
	s.disk.space = func(string) (int64, int64, error) { return free, total, failing }
	row := record.BatchOf(record.Row{Time: c.Time, Name: "a.example"})
	for i, step := range []struct {
		free, total int64 // MB
		full        bool
		code        string
	}{
		{20_000, 32_000, false, ""},
		{1025, 32_000, false, ""},
		{1023, 32_000, false, "record.space"},
		{1279, 32_000, false, "record.space"},
		{1281, 32_000, false, ""},
		{255, 32_000, true, "record.full"},
		{319, 32_000, true, "record.full"},
		{321, 32_000, false, "record.space"},
		{2000, 32_000, false, ""},
		{101, 1000, false, "record.space"}, // a small disk: 100 MB
		{99, 1000, true, "record.full"},
		{0, 0, true, "record.full"}, // not known: as before
		{126, 1000, false, "record.space"},
		{501, 1000, false, ""},
		{-1, -1, false, ""},
	} {
		free, total = step.free*mb, step.total*mb
		n, err := s.Append(t.Context(), row)
		if step.full != errors.Is(err, ErrFull) || step.full != errors.Is(err, syscall.ENOSPC) || n == 1 == step.full {
			t.Errorf("step %d: appended %d, %v", i, n, err)
		}
		if got := codes(s); step.code == "" && len(got) != 0 || step.code != "" && (len(got) != 1 || got[0] != step.code) {
			t.Errorf("step %d: conditions %v, want %q", i, got, step.code)
		}
		must[int64](t)(s.OpenAlert(t.Context(), monitor.Alert{}, nil))
	}
	t.Run("since the beginning", func(t *testing.T) {
		free, total = 200*mb, 32_000*mb
		for i := range 3 {
			c.Time = at(9, i, 0)
			_ = s.Heartbeat(t.Context()) // looks too, when no rows come
			if got := s.Conditions(); len(got) != 1 || !got[0].Since.Equal(at(9, 0, 0)) {
				t.Errorf("conditions %+v", got)
			}
		}
	})
	t.Run("file system does not answer", func(t *testing.T) {
		free, failing = 20_000*mb, errors.New("no answer")
		if _, err := s.Append(t.Context(), row); !errors.Is(err, ErrFull) {
			t.Errorf("error %v, want what held before", err)
		}
	})
}

// The whole way: the disk fills, the journal keeps what it can, the rest is a gap that is on the disk while it is full.
func TestFullDiskLeavesAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(t.Context(), t.TempDir(), discard)
		if err != nil {
			t.Fatal(err)
		}
		free := int64(1)
		s.disk.space = func(string) (int64, int64, error) { return free, 1 << 40, nil }
		j := journal.New(1, 0)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 2)
		go func() { done <- j.Run(ctx, s, 2*time.Second) }()
		go func() { done <- s.Run(ctx, func() int { return 30 }) }()
		ask := func(n int) {
			for range n {
				q := &query.Query{Start: time.Now().UTC(), Lane: 1, Client: query.Client{Addr: netip.MustParseAddr("192.0.2.1"), Device: "tablet-1"}}
				if err := q.Question.Name.SetName("www.example.com"); err != nil {
					t.Fatal(err)
				}
				j.Done(q)
			}
			time.Sleep(5 * time.Second)
			synctest.Wait()
		}
		for range 60 { // five minutes
			ask(20)
		}
		dropped := int64(j.Stats().Dropped)
		gaps, err := s.Gaps(t.Context(), time.Time{}, time.Time{})
		if err != nil || len(gaps) != 1 || gaps[0].Reason != "full" || gaps[0].Lost == 0 || gaps[0].Lost > dropped {
			t.Errorf("while it is full: %d dropped, gaps %v, %v", dropped, gaps, err)
		}
		s.mu.Lock()
		free = 1 << 39
		s.mu.Unlock()
		time.Sleep(10 * time.Second)
		ask(20)
		cancel()
		if err := errors.Join(<-done, <-done); err != nil {
			t.Error(err)
		}
		dropped = int64(j.Stats().Dropped)
		gaps, err = s.Gaps(t.Context(), time.Time{}, time.Time{})
		if err != nil || len(gaps) != 1 || gaps[0].Lost != dropped {
			t.Errorf("afterwards: %d dropped, gaps %v, %v", dropped, gaps, err)
		}
		n, err := s.Count(t.Context(), record.Filter{})
		if err != nil || n+dropped != 61*20 {
			t.Errorf("%d rows and %d dropped of %d: %v", n, dropped, 61*20, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}
