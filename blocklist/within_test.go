package blocklist

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"schoolgate/blocklist/domain"
)

// TestWithin compares Within with what All has of a zone, over sets of many pages.
func TestWithin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		label := rapid.SampledFrom([]string{"a", "b", "bb", "a-b", "example", "x_y", "z9", "com", "co", "uk"})
		b := NewBuilder([]Info{{Name: "one"}, {Name: "two"}}, "")
		for range rapid.IntRange(0, 60).Draw(t, "zones") {
			zone := label.Draw(t, "label") + "." + label.Draw(t, "label")
			for i := range rapid.IntRange(1, 40).Draw(t, "names") {
				r := Rule{Name: domain.Name(fmt.Sprintf("%s%d.%s", label.Draw(t, "label"), i, zone)), Scope: Exact}
				if err := b.Add(i%2, r); err != nil {
					t.Fatal(err)
				}
			}
			if err := b.Add(0, Rule{Name: domain.Name(zone), Scope: Below, Except: rapid.Bool().Draw(t, "except")}); err != nil {
				t.Fatal(err)
			}
		}
		set, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			zone := domain.Name(label.Draw(t, "label"))
			if rapid.Bool().Draw(t, "deep") {
				zone = domain.Name(label.Draw(t, "label")) + "." + zone
			}
			var want []Hit
			for h := range set.All() {
				if h.Rule.Name.Within(zone) {
					want = append(want, h)
				}
			}
			if diff := cmp.Diff(want, slices.Collect(set.Within(zone))); diff != "" {
				t.Fatalf("within %s of %d names: %s", zone, set.Names(), diff)
			}
		}
	})
	for range Empty().Within("example") {
		t.Error("something in an empty set")
	}
	for range Empty().Within("") {
		t.Error("something in the root")
	}
}
