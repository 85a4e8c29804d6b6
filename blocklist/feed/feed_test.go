package feed

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"schoolgate/blocklist/domain"
	"schoolgate/blocklist/sealed"
	"schoolgate/blocklist/update"
	"schoolgate/config"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is a server of feeds over TLS.
type site struct {
	*httptest.Server
	mu    sync.Mutex
	text  string
	etag  string
	seen  []http.Header
	serve http.HandlerFunc // in place of the feed; nil for the feed
}

func newSite(t *testing.T, text string) *site {
	s := &site{text: text}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.seen = append(s.seen, r.Header.Clone())
		if s.serve != nil {
			s.serve(w, r)
			return
		}
		if s.etag != "" {
			w.Header().Set("ETag", s.etag)
			if r.Header.Get("If-None-Match") == s.etag {
				w.WriteHeader(http.StatusNotModified)
				return
			}
		}
		fmt.Fprint(w, s.text)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *site) set(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = text
}

// last is the header of the last request.
func (s *site) last() http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen[len(s.seen)-1]
}

func (s *site) list(name string) config.List {
	return config.List{Name: name, Category: config.IllegalTier, Source: s.URL + "/feed?secret=1"}
}

// clock is a time that a test moves.
var start = time.Date(2026, time.September, 16, 9, 0, 0, 0, time.UTC)

type bench struct {
	*Keeper
	t   *testing.T
	now time.Time
}

func newBench(t *testing.T, dir string, s *site, lists ...config.List) *bench {
	b := &bench{Keeper: New(dir, lists, config.Update{}), t: t, now: start}
	if s != nil {
		b.Transport = s.Client().Transport
	}
	b.Now = func() time.Time { return b.now }
	if _, err := b.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) refresh(want error) {
	b.t.Helper()
	if err := b.Refresh(b.t.Context(), false, nil); !errors.Is(err, want) || want == nil && err != nil {
		b.t.Fatalf("refreshing: %v, want %v", err, want)
	}
}

// holds says whether the set in force refuses a name for everyone.
func (b *bench) holds(name string) bool {
	b.t.Helper()
	var w domain.Wire
	if err := w.SetName(domain.Name(name)); err != nil {
		b.t.Fatal(err)
	}
	return b.inForce().Lookup(&w).Sites != 0
}

func (b *bench) wantHeld(names ...string) {
	b.t.Helper()
	for _, n := range names {
		if !b.holds(n) {
			b.t.Errorf("%s is not held", n)
		}
	}
}

func (b *bench) states() (out []string) {
	for _, s := range b.Status() {
		out = append(out, s.Name+" "+s.State.String())
	}
	return out
}

func (b *bench) wantStates(want ...string) {
	b.t.Helper()
	if diff := cmp.Diff(want, b.states()); diff != "" {
		b.t.Error(diff)
	}
}

// many is a feed of so many sites.
func many(prefix string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "https://%s%d.example/\n", prefix, i)
	}
	return b.String()
}

// wantNothingReadable looks for a word in everything below a folder.
func wantNothingReadable(t *testing.T, dir, word string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), word) {
			t.Errorf("%s holds %q", path, word)
		}
		if info, _ := d.Info(); info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNothingIsMadeWithoutALicence(t *testing.T) {
	dir := t.TempDir()
	b := newBench(t, dir, nil, config.List{Name: "games", Category: config.Gaming, Source: "games.txt"})
	b.refresh(nil)
	if b.inForce() != nil || b.Canary() != "" || len(b.Status()) != 0 {
		t.Errorf("a set of nothing: %v", b.Status())
	}
	if made, err := os.ReadDir(dir); err != nil || len(made) > 0 {
		t.Errorf("made %v, %v", made, err)
	}
}

