package report_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"schoolgate/monitor/record"
	"schoolgate/monitor/report"
	"schoolgate/resolver/query"
)

func TestNamesThatLookLikeBlockedOnes(t *testing.T) {
	loc := london(t)
	day := date(loc, 2026, time.September, 16)
	span := report.Span{Title: "One day", From: day, To: day.AddDate(0, 0, 1), Loc: loc}
	let := func(device, name string, n int64) record.Tally {
		return record.Tally{Day: day, Device: device, Group: "children", Name: name, Action: query.Allow, Count: n}
	}
	src := &memory{tallies: []record.Tally{
		let("tablet-01", "www.rob1ox.com", 3), let("tablet-02", "www.rob1ox.com", 2), let("tablet-01", "bbc.co.uk", 9),
		let("tablet-01", "minecrft.net", 1), blocked(day, "tablet-01", "robloxx.com", "gaming", 4),
	}}
	site := school(span.To)
	site.Alike = true
	r := build(t, src, span, site)
	want := map[string]int64{"www.rob1ox.com": 5, "minecrft.net": 1}
	if d := cmp.Diff(want, numbers(t, figures(t, r), "alike", "Requests")); d != "" {
		t.Error(d)
	}
	if text := words(whole(t, r)); !strings.Contains(text, "roblox.com") || !strings.Contains(text, "homograph") {
		t.Error("the page does not say what a name looks like")
	}
	site.Alike = false
	if got := numbers(t, figures(t, build(t, src, span, site)), "alike", "Requests"); len(got) != 0 {
		t.Errorf("not asked for: %v", got)
	}
	src.tallies = nil
	for i := range 2000 {
		src.tallies = append(src.tallies, let("tablet-01", fmt.Sprintf("h%d.robloc.com", i), 1))
	}
	site.Alike = true
	if got := numbers(t, figures(t, build(t, src, span, site)), "alike", "Requests"); len(got) > 50 || got["(472 other names)"]+got["(473 other names)"] == 0 {
		t.Errorf("a flood of names: %v", got)
	}
}
