package policy

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"schoolgate/blocklist/domain"
	"schoolgate/config"
	"schoolgate/resolver/query"
)

// TestEngines holds the tables to each other: what a group may except is what is steered, each name is known once, and
// all are names.
func TestEngines(t *testing.T) {
	var words []string
	seen := map[domain.Name]string{}
	note := func(n domain.Name, what string) {
		if parsed, err := domain.Parse(string(n)); err != nil || parsed != n {
			t.Errorf("%s: %q is no name in canonical form", what, n)
		}
		if before, twice := seen[n]; twice {
			t.Errorf("%q is of %s and of %s", n, before, what)
		}
		seen[n] = what
	}
	for _, e := range engines() {
		words = append(words, e.engine)
		for _, n := range e.names {
			note(n, e.engine)
		}
		if seen[e.target] != "" {
			t.Errorf("the safe form %s is steered itself", e.target)
		}
	}
	if diff := cmp.Diff(config.Engines(), words); diff != "" {
		t.Error(diff)
	}
	for _, r := range refusedSearches() {
		note(r.name, "unsteerable.txt")
		if r.why == "" {
			t.Errorf("%s: no reason given", r.name)
		}
	}
	for _, n := range append(youtubeBlocked, youtubeSteered...) {
		note(n, YouTube)
	}
	for _, s := range signals() {
		for _, n := range s.names {
			note(n, s.word)
		}
	}
}

// TestPublishedSafeSearch compares with lists that others keep: no host of theirs may be left out.
func TestPublishedSafeSearch(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "shared", "data", "safesearch")
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(files) == 0 {
		t.Skipf("no published safe-search lists in %s: the comparison with them is left out", dir)
	}
	p, w := build(t, nil)
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		hosts := 0
		for s := bufio.NewScanner(f); s.Scan(); {
			host := ""
			if rest, ok := strings.CutPrefix(s.Text(), "|"); ok {
				host, _, _ = strings.Cut(rest, "^")
			} else if rest, ok := strings.CutPrefix(s.Text(), "cname="); ok {
				host, _, _ = strings.Cut(rest, ",")
			}
			if host == "" {
				continue
			}
			hosts++
			if v := decide(t, p, w, children, host, noon); v.Action != query.Rewrite || v.Rule != query.SafeSearch {
				t.Errorf("%s steers %s: %+v", filepath.Base(file), host, v)
			}
		}
		if hosts == 0 {
			t.Errorf("%s: no host was found in it", file)
		}
	}
}

func TestSafeSearchByEngine(t *testing.T) {
	p, w := build(t, func(c *config.Config) {
		c.Groups[staff].SafeSearch = true
		c.Groups[staff].SafeSearchExcept = []string{"duckduckgo", "yandex"}
	})
	steered := func(engine string, target domain.Name) query.Verdict {
		return query.Verdict{Action: query.Rewrite, Rule: query.SafeSearch, List: engine, Target: target}
	}
	refused := func(engine string) query.Verdict { return block(query.SafeSearch, "", engine) }
	open := query.Verdict{}
	for _, tt := range []struct {
		name            string
		children, staff query.Verdict
	}{
		{"www.google.de", steered("google", "forcesafesearch.google.com"), steered("google", "forcesafesearch.google.com")},
		{"images.google.co.uk", steered("google", "forcesafesearch.google.com"), steered("google", "forcesafesearch.google.com")},
		{"google.de", open, open},
		{"edgeservices.bing.com", steered("bing", "strict.bing.com"), steered("bing", "strict.bing.com")},
		{"th.bing.com", open, open}, // pictures of results
		{"www.ecosia.org", steered("ecosia", "strict-safe-search.ecosia.org"), steered("ecosia", "strict-safe-search.ecosia.org")},
		{"search.brave.com", steered("brave", "forcesafe.search.brave.com"), steered("brave", "forcesafe.search.brave.com")},
		{"yandex.kz", steered("yandex", "familysearch.yandex.ru"), open},
		{"mail.yandex.ru", open, open},
		{"images.yandex.ru", refused("yandex"), open},
		{"html.duckduckgo.com", refused("duckduckgo"), query.Verdict{Rule: query.SchoolsPack}},
		{"uk.images.search.yahoo.com", refused(""), refused("")},
		{"yahoo.com", query.Verdict{Rule: query.SchoolsPack}, query.Verdict{Rule: query.SchoolsPack}},
		{"kagi.com", refused(""), refused("")},
	} {
		if diff := cmp.Diff(tt.children, decide(t, p, w, children, tt.name, noon)); diff != "" {
			t.Errorf("%s for children: %s", tt.name, diff)
		}
		if diff := cmp.Diff(tt.staff, decide(t, p, w, staff, tt.name, noon)); diff != "" {
			t.Errorf("%s for staff: %s", tt.name, diff)
		}
	}
	for _, safe := range []string{"www.kiddle.co", "kiddle.co", "www.kidrex.org", "www.kidzsearch.com", "swisscows.com", "www.qwantjunior.com"} {
		if v := decide(t, p, w, children, safe, noon); v.Action != query.Allow {
			t.Errorf("%s, which is safe by itself: %+v", safe, v)
		}
	}
}

