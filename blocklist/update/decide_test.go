package update

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"schoolgate/blocklist/domain"
	"schoolgate/config"
)

// TestRevert: one command goes back to the version before and stays there, through restarts and rounds, until a person
// wants otherwise.
func TestRevert(t *testing.T) {
	t.Parallel() // the time goes into waiting for the disk
	for how, forward := range map[string]func(context.Context, *Updater) error{
		"resume": func(ctx context.Context, u *Updater) error { return u.Resume(ctx, "games", nil) },
		"update": func(ctx context.Context, u *Updater) error { return u.Refresh(ctx, nil, "games") },
	} {
		for where, source := range map[string]func(*testing.T, *site) (config.List, func(string)){
			"server": func(t *testing.T, s *site) (config.List, func(string)) {
				return s.list("games", "gaming"), func(body string) { s.set("games", body, 0) }
			},
			"file": func(t *testing.T, s *site) (config.List, func(string)) {
				path := filepath.Join(t.TempDir(), "games.txt")
				return config.List{Name: "games", Category: "gaming", Source: path}, func(body string) { put(t, path, body) }
			},
		} {
			t.Run(where+"/"+how, func(t *testing.T) {
				t.Parallel()
				s := newSite(t)
				s.set("chat", names("chat", 10), 0)
				l, set := source(t, s)
				lists := []config.List{l, s.list("chat", "social-media")}
				dir := t.TempDir()
				u, last := updater(t, dir, lists...)
				u.By = "head"
				if err := u.Revert(t.Context(), "games", "", nil); !errors.Is(err, ErrNoVersion) {
					t.Errorf("before any version: %v", err)
				}
				for _, prefix := range []string{"one", "two", "three"} {
					set(names(prefix, 10))
					if err := u.Refresh(t.Context(), nil); err != nil {
						t.Fatal(err)
					}
				}
				if err := u.Resume(t.Context(), "games", nil); !errors.Is(err, ErrNotHeld) {
					t.Errorf("resume without revert: %v", err)
				}
				if err := u.Revert(t.Context(), "games", "", nil); err != nil {
					t.Fatal(err)
				}
				held := func(when string, u *Updater) {
					t.Helper()
					set := last()
					expect(t, when, []string{"games"}, holders(t, set, "two1.example"))
					expect(t, when, []string{}, holders(t, set, "three1.example"))
					expect(t, when+", the other list", []string{"chat"}, holders(t, set, "chat1.example"))
					st := u.Status()[0]
					if st.State != Held || st.HeldBy != "head" || st.Rules != 10 || st.SHA256 != hexSum(names("two", 10)) || st.Before == nil || st.Before.SHA256 != hexSum(names("three", 10)) {
						t.Errorf("%s: status %+v", when, st)
					}
				}
				held("reverted", u)

				// Neither a look at all lists, nor a newer version, nor a restart, nor the command run beside changes that.
				set(names("four", 10))
				if err := u.Refresh(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
				held("after a round", u)
				u, last = updater(t, dir, lists...)
				loaded, err := u.Load()
				if err != nil || len(loaded.Lacks) > len(loaded.Set.Lists()) {
					t.Fatalf("got %+v, %v", loaded, err)
				}
				if err := u.Refresh(t.Context(), nil, "chat"); err != nil {
					t.Fatal(err)
				}
				if got := last(); got != nil {
					t.Errorf("compiled again: %v", got.Lists())
				}
				expect(t, "after a restart", []string{"games"}, holders(t, loaded.Set, "two1.example"))

				if err := forward(t.Context(), u); err != nil {
					t.Fatal(err)
				}
				expect(t, "forward", []string{"games"}, holders(t, last(), "four1.example"))
				if st := u.Status()[0]; st.State != Fresh || st.Before.SHA256 != hexSum(names("two", 10)) {
					t.Errorf("status %+v", st)
				}
			})
		}
	}
}

func TestRevertTo(t *testing.T) {
	t.Parallel() // the time goes into waiting for the disk
	s := newSite(t)
	u, last := updater(t, t.TempDir(), s.list("games", "gaming"))
	one, two := names("one", 10), names("two", 10)
	for _, body := range []string{one, two} {
		s.set("games", body, 0)
		if err := u.Refresh(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := u.Revert(t.Context(), "games", "0123456789", nil); !errors.Is(err, ErrNoVersion) {
		t.Errorf("unknown version: %v", err)
	}
	if err := u.Revert(t.Context(), "none", "", nil); !errors.Is(err, ErrUnknown) {
		t.Errorf("unknown list: %v", err)
	}
	for _, step := range []struct{ to, held string }{
		{hexSum(two)[:8], "two1.example"}, // the one in use, held as it is
		{strings.ToUpper(hexSum(one)[:8]), "one1.example"},
		{hexSum(two), "two1.example"},
		{"", "one1.example"},
	} {
		if err := u.Revert(t.Context(), "games", step.to, nil); err != nil {
			t.Fatalf("%+v: %v", step, err)
		}
		expect(t, step.to, []string{"games"}, holders(t, last(), step.held))
		expect(t, "state", Held, u.Status()[0].State)
	}
}

// TestRevertDamaged: a version before that is not what it was is not gone back to.
func TestRevertDamaged(t *testing.T) {
	t.Parallel() // the time goes into waiting for the disk
	s := newSite(t)
	dir := t.TempDir()
	u, last := updater(t, dir, s.list("games", "gaming"))
	for _, prefix := range []string{"one", "two"} {
		s.set("games", names(prefix, 10), 0)
		if err := u.Refresh(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	put(t, folder(dir).old("games"), strings.ToUpper(names("one", 10)))
	if err := u.Revert(t.Context(), "games", "", nil); !errors.Is(err, ErrNoVersion) {
		t.Errorf("got %v", err)
	}
	expect(t, "in use", []string{"games"}, holders(t, last(), "two1.example"))
	os.Remove(folder(dir).old("games"))
	if err := u.Revert(t.Context(), "games", "", nil); !errors.Is(err, ErrNoVersion) || u.Status()[0].Before != nil {
		t.Errorf("got %v", err)
	}
}

// guarded is an updater whose list holds one name that schools need, and then a version that holds more.
func guarded(t *testing.T, category string) (s *site, u *Updater, last func(string) []string) {
	t.Helper()
	s = newSite(t)
	l := s.list("games", category)
	l.MaxConflicts = 2
	u, set := updater(t, t.TempDir(), l)
	u.Essential = []domain.Name{"learn.example", "help.example", "sums.example"}
	u.Popular = []domain.Name{"news.example", "shop.example", "learn.example"}
	s.set("games", names("game", 10)+"help.example\nnews.example\n", 0)
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return s, u, func(name string) []string { return holders(t, set(), name) }
}

const manyConflicts = "help.example\nnews.example\nlearn.example\nsums.example\nshop.example\n"

// TestConflicts: what an update newly blocks is told; above the limit it waits, and the version before filters on.
func TestConflicts(t *testing.T) {
	t.Parallel() // the time goes into waiting for the disk
	s, u, last := guarded(t, "gaming")
	st := u.Status()[0]
	want := []Conflict{{"help.example", true, true}, {"news.example", false, false}} // popular ones of a first version are meant
	if diff := cmp.Diff(want, st.Conflicts.Names); diff != "" || st.Conflicts.New != 1 || st.State != Fresh {
		t.Errorf("first version: %+v\n%s", st, diff)
	}

	// Two more are within the limit. An entry for all below it alone, or an exception, is none.
	s.set("games", names("game", 10)+"help.example\nnews.example\nlearn.example\n||shop.example^\n||*.sums.example^\n", 0)
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	st = u.Status()[0]
	want = []Conflict{{"learn.example", true, true}, {"shop.example", false, true}, {"help.example", true, false}, {"news.example", false, false}}
	if diff := cmp.Diff(want, st.Conflicts.Names); diff != "" || st.Conflicts.New != 2 || st.Conflicts.Since.IsZero() {
		t.Errorf("second version: %+v\n%s", st.Conflicts, diff)
	}
	s.set("games", names("game", 12)+manyConflicts+"@@||learn.example^\n", 0)
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if c := u.Status()[0].Conflicts; c.New != 1 || c.Essential != 2 || c.Popular != 2 {
		t.Errorf("third version: %+v", c)
	}
	expect(t, "excepted", []string{}, last("learn.example"))
}

func TestWaiting(t *testing.T) {
	t.Parallel() // the time goes into waiting for the disk
	for _, category := range []string{"gaming", config.IllegalTier} {
		t.Run(category, func(t *testing.T) {
			s, u, last := guarded(t, category)
			s.set("games", names("game", 12)+manyConflicts, 0)
			waits := func(when string) {
				t.Helper()
				err := u.Refresh(t.Context(), nil)
				if w, is := errors.AsType[*WaitingError](err); !is || w.New != 3 || w.Limit != 2 {
					t.Errorf("%s: got %v", when, err)
				}
				expect(t, when, []string{}, last("game11.example"))
				expect(t, when, []string{"games"}, last("game9.example"))
				st := u.Status()[0]
				if st.State != Waiting || st.Waiting == nil || st.Waiting.Rules != 17 || st.Waiting.Conflicts.New != 3 || st.Failures != 0 || st.Error != "" {
					t.Errorf("%s: status %+v", when, st)
				}
				if told := len(st.Waiting.Conflicts.Names); told != map[bool]int{true: 0, false: 5}[category == config.IllegalTier] {
					t.Errorf("%s: %d names told", when, told)
				}
			}
			waits("first")
			sent := s.full["games"]
			waits("again")
			expect(t, "sent again", sent, s.full["games"])

			// Another process, or the service after a restart, knows as much.
			other, _ := updater(t, u.dir, u.plan().Lists...)
			expect(t, "elsewhere", Waiting, other.Status()[0].State)

			if err := u.Accept(t.Context(), "games", nil); err != nil {
				t.Fatal(err)
			}
			expect(t, "accepted", []string{"games"}, last("game11.example"))
			if st := u.Status()[0]; st.State != Fresh || st.Waiting != nil || st.Conflicts.New != 3 {
				t.Errorf("accepted: %+v", st)
			}
			if err := u.Accept(t.Context(), "games", nil); !errors.Is(err, ErrNoWaiting) {
				t.Errorf("twice: %v", err)
			}
			if err := u.Refresh(t.Context(), nil); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// TestRefuse: the version that a person refused does not come again; another does.
func TestRefuse(t *testing.T) {
	t.Parallel() // the time goes into waiting for the disk
	s, u, last := guarded(t, "gaming")
	if err := u.Refuse(t.Context(), "games"); !errors.Is(err, ErrNoWaiting) {
		t.Errorf("nothing waits: %v", err)
	}
	s.set("games", names("game", 12)+manyConflicts, 0)
	if err := u.Refresh(t.Context(), nil); err == nil {
		t.Fatal("no error")
	}
	if err := u.Refuse(t.Context(), "games"); err != nil {
		t.Fatal(err)
	}
	sent := s.full["games"]
	for range 2 {
		if err := u.Refresh(t.Context(), nil); !errors.Is(err, ErrDeclined) {
			t.Errorf("got %v", err)
		}
	}
	expect(t, "sent again", sent, s.full["games"])
	expect(t, "last good", []string{}, last("game11.example"))
	if st := u.Status()[0]; st.State != Fresh || st.Waiting != nil {
		t.Errorf("status %+v", st)
	}
	s.set("games", names("game", 12), 0)
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	expect(t, "the next", []string{"games"}, last("game11.example"))
}

// TestWaitingIsOvertaken: the source mends itself while a version waits.
func TestWaitingIsOvertaken(t *testing.T) {
	t.Parallel() // the time goes into waiting for the disk
	for name, mended := range map[string]string{
		"by a better version": names("game", 13), "by the last good one": names("game", 10) + "help.example\nnews.example\n",
	} {
		t.Run(name, func(t *testing.T) {
			s, u, _ := guarded(t, "gaming")
			s.set("games", names("game", 12)+manyConflicts, 0)
			if err := u.Refresh(t.Context(), nil); err == nil {
				t.Fatal("no error")
			}
			s.set("games", mended, 0)
			if err := u.Refresh(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			if st := u.Status()[0]; st.State != Fresh || st.Waiting != nil || st.SHA256 != hexSum(mended) {
				t.Errorf("status %+v", st)
			}
			if _, err := os.Stat(folder(u.dir).wait("games")); err == nil {
				t.Error("its file is left")
			}
		})
	}
}

// TestAcceptedConflicts: what the configuration accepts is no conflict, and what is pinned or local does not wait.
func TestAcceptedConflicts(t *testing.T) {
	t.Parallel() // the time goes into waiting for the disk
	body := names("game", 12) + manyConflicts
	for name, change := range map[string]func(*config.List){
		"accept":        func(l *config.List) { l.Accept = []domain.Name{"example"} },
		"max_conflicts": func(l *config.List) { l.MaxConflicts = 3 },
		"sha256":        func(l *config.List) { l.SHA256 = hexSum(body) },
		"file":          func(l *config.List) { l.Source = put(t, filepath.Join(t.TempDir(), "own.txt"), body) },
	} {
		s, u, last := guarded(t, "gaming")
		s.set("games", body, 0)
		l := u.plan().Lists[0]
		change(&l)
		u.SetLists([]config.List{l}, config.Update{})
		if err := u.Refresh(t.Context(), nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		expect(t, name, []string{"games"}, last("game11.example"))
	}
}

// TestGuardedNamesChange: with another version of the program come other names, and what the lists block of them is
// counted anew, without calling it new.
func TestGuardedNamesChange(t *testing.T) {
	t.Parallel() // the time goes into waiting for the disk
	_, u, _ := guarded(t, "gaming")
	u.Essential = []domain.Name{"game1.example", "game2.example", "game3.example"}
	u.forgive()
	put(t, folder(u.dir).set(), "damaged") // so that it compiles
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if c := u.Status()[0].Conflicts; c.Essential != 3 || c.New != 0 || len(c.Names) != 4 {
		t.Errorf("got %+v", c)
	}
}

// TestDecisionsAreTold: the process that records gets what any process decided, once, and again if it could not record.
func TestDecisionsAreTold(t *testing.T) {
	t.Parallel() // the time goes into waiting for the disk
	s, beside, _ := guarded(t, "gaming")
	beside.By = "head"
	s.set("games", names("game", 12)+manyConflicts, 0)
	if err := beside.Refresh(t.Context(), nil); err == nil {
		t.Fatal("no error")
	}
	if err := beside.Refuse(t.Context(), "games"); err != nil {
		t.Fatal(err)
	}
	s.set("games", names("game", 11), 0)
	if err := beside.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := beside.Revert(t.Context(), "games", "", nil); err != nil {
		t.Fatal(err)
	}
	if err := beside.Resume(t.Context(), "games", nil); err != nil {
		t.Fatal(err)
	}
	service, _ := updater(t, beside.dir, beside.plan().Lists...)
	var told []string
	full := errors.New("disk full")
	service.Decided = func(d Decision) error {
		told = append(told, d.By+" "+d.List+": "+d.What)
		return full
	}
	refresh := func() {
		t.Helper()
		if err := service.Refresh(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	refresh()
	expect(t, "told", 3, len(told))
	full, told = nil, nil
	refresh()
	refresh()
	for i, want := range []string{"was refused (17 entries, 3 new conflicts)", "held at the version that came on ", "no longer held"} {
		if i >= len(told) || !strings.HasPrefix(told[i], "head games: ") || !strings.Contains(told[i], want) {
			t.Errorf("told %q, want %q", told, want)
		}
	}
	expect(t, "told", 3, len(told))
}

func TestDiff(t *testing.T) {
	t.Parallel() // the time goes into waiting for the disk
	s, u, _ := guarded(t, "gaming")
	if _, err := u.Diff(t.Context(), "games", 10); !errors.Is(err, ErrNoVersion) {
		t.Errorf("one version: %v", err)
	}
	s.set("games", names("game", 9)+"help.example\n||news.example^\n@@|game1.example^\n||*.game2.example^\n|new.example^\n", 0)
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	got, err := u.Diff(t.Context(), "games", 10)
	if err != nil {
		t.Fatal(err)
	}
	want := Difference{
		List: "games", From: got.From, To: got.To, Added: 3, Removed: 1, RemovedEntries: []string{"game9.example"},
		AddedEntries: []string{"game1.example (alone) (exception)", "game2.example (below it)", "new.example (alone)"},
	}
	if diff := cmp.Diff(want, got); diff != "" || got.From.Rules != 12 || got.To.Rules != 14 {
		t.Errorf("got %+v\n%s", got, diff)
	}
	if few, err := u.Diff(t.Context(), "games", 1); err != nil || few.Added != 3 || len(few.AddedEntries) != 1 {
		t.Errorf("got %+v, %v", few, err)
	}
	s.set("games", names("game", 9)+manyConflicts+"@@|game1.example^\n", 0)
	if err := u.Refresh(t.Context(), nil); err == nil {
		t.Fatal("no error")
	}
	got, err = u.Diff(t.Context(), "games", 10)
	if err != nil || !got.Waiting || got.Added != 3 || got.Removed != 2 {
		t.Errorf("waiting: %+v, %v", got, err)
	}
}

// TestDiffWithheld: of the illegal tier nothing but numbers is told, of entries that make no rule nothing but the line.
func TestDiffWithheld(t *testing.T) {
	t.Parallel() // the time goes into waiting for the disk
	s, u, _ := guarded(t, config.IllegalTier)
	s.set("games", names("game", 9)+"192.0.2.1\nco.uk\n", 0)
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	d, err := u.Diff(t.Context(), "games", 10)
	if err != nil || !d.Withheld || d.Added != 0 || d.Removed != 3 || d.AddedEntries != nil || d.RemovedEntries != nil {
		t.Errorf("got %+v, %v", d, err)
	}
	rep, err := u.Refused("games", 10)
	if err != nil || len(rep.Problems) != 2 || rep.Problems[0].Text != "" || rep.Problems[0].Line != 10 {
		t.Errorf("got %+v, %v", rep, err)
	}
}
