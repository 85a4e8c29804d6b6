package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"schoolgate/blocklist/domain"
	"schoolgate/monitor"
	"schoolgate/monitor/record"
	"schoolgate/resolver/query"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shelf is an Appender that keeps what it gets, and fails while fail says so.
type shelf struct {
	mu   sync.Mutex
	rows []record.Row
	gaps []monitor.Gap
	most int
	fail func(rows int) (n int, err error)
}

func (s *shelf) Append(_ context.Context, b *record.Batch) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := len(b.Rows), error(nil)
	if s.fail != nil {
		n, err = s.fail(n)
	}
	for i := range n {
		s.rows = append(s.rows, b.Row(i))
	}
	s.most = max(s.most, len(b.Rows))
	return n, err
}

func (s *shelf) Gap(_ context.Context, g monitor.Gap) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		if _, err := s.fail(0); err != nil {
			return err
		}
	}
	s.gaps = append(s.gaps, g)
	return nil
}

var noon = time.Date(2026, time.March, 2, 12, 0, 0, 0, time.UTC)

func question(t testing.TB, lane int, name string) *query.Query {
	t.Helper()
	q := &query.Query{
		Start: noon, Lane: lane,
		Client:  query.Client{Addr: netip.MustParseAddr("192.0.2.7"), Device: "tablet-7", Name: "children"},
		Verdict: query.Verdict{Action: query.Block, Rule: query.Category, Category: "gaming", List: "games"},
		Source:  query.Policy, RCode: 3, Duration: 45 * time.Microsecond,
	}
	q.Question.Type = 28
	if err := q.Question.Name.SetName(domain.Name(name)); err != nil {
		t.Fatal(err)
	}
	return q
}

// start runs j until stop, which returns Run's error.
func start(j *Journal, w Appender, flush time.Duration) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- j.Run(ctx, w, flush) }()
	return func() error { cancel(); return <-done }
}

