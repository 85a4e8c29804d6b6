package report_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"schoolgate/monitor"
	"schoolgate/monitor/record"
)

// TestBounds gives more of everything than a page shows: nothing is dropped in silence, and sums stay whole.
func TestBounds(t *testing.T) {
	span := autumn(t)
	src := &memory{}
	for i := range 300 {
		day := span.From.AddDate(0, 0, i/10)
		tally := blocked(day, fmt.Sprintf("d%d", i), fmt.Sprintf("n%d.example", i), fmt.Sprintf("category-%d", i%100), int64(1+i))
		tally.Group = fmt.Sprintf("group-%d", i%90)
		src.tallies = append(src.tallies, tally)
		at := day.Add(time.Duration(i) * time.Minute)
		src.gaps = append(src.gaps, monitor.Gap{From: at, To: at.Add(time.Duration(i) * time.Second), Reason: "dropped", Lost: 1})
		src.changes = append(src.changes, monitor.Change{At: at, Kind: "config", Summary: fmt.Sprint("setting ", i)}, monitor.Change{At: at, Kind: "lists", Summary: fmt.Sprint("list ", i)})
		src.alerts = append(src.alerts, monitor.Alert{ID: int64(300 - i), Category: "hate", First: at, Last: at})
	}
	r := build(t, src, span, school(span.To))
	all, totals := figures(t, r), r.Totals()
	if totals.Refused != 300*301/2 || totals.Lost != 300 || totals.Changes != 600 || totals.Alerts != 200 {
		t.Errorf("totals %+v", totals)
	}
	var across int64
	for _, s := range []string{"categories", "groups", "devices", "devicekinds", "weeks", "days"} {
		if n := sum(numbers(t, all, s, "Refused")); n != totals.Refused {
			t.Errorf("%s add up to %d, %d in all", s, n, totals.Refused)
		}
	}
	for k := range all {
		if k.section == "groupkinds" {
			across += numbers(t, map[key]string{k: all[k]}, k.section, k.measure)[k.item]
		}
	}
	if across != totals.Refused {
		t.Errorf("categories by group add up to %d, %d in all", across, totals.Refused)
	}
	if n := len(numbers(t, all, "categories", "Refused")); n != 64 {
		t.Errorf("%d categories", n)
	}
	lost := numbers(t, all, "gaps", "Rows lost")
	if len(lost) != 100 || all[key{"gaps", "1", "", "Length"}] != "3 minutes 20 seconds" {
		t.Errorf("%d gaps, the first of %s", len(lost), all[key{"gaps", "1", "", "Length"}])
	}
	if got := all[key{"changes", "150", "", "What"}]; got != "setting 299" {
		t.Errorf("the last change is %q", got)
	}
	text := words(whole(t, r))
	for _, want := range []string{
		"There are 200 more, none of them longer than 3 minutes 20 seconds.", "The last 150 are shown; 150 earlier ones are in the record.",
		"Only the newest 200 are shown.", "(other categories)", "(other groups)", "60 names are shown, those refused most; 240 more were refused.",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

// TestForgotten: a report that reaches further back than rows are kept must not pass for a quiet time.
func TestForgotten(t *testing.T) {
	span := autumn(t)
	src := &memory{tallies: []record.Tally{blocked(span.From.AddDate(0, 0, 100), "d", "a.example", "gaming", 1)}}
	site := school(span.To.AddDate(0, 3, 0))
	all := figures(t, build(t, src, span, site))
	if got := all[key{"silentdays", "2026-09-01", "", "What is known"}]; !strings.HasPrefix(got, "older than") {
		t.Errorf("1 September: %q", got)
	}
	if text := words(whole(t, build(t, src, span, site))); !strings.Contains(text, "may be gone already") {
		t.Error("the page does not say that rows may be gone")
	}
	if text := words(whole(t, build(t, src, span, school(span.To)))); strings.Contains(text, "may be gone already") {
		t.Error("the page says that rows may be gone when they are not")
	}
}
