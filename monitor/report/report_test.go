package report_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"schoolgate/config"
	"schoolgate/monitor"
	"schoolgate/monitor/record"
	"schoolgate/monitor/report"
	"schoolgate/resolver/query"
)

func blocked(day time.Time, device, name, category string, n int64) record.Tally {
	return record.Tally{Day: day, Device: device, Group: "children", Name: name, Action: query.Block, Rule: query.Category, Category: category, List: "l", Count: n}
}

func TestEmptyTerm(t *testing.T) {
	span := autumn(t)
	r := build(t, &memory{}, span, school(span.To))
	if d := cmp.Diff(report.Totals{}, r.Totals()); d != "" {
		t.Error(d)
	}
	text := words(whole(t, r))
	for _, want := range []string{
		"not one request", "no device asks Schoolgate", "79 weekdays passed without a single request",
		"holds no list of illegal material", "No name was refused.", "The record has no gap.", "There were no alerts.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestOneDay(t *testing.T) {
	loc := london(t)
	day := date(loc, 2026, 9, 16)
	span := report.Span{Title: "One day", From: day, To: day.AddDate(0, 0, 1), Loc: loc}
	r := build(t, &memory{tallies: []record.Tally{blocked(day, "tablet-01", "adult.example", "pornography", 4)}}, span, school(span.To))
	all := figures(t, r)
	want := map[string]int64{"2026-09-14": 4} // a Wednesday's Monday
	if d := cmp.Diff(want, numbers(t, all, "weeks", "Refused")); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]int64{"2026-09-16": 4}, numbers(t, all, "days", "Refused")); d != "" {
		t.Error(d)
	}
}

// TestClocksChange puts one request at the beginning and the end of each day around both changes of the clocks, and in a
// zone that skips midnight.
func TestClocksChange(t *testing.T) {
	for _, tt := range []struct {
		zone string
		from config.Date
	}{
		{"Europe/London", config.Date{Year: 2026, Month: time.October, Day: 19}},
		{"Europe/London", config.Date{Year: 2027, Month: time.March, Day: 22}},
		{"America/Sao_Paulo", config.Date{Year: 2018, Month: time.October, Day: 29}}, // midnight of 4 November was skipped
		{"Pacific/Apia", config.Date{Year: 2011, Month: time.December, Day: 19}},     // 30 December never was
	} {
		t.Run(tt.zone+" "+tt.from.String(), func(t *testing.T) {
			loc, err := time.LoadLocation(tt.zone)
			if err != nil {
				t.Fatal(err)
			}
			span := report.Span{Title: "Clocks", From: tt.from.Start(loc), To: tt.from.Start(loc).AddDate(0, 0, 14), Loc: loc}
			src, want, weekly := &memory{}, map[string]int64{}, map[string]int64{}
			for i := range 14 {
				noon := time.Date(tt.from.Year, tt.from.Month, tt.from.Day+i, 12, 0, 0, 0, loc)
				day := config.Date{Year: noon.Year(), Month: noon.Month(), Day: noon.Day()}
				at := day.Start(loc)
				if at.Day() != noon.Day() { // the clocks skip midnight
					at = at.Add(time.Hour)
				}
				src.tallies = append(src.tallies, blocked(at, "d", "a.example", "gaming", int64(i+1)))
				want[day.String()] += int64(i + 1)
				weekly[tt.from.Start(time.UTC).AddDate(0, 0, i/7*7).Format(time.DateOnly)] += int64(i + 1)
			}
			all := figures(t, build(t, src, span, school(span.To.AddDate(0, 0, 1))))
			if d := cmp.Diff(want, numbers(t, all, "days", "Refused")); d != "" {
				t.Errorf("days (-want +got):\n%s", d)
			}
			got := numbers(t, all, "weeks", "Refused")
			if tt.zone != "Pacific/Apia" { // there the second week is a day short and the third begun
				if d := cmp.Diff(weekly, got); d != "" {
					t.Errorf("weeks (-want +got):\n%s", d)
				}
			}
			if sum(got) != 14*15/2 {
				t.Errorf("weeks add up to %d", sum(got))
			}
		})
	}
}

