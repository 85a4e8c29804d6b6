package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"schoolgate/blocklist/domain"
	"schoolgate/monitor"
	"schoolgate/monitor/record"
	"schoolgate/resolver/query"
)

func TestMain(m *testing.M) {
	if child := os.Getenv(childVariable); child != "" {
		os.Exit(runChild(child))
	}
	goleak.VerifyTestMain(m)
}

var equal = gocmp.Options{cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()}

// clock is a time that a test sets.
type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

func openTest(t testing.TB, dir string, c *clock) *Store {
	t.Helper()
	s, err := openAt(t.Context(), dir, slog.New(slog.DiscardHandler), c.now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeTest(t, s) })
	return s
}

func closeTest(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// crash closes the store as SIGKILL would leave it: without a record of the stop.
func crash(t testing.TB, s *Store) {
	t.Helper()
	s.closed = true
	if err := s.release(); err != nil {
		t.Fatal(err)
	}
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func appendAll(t testing.TB, s *Store, rows []record.Row) {
	t.Helper()
	for chunk := range slices.Chunk(rows, 1000) {
		if n, err := s.Append(t.Context(), record.BatchOf(chunk...)); n != len(chunk) || err != nil {
			t.Fatalf("appended %d of %d: %v", n, len(chunk), err)
		}
	}
}

func search(t testing.TB, r *Reader, f record.Filter) []record.Row {
	t.Helper()
	var got []record.Row
	err := r.Search(t.Context(), f, func(row record.Row) error { got = append(got, row); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// sample makes n rows between begin and end, ordered by time, of few devices and names.
func sample(seed uint64, n int, begin, end time.Time) []record.Row {
	r := rand.New(rand.NewPCG(seed, 1))
	rows := make([]record.Row, n)
	for i := range rows {
		device := r.IntN(9)
		row := record.Row{
			Time:   begin.Add(time.Duration(r.Int64N(int64(end.Sub(begin))))).Truncate(time.Millisecond).UTC(),
			Device: fmt.Sprintf("tablet-%d", device), Addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(device)}),
			Group: []string{"children", "staff", "guests"}[device%3],
			Name:  []string{"www.", "", "cdn.a.", "x-"}[r.IntN(4)] + fmt.Sprintf("site%d.example", r.IntN(12)),
			Type:  []uint16{1, 28, 65}[r.IntN(3)], Source: query.Source(r.IntN(5)), RCode: uint16(r.IntN(4)),
			Duration: time.Duration(r.IntN(1_000_000)) * time.Microsecond,
		}
		switch r.IntN(6) {
		case 0:
			row.Action, row.Rule, row.Category, row.List = query.Block, query.Category, "gaming", "games"
		case 1:
			row.Action, row.Rule, row.Category, row.List = query.Block, query.OwnBlock, "", ""
		case 2:
			row.Action, row.Rule = query.Rewrite, query.SafeSearch
		}
		if r.IntN(200) == 0 {
			row.Action, row.Rule, row.Category, row.Name = query.Block, query.Illegal, "illegal", record.Withheld
		}
		if r.IntN(50) == 0 {
			row.Device, row.Addr = "02:00:5e:00:53:01", netip.MustParseAddr("2001:db8::1")
		}
		rows[i] = row
	}
	slices.SortStableFunc(rows, func(a, b record.Row) int { return a.Time.Compare(b.Time) })
	return rows
}

// newestFirst puts rows in an order that does not depend on how rows of one millisecond follow each other.
func newestFirst(rows []record.Row) []record.Row {
	rows = slices.Clone(rows)
	slices.SortStableFunc(rows, func(a, b record.Row) int {
		if c := b.Time.Compare(a.Time); c != 0 {
			return c
		}
		return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b))
	})
	return rows
}

// diffRows compares rows in whatever order. Equal ones, which most are, cost no reflection.
func diffRows(want, got []record.Row) string {
	want, got = newestFirst(want), newestFirst(got)
	if slices.Equal(want, got) {
		return ""
	}
	return gocmp.Diff(want, got, equal)
}

// selects is what a Filter means, said as plainly as possible.
func selects(f record.Filter, r record.Row) bool {
	name := strings.ToLower(f.Name)
	below := r.Name == name || strings.HasSuffix(r.Name, "."+name)
	if strings.Contains(name, "*") {
		below = glob(name, r.Name)
	}
	return (f.From.IsZero() || !r.Time.Before(f.From)) && (f.To.IsZero() || r.Time.Before(f.To)) &&
		(f.Device == "" || strings.EqualFold(f.Device, r.Device) || f.Device == r.Addr.String()) &&
		(f.Group == "" || f.Group == r.Group) && (f.Category == "" || f.Category == r.Category) &&
		(f.Action == nil || *f.Action == r.Action) && (name == "" || below)
}

func glob(pattern, s string) bool {
	if pattern == "" || s == "" {
		return strings.Trim(pattern, "*") == "" && s == ""
	}
	if pattern[0] == '*' {
		return glob(pattern[1:], s) || glob(pattern, s[1:])
	}
	return pattern[0] == s[0] && glob(pattern[1:], s[1:])
}

func TestSearchAndCountAgainstSlice(t *testing.T) {
	begin := time.Date(2026, time.January, 30, 0, 0, 0, 0, time.UTC)
	end := time.Date(2026, time.March, 2, 0, 0, 0, 0, time.UTC)
	rows := sample(1, 6000, begin, end) // more than a page in February
	s := openTest(t, t.TempDir(), &clock{end})
	appendAll(t, s, rows)
	block, allow := query.Block, query.Allow
	feb := time.Date(2026, time.February, 1, 0, 0, 0, 0, time.UTC)
	for name, f := range map[string]record.Filter{
		"everything":          {},
		"from":                {From: feb},
		"to":                  {To: feb},
		"between":             {From: feb.Add(-time.Hour), To: feb.Add(30 * time.Hour)},
		"from a row":          {From: rows[2000].Time},
		"just after a row":    {From: rows[2000].Time.Add(time.Microsecond)},
		"to a row":            {To: rows[2000].Time},
		"just past a row":     {To: rows[2000].Time.Add(time.Microsecond)},
		"device":              {Device: "tablet-3"},
		"hardware address":    {Device: "02:00:5E:00:53:01"},
		"address":             {Device: "192.0.2.4"},
		"address, IPv6":       {Device: "2001:db8::1"},
		"no such device":      {Device: "tablet"},
		"group":               {Group: "staff"},
		"category":            {Category: "gaming"},
		"blocked":             {Action: &block},
		"allowed":             {Action: &allow, Group: "children"},
		"name":                {Name: "site1.example"},
		"name, upper case":    {Name: "SITE1.example"},
		"top":                 {Name: "example"},
		"not on a label":      {Name: "ite1.example"},
		"pattern":             {Name: "*site1*.example"},
		"pattern, whole":      {Name: "site*"},
		"pattern of all":      {Name: "**"},
		"LIKE's own signs":    {Name: "*site_.example"},
		"LIKE's own signs%":   {Name: "%site1.example"},
		"quotes":              {Name: "'; DROP TABLE entry; --", Device: `"`, Group: "' OR 1=1 --"},
		"pattern, many stars": {Name: strings.Repeat("*", 3) + "s*i*t*e*1*.*e*x*a*m*p*l*e"},
		"withheld":            {Name: record.Withheld},
		"all of it":           {From: feb, To: feb.AddDate(0, 1, 0), Group: "children", Name: "*1.example", Action: &block, Category: "gaming"},
		"nothing":             {From: end},
	} {
		t.Run(name, func(t *testing.T) {
			var want []record.Row
			for _, r := range rows {
				if selects(f, r) {
					want = append(want, r)
				}
			}
			got := search(t, s.Reader, f)
			if !slices.IsSortedFunc(got, func(a, b record.Row) int { return b.Time.Compare(a.Time) }) {
				t.Error("not newest first")
			}
			if diff := diffRows(want, got); diff != "" {
				t.Errorf("want %d rows, got %d: %.2000s", len(want), len(got), diff)
			}
			if n := must[int64](t)(s.Count(t.Context(), f)); n != int64(len(want)) {
				t.Errorf("count %d, want %d", n, len(want))
			}
			for _, limit := range []int{7, 5000} {
				f.Limit = limit
				limited := search(t, s.Reader, f)
				if diff := diffRows(got[:min(limit, len(got))], limited); diff != "" {
					t.Errorf("limit %d: got %d of %d rows", limit, len(limited), len(got))
				}
			}
		})
	}
	t.Run("trailing dot and international", func(t *testing.T) {
		row := rows[0]
		row.Time, row.Name = end, "www.xn--bcher-kva.example"
		appendAll(t, s, []record.Row{row})
		for _, name := range []string{"bücher.example", "Bücher.example.", "xn--bcher-kva.example.", "*.xn--bcher-kva.*"} {
			if got := search(t, s.Reader, record.Filter{Name: name}); len(got) != 1 {
				t.Errorf("%s: %d rows, want 1", name, len(got))
			}
		}
	})
	t.Run("error of yield", func(t *testing.T) {
		enough, n := errors.New("enough"), 0
		err := s.Search(t.Context(), record.Filter{}, func(record.Row) error { n++; return enough })
		if !errors.Is(err, enough) || n != 1 {
			t.Errorf("error %v after %d rows", err, n)
		}
	})
	t.Run("context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Search(ctx, record.Filter{}, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}

// Ids are remembered from one opening to the next, and rows that come late or of the same millisecond find their place.
func TestRowsOutOfOrder(t *testing.T) {
	dir, c := t.TempDir(), &clock{time.Date(2026, time.March, 1, 0, 0, 10, 0, time.UTC)}
	at := time.Date(2026, time.February, 28, 23, 59, 59, 0, time.UTC)
	rows := sample(2, 2400, at, at.Add(2*time.Second))
	for i := range rows {
		rows[i].Time, rows[i].Rule = rows[i].Time.Truncate(time.Second), query.Default // a thousand and more of one instant
	}
	rand.New(rand.NewPCG(3, 3)).Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	for part := range slices.Chunk(rows, 800) {
		s := openTest(t, dir, c)
		for i := range part {
			part[i].Name = "once.example"
		}
		appendAll(t, s, part)
		closeTest(t, s)
	}
	s := openTest(t, dir, c)
	got := search(t, s.Reader, record.Filter{})
	if diff := diffRows(rows, got); diff != "" {
		t.Errorf("%.2000s", diff)
	}
	all := must[[]date](t)(dates(dir))
	if fmt.Sprint(all) != "[2026-02-28 2026-03-01]" {
		t.Errorf("days %v", all)
	}
}

func TestTallyAgainstSlice(t *testing.T) {
	london := must[*time.Location](t)(time.LoadLocation("Europe/London"))
	type stretch struct{ from, to time.Time }
	for name, span := range map[string]stretch{
		"clocks forward":  {time.Date(2026, time.March, 27, 0, 0, 0, 0, time.UTC), time.Date(2026, time.April, 3, 0, 0, 0, 0, time.UTC)},
		"clocks back":     {time.Date(2026, time.October, 23, 0, 0, 0, 0, time.UTC), time.Date(2026, time.November, 3, 0, 0, 0, 0, time.UTC)},
		"three months":    {time.Date(2025, time.December, 25, 0, 0, 0, 0, time.UTC), time.Date(2026, time.February, 10, 0, 0, 0, 0, time.UTC)},
		"a gap of months": {time.Date(2026, time.January, 31, 22, 0, 0, 0, time.UTC), time.Date(2026, time.February, 1, 2, 0, 0, 0, time.UTC)},
	} {
		rows := sample(5, 2500, span.from, span.to)
		s := openTest(t, t.TempDir(), &clock{span.to})
		appendAll(t, s, rows)
		limit := maxTallies
		for i, loc := range []*time.Location{time.UTC, london, time.FixedZone("east", 14*3600)} {
			if i == 1 {
				limit = 40 // fewer than a day has: it is counted in parts
			}
			for _, part := range []stretch{span, {}, {rows[300].Time, rows[2200].Time}, {span.to, span.from}} {
				t.Run(fmt.Sprint(name, " ", loc, " ", part.from), func(t *testing.T) {
					want := make(map[record.Tally]int64)
					for _, r := range rows {
						if selects(record.Filter{From: part.from, To: part.to}, r) {
							y, m, d := r.Time.In(loc).Date()
							want[record.Tally{
								Day: time.Date(y, m, d, 0, 0, 0, 0, loc), Device: r.Device, Group: r.Group, Name: r.Name,
								Action: r.Action, Rule: r.Rule, Category: r.Category, List: r.List,
							}]++
						}
					}
					got := make(map[record.Tally]int64)
					var last time.Time
					err := s.tally(t.Context(), part.from, part.to, loc, limit, func(tally record.Tally) error {
						n := tally.Count
						tally.Count = 0
						if _, ok := got[tally]; ok {
							t.Errorf("twice: %+v", tally)
						}
						got[tally] = n
						if tally.Day.Before(last) {
							t.Errorf("%v comes after %v", tally.Day, last)
						}
						last = tally.Day
						return nil
					})
					if err != nil {
						t.Fatal(err)
					}
					if !maps.Equal(want, got) {
						t.Errorf("%.2000s", gocmp.Diff(want, got))
					}
				})
			}
		}
	}
}

// A day that begins at one o'clock, since midnight was skipped.
func TestMidnightThatIsSkipped(t *testing.T) {
	beirut, err := time.LoadLocation("Asia/Beirut")
	if err != nil {
		t.Skip("this system has no such zone:", err)
	}
	got := midnight(time.Date(2025, time.March, 30, 12, 0, 0, 0, beirut), beirut, 0)
	if want := time.Date(2025, time.March, 30, 1, 0, 0, 0, beirut); !got.Equal(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestPermissions(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state with ? # % signs")
	s := openTest(t, dir, &clock{time.Now()})
	appendAll(t, s, sample(1, 10, time.Now(), time.Now().Add(time.Second)))
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		} else {
			files++
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil || files < 5 {
		t.Errorf("%d files, %v", files, err)
	}
}

func TestSecondStoreIsRefused(t *testing.T) {
	dir := t.TempDir()
	openTest(t, dir, &clock{time.Now()})
	if _, err := Open(t.Context(), dir, slog.New(slog.DiscardHandler)); !errors.Is(err, ErrInUse) {
		t.Errorf("error %v", err)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	dir, c := t.TempDir(), &clock{time.Date(2026, time.March, 5, 0, 0, 0, 0, time.UTC)}
	s := openTest(t, dir, c)
	rows := sample(1, 5, c.Time, c.Add(time.Second))
	appendAll(t, s, rows)
	d := dateOf(c.Time)
	if err := s.drop(d); err != nil {
		t.Fatal(err)
	}
	age := func(path string) {
		t.Helper()
		db := must[*sql.DB](t)(open(path, nil))
		defer db.Close()
		if _, err := db.Exec("PRAGMA user_version = 99"); err != nil {
			t.Fatal(err)
		}
	}
	b := must[[]byte](t)(os.ReadFile(d.path(dir)))
	b[len(titleWords)] = '9'
	if err := os.WriteFile(d.path(dir), b, 0o600); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Append(t.Context(), record.BatchOf(rows...)); n != 0 || !errors.Is(err, ErrNewer) {
		t.Errorf("appended %d: %v", n, err)
	}
	if err := s.Search(t.Context(), record.Filter{}, func(record.Row) error { return nil }); !errors.Is(err, ErrNewer) {
		t.Errorf("search: %v", err)
	}
	closeTest(t, s)
	age(filepath.Join(dir, mainFile))
	if _, err := Open(t.Context(), dir, slog.New(slog.DiscardHandler)); !errors.Is(err, ErrNewer) {
		t.Errorf("open: %v", err)
	}
	if _, err := OpenReader(t.Context(), dir); !errors.Is(err, ErrNewer) {
		t.Errorf("open for reading: %v", err)
	}
}

func TestReaderWithoutState(t *testing.T) {
	if _, err := OpenReader(t.Context(), t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

// Names of the illegal tier are withheld even if a caller forgot.
func TestIllegalNamesAreNotWritten(t *testing.T) {
	dir := t.TempDir()
	s := openTest(t, dir, &clock{time.Now()})
	row := record.Row{Time: time.Now(), Name: "unspeakable.example", Action: query.Block, Rule: query.Illegal}
	appendAll(t, s, []record.Row{row})
	_, err := s.OpenAlert(t.Context(), monitor.Alert{Kind: monitor.Illegal, Site: "unspeakable.example"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := search(t, s.Reader, record.Filter{}); got[0].Name != record.Withheld {
		t.Errorf("got %+v", got)
	}
	closeTest(t, s)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), "unspeakable") {
			t.Errorf("%s holds the name", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A flood of random names must not grow memory, of the writer or of who reads a block; rows keep their names all the same.
func TestInterningIsBounded(t *testing.T) {
	at := time.Date(2026, time.March, 5, 0, 0, 0, 0, time.UTC)
	s := openTest(t, t.TempDir(), &clock{at})
	const n = 2*maxKnown + 5000
	rows := make([]record.Row, 0, n)
	for i := range n {
		rows = append(rows, record.Row{
			Time: at.Add(time.Duration(i) * time.Millisecond), Name: fmt.Sprintf("r%d.flood.example", i),
			Device: fmt.Sprint("tablet-", i%1000), // within the budget of each
			Addr:   netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), Type: uint16(i),
		})
	}
	rows = append(rows, record.Row{Time: at.Add(n * time.Millisecond), Name: "r0.flood.example"}) // forgotten, entered again
	appendAll(t, s, rows)
	f := must[*logFile](t)(s.file(dateOf(at)))
	if known := remembered(s.budget.known); known > 2*maxKnown || len(f.block.names) > maxNames || len(f.block.who) > maxWho || len(f.block.why) > maxWhy {
		t.Errorf("%d names are known, %d names, %d who, %d why in the block", known, len(f.block.names), len(f.block.who), len(f.block.why))
	}
	if got := search(t, s.Reader, record.Filter{Name: "r0.flood.example"}); len(got) != 2 {
		t.Errorf("%d rows of the first name, want 2", len(got))
	}
	if got := must[int64](t)(s.Count(t.Context(), record.Filter{Name: domain.Name("flood.example").String()})); got != n+1 {
		t.Errorf("%d rows, want %d", got, n+1)
	}
}

func remembered(r recent) int { return len(r.young) + len(r.old) }

func TestRecent(t *testing.T) {
	r := newRecent(10)
	r.add("0")
	for i := range 1000 {
		s := fmt.Sprint(i)
		if i > 0 && r.has(s) {
			t.Fatalf("%d is known", i)
		}
		r.add(s)
		if !r.has(s) || !r.has("0") { // asked for often: never forgotten
			t.Fatalf("after %d: %v, 0 %v", i, r.has(s), r.has("0"))
		}
		if remembered(r) > 20 {
			t.Fatalf("%d are remembered", remembered(r))
		}
	}
}
