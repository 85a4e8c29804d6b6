package catalogue_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"schoolgate/blocklist/catalogue"
	"schoolgate/blocklist/domain"
	"schoolgate/config"
)

func TestCategories(t *testing.T) {
	want := []string{"ai-chat", "bypass", "dating", "gambling", "gaming", "social-media"}
	if diff := cmp.Diff(want, catalogue.Categories()); diff != "" {
		t.Error(diff)
	}
	for _, c := range catalogue.Categories() {
		if !slices.Contains(config.Categories(), c) {
			t.Errorf("%q is no category of the configuration", c)
		}
		if n := catalogue.Names(c); len(n) < 100 || !slices.IsSorted(n) {
			t.Errorf("%s: %d names", c, len(n))
		}
	}
	for _, none := range []string{"", "illegal", "other", "unknown"} {
		if n := catalogue.Names(none); len(n) > 0 {
			t.Errorf("%q has %v", none, n)
		}
	}
}

func TestServices(t *testing.T) {
	all := catalogue.Services()
	if len(all) < 200 {
		t.Errorf("%d services", len(all))
	}
	ids := map[string]bool{}
	owner := map[string]catalogue.Service{}
	for _, s := range all {
		if ids[s.ID] || s.ID == "" || strings.Trim(s.ID, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			t.Errorf("id %q is taken or will not do", s.ID)
		}
		ids[s.ID] = true
		if s.Name == "" || len(s.Domains) == 0 {
			t.Errorf("%s: without a name or domains", s.ID)
		}
		if got, ok := catalogue.Lookup(s.ID); !ok || got.Name != s.Name {
			t.Errorf("looking up %s gives %v", s.ID, got)
		}
		for i, d := range s.Domains {
			if n, err := domain.Parse(d); err != nil || string(n) != d {
				t.Errorf("%s: %q is not canonical: %q, %v", s.ID, d, n, err)
			}
			if domain.Name(d).IsPublicSuffix() {
				t.Errorf("%s: %q is a public suffix", s.ID, d)
			}
			if i > 0 && s.Domains[i-1] >= d {
				t.Errorf("%s: %q does not come after %q", s.ID, d, s.Domains[i-1])
			}
			if o, ok := owner[d]; ok {
				t.Errorf("%s: %q is of %s too", s.ID, d, o.ID)
			}
			owner[d] = s
			if of, ok := catalogue.Of("www." + d); !ok || of.ID != s.ID {
				t.Errorf("www.%s is of %q, want %q", d, of.ID, s.ID)
			}
		}
	}
	for d, s := range owner { // what is below another of its category says nothing
		for up, ok := domain.Name(d).Parent(); ok; up, ok = up.Parent() {
			if o, ok := owner[string(up)]; ok && o.Category == s.Category && o.ID == s.ID {
				t.Errorf("%s: %q is below %q", s.ID, d, up)
			}
		}
	}
}

func TestOf(t *testing.T) {
	for name, want := range map[string]string{
		"tiktok.com": "tiktok", "v16.tiktokcdn.com": "tiktok", "education.minecraft.net": "minecraft-education", "www.minecraft.net": "minecraft",
		"nottiktok.com": "", "com": "", "": "", "www.gamcare.org.uk": "", "doh.dns.apple.com": "encrypted-dns", "mask.icloud.com": "",
	} {
		if s, ok := catalogue.Of(name); s.ID != want || ok != (want != "") {
			t.Errorf("%q is of %q, want %q", name, s.ID, want)
		}
	}
	if s, ok := catalogue.Lookup("no-such"); ok {
		t.Errorf("found %v", s)
	}
}

// TestFiles: every line of the files is read as what it is meant to be.
func TestFiles(t *testing.T) {
	entries, err := os.ReadDir("services")
	if err != nil {
		t.Fatal(err)
	}
	services := 0
	for _, e := range entries {
		text, err := os.ReadFile("services/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
		if lines[0] != "# Schoolgate service catalogue: "+strings.TrimSuffix(e.Name(), ".txt") {
			t.Errorf("%s begins %q", e.Name(), lines[0])
		}
		last := ""
		for i, line := range lines {
			switch {
			case line == "" || line[0] == '#' || strings.HasPrefix(line, "  ") && last != "":
				continue
			}
			id, name, _ := strings.Cut(line, ": ")
			if name == "" || lines[i-1] != "" || id <= last {
				t.Errorf("%s:%d: %q", e.Name(), i+1, line)
			}
			last = id
			services++
		}
	}
	if n := len(catalogue.Services()); n != services {
		t.Errorf("%d services of %d", n, services)
	}
}