// TestOwnAllowListOpensSearch: the school's word comes before rule 8.
func TestOwnAllowListOpensSearch(t *testing.T) {
	p, w := build(t, func(c *config.Config) {
		c.Groups[children].Allow = []domain.Name{"startpage.com", "mask.icloud.com"}
	})
	for _, name := range []string{"www.startpage.com", "mask.icloud.com"} {
		if v := decide(t, p, w, children, name, noon); v != (query.Verdict{Rule: query.OwnAllow}) {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

func TestYouTube(t *testing.T) {
	for _, tt := range []struct {
		setting config.YouTube
		target  domain.Name
	}{
		{config.YouTubeOff, ""}, {config.YouTubeModerate, youtubeModerate}, {config.YouTubeStrict, youtubeStrict}, {config.YouTubeBlocked, ""},
	} {
		p, w := build(t, func(c *config.Config) { c.Groups[children].YouTube = tt.setting; c.Policy.SchoolsPack = false })
		blocked := block(query.SafeSearch, "", YouTube)
		for _, name := range []string{"www.youtube.com", "m.youtube.com", "youtubei.googleapis.com", "www.youtube-nocookie.com"} {
			want := query.Verdict{}
			switch {
			case tt.setting == config.YouTubeBlocked:
				want = blocked
			case tt.target != "":
				want = query.Verdict{Action: query.Rewrite, Rule: query.SafeSearch, List: YouTube, Target: tt.target}
			}
			if diff := cmp.Diff(want, decide(t, p, w, children, name, noon)); diff != "" {
				t.Errorf("%v: %s: %s", tt.setting, name, diff)
			}
		}
		for _, name := range []string{"youtu.be", "youtube.com", "music.youtube.com", "a.b.googlevideo.com", "i.ytimg.com", "www.youtubekids.com"} {
			want := query.Verdict{}
			if tt.setting == config.YouTubeBlocked {
				want = blocked
			}
			if diff := cmp.Diff(want, decide(t, p, w, children, name, noon)); diff != "" {
				t.Errorf("%v: %s: %s", tt.setting, name, diff)
			}
		}
		for _, name := range []string{"s.ytimg.com", "yt3.ggpht.com", "www.googleapis.com", "drive.google.com"} {
			if v := decide(t, p, w, children, name, noon); v.Action != query.Allow {
				t.Errorf("%v: %s: %+v", tt.setting, name, v)
			}
		}
	}
}

func TestSignals(t *testing.T) {
	switches := map[string]func(*config.Signals){
		"firefox-doh": func(s *config.Signals) { s.FirefoxDoH = false }, "private-relay": func(s *config.Signals) { s.PrivateRelay = false },
		"chrome-prefetch":      func(s *config.Signals) { s.ChromePrefetch = false },
		"designated-resolvers": func(s *config.Signals) { s.DesignatedResolvers = false }, query.ESNI: func(s *config.Signals) { s.ESNI = false },
	}
	names := map[string][]string{
		"firefox-doh":          {"use-application-dns.net"},
		"private-relay":        {"mask.icloud.com", "mask-h2.icloud.com", "mask-canary.icloud.com", "mask-api.icloud.com", "doh.dns.apple.com"},
		"chrome-prefetch":      {"dns-tunnel-check.googlezip.net"},
		"designated-resolvers": {"resolver.arpa", "_dns.resolver.arpa"},
		query.ESNI:             {"_esni.school.example"},
	}
	for word, off := range switches {
		t.Run(word, func(t *testing.T) {
			p, w := build(t, func(c *config.Config) { off(&c.Signals) })
			for other, names := range names {
				want := block(query.Bypass, "", other)
				if other == word {
					want = query.Verdict{}
				}
				for _, name := range names {
					if diff := cmp.Diff(want, decide(t, p, w, staff, name, noon)); diff != "" {
						t.Errorf("%s: %s", name, diff)
					}
				}
			}
		})
	}
	p, w := build(t, nil)
	for _, name := range []string{"ipv4only.arpa", "a1b2c3-dnsotls-ds.metric.gstatic.com", "www.use-application-dns.net", "icloud.com", "_esni"} {
		if v := decide(t, p, w, children, name, noon); v.Action != query.Allow {
			t.Errorf("%s is no signal: %+v", name, v)
		}
	}
}

func TestExplainSafeSearch(t *testing.T) {
	p, w := build(t, func(c *config.Config) { c.Groups[staff].YouTube = config.YouTubeBlocked })
	for _, tt := range []struct {
		group      uint8
		name, want string
	}{
		{children, "www.google.fr", "rewritten: safe search, steered to forcesafesearch.google.com"},
		{children, "uk.search.yahoo.com", "a search without a safe form that DNS can enforce, refused where safe search is on: a setting of the person; the picture search is below it too"},
		{children, "lite.duckduckgo.com", "a side door of duckduckgo, refused where safe search is on: a front that its makers do not list among those with a safe form"},
		{staff, "youtu.be", "YouTube is blocked for the group staff"},
		{staff, "use-application-dns.net", "a name by which devices ask whether they may go around the filter: the signal firefox-doh"},
	} {
		_, steps, err := p.Explain(noon, tt.group, domain.Name(tt.name), w.set)
		if err != nil {
			t.Fatal(err)
		}
		if last := steps[len(steps)-1]; last.Finding != tt.want {
			t.Errorf("%s: %s", tt.name, fmt.Sprint(last))
		}
	}
}
