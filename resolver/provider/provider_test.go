package provider

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

func TestAll(t *testing.T) {
	seen := map[netip.Addr]string{}
	if !slices.IsSortedFunc(All(), func(a, b Provider) int { return strings.Compare(a.ID, b.ID) }) {
		t.Error("not in order")
	}
	for _, p := range All() {
		if got, ok := ByID(p.ID); !ok || got.Title != p.Title {
			t.Errorf("%s is not found", p.ID)
		}
		if p.Title == "" || p.Refuses == "" || len(p.Servers) < 2 || len(p.Addrs) < 2 {
			t.Errorf("%s: half of it is missing", p.ID)
		}
		if !p.Refusal.Bare && len(p.Refusal.Addrs)+len(p.Refusal.Names) == 0 {
			t.Errorf("%s: nothing says how it refuses", p.ID)
		}
		for _, a := range p.Addrs {
			if other, ok := seen[a]; ok {
				t.Errorf("%v is of %s and of %s", a, p.ID, other)
			}
			seen[a] = p.ID
			if got, ok := ByAddr(a); !ok || got.ID != p.ID {
				t.Errorf("%v is not found", a)
			}
		}
		for _, s := range append(slices.Clone(p.Servers), p.Fallback...) {
			_, rest, _ := strings.Cut(s, "://")
			host := rest[:strings.IndexAny(rest, "/#")]
			if seen[netip.MustParseAddr(host)] != p.ID {
				t.Errorf("%s: %s is not among its addresses", p.ID, s)
			}
		}
	}
	if _, ok := ByID("nobody"); ok {
		t.Error("found nobody")
	}
	if p, ok := ByAddr(netip.MustParseAddr("::ffff:9.9.9.9")); !ok || p.ID != "quad9" {
		t.Error("an address in IPv6 clothes is not found")
	}
	if _, ok := ByAddr(netip.MustParseAddr("192.0.2.1")); ok {
		t.Error("found somebody")
	}
}
