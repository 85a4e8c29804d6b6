package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"schoolgate/monitor"
	"schoolgate/monitor/record"
)

// smallDisk mounts a file system of so many bytes.
func smallDisk(t *testing.T, size string) (dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a small file system to fill it")
	}
	dir = t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skip("root may not mount a file system here:", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill leaves so many bytes of the disk, and gives the path of what takes the rest.
func fill(t *testing.T, dir string, leave int64) (path string) {
	t.Helper()
	path = filepath.Join(dir, "ballast")
	free, _, err := space(dir)
	if err != nil {
		t.Fatal(err)
	}
	f := must[*os.File](t)(os.Create(path))
	defer f.Close()
	if err := unix.Fallocate(int(f.Fd()), 0, 0, free-leave); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFullDiskAtStart(t *testing.T) {
	playObstacle(t, smallDisk(t, "4m"), obstacle{
		put:   func(t *testing.T, dir string) { fill(t, dir, 0) },
		clear: func(t *testing.T, dir string) { _ = os.Remove(filepath.Join(dir, "ballast")) },
	})
}

func TestReadOnlyDiskAtStart(t *testing.T) {
	remount := func(flags uintptr) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := unix.Mount("", dir, "", unix.MS_REMOUNT|flags, ""); err != nil {
				t.Fatal(err)
			}
		}
	}
	playObstacle(t, smallDisk(t, "4m"), obstacle{put: remount(unix.MS_RDONLY), clear: remount(0)})
}

// On a disk that fills up, rows stop before alerts do, and go on when there is room again.
func TestAlertsGoOnWhenTheDiskFills(t *testing.T) {
	dir, c := smallDisk(t, "40m"), &clock{at(8, 0, 0)} // so the floor is 4 MiB
	s := openTest(t, dir, c)
	rows := sample(1, 100, c.Time, at(9, 0, 0))
	appendAll(t, s, rows)
	path := fill(t, dir, 3<<20)
	if n, err := s.Append(t.Context(), record.BatchOf(rows...)); n != 0 || !errors.Is(err, ErrFull) {
		t.Fatalf("appended %d: %v", n, err)
	}
	for range 100 {
		must[int64](t)(s.OpenAlert(t.Context(), monitor.Alert{Device: "tablet-1"}, func(int64) []monitor.Mail { return nil }))
	}
	if got := codes(s); len(got) != 1 || got[0] != "record.full" {
		t.Errorf("conditions %v", got)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	appendAll(t, s, rows)
	if n := must[int64](t)(s.Count(t.Context(), record.Filter{})); n != 200 {
		t.Errorf("%d rows, want 200", n)
	}
	if got := codes(s); len(got) != 0 {
		t.Errorf("conditions %v", got)
	}
}
