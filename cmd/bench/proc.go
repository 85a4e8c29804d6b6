//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is the processor time that a process took so far: in nanoseconds from the scheduler where that is had, which
// leaves out threads that ended, else in ticks.
func cpuTime(pid int) (time.Duration, error) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	var total time.Duration
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue // the thread has ended
		}
		d, err := parseSchedstat(b)
		if err != nil {
			return 0, err
		}
		total += d
	}
	if total > 0 {
		return total, nil
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("reading a process's time: %w", err)
	}
	return parseStat(b)
}

// parseSchedstat reads the time on a processor from a schedstat file.
func parseSchedstat(b []byte) (time.Duration, error) {
	first, _, _ := strings.Cut(string(b), " ")
	ns, err := strconv.ParseUint(strings.TrimSpace(first), 10, 63)
	if err != nil {
		return 0, fmt.Errorf("reading schedstat: %w", err)
	}
	return time.Duration(ns), nil
}

// tick is the unit of /proc/PID/stat on every Linux of today.
const tick = 10 * time.Millisecond

// parseStat reads user and system time from /proc/PID/stat.
func parseStat(b []byte) (time.Duration, error) {
	// The second field is the program's name in brackets, which may itself hold blanks and brackets.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 13 {
		return 0, errors.New("reading a process's time: too few fields")
	}
	user, err1 := strconv.ParseUint(fields[11], 10, 63)
	system, err2 := strconv.ParseUint(fields[12], 10, 63)
	if err := errors.Join(err1, err2); err != nil {
		return 0, fmt.Errorf("reading a process's time: %w", err)
	}
	return time.Duration(user+system) * tick, nil
}

// memory is what a process has resident, in bytes: its own, and what it maps of files.
func memory(pid int) (anon, file int64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, fmt.Errorf("reading a process's memory: %w", err)
	}
	if anon, err = field(b, "RssAnon:"); err != nil {
		return 0, 0, err
	}
	file, err = field(b, "RssFile:")
	return anon << 10, file << 10, err
}

// written is how many bytes a process has caused to be written to disk.
func written(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return 0, fmt.Errorf("reading what a process wrote: %w", err)
	}
	return field(b, "write_bytes:")
}

// field reads the number after a key at the beginning of a line.
func field(b []byte, key string) (int64, error) {
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, key); ok {
			if words := strings.Fields(rest); len(words) > 0 {
				return strconv.ParseInt(words[0], 10, 64)
			}
		}
	}
	return 0, fmt.Errorf("no %s there", key)
}

// pin binds all threads of this process to one core; threads that come later inherit it.
func pin(core int) error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return fmt.Errorf("pinning to core %d: %w", core, err)
	}
	for _, t := range tasks {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		if err := pinThread(id, core); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	return nil
}

// pinThread binds one thread, 0 for the calling one.
func pinThread(id, core int) error {
	var set unix.CPUSet
	set.Set(core)
	if err := unix.SchedSetaffinity(id, &set); err != nil {
		return fmt.Errorf("pinning to core %d: %w", core, err)
	}
	return nil
}

// cores are those this process may use.
func cores() (list []int, err error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("asking for the cores: %w", err)
	}
	for c := range 1024 { // that a CPUSet has room for
		if set.IsSet(c) {
			list = append(list, c)
		}
	}
	return list, nil
}
