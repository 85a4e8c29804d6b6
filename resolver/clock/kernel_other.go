//go:build !linux

package clock

// kernel: elsewhere it is not known who keeps the time.
func kernel() bool { return false }
