package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"schoolgate/config"
)

func TestPrintable(t *testing.T) {
	const hostile = "valid for \x1b[2J\x1b]0;owned\a\nlist forged fresh, ünïcode"
	if got := printable(hostile); strings.ContainsAny(got, "\x1b\a") || !strings.Contains(got, "ünïcode") {
		t.Errorf("printable gives %q", got)
	}
	if got := cell(hostile + strings.Repeat(" long", 100)); strings.Contains(got, "\n") || len([]rune(got)) > 120 {
		t.Errorf("cell gives %q", got)
	}
}

// TestReadingOnTheLastGood: a slip in the configuration does not keep a person from the record.
func TestReadingOnTheLastGood(t *testing.T) {
	dir := t.TempDir()
	path := school{}.write(t, dir)
	cfg, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	broken := strings.Replace(readFile(t, path), "[policy]", "[policy]\nstop_everything = true", 1)
	writeConfig(t, dir, broken)
	var stderr bytes.Buffer
	c := &call{stderr: &stderr}
	if _, err := loadConfig(c, path); err == nil {
		t.Fatal("a refused configuration is taken though no good one is known")
	}
	if err := os.MkdirAll(cfg.Store.Path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(filepath.Join(cfg.Store.Path, "last-good.toml"), cfg.Encode()); err != nil {
		t.Fatal(err)
	}
	got, err := loadConfig(c, path)
	if err != nil || !got.Equal(cfg) {
		t.Errorf("%v", err)
	}
	if !strings.Contains(stderr.String(), "refused") || !strings.Contains(stderr.String(), "hint: schoolgate check "+path) {
		t.Errorf("it says %q", stderr.String())
	}
}
