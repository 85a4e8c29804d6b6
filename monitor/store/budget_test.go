package store

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"schoolgate/monitor/record"
	"schoolgate/resolver/query"
)

// flood is n rows of a device within a minute, with names that name makes.
func flood(n int, device string, begin time.Time, name func(i int) string) []record.Row {
	rows := make([]record.Row, n)
	for i := range rows {
		rows[i] = record.Row{
			Time: begin.Add(time.Duration(i) * time.Minute / time.Duration(n)).Truncate(time.Millisecond), Name: name(i), Device: device,
			Addr: netip.MustParseAddr("192.0.2.66"), Group: "children", Type: 1,
			Action: query.Block, Rule: query.Category, Category: "gaming", List: "games", Source: query.Policy, RCode: 3,
		}
	}
	return rows
}

// oddLabel is a label of 60 bytes that must each be escaped: 240 bytes of text.
func oddLabel(r *rand.Rand) string {
	var b strings.Builder
	for range 60 {
		fmt.Fprintf(&b, `\%03d`, 128+r.IntN(128))
	}
	return b.String()
}

// Thousands of names that nobody asked for before, of a kilobyte each, cost what rows cost, and each of them is counted.
func TestFloodOfNames(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	odd := func(int) string { return oddLabel(r) + "." + oddLabel(r) + "." + oddLabel(r) + ".play.example" }
	for name, makeName := range map[string]func(int) string{
		"one site, odd bytes":   odd,
		"one site, long labels": func(i int) string { return fmt.Sprintf("%060x.%060x.play.example", r.Uint64(), i) },
		"one site":              func(i int) string { return fmt.Sprintf("%012x.play.example", r.Uint64()) },
		"many sites":            func(i int) string { return fmt.Sprintf("www.%012x.example", r.Uint64()) },
		"many odd sites":        func(i int) string { return "www." + oddLabel(r) + ".example" },
		"many tops":             func(i int) string { return fmt.Sprintf("a.b.%060x", r.Uint64()) },
	} {
		t.Run(name, func(t *testing.T) {
			const n = 4_000
			c := &clock{at(8, 0, 0)}
			s := openTest(t, t.TempDir(), c)
			if done, err := s.Append(t.Context(), record.BatchOf(flood(n, "tablet-6", c.Time, makeName)...)); done != n || err != nil {
				t.Fatal(done, err)
			}
			info := must[os.FileInfo](t)(os.Stat(dateOf(c.Time).path(s.dir)))
			per := float64(info.Size()) / n
			t.Logf("%.1f bytes a row", per)
			if per > 20 {
				t.Errorf("%.1f bytes a row, want at most 20", per)
			}
			if got := must[int64](t)(s.Count(t.Context(), record.Filter{Device: "tablet-6", Category: "gaming"})); got != n {
				t.Errorf("%d rows, want %d", got, n)
			}
			if strings.HasPrefix(name, "one site") {
				if got := must[int64](t)(s.Count(t.Context(), record.Filter{Name: "play.example"})); got != n {
					t.Errorf("%d rows are found by the site, want %d", got, n)
				}
			}
			names := map[string]int{}
			for _, row := range search(t, s.Reader, record.Filter{}) {
				names[row.Name]++
			}
			if len(names) > 2*newNames+1 || len(names) < 10 {
				t.Errorf("%d names", len(names))
			}
		})
	}
}

// keep is the name under which the row is kept, which is known then.
func keep(b *budget, r record.Row) string {
	text := b.afford(r.Name, r.Device, r.Action, r.Time.UnixMilli())
	b.known.add(text)
	return text
}

func testBudget() *budget { b := newBudget(); return &b }

