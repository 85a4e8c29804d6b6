package update

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"schoolgate/blocklist"
	"schoolgate/blocklist/domain"
	"schoolgate/blocklist/parse"
	"schoolgate/blocklist/starter"
	"schoolgate/config"
)

var monday = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

// names is a list in plain form with n names of its own.
func names(prefix string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%s%d.example\n", prefix, i)
	}
	return b.String()
}

func gzipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, s)
	w.Close()
	return b.String()
}

func put(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// fetchedNow puts content where Updater leaves what it fetched.
func fetchedNow(t *testing.T, dir string, l config.List, content string) {
	t.Helper()
	f := folder(dir)
	m := f.readMeta(l.Name)
	put(t, f.next(l.Name), content)
	m.AskedID, m.Attempted = identity(l), monday
	m.Candidate = &version{
		SourceID: identity(l), ETag: hexSum(content)[:8], SHA256: hexSum(content), Size: int64(len(content)),
		Fetched: monday, Trusted: l.SHA256 != "",
	}
	if err := f.writeMeta(l.Name, m); err != nil {
		t.Fatal(err)
	}
}

func compileAll(t *testing.T, p Plan) (Report, *blocklist.Set) {
	t.Helper()
	r, err := Compile(t.Context(), p, monday)
	if err != nil {
		t.Fatal(err)
	}
	s, err := blocklist.Open(folder(p.Dir).set())
	if err != nil {
		t.Fatal(err)
	}
	return r, s
}

// lists gives the names of the lists of s that hold name.
func holders(t *testing.T, s *blocklist.Set, name string) []string {
	t.Helper()
	var w domain.Wire
	if err := w.SetName(domain.MustParse(name)); err != nil {
		t.Fatal(err)
	}
	m := s.Lookup(&w)
	out := []string{}
	for i, l := range s.Lists() {
		if m.Has(i) {
			out = append(out, l.Name)
		}
	}
	return out
}

func expect(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: %s", what, diff)
	}
}

