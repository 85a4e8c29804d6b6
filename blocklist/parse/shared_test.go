package parse

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"schoolgate/blocklist"
	"schoolgate/blocklist/domain"
	"schoolgate/config"
)

const shared = "../../../shared/data/"

func sharedLists(t *testing.T) string {
	t.Helper()
	if _, err := os.Stat(shared + "lists"); err != nil {
		t.Skip("the shared test data is not beside the repository")
	}
	return shared + "lists/"
}

// ruleSet is a list as its meaning: the scopes that block each name, exact and below together being the subtree.
type ruleSet struct{ blocked, excepted map[domain.Name]uint8 }

const exact, below = 1, 2

func load(t *testing.T, path string, f config.Format) (ruleSet, Report, error) {
	t.Helper()
	set := ruleSet{make(map[domain.Name]uint8), make(map[domain.Name]uint8)}
	rep, err := Source(path, config.List{Format: f}, func(r blocklist.Rule) error {
		bits := [...]uint8{blocklist.Subtree: exact | below, blocklist.Exact: exact, blocklist.Below: below}[r.Scope]
		if r.Except {
			set.excepted[r.Name] |= bits
		} else {
			set.blocked[r.Name] |= bits
		}
		return nil
	})
	return set, rep, err
}

func (s ruleSet) blocks(n domain.Name) bool { return covers(s.blocked, n) && !covers(s.excepted, n) }

func covers(rules map[domain.Name]uint8, n domain.Name) bool {
	if rules[n]&exact != 0 {
		return true
	}
	for up, ok := n.Parent(); ok; up, ok = up.Parent() {
		if rules[up]&below != 0 {
			return true
		}
	}
	return false
}

func TestEdgeFile(t *testing.T) {
	lists := sharedLists(t)
	set, rep, err := load(t, lists+"edge/mixed-crlf-bom.txt", config.FormatAuto)
	if err != nil {
		t.Fatal(err)
	}
	expected, err := os.ReadFile(lists + "edge/mixed-crlf-bom.expected.tsv")
	if err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSpace(string(expected)), "\n")[1:]
	for _, row := range rows {
		name, want, _ := strings.Cut(row, "\t")
		if got := set.blocks(domain.MustParse(name)); got != (want == "block") {
			t.Errorf("%s: blocked is %v, want %s", name, got, want)
		}
	}
	if len(rows) < 28 {
		t.Errorf("only %d rows", len(rows))
	}
	want := map[Reason]int{Page: 1, Address: 1, PublicSuffix: 3, BadName: 2}
	if diff := cmp.Diff(want, rep.Skipped); diff != "" {
		t.Error("want −, got +:\n" + diff)
	}
	for file, want := range map[string]error{"empty.txt": ErrEmpty, "only-comments.txt": ErrEmpty, "html-instead-of-list.txt": ErrHTML} {
		if _, _, err := load(t, lists+"edge/"+file, config.FormatAuto); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", file, err, want)
		}
	}
}

// TestSyntaxesAgree: one list in several syntaxes is one set of rules, read by its format and by auto.
func TestSyntaxesAgree(t *testing.T) {
	lists := sharedLists(t)
	for _, files := range [][]string{
		{"adult/hagezi-nsfw.adblock.txt.zst", "adult/hagezi-nsfw.rpz.txt.zst", "adult/hagezi-nsfw.dnsmasq.txt.zst", "adult/hagezi-nsfw.wildcard.txt.zst"},
		{
			"adult/oisd-nsfw-small.abp.txt.zst", "adult/oisd-nsfw-small.rpz.txt.zst", "adult/oisd-nsfw-small.dnsmasq.txt.zst",
			"adult/oisd-nsfw-small.dnsmasq2.txt.zst", "adult/oisd-nsfw-small.unbound.txt.zst",
			"adult/oisd-nsfw-small.domainswild.txt.zst", "adult/oisd-nsfw-small.domainswild2.txt.zst",
		},
		{"social/hagezi-social.adblock.txt", "social/hagezi-social.rpz.txt", "social/hagezi-social.dnsmasq.txt"},
		{"bypass/hagezi-doh.adblock.txt.zst", "bypass/hagezi-doh.rpz.txt.zst"},
		{"bypass/hagezi-doh-vpn-proxy-bypass.onlydomains.txt.zst", "bypass/hagezi-doh-vpn-proxy-bypass.rpz.txt.zst"},
		{"hate/chigh-hategroup.domains.txt", "hate/chigh-hategroup.rpz.db", "hate/chigh-hategroup.dnsmasq.conf"},
	} {
		first, _, err := load(t, lists+files[0], formatOf(t, files[0]))
		if err != nil || len(first.blocked) < 100 {
			t.Errorf("%s: %d names, %v", files[0], len(first.blocked), err)
		}
		for _, file := range files {
			for _, f := range []config.Format{formatOf(t, file), config.FormatAuto} {
				if f == config.FormatAuto && len(first.blocked) > 30_000 {
					continue // to be quick
				}
				set, rep, err := load(t, lists+file, f)
				if err != nil {
					t.Errorf("%s: %v", file, err)
				}
				if !maps.Equal(first.blocked, set.blocked) || len(set.excepted) > 0 {
					t.Errorf("%s as format %d differs from %s: %s", file, f, files[0], rep)
				}
			}
		}
	}
	if _, _, err := load(t, lists+"adult/oisd-nsfw-small.regex.txt.zst", config.FormatAuto); !errors.Is(err, ErrRegex) {
		t.Errorf("regular expressions: got %v", err)
	}
}

