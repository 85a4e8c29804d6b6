//go:build !linux

package journal

// hold gives a ring its memory.
func (g *ring) hold(size int) { g.buf = make([]byte, size) }