func TestCompile(t *testing.T) {
	dir := t.TempDir()
	games := config.List{Name: "games", Category: "gaming", Source: "https://user:secret@lists.example/games?key=secret"}
	local := config.List{Name: "school", Category: "social-media", Source: put(t, filepath.Join(t.TempDir(), "school.txt"), "chat.example\n0.0.0.0 talk.example\n")}
	fetchedNow(t, dir, games, gzipped("game.example\nco.uk\n"))
	p := Plan{Dir: dir, Lists: []config.List{games, local}}
	r, s := compileAll(t, p)
	expect(t, "reports", []ListReport{
		{Name: "games", Rules: 1, Problems: 1, Accepted: true, Used: true},
		{Name: "school", Rules: 2, Accepted: true, Used: true},
	}, r.Lists)
	expect(t, "game", []string{"games"}, holders(t, s, "www.game.example"))
	expect(t, "chat", []string{"school"}, holders(t, s, "chat.example"))
	expect(t, "other", []string{}, holders(t, s, "example"))
	for _, i := range s.Lists() {
		if i.Digest == "" || !i.Fetched.Equal(monday) || i.Rules == 0 {
			t.Errorf("described as %+v", i)
		}
	}
	b, err := os.ReadFile(folder(dir).meta("games"))
	if err != nil || bytes.Contains(b, []byte("secret")) {
		t.Errorf("state on disk: %v %s", err, b)
	}
	if entries, _ := filepath.Glob(filepath.Join(dir, "*.tmp*")); len(entries) > 0 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestCompileKeepsLastGood(t *testing.T) {
	l := config.List{Name: "games", Category: "gaming", Source: "https://lists.example/games"}
	pinned := l
	big := names("game", 100)
	tests := []struct {
		name string
		next string
		list config.List
		want error // nil: accepted
	}{
		{"the same number", names("other", 100), l, nil},
		{"half", names("game", 50), l, nil},
		{"less than half", names("game", 49), l, &ShrinkError{Old: 100, New: 49, Limit: 50}},
		{"less than half, pinned", names("game", 49), func() config.List { pinned.SHA256 = hexSum(names("game", 49)); return pinned }(), nil},
		{"less than half, another address", names("game", 49), config.List{Name: "games", Category: "gaming", Source: "https://mirror.example/"}, nil},
		{"web page, packed", gzipped("<!DOCTYPE html><html><body>gone</body></html>"), l, parse.ErrHTML},
		{"comments only", "# nothing today\n", l, parse.ErrEmpty},
		{"cut gzip", gzipped(big)[:200], l, io.ErrUnexpectedEOF},
		{"gzip bomb", gzipped(strings.Repeat("boom.example\n", 20_000)), func() config.List { b := l; b.MaxSize = 4 << 10; return b }(), parse.ErrTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			fetchedNow(t, dir, l, big)
			compileAll(t, Plan{Dir: dir, Lists: []config.List{l}})
			fetchedNow(t, dir, tt.list, tt.next)
			r, s := compileAll(t, Plan{Dir: dir, Lists: []config.List{tt.list}})
			m, got := folder(dir).readMeta("games"), r.Lists[0].Err
			if tt.want == nil {
				if got != nil || !r.Lists[0].Accepted || m.SHA256 != hexSum(tt.next) || m.Failures != 0 {
					t.Errorf("report %+v, state %+v", r.Lists[0], m)
				}
				return
			}
			if got == nil || !errors.Is(got, tt.want) && got.Error() != tt.want.Error() {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			expect(t, "in the set", []string{"games"}, holders(t, s, "game99.example"))
			if m.SHA256 != hexSum(big) || m.ETag != hexSum(big)[:8] || m.Failures != 1 || !m.Refused || m.Error == "" || m.Candidate != nil {
				t.Errorf("state %+v", m)
			}
			if _, err := os.Stat(folder(dir).next("games")); !os.IsNotExist(err) {
				t.Errorf("the refused version is still there: %v", err)
			}
		})
	}
}

func TestCompileComparesLikeWithLike(t *testing.T) {
	// Read as hosts, most of the old version is no rule: fewer rules now are no shrinking.
	dir := t.TempDir()
	l := config.List{Name: "games", Category: "gaming", Source: "https://lists.example/games"}
	fetchedNow(t, dir, l, names("game", 10)+"0.0.0.0 a.example\n0.0.0.0 b.example\n0.0.0.0 c.example\n0.0.0.0 d.example\n")
	compileAll(t, Plan{Dir: dir, Lists: []config.List{l}})
	l.Format = config.FormatUnbound
	fetchedNow(t, dir, l, "local-zone: \"a.example\" always_nxdomain\n")
	r, _ := compileAll(t, Plan{Dir: dir, Lists: []config.List{l}})
	expect(t, "accepted", true, r.Lists[0].Accepted)
}

func TestCompileAfterPowerCut(t *testing.T) {
	l := config.List{Name: "games", Category: "gaming", Source: "https://lists.example/games"}
	old, next := names("old", 10), names("new", 10)
	tests := []struct {
		name   string
		damage func(t *testing.T, f folder)
		want   string // held afterwards
		quiet  bool   // without a failure noted
	}{
		{"before compiling", func(*testing.T, folder) {}, "new1.example", true},
		{"while downloading", func(t *testing.T, f folder) {
			m := f.readMeta("games")
			m.Candidate = nil
			f.writeMeta("games", m)
			os.Rename(f.next("games"), f.next("games")+".tmp-123")
		}, "old1.example", true},
		{"between the bytes and what is known of them", func(t *testing.T, f folder) {
			os.Rename(f.next("games"), f.raw("games"))
		}, "new1.example", true},
		{"the new version is damaged", func(t *testing.T, f folder) { put(t, f.next("games"), next[:20]) }, "old1.example", false},
		{"the new version is lost", func(t *testing.T, f folder) { os.Remove(f.next("games")) }, "old1.example", false},
		{"what is known is damaged", func(t *testing.T, f folder) { put(t, f.meta("games"), `{"etag": "x`) }, "old1.example", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			p := Plan{Dir: dir, Lists: []config.List{l}}
			fetchedNow(t, dir, l, old)
			compileAll(t, p)
			fetchedNow(t, dir, l, next)
			tt.damage(t, folder(dir))
			_, s := compileAll(t, p)
			expect(t, tt.want, []string{"games"}, holders(t, s, tt.want))
			m := folder(dir).readMeta("games")
			if (m.Failures == 0) != tt.quiet || m.Candidate != nil {
				t.Errorf("state %+v", m)
			}
			raw, _ := os.ReadFile(folder(dir).raw("games"))
			expect(t, "digest", hexSum(string(raw)), m.SHA256)
			if lacks, surplus := lacking(s.Lists(), p.wanted()); len(lacks) > 0 || surplus {
				t.Errorf("the set is out of date as soon as it is made: %v %v", lacks, surplus)
			}
		})
	}
}

