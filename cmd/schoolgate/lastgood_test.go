package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// TestLastGood starts with a configuration that is refused: the last one that was taken serves, and health says so.
func TestLastGood(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	kept := filepath.Join(dir, "kept.toml")
	s := school{upstream: serveDNS(t, answerAnything), policy: `block = ["meadow.example"]`}
	startBox(t, s.write(t, dir), "--last-good", kept).stop()
	before := readFile(t, kept)

	bad := s
	bad.policy = "block = [\"\"]\nallow = [\"roblox.com\"]"
	path := bad.write(t, dir)
	b := startBox(t, path, "--last-good", kept)
	for name, want := range map[string]string{"meadow.example": "blocked", "roblox.com": "blocked", "river.example": "allowed"} {
		if got := verdictOf(b.ask("127.30.0.1", name, dns.TypeA)); got != want {
			t.Errorf("%s is %s under the last good configuration", name, got)
		}
	}
	if _, ok := b.conditions()["config.refused"]; !ok {
		t.Error("/healthz does not say config.refused")
	}
	if scrape(t, b)(reloadGood) != 0 {
		t.Error("metrics say that the configuration was taken")
	}
	if !strings.Contains(b.stderr.String(), "starting from the last good one") {
		t.Error("the log does not say so")
	}
	b.stop()
	if after := readFile(t, kept); after != before {
		t.Errorf("the copy has changed from\n%s\nto\n%s", before, after)
	}

	// Mended while it was stopped: that, too, is a change of filtering that the record must tell of.
	s.policy = `block = ["brook.example"]`
	b = startBox(t, s.write(t, dir), "--last-good", kept)
	if got := verdictOf(b.ask("127.30.0.1", "brook.example", dns.TypeA)); got != "blocked" {
		t.Errorf("brook.example is %s", got)
	}
	b.stop()
	found := b.changes("config")
	if len(found) != 1 || !strings.Contains(found[0].Summary, "while Schoolgate was stopped") ||
		!strings.Contains(found[0].Detail, "brook.example") || !strings.Contains(found[0].Detail, "meadow.example") {
		t.Errorf("the changes in the record: %+v", found)
	}

	// Without a copy there is nothing to start from.
	bad.write(t, dir)
	_, stderr, code := invoke(t, dir, "run", "--config", path, "--last-good", filepath.Join(dir, "none.toml"))
	if code != exitUsage || !strings.Contains(stderr, "policy.block") || !strings.Contains(stderr, "hint: ") {
		t.Errorf("a refused configuration and no copy: exit %d, %s", code, stderr)
	}
}
