package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"schoolgate/blocklist/domain"
)

const small = `
[[groups]]
name = "children"
block = ["pornography", "hate", "extremism", "gambling", "bypass", "gaming", "social-media", "dating"]
safe_search = true

[[lists]]
name = "adult"
category = "pornography"
source = "https://raw.githubusercontent.com/hagezi/dns-blocklists/main/adblock/nosafesearch.txt"

[[lists]]
name = "elsewhere"
category = "gambling"
source = "https://lists.example/gambling.txt"
`

// write makes a folder of test data and a configuration that names lists of it.
func write(t *testing.T, files map[string]string) (dir, cfg string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir, filepath.Join(dir, "schoolgate.toml")
}

func TestSmall(t *testing.T) {
	files := map[string]string{
		"schoolgate.toml": small,
		"lists/bypass/hagezi-nosafesearch.adblock.txt": "||one.example^\n||two.example^\n||ttrockstars.com^\n||roblox.com^\n||shared.example^\n",
		"groundtruth/citizenlab-half-A.tsv": "category\thost\tscope\tlist\turl\tdate_added\n" +
			"PORN\twww.one.example\troot\tgb\thttp://www.one.example/\t2020-01-01\n" +
			"PORN\twww.one.example\troot\tie\thttp://www.one.example/\t2020-01-01\n" + // the same host again
			"PORN\ttwo.example\troot\tgb\thttp://two.example/\t2020-01-01\n" +
			"PORN\tthree.example\troot\tgb\thttp://three.example/\t2020-01-01\n" +
			"PORN\t192.0.2.1\troot\tgb\thttp://192.0.2.1/\t2020-01-01\n" + // no name
			"PORN\tshared.example\tpath\tgb\thttp://shared.example/page\t2020-01-01\n", // no site
		"groundtruth/uk-must-allow.tsv":        "domain\tgroup\nttrockstars.com\tedu-primary\nshared.example\tother\n",
		"groundtruth/uk-must-block-probes.tsv": "domain\tcategory\nmask.icloud.com\tvpn\nroblox.com\tgames\nbet365.com\tgambling\n",
	}
	dir, cfg := write(t, files)
	box, err := compile(t.Context(), cfg, dir, "children", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	truth, err := readTruth(dir + "/groundtruth")
	if err != nil {
		t.Fatal(err)
	}
	r := measure(box, truth)
	got := map[string][]int{}
	for _, s := range r.shares {
		got[s.label] = []int{s.blocked, s.total, s.lists, s.both, s.program, s.neither}
	}
	want := map[string][]int{
		"PORN": {2, 3, 2, 0, 0, 0}, "vpn": {1, 1, 0, 0, 0, 1}, "games": {1, 1, 0, 1, 0, 0}, "gambling": {1, 1, 0, 0, 1, 0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	var wronged []domain.Name
	for _, j := range r.wronged {
		wronged = append(wronged, j.name)
	}
	if diff := cmp.Diff([]domain.Name{"shared.example"}, wronged); diff != "" || r.allow != 2 || r.saved != 1 || r.paths != 1 {
		t.Errorf("%d allowed, %d let through by the pack, %d pages: %s", r.allow, r.saved, r.paths, diff)
	}
	if r.met() {
		t.Error("said to be met, though a name that must resolve is refused")
	}
	var out strings.Builder
	r.print(&out)
	for _, line := range []string{"MISSING here", "66.7 %", "shared.example: category pornography adult", "NO"} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("%q is not in\n%s", line, out.String())
		}
	}
}

func TestMistakes(t *testing.T) {
	dir, cfg := write(t, map[string]string{"schoolgate.toml": small})
	for _, args := range [][]string{
		{"--config", filepath.Join(dir, "none.toml"), "--data", dir},
		{"--config", cfg, "--data", dir, "--group", "nobody"},
		{"--config", cfg, "--data", dir}, // no labelled names
	} {
		if err := run(t.Context(), args, &strings.Builder{}); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}

// TestRecommended holds the recommended configuration to its targets.
func TestRecommended(t *testing.T) {
	const data = "../../../shared/data"
	if _, err := os.Stat(data + "/groundtruth"); err != nil {
		t.Skip("the shared test data is not beside the repository")
	}
	if testing.Short() {
		t.Skip("compiles three quarters of a million names")
	}
	var out strings.Builder
	if err := run(t.Context(), []string{"--data", data, "--config", "../../deploy/recommended.toml"}, &out); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
}
