package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"schoolgate/monitor/record"
	"schoolgate/resolver/query"
)

// oneDay is a day in the past.
var oneDay = dateOf(time.Date(2026, time.March, 5, 0, 0, 0, 0, time.UTC))

func newLog(t testing.TB, dir string) *logFile {
	t.Helper()
	if err := os.MkdirAll(dir+"/"+logDir, 0o700); err != nil {
		t.Fatal(err)
	}
	b := newBudget()
	return must[*logFile](t)(openLog(dir, oneDay, &b.known))
}

func appendTo(t testing.TB, f *logFile, rows []record.Row) {
	t.Helper()
	known := newBudget()
	b := record.BatchOf(rows...)
	if n, err := f.append(b, b.Rows, &known); n != len(rows) || err != nil {
		t.Fatalf("appended %d of %d: %v", n, len(rows), err)
	}
}

// readAll reads a day's file from its bytes, in the order in which the rows were written.
func readAll(data []byte) (rows []record.Row, err error) {
	file, err := readDay(bytes.NewReader(data), int64(len(data)), oneDay)
	var b block
	err = errors.Join(err, file.each(context.Background(), 0, dayMillis, &b, func() error {
		for i := range b.rows {
			rows = append(rows, b.row(oneDay, i))
		}
		return nil
	}))
	return rows, err
}

func TestFramesAsGiven(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		f := newLog(t, dir)
		text := rapid.StringMatching(`[a-z]{0,3}`)
		row := rapid.Custom(func(rt *rapid.T) record.Row {
			r := record.Row{
				Time:   oneDay.time(rapid.Int64Range(0, dayMillis-1).Draw(rt, "ms")),
				Device: text.Draw(rt, "device"), Group: text.Draw(rt, "group"), Category: text.Draw(rt, "category"), List: text.Draw(rt, "list"),
				Name: text.Draw(rt, "name") + ".example", Type: rapid.Uint16().Draw(rt, "type"), RCode: rapid.Uint16().Draw(rt, "rcode"),
				Action: query.Action(rapid.IntRange(0, 2).Draw(rt, "action")), Source: query.Source(rapid.IntRange(0, 4).Draw(rt, "source")),
				Via:      query.Via(rapid.IntRange(0, 3).Draw(rt, "via")),
				Duration: time.Duration(rapid.Uint32().Draw(rt, "took")) * time.Microsecond,
			}
			if rapid.Bool().Draw(rt, "known rule") {
				r.Rule = query.Category
			}
			switch rapid.IntRange(0, 2).Draw(rt, "address") {
			case 0:
				r.Addr = netip.AddrFrom4([4]byte{192, 0, 2, rapid.Byte().Draw(rt, "host")})
			case 1:
				r.Addr = netip.MustParseAddr("2001:db8::1")
			}
			return r
		})
		var want []record.Row
		for range rapid.IntRange(1, 5).Draw(rt, "batches") {
			rows := rapid.SliceOfN(row, 0, 40).Draw(rt, "rows")
			appendTo(t, f, rows)
			want = append(want, rows...)
			if rapid.Bool().Draw(rt, "new block") {
				f.block = newDictionary()
			}
		}
		got, err := readAll(must[[]byte](t)(os.ReadFile(oneDay.path(dir))))
		if err != nil || !slices.Equal(want, got) {
			rt.Fatalf("want %v, got %v, %v", want, got, err)
		}
		if err := f.close(); err != nil {
			rt.Fatal(err)
		}
	})
}