func TestFetchAndSeal(t *testing.T) {
	s := newSite(t, "listed-one.example\nhttps://listed-images.example/secret-page\n")
	s.etag = `"v1"`
	dir := t.TempDir()
	b := newBench(t, dir, s, s.list("feed"))
	b.wantStates("feed never")
	b.refresh(nil)
	b.wantHeld("listed-one.example", "www.listed-one.example", b.Canary())
	b.wantStates("feed enforced")
	got := b.Status()[0]
	if got.Domains != 1 || got.URLs != 1 || !got.Fetched.Equal(start) || strings.Contains(got.Source, "secret") {
		t.Errorf("%+v", got)
	}
	wantNothingReadable(t, dir, "listed-")
	wantNothingReadable(t, dir, "secret")

	b.now = start.Add(12 * time.Hour)
	b.refresh(nil)
	if s.last().Get("If-None-Match") != `"v1"` {
		t.Error("asked without a condition")
	}
	if got := b.Status()[0]; !got.Fetched.Equal(start) || !got.Checked.Equal(b.now) {
		t.Errorf("not modified: %+v", got)
	}
	b.now = b.now.Add(49 * time.Hour)
	b.wantStates("feed stale")

	again := newBench(t, dir, s, s.list("feed"))
	again.wantHeld("listed-one.example")
	if again.Canary() != b.Canary() {
		t.Error("another canary after a restart")
	}
}

func TestAuthorization(t *testing.T) {
	s := newSite(t, "listed-one.example\n")
	secret := filepath.Join(t.TempDir(), "auth")
	other := newSite(t, "listed-two.example\n")
	for text, want := range map[string]string{"token-1\n": "Bearer token-1", "user:pass-1": "Basic dXNlcjpwYXNzLTE="} {
		if err := os.WriteFile(secret, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		l := s.list("feed")
		l.AuthFile = secret
		dir := t.TempDir()
		b := newBench(t, dir, s, l)
		b.refresh(nil)
		if got := s.last().Get("Authorization"); got != want {
			t.Errorf("%q was sent as %q", text, got)
		}
		// A redirect to another host, here another port, does not carry it.
		s.serve = func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL+"/", http.StatusFound) }
		b.refresh(nil)
		if got := other.last().Get("Authorization"); got != "" {
			t.Errorf("another host was sent %q", got)
		}
		s.serve = nil
		wantNothingReadable(t, dir, "oken")
		wantNothingReadable(t, dir, "pass-1")
	}
	if err := os.Chmod(secret, 0o644); err != nil {
		t.Fatal(err)
	}
	l := s.list("feed")
	l.AuthFile = secret
	b := newBench(t, t.TempDir(), s, l)
	if err := b.Refresh(t.Context(), false, nil); err == nil || strings.Contains(err.Error(), "pass-1") {
		t.Errorf("a secret that everybody can read: %v", err)
	}
}

func TestPlainHTTPIsRefused(t *testing.T) {
	b := newBench(t, t.TempDir(), nil, config.List{Name: "feed", Category: config.IllegalTier, Source: "http://192.0.2.1/feed"})
	b.refresh(ErrPlain)
	if private("http://127.0.0.1:8080/x") != true || private("http://localhost/") != true || private("HTTPS://192.0.2.1/") != true || private("http://feed.example") {
		t.Error("private takes one for the other")
	}
}

func TestStrangeVersions(t *testing.T) {
	for what, tt := range map[string]struct {
		old, fresh string
		want       func(error) bool
	}{
		"shrunk":    {many("a", 100), many("a", 40), func(err error) bool { _, ok := errors.AsType[*ShrinkError](err); return ok }},
		"surged":    {many("a", 10) + strings.ReplaceAll(many("p", 500), "/\n", "/x\n"), many("a", 10) + many("p", 500), func(err error) bool { _, ok := errors.AsType[*SurgeError](err); return ok }},
		"unrelated": {many("a", 100), many("b", 100), func(err error) bool { return errors.Is(err, ErrStranger) }},
		"a page":    {many("a", 100), "<!DOCTYPE html><html><body>log in</body></html>", func(err error) bool { return err != nil }},
		"empty":     {many("a", 100), "", func(err error) bool { return err != nil }},
	} {
		t.Run(what, func(t *testing.T) {
			s := newSite(t, tt.old)
			b := newBench(t, t.TempDir(), s, s.list("feed"))
			b.refresh(nil)
			s.set(tt.fresh)
			if err := b.Refresh(t.Context(), false, nil); !tt.want(err) {
				t.Fatalf("%v", err)
			}
			b.wantHeld("a0.example", "a9.example")
			if got := b.Status()[0]; got.Failures != 1 || got.Error == "" {
				t.Errorf("%+v", got)
			}
			err := b.Refresh(t.Context(), true, nil)
			if sealable := strings.Contains(tt.fresh, "example"); sealable != (err == nil) {
				t.Errorf("accepted by a person: %v", err)
			}
		})
	}
}

