package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"schoolgate/monitor"
	"schoolgate/monitor/change"
	"schoolgate/monitor/store"
)

// reload makes the box read its configuration again and waits until it has: word is in what it then says.
func (b *box) reload(word string) {
	b.t.Helper()
	before := strings.Count(b.stderr.String(), word)
	b.signal(syscall.SIGHUP)
	b.until("the box says "+word, func() bool { return strings.Count(b.stderr.String(), word) > before })
}

const (
	taken      = "configuration in force"
	notTaken   = "the configuration is refused, the old one stays in force"
	reloadGood = "schoolgate_config_last_reload_successful"
)

// changes gives the recorded changes of one kind.
func (b *box) changes(kind string) (found []monitor.Change) {
	b.t.Helper()
	b.read(func(r *store.Reader) error {
		e := &evidence{Reader: r, loc: time.UTC, now: time.Now()}
		var err error
		if e.book, err = change.New(b.record()).Read(); err != nil {
			return err
		}
		all, err := e.Changes(b.t.Context(), time.Time{}, time.Time{})
		found = slices.DeleteFunc(all, func(c monitor.Change) bool { return c.Kind != kind })
		return err
	})
	return found
}

// TestReload changes what is filtered while the box runs: at once, in full, and with what was changed in the record.
func TestReload(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := school{upstream: serveDNS(t, answerAnything), children: `youtube = "strict"`}
	b := startBox(t, s.write(t, dir))
	verdicts := func(allowed, refused string) {
		t.Helper()
		if got := verdictOf(b.ask("127.30.0.1", allowed, dns.TypeA)); got != "allowed" {
			t.Errorf("%s is %s", allowed, got)
		}
		if got := verdictOf(b.ask("127.30.0.1", refused, dns.TypeA)); got != "blocked" {
			t.Errorf("%s is %s", refused, got)
		}
	}
	verdicts("meadow.example", "roblox.com")

	s.policy = "allow = [\"roblox.com\"]\nblock = [\"meadow.example\"]" // one of them is in the cache as allowed
	s.children = `youtube = "moderate"`
	s.write(t, dir)
	b.reload(taken)
	verdicts("roblox.com", "meadow.example")
	verdicts("www.roblox.com", "www.meadow.example")

	var changed []monitor.Change
	b.until("the change is in the record", func() bool { changed = b.changes("config"); return len(changed) > 0 })
	if len(changed) != 1 {
		t.Fatalf("%d changes of the configuration in the record", len(changed))
	}
	now := time.Now()
	b.schoolgate("report", "--from", "yesterday", "--to", "today", "--out", filepath.Join(dir, "out"))
	pages, _ := filepath.Glob(filepath.Join(dir, "out", "*.html"))
	if len(pages) != 1 {
		t.Fatalf("the report is %v", pages)
	}
	page := readFile(t, pages[0])
	for _, want := range []string{"roblox.com", "meadow.example", "youtube is now moderate (was strict)"} {
		if !strings.Contains(changed[0].Detail, want) {
			t.Errorf("the change does not say %q: %s", want, changed[0].Detail)
		}
		if !strings.Contains(page, want) {
			t.Errorf("the report does not say %q", want)
		}
	}
	if d := now.Sub(changed[0].At); d < 0 || d > time.Minute {
		t.Errorf("the change is told to be of %v", changed[0].At)
	}
	s.write(t, dir)
	b.reload(taken)
	b.stop() // after which whatever was to be recorded is
	if n := len(b.changes("config")); n != 1 {
		t.Errorf("a reload that changes nothing is recorded: %d changes", n)
	}
}

// TestReloadRefused reads a configuration with mistakes: nothing changes, and everybody who should know does.
func TestReloadRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := school{upstream: serveDNS(t, answerAnything)}
	b := startBox(t, s.write(t, dir))
	gauge := func(want int) {
		t.Helper()
		if got := scrape(t, b)(reloadGood); got != want {
			t.Errorf("%s is %d, wants %d", reloadGood, got, want)
		}
	}
	refused := func() bool { _, ok := b.conditions()["config.refused"]; return ok }
	gauge(1)
	if refused() {
		t.Error("config.refused before anything was refused")
	}

	good := s
	s.policy = `allow = ["roblox.com"]`
	s.children = `blok = ["gaming"]`
	s.write(t, dir)
	b.reload(notTaken)
	for name, want := range map[string]string{"roblox.com": "blocked", "meadow.example": "allowed"} {
		if got := verdictOf(b.ask("127.30.0.1", name, dns.TypeA)); got != want {
			t.Errorf("%s is %s after a configuration was refused", name, got)
		}
	}
	gauge(0)
	if !refused() {
		t.Error("/healthz does not say config.refused")
	}
	if text, status := b.page("/readyz"); status != 200 {
		t.Errorf("/readyz is %d: %s", status, text)
	}
	for _, want := range []string{"groups[0].blok", "schoolgate.toml"} {
		if !strings.Contains(b.stderr.String(), want) {
			t.Errorf("the log does not say %q", want)
		}
	}
	if n := len(b.changes("config")); n != 0 {
		t.Errorf("a refused configuration is recorded as %d changes", n)
	}
	if kept := readFile(t, filepath.Join(b.record(), "last-good.toml")); strings.Contains(kept, "roblox.com") {
		t.Error("the copy of the last good configuration has what was refused")
	}

	for _, mend := range []struct{ what, text string }{
		{"half a file", good.toml(dir)[:200]}, {"no text", "\x00\xff\xfe"}, {"a name of no group", strings.Replace(good.toml(dir), `default_group = "children"`, `default_group = "kids"`, 1)},
	} {
		writeConfig(t, dir, mend.text)
		b.reload(notTaken)
		if got := verdictOf(b.ask("127.30.0.1", "roblox.com", dns.TypeA)); got != "blocked" {
			t.Errorf("%s: roblox.com is %s", mend.what, got)
		}
	}
	if err := os.Remove(b.config); err != nil {
		t.Fatal(err)
	}
	b.reload(notTaken)
	s.children = ""
	s.write(t, dir)
	b.reload(taken)
	gauge(1)
	if refused() {
		t.Error("config.refused although the mended configuration is in force")
	}
	if got := verdictOf(b.ask("127.30.0.1", "roblox.com", dns.TypeA)); got != "allowed" {
		t.Errorf("roblox.com is %s under the mended configuration", got)
	}
}

