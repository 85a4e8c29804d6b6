package main

import (
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// lowerPriority makes this process give way to all others for the processor, the disk and, when memory runs out, its
// life. What cannot be lowered stays as it is: the work is the same.
func lowerPriority() {
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, 19)
	const whoProcess, classIdle = 1, 3 << 13
	_, _, _ = unix.Syscall(unix.SYS_IOPRIO_SET, whoProcess, 0, classIdle)
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte(strconv.Itoa(500)), 0)
}

// endsWithParent has a child killed when this process is, so that none goes on writing beside the next one's.
func endsWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
