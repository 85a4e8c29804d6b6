package pack_test

import (
	"testing"

	"schoolgate/blocklist/catalogue"
	"schoolgate/blocklist/pack"
	"schoolgate/blocklist/starter"
)

// TestOwnLists: what the program itself blocks is not in the pack, nor the other way round.
func TestOwnLists(t *testing.T) {
	for _, c := range starter.Categories() {
		for r := range starter.Rules(c) {
			if _, ok := pack.Holds(string(r.Name)); ok {
				t.Errorf("the starter list of %s holds %s, the pack too", c, r.Name)
			}
		}
	}
	for _, s := range catalogue.Services() {
		for _, n := range s.Domains {
			if theme, ok := pack.Holds(n); ok && s.Category != "" {
				t.Errorf("the catalogue's %s has %s, the pack too, in %s", s.ID, n, theme)
			}
		}
	}
}
