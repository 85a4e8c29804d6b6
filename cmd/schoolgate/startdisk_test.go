package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/miekg/dns"
)

// TestStartWithoutDisk: a box that is switched on with a disk that is full or has become read-only still answers and
// filters, says what is the matter, and records again when there is room.
func TestStartWithoutDisk(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("skipped: only root may mount a small file system to fill")
	}
	for _, tt := range []struct {
		what          string
		breaks, mends func(t *testing.T, disk string)
	}{
		{"full", fill, func(t *testing.T, disk string) {
			if err := os.Remove(filepath.Join(disk, "ballast")); err != nil {
				t.Fatal(err)
			}
		}},
		{"read-only", remount(syscall.MS_REMOUNT | syscall.MS_RDONLY), remount(syscall.MS_REMOUNT)},
	} {
		t.Run(tt.what, func(t *testing.T) {
			dir := t.TempDir()
			disk := filepath.Join(dir, "var")
			if err := os.Mkdir(disk, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Mount("none", disk, "tmpfs", 0, "size=8m"); err != nil {
				t.Skipf("skipped: mounting a small file system: %v", err)
			}
			t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
			tt.breaks(t, disk)
			b := launch(t, school{store: `flush = "100ms"`}.write(t, dir))
			if got := verdictOf(b.ask("127.30.0.1", "roblox.com", dns.TypeA)); got != "blocked" {
				t.Errorf("roblox.com is %s", got)
			}
			b.until("the box says what is the matter", func() bool {
				text, _ := b.page("/healthz")
				return strings.Contains(text, "record.unavailable")
			})
			tt.mends(t, disk)
			b.until("the row that waited is written", func() bool { return scrape(t, b)("schoolgate_journal_written_rows_total") >= 1 })
			b.stop()
		})
	}
}

func fill(t *testing.T, disk string) {
	t.Helper()
	f, err := os.Create(filepath.Join(disk, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
}

func remount(flags uintptr) func(t *testing.T, disk string) {
	return func(t *testing.T, disk string) {
		t.Helper()
		if err := syscall.Mount("none", disk, "tmpfs", flags, "size=8m"); err != nil {
			t.Fatal(err)
		}
	}
}