func TestRowsAsGiven(t *testing.T) {
	long := strings.Repeat("d", 300)
	edit := func(name string, f func(*query.Query)) *query.Query {
		q := question(t, 1, name)
		f(q)
		return q
	}
	cases := map[string]*query.Query{
		"plain":         question(t, 1, "www.example.com"),
		"root":          question(t, 1, ""),
		"odd bytes":     question(t, 1, `a\000b\046c.example`),
		"IPv6":          edit("a.example", func(q *query.Query) { q.Client.Addr = netip.MustParseAddr("2001:db8::7") }),
		"no address":    edit("a.example", func(q *query.Query) { q.Client.Addr = netip.Addr{} }),
		"shared lane":   edit("a.example", func(q *query.Query) { q.Lane = 0 }),
		"lane unknown":  edit("a.example", func(q *query.Query) { q.Lane = 99 }),
		"lane negative": edit("a.example", func(q *query.Query) { q.Lane = -1 }),
		"allowed":       edit("a.example", func(q *query.Query) { q.Verdict, q.Source, q.RCode = query.Verdict{}, query.Upstream, 0 }),
		"longest name":  question(t, 1, strings.Repeat(strings.Repeat("a", 63)+".", 3)+strings.Repeat("b", 61)),
		"longest text":  edit("a.example", func(q *query.Query) { q.Client.Device = long[:255] }),
	}
	for name, q := range cases {
		t.Run(name, func(t *testing.T) {
			j, w := New(2, 0), &shelf{}
			stop := start(j, w, time.Hour)
			j.Done(q)
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			want := []record.Row{record.FromQuery(q)}
			if diff := cmp.Diff(want, w.rows, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("text too long", func(t *testing.T) {
		j, w := New(0, 0), &shelf{}
		stop := start(j, w, time.Hour)
		j.Done(edit("a.example", func(q *query.Query) { q.Client.Device = long }))
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if got := w.rows[0].Device; got != long[:255] || w.rows[0].Name != "a.example" {
			t.Errorf("got a device of %d bytes, and the name %q", len(got), w.rows[0].Name)
		}
	})
}

// The name of an illegal-tier question must not be in memory that outlives the query.
func TestIllegalNamesAreWithheld(t *testing.T) {
	j, w := New(1, 0), &shelf{}
	q := question(t, 1, "unspeakable.example")
	q.Verdict.Rule = query.Illegal
	j.Done(q)
	q.Lane = 0
	j.Done(q)
	for i, l := range j.lanes {
		if strings.Contains(string(l.ring.buf), "unspeakable") {
			t.Errorf("the ring of lane %d holds the name", i)
		}
	}
	if err := start(j, w, time.Hour)(); err != nil {
		t.Fatal(err)
	}
	if len(w.rows) != 2 {
		t.Fatalf("got %d rows, want 2", len(w.rows))
	}
	for _, r := range w.rows {
		if r.Name != record.Withheld || r.Rule != query.Illegal || r.Device != "tablet-7" {
			t.Errorf("got %+v", r)
		}
	}
}

func TestDoneDoesNotAllocate(t *testing.T) {
	for _, lane := range []int{0, 1} {
		j := New(1, 64<<10)
		q := question(t, lane, "www.example.com")
		if n := testing.AllocsPerRun(5000, func() { j.Done(q) }); n != 0 {
			t.Errorf("lane %d: %v allocations", lane, n)
		}
		if s := j.Stats(); s.Dropped == 0 || s.Queued == 0 {
			t.Errorf("lane %d: %+v: both ways should have been measured", lane, s)
		}
	}
}

func TestCapacity(t *testing.T) {
	for _, lanes := range []int{0, 1, 2, 4, 8} {
		j, bytes := New(lanes, DefaultCapacity), 0
		for _, l := range j.lanes {
			bytes += len(l.ring.buf)
		}
		if bytes > DefaultCapacity {
			t.Errorf("%d lanes: %d bytes", lanes, bytes)
		}
	}
	j := New(1, DefaultCapacity)
	q := question(t, 1, "averagely-long.name.example.com")
	for range 100_000 {
		j.Done(q)
	}
	if s := j.Stats(); s.Dropped != 0 || s.Queued != 100_000 {
		t.Errorf("two seconds at 50,000 q/s on one lane: %+v", s)
	}
}

// Each row of each producer arrives once or is counted as dropped, in order within a lane.
func TestManyLanes(t *testing.T) {
	const lanes, each = 4, 20_000
	j, w := New(lanes, 128<<10), &shelf{}
	stop := start(j, w, time.Millisecond)
	var wg sync.WaitGroup
	for p := range lanes + 2 { // two producers share lane 0
		wg.Go(func() {
			lane := max(p-1, 0)
			q := question(t, lane, "www.example.com")
			q.Client.Device = fmt.Sprint("device-", p)
			for i := range each {
				q.Start = noon.Add(time.Duration(i) * time.Millisecond)
				j.Done(q)
			}
		})
	}
	wg.Wait()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	s := j.Stats()
	var lost int64
	for _, g := range w.gaps {
		lost += g.Lost
		if g.Reason != "dropped" || g.To.Before(g.From) || g.From.Before(noon) || g.To.After(noon.Add(each*time.Millisecond)) {
			t.Errorf("gap %+v", g)
		}
	}
	if s.Accepted != each*(lanes+2) || s.Accepted != s.Written+s.Dropped || s.Queued != 0 {
		t.Errorf("stats %+v", s)
	}
	if uint64(len(w.rows)) != s.Written || uint64(lost) != s.Dropped {
		t.Errorf("%d rows and %d lost, but stats %+v", len(w.rows), lost, s)
	}
	if w.most > MaxBatch {
		t.Errorf("a batch of %d rows", w.most)
	}
	seen := make(map[string]map[time.Time]bool)
	for _, r := range w.rows {
		if seen[r.Device] == nil {
			seen[r.Device] = make(map[time.Time]bool)
		}
		if seen[r.Device][r.Time] {
			t.Fatalf("row %v of %s twice", r.Time, r.Device)
		}
		seen[r.Device][r.Time] = true
	}
}

// What several rows share is in a batch once, and nothing of it is left when it was written.
func TestBatchesShare(t *testing.T) {
	g := newGatherer()
	j := New(1, 0)
	for round := range 2 {
		for i := range 30 {
			j.Done(question(t, 1, fmt.Sprintf("n%d.example", i%3)))
		}
		l := j.lanes[1]
		for b := l.ring.take(); b != nil; b = l.ring.take() {
			g.add(b)
			if len(g.Rows) == 20 {
				g.finish() // as after a batch that could not be written
			}
		}
		g.finish()
		if len(g.Rows) != 30 || len(g.Who) != 1 || len(g.Why) != 1 || !slices.Equal(g.Names, []string{"n0.example", "n1.example", "n2.example"}) {
			t.Fatalf("round %d: %d rows of %v, %v, %v", round, len(g.Rows), g.Who, g.Why, g.Names)
		}
		g.taken(10)
		if r := g.Row(0); r.Name != "n1.example" || r.Device != "tablet-7" || r.List != "games" {
			t.Errorf("got %+v", r)
		}
		g.taken(20)
		if left := fmt.Sprint(g.Names[:cap(g.Names)], string(g.text[:cap(g.text)]), string(g.wire.text[:cap(g.wire.text)])); strings.Contains(left, "example") {
			t.Errorf("names outlive their writing: %q", left)
		}
	}
}

// Once there is room, a batch costs one string for all its names, and nothing for each row.
func TestGatheringDoesNotAllocate(t *testing.T) {
	g := newGatherer()
	j := New(1, 1<<20)
	var records [][]byte
	for i := range 1000 {
		q := question(t, 1, fmt.Sprintf("n%d.example", i%10))
		q.Verdict = query.Verdict{}
		j.Done(q)
		records = append(records, bytes.Clone(j.lanes[1].ring.take()))
		j.lanes[1].ring.free()
	}
	// The names' string, the device, the group: for a thousand rows.
	if n := testing.AllocsPerRun(100, func() {
		for _, b := range records {
			g.add(b)
		}
		g.finish()
		g.taken(len(records))
	}); n > 3 {
		t.Errorf("%v allocations", n)
	}
}

// weighed is an Appender that notes how long the names of a batch are.
type weighed struct{ rows, most int }

func (w *weighed) Append(_ context.Context, b *record.Batch) (int, error) {
	text := 0
	for _, n := range b.Names {
		text += len(n)
	}
	w.rows, w.most = w.rows+len(b.Rows), max(w.most, text)
	return len(b.Rows), nil
}

func (*weighed) Gap(context.Context, monitor.Gap) error { return nil }

// A flood of names of odd bytes, whose text is four times as long, takes no more memory than its records and a little.
func TestFloodOfOddNames(t *testing.T) {
	const rows = 10_000
	j, w := New(1, DefaultCapacity), &weighed{}
	odd := strings.Repeat(strings.Repeat(`\001`, 60)+".", 4)
	for i := range rows {
		j.Done(question(t, 1, fmt.Sprint(odd, i)))
	}
	stop := start(j, w, time.Hour)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if w.rows != rows || w.most > maxNames+4*domain.MaxWire {
		t.Errorf("%d rows of %d, with %d bytes of names at once", w.rows, rows, w.most)
	}
}

var errDisk = errors.New("no space left")

// A writer that fails for a while, in the middle of a batch too, loses nothing that fits into memory, doubles nothing, and
// what did not fit is one gap.
func TestFailingAppender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		broken.Store(true)
		w := &shelf{fail: func(n int) (int, error) {
			if broken.Load() {
				return n / 2, errDisk
			}
			return n, nil
		}}
		j := New(1, 2*minRing)
		stop := start(j, w, 2*time.Second)
		given := 0
		for range 2000 {
			q := question(t, 1, "www.example.com")
			q.Start = noon.Add(time.Duration(given) * time.Millisecond)
			given++
			j.Done(q)
			if given%100 == 0 {
				time.Sleep(time.Second)
				synctest.Wait()
			}
		}
		s := j.Stats()
		if !errors.Is(s.Err, errDisk) || s.Queued == 0 || s.Dropped == 0 || s.Oldest.IsZero() {
			t.Errorf("while it fails: %+v", s)
		}
		if len(w.gaps) != 0 {
			t.Errorf("gaps %v before the writer works", w.gaps)
		}
		broken.Store(false)
		time.Sleep(time.Minute)
		synctest.Wait()
		s = j.Stats()
		if s.Err != nil || s.Queued != 0 || !s.Oldest.IsZero() || s.Accepted != 2000 || s.Written+s.Dropped != 2000 {
			t.Errorf("afterwards: %+v", s)
		}
		if len(w.gaps) != 1 || uint64(w.gaps[0].Lost) != s.Dropped {
			t.Errorf("%d dropped, gaps %v", s.Dropped, w.gaps)
		}
		if len(w.rows) != int(s.Written) {
			t.Errorf("%d rows, %d written", len(w.rows), s.Written)
		}
		for i := 1; i < len(w.rows); i++ {
			if !w.rows[i].Time.After(w.rows[i-1].Time) {
				t.Fatalf("row %d of %v comes after %v", i, w.rows[i].Time, w.rows[i-1].Time)
			}
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// Losses of a full disk have that reason, others have theirs, and while Append fails they are written down each minute.
func TestReasonsOfGaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var failing atomic.Pointer[error]
		failing.Store(new(error))
		w := &shelf{fail: func(n int) (int, error) {
			if err := *failing.Load(); err != nil && n > 0 {
				return 0, err
			}
			return n, nil
		}}
		j := New(1, 0)
		stop := start(j, w, 2*time.Second)
		given := 0
		fails := func(err error, d time.Duration) {
			t.Helper()
			failing.Store(&err)
			for range int(d.Seconds()) {
				for range 20 {
					q := question(t, 1, "www.example.com")
					q.Start = noon.Add(time.Duration(given) * time.Millisecond)
					given++
					j.Done(q)
				}
				time.Sleep(time.Second)
				synctest.Wait()
			}
		}
		lost := func() (reasons string, sum uint64) {
			w.mu.Lock()
			defer w.mu.Unlock()
			last := ""
			for _, g := range w.gaps {
				if g.Reason != last {
					reasons += g.Reason + " "
				}
				last = g.Reason
				sum += uint64(g.Lost)
			}
			return reasons, sum
		}
		fails(fmt.Errorf("writing: %w", syscall.ENOSPC), 3*time.Minute)
		if reasons, sum := lost(); reasons != "full " || sum == 0 || sum > j.Stats().Dropped {
			t.Errorf("while it is full: %d lost for %q, %d dropped", sum, reasons, j.Stats().Dropped)
		}
		fails(nil, time.Minute)
		fails(errDisk, 3*time.Minute)
		fails(nil, time.Minute)
		reasons, sum := lost()
		if st := j.Stats(); reasons != "full dropped " || sum != st.Dropped || st.Written+st.Dropped != uint64(given) {
			t.Errorf("afterwards: %d lost for %q, stats %+v", sum, reasons, st)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestStopWhileFailing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &shelf{fail: func(int) (int, error) { return 0, errDisk }}
		j := New(1, 0)
		stop := start(j, w, time.Second)
		for range 10 {
			j.Done(question(t, 1, "a.example"))
		}
		time.Sleep(10 * time.Second)
		begin := time.Now()
		err := stop()
		if !errors.Is(err, errDisk) || !strings.Contains(err.Error(), "10 rows") {
			t.Errorf("error %v", err)
		}
		if d := time.Since(begin); d > 2*drainTime {
			t.Errorf("the stop took %v", d)
		}
		if s := j.Stats(); s.Accepted != 10 || s.Dropped != 10 || s.Queued != 0 {
			t.Errorf("stats %+v", s)
		}
	})
}

// With the interval far away, a lane that is half full is written at once.
func TestHalfFullLaneWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, w := New(1, 0), &shelf{}
		stop := start(j, w, time.Hour)
		for range 1000 {
			j.Done(question(t, 1, "www.example.com"))
			time.Sleep(time.Millisecond) // the writer pauses now and then
			synctest.Wait()
		}
		if s := j.Stats(); s.Dropped != 0 || s.Written < 900 {
			t.Errorf("stats %+v", s)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestFlushInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, w := New(1, 0), &shelf{}
		stop := start(j, w, 2*time.Second)
		j.Done(question(t, 1, "a.example"))
		time.Sleep(1900 * time.Millisecond)
		synctest.Wait()
		if n := j.Stats().Queued; n != 1 {
			t.Errorf("%d rows wait before the interval, want 1", n)
		}
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		if s := j.Stats(); s.Written != 1 || s.Flushed.IsZero() {
			t.Errorf("after the interval: %+v", s)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}