// However a power cut leaves the last frame, what came before it is there, and writing goes on behind that.
func TestTornEnd(t *testing.T) {
	dir := t.TempDir()
	f := newLog(t, dir)
	whole := sample(1, 300, oneDay.start(), oneDay.start().Add(time.Hour))
	for i := range whole {
		whole[i].Rule = query.Default
	}
	appendTo(t, f, whole)
	begin := int(f.size)
	appendTo(t, f, whole[:100])
	if err := f.close(); err != nil {
		t.Fatal(err)
	}
	data := must[[]byte](t)(os.ReadFile(oneDay.path(dir)))
	check := func(name string, torn []byte) {
		t.Helper()
		got, err := readAll(torn)
		if err != nil || !slices.Equal(got, whole) {
			t.Fatalf("%s: a reader finds %d rows, %v", name, len(got), err)
		}
		if err := os.WriteFile(oneDay.path(dir), torn, 0o600); err != nil {
			t.Fatal(err)
		}
		f := newLog(t, dir)
		appendTo(t, f, whole[:7])
		if err := f.close(); err != nil {
			t.Fatal(err)
		}
		got, err = readAll(must[[]byte](t)(os.ReadFile(oneDay.path(dir))))
		if err != nil || !slices.Equal(got, append(slices.Clone(whole), whole[:7]...)) {
			t.Fatalf("%s: after it %d rows, %v", name, len(got), err)
		}
	}
	for size := begin; size < len(data); size += 7 {
		check(fmt.Sprint("cut at ", size), data[:size])
	}
	zeros := func(from, to int) []byte {
		torn := bytes.Clone(data)
		clear(torn[from:to])
		return torn
	}
	check("all of it zeros", zeros(begin, len(data)))
	check("the rows zeros", zeros(begin+headSize+10, len(data)))
	check("the head zeros", zeros(begin, begin+headSize))
	// A head across the border of two pages, of which one is missing.
	pad := page - headSize/2 - begin
	long := func() []byte {
		if err := os.WriteFile(oneDay.path(dir), data[:begin], 0o600); err != nil {
			t.Fatal(err)
		}
		f := newLog(t, dir)
		known := newBudget()
		row := whole[0]
		row.Name = strings.Repeat("a", 60)
		// Find a name so long that the next frame begins half a head before the border.
		for n := 1; ; n++ {
			row.Name = strings.Repeat("a", n)
			b := record.BatchOf(row)
			f.frame.reset()
			f.block = newDictionary()
			f.fill(b, b.Rows, &known)
			if size := frameSize(f); size >= pad {
				f.block = newDictionary()
				if k, err := f.append(b, b.Rows, &known); k != 1 || err != nil {
					t.Fatal(err)
				}
				break
			}
		}
		whole = append(whole, row)
		begin = int(f.size)
		appendTo(t, f, whole[:50])
		if err := f.close(); err != nil {
			t.Fatal(err)
		}
		return must[[]byte](t)(os.ReadFile(oneDay.path(dir)))
	}
	if pad > 0 {
		data = long()
		if begin%page <= page-headSize || begin%page == 0 {
			t.Fatalf("the frame begins at %d of its page", begin%page)
		}
		check("the first page missing", zeros(begin, begin+page-begin%page))
		check("the second page missing", zeros(begin+page-begin%page, len(data)))
	}
}

func frameSize(f *logFile) int {
	r := &f.frame
	n := headSize + len(r.who) + len(r.why) + len(r.names) + len(r.rows)
	return n + 3 // the three numbers are small
}

// Whatever byte is wrong, no wrong row is given, and what is lost is told unless it looks like the end of a power cut.
func TestAnyWrongByte(t *testing.T) {
	dir := t.TempDir()
	f := newLog(t, dir)
	rows := sample(1, 60, oneDay.start(), oneDay.start().Add(time.Hour))
	for i := range rows {
		rows[i].Rule = query.Default
	}
	var ends []int64
	for part := range slices.Chunk(rows, 20) {
		f.block = newDictionary()
		appendTo(t, f, part)
		ends = append(ends, f.size)
	}
	if err := f.close(); err != nil {
		t.Fatal(err)
	}
	data := must[[]byte](t)(os.ReadFile(oneDay.path(dir)))
	for i := range data {
		wrong := bytes.Clone(data)
		wrong[i] ^= 1 << (i % 8)
		got, err := readAll(wrong)
		for _, r := range got {
			if !slices.Contains(rows, r) {
				t.Fatalf("byte %d: a row that never was: %+v", i, r)
			}
		}
		if len(got) == len(rows) {
			t.Fatalf("byte %d is not noticed", i)
		}
		if err == nil && int64(i) < ends[1] {
			t.Fatalf("byte %d: %d rows are lost and nothing is said", i, len(rows)-len(got))
		}
	}
}

