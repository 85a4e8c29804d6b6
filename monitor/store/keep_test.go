package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"schoolgate/monitor"
	"schoolgate/monitor/record"
)

func TestRetain(t *testing.T) {
	begin := time.Date(2026, time.March, 14, 0, 0, 0, 0, time.UTC)
	now := time.Date(2026, time.May, 20, 13, 0, 0, 0, time.UTC)
	for name, days := range map[string]int{"months": 60, "within this month": 7, "a month's border": 20, "everything": 365} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openTest(t, dir, &clock{now})
			rows := sample(7, 2000, begin, now)
			for i := range rows { // names that only the old rows have, and ones that all have
				if rows[i].Time.Before(now.AddDate(0, 0, -days)) {
					rows[i].Name = "old." + rows[i].Name
				}
			}
			appendAll(t, s, rows)
			must[int64](t)(s.OpenAlert(t.Context(), monitor.Alert{First: begin, Last: begin}, func(int64) []monitor.Mail { return []monitor.Mail{{Key: "old"}} }))
			young := must[int64](t)(s.OpenAlert(t.Context(), monitor.Alert{First: begin, Last: now}, func(int64) []monitor.Mail { return []monitor.Mail{{Key: "young"}} }))
			if err := s.Gap(t.Context(), monitor.Gap{From: begin, To: begin, Reason: "dropped", Lost: 1}); err != nil {
				t.Fatal(err)
			}
			if err := s.Retain(t.Context(), now, days); err != nil {
				t.Fatal(err)
			}
			border := time.Date(2026, time.May, 20-days+1, 0, 0, 0, 0, time.UTC)
			want := rows[:0:0]
			for _, r := range rows {
				if !r.Time.Before(border) {
					want = append(want, r)
				}
			}
			if diff := diffRows(want, search(t, s.Reader, record.Filter{})); diff != "" {
				t.Errorf("%.2000s", diff)
			}
			appendAll(t, s, want[len(want)-10:]) // what it remembers must still be so
			if got := search(t, s.Reader, record.Filter{Limit: 20}); len(got) != 20 || got[0].Name == "" || got[19].Device == "" {
				t.Errorf("rows after the deletion: %+v", got)
			}
			if days < 365 {
				all := must[[]monitor.Alert](t)(s.Alerts(t.Context(), time.Time{}, time.Time{}, 0))
				gaps := must[[]monitor.Gap](t)(s.Gaps(t.Context(), time.Time{}, time.Time{}))
				if n, _, err := s.OutboxStats(t.Context()); len(all) != 1 || all[0].ID != young || n != 1 || len(gaps) != 0 || err != nil {
					t.Errorf("alerts %v, %d mails, gaps %v, %v", all, n, gaps, err)
				}
				closeTest(t, s)
				paths := must[[]string](t)(filepath.Glob(dir + "/log/*"))
				if len(paths) != days {
					t.Errorf("%d files for %d days", len(paths), days)
				}
				for _, path := range paths {
					b := must[[]byte](t)(os.ReadFile(path))
					if strings.Contains(string(b), "old.") {
						t.Errorf("%s still holds an old name", path)
					}
				}
			}
		})
	}
}

// What is deleted is overwritten first: whoever finds the blocks of the file finds no names.
func TestRetainOverwrites(t *testing.T) {
	dir, at := t.TempDir(), time.Date(2026, time.March, 5, 0, 0, 0, 0, time.UTC)
	s := openTest(t, dir, &clock{at})
	appendAll(t, s, sample(1, 9000, at.AddDate(0, 0, -9), at.AddDate(0, 0, -8)))
	old := dateOf(at.AddDate(0, 0, -9))
	kept := filepath.Join(t.TempDir(), "the same blocks")
	if err := os.Link(old.path(dir), kept); err != nil {
		t.Skipf("no second name for a file here: %v", err)
	}
	size := len(must[[]byte](t)(os.ReadFile(kept)))
	if err := s.Retain(t.Context(), at, 7); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old.path(dir)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
	if left := must[[]byte](t)(os.ReadFile(kept)); size < windowSize || len(left) != size || !zero(left) {
		t.Errorf("of %d bytes %d are left, zeros: %v", size, len(left), zero(left))
	}
}

func TestRetainSparesWithoutNumber(t *testing.T) {
	at := time.Date(2026, time.March, 5, 0, 0, 0, 0, time.UTC)
	s := openTest(t, t.TempDir(), &clock{at})
	appendAll(t, s, sample(1, 10, at.AddDate(-1, 0, 0), at))
	if err := s.Retain(t.Context(), at, 0); err != nil {
		t.Fatal(err)
	}
	if n := must[int64](t)(s.Count(t.Context(), record.Filter{})); n != 10 {
		t.Errorf("%d rows are left of 10", n)
	}
}

