package update

import (
	"bytes"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"schoolgate/blocklist"
	"schoolgate/config"
)

// files gives the names of the lists of which a folder keeps a copy.
func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".raw"); ok {
			out = append(out, name)
		}
	}
	return out
}

// states gives what Status says of each list but the starter lists.
func states(u *Updater) map[string]State {
	out := map[string]State{}
	for _, s := range u.Status() {
		if s.State != Starter {
			out[s.Name] = s.State
		}
	}
	return out
}

// blocks says whether the illegal tier of a set blocks a name, as the policy will find.
func blocks(t *testing.T, u *Updater, s *blocklist.Set, name string) bool {
	t.Helper()
	for _, l := range holders(t, s, name) {
		if u.Categories()[l] == config.IllegalTier {
			return true
		}
	}
	return false
}

func renamed(l config.List, name string) config.List {
	l.Name = name
	return l
}

func TestRename(t *testing.T) {
	for _, category := range []string{config.IllegalTier, "gaming"} {
		t.Run(category, func(t *testing.T) {
			s := newSite(t)
			s.set("old", names("bad", 10), 0)
			dir := t.TempDir()
			l := s.list("old", category)
			u, _ := updater(t, dir, l)
			if err := u.Refresh(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			was := folder(dir).readMeta("old")
			s.set("old", "", http.StatusInternalServerError)
			l = renamed(l, "new")
			u, last := updater(t, dir, l) // as after a restart
			loaded, err := u.Load()
			if err != nil {
				t.Fatal(err)
			}
			if got := blocks(t, u, loaded.Set, "bad1.example"); got != (category == config.IllegalTier) {
				t.Errorf("before the first round: blocked %v", got)
			}
			if err := u.Refresh(t.Context(), nil); err == nil {
				t.Error("no error")
			}
			expect(t, "held", []string{"new"}, holders(t, last(), "bad1.example"))
			expect(t, "files", []string{"new"}, files(t, dir))
			expect(t, "states", map[string]State{"new": Fresh}, states(u))
			m := folder(dir).readMeta("new")
			expect(t, "bytes", []string{was.SHA256, was.ETag, category}, []string{m.SHA256, m.ETag, m.Config.Category})
			s.set("old", names("bad", 10), 0)
			if err := u.Refresh(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			expect(t, "sent", 1, s.full["old"])
		})
	}
}

func TestRenameReadInAnotherWayTakesNothingOver(t *testing.T) {
	dir := t.TempDir()
	l := config.List{Name: "old", Category: "gaming", Source: "https://lists.example/a"}
	fetchedNow(t, dir, l, goodList)
	compileAll(t, Plan{Dir: dir, Lists: []config.List{l}})
	hosts := renamed(l, "new")
	hosts.Format = config.FormatUnbound
	pinned := renamed(l, "new")
	pinned.SHA256 = hexSum("other")
	for _, other := range []config.List{hosts, pinned, {Name: "new", Category: "gaming", Source: "https://lists.example/b"}} {
		if done, err := folder(dir).inherit([]config.List{other}); err != nil || len(done) > 0 || folder(dir).hasRaw("new") {
			t.Errorf("%+v took over %v, %v", other, done, err)
		}
	}
	done, err := folder(dir).inherit([]config.List{renamed(l, "new"), l})
	if err != nil || len(done) > 0 {
		t.Errorf("a copy still in use was taken over: %v, %v", done, err)
	}
}

// The name of one list is given to the source of another.
func TestRenameToANameInUse(t *testing.T) {
	dir := t.TempDir()
	a := config.List{Name: "a", Category: config.IllegalTier, Source: "https://lists.example/a"}
	b := config.List{Name: "b", Category: "gaming", Source: "https://lists.example/b"}
	fetchedNow(t, dir, a, names("bad", 10))
	fetchedNow(t, dir, b, names("game", 10))
	compileAll(t, Plan{Dir: dir, Lists: []config.List{a, b}})
	u, last := updater(t, dir, renamed(a, "b"))
	u.attempt(t.Context(), func(config.List, meta, time.Time) bool { return false })
	expect(t, "held", []string{"b"}, holders(t, last(), "bad1.example"))
	expect(t, "no more", []string{}, holders(t, last(), "game1.example"))
}

func TestRenameWithSlowSource(t *testing.T) {
	for _, source := range []string{gamesList.Source, "https://mirror.example/games"} {
		t.Run(source, func(t *testing.T) {
			dir := t.TempDir()
			l := gamesList
			l.Category = config.IllegalTier
			synctest.Test(t, func(t *testing.T) {
				first := startLoop(t, dir, ok(goodList), l)
				advance(time.Minute)
				first.stop()
				other := renamed(l, "new")
				other.Source = source
				hanging := startLoop(t, dir, func(r *http.Request) (*http.Response, error) {
					<-r.Context().Done()
					return nil, r.Context().Err()
				}, other)
				synctest.Wait()
				set, err := blocklist.Open(folder(dir).set())
				if err != nil || hanging.published != 1 || !blocks(t, hanging.Updater, set, "game.example") {
					t.Errorf("while the server hangs: published %d times, %v, holds %v", hanging.published, err, holders(t, set, "game.example"))
				}
				hanging.stop()
			})
		})
	}
}

// Another name and another address, and the server is down: nothing can be taken over, so the old list stays.
func TestRetiredListBlocksUntilReplaced(t *testing.T) {
	for _, refusal := range []struct {
		name, body string
		code       int
	}{{"down", "", 503}, {"web page", "<html></html>", 0}, {"no list", gzipped("<!DOCTYPE html>"), 0}} {
		t.Run(refusal.name, func(t *testing.T) {
			s := newSite(t)
			s.set("iwf", names("bad", 10), 0)
			s.set("police", names("worse", 10), 0)
			s.set("games", names("game", 10), 0)
			s.set("iwf-list", refusal.body, refusal.code)
			dir := t.TempDir()
			illegal := config.IllegalTier
			u, last := updater(t, dir, s.list("iwf", illegal), s.list("police", illegal), s.list("games", "gaming"))
			if err := u.Refresh(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			u.Log = slog.New(slog.NewTextHandler(&log, nil))
			u.SetLists([]config.List{s.list("iwf-list", illegal), s.list("police", illegal)}, config.Update{})
			for range 2 {
				if err := u.Refresh(t.Context(), nil); err == nil {
					t.Error("no error")
				}
				expect(t, "states", map[string]State{"iwf-list": Never, "police": Fresh, "iwf": Retired}, states(u))
				expect(t, "held", []string{"iwf"}, holders(t, last(), "bad1.example"))
				expect(t, "held", []string{"police"}, holders(t, last(), "worse1.example"))
				expect(t, "another tier's", []string{}, holders(t, last(), "game1.example"))
				expect(t, "files", []string{"games", "iwf", "police"}, files(t, dir))
				if !blocks(t, u, last(), "bad1.example") {
					t.Error("the tier is off")
				}
				if lacks, surplus := lacking(last().Lists(), u.plan().wanted()); len(lacks) > 0 || surplus {
					t.Errorf("it would be compiled over and over: %v %v", lacks, surplus)
				}
			}
			s.set("iwf-list", names("bad", 9), 0)
			if err := u.Refresh(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			expect(t, "replaced", []string{"iwf-list"}, holders(t, last(), "bad1.example"))
			expect(t, "states", map[string]State{"iwf-list": Fresh, "police": Fresh}, states(u))
			expect(t, "files", []string{"iwf-list", "police"}, files(t, dir))
			if _, is := u.Categories()["iwf"]; is {
				t.Error("a list that is gone has a category")
			}
			if n := strings.Count(log.String(), "blocks nothing any more"); n != 1 {
				t.Errorf("warned %d times:\n%s", n, &log)
			}
		})
	}
}

// The one list of the tier is renamed; another that is new has no copy: what was renamed is not held twice.
func TestRetiredListIsNotHeldBesideItsHeir(t *testing.T) {
	s := newSite(t)
	s.set("iwf", names("bad", 10), 0)
	dir := t.TempDir()
	l := s.list("iwf", config.IllegalTier)
	u, last := updater(t, dir, l)
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	u.SetLists([]config.List{renamed(l, "heir"), s.list("missing", config.IllegalTier)}, config.Update{})
	if err := u.Refresh(t.Context(), nil); err == nil {
		t.Error("no error")
	}
	expect(t, "held", []string{"heir"}, holders(t, last(), "bad1.example"))
	expect(t, "states", map[string]State{"heir": Fresh, "missing": Never, "iwf": Retired}, states(u))
}

func TestIllegalListRemovedOnPurpose(t *testing.T) {
	s := newSite(t)
	s.set("iwf", names("bad", 10), 0)
	s.set("games", names("game", 10), 0)
	dir := t.TempDir()
	u, last := updater(t, dir, s.list("iwf", config.IllegalTier), s.list("games", "gaming"))
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	u.Log = slog.New(slog.NewTextHandler(&log, nil))
	u.SetLists([]config.List{s.list("games", "gaming"), s.list("chat", "no-starter")}, config.Update{})
	if !blocks(t, u, last(), "bad1.example") {
		t.Error("off before it was compiled")
	}
	for range 2 { // chat has no copy, so the files stay
		if err := u.Refresh(t.Context(), nil); err == nil {
			t.Error("no error")
		}
		expect(t, "held", []string{}, holders(t, last(), "bad1.example"))
		expect(t, "states", map[string]State{"games": Fresh, "chat": Never, "iwf": Retired}, states(u))
	}
	s.set("chat", names("chat", 10), 0)
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	expect(t, "files", []string{"chat", "games"}, files(t, dir))
	expect(t, "states", map[string]State{"games": Fresh, "chat": Fresh}, states(u))
	if n := strings.Count(log.String(), "blocks nothing any more"); n != 1 || !strings.Contains(log.String(), "level=WARN") {
		t.Errorf("warned %d times:\n%s", n, &log)
	}
}

// What is kept is read as it was configured, and left out when it cannot be.
func TestRetiredListIsReadAsItWas(t *testing.T) {
	dir := t.TempDir()
	old := config.List{
		Name: "old", Category: config.IllegalTier, Source: "https://lists.example/ut1.tar.gz",
		Format: config.FormatUT1, Select: []string{"games"}, MaxSize: 1 << 20,
	}
	fetchedNow(t, dir, old, ut1(t, map[string]string{"blacklists/games/domains": "game.example\n", "blacklists/shop/domains": "shop.example\n"}))
	compileAll(t, Plan{Dir: dir, Lists: []config.List{old}})
	p := Plan{Dir: dir, Starter: true, Catalogue: true, Lists: []config.List{{Name: "new", Category: config.IllegalTier, Source: "https://lists.example/new"}}}
	r, s := compileAll(t, p)
	expect(t, "selected", []string{"old"}, holders(t, s, "game.example"))
	expect(t, "not selected", []string{}, holders(t, s, "shop.example"))
	expect(t, "reported", ListReport{Name: "old", Rules: 1, Used: true}, r.Lists[1])

	put(t, folder(dir).raw("old"), "<html>damaged</html>")
	_, s = compileAll(t, p)
	expect(t, "damaged", []string{}, holders(t, s, "game.example"))
	if lacks, surplus := lacking(s.Lists(), p.wanted()); len(lacks) > 0 || surplus {
		t.Errorf("it would be compiled over and over: %v %v", lacks, surplus)
	}
}

func TestCategories(t *testing.T) {
	dir := t.TempDir()
	lists := []config.List{{Name: "games", Category: "gaming"}, {Name: "catalogue-gambling", Category: "own"}}
	got := Categories(dir, lists)
	for name, want := range map[string]string{"games": "gaming", "catalogue-gambling": "own", "catalogue-gaming": "gaming"} {
		expect(t, name, want, got[name])
	}
	expect(t, "method", got, New(dir, lists, config.Update{}).Categories())
}
