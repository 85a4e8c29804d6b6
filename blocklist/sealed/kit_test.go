package sealed

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// kit opens the synthetic stand-in for a licensed list, with what is to come of it.
func kit(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../../shared/data/iwf-synthetic", file))
	if err != nil {
		t.Skip("skipped: there is no ../shared/data/iwf-synthetic beside the checkout")
	}
	return string(b)
}

// expected gives for each host whether it is listed as a whole.
func expected(t *testing.T, file string) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	in := bufio.NewScanner(strings.NewReader(kit(t, file)))
	for in.Scan() {
		host, what, ok := strings.Cut(in.Text(), "\t")
		if ok && host != "host" {
			out[host] = what == "block-at-dns"
		}
	}
	if len(out) < 1000 {
		t.Fatalf("only %d rows in %s", len(out), file)
	}
	return out
}

// TestKit: every row of the kit comes out as expected, whichever way the feed is written, and nothing else is held.
func TestKit(t *testing.T) {
	k := NewKey()
	for feed, want := range map[string]string{
		"iwf-urls.v1.txt": "expected.v1.tsv", "iwf-urls-noscheme.v1.txt": "expected.v1.tsv", "iwf-urls.v2.txt": "expected.v2.tsv",
	} {
		text := kit(t, feed)
		l := sealText(t, k, "kit", text)
		s, err := NewSet(k, l)
		if err != nil {
			t.Fatal(err)
		}
		sites, hosts := 0, 0
		for host, site := range expected(t, want) {
			hit := look(t, s, host)
			if site != (hit.Sites == 1) || site == (hit.Hosts == 1) {
				t.Errorf("%s: %s is %+v, whole site: %v", feed, host, hit, site)
			}
			if site {
				sites++
			} else {
				hosts++
			}
		}
		if l.Domains != sites || l.Hosts != hosts || l.Skipped != 0 {
			t.Errorf("%s: %+v, want %d sites and %d hosts", feed, l.Counts, sites, hosts)
		}
		if lines := strings.Count(text, "\n"); l.Domains+l.URLs+l.Addresses > lines || l.Domains+l.URLs < lines*9/10 {
			t.Errorf("%s: %+v of %d lines", feed, l.Counts, lines)
		}
	}
}

// TestKitDomains: the list of domains alone holds exactly the sites of the first version.
func TestKitDomains(t *testing.T) {
	k := NewKey()
	l := sealText(t, k, "kit", kit(t, "iwf-domains.v1.txt"))
	s, err := NewSet(k, l)
	if err != nil {
		t.Fatal(err)
	}
	sites := 0
	for host, site := range expected(t, "expected.v1.tsv") {
		if site {
			sites++
		}
		if hit := look(t, s, host); site != (hit.Sites == 1) || hit.Hosts != 0 {
			t.Errorf("%s is %+v, whole site: %v", host, hit, site)
		}
	}
	if l.Domains != sites || l.URLs != 0 {
		t.Errorf("%+v, want %d sites", l.Counts, sites)
	}
}

// TestKitDelta: what came and went between the versions is counted as the texts say.
func TestKitDelta(t *testing.T) {
	k := NewKey()
	entries := func(file string) map[string]bool {
		out := map[string]bool{}
		for line := range strings.Lines(kit(t, file)) {
			e, err := readEntry(strings.TrimSpace(line))
			if err != nil {
				t.Fatalf("%s: %q: %v", file, line, err)
			}
			if e.kind != address {
				out[string(e.host)+strings.TrimSuffix(e.rest, "/")] = true
			}
		}
		return out
	}
	old, fresh := entries("iwf-urls.v1.txt"), entries("iwf-urls.v2.txt")
	wantAdded, wantRemoved := 0, 0
	for e := range fresh {
		if !old[e] {
			wantAdded++
		}
	}
	for e := range old {
		if !fresh[e] {
			wantRemoved++
		}
	}
	added, removed, kept := sealText(t, k, "kit", kit(t, "iwf-urls.v2.txt")).Since(sealText(t, k, "kit", kit(t, "iwf-urls.v1.txt")))
	if added != wantAdded || removed != wantRemoved || kept != len(old)-removed {
		t.Errorf("%d added, %d removed, %d kept; want %d, %d, %d", added, removed, kept, wantAdded, wantRemoved, len(old)-wantRemoved)
	}
	t.Logf("%d entries, then %d: %d added, %d removed", len(old), len(fresh), added, removed)
}