// TestLocalFile: a licensee's own file is read when it changes, and believed no more than a server.
func TestLocalFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "feed.txt")
	write := func(text string, at time.Time) {
		t.Helper()
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	write(many("a", 100), start)
	l := config.List{Name: "feed", Category: config.IllegalTier, Source: path}
	b := newBench(t, t.TempDir(), nil, l)
	b.refresh(nil)
	if !due(l, b.dir.readState()["feed"], start).After(start) {
		t.Error("due again at once")
	}
	write(many("a", 101), start.Add(time.Minute))
	if due(l, b.dir.readState()["feed"], start).After(start) {
		t.Error("a changed file is not due")
	}
	b.refresh(nil)
	b.wantHeld("a100.example")
	if got := b.Status()[0]; got.Added != 1 || got.Removed != 0 {
		t.Errorf("%+v", got)
	}
	write("one.example\n", start.Add(2*time.Minute))
	if err := b.Refresh(t.Context(), false, nil); err == nil {
		t.Error("a file that lost all is believed")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := b.Refresh(t.Context(), false, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	b.wantHeld("a100.example")
}

// TestNothingEnds: whatever becomes of the list in the configuration, what was enforced is.
func TestNothingEnds(t *testing.T) {
	s := newSite(t, many("a", 30))
	for what, lists := range map[string][]config.List{
		"removed":           nil,
		"renamed":           {s.list("other")},
		"category changed":  {{Name: "feed", Category: config.Gaming, Source: s.list("").Source}},
		"both":              {{Name: "other", Category: config.Gaming, Source: s.list("").Source}},
		"pointed elsewhere": {{Name: "feed", Category: config.IllegalTier, Source: "/nowhere"}},
		"another by name":   {{Name: "feed", Category: config.Gaming, Source: "/nowhere"}},
	} {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restart %v", what, restart), func(t *testing.T) {
				dir := t.TempDir()
				b := newBench(t, dir, s, s.list("feed"))
				b.refresh(nil)
				if restart {
					b = newBench(t, dir, s, lists...)
				} else {
					b.SetLists(lists, config.Update{})
				}
				_ = b.Refresh(t.Context(), false, nil)
				b.wantHeld("a0.example", b.Canary())
				switch _, others := Split(dir, lists); what {
				case "removed":
					b.wantStates("feed retired")
				case "renamed":
					b.wantStates("other enforced")
				case "category changed", "both":
					b.wantStates(lists[0].Name + " retired")
					if len(others) > 0 {
						t.Error("its source is kept in readable form again")
					}
				case "pointed elsewhere":
					b.wantStates("feed stale")
				case "another by name":
					b.wantStates("feed retired")
				}
				wantNothingReadable(t, dir, "a0.example")
			})
		}
	}
}

// TestReplaced: a list of another name and the same source takes the place of the first; of another source it does not.
func TestForget(t *testing.T) {
	s := newSite(t, many("a", 30))
	dir := t.TempDir()
	b := newBench(t, dir, s, s.list("feed"))
	b.refresh(nil)
	if err := b.Forget(t.Context(), "feed"); !errors.Is(err, errConfigured) {
		t.Errorf("a configured list: %v", err)
	}
	b.SetLists(nil, config.Update{})
	if err := newBench(t, dir, s).Forget(t.Context(), "feed"); err != nil { // as another process would
		t.Fatal(err)
	}
	b.refresh(nil)
	if b.holds("a0.example") || len(b.Status()) > 0 {
		t.Errorf("still held: %v", b.states())
	}
	b.SetLists([]config.List{s.list("feed")}, config.Update{})
	b.refresh(nil)
	b.wantHeld("a0.example")
	if err := b.Forget(t.Context(), "other"); !errors.Is(err, update.ErrUnknown) {
		t.Errorf("an unknown list: %v", err)
	}
}

// TestForgottenWhileConfigured: a list that the service is told to enforce is, whatever another process writes beside it.
func TestForgottenWhileConfigured(t *testing.T) {
	s := newSite(t, many("a", 30))
	dir := t.TempDir()
	b := newBench(t, dir, s, s.list("feed"))
	b.refresh(nil)
	if err := newBench(t, dir, s).Forget(t.Context(), "feed"); err != nil { // with a configuration of somebody's own
		t.Fatal(err)
	}
	s.Close()
	_ = b.Refresh(t.Context(), false, nil)
	b.wantHeld("a0.example")
}