// corrupt overwrites the middle of a database.
func corrupt(t *testing.T, path string, from int64) {
	t.Helper()
	f := must[*os.File](t)(os.OpenFile(path, os.O_RDWR, 0))
	defer f.Close()
	info := must[os.FileInfo](t)(f.Stat())
	if _, err := f.WriteAt([]byte(strings.Repeat("rubbish ", int(info.Size()-from)/8)), from); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedDayIsSetAside(t *testing.T) {
	for name, from := range map[string]int64{"from its beginning": 0, "all pages but the first": 4096} {
		t.Run(name, func(t *testing.T) {
			dir, c := t.TempDir(), &clock{time.Date(2026, time.March, 5, 23, 0, 0, 0, time.UTC)}
			s := openTest(t, dir, c)
			feb := sample(1, 100, c.AddDate(0, -1, 0), c.AddDate(0, -1, 1))
			appendAll(t, s, feb)
			d := dateOf(c.Time)
			appendAll(t, s, sample(1, 3000, d.start(), c.Time))
			if err := s.drop(d); err != nil {
				t.Fatal(err)
			}
			corrupt(t, d.path(dir), from)
			if err := s.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "2026-03-05") {
				t.Errorf("check: %v", err)
			}
			var got []record.Row
			err := s.Search(t.Context(), record.Filter{}, func(r record.Row) error { got = append(got, r); return nil })
			if err == nil || len(got) < len(feb) {
				t.Errorf("search gives %d rows and %v", len(got), err)
			}
			later := sample(2, 50, c.Time, c.Add(time.Hour-time.Second))
			appendAll(t, s, later)
			if diff := diffRows(append(feb, later...), search(t, s.Reader, record.Filter{})); diff != "" {
				t.Errorf("%.2000s", diff)
			}
			if _, err := os.Stat(d.path(dir) + ".damaged"); err != nil {
				t.Error(err)
			}
			conditions := s.Conditions()
			if len(conditions) != 1 || conditions[0].Code != "record.damaged" {
				t.Errorf("conditions %+v", conditions)
			}
			gaps := must[[]monitor.Gap](t)(s.Gaps(t.Context(), time.Time{}, time.Time{}))
			if diff := gocmp.Diff([]monitor.Gap{{From: d.start(), To: c.Time, Reason: "damaged"}}, gaps); diff != "" {
				t.Error(diff)
			}
			if err := s.Check(t.Context()); err != nil {
				t.Errorf("check: %v", err)
			}
			if err := s.Retain(t.Context(), c.AddDate(0, 0, 20), 20); err != nil { // a row of it may be too old now
				t.Fatal(err)
			}
			if conditions := s.Conditions(); len(conditions) != 0 {
				t.Errorf("conditions %+v", conditions)
			}
		})
	}
}

func TestDamagedMainIsSetAside(t *testing.T) {
	for name, from := range map[string]int64{"from its beginning": 0, "all pages but the first": 4096} {
		t.Run(name, func(t *testing.T) {
			dir, c := t.TempDir(), &clock{time.Date(2026, time.March, 5, 0, 0, 0, 0, time.UTC)}
			s := openTest(t, dir, c)
			rows := sample(1, 10, c.Time, c.Add(time.Second))
			appendAll(t, s, rows)
			closeTest(t, s)
			corrupt(t, filepath.Join(dir, mainFile), from)
			for range 2 {
				s = openTest(t, dir, c)
				if conditions := s.Conditions(); len(conditions) != 1 || conditions[0].Code != "record.damaged" {
					t.Errorf("conditions %+v", conditions)
				}
				if n := must[int64](t)(s.Count(t.Context(), record.Filter{})); n != 10 {
					t.Errorf("%d rows", n)
				}
				must[int64](t)(s.OpenAlert(t.Context(), monitor.Alert{}, nil))
				closeTest(t, s)
			}
		})
	}
}

// smallFile is a file on a disk with little room.
type smallFile struct {
	file
	room *int64
}

func (f smallFile) WriteAt(b []byte, at int64) (int, error) {
	if left := *f.room - at; left < int64(len(b)) {
		n, _ := f.file.WriteAt(b[:max(left, 0)], at)
		return n, fmt.Errorf("writing: %w", syscall.ENOSPC)
	}
	return f.file.WriteAt(b, at)
}

