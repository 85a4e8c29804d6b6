package starter

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"schoolgate/blocklist"
	"schoolgate/blocklist/domain"
	"schoolgate/config"
)

func TestCategories(t *testing.T) {
	want := []string{"ai-chat", "bypass", "dating", "extremism", "gambling", "gaming", "hate", "pornography", "social-media"}
	if diff := cmp.Diff(want, Categories()); diff != "" {
		t.Error(diff)
	}
	entries, err := files.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var built []string
	for _, e := range entries {
		built = append(built, strings.TrimSuffix(e.Name(), ".txt"))
	}
	if diff := cmp.Diff([]string{"extremism", "hate", "pornography"}, built); diff != "" {
		t.Error("files:\n" + diff)
	}
	for category, want := range map[string]string{config.Gaming: "catalogue-gaming", config.Hate: "starter-hate"} {
		if got := Name(category); got != want {
			t.Errorf("the list of %s is called %s", category, got)
		}
	}
	for _, none := range []string{config.IllegalTier, "", "unknown", "../starter"} {
		for r := range Rules(none) {
			t.Errorf("%q has %v", none, r)
		}
	}
}

func TestFiles(t *testing.T) {
	for _, c := range Categories() {
		if !Catalogue(c) {
			text, err := files.ReadFile(c + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(string(text), "# Schoolgate starter list: "+c+"\n#\n# ") {
				t.Errorf("%s: no heading that says what it is", c)
			}
		}
		rules := slices.Collect(Rules(c))
		if len(rules) < 30 || len(rules) > 250 && !Catalogue(c) {
			t.Errorf("%s: %d rules", c, len(rules))
		}
		all := make(map[domain.Name]bool)
		for i, r := range rules {
			if n, err := domain.Parse(string(r.Name)); err != nil || n != r.Name {
				t.Errorf("%s: %q is not canonical: %q, %v", c, r.Name, n, err)
			}
			if r.Name.IsPublicSuffix() {
				t.Errorf("%s: %q is a public suffix", c, r.Name)
			}
			if i > 0 && rules[i-1].Name >= r.Name {
				t.Errorf("%s: %q does not come after %q", c, r.Name, rules[i-1].Name)
			}
			if r.Scope != blocklist.Subtree || r.Except {
				t.Errorf("%s: %v", c, r)
			}
			all[r.Name] = true
		}
		for _, r := range rules {
			for up, ok := r.Name.Parent(); ok; up, ok = up.Parent() {
				if all[up] {
					t.Errorf("%s: %q is below %q and says nothing", c, r.Name, up)
				}
			}
		}
	}
}

func TestRulesStop(t *testing.T) {
	for range Rules(config.Gaming) {
		break // must not yield again, which would panic
	}
}

// blocked says which category blocks a name, "" for none.
func blocked(n domain.Name) string {
	for _, c := range Categories() {
		for r := range Rules(c) {
			if n.Within(r.Name) {
				return c
			}
		}
	}
	return ""
}

func TestLearningStays(t *testing.T) {
	for _, n := range []domain.Name{
		"www.youtube.com", "ytimg.com", "scratch.mit.edu", "code.org", "www.mathplayground.com",
		"www.bbc.co.uk", "www.gov.uk", "www.sky.com", "login.live.com", "www.gamcare.org.uk", "www.iwf.org.uk", "github.com",
		"use-application-dns.net", "mask.icloud.com", // the resolver answers these two itself
	} {
		if c := blocked(n); c != "" {
			t.Errorf("%s is blocked as %s", n, c)
		}
	}
	for n, want := range map[domain.Name]string{
		"www.minecraft.net": config.Gaming, "www.roblox.com": config.Gaming, "c0.rbxcdn.com": config.Gaming,
		"v16.tiktokcdn.com": config.SocialMedia, "www.bet365.com": config.Gambling, "mozilla.cloudflare-dns.com": config.Circumvent,
	} {
		if c := blocked(n); c != want {
			t.Errorf("%s is blocked as %q, want %q", n, c, want)
		}
	}
}

func truth(t *testing.T, file string) map[domain.Name]string {
	t.Helper()
	text, err := os.ReadFile("../../../shared/data/groundtruth/" + file)
	if err != nil {
		t.Skip("the shared test data is not beside the repository")
	}
	rows := make(map[domain.Name]string)
	for line := range strings.Lines(string(text)) {
		if name, group, ok := strings.Cut(strings.TrimSpace(line), "\t"); ok && name != "domain" {
			rows[domain.MustParse(name)] = group
		}
	}
	return rows
}

func TestMustAllow(t *testing.T) {
	rows := truth(t, "uk-must-allow.tsv")
	for n, group := range rows {
		if c := blocked(n); c != "" {
			t.Errorf("%s (%s) is blocked as %s", n, group, c)
		}
	}
	if len(rows) < 200 {
		t.Errorf("only %d names", len(rows))
	}
}

// TestProbes measures; a short list is not expected to know them all.
func TestProbes(t *testing.T) {
	hits, all := make(map[string]int), make(map[string]int)
	var missed []domain.Name
	for n, group := range truth(t, "uk-must-block-probes.tsv") {
		all[group]++
		if blocked(n) != "" {
			hits[group]++
		} else {
			missed = append(missed, n)
		}
	}
	slices.Sort(missed)
	for group, n := range all {
		t.Logf("%s: %d of %d", group, hits[group], n)
		if hits[group]*4 < n*3 {
			t.Errorf("%s: only %d of %d", group, hits[group], n)
		}
	}
	t.Logf("missed: %v", missed)
}
