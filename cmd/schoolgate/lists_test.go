package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"schoolgate/blocklist/domain"
	"schoolgate/blocklist/update"
	"schoolgate/config"
)

// TestRelay: what the compiling child says of its progress comes whole, however it is cut, and nothing else does.
func TestRelay(t *testing.T) {
	text := "1 10\n5 10\nnot a number\n\n10 10\n11"
	for cut := 1; cut <= len(text); cut++ {
		var got []string
		r := &relay{progress: func(p update.Progress) { got = append(got, fmt.Sprint(p.Done, "/", p.Total, p.Compiling)) }}
		for chunk := range slices.Chunk([]byte(text), cut) {
			if n, err := r.Write(chunk); n != len(chunk) || err != nil {
				t.Fatalf("got %d, %v", n, err)
			}
		}
		if diff := cmp.Diff([]string{"1/10 true", "5/10 true", "10/10 true"}, got); diff != "" {
			t.Fatalf("in pieces of %d:\n%s", cut, diff)
		}
	}
}

// TestProgressElsewhere: where there is no terminal, a line tells of each list, and none of how far it is.
func TestProgressElsewhere(t *testing.T) {
	var out strings.Builder
	tell := progressLine(&call{stderr: &out})
	for _, p := range []update.Progress{
		{List: "games", Done: 10, Total: 100},
		{List: "games", Done: 2048, Total: 2048, Finished: true},
		{List: "own", Finished: true},
		{Compiling: true, Done: 1, Total: 2},
		{Compiling: true, Finished: true},
		{List: "far", Finished: true, Err: update.ErrTimeout},
	} {
		tell(p)
	}
	want := "games: 2 KB\nown: checked\nfar: " + update.ErrTimeout.Error() + "\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

// TestListConditions plays a list from fresh to conflicts, waiting and held, and compares what health says.
func TestListConditions(t *testing.T) {
	t.Parallel()
	www := t.TempDir()
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(www, "games.txt"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg := config.Default()
	cfg.Store.Path = t.TempDir()
	cfg.Lists = []config.List{{Name: "games", Category: config.Gaming, Source: serveFolder(t, www) + "/games.txt", MaxConflicts: 1}}
	a := &appliance{}
	a.cfg.Store(cfg)
	a.updater = updaterOf(cfg)
	a.updater.CompileCmd = nil // in this process
	a.updater.Essential, a.updater.Popular = []domain.Name{"learn.example", "sums.example", "maps.example"}, nil
	codes := func() (out []string) {
		for _, c := range a.listConditions(time.Now()) {
			out = append(out, c.Code)
			if strings.Contains(c.Title+c.Hint, ".example") {
				t.Errorf("a condition names a site: %q %q", c.Title, c.Hint)
			}
		}
		return out
	}
	step := func(what string, do func(context.Context) error, wrong bool, want ...string) {
		t.Helper()
		if err := do(t.Context()); (err != nil) != wrong {
			t.Fatalf("%s: %v", what, err)
		}
		if diff := cmp.Diff(want, codes()); diff != "" {
			t.Errorf("%s:\n%s", what, diff)
		}
	}
	refresh := func(ctx context.Context) error { return a.updater.Refresh(ctx, nil) }
	put("game.example\n")
	step("first version", refresh, false)
	put("game.example\nlearn.example\n")
	step("one conflict", refresh, false, "lists.conflicts")
	put("game.example\nlearn.example\nsums.example\nmaps.example\n")
	step("two more", refresh, true, "lists.waiting", "lists.conflicts")
	step("refused", func(ctx context.Context) error { return a.updater.Refuse(ctx, "games") }, false, "lists.conflicts")
	step("reverted", func(ctx context.Context) error { return a.updater.Revert(ctx, "games", "", nil) }, false, "lists.held")
	put("other.example\n")
	step("resumed", func(ctx context.Context) error { return a.updater.Resume(ctx, "games", nil) }, false)
}
