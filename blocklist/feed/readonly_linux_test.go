package feed

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"schoolgate/config"
)

// TestReadOnly: a disk that cannot be written keeps nothing from being enforced.
func TestReadOnly(t *testing.T) {
	s := newSite(t, many("a", 30))
	dir := t.TempDir()
	b := newBench(t, dir, s, s.list("feed"))
	b.refresh(nil)
	readOnly(t, filepath.Join(dir, "illegal"))
	k := New(dir, []config.List{s.list("feed")}, config.Update{})
	set, _ := k.Load(t.Context())
	if len(set.Lists()) != 1 {
		t.Error("nothing is enforced")
	}
}

// readOnly keeps even root from writing into a folder.
func readOnly(t *testing.T, dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		if err := os.Chmod(dir, 0o500); err != nil { //nolint:gosec // G302: a folder
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(dir, 0o700) }) //nolint:gosec // G302: as above
		return
	}
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		t.Skip("root may not mount a folder here:", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	if err := unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
}