// Rows that are written out of order, as when the clock is set back, are found newest first all the same.
func TestNewestFirstWhateverTheClock(t *testing.T) {
	c := &clock{oneDay.time(12 * 60 * 60 * 1000)}
	s := openTest(t, t.TempDir(), c)
	rows := sample(3, 4000, c.Add(-30*time.Hour), c.Time)
	r := rand.New(rand.NewPCG(1, 1))
	r.Shuffle(len(rows)/2, func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	for part := range slices.Chunk(rows, 300) {
		appendAll(t, s, part)
		for _, f := range s.files {
			f.block = newDictionary()
		}
	}
	got := search(t, s.Reader, record.Filter{})
	if !slices.IsSortedFunc(got, func(a, b record.Row) int { return b.Time.Compare(a.Time) }) {
		t.Error("not newest first")
	}
	if diff := diffRows(rows, got); diff != "" {
		t.Errorf("%.2000s", diff)
	}
	if limited := search(t, s.Reader, record.Filter{Limit: 1000}); diffRows(got[:1000], limited) != "" {
		t.Error("another thousand with a limit")
	}
}

// countedFile counts what is asked of the disk.
type countedFile struct {
	file
	writes, syncs *int
}

func (f countedFile) WriteAt(b []byte, at int64) (int, error) {
	*f.writes++
	return f.file.WriteAt(b, at)
}

func (f countedFile) Sync() error { *f.syncs++; return f.file.Sync() }

// A batch is one write and one wait for the disk.
func TestOneWriteForABatch(t *testing.T) {
	c := &clock{oneDay.start()}
	s := openTest(t, t.TempDir(), c)
	writes, syncs := 0, 0
	s.tune = func(f *logFile) { f.file = countedFile{f.file, &writes, &syncs} }
	b := record.BatchOf(traffic(20_000)...)
	for n := 1; n <= 3; n++ {
		if done, err := s.Append(t.Context(), b); done != 20_000 || err != nil || writes != n || syncs != n {
			t.Fatalf("%d rows, %v: %d writes and %d syncs, want %d", done, err, writes, syncs, n)
		}
	}
}

// A row of what is known costs no allocation: two thousand of them cost as little as the pauses between them.
func TestAppendingDoesNotAllocate(t *testing.T) {
	f := newLog(t, t.TempDir())
	defer f.close()
	known := newBudget()
	b := record.BatchOf(sample(1, 2000, oneDay.start(), oneDay.start().Add(time.Hour))...)
	n := testing.AllocsPerRun(20, func() {
		if n, err := f.append(b, b.Rows, &known); n != 2000 || err != nil {
			t.Fatal(n, err)
		}
	})
	if n > 10 {
		t.Errorf("%v allocations", n)
	}
}

// A batch of more devices than a block holds goes on in the next one, in which devices and names have other numbers.
func TestBatchOfSeveralBlocks(t *testing.T) {
	dir := t.TempDir()
	f := newLog(t, dir)
	rows := make([]record.Row, 2*maxWho+7)
	for i := range rows {
		rows[i] = record.Row{
			Time: oneDay.time(int64(i)), Device: fmt.Sprint("device-", i%(maxWho+1)), Name: fmt.Sprintf("n%d.example", i*i%100),
			Action: query.Block, Rule: query.OwnBlock, List: fmt.Sprint("list-", i%3), Type: uint16(i % 5),
		}
	}
	appendTo(t, f, rows)
	if err := f.close(); err != nil {
		t.Fatal(err)
	}
	got, err := readAll(must[[]byte](t)(os.ReadFile(oneDay.path(dir))))
	if err != nil || !slices.Equal(rows, got) {
		t.Errorf("%d of %d rows as given, %v", len(got), len(rows), err)
	}
}

func FuzzDay(f *testing.F) {
	dir := f.TempDir()
	log := newLog(f, dir)
	appendTo(f, log, sample(1, 5, oneDay.start(), oneDay.start().Add(time.Hour)))
	appendTo(f, log, sample(2, 5, oneDay.start(), oneDay.start().Add(time.Hour)))
	if err := log.close(); err != nil {
		f.Fatal(err)
	}
	data := must[[]byte](f)(os.ReadFile(oneDay.path(dir)))
	f.Add(data)
	f.Add(data[:len(data)-3])
	f.Add([]byte(oneDay.title()))
	f.Add(make([]byte, 100))
	f.Fuzz(func(t *testing.T, data []byte) {
		rows, err := readAll(data)
		if err != nil && !errors.Is(err, errDamaged) && !errors.Is(err, ErrNewer) {
			t.Error(err)
		}
		if len(rows)*5 > len(data) {
			t.Errorf("%d rows from %d bytes", len(rows), len(data))
		}
		// A body whose checksum is right may hold anything.
		var b block
		if err := b.add(head{rows: 7, until: dayMillis - 1}, data); err != nil && !errors.Is(err, errDamaged) {
			t.Error(err)
		}
		for i := range b.rows {
			_ = b.row(oneDay, i)
		}
	})
}
