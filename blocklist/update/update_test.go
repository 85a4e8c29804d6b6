package update

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"schoolgate/blocklist"
	"schoolgate/blocklist/starter"
	"schoolgate/config"
)

// site is a server of lists whose content and behaviour a test changes.
type site struct {
	*httptest.Server
	mu    sync.Mutex // guards all below
	body  map[string]string
	code  map[string]int
	asked map[string]int
	full  map[string]int // answered with a body
}

func newSite(t *testing.T) *site {
	s := &site{body: map[string]string{}, code: map[string]int{}, asked: map[string]int{}, full: map[string]int{}}
	s.Server = serve(t, s.answer)
	return s
}

func (s *site) answer(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := strings.TrimPrefix(r.URL.Path, "/")
	s.asked[name]++
	body, ok := s.body[name]
	tag := `"` + hexSum(body) + `"`
	switch {
	case s.code[name] != 0:
		http.Error(w, "out of order", s.code[name])
	case !ok:
		http.NotFound(w, r)
	case r.Header.Get("If-None-Match") == tag:
		w.WriteHeader(http.StatusNotModified)
	default:
		s.full[name]++
		w.Header().Set("ETag", tag)
		io.WriteString(w, body)
	}
}

func (s *site) set(name, body string, code int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.body[name], s.code[name] = body, code
}

func (s *site) list(name, category string) config.List {
	return config.List{Name: name, Category: category, Source: s.URL + "/" + name}
}

// updater is an Updater of a site that gathers what it publishes.
func updater(t *testing.T, dir string, lists ...config.List) (*Updater, func() *blocklist.Set) {
	u := New(dir, lists, config.Update{})
	u.Transport = &http.Transport{DisableKeepAlives: true}
	var mu sync.Mutex
	var last *blocklist.Set
	u.Publish = func(s *blocklist.Set) {
		mu.Lock()
		defer mu.Unlock()
		last = s
	}
	return u, func() *blocklist.Set {
		mu.Lock()
		defer mu.Unlock()
		return last
	}
}

func TestRefresh(t *testing.T) {
	s := newSite(t)
	s.set("games", names("game", 10), 0)
	s.set("chat", names("chat", 10), 0)
	u, last := updater(t, t.TempDir(), s.list("games", "gaming"), s.list("chat", "social-media"))
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	first := last()
	expect(t, "game", []string{"games"}, holders(t, first, "game1.example"))
	expect(t, "chat", []string{"chat"}, holders(t, first, "chat1.example"))

	// Nothing new: asked again, not sent again, not compiled again.
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	expect(t, "asked", map[string]int{"games": 2, "chat": 2}, s.asked)
	expect(t, "sent", map[string]int{"games": 1, "chat": 1}, s.full)
	if last() != first {
		t.Error("the same lists were published twice")
	}

	// One of them changes; only that one is asked for.
	s.set("games", names("new", 10), 0)
	if err := u.Refresh(t.Context(), nil, "games"); err != nil {
		t.Fatal(err)
	}
	expect(t, "asked", map[string]int{"games": 3, "chat": 2}, s.asked)
	expect(t, "new", []string{"games"}, holders(t, last(), "new1.example"))
	expect(t, "chat", []string{"chat"}, holders(t, last(), "chat1.example"))
	if err := u.Refresh(t.Context(), nil, "none"); !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v", err)
	}
}

