package report_test

import (
	"encoding/csv"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"schoolgate/config"
	"schoolgate/monitor/record"
	"schoolgate/monitor/report"
	"schoolgate/resolver/query"
)

// key is what a line of the CSV is about.
type key struct{ section, item, detail, measure string }

// figures reads the CSV back.
func figures(t testing.TB, r *report.Report) map[key]string {
	t.Helper()
	var b strings.Builder
	if err := r.CSV(&b); err != nil {
		t.Fatal(err)
	}
	body, ok := strings.CutPrefix(b.String(), "\uFEFF")
	if !ok {
		t.Fatal("the CSV does not begin with a byte order mark")
	}
	rows, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"section", "item", "detail", "measure", "value"}; !cmp.Equal(rows[0], want) {
		t.Fatalf("header %v", rows[0])
	}
	out := map[key]string{}
	for _, row := range rows[1:] {
		for i, s := range row {
			row[i] = strings.TrimPrefix(s, "'")
		}
		k := key{row[0], row[1], row[2], row[3]}
		if _, again := out[k]; again {
			t.Errorf("two lines for %+v", k)
		}
		out[k] = row[4]
	}
	return out
}

// numbers are the figures of one section and measure.
func numbers(t testing.TB, all map[key]string, section, measure string) map[string]int64 {
	t.Helper()
	out := map[string]int64{}
	for k, v := range all {
		if k.section != section || k.measure != measure {
			continue
		}
		n, err := strconv.ParseInt(v, 10, 64)
		if v == "–" { // not kept
			continue
		}
		if err != nil {
			t.Fatalf("%+v: %v", k, err)
		}
		item := k.item
		if k.detail != "" {
			item += "|" + k.detail
		}
		out[item] = n
	}
	return out
}

func sum(m map[string]int64) (n int64) {
	for _, v := range m {
		n += v
	}
	return n
}

// random makes up tallies, day by day, in no other order.
func random(span report.Span, seed uint64, n int) []record.Tally {
	rnd := rand.New(rand.NewPCG(seed, 7))
	var days []time.Time
	for d := span.From; d.Before(span.To); d = d.AddDate(0, 0, 1) {
		days = append(days, time.Date(d.Year(), d.Month(), d.Day(), 0, 0, 0, 0, span.Loc))
	}
	categories := []string{config.Pornography, config.Hate, config.Gaming, "weapons", "drugs & co"}
	var all []record.Tally
	for i, day := range days {
		for range n/len(days) + 1 {
			t := record.Tally{
				Day: day, Device: fmt.Sprintf("device-%d", rnd.IntN(12)), Group: []string{"children", "staff", "guests"}[rnd.IntN(3)],
				Name: fmt.Sprintf("n%d.site%d.example.com", rnd.IntN(3), rnd.IntN(4)), Count: 1 + rnd.Int64N(1+int64(i%7)*50),
			}
			t.Name = strings.Replace(t.Name, "example.com", []string{"example", "test"}[rnd.IntN(2)], 1)
			switch rnd.IntN(6) {
			case 0:
			case 1:
				t.Action, t.Rule = query.Rewrite, query.SafeSearch
			case 2:
				t.Action, t.Rule, t.Category, t.Name = query.Block, query.Illegal, config.IllegalTier, record.Withheld
			case 3:
				t.Action, t.Rule = query.Block, []query.Rule{query.OwnBlock, query.Approved, query.Stopped, query.Bypass, query.Default}[rnd.IntN(5)]
			default:
				t.Action, t.Rule, t.Category, t.List = query.Block, query.Category, categories[rnd.IntN(len(categories))], "list"
			}
			all = append(all, t)
		}
	}
	return all
}

// recount counts again, the slow and obvious way: each number by its key in the CSV.
func recount(tallies []record.Tally) map[string]map[string]int64 {
	out := map[string]map[string]int64{}
	distinct := map[string]bool{}
	add := func(where, item string, n int64) {
		if out[where] == nil {
			out[where] = map[string]int64{}
		}
		out[where][item] += n
	}
	once := func(where, item, what string) {
		if k := where + "\x00" + item + "\x00" + what; !distinct[k] {
			distinct[k] = true
			add(where, item, 1)
		}
	}
	for _, t := range tallies {
		day := t.Day.Format(time.DateOnly)
		monday := t.Day.AddDate(0, 0, -(int(t.Day.Weekday())+6)%7).Format(time.DateOnly)
		for _, w := range []struct{ section, item string }{{"devices", t.Device}, {"groups", t.Group}, {"days", day}, {"weeks", monday}} {
			add(w.section+"/Requests", w.item, t.Count)
			refused := int64(0)
			if t.Action == query.Block {
				refused = t.Count
			}
			add(w.section+"/Refused", w.item, refused)
		}
		once("devices/Days", t.Device, day)
		once("days/Devices", day, t.Device)
		once("groups/Devices", t.Group, t.Device)
		once("weeks/Days", monday, day)
		if t.Action != query.Block {
			continue
		}
		kind := t.Category
		if kind == "" {
			kind = "rule:" + t.Rule.String()
		}
		add("categories/Refused", kind, t.Count)
		once("categories/Devices", kind, t.Device)
		once("categories/Days", kind, day)
		add("devicekinds/Refused", t.Device+"|"+kind, t.Count)
		once("devicekinds/Days", t.Device+"|"+kind, day)
		if t.Rule == query.Illegal {
			add("illegal/Requests", day+"|"+t.Device, t.Count)
			continue
		}
		add("names/Refused", t.Name+"|"+kind, t.Count)
		labels := strings.Split(t.Name, ".")
		once("devicekinds/Sites", t.Device+"|"+kind, strings.Join(labels[len(labels)-2:], "."))
		once("names/Devices", t.Name+"|"+kind, t.Device)
	}
	return out
}

