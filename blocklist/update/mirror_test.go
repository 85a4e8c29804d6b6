package update

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"schoolgate/blocklist/parse"
	"schoolgate/config"
)

// TestMirrors: what the source does not give, the first mirror that has it gives; and status says which.
func TestMirrors(t *testing.T) {
	t.Parallel() // the time goes into waiting for the disk
	good := names("game", 10)
	for _, tc := range []struct {
		name, body string
		code       int
	}{
		{"not there", "", 404},
		{"out of order", "", 503},
		{"a log-in page", "<html><title>Log in</title></html>", 0},
		{"a pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", 0},
		{"JSON", `{"message": "rate limit"}`, 0},
		{"nothing", " ", 0},
		{"too large", strings.Repeat("x", 3000), 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.set("games", tc.body, tc.code)
			s.set("first", "", 500)
			s.set("second", good, 0)
			s.set("third", good, 0)
			l := s.list("games", "gaming")
			l.MaxSize = 2048
			l.Mirrors = []string{
				strings.Replace(s.URL, "http://", "http://user:secret@", 1) + "/first", s.URL + "/second?key=secret", s.URL + "/third",
			}
			u, last := updater(t, t.TempDir(), l)
			if err := u.Refresh(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			expect(t, "game", []string{"games"}, holders(t, last(), "game1.example"))
			expect(t, "asked", map[string]int{"games": 1, "first": 1, "second": 1}, s.asked)
			st := u.Status()[0]
			expect(t, "served", s.URL+"/second", st.Served)
			expect(t, "error", "", st.Error)

			// The ETag is the mirror's own word: only it is asked whether that has changed.
			if err := u.Refresh(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			expect(t, "sent by the mirror", 1, s.full["second"])

			// The source comes back: from then on it serves.
			s.set("games", names("game", 11), 0)
			if err := u.Refresh(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			expect(t, "served", "", u.Status()[0].Served)
			expect(t, "mirror asked no more", 2, s.asked["second"])
		})
	}
}

// TestMirrorsAllFail: each is named with what it gave, without credentials, and the last good copy stays.
func TestMirrorsAllFail(t *testing.T) {
	t.Parallel() // the time goes into waiting for the disk
	s := newSite(t)
	s.set("games", names("game", 10), 0)
	l := s.list("games", "gaming")
	l.Mirrors = []string{strings.Replace(s.URL, "http://", "http://user:secret@", 1) + "/mirror?key=secret"}
	u, last := updater(t, t.TempDir(), l)
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	s.set("games", "", 500)
	err := u.Refresh(t.Context(), nil)
	if err == nil || !strings.Contains(err.Error(), "status 500") || !strings.Contains(err.Error(), "status 404") || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
	expect(t, "last good", []string{"games"}, holders(t, last(), "game1.example"))
	if m := folder(u.dir).readMeta("games"); m.Refused {
		t.Error("a server that fails is no reason to wait for six hours")
	}
}

// TestMirrorAfterRefusedContent: what proves bad only once it is read sends the next look, soon, to the mirror.
func TestMirrorAfterRefusedContent(t *testing.T) {
	t.Parallel() // the time goes into waiting for the disk
	s := newSite(t)
	good := names("game", 10)
	s.set("games", gzipped("<html>blocked by your provider</html>"), 0)
	s.set("mirror", good, 0)
	l := s.list("games", "gaming")
	l.Mirrors = []string{s.URL + "/mirror"}
	u, last := updater(t, t.TempDir(), l)
	if err := u.Refresh(t.Context(), nil); err == nil {
		t.Fatal("no error")
	}
	m := folder(u.dir).readMeta("games")
	if next := due(l, m, m.Attempted).Sub(m.Attempted); next > time.Minute {
		t.Errorf("looked at again in %v only", next)
	}
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	expect(t, "game", []string{"games"}, holders(t, last(), "game1.example"))
	expect(t, "asked", map[string]int{"games": 1, "mirror": 1}, s.asked)
	if m := folder(u.dir).readMeta("games"); len(m.Bad) != 0 {
		t.Errorf("state %+v", m)
	}
	// Now both are bad: then six hours will do.
	for _, name := range []string{"games", "mirror"} {
		s.set(name, gzipped("<html>blocked by your provider</html>"), 0)
	}
	for range 2 {
		u.Refresh(t.Context(), nil)
	}
	if m := folder(u.dir).readMeta("games"); !m.Refused || m.Failures != 2 {
		t.Errorf("state %+v", m)
	}
}

// TestRefusedWhileFetching: what is no list by its first bytes is not fetched to its end.
func TestRefusedWhileFetching(t *testing.T) {
	t.Parallel() // the time goes into waiting for the disk
	for head, want := range map[string]error{
		"<html>": parse.ErrHTML, "version https://git-lfs.github.com/spec/v1\n": parse.ErrLFSPointer, "a\x00.\x00": parse.ErrBinary,
		"PK\x03\x04": parse.ErrCompression, `{"error": 1}`: parse.ErrNotAList,
	} {
		sent := 0
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, head)
			for range 1000 {
				n, err := io.WriteString(w, strings.Repeat("padding.example\n", 1000))
				if sent += n; err != nil {
					return
				}
			}
		})
		_, err := testFetcher(time.Minute).fetch(t.Context(), request{source: s.URL, limit: 1 << 30}, io.Discard)
		s.Close() // waits for the handler
		if !errors.Is(err, want) || content(err) == errors.Is(want, parse.ErrHTML) || sent > 12<<20 {
			t.Errorf("%q: got %v after %d bytes", head, err, sent)
		}
	}
}

