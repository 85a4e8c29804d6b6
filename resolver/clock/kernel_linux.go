package clock

import "golang.org/x/sys/unix"

// kernel says whether a program that keeps the time has told the kernel that it is right (adjtimex(2)). Where that cannot
// be asked, nobody has.
func kernel() bool {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
}