func TestCompileOneBadListLeavesOthers(t *testing.T) {
	dir := t.TempDir()
	good := config.List{Name: "games", Category: "gaming", Source: "https://lists.example/games"}
	never := config.List{Name: "never", Category: "gambling", Source: "https://lists.example/never"}
	gone := config.List{Name: "gone", Category: "hate", Source: filepath.Join(dir, "no such file")}
	broken := config.List{Name: "broken", Category: "hate", Source: "https://lists.example/broken"}
	fetchedNow(t, dir, good, goodList)
	put(t, folder(dir).raw("broken"), "<html>a last good copy that is none</html>")
	p := Plan{Dir: dir, Lists: []config.List{broken, never, good, gone}}
	r, s := compileAll(t, p)
	var used []string
	for _, l := range r.Lists {
		if l.Used {
			used = append(used, l.Name)
		} else if l.Err == nil {
			t.Errorf("nothing said of %s", l.Name)
		}
	}
	// Categories without a usable list are covered by the starter lists even though nobody asked for those.
	want := []string{"games"}
	for _, c := range starter.Categories() {
		if c == "gambling" || c == "hate" {
			want = append(want, starter.Name(c))
		}
	}
	expect(t, "used", want, used)
	expect(t, "game", []string{"games"}, holders(t, s, "game.example"))
	if lacks, surplus := lacking(s.Lists(), p.wanted()); len(lacks) > 0 || surplus {
		t.Errorf("it would be compiled over and over: %v %v", lacks, surplus)
	}
	if m := folder(dir).readMeta("broken"); m.Broken == "" || m.Failures != 1 {
		t.Errorf("state %+v", m)
	}
}

func TestCompileLocal(t *testing.T) {
	dir, path := t.TempDir(), filepath.Join(t.TempDir(), "own.txt")
	l := config.List{Name: "own", Category: "social-media", Source: path}
	p := Plan{Dir: dir, Lists: []config.List{l}}
	steps := []struct {
		name   string
		change func()
		want   string // held
		wrong  bool   // an error is reported
	}{
		{"first", func() { put(t, path, names("a", 10)) }, "a9.example", false},
		{"shortened by hand", func() { put(t, path, "a1.example\n") }, "a1.example", false},
		{"a web page", func() { put(t, path, "<html><body></body></html>\n\n") }, "a1.example", true},
		{"still", func() {}, "a1.example", true},
		{"gone", func() { os.Remove(path) }, "a1.example", true},
		{"back", func() { put(t, path, "b.example\n") }, "b.example", false},
		{"too large", func() { put(t, path, names("c", 2000)); p.Lists[0].MaxSize = 1 << 10 }, "b.example", true},
	}
	for _, st := range steps {
		st.change()
		r, s := compileAll(t, p)
		if (r.Lists[0].Err != nil) != st.wrong {
			t.Errorf("%s: got %v", st.name, r.Lists[0].Err)
		}
		expect(t, st.name, []string{"own"}, holders(t, s, st.want))
		if lacks, _ := lacking(s.Lists(), p.wanted()); len(lacks) > 0 {
			t.Errorf("%s: it would be compiled over and over", st.name)
		}
	}
}

// ut1 makes an archive in the layout of the UT1 lists.
func ut1(t *testing.T, files map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, content := range files {
		h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content))}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, content)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return gzipped(b.String())
}

func TestCompileUT1(t *testing.T) {
	files := map[string]string{"blacklists/games/domains": "game.example\n", "blacklists/shop/domains": "shop.example\n"}
	tree := t.TempDir()
	for name, content := range files {
		put(t, filepath.Join(tree, name), content)
	}
	dir := t.TempDir()
	packed := config.List{Name: "packed", Category: "gaming", Source: "https://lists.example/ut1.tar.gz", Format: config.FormatUT1, Select: []string{"games"}}
	open := config.List{Name: "open", Category: "shopping", Source: filepath.Join(tree, "blacklists"), Format: config.FormatUT1, Select: []string{"shop"}}
	fetchedNow(t, dir, packed, ut1(t, files))
	p := Plan{Dir: dir, Lists: []config.List{packed, open}}
	_, s := compileAll(t, p)
	expect(t, "game", []string{"packed"}, holders(t, s, "game.example"))
	expect(t, "shop", []string{"open"}, holders(t, s, "shop.example"))
	if lacks, _ := lacking(s.Lists(), p.wanted()); len(lacks) > 0 {
		t.Errorf("lacks %v", lacks)
	}
	put(t, filepath.Join(tree, "blacklists/shop/domains"), "shop.example\nother-shop.example\n")
	lacks, _ := lacking(s.Lists(), p.wanted())
	expect(t, "after a change", []string{"open"}, lacks)
	p.Lists[0].Select = []string{"shop"} // read in another way
	lacks, _ = lacking(s.Lists(), p.wanted())
	expect(t, "after another choice", []string{"packed", "open"}, lacks)
}