// TestReloadNeedsRestart changes an address, which only a restart can: it is told, and everything else is put to use.
func TestReloadNeedsRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := school{upstream: serveDNS(t, answerAnything)}
	b := startBox(t, s.write(t, dir))
	s.dns, s.policy = "127.0.0.1:5355", `allow = ["roblox.com"]`
	s.write(t, dir)
	b.reload(taken)
	if got := verdictOf(b.ask("127.30.0.1", "roblox.com", dns.TypeA)); got != "allowed" {
		t.Errorf("roblox.com is %s: the rest of the configuration was not taken", got)
	}
	if title := b.conditions()["config.restart"]; !strings.Contains(title, "dns.listen") {
		t.Errorf("/healthz says of the restart: %q", title)
	}
	if !strings.Contains(b.stderr.String(), "needs_restart=dns.listen") {
		t.Error("the log does not say that a restart is needed")
	}
	s.dns = ""
	s.write(t, dir)
	b.reload(taken)
	if title, still := b.conditions()["config.restart"]; still {
		t.Errorf("/healthz says of the restart, when it is needed no more: %q", title)
	}
}

// TestReloadUnderLoad reloads again and again, with another upstream each time, while devices ask: each query gets its
// answer, and after each reload the new verdict.
func TestReloadUnderLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	upstreams := [2]string{serveDNS(t, answerAnything), serveDNS(t, answerAnything)}
	b := startBox(t, school{upstream: upstreams[0]}.write(t, dir))
	tr := startTraffic(t, b, 8, 2*time.Millisecond)
	for i := range 20 {
		s := school{upstream: upstreams[i%2]}
		want := "blocked"
		if i%2 == 1 {
			s.policy, want = `allow = ["toca.example", "minecraft.net"]`, "allowed"
		}
		s.write(t, dir)
		b.reload(taken)
		if got := verdictOf(b.ask("127.30.0.99", "minecraft.net", dns.TypeA)); got != want {
			t.Fatalf("reload %d: minecraft.net is %s, wants %s", i, got, want)
		}
		n := tr.count()
		b.until("the devices ask on", func() bool { return tr.count() > n+50 })
	}
	answered := tr.stop()
	for _, err := range tr.failed {
		t.Error(err)
	}
	for rcode, n := range tr.rcodes {
		if rcode != dns.RcodeSuccess && rcode != dns.RcodeNameError {
			t.Errorf("%d answers are %s", n, dns.RcodeToString[rcode])
		}
	}
	b.stop()
	if n := len(b.rows()); n != len(answered)+20 {
		t.Errorf("%d rows for %d answers", n, len(answered)+20)
	}
}

// TestReloadKeepsWaiting takes an upstream away while it still owes answers: they are waited for.
func TestReloadKeepsWaiting(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	asked, answer := make(chan struct{}, 100), make(chan struct{})
	slow := serveDNS(t, func(w dns.ResponseWriter, req *dns.Msg) {
		asked <- struct{}{}
		<-answer
		answerAnything(w, req)
	})
	fast := serveDNS(t, answerAnything)
	b := startBox(t, patient(t, dir, school{upstream: slow}))
	var wg sync.WaitGroup
	got := make([]string, 5)
	for i := range got {
		wg.Go(func() { got[i] = verdictOf(b.ask("127.30.0.1", fmt.Sprintf("slow%d.example", i), dns.TypeA)) })
	}
	for range got {
		<-asked
	}
	patient(t, dir, school{upstream: fast})
	b.reload(taken)
	if v := verdictOf(b.ask("127.30.0.1", "fast.example", dns.TypeA)); v != "allowed" {
		t.Errorf("by the new upstream: %s", v)
	}
	close(answer)
	wg.Wait()
	for i, v := range got {
		if v != "allowed" {
			t.Errorf("query %d, which waited for the old upstream, got %s", i, v)
		}
	}
}

// patient writes a configuration whose upstream may take long.
func patient(t *testing.T, dir string, s school) string {
	t.Helper()
	return writeConfig(t, dir, strings.Replace(s.toml(dir), `timeout = "1s"`, `timeout = "9s"`, 1))
}