func TestFlood(t *testing.T) {
	span := autumn(t)
	src := &memory{}
	const names = 100_000
	src.tallies = append(src.tallies, blocked(span.From, "tablet-01", "busy.example", "gaming", 5000))
	for i := range names {
		src.tallies = append(src.tallies, blocked(span.From, fmt.Sprintf("device-%d", i%20_000), fmt.Sprintf("n%d.example", i), "gaming", 1))
	}
	src.tallies = append(src.tallies, blocked(span.From.AddDate(0, 0, 1), "tablet-01", "busy.example", "gaming", 5000))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	r := build(t, src, span, school(span.To))
	runtime.GC()
	runtime.ReadMemStats(&after)
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > 4<<20 {
		t.Errorf("a report keeps %d bytes", kept)
	}
	if n := r.Totals().Refused; n != names+10_000 {
		t.Errorf("%d refused", n)
	}
	all := figures(t, r)
	if got := numbers(t, all, "names", "Refused")["busy.example|gaming"]; got != 10_000 {
		t.Errorf("the busiest name was counted %d times", got)
	}
	if sum(numbers(t, all, "devices", "Refused")) != names+10_000 {
		t.Error("the devices do not add up")
	}
	text := page(t, r)
	if len(text) > 2<<20 {
		t.Errorf("a page of %d bytes", len(text))
	}
	for _, want := range []string{"More different names", "may be missing", "more than 8192 devices asked"} {
		if !strings.Contains(strings.ReplaceAll(text, "There were more", "More"), want) {
			t.Errorf("the page does not own up: %q", want)
		}
	}
}

// allowed is a record of names that were allowed, each another one, which takes no memory of its own.
type allowed struct {
	memory
	day   time.Time
	names string
}

func (a *allowed) Tally(_ context.Context, _, _ time.Time, _ *time.Location, yield func(record.Tally) error) error {
	for i := range len(a.names) - 20 {
		if err := yield(record.Tally{Day: a.day, Device: "d", Group: "children", Name: a.names[i : i+20], Count: 1}); err != nil {
			return err
		}
	}
	return nil
}

func TestAllowedNamesAreOnlyCounted(t *testing.T) {
	span := autumn(t)
	src := &allowed{day: span.From, names: strings.Repeat("abcdefghijklmnopqrstuvwxy.", 3000)}
	if n := testing.AllocsPerRun(1, func() { build(t, src, span, school(span.To)) }); n > 20_000 {
		t.Errorf("%.0f allocations for %d tallies", n, len(src.names))
	}
}

func TestTrend(t *testing.T) {
	span := autumn(t)
	for _, tt := range []struct {
		first, second int64
		want          string
	}{
		{100, 100, ""}, {100, 124, ""}, {100, 130, "rose from about 100 a day"}, {130, 90, "fell from about 130 a day"}, {0, 0, ""},
	} {
		src := &memory{}
		for i := range 21 {
			n := tt.first
			if i > 10 {
				n = tt.second
			}
			day := span.From.AddDate(0, 0, i)
			src.tallies = append(src.tallies, record.Tally{Day: day, Device: "d", Group: "g", Name: "a.example", Count: 1})
			if n > 0 {
				src.tallies = append(src.tallies, blocked(day, "d", "b.example", "gaming", n))
			}
		}
		text := words(whole(t, build(t, src, span, school(span.To))))
		if got := strings.Contains(text, "a day in the first half"); got != (tt.want != "") || !strings.Contains(text, tt.want) {
			t.Errorf("%d to %d: want %q", tt.first, tt.second, tt.want)
		}
	}
}

