package record

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"schoolgate/blocklist/domain"
	"schoolgate/resolver/query"
)

func asked(t *testing.T, name domain.Name, v query.Verdict) *query.Query {
	t.Helper()
	q := &query.Query{
		Start:  time.Date(2026, time.September, 16, 9, 30, 0, 0, time.UTC),
		Client: query.Client{Addr: netip.MustParseAddr("192.0.2.7"), Device: "tablet-07", Group: 1, Name: "children"},
		Source: query.Policy, RCode: 3, Duration: 40 * time.Microsecond, Verdict: v,
	}
	q.Question.Type = 28
	if err := q.Question.Name.SetName(name); err != nil {
		t.Fatal(err)
	}
	return q
}

func TestFromQuery(t *testing.T) {
	got := FromQuery(asked(t, "www.games.example", query.Verdict{Action: query.Block, Rule: query.Category, Category: "gaming", List: "games"}))
	want := Row{
		Time: time.Date(2026, time.September, 16, 9, 30, 0, 0, time.UTC), Device: "tablet-07", Addr: netip.MustParseAddr("192.0.2.7"),
		Group: "children", Name: "www.games.example", Type: 28, Action: query.Block, Rule: query.Category, Category: "gaming",
		List: "games", Source: query.Policy, RCode: 3, Duration: 40 * time.Microsecond,
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Error(diff)
	}
	if got := FromQuery(asked(t, "", query.Verdict{})).Name; got != "." {
		t.Errorf("the root is %q", got)
	}
}

// TestIllegalNamesAreWithheld: also of a name that only leads to one on the list.
func TestIllegalNamesAreWithheld(t *testing.T) {
	for _, cloaked := range []bool{false, true} {
		v := query.Verdict{Action: query.Block, Rule: query.Illegal, Category: "illegal", List: "feed", Cloaked: cloaked}
		if got := FromQuery(asked(t, "listed.example", v)); got.Name != Withheld || got.Category != "illegal" || got.Device != "tablet-07" {
			t.Errorf("cloaked %v: %+v", cloaked, got)
		}
	}
}