// A full disk costs nothing that was written, and the same rows go in once there is space.
func TestDiskFull(t *testing.T) {
	dir, c := t.TempDir(), &clock{time.Date(2026, time.March, 5, 0, 0, 0, 0, time.UTC)}
	s := openTest(t, dir, c)
	room := int64(40_000)
	s.tune = func(f *logFile) { f.file = smallFile{f.file, &room} }
	rows, written := sample(1, 9000, c.Time, c.Add(time.Hour)), 0
	for written < len(rows) {
		n, err := s.Append(t.Context(), record.BatchOf(rows[written:written+1000]...))
		written += n
		if err != nil {
			if !errors.Is(err, ErrFull) || n != 0 {
				t.Fatalf("appended %d: %v", n, err)
			}
			break
		}
	}
	if written == 0 || written == len(rows) {
		t.Fatalf("%d rows were written", written)
	}
	if conditions := s.Conditions(); len(conditions) != 1 || conditions[0].Code != "record.full" || !conditions[0].Since.Equal(c.Time) {
		t.Errorf("conditions %+v", conditions)
	}
	if diff := diffRows(rows[:written], search(t, s.Reader, record.Filter{})); diff != "" {
		t.Errorf("%.2000s", diff)
	}
	room = 1 << 30
	appendAll(t, s, rows[written:])
	if diff := diffRows(rows, search(t, s.Reader, record.Filter{})); diff != "" {
		t.Errorf("%.2000s", diff)
	}
	if conditions := s.Conditions(); len(conditions) != 0 {
		t.Errorf("conditions %+v", conditions)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestStats(t *testing.T) {
	c := &clock{time.Date(2026, time.March, 5, 0, 0, 0, 0, time.UTC)}
	s := openTest(t, t.TempDir(), c)
	appendAll(t, s, sample(1, 500, c.AddDate(0, -2, 0), c.Time))
	st := must[Stats](t)(s.Stats())
	if st.Rows != 500 || st.Bytes < 2*4096 || st.Free == 0 || !st.Oldest.Equal(time.Date(2026, time.January, 5, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("stats %+v", st)
	}
}

func TestClosed(t *testing.T) {
	c := &clock{time.Date(2026, time.March, 5, 0, 0, 0, 0, time.UTC)}
	s := openTest(t, t.TempDir(), c)
	rows := sample(1, 5, c.Time, c.Add(time.Second))
	appendAll(t, s, rows)
	closeTest(t, s)
	if _, err := s.Append(t.Context(), record.BatchOf(rows...)); !errors.Is(err, errClosed) {
		t.Errorf("append: %v", err)
	}
	if err := s.Heartbeat(t.Context()); !errors.Is(err, errClosed) {
		t.Errorf("heartbeat: %v", err)
	}
	if err := s.Retain(t.Context(), c.Time, 1); err == nil {
		t.Error("retain: no error")
	}
}

// Run retains at once, and ends with its context.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	s := must[*Store](t)(Open(t.Context(), dir, slog.New(slog.DiscardHandler)))
	defer closeTest(t, s)
	appendAll(t, s, sample(1, 100, time.Now().AddDate(0, -6, 0), time.Now().AddDate(0, -5, 0)))
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Run(ctx, func() int { cancel(); return 30 })
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Retain(t.Context(), time.Now(), 30) // Run's context ended in the midst of it
	if n := must[int64](t)(s.Count(t.Context(), record.Filter{})); n != 0 {
		t.Errorf("%d rows are left", n)
	}
}

// A clock that leaps by years deletes nothing until it has been so for two days; one that goes on as clocks do deletes at
// midnight, and so does one that was put right.
func TestALeapDeletesNothing(t *testing.T) {
	begin := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name  string
		steps []time.Duration // of the clock, each with as much time of the machine, but for those of more than a week
		want  time.Duration   // since begin
		leapt bool
	}{
		{"a day", []time.Duration{wholeDay}, wholeDay, false},
		{"back", []time.Duration{-30 * wholeDay}, -30 * wholeDay, false},
		{"a leap", []time.Duration{3650 * wholeDay}, 0, true},
		{"a leap, a day ago", []time.Duration{3650 * wholeDay, wholeDay}, 0, true},
		{"a leap that stays", []time.Duration{3650 * wholeDay, wholeDay, wholeDay}, 3652 * wholeDay, false},
		{"a leap that is put right", []time.Duration{3650 * wholeDay, -3650 * wholeDay}, 0, false},
		{"a leap, and another", []time.Duration{3650 * wholeDay, -3650 * wholeDay, wholeDay, 3650 * wholeDay}, wholeDay, true},
	} {
		c, now, at := leapGuard{trusted: begin}, begin, begin
		for _, d := range tt.steps {
			now = now.Add(d)
			at = c.trust(now)
		}
		if got := at.Sub(begin); got != tt.want || (c.conditions() != nil) != tt.leapt {
			t.Errorf("%s: deleted by %v, want %v; conditions %v", tt.name, got, tt.want, c.conditions())
		}
	}
}

// TestRunAfterALeap: the record is there, and what is wrong is told, when the program is started with a clock far ahead.
func TestRunAfterALeap(t *testing.T) {
	dir, now := t.TempDir(), time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	at := func() time.Time { return now }
	s := must[*Store](t)(openAt(t.Context(), dir, slog.New(slog.DiscardHandler), at))
	appendAll(t, s, sample(1, 100, now.Add(-time.Hour), now))
	closeTest(t, s)
	now = now.AddDate(10, 0, 0)
	s = must[*Store](t)(openAt(t.Context(), dir, slog.New(slog.DiscardHandler), at))
	defer closeTest(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	if err := s.Run(ctx, func() int { calls++; cancel(); return 30 }); err != nil || calls == 0 {
		t.Fatal(calls, err)
	}
	if n := must[int64](t)(s.Count(t.Context(), record.Filter{})); n != 100 {
		t.Errorf("%d of 100 rows are left", n)
	}
	if c := s.Conditions(); len(c) != 1 || c[0].Code != "record.clock" {
		t.Errorf("conditions %v", c)
	}
}
