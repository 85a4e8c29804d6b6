package journal

import (
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// hold gives a ring its memory, from outside of Go's heap. There the collector would take the room that a ring may need
// one day for memory in use, and let twice as much garbage lie about.
func (g *ring) hold(size int) {
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		g.buf = make([]byte, size)
		return
	}
	g.buf, g.whole = b, os.Getpagesize()-1
	g.forget = func(pages []byte) { _ = unix.Madvise(pages, unix.MADV_DONTNEED) } // what is not done is held on to
	runtime.AddCleanup(g, func(b []byte) { _ = unix.Munmap(b) }, b)
}
