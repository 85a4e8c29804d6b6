package update

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

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

func renamed(l config.List, name string) config.List {
	l.Name = name
	return l
}

func TestRename(t *testing.T) {
	for _, category := range []string{"gaming", "own"} {
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
			if _, err := u.Load(); err != nil {
				t.Fatal(err)
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
	a := config.List{Name: "a", Category: "gaming", Source: "https://lists.example/a"}
	b := config.List{Name: "b", Category: "gaming", Source: "https://lists.example/b"}
	fetchedNow(t, dir, a, names("bad", 10))
	fetchedNow(t, dir, b, names("game", 10))
	compileAll(t, Plan{Dir: dir, Lists: []config.List{a, b}})
	u, last := updater(t, dir, renamed(a, "b"))
	u.attempt(t.Context(), func(config.List, meta, time.Time) bool { return false })
	expect(t, "held", []string{"b"}, holders(t, last(), "bad1.example"))
	expect(t, "no more", []string{}, holders(t, last(), "game1.example"))
}

func TestCategories(t *testing.T) {
	lists := []config.List{{Name: "games", Category: "gaming"}, {Name: "catalogue-gambling", Category: "own"}}
	got := Categories(lists)
	for name, want := range map[string]string{"games": "gaming", "catalogue-gambling": "own", "catalogue-gaming": "gaming"} {
		expect(t, name, want, got[name])
	}
}
