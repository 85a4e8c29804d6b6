package report_test

import (
	"fmt"
	"slices"
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

// findings are what the page says stands out, those marked and those not, in order.
func findings(t testing.TB, r *report.Report) (grave, light []string) {
	t.Helper()
	graveOver := false
	for _, ul := range all(whole(t, r), "ul") {
		if attr(ul, "class") != "findings" {
			continue
		}
		for _, li := range all(ul, "li") {
			if s, marked := strings.CutPrefix(words(li), "Look at this: "); marked {
				if graveOver || attr(li, "class") != "grave" {
					t.Errorf("%q is marked in words only, or stands below what is not", s)
				}
				grave = append(grave, s)
			} else {
				graveOver, light = true, append(light, s)
			}
		}
	}
	return grave, light
}

func has(sentences []string, part string) bool {
	return slices.ContainsFunc(sentences, func(s string) bool { return strings.Contains(s, part) })
}

// covered is a school with a list of each of the gravest categories.
func covered(made time.Time) report.Site {
	site := school(made)
	site.Lists = nil
	for _, c := range []string{config.IllegalTier, config.Extremism, config.Hate, config.Pornography} {
		site.Lists = append(site.Lists, report.List{Name: "list-" + c, Category: c, Entries: 100, Fetched: made})
	}
	return site
}

// busy has a request on every day.
func busy(span report.Span) *memory {
	m := &memory{}
	for day := span.From; day.Before(span.To); day = day.AddDate(0, 0, 1) {
		m.tallies = append(m.tallies, record.Tally{Day: day, Device: "tablet-01", Group: "children", Name: "www.example.com", Count: 9})
	}
	return m
}

func TestIllegalListMissing(t *testing.T) {
	span := autumn(t)
	for name, tt := range map[string]struct {
		list       *report.List
		grave      string
		reassuring string
		page       string
	}{
		"none":   {nil, "No licensed list of illegal material is loaded here", "(extremism, hate, pornography)", "holds no list of illegal material"},
		"empty":  {&report.List{Name: "urls", Category: config.IllegalTier}, "nothing of it is known to be loaded", "(extremism, hate, pornography)", "(urls) nothing is known to be loaded"},
		"loaded": {&report.List{Name: "urls", Category: config.IllegalTier, Entries: 1}, "", "(illegal, extremism, hate, pornography)", "Lists of this tier in the configuration: urls."},
	} {
		t.Run(name, func(t *testing.T) {
			site := covered(span.To)
			site.Lists = site.Lists[1:]
			if tt.list != nil {
				site.Lists = append(site.Lists, *tt.list)
			}
			r := build(t, busy(span), span, site)
			grave, light := findings(t, r)
			switch {
			case tt.grave == "" && len(grave) > 0:
				t.Errorf("marked: %q", grave)
			case tt.grave != "" && (len(grave) != 1 || !strings.Contains(grave[0], tt.grave)):
				t.Errorf("marked: %q, want %q", grave, tt.grave)
			}
			if want := "Nothing was refused in the gravest categories that lists are loaded for " + tt.reassuring + ", and no gap"; len(light) == 0 || !strings.HasPrefix(light[0], want) {
				t.Errorf("not marked: %q, want %q first", light, want)
			}
			if text := words(whole(t, r)); !strings.Contains(text, tt.page) {
				t.Errorf("the page does not say %q", tt.page)
			} else if strings.Contains(text, "is refused to everyone in any case") != (tt.grave == "") || strings.Contains(text, "everyone, always") != (tt.grave == "") {
				t.Error("the tables do not agree")
			} else if strings.Contains(text, "Who enforces the lists of the Internet Watch Foundation") != (tt.grave != "") {
				t.Error("the checklist does not agree")
			}
		})
	}
}

// TestIllegalFirst: what the illegal tier refused comes before everything, even if its list is gone by now.
func TestIllegalFirst(t *testing.T) {
	span := autumn(t)
	grave, _ := findings(t, build(t, term(span, 1), span, school(span.To)))
	if len(grave) < 3 || !strings.HasPrefix(grave[0], "The illegal tier refused 3 requests by 1 device, on 1 day.") || !strings.HasPrefix(grave[1], "No licensed list of illegal material") {
		t.Errorf("marked: %q", grave)
	}
}

// TestReassurance is given only as far as lists and record go.
func TestReassurance(t *testing.T) {
	span := autumn(t)
	const begin = "Nothing was refused"
	site := covered(span.To)
	refused := busy(span)
	refused.tallies = slices.Insert(refused.tallies, 1, blocked(span.From, "tablet-01", "a.example", config.Hate, 1))
	if grave, light := findings(t, build(t, refused, span, site)); has(grave, begin) || has(light, begin) {
		t.Errorf("hate was refused, yet: %q %q", grave, light)
	}
	bare := site
	bare.Lists = nil
	_, light := findings(t, build(t, busy(span), span, bare))
	if has(light, begin) || !has(light, "No list here is about: extremism, hate, pornography.") {
		t.Errorf("without a list: %q", light)
	}
	torn := busy(span)
	torn.gaps = []monitor.Gap{{From: span.From, To: span.From.Add(time.Second), Reason: "killed"}}
	if _, light := findings(t, build(t, torn, span, site)); !has(light, "pornography), as far as the record goes.") {
		t.Errorf("with a gap: %q", light)
	}
	late := covered(span.To.AddDate(0, 6, 0))
	if _, light := findings(t, build(t, busy(span), span, late)); !has(light, "pornography), as far as the record goes.") {
		t.Errorf("with rows forgotten: %q", light)
	}
}

// TestGaps says of each kind of gap whether it is marked, what was lost, and what the first sentence on the record says.
func TestGaps(t *testing.T) {
	span := autumn(t)
	at := span.From.Add(30 * time.Hour)
	gap := func(reason string, length time.Duration, lost int64) monitor.Gap {
		return monitor.Gap{From: at, To: at.Add(length), Reason: reason, Lost: lost}
	}
	for name, tt := range map[string]struct {
		gaps        []monitor.Gap
		flush       time.Duration
		grave       string // "" for nothing marked
		light       string
		lost        string
		first       string
		kills, rows int64
	}{
		"none":           {first: "As far as is known, Schoolgate ran during all of this time, and wrote down every request that it answered."},
		"restart":        {gaps: []monitor.Gap{gap("stopped", 300*time.Millisecond, 0)}, light: "did not run for under a second in all", lost: "0", first: "did not run for under a second in all."},
		"almost minute":  {gaps: []monitor.Gap{gap("stopped", time.Minute-time.Millisecond, 0)}, light: "never for as long as 1 minute at a stretch", lost: "0", first: "did not run"},
		"minute":         {gaps: []monitor.Gap{gap("stopped", time.Minute, 0)}, grave: "did not run for 1 minute in all", lost: "0", first: "did not run for 1 minute in all."},
		"killed":         {gaps: []monitor.Gap{gap("killed", time.Second, 0)}, grave: "A power cut or crash ended Schoolgate once, and up to 2 s of queries", light: "did not run for 1 second", lost: "not known: up to 2 s of queries", first: "a power cut or crash ended Schoolgate once, and up to 2 s of queries that it had answered may be missing", kills: 1},
		"killed twice":   {gaps: []monitor.Gap{gap("killed", time.Second, 0), gap("killed", time.Second, 0)}, grave: "Power cuts or crashes ended Schoolgate 2 times, and each time up to 2 s", light: "did not run for 1 second", lost: "not known: up to 2 s of queries", first: "ended Schoolgate 2 times", kills: 2},
		"killed, 500 ms": {gaps: []monitor.Gap{gap("killed", time.Second, 3)}, flush: 500 * time.Millisecond, grave: "up to 0.5 s of queries", lost: "3 and more: up to 0.5 s of queries", light: "did not run", first: "3 rows are known to be missing", kills: 1, rows: 3},
		"killed, flush?": {gaps: []monitor.Gap{gap("killed", time.Second, 0)}, flush: -1, grave: "the last queries", lost: "not known: the last queries", light: "did not run", first: "once, and the last queries", kills: 1},
		"dropped":        {gaps: []monitor.Gap{gap("dropped", time.Hour, 17)}, grave: "17 rows are known to be missing", lost: "17", first: "The record is not whole: 17 rows are known to be missing from times when it ran.", rows: 17},
		"full":           {gaps: []monitor.Gap{gap("full", time.Hour, 1)}, grave: "1 row is known to be missing", lost: "1", first: "The record is not whole: 1 row is known to be missing from times when it ran.", rows: 1},
		"damaged":        {gaps: []monitor.Gap{gap("damaged", time.Hour, 0)}, grave: "A file of the record was damaged once", lost: "not known", first: "The record is not whole: a file of the record was damaged once"},
		"of tomorrow":    {gaps: []monitor.Gap{gap("eaten", time.Hour, 0)}, grave: "a reason that this version does not know", lost: "not known", first: "a gap for a reason"},
	} {
		t.Run(name, func(t *testing.T) {
			site := covered(span.To)
			if tt.flush != 0 {
				site.Flush = max(tt.flush, 0)
			}
			src := busy(span)
			src.gaps = tt.gaps
			r := build(t, src, span, site)
			grave, light := findings(t, r)
			if tt.grave == "" && len(grave) > 0 || tt.grave != "" && !has(grave, tt.grave) {
				t.Errorf("marked: %q, want %q", grave, tt.grave)
			}
			if !has(light, tt.light) || tt.light == "" && has(light, "did not run") {
				t.Errorf("not marked: %q, want %q", light, tt.light)
			}
			csv := figures(t, r)
			if got := csv[key{"gaps", "1", "", "Rows lost"}]; got != tt.lost {
				t.Errorf("rows lost: %q, want %q", got, tt.lost)
			}
			got := numbers(t, csv, "totals", "Number")
			if got["kills"] != tt.kills || got["lost"] != tt.rows || int64(r.Totals().Kills) != tt.kills || r.Totals().Lost != tt.rows {
				t.Errorf("totals: %v", got)
			}
			var first string
			for _, s := range all(whole(t, r), "section") {
				if attr(s, "id") == "sec-record" {
					first, _, _ = strings.Cut(words(all(s, "p")[0])+" ", ". ")
				}
			}
			if !strings.Contains(first+".", tt.first) {
				t.Errorf("the first sentence: %q, want %q", first, tt.first)
			}
			asks := strings.Contains(words(whole(t, r)), "What caused the gaps in the record")
			if asks != (tt.grave != "") {
				t.Errorf("the checklist asks: %v", asks)
			}
		})
	}
}

// TestDamageIsNoStop: while a file was damaged the program ran, however long that was.
func TestDamageIsNoStop(t *testing.T) {
	span := autumn(t)
	src := &memory{gaps: []monitor.Gap{
		{From: span.From, To: span.From.AddDate(0, 0, 9), Reason: "damaged"},
		{From: span.From.AddDate(0, 0, 9), To: span.From.AddDate(0, 0, 13), Reason: "full", Lost: 5},
	}}
	for day := 9; day < 14; day += 4 {
		src.tallies = append(src.tallies, record.Tally{Day: span.From.AddDate(0, 0, day), Device: "d", Group: "g", Name: "a.example", Count: 1})
	}
	r := build(t, src, span, covered(span.From.AddDate(0, 0, 14)))
	if text := words(whole(t, r)); strings.Contains(text, "did not run") || strings.Contains(text, "without a known reason") {
		t.Error("damage is told as a stop, or as unexplained silence")
	}
	csv := figures(t, r)
	if got := csv[key{"silentdays", "2026-09-01", "", "What is known"}]; got != "the record of this time was damaged" {
		t.Errorf("1 September: %q", got)
	}
	if got := csv[key{"silentdays", "2026-09-11", "", "What is known"}]; got != "there was no room on the disk to write requests down" {
		t.Errorf("11 September: %q", got)
	}
	if got := r.Totals(); got.Damaged != 1 || got.Kills != 0 {
		t.Errorf("totals %+v", got)
	}
}

func TestFuture(t *testing.T) {
	span := autumn(t)
	read := func(src *memory, made time.Time) (head, text string) {
		root := whole(t, build(t, src, span, school(made)))
		return words(all(root, "header")[0]), words(root)
	}
	head, text := read(&memory{}, span.From.Add(-time.Second))
	if !strings.Contains(head, "Take note: This time has not begun: its first day is Tuesday 1 September 2026.") {
		t.Errorf("the page begins %q", head)
	}
	for _, wrong := range []string{"ran during all", "on every Monday", "nobody used a device"} {
		if strings.Contains(text, wrong) {
			t.Errorf("the page says %q of a time that has not begun", wrong)
		}
	}
	if head, _ = read(&memory{}, span.To); !strings.Contains(head, "Take note: The record holds not one request for this time.") {
		t.Errorf("the page begins %q", head)
	}
	if head, _ = read(busy(span), span.To); strings.Contains(head, "Take note") {
		t.Errorf("the page begins %q", head)
	}
	if _, text = read(busy(span), span.From.AddDate(0, -1, 0)); !strings.Contains(text, "the clock was wrong then, or is now") {
		t.Error("requests from the future are passed over")
	}
}

// TestNobodysRequests are rows without device and group: counted as requests, never as a device.
func TestNobodysRequests(t *testing.T) {
	span := autumn(t)
	src := &memory{}
	for i := range 20 {
		day := span.From.AddDate(0, 0, i)
		nobody := blocked(day, "", "a.example", config.Pornography, 2)
		nobody.Group = ""
		src.tallies = append(src.tallies, nobody, record.Tally{Day: day, Name: "www.google.co.uk", Action: query.Rewrite, Rule: query.SafeSearch, Count: 1})
		if i >= 10 {
			src.tallies = append(src.tallies, blocked(day, "tablet-01", "b.example", config.Hate, 3))
		}
	}
	r := build(t, src, span, school(span.From.AddDate(0, 0, 20)))
	if got := r.Totals(); got.Devices != 1 || got.Requests != 20*3+10*3 || got.Refused != 20*2+10*3 {
		t.Errorf("totals %+v", got)
	}
	csv := figures(t, r)
	for where, want := range map[string]map[string]int64{
		"devices/Refused":        {"(not known)": 40, "tablet-01": 30},
		"groups/Devices":         {"(not known)": 0, "children": 1, "staff": 0, "guests": 0},
		"groups/Requests":        {"(not known)": 60, "children": 30, "staff": 0, "guests": 0},
		"names/Devices":          {"a.example|pornography": 0, "b.example|hate": 1},
		"steered/Devices":        {"www.google.co.uk": 0},
		"repeats/Days":           {"b.example": 10},
		"groupkinds/(not known)": {"pornography": 40, "hate": 0},
	} {
		section, measure, _ := strings.Cut(where, "/")
		got := numbers(t, csv, section, measure)
		if section == "repeats" {
			got = map[string]int64{"b.example": got["tablet-01|b.example hate"]}
			if n := len(numbers(t, csv, section, measure)); n != 1 {
				t.Errorf("%d repeats", n)
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", where, d)
		}
	}
	days := numbers(t, csv, "days", "Devices")
	if days["2026-09-01"] != 0 || days["2026-09-11"] != 1 {
		t.Errorf("devices by day: %v", days)
	}
	grave, _ := findings(t, r)
	if !has(grave, "Pornography: 40 requests refused to devices that are not known, on 20 days.") {
		t.Errorf("marked: %q", grave)
	}
	if text := words(whole(t, r)); !strings.Contains(text, "1 device and others that are not known asked for names of sites 90 times") {
		t.Error("the first sentence passes over them")
	}
}

func TestListsAndSearches(t *testing.T) {
	span := autumn(t)
	site := covered(span.To)
	site.Lists = append(site.Lists, report.List{Name: "catalogue-gaming", Category: config.Gaming, Entries: 7, BuiltIn: true}, report.List{Name: "new", Category: config.Gaming})
	src := busy(span)
	src.alerts = []monitor.Alert{{ID: 1, Category: "hate", First: span.From, Last: span.From, Count: 1}}
	r := build(t, src, span, site)
	csv := figures(t, r)
	for name, want := range map[string]string{"catalogue-gaming": "built in", "new": "not known", "list-hate": span.To.Format(time.RFC3339)} {
		if got := csv[key{"lists", name, "", "Last found current"}]; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	text := page(t, r)
	if strings.Contains(text, "cannot be turned off") {
		t.Error("the page promises what DNS cannot keep")
	}
	if got := csv[key{"policy", "children", "", "Searches"}]; !strings.HasPrefix(got, "the safe form of the engines that have one, the others refused, for devices that ask this box") {
		t.Errorf("searches: %q", got)
	}
	if !strings.Contains(text, "After a power cut or crash, the number of requests of an alert may be too low") {
		t.Error("the alerts do not say what a crash does to their number")
	}
}

// TestNewSite takes what a crash can lose from the configuration.
func TestNewSite(t *testing.T) {
	cfg := config.Default()
	cfg.Store.Flush = config.Duration(7 * time.Second)
	if got := report.NewSite(cfg, "1.0.0", time.Now()).Flush; got != 7*time.Second {
		t.Errorf("flush %s", got)
	}
}

// TestNobodyIsNoDevice where shares and silence are reckoned: of 40 devices 5 are one in eight, and nobody falls silent.
func TestNobodyIsNoDevice(t *testing.T) {
	span := autumn(t)
	src := &memory{}
	for i := range 30 {
		day := span.From.AddDate(0, 0, i)
		if i < 10 {
			src.tallies = append(src.tallies, record.Tally{Day: day, Name: "a.example", Count: 1})
		}
		for d := range 40 {
			src.tallies = append(src.tallies, record.Tally{Day: day, Device: fmt.Sprint("d", d), Group: "children", Name: "a.example", Count: 1})
			if i == 0 && d < 5 {
				src.tallies = append(src.tallies, blocked(day, fmt.Sprint("d", d), "cartoons.example", config.Gaming, 1))
			}
		}
	}
	csv := figures(t, build(t, src, span, school(span.From.AddDate(0, 0, 30))))
	if got := csv[key{"overblocked", "cartoons.example", "gaming", "Why it is listed"}]; got != "many devices asked for it" {
		t.Errorf("listed because %q", got)
	}
	for k := range csv {
		if k.section == "silent" {
			t.Errorf("fell silent: %+v", k)
		}
	}
}