// TestMoved: another source takes the place of the first when it has all that the first had, or when a person with the
// lead's key says so.
func TestMoved(t *testing.T) {
	first, other := newSite(t, many("a", 30)), newSite(t, strings.Replace(many("a", 30), "a0.example", "b0.example", 1))
	dir := t.TempDir()
	b := newBench(t, dir, first, first.list("feed"))
	b.refresh(nil)
	b.Transport = other.Client().Transport
	b.SetLists([]config.List{other.list("feed")}, config.Update{})
	for range 2 {
		err := b.Refresh(t.Context(), false, nil)
		if moved, ok := errors.AsType[*MovedError](err); !ok || moved.Lacks != 1 {
			t.Errorf("a source that lacks one: %v", err)
		}
		b.wantHeld("a0.example")
	}
	b.wantStates("feed stale")
	other.set(many("a", 30) + "b0.example\n")
	b.refresh(nil)
	b.wantHeld("a0.example", "b0.example")
	b.wantStates("feed enforced")
	other.set(strings.Replace(many("a", 30), "a0.example", "b0.example", 1)) // which is the source now
	b.refresh(nil)
	if b.holds("a0.example") {
		t.Error("what the source no longer lists is still held")
	}

	b.Transport = first.Client().Transport
	b.SetLists([]config.List{first.list("feed")}, config.Update{})
	if err := b.Refresh(t.Context(), true, nil); err != nil {
		t.Errorf("accepted by a person: %v", err)
	}
	b.wantHeld("a0.example")
}

// TestOldFile: a file that nobody replaces is out of date, however often it is looked at.
func TestOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "feed.txt")
	if err := errors.Join(os.WriteFile(path, []byte(many("a", 9)), 0o600), os.Chtimes(path, start, start)); err != nil {
		t.Fatal(err)
	}
	b := newBench(t, t.TempDir(), nil, config.List{Name: "feed", Category: config.IllegalTier, Source: path})
	b.refresh(nil)
	b.wantStates("feed enforced")
	b.now = start.AddDate(0, 0, 3)
	b.refresh(nil)
	b.wantStates("feed stale")
	b.wantHeld("a0.example")
	if err := os.Chtimes(path, b.now, b.now); err != nil {
		t.Fatal(err)
	}
	b.refresh(nil)
	b.wantStates("feed enforced")
}