func TestCompileStarter(t *testing.T) {
	_, s := compileAll(t, Plan{Dir: t.TempDir(), Starter: true, Catalogue: true})
	for i, c := range starter.Categories() {
		expect(t, "name", starter.Name(c), s.Lists()[i].Name)
		for r := range starter.Rules(c) {
			if r.Scope == blocklist.Subtree && !r.Except && !slices.Contains(holders(t, s, string(r.Name)), starter.Name(c)) {
				t.Errorf("%s does not hold %s", c, r.Name)
			}
		}
	}
}

func TestCompileLeavesOldSetOnFailure(t *testing.T) {
	dir := t.TempDir()
	l := config.List{Name: "games", Category: "no-starter", Source: "https://lists.example/games"}
	fetchedNow(t, dir, l, names("game", 10_000))
	compileAll(t, Plan{Dir: dir, Lists: []config.List{l}})
	before := stamp(folder(dir).set())

	other := config.List{Name: "other", Category: "no-starter", Source: "https://lists.example/other"}
	if _, err := Compile(t.Context(), Plan{Dir: dir, Lists: []config.List{other}}, monday); !errors.Is(err, ErrNothing) {
		t.Errorf("got %v", err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	fetchedNow(t, dir, l, names("new", 10_000))
	if _, err := Compile(stopped, Plan{Dir: dir, Lists: []config.List{l}}, monday); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	c := &compiler{ctx: stopped, dir: folder(dir), now: monday}
	if _, err := c.prepare(l); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped while reading: %v", err)
	}
	if folder(dir).wantedDigest(l) != changed {
		t.Error("the new version no longer waits after a stop")
	}
	expect(t, "current.set", before, stamp(folder(dir).set()))
}

func TestPlanTravels(t *testing.T) {
	want := Plan{
		Dir: "var/lists", Starter: true, Catalogue: true, Essential: []domain.Name{"learn.example"}, Popular: []domain.Name{"news.example"},
	}
	want.Lists = []config.List{{
		Name: "games", Category: "gaming", Source: "https://user:secret@lists.example/", Format: config.FormatUT1,
		Select: []string{"games", "shop"}, Every: config.Duration(time.Hour), MaxSize: 1 << 20, SHA256: hexSum(""),
		Mirrors: []string{"https://mirror.example/"}, MinisignKey: "key", Signature: "https://lists.example/signature",
		MaxShrink: 3, MaxGrowth: 4, MaxConflicts: 5, Accept: []domain.Name{"sch.uk"},
	}}
	if n := reflect.TypeFor[planned]().NumField(); n != reflect.TypeFor[config.List]().NumField()-2 { // max_age is for Status alone, auth_file for fetching
		t.Errorf("%d settings of a list travel", n)
	}
	var b bytes.Buffer
	if err := want.Encode(&b); err != nil {
		t.Fatal(err)
	}
	got, err := ReadPlan(&b)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "plan", want, got)
	for _, bad := range []string{"", "{", `{"Dir": 1}`, `{"Other": 1}`} {
		if _, err := ReadPlan(strings.NewReader(bad)); err == nil {
			t.Errorf("%q was taken for a plan", bad)
		}
	}
}

func TestNamesStayInFolder(t *testing.T) {
	for _, bad := range []string{"", "../etc", "a/b", "A", "current.set", strings.Repeat("a", 200), "a\x00"} {
		b := base(bad)
		if strings.ContainsAny(b, "./\\\x00") || len(b) > 100 || b == bad {
			t.Errorf("%q becomes %q", bad, b)
		}
	}
	expect(t, "good name", "games-2", base("games-2"))
}

// TestCompileTellsProgress: of long work something is heard.
func TestCompileTellsProgress(t *testing.T) {
	dir := t.TempDir()
	l := config.List{Name: "games", Category: "gaming", Source: "https://lists.example/games"}
	fetchedNow(t, dir, l, names("game", 140_000))
	var told []Progress
	p := Plan{Dir: dir, Lists: []config.List{l}, Progress: func(p Progress) { told = append(told, p) }}
	if _, err := Compile(t.Context(), p, monday); err != nil {
		t.Fatal(err)
	}
	want := []Progress{{Compiling: true, Done: 1 << 16, Total: 140_000}, {Compiling: true, Done: 1 << 17, Total: 140_000}}
	expect(t, "told", want, told)
}
