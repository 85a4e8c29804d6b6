package blocklist

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// mapFile maps a file, pages and all, since its checksum will be reckoned at once.
func mapFile(f *os.File, size int) (data []byte, unmap func([]byte), err error) {
	data, err = unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		data, err = read(f, size)
		return data, func([]byte) {}, err
	}
	return data, func(b []byte) { unix.Munmap(b) }, nil
}

// unmapWhenGone gives the mapping back when nothing can read it any more: every method that reads keeps s alive until it
// is done.
func (s *Set) unmapWhenGone(unmap func([]byte)) { runtime.AddCleanup(s, unmap, s.data) }