// TestHostile puts into every text from outside what could break out of a page or a spreadsheet.
func TestHostile(t *testing.T) {
	const evil = "=cmd|'/c calc'!A0</title></style></svg><script>alert(1)</script><img src=x onerror=alert(1)>\"'&amp;{{.}}\u202Egnp\x00\xff"
	span := autumn(t)
	span.Title = evil
	at := span.From.Add(9 * time.Hour)
	src := &memory{
		changes: []monitor.Change{{At: at, Kind: "config", Summary: evil, Detail: evil + "\n" + evil}, {At: at, Kind: "lists", Summary: evil, Detail: evil}},
		gaps:    []monitor.Gap{{From: at, To: at.Add(time.Hour), Reason: evil, Lost: 1}},
		alerts:  []monitor.Alert{{ID: 1, Category: evil, Group: evil, Device: evil, Site: evil, First: at, Last: at, Count: 1}, {ID: 2, Kind: monitor.System, Text: evil, First: at, Last: at}},
	}
	for i := range 8 {
		day := span.From.AddDate(0, 0, i)
		for _, k := range []string{evil, "gaming"} {
			tally := blocked(day, evil, evil, k, 500)
			tally.Group = evil
			src.tallies = append(src.tallies, tally)
		}
		src.tallies = append(src.tallies, record.Tally{Day: day, Device: evil, Group: evil, Name: evil, Action: query.Rewrite, Rule: query.SafeSearch, Count: 1})
	}
	site := school(span.To)
	site.Name, site.Version, site.Default, site.Alerting, site.Devices = evil, evil, evil, []string{evil}, []string{"+" + evil}
	site.Groups = append(site.Groups, config.Group{Name: evil, Block: []string{evil}, Internet: true, Hours: []config.Hours{{Block: []string{evil}}}})
	site.Lists = []report.List{{Name: evil, Category: evil, Problem: evil}, {Name: evil, Category: config.IllegalTier}}
	r := build(t, src, span, site)
	text := page(t, r)
	root := tree(t, text)
	alone(t, root, strings.ReplaceAll(text, "%!", ""))
	headings(t, root)
	ids(t, root)
	for _, c := range []string{"\u202E", "\x00", "\xff"} {
		if strings.Contains(text, c) {
			t.Errorf("the page holds %q", c)
		}
	}
	var b strings.Builder
	if err := r.CSV(&b); err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimPrefix(b.String(), "\uFEFF"), "\r\n") {
		for _, start := range []string{"=", "+", "-", "@", `"=`, `"+`, `"-`, `"@`} {
			if strings.HasPrefix(line, start) || strings.Contains(line, ","+start) {
				t.Errorf("a formula in %q", line)
			}
		}
	}
}

// TestIllegalIsNeverNamed gives names to what must have none, by each mark of the illegal tier alone.
func TestIllegalIsNeverNamed(t *testing.T) {
	span := autumn(t)
	const secret = "must-not-be-seen.example"
	src := &memory{
		tallies: []record.Tally{
			{Day: span.From, Device: "d", Group: "g", Name: secret, Action: query.Block, Rule: query.Illegal, Category: config.IllegalTier, Count: 1},
			{Day: span.From, Device: "d", Group: "g", Name: secret, Action: query.Block, Rule: query.Illegal, Count: 2},
			{Day: span.From, Device: "d", Group: "g", Name: secret, Action: query.Block, Rule: query.Category, Category: config.IllegalTier, Count: 4},
			{Day: span.From, Device: "d", Group: "g", Name: record.Withheld, Action: query.Block, Rule: query.Default, Count: 8},
		},
		alerts: []monitor.Alert{{ID: 1, Kind: monitor.Illegal, Site: secret, Text: secret, First: span.From, Last: span.From, Count: 15}},
	}
	r := build(t, src, span, school(span.To))
	if n := r.Totals().Illegal; n != 15 {
		t.Errorf("%d of the illegal tier", n)
	}
	var b strings.Builder
	if err := r.CSV(&b); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(page(t, r), secret) || strings.Contains(b.String(), secret) {
		t.Error("a site of the illegal tier is named")
	}
	if got := numbers(t, figures(t, r), "illegal", "Requests"); !cmp.Equal(got, map[string]int64{"2026-09-01|d": 15}) {
		t.Errorf("illegal: %v", got)
	}
}

