package pack

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/publicsuffix"

	"schoolgate/blocklist/domain"
)

// registries may be held whole: nobody else gets a name there.
var registries = []string{"gov.uk", "nhs.uk", "police.uk", "ac.uk", "sch.uk", "mod.uk", "gov.ie"}

func TestThemes(t *testing.T) {
	want := []string{"government", "health", "infrastructure", "lgbt", "museums", "platforms", "safeguarding", "teaching"}
	if diff := cmp.Diff(want, Themes()); diff != "" {
		t.Error(diff)
	}
	for _, theme := range Themes() {
		text, err := files.ReadFile("themes/" + theme + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(text), "# UK schools pack: "+theme+"\n#\n# ") {
			t.Errorf("%s: no heading that gives the reason", theme)
		}
	}
}

func TestRules(t *testing.T) {
	var last Rule
	all := map[string]Rule{}
	for _, r := range Rules() {
		if n, err := domain.Parse(r.Name); err != nil || string(n) != r.Name {
			t.Errorf("%s: %q is not canonical: %q, %v", r.Theme, r.Name, n, err)
		}
		if r.Theme == last.Theme && r.Name <= last.Name {
			t.Errorf("%s: %q does not come after %q", r.Theme, r.Name, last.Name)
		}
		if old, ok := all[r.Name]; ok {
			t.Errorf("%s: %q is in %s already", r.Theme, r.Name, old.Theme)
		}
		if domain.Name(r.Name).IsPublicSuffix() && !r.Exact && !r.Except && !slices.Contains(registries, r.Name) {
			t.Errorf("%s: %q would open every site below it", r.Theme, r.Name)
		}
		all[r.Name], last = r, r
	}
	for _, r := range all {
		below := false
		for up, ok := domain.Name(r.Name).Parent(); ok; up, ok = up.Parent() {
			above, held := all[string(up)]
			below = below || held && !above.Exact && !above.Except
		}
		if below != r.Except {
			t.Errorf("%s: %q: below another: %v", r.Theme, r.Name, below)
		}
	}
	if len(all) < 2000 {
		t.Errorf("%d rules", len(all))
	}
}

// TestNobodysPlatform: where anybody publishes under a name of their own, only the bare name is held.
func TestNobodysPlatform(t *testing.T) {
	for _, n := range []string{
		"someone.github.io", "someone.blogspot.com", "someone.wordpress.com", "someone.tumblr.com", "d111111abcdef8.cloudfront.net",
		"bucket.s3.amazonaws.com", "site.azurewebsites.net", "site.pages.dev", "site.netlify.app", "sites.google.com",
		"storage.googleapis.com", "account.blob.core.windows.net", "vm.westeurope.cloudapp.azure.com", "team.zendesk.com",
		"someone.pythonanywhere.com", "firebasestorage.googleapis.com", "web.archive.org", "putty.org",
		"remotedesktop-pa.googleapis.com", "testpilot.r53-2.services.mozilla.com", "dating.scotsman.com",
		"dns.google", "doh.dns.apple.com", "mask.icloud.com", "mask.apple-dns.net", "vpn.mozilla.org", "translate.google.com",
	} {
		if theme, ok := Holds(n); ok {
			t.Errorf("%s is held, by %s", n, theme)
		}
	}
}

func TestHolds(t *testing.T) {
	for n, want := range map[string]string{
		"nhs.uk": "health", "www.nhs.uk": "health", "eastmidlandsgambling.nhs.uk": "health", "www.middlesex.sch.uk": "government",
		"cloudfront.net": "infrastructure", "icloud.apple-dns.net": "infrastructure", "docs.google.com": "platforms",
		"phonicsplay.co.uk": "teaching", "notphonicsplay.co.uk": "", "example.org": "", "uk": "", "": "",
	} {
		if theme, ok := Holds(n); theme != want || ok != (want != "") {
			t.Errorf("%q: %q, %v, want %q", n, theme, ok, want)
		}
	}
}

func TestNames(t *testing.T) {
	names := Names()
	if !slices.IsSorted(names) || slices.Contains(names, "mask.icloud.com") || !slices.Contains(names, "cloudfront.net") {
		t.Error("names are not those of the rules, sorted")
	}
	for _, n := range names {
		if _, ok := Holds(n); !ok {
			t.Errorf("%s is not held", n)
		}
	}
}

func TestPopular(t *testing.T) {
	all := Popular()
	if len(all) < 900 || len(all) > 1300 {
		t.Errorf("%d names", len(all))
	}
	for i, n := range all {
		if c, err := domain.Parse(n); err != nil || string(c) != n {
			t.Errorf("%q is not canonical: %q, %v", n, c, err)
		}
		if i > 0 && all[i-1] >= n {
			t.Errorf("%q does not come after %q", n, all[i-1])
		}
	}
}

// TestTargets: each is canonical, no more than a network, and says something.
func TestTargets(t *testing.T) {
	all := map[string]bool{}
	for _, n := range Targets() {
		if c, err := domain.Parse(n); err != nil || string(c) != n || all[n] {
			t.Errorf("%q is not canonical or here twice: %q, %v", n, c, err)
		}
		if domain.Name(n).IsPublicSuffix() {
			t.Errorf("%s is a public suffix", n)
		}
		all[n] = true
	}
	for n := range all {
		for up, ok := domain.Name(n).Parent(); ok; up, ok = up.Parent() {
			if all[string(up)] {
				t.Errorf("%s is below %s", n, up)
			}
		}
	}
	for _, n := range []string{"github.io", "herokuapp.com", "s3.amazonaws.com", "azurewebsites.net", "wordpress.com", "netlify.app"} {
		if all[n] {
			t.Errorf("%s: anybody publishes there under a name of their own", n)
		}
	}
	if len(all) < 60 {
		t.Errorf("%d targets", len(all))
	}
}

// TestNobodyElsePublishes: the list of public suffixes knows where companies give names to anybody.
func TestNobodyElsePublishes(t *testing.T) {
	own := []string{"googleapis.com", "gov.scot"} // of Google, whose customers are excepted, and of a government
	for _, r := range Rules() {
		suffix, icann := publicsuffix.PublicSuffix("x." + r.Name)
		if !r.Exact && !r.Except && !icann && suffix == r.Name && !slices.Contains(own, r.Name) {
			t.Errorf("%s: %s would open what anybody publishes below it", r.Theme, r.Name)
		}
	}
}
