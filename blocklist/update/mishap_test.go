package update

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"schoolgate/blocklist/domain"
	"schoolgate/config"
)

// twoVersions is an updater of one list that had two versions, and its folder.
func twoVersions(t *testing.T) (*site, *Updater, folder) {
	t.Helper()
	s := newSite(t)
	dir := t.TempDir()
	u, _ := updater(t, dir, s.list("games", "gaming"))
	for _, prefix := range []string{"one", "two"} {
		s.set("games", names(prefix, 10), 0)
		if err := u.Refresh(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	return s, u, folder(dir)
}

// TestHeldMeanwhile: a list that a person holds while another process waits to look at it stays held.
func TestHeldMeanwhile(t *testing.T) {
	t.Parallel() // the time goes into waiting for the disk
	_, u, f := twoVersions(t)
	service, last := updater(t, string(f), u.plan().Lists...)
	reverted := false
	_, err := service.round(t.Context(), func(_ config.List, m meta, _ time.Time) bool {
		if reverted {
			return m.Held == nil
		}
		reverted = true
		if err := u.Revert(t.Context(), "games", "", nil); err != nil {
			t.Error(err)
		}
		return true
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "state", Held, u.Status()[0].State)
	expect(t, "published", []string{"games"}, holders(t, last(), "one1.example"))
}

// TestRevertCutShort: wherever a power cut ends a revert, the same command finishes it after the restart.
func TestRevertCutShort(t *testing.T) {
	t.Parallel() // the time goes into waiting for the disk
	for name, cut := range map[string]func(folder, meta) error{
		"before the state was written": func(f folder, before meta) error { return f.writeMeta("games", before) },
		"between two files": func(f folder, before meta) error {
			return errors.Join(os.Remove(f.old("games")), f.writeMeta("games", before))
		},
	} {
		for _, looked := range []bool{false, true} { // whether the source is looked at before the command comes again
			s, u, f := twoVersions(t)
			before := f.readMeta("games")
			if err := u.Revert(t.Context(), "games", "", nil); err != nil {
				t.Fatal(err)
			}
			if err := cut(f, before); err != nil {
				t.Fatal(err)
			}
			u, last := updater(t, string(f), u.plan().Lists...)
			if looked {
				s.set("games", names("two", 10), 0)
				if err := u.Refresh(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
			}
			if err := u.Revert(t.Context(), "games", "", nil); err != nil {
				t.Errorf("%s, looked at meanwhile %v: %v", name, looked, err)
				continue
			}
			expect(t, name, []string{"games"}, holders(t, last(), "one1.example"))
			expect(t, name, hexSum(names("one", 10)), u.Status()[0].SHA256)
		}
	}
}

// TestAcceptCutShort: a power cut after a new version was put in place, and before that was written down, loses neither it
// nor the version before.
func TestAcceptCutShort(t *testing.T) {
	t.Parallel() // the time goes into waiting for the disk
	for name, next := range map[string]string{"another version came": names("three", 10), "no other version came": names("two", 10)} {
		s, u, f := twoVersions(t)
		m := f.readMeta("games")
		candidate := m.current()
		m.use(*m.Before)
		m.Before, m.Candidate = nil, &candidate
		if err := f.writeMeta("games", m); err != nil {
			t.Fatal(err)
		}
		s.set("games", next, 0)
		u, last := updater(t, string(f), u.plan().Lists...)
		if err := u.Refresh(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		expect(t, name, hexSum(next), u.Status()[0].SHA256)
		if err := u.Revert(t.Context(), "games", "", nil); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		expect(t, name, []string{"games"}, holders(t, last(), "one1.example"))
	}
}

// TestBreakOff: a version that a compilation breaks off at holds back no other list.
func TestBreakOff(t *testing.T) {
	t.Parallel() // the time goes into waiting for the disk
	s := newSite(t)
	for _, name := range []string{"bad", "games", "chat"} {
		s.set(name, names(name, 10), 0)
	}
	u, last := updater(t, t.TempDir(), s.list("bad", "gaming"), s.list("games", "gaming"), s.list("chat", "social-media"))
	killed := errors.New("killed")
	u.CompileCmd = func(ctx context.Context, p Plan) error {
		if folder(p.Dir).readMeta("bad").Candidate != nil {
			return killed
		}
		_, err := Compile(ctx, p, time.Now())
		return err
	}
	if err := u.Refresh(t.Context(), nil); !errors.Is(err, killed) {
		t.Fatalf("got %v", err)
	}
	u.forgive() // as when its time has come
	none := func(config.List, meta, time.Time) bool { return false }
	if errs, err := u.round(t.Context(), none, nil); err != nil || len(errs) > 0 {
		t.Fatalf("got %v, %v", errs, err)
	}
	expect(t, "games", []string{"games"}, holders(t, last(), "games1.example"))
	expect(t, "chat", []string{"chat"}, holders(t, last(), "chat1.example"))
	expect(t, "fetched", map[string]int{"bad": 1, "games": 1, "chat": 1}, s.full)
	if st := u.Status()[0]; st.State != Never || st.Error != errDropped.Error() {
		t.Errorf("status %+v", st)
	}
}

// TestUnreadableCopy: a last good copy that the disk does not give back is fetched again, and stops no other list.
func TestUnreadableCopy(t *testing.T) {
	t.Parallel() // the time goes into waiting for the disk
	s, u, f := twoVersions(t)
	s.set("chat", names("chat", 10), 0)
	u, last := updater(t, string(f), append(u.plan().Lists, s.list("chat", "social-media"))...)
	// A link to itself cannot be read, not even by root.
	if err := errors.Join(os.Remove(f.raw("games")), os.Symlink(f.raw("games"), f.raw("games"))); err != nil {
		t.Fatal(err)
	}
	if err := u.Refresh(t.Context(), nil, "chat"); err != nil {
		t.Errorf("the other list: %v", err)
	}
	expect(t, "chat", []string{"chat"}, holders(t, last(), "chat1.example"))
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	expect(t, "games", []string{"games"}, holders(t, last(), "two1.example"))
}

// TestClockAhead: what was confirmed while the clock was years ahead is not fresh for years.
func TestClockAhead(t *testing.T) {
	t.Parallel() // the time goes into waiting for the disk
	s := newSite(t)
	s.set("games", names("game", 10), 0)
	u, _ := updater(t, t.TempDir(), s.list("games", "gaming"))
	now := time.Now()
	u.Now = func() time.Time { return now.AddDate(10, 0, 0) }
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	u.Now = func() time.Time { return now }
	s.set("games", "", 503)
	if err := u.Refresh(t.Context(), nil); err == nil {
		t.Fatal("no error")
	}
	expect(t, "state", Stale, u.Status()[0].State)
	s.set("games", names("game", 10), 0)
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	expect(t, "state", Fresh, u.Status()[0].State)
}

// TestRunUnnoted: makers of lists are not asked every second because a full disk takes no note that they were.
func TestRunUnnoted(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(folder(dir).meta("games"), "full"), 0o755); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		l := startLoop(t, dir, ok(goodList), gamesList)
		advance(time.Hour)
		l.stop()
		if n := len(l.asked); n < 10 || n > 62 {
			t.Errorf("asked %d times in an hour", n)
		}
	})
}

// TestOtherLimits: a version that waits is judged anew when the limits that it waits by change.
func TestOtherLimits(t *testing.T) {
	t.Parallel() // the time goes into waiting for the disk
	for name, change := range map[string]func(*config.List){
		"max_conflicts": func(l *config.List) { l.MaxConflicts = 3 },
		"accept":        func(l *config.List) { l.Accept = []domain.Name{"learn.example"} },
	} {
		s, u, last := guarded(t, "gaming")
		s.set("games", names("game", 12)+manyConflicts, 0)
		if err := u.Refresh(t.Context(), nil); err == nil {
			t.Fatal("no error")
		}
		l := u.plan().Lists[0]
		change(&l)
		u.SetLists([]config.List{l}, config.Update{})
		if err := u.Refresh(t.Context(), nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		expect(t, name, []string{"games"}, last("game11.example"))
		if diff := cmp.Diff(Fresh, u.Status()[0].State); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestDecisionBehindTornLine: what a power cut left of one decision does not take the next with it.
func TestDecisionBehindTornLine(t *testing.T) {
	t.Parallel() // the time goes into waiting for the disk
	_, u, f := twoVersions(t)
	put(t, f.decisions(), `{"at":"2026-11-22T08:`)
	if err := u.Revert(t.Context(), "games", "", nil); err != nil {
		t.Fatal(err)
	}
	var told []string
	u.Decided = func(d Decision) error { told = append(told, d.List); return nil }
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	u.forgive()
	if _, err := u.round(t.Context(), func(config.List, meta, time.Time) bool { return false }, nil); err != nil {
		t.Fatal(err)
	}
	expect(t, "told", []string{"games"}, told)
}