func TestOverblocked(t *testing.T) {
	span := autumn(t)
	src := &memory{}
	add := func(name, category, group string, devices int) {
		for i := range devices {
			tally := blocked(span.From, fmt.Sprintf("%s-%d", group, i), name, category, 2)
			tally.Group = group
			src.tallies = append(src.tallies, tally)
		}
	}
	add("www.valley.essex.sch.uk", "pornography", "children", 1)
	add("times-tables.example", "gaming", "children", 1)
	add("teaching-positions.example", "pornography", "children", 1) // the word says nothing there
	add("forum.example", "social-media", "staff", 1)
	add("advert.example", "hate", "staff", 6) // who asks does not make it a mistake
	add("cartoons.example", "gaming", "children", 6)
	add("one.example", "gaming", "children", 2)
	src.tallies = append(src.tallies, record.Tally{Day: span.From, Device: "children-1", Group: "children", Name: "own.sch.uk", Action: query.Block, Rule: query.OwnBlock, Count: 1})
	all := figures(t, build(t, src, span, school(span.To)))
	got := map[string]string{}
	for k, v := range all {
		if k.section == "overblocked" && k.measure == "Why it is listed" {
			got[k.item] = v
		}
	}
	want := map[string]string{
		"valley.essex.sch.uk":  "belongs to a UK school",
		"times-tables.example": "has “times-tables” in its name",
		"forum.example":        "staff asked for it",
		"cartoons.example":     "many devices asked for it",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

func TestRepeatsAndSilence(t *testing.T) {
	span := autumn(t)
	src := &memory{}
	for i := range 40 {
		day := span.From.AddDate(0, 0, i)
		if i < 10 {
			src.tallies = append(src.tallies, blocked(day, "gone", "www.adult.example", "pornography", 2))
		}
		if i%5 != 0 || i == 0 {
			src.tallies = append(src.tallies, blocked(day, "here", "beacon.games.example", "gaming", 150))
		}
	}
	src.tallies = append(src.tallies, blocked(span.From.AddDate(0, 0, 41), "here", "once.example", "hate", 9))
	src.gaps = []monitor.Gap{{From: span.From.AddDate(0, 0, 14), To: span.From.AddDate(0, 0, 16), Reason: "stopped"}, {From: span.From.AddDate(0, 0, 15), To: span.From.AddDate(0, 0, 16), Reason: "killed"}}
	r := build(t, src, span, school(span.From.AddDate(0, 0, 42)))
	all := figures(t, r)
	want := map[string]int64{"gone|adult.example pornography": 10, "here|games.example gaming": 33}
	if d := cmp.Diff(want, numbers(t, all, "repeats", "Days")); d != "" {
		t.Errorf("repeats (-want +got):\n%s", d)
	}
	if got := all[key{"repeats", "here", "games.example gaming", "Remark"}]; !strings.Contains(got, "likely an app") {
		t.Errorf("remark %q", got)
	}
	if got := all[key{"silent", "gone", "", "Last request"}]; got != "2026-09-10" {
		t.Errorf("gone was last seen on %q", got)
	}
	if _, ok := all[key{"silent", "here", "", "Last request"}]; ok {
		t.Error("a device in use counts as silent")
	}
	text := words(whole(t, r))
	for _, want := range []string{"did not run for 2 days in all", "tell of what there is so far", "Devices in the configuration from which no request came in all this time: tablet-01, tablet-99"} {
		if !strings.Contains(strings.ReplaceAll(text, "it tells of", "tell of"), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if got := all[key{"silentdays", "2026-09-16", "", "What is known"}]; got != "the program was not running" {
		t.Errorf("16 September: %q", got)
	}
}

func TestPolicyWords(t *testing.T) {
	span := autumn(t)
	site := school(span.To)
	site.Groups = append(site.Groups,
		config.Group{Name: "early-years", AllowOnly: true, Approved: nil, Internet: true},
		config.Group{Name: "off"},
		config.Group{Name: "lunch", Internet: true, Hours: []config.Hours{{Days: []config.Weekday{1}, From: 720, To: 780, Block: []string{"gaming"}, Allow: []string{"hate"}}}},
		config.Group{Name: "page", Internet: true, Block: []string{"gambling"}, Answer: config.Answer{Kind: config.AnswerPage, V4: netip.MustParseAddr("192.0.2.1")}},
	)
	all := figures(t, build(t, &memory{}, span, site))
	got := map[string]string{}
	for k, v := range all {
		if k.section == "policy" && k.measure != "Searches" && v != "" {
			got[k.item+"/"+k.measure] = v
		}
	}
	for item, want := range map[string]string{
		"early-years/Refused": "everything but 0 approved names", "off/Refused": "everything: the internet is switched off for this group",
		"lunch/At certain hours": "Monday, 12:00 to 13:00: also refused: Gaming; not refused: Hate", "lunch/Refused": "nothing but the illegal tier",
		"page/Refused": "Gambling",
	} {
		if got[item] != want {
			t.Errorf("%s: %q, want %q", item, got[item], want)
		}
	}
	if got := all[key{"categories", "gambling", "", "Refused to"}]; got != "children, early-years (approved names only), page" {
		t.Errorf("gambling is refused to %q", got)
	}
}

func TestErrors(t *testing.T) {
	span, loc := autumn(t), london(t)
	odd := errors.New("disc on fire")
	for name, tt := range map[string]struct {
		src  *memory
		span report.Span
		made time.Time
		want string
	}{
		"no zone":   {&memory{}, report.Span{From: span.From, To: span.To}, span.To, "needs a time zone"},
		"backwards": {&memory{}, report.Span{From: span.To, To: span.From, Loc: loc}, span.To, "nothing lies between"},
		"open":      {&memory{}, report.Span{To: span.To, Loc: loc}, span.To, "nothing lies between"},
		"too long":  {&memory{}, report.Span{From: span.From, To: span.From.AddDate(5, 0, 0), Loc: loc}, span.To, "800 at most"},
		"no time":   {&memory{}, span, time.Time{}, "time at which it is made"},
		"source":    {&memory{err: odd}, span, span.To, "disc on fire"},
		"outside":   {&memory{tallies: []record.Tally{blocked(span.To, "d", "a.example", "gaming", 1)}}, span, span.To, "outside of the span"},
		"zero":      {&memory{tallies: []record.Tally{blocked(span.From, "d", "a.example", "gaming", 0)}}, span, span.To, "counts 0"},
		"order": {&memory{tallies: []record.Tally{
			blocked(span.From.AddDate(0, 0, 1), "d", "a.example", "gaming", 1), blocked(span.From, "d", "a.example", "gaming", 1),
		}}, span, span.To, "go back"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := report.Build(context.Background(), tt.src, tt.span, report.Site{Made: tt.made})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	if !errors.Is(func() error {
		_, err := report.Build(t.Context(), &memory{err: odd}, span, school(span.To))
		return err
	}(), odd) {
		t.Error("the source's error is not wrapped")
	}
}

func TestSameTwice(t *testing.T) {
	span := autumn(t)
	a, b := build(t, term(span, 1), span, school(span.To)), build(t, term(span, 1), span, school(span.To))
	if page(t, a) != page(t, b) {
		t.Error("the same record gives two different pages")
	}
	big := build(t, &memory{tallies: []record.Tally{blocked(span.From, "d", "a.example", "gaming", math.MaxInt64/4)}}, span, school(span.To))
	if !strings.Contains(page(t, big), "2,305,843,009,213,693,951") {
		t.Error("a large number is not written in full")
	}
}

// TestRequestsOfTheBlockPage: what was asked for and what came of it, without who asked.
func TestRequestsOfTheBlockPage(t *testing.T) {
	span := autumn(t)
	at := span.From.AddDate(0, 0, 10)
	src := &memory{requests: []monitor.Request{
		{ID: 2, At: at.Add(time.Hour), Site: "(withheld: illegal tier)", Device: "tablet-01", Group: "children", Name: "Nobody Known", Role: "other", Why: "secret words"},
		{ID: 1, At: at, Site: "maps.example", Reason: "gaming", Device: "tablet-01", Group: "staff", Name: "Ann Example", Role: "teacher", Why: "secret words", Answered: at.Add(2 * time.Hour), AnsweredBy: "A. Lead", Answer: "allowed for a term"},
	}}
	r := build(t, src, span, school(span.To))
	var sheet strings.Builder
	if err := r.CSV(&sheet); err != nil {
		t.Fatal(err)
	}
	text := page(t, r)
	for _, want := range []string{"maps.example", "allowed for a term", "(withheld: illegal tier)", "not yet", "teacher"} {
		if !strings.Contains(text, want) || !strings.Contains(sheet.String(), want) {
			t.Errorf("the review lacks %q", want)
		}
	}
	for _, never := range []string{"Ann Example", "Nobody Known", "secret words"} {
		if strings.Contains(text, never) || strings.Contains(sheet.String(), never) {
			t.Errorf("the review holds %q", never)
		}
	}
	if text := page(t, build(t, &memory{}, span, school(span.To))); !strings.Contains(text, "Nobody asked for a site to be looked at.") {
		t.Error("nobody asked, and the review does not say so")
	}
}