// TestLockedAway: a folder that cannot be looked into is no box without a licence.
func TestLockedAway(t *testing.T) {
	s := newSite(t, many("a", 30))
	dir := t.TempDir()
	newBench(t, dir, s, s.list("feed")).refresh(nil)
	path := filepath.Join(dir, "illegal")
	if err := errors.Join(os.Rename(path, path+".away"), os.WriteFile(path, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	k := New(dir, nil, config.Update{})
	if _, err := k.Load(t.Context()); err == nil || k.Trouble() == nil {
		t.Errorf("loading: %v, %v", err, k.Trouble())
	}
	if err := k.Refresh(t.Context(), false, nil); err == nil || k.Trouble() == nil {
		t.Errorf("refreshing: %v, %v", err, k.Trouble())
	}
	if err := errors.Join(os.Remove(path), os.Rename(path+".away", path), os.Remove(filepath.Join(dir, "keys", "illegal.key"))); err != nil {
		t.Fatal(err)
	}
	if err := k.Refresh(t.Context(), false, nil); err == nil || k.Trouble() == nil {
		t.Errorf("a list that left the configuration, without its key: %v, %v", err, k.Trouble())
	}
}

// TestLosses: what is damaged or gone on disk stays in force, is written again, and told of.
func TestLosses(t *testing.T) {
	flip := func(path string) error {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		b[len(b)/2] ^= 1
		return os.WriteFile(path, b, 0o600)
	}
	for what, harm := range map[string]func(dir string) error{
		"file removed":     func(dir string) error { return os.Remove(filepath.Join(dir, "illegal", "feed.sealed")) },
		"file damaged":     func(dir string) error { return flip(filepath.Join(dir, "illegal", "feed.sealed")) },
		"folder removed":   func(dir string) error { return os.RemoveAll(filepath.Join(dir, "illegal")) },
		"key removed":      func(dir string) error { return os.Remove(KeyPath(dir)) },
		"key damaged":      func(dir string) error { return os.WriteFile(KeyPath(dir), []byte("x"), 0o600) },
		"key replaced":     func(dir string) error { os.Remove(KeyPath(dir)); return sealed.NewKey().WriteFile(KeyPath(dir)) },
		"all keys removed": func(dir string) error { return os.RemoveAll(filepath.Dir(KeyPath(dir))) },
	} {
		t.Run(what, func(t *testing.T) {
			s := newSite(t, many("a", 30))
			dir := t.TempDir()
			b := newBench(t, dir, s, s.list("feed"))
			b.refresh(nil)
			s.set("") // the server cannot help
			if err := harm(dir); err != nil {
				t.Fatal(err)
			}
			b.now = start.Add(time.Hour)
			_ = b.Refresh(t.Context(), false, nil)
			b.wantHeld("a0.example", b.Canary())
			if got := b.Status()[0]; !got.Lost.Equal(b.now) {
				t.Errorf("nobody is told: %+v", got)
			}
			again := newBench(t, dir, s, s.list("feed"))
			again.wantHeld("a0.example")
		})
	}
}

// TestLossesWhileStopped: the version before serves for a damaged one; without the key nothing does, all is fetched again,
// and it is told of.
func TestLossesWhileStopped(t *testing.T) {
	s := newSite(t, many("a", 30))
	dir := t.TempDir()
	b := newBench(t, dir, s, s.list("feed"))
	b.refresh(nil)
	s.set(many("a", 31))
	b.refresh(nil)
	if err := os.WriteFile(filepath.Join(dir, "illegal", "feed.sealed"), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	b = newBench(t, dir, s, s.list("feed"))
	b.wantHeld("a29.example")
	if b.holds("a30.example") || b.Status()[0].Lost.IsZero() {
		t.Errorf("not the version before: %+v", b.Status()[0])
	}
	if st := b.dir.readState()["feed"]; due(s.list("feed"), st, b.now).After(b.now) {
		t.Error("it is not asked for again at once")
	}
	b.refresh(nil)
	b.wantHeld("a30.example")

	if err := os.Remove(KeyPath(dir)); err != nil {
		t.Fatal(err)
	}
	lone := New(dir, []config.List{s.list("feed")}, config.Update{})
	if _, err := lone.Load(t.Context()); !errors.Is(err, os.ErrNotExist) || lone.Trouble() == nil {
		t.Errorf("without the key: %v", err)
	}
	b.Keeper, lone.Transport = lone, b.Transport
	b.wantStates("feed never")
	b.refresh(nil)
	b.wantHeld("a30.example")
	b.wantStates("feed enforced")
	if b.Status()[0].Lost.IsZero() || b.Trouble() != nil {
		t.Errorf("nobody is told of the lost key, or for ever: %+v, %v", b.Status()[0], b.Trouble())
	}
}

func TestRun(t *testing.T) {
	s := newSite(t, many("a", 30))
	k := New(t.TempDir(), []config.List{s.list("feed")}, config.Update{})
	k.Transport = s.Client().Transport
	got := make(chan *sealed.Set, 8)
	k.Publish = func(s *sealed.Set) { got <- s }
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- k.Run(ctx) }()
	if set := <-got; len(set.Lists()) != 1 {
		t.Errorf("published %v", set)
	}
	s.set(many("a", 31))
	other := New(k.store, []config.List{s.list("feed")}, config.Update{}) // another process fetches
	other.Transport = k.Transport
	if err := other.Refresh(ctx, false, nil); err != nil {
		t.Fatal(err)
	}
	k.Kick()
	if set := <-got; set.Lists()[0].Domains != 31 {
		t.Errorf("published %+v", set.Lists()[0].Counts)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestProved(t *testing.T) {
	s := newSite(t, many("a", 30))
	b := newBench(t, t.TempDir(), s, s.list("feed"))
	b.refresh(nil)
	if err := b.Proved(t.Context(), start); err != nil {
		t.Fatal(err)
	}
	if got := b.Status()[0].Proven; !got.Equal(start) {
		t.Errorf("proven %v", got)
	}
	s.set(many("a", 31))
	b.refresh(nil)
	if got := b.Status()[0].Proven; !got.Equal(start) {
		t.Errorf("forgotten with a new version: %v", got)
	}
}