func TestRefreshKeepsLastGood(t *testing.T) {
	good := names("game", 10)
	tests := []struct {
		name string
		body string
		code int
		want string // in the error
	}{
		{"404", good, 404, "status 404"},
		{"500", good, 500, "status 500"},
		{"web page", "<html><head><title>Blocked by your provider</title></head></html>", 0, "web page"},
		{"empty", "", 0, "empty"},
		{"shrunk", names("game", 3), 0, "only 3 rules"},
		{"packed web page", gzipped("<!DOCTYPE html><html></html>"), 0, "web page"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel() // the time goes into waiting for the disk
			s := newSite(t)
			s.set("games", good, 0)
			s.set("chat", names("chat", 10), 0)
			u, last := updater(t, t.TempDir(), s.list("games", "gaming"), s.list("chat", "social-media"))
			if err := u.Refresh(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			s.set("games", tt.body, tt.code)
			s.set("chat", names("talk", 10), 0)
			err := u.Refresh(t.Context(), nil)
			le, ok := errors.AsType[*ListError](err)
			if !ok || le.List != "games" || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v", err)
			}
			expect(t, "last good", []string{"games"}, holders(t, last(), "game1.example"))
			expect(t, "the other list", []string{"chat"}, holders(t, last(), "talk1.example"))
			st := u.Status()
			if st[0].Error == "" || st[0].State != Fresh || st[0].Rules != 10 || st[0].Failures != 1 || st[1].Error != "" {
				t.Errorf("status %+v", st)
			}
			// And when the source is well again, so is the list.
			s.set("games", names("game", 9), 0)
			if err := u.Refresh(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			expect(t, "mended", []string{}, holders(t, last(), "game9.example"))
			expect(t, "error", "", u.Status()[0].Error)
		})
	}
}

func TestRefreshFromAnotherAddress(t *testing.T) {
	s := newSite(t)
	s.set("games", names("game", 10), 0)
	s.set("mirror", names("game", 10), 0) // the same bytes and the same ETag, and yet another server's word
	dir := t.TempDir()
	u, _ := updater(t, dir, s.list("games", "gaming"))
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	l := s.list("mirror", "gaming")
	l.Name = "games"
	u.SetLists([]config.List{l}, config.Update{})
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	expect(t, "sent", map[string]int{"games": 1, "mirror": 1}, s.full)
	expect(t, "source", identity(l), folder(dir).readMeta("games").SourceID)
}

func TestRefreshMendsDamagedCopy(t *testing.T) {
	good := names("game", 10)
	tests := []struct {
		name, raw string // what became of the last good copy
	}{
		{"a changed byte", strings.Replace(good, "game5", "gbme5", 1)},
		{"nothing readable", strings.Repeat("\x00", len(good))},
		{"shorter", good[:len(good)/2]},
		{"empty", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSite(t)
			s.set("games", good, 0)
			dir := t.TempDir()
			u, last := updater(t, dir, s.list("games", "gaming"))
			if err := u.Refresh(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			put(t, folder(dir).raw("games"), tt.raw)
			Compile(t.Context(), u.plan(), monday) // notices, whatever it can make of it
			if err := u.Refresh(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			expect(t, "mended", []string{"games"}, holders(t, last(), "game5.example"))
			expect(t, "sent", 2, s.full["games"])
		})
	}
}

func TestRefreshWithoutETag(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, goodList) })
	compiled := 0
	u, _ := updater(t, t.TempDir(), config.List{Name: "games", Category: "gaming", Source: s.URL})
	u.CompileCmd = func(ctx context.Context, p Plan) error {
		compiled++
		_, err := Compile(ctx, p, u.now())
		return err
	}
	for range 2 {
		if err := u.Refresh(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, "compilations", 1, compiled)
}

func TestCompileCmdFailure(t *testing.T) {
	s := newSite(t)
	s.set("games", names("game", 10), 0)
	u, last := updater(t, t.TempDir(), s.list("games", "gaming"))
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	before := last()
	s.set("games", names("deadly", 10), 0)
	killed := errors.New("signal: killed")
	u.CompileCmd = func(context.Context, Plan) error { return killed }
	if err := u.Refresh(t.Context(), nil); !errors.Is(err, killed) || !errors.As(err, new(*ListError)) {
		t.Errorf("got %v", err)
	}
	if last() != before {
		t.Error("published after a failure")
	}
	if _, err := u.Compiled(); !errors.Is(err, killed) {
		t.Errorf("got %v", err)
	}
	u.CompileCmd = nil
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	expect(t, "fetched again", []string{"games"}, holders(t, last(), "deadly1.example"))
	if at, err := u.Compiled(); err != nil || at.IsZero() {
		t.Errorf("got %v, %v", at, err)
	}
}

