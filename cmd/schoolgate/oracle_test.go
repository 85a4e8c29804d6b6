package main

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// oracle is the filter written a second time, as plainly as can be and without any code of the product: a map of names
// for each category, and the order of rules as a person would read it.
type oracle struct {
	held   map[string]map[string]bool // category → names, each with all below it
	groups map[string]oracleGroup
	safe   map[string]bool // search pages that have a safe form
}

type oracleGroup struct {
	blocks []string // gravest first
	safe   bool
}

func newOracle() *oracle {
	return &oracle{held: map[string]map[string]bool{}, groups: map[string]oracleGroup{}, safe: map[string]bool{}}
}

// add reads the names of a list: word says which part of a line is the name, "" for none.
func (o *oracle) add(t testing.TB, category string, r io.Reader, word func(line string) string) {
	t.Helper()
	if o.held[category] == nil {
		o.held[category] = map[string]bool{}
	}
	s := bufio.NewScanner(r)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		line, _, _ := strings.Cut(s.Text(), "#")
		name := strings.ToLower(strings.TrimSuffix(word(strings.TrimSpace(line)), "."))
		if a, err := idna.Lookup.ToASCII(name); err == nil {
			name = a
		}
		suffix, official := publicsuffix.PublicSuffix(name)
		if name == "" || !strings.Contains(name, ".") || suffix == name && official {
			continue
		}
		o.held[category][name] = true
	}
	if err := s.Err(); err != nil {
		t.Fatal(err)
	}
}

// addFile reads a list of the shared data.
func (o *oracle) addFile(t testing.TB, category, path string, word func(string) string) {
	t.Helper()
	f := unpacked(t, path)
	defer f.Close()
	o.add(t, category, f, word)
}

// unpacked opens a file of the shared data, through zstd where its name says so.
func unpacked(t testing.TB, path string) io.ReadCloser {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(path, ".zst") {
		return f
	}
	t.Cleanup(func() { _ = f.Close() })
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	return z.IOReadCloser()
}

// addUT1 reads one category's domains of a UT1 archive.
func (o *oracle) addUT1(t testing.TB, category, path, dir string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(filepath.Dir(h.Name)) == dir && filepath.Base(h.Name) == "domains" {
			o.add(t, category, r, plain)
		}
	}
}

func plain(line string) string { return line }

func hosts(line string) string {
	if f := strings.Fields(line); len(f) == 2 && f[1] != "localhost" {
		return f[1]
	}
	return ""
}

func adblock(line string) string {
	if name, ok := strings.CutPrefix(line, "||"); ok && strings.HasSuffix(name, "^") {
		return strings.TrimSuffix(name, "^")
	}
	return ""
}

func rpz(line string) string {
	name, rest, _ := strings.Cut(line, " ")
	if strings.TrimSpace(rest) != "CNAME ." || strings.HasPrefix(name, "*.") { // each name has both lines
		return ""
	}
	return name
}

func (o *oracle) holds(category, name string) bool {
	held := o.held[category]
	for {
		if held[name] {
			return true
		}
		_, rest, more := strings.Cut(name, ".")
		if !more {
			return false
		}
		name = rest
	}
}

var (
	canaries   = regexp.MustCompile(`^(use-application-dns\.net|mask(-h2|-canary|-api)?\.icloud\.com|doh\.dns\.apple\.com|dns-tunnel-check\.googlezip\.net|(.+\.)?resolver\.arpa|_esni\..+)$`)
	safeNames  = regexp.MustCompile(`^(((www|cn|edgeservices|global|m|www[234]|[a-z][a-z])\.)?bing\.com|((www|start)\.)?duckduckgo\.com|www\.ecosia\.org|pixabay\.com|search\.brave\.com|(ipv[46]|encrypted)\.google\.com|(www\.)?(ya\.ru|yandex\.(az|by|co\.il|com(\.(am|ge|ru|tr|ua))?|de|ee|eu|fi|fr|kz|lt|lv|md|net|org|pl|ru|tj|tm|ua|uz)))$`)
	safeTubes  = regexp.MustCompile(`^((www|m)\.youtube\.com|youtubei?\.googleapis\.com|www\.youtube-nocookie\.com)$`)
	ownTopic   = regexp.MustCompile(`^((.+\.)?(local|localhost|onion|invalid|internal|home\.arpa)|(.+\.)?(10|127|168\.192|254\.169|(1[6-9]|2[0-9]|3[01])\.172)\.in-addr\.arpa|(.+\.)?(d\.f|[89ab]\.e\.f)\.ip6\.arpa)$`)
	cloakNames = "tracker.stake.com"
)

// judge gives the verdict and, for a block by list, its category.
func (o *oracle) judge(group, name string) (verdict, category string) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	g := o.groups[group]
	byList := func(name string) string {
		if o.holds("illegal", name) {
			return "illegal"
		}
		for _, c := range g.blocks {
			if o.holds(c, name) {
				return c
			}
		}
		return ""
	}
	if c := byList(name); c != "" {
		return "blocked", c
	}
	if canaries.MatchString(name) {
		return "blocked", ""
	}
	if g.safe && o.holds("unsafe search", name) {
		return "blocked", ""
	}
	if g.safe && (o.safe[name] || o.safe[strings.Replace(name, "images.google.", "www.google.", 1)] || safeNames.MatchString(name) || safeTubes.MatchString(name)) {
		return "rewritten", ""
	}
	if strings.HasPrefix(name, "cdn.") && !ownTopic.MatchString(name) { // the stand-in for the Internet makes it an alias
		if c := byList(cloakNames); c != "" {
			return "blocked", c
		}
	}
	return "allowed", ""
}