func TestBudgetOfNames(t *testing.T) {
	long := strings.Repeat(strings.Repeat("a", 60)+".", 3) + "new.example"
	row := record.Row{Time: at(8, 0, 59), Device: "tablet-6", Action: query.Block, Rule: query.Category}
	for name, x := range map[string]struct {
		name, want string
		edit       func(*record.Row)
	}{
		"known":           {name: "n7.flood.example", want: "n7.flood.example"},
		"new":             {name: "www.new.example", want: "*.new.example"},
		"new, two parts":  {name: "www.new.co.uk", want: "*.new.co.uk"},
		"new site itself": {name: "new.example", want: "new.example"},
		"long":            {name: long, want: "*.new.example"},
		"odd site":        {name: `www.a\000b.example`, want: "*"},
		"long site":       {name: "www." + strings.Repeat("a", 63) + ".museum-of-long-names", want: "*"},
		"root":            {name: ".", want: "."},
		"other device":    {"www.new.example", "www.new.example", func(r *record.Row) { r.Device = "tablet-7" }},
		"other verdict":   {"www.new.example", "www.new.example", func(r *record.Row) { r.Action = query.Allow }},
		"next minute":     {"www.new.example", "www.new.example", func(r *record.Row) { r.Time = at(8, 1, 0) }},
		"clock set back":  {"www.new.example", "www.new.example", func(r *record.Row) { r.Time = at(7, 0, 0) }},
	} {
		t.Run(name, func(t *testing.T) {
			f := testBudget()
			r := row
			for i := range newNames {
				r.Name = fmt.Sprintf("n%d.flood.example", i)
				if got := keep(f, r); got != r.Name {
					t.Fatalf("%s is kept as %s, but it is within the budget", r.Name, got)
				}
			}
			r.Name = x.name
			if x.edit != nil {
				x.edit(&r)
			}
			if got := keep(f, r); got != x.want {
				t.Errorf("%s is kept as %s, want %s", x.name, got, x.want)
			}
		})
	}
	t.Run("a long name costs more", func(t *testing.T) {
		f := testBudget()
		r, whole := row, 0
		for i := range newNames {
			r.Name = fmt.Sprintf("%060d.%060d.%060d.play.example", i, i, i) // three units
			if keep(f, r) == r.Name {
				whole++
			}
		}
		if whole != newNames/3 {
			t.Errorf("%d are kept whole, want %d", whole, newNames/3)
		}
	})
}

// The devices that are told apart in a minute are bounded.
func TestBudgetOfManyDevices(t *testing.T) {
	f := testBudget()
	for i := range 3 * maxSpenders {
		r := record.Row{Time: at(8, 0, 0), Device: fmt.Sprint("tablet-", i), Name: fmt.Sprintf("www.n%d.example", i)}
		want := r.Name
		switch i / maxSpenders {
		case 1:
			want = fmt.Sprintf("*.n%d.example", i)
		case 2:
			want = manyNames
		}
		if got := keep(f, r); got != want {
			t.Fatalf("device %d: %s is kept as %s, want %s", i, r.Name, got, want)
		}
	}
	if len(f.names.spent) > maxSpenders || len(f.sites.spent) > maxSpenders {
		t.Errorf("%d and %d are remembered", len(f.names.spent), len(f.sites.spent))
	}
}

// Invented addresses take nothing from devices that are known, and what is allowed takes nothing from what is blocked.
func TestBudgetIsNotForOthersToSpend(t *testing.T) {
	f := testBudget()
	row := record.Row{Time: at(8, 0, 0), Name: "chat.stranger.example"}
	for i := range 2 * maxSpenders {
		keep(f, record.Row{Time: at(8, 0, 0), Device: fmt.Sprintf("198.51.%d.%d", 100+i/250%100, i%250), Name: fmt.Sprintf("www.a%d.example", i)})
	}
	for _, r := range []record.Row{
		{Device: "tablet-7"}, {Device: "02:00:00:00:00:07"}, {Device: "192.0.2.200", Action: query.Block},
	} {
		r.Time, r.Name = row.Time, r.Device+"."+row.Name
		if got := keep(f, r); got != r.Name {
			t.Errorf("%s is kept as %s", r.Name, got)
		}
	}
	now := at(8, 30, 0)
	if got := f.conditions(now); len(got) != 1 || got[0].Code != "record.shortened" {
		t.Errorf("conditions %v", got)
	}
	if got := f.conditions(now.Add(time.Hour)); len(got) != 0 {
		t.Errorf("an hour later: %v", got)
	}
}

// A school day loses no name, be its devices known or all of them behind one router.
func TestSchoolDayKeepsItsNames(t *testing.T) {
	file, err := os.Open("../../../shared/data/traces/synthetic-schoolday-140dev.tsv.zst")
	if err != nil {
		t.Skip("there is no ../shared/data with a school day's trace beside the checkout")
	}
	defer file.Close()
	z := must[*zstd.Decoder](t)(zstd.NewReader(file))
	defer z.Close()
	each, router := testBudget(), testBudget()
	rows := 0
	in := bufio.NewScanner(z)
	for in.Scan() {
		p := strings.Split(in.Text(), "\t")
		ms, err := strconv.ParseInt(p[0], 10, 64)
		if err != nil {
			continue // the heading
		}
		rows++
		for device, f := range map[string]*budget{p[2]: each, "router": router} {
			row := record.Row{Time: time.UnixMilli(ms), Name: p[4], Device: device}
			if got := keep(f, row); got != row.Name {
				t.Fatalf("row %d: %s is kept as %s", rows, row.Name, got)
			}
		}
	}
	if err := in.Err(); err != nil || rows < 100_000 {
		t.Errorf("%d rows: %v", rows, err)
	}
}