func formatOf(t *testing.T, file string) config.Format {
	t.Helper()
	for mark, f := range map[string]config.Format{
		".adblock.": config.FormatAdblock, ".abp.": config.FormatAdblock, ".rpz.": config.FormatRPZ, ".dnsmasq": config.FormatDnsmasq,
		".wildcard.": config.FormatWildcard, ".domainswild.": config.FormatWildcard, ".domainswild2.": config.FormatDomains,
		".unbound.": config.FormatUnbound, ".onlydomains.": config.FormatDomains, ".domains.": config.FormatDomains,
		".hosts": config.FormatHosts, ".tar.gz": config.FormatUT1,
	} {
		if strings.Contains(file, mark) {
			return f
		}
	}
	return config.FormatAuto
}

// TestManifest reads every list but the largest and accounts for each entry that the manifest counts.
func TestManifest(t *testing.T) {
	lists := sharedLists(t)
	manifest, err := os.ReadFile(shared + "MANIFEST.tsv")
	if err != nil {
		t.Fatal(err)
	}
	odd := map[string]error{ // lists that are not lists of names
		"bypass/dibdot-doh-ipv4.txt.zst": ErrNoDomain, "bypass/dibdot-doh-ipv6.txt.zst": ErrNoDomain,
		"bypass/x4bnet-vpn-ipv4.cidr.txt.zst": ErrNoDomain, "bypass/hagezi-doh-ips.adblock.txt": ErrNoDomain,
		"adult/oisd-nsfw-small.regex.txt.zst": ErrRegex,
	}
	more := map[string]int{ // entries that the manifest does not count
		"hate/chigh-hategroup.rpz.db":             1, // the address of localhost
		"social/sinfonietta-social.hosts.txt.zst": 1, // one line leads to 127.0.0.7
	}
	read := 0
	for line := range strings.Lines(string(manifest)) {
		f := strings.Split(line, "\t")
		file, ok := strings.CutPrefix(f[0], "lists/")
		if !ok || strings.HasPrefix(file, "edge/") || strings.HasPrefix(file, "ut1/") {
			continue
		}
		info, err := os.Stat(lists + file)
		if err != nil {
			t.Error(err)
			continue
		}
		if info.Size() > 500_000 {
			continue // to be quick
		}
		read++
		want, _ := strconv.Atoi(f[3])
		rep, err := Source(lists+file, config.List{Format: formatOf(t, file)}, func(blocklist.Rule) error { return nil })
		if !errors.Is(err, odd[file]) || err != nil && odd[file] == nil {
			t.Errorf("%s: got %v, want %v", file, err, odd[file])
		}
		if rep.Entries != want+more[file] {
			t.Errorf("%s: %d entries, the manifest has %d: %s", file, rep.Entries, want, rep)
		}
		t.Logf("%s: %s", filepath.Base(file), rep)
	}
	if read < 50 {
		t.Errorf("only %d lists", read)
	}
}

func TestToulouse(t *testing.T) {
	path := sharedLists(t) + "ut1/ut1-blacklists-subset.tar.gz"
	for _, tc := range []struct {
		sel  string
		want string
		err  error
	}{
		{"drugs", "436 rules from 1067 entries; skipped: 167 address, 464 page", nil}, // a link to drogue
		{"arjel", "69 rules from 69 entries", nil},                                    // both black and white
		{"liste_blanche", "0 rules from 0 entries", ErrAllowList},
		{"adult", "0 rules from 0 entries", ErrNoDirectory}, // left out of the subset for its size
	} {
		l := config.List{Format: config.FormatUT1, Select: []string{tc.sel}}
		rep, err := Source(path, l, func(blocklist.Rule) error { return nil })
		if !errors.Is(err, tc.err) || rep.String() != tc.want {
			t.Errorf("%s: got %q and %v, want %q and %v", tc.sel, rep, err, tc.want, tc.err)
		}
	}
}

// BenchmarkSource reads two million real names.
func BenchmarkSource(b *testing.B) {
	path := shared + "lists/scale/all-categories-union.domains.txt.zst"
	if _, err := os.Stat(path); err != nil {
		b.Skip("the shared test data is not beside the repository")
	}
	b.ReportAllocs()
	lines := 0
	for b.Loop() {
		rep, err := Source(path, config.List{Format: config.FormatDomains}, func(blocklist.Rule) error { return nil })
		if err != nil {
			b.Fatal(err)
		}
		lines += rep.Lines
	}
	b.ReportMetric(float64(lines)/b.Elapsed().Seconds(), "lines/s")
}