func TestSetLists(t *testing.T) {
	s := newSite(t)
	s.set("games", names("game", 10), 0)
	s.set("chat", names("chat", 10), 0)
	dir := t.TempDir()
	u, last := updater(t, dir, s.list("games", "gaming"), s.list("chat", "social-media"))
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "notes.txt"), "not ours")
	u.SetLists([]config.List{s.list("games", "gaming")}, config.Update{})
	broken := errors.New("broken")
	u.CompileCmd = func(context.Context, Plan) error { return broken }
	if err := u.Refresh(t.Context(), nil); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if !folder(dir).hasRaw("chat") {
		t.Error("a list's files went before a compilation without it")
	}
	u.CompileCmd = nil
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	expect(t, "chat", []string{}, holders(t, last(), "chat1.example"))
	var left []string
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		left = append(left, e.Name())
	}
	expect(t, "files", []string{"current.set", "games.meta", "games.raw", "lock", "notes.txt"}, left)
}

func TestSweepsWhatAKilledProcessLeft(t *testing.T) {
	s := newSite(t)
	s.set("games", names("game", 10), 0)
	dir := t.TempDir()
	for _, name := range []string{"games.new.tmp-12", "games.meta.tmp-3", "current.set.tmp-1.77.tmp", "runs-5.tmp"} {
		put(t, filepath.Join(dir, name), "half")
	}
	put(t, folder(dir).raw("games"), names("old", 10))
	u, last := updater(t, dir, s.list("games", "gaming"))
	s.set("games", "", 500)
	if err := u.Refresh(t.Context(), nil); err == nil {
		t.Fatal("no error")
	}
	expect(t, "last good", []string{"games"}, holders(t, last(), "old1.example"))
	if left, _ := filepath.Glob(filepath.Join(dir, "*.tmp*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestLoad(t *testing.T) {
	s := newSite(t)
	s.set("games", names("game", 10), 0)
	dir := t.TempDir()
	games, chat := s.list("games", "gaming"), s.list("chat", "social-media")
	u, _ := updater(t, dir, games)
	l, err := u.Load()
	if err != nil || !l.Starter || l.Err != nil || l.Set.Names() == 0 {
		t.Fatalf("got %+v, %v", l, err)
	}
	if len(l.Lacks) == 0 || l.Lacks[len(l.Lacks)-1] != "games" {
		t.Errorf("lacks %v", l.Lacks)
	}
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}

	again, last := updater(t, dir, games)
	if l, err = again.Load(); err != nil || l.Starter || len(l.Lacks) > 0 {
		t.Fatalf("got %+v, %v", l, err)
	}
	expect(t, "game", []string{"games"}, holders(t, l.Set, "game1.example"))
	if err := again.Refresh(t.Context(), nil); err != nil || last() != nil {
		t.Errorf("what was loaded was published once more (%v)", err)
	}

	more, _ := updater(t, dir, games, chat)
	if l, err = more.Load(); err != nil || l.Starter {
		t.Fatalf("got %+v, %v", l, err)
	}
	if n := len(l.Lacks); n == 0 || l.Lacks[n-1] != "chat" {
		t.Errorf("lacks %v", l.Lacks)
	}

	put(t, folder(dir).set(), "damaged")
	if l, err = more.Load(); err != nil || !l.Starter || !errors.Is(l.Err, blocklist.ErrFormat) {
		t.Fatalf("got %+v, %v", l, err)
	}
}

func TestStatus(t *testing.T) {
	s := newSite(t)
	s.set("games", names("game", 10)+"co.uk\n", 0)
	games := s.list("games", "gaming")
	games.Source = strings.Replace(games.Source, "http://", "http://user:secret@", 1) + "?key=secret"
	u, _ := updater(t, t.TempDir(), games, s.list("never", "no-starter"))
	u.SetLists(u.plan().Lists, config.Update{Starter: true, Catalogue: true})
	var log bytes.Buffer
	u.Log = slog.New(slog.NewTextHandler(&log, nil))
	if err := u.Refresh(t.Context(), nil); err == nil {
		t.Fatal("no error")
	}
	got := u.Status()
	g, n := got[0], got[1]
	if g.State != Fresh || g.Rules != 10 || g.Problems != 1 || g.Source != s.URL+"/games" || g.Checked.IsZero() || g.Next.Before(g.Checked) {
		t.Errorf("got %+v", g)
	}
	if n.State != Never || n.Rules != 0 || !strings.Contains(n.Error, "404") || !n.Checked.IsZero() || n.Age != 0 {
		t.Errorf("got %+v", n)
	}
	for _, b := range got[2:] {
		if b.State != Starter || b.Name != starter.Name(b.Category) || b.Rules == 0 {
			t.Errorf("got %+v", b)
		}
	}
	later := u.now().Add(defaultEvery*2 + 1)
	u.Now = nil
	u2, _ := updater(t, u.dir, games)
	u2.Now = func() time.Time { return later }
	if s := u2.Status()[0]; s.State != Stale || s.Age <= 2*defaultEvery {
		t.Errorf("two days later: %+v", s)
	}
	if text := fmt.Sprint(got) + log.String(); strings.Contains(text, "secret") {
		t.Errorf("credentials in %s", text)
	}
}

func TestRefreshOfLocalSources(t *testing.T) {
	path := filepath.Join(t.TempDir(), "own.txt")
	u, last := updater(t, t.TempDir(), config.List{Name: "own", Category: "gaming", Source: path})
	for _, step := range []struct {
		name   string
		change func()
		wrong  bool
		held   string
	}{
		{"not there yet", func() {}, true, ""},
		{"still not", func() {}, true, ""},
		{"there", func() { put(t, path, "own.example\n") }, false, "own.example"},
		{"unchanged", func() {}, false, "own.example"},
		{"damaged", func() { put(t, path, "<html></html>\n") }, true, "own.example"},
		{"still damaged", func() {}, true, "own.example"},
		{"gone", func() { os.Remove(path) }, true, "own.example"},
		{"mended", func() { put(t, path, "other.example\n") }, false, "other.example"},
	} {
		step.change()
		err := u.Refresh(t.Context(), nil)
		if (err != nil) != step.wrong || (u.Status()[0].Error != "") != step.wrong {
			t.Errorf("%s: got %v, status %+v", step.name, err, u.Status()[0])
		}
		if err != nil && strings.Count(err.Error(), `list "own"`) > 1 {
			t.Errorf("%s: told twice: %v", step.name, err)
		}
		if step.held != "" {
			expect(t, step.name, []string{"own"}, holders(t, last(), step.held))
		}
	}
}

func TestFilesBelongToTheService(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only the administrator makes files for others")
	}
	s := newSite(t)
	s.set("games", names("game", 10), 0)
	store := t.TempDir()
	const service = 12345
	if err := os.Chown(store, service, service); err != nil {
		t.Skip("this file system keeps no owners: ", err)
	}
	dir := filepath.Join(store, "lists")
	u, _ := updater(t, dir, s.list("games", "gaming"))
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	s.set("games", names("game", 11), 0)
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := u.Revert(t.Context(), "games", "", nil); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "games.raw", "games.old", "games.meta", "decisions", "current.set", "lock"} {
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := st.Sys().(*syscall.Stat_t).Uid; got != service {
			t.Errorf("%q belongs to %d", name, got)
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	s := newSite(t)
	s.set("games", names("game", 10), 0)
	dir := t.TempDir()
	u, _ := updater(t, dir, s.list("games", "gaming"))
	other, _ := updater(t, dir, s.list("games", "gaming")) // as the command line beside the service
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 3 {
				u.Status()
				u.Compiled()
				u.Kick()
			}
		})
		wg.Go(func() {
			s.set("games", names(fmt.Sprint("game", i, "-"), 10), 0)
			if err := []*Updater{u, other}[i%2].Refresh(t.Context(), nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if m := folder(dir).readMeta("games"); m.Failures != 0 {
		t.Errorf("state %+v", m)
	}
}

func TestRefreshTellsProgress(t *testing.T) {
	s := newSite(t)
	s.set("games", names("game", 1000), 0)
	u, _ := updater(t, t.TempDir(), s.list("games", "gaming"), s.list("none", "hate"))
	finished := map[string]bool{}
	var bytes int64
	err := u.Refresh(t.Context(), func(p Progress) {
		if p.Finished && !p.Compiling {
			finished[p.List] = p.Err == nil
		}
		if p.List == "games" {
			bytes = p.Done
		}
	})
	if err == nil {
		t.Error("no error")
	}
	expect(t, "finished", map[string]bool{"games": true, "none": false}, finished)
	expect(t, "bytes", int64(len(names("game", 1000))), bytes)
}