func TestOracle(t *testing.T) {
	span := autumn(t)
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			tallies := random(span, seed, 1500)
			site := school(span.To.AddDate(0, 0, 1))
			for i := range site.Groups {
				site.Groups[i].Block = nil // so that no category stands with zero
			}
			r := build(t, &memory{tallies: tallies}, span, site)
			got := figures(t, r)
			for where, want := range recount(tallies) {
				section, measure, _ := strings.Cut(where, "/")
				has := numbers(t, got, section, measure)
				for item, n := range has {
					if _, ok := want[item]; !ok && n == 0 {
						delete(has, item) // a week of holidays, a category of the illegal tier without hits
					}
				}
				if section == "names" || section == "illegal" { // the page may show fewer
					for item := range want {
						if _, ok := has[item]; !ok && (len(has) == 60 || len(has) == 201) {
							delete(want, item)
						}
					}
					delete(has, "(other days)|(other devices)")
				}
				if d := cmp.Diff(want, has); d != "" {
					t.Errorf("%s (-want +got):\n%s", where, d)
				}
			}
		})
	}
}

// TestSums holds the sections against each other.
func TestSums(t *testing.T) {
	span := autumn(t)
	for _, src := range []*memory{term(span, 3), {tallies: random(span, 9, 3000)}, {}} {
		r := build(t, src, span, school(span.To))
		all, totals := figures(t, r), r.Totals()
		if totals.Allowed+totals.Refused+totals.Steered != totals.Requests {
			t.Errorf("totals do not add up: %+v", totals)
		}
		for _, s := range []string{"weeks", "days", "devices", "groups"} {
			if n := sum(numbers(t, all, s, "Requests")); n != totals.Requests {
				t.Errorf("%s add up to %d requests, %d in all", s, n, totals.Requests)
			}
		}
		for _, s := range []string{"categories", "weeks", "days", "devices", "groups", "weekkinds", "devicekinds"} {
			if n := sum(numbers(t, all, s, "Refused")); n != totals.Refused {
				t.Errorf("%s add up to %d refused, %d in all", s, n, totals.Refused)
			}
		}
		for _, s := range []string{"weeks", "days", "groups"} {
			if n := sum(numbers(t, all, s, "Steered")); n != totals.Steered {
				t.Errorf("%s add up to %d steered, %d in all", s, n, totals.Steered)
			}
		}
		if n := sum(numbers(t, all, "illegal", "Requests")); n != totals.Illegal {
			t.Errorf("the illegal tier adds up to %d, %d in all", n, totals.Illegal)
		}
		if n := sum(numbers(t, all, "steered", "Requests")); n != totals.Steered {
			t.Errorf("steered names add up to %d, %d in all", n, totals.Steered)
		}
		var across, weekly int64
		for k, v := range all {
			n, _ := strconv.ParseInt(v, 10, 64)
			switch {
			case k.section == "groupkinds":
				across += n
			case k.section == "weekkinds" && k.measure != "Refused":
				weekly += n
			}
		}
		if across != totals.Refused || weekly != totals.Refused {
			t.Errorf("%d by category and group, %d by week and category, %d refused in all", across, weekly, totals.Refused)
		}
		for item, n := range map[string]int64{
			"requests": totals.Requests, "allowed": totals.Allowed, "refused": totals.Refused, "steered": totals.Steered,
			"illegal": totals.Illegal, "devices": int64(totals.Devices), "days": int64(totals.Days), "alerts": int64(totals.Alerts),
			"changes": int64(totals.Changes), "lost": totals.Lost, "kills": int64(totals.Kills), "damaged": int64(totals.Damaged),
		} {
			if got := all[key{"totals", item, "", "Number"}]; got != fmt.Sprint(n) {
				t.Errorf("totals: %s is %s in the CSV, %d in Totals", item, got, n)
			}
		}
	}
}