func TestResized(t *testing.T) {
	t.Parallel() // the time goes into waiting for the disk
	for _, tc := range []struct {
		name     string
		l        config.List
		old, new int
		bad      string
	}{
		{"the same", config.List{}, 1000, 1000, ""},
		{"half", config.List{}, 1000, 500, ""},
		{"less than half", config.List{}, 1000, 499, "only 499 rules"},
		{"a tenth allowed", config.List{MaxShrink: 10}, 1000, 899, "max_shrink 10"},
		{"all but one allowed", config.List{MaxShrink: 100}, 1_000_000, 1, ""},
		{"short lists grow as they like", config.List{}, 3, 1003, ""},
		{"three times", config.List{}, 1000, 3000, ""},
		{"more", config.List{}, 1000, 3001, "has 3001 rules"},
		{"a tenth more allowed", config.List{MaxGrowth: 10}, 100_000, 110_001, "max_growth 10"},
		{"a thousand times allowed", config.List{MaxGrowth: 100_000}, 100, 100_100, ""},
		{"numbers that overflow 32 bits", config.List{}, 30_000_000, 89_000_000, ""},
	} {
		err := resized(tc.l, tc.old, tc.new)
		if tc.bad == "" && err != nil || tc.bad != "" && (err == nil || !strings.Contains(err.Error(), tc.bad)) {
			t.Errorf("%s: got %v", tc.name, err)
		}
	}
}

// TestGrowthKeepsLastGood: a version that is another list altogether is refused until the limit is raised.
func TestGrowthKeepsLastGood(t *testing.T) {
	t.Parallel() // the time goes into waiting for the disk
	s := newSite(t)
	s.set("games", names("game", 10), 0)
	l := s.list("games", "gaming")
	u, last := updater(t, t.TempDir(), l)
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	s.set("games", names("other", 2000), 0)
	if err := u.Refresh(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "has 2000 rules, the last good one only 10") {
		t.Errorf("got %v", err)
	}
	expect(t, "last good", []string{"games"}, holders(t, last(), "game1.example"))
	l.MaxGrowth = 100_000
	u.SetLists([]config.List{l}, config.Update{})
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	expect(t, "other", []string{"games"}, holders(t, last(), "other1999.example"))
}

// TestMaxAge: a list is stale by its own limit.
func TestMaxAge(t *testing.T) {
	t.Parallel() // the time goes into waiting for the disk
	s := newSite(t)
	s.set("games", names("game", 10), 0)
	s.set("chat", names("chat", 10), 0)
	strict, usual := s.list("games", "gaming"), s.list("chat", "social-media")
	strict.MaxAge = config.Duration(time.Hour)
	u, _ := updater(t, t.TempDir(), strict, usual)
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	later := u.now().Add(2 * time.Hour)
	u.Now = func() time.Time { return later }
	st := u.Status()
	if st[0].State != Stale || st[0].MaxAge != time.Hour || st[1].State != Fresh || st[1].MaxAge != 2*defaultEvery {
		t.Errorf("got %+v", st)
	}
}
