package main

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// lockName is a file that an appliance holds locked while it runs, with its process number in it.
const lockName = "running.lock"

// lockState keeps a second appliance from the same record. A disk that is full or has become read-only keeps nobody from
// answering: the appliance then goes without what it cannot write.
func lockState(dir string, log *slog.Logger) (unlock func(), err error) {
	path := filepath.Join(dir, lockName)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if noRoom(err) {
		log.Error("the state directory cannot be written", "error", err)
		if f, err = os.Open(path); err != nil {
			return func() {}, nil
		}
	}
	if err != nil {
		return nil, failed("store.path must be a directory that the program may write", "%v", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, failed("stop the other one first, or give this one another store.path", "an appliance already runs on %s", dir)
	}
	if err = f.Truncate(0); err == nil {
		_, err = f.WriteAt(strconv.AppendInt(nil, int64(os.Getpid()), 10), 0)
	}
	if err != nil {
		log.Warn("schoolgate lists update will not reach this process", "error", err)
	}
	return func() { _ = f.Close() }, nil
}

// noRoom says whether a file could not be made because of the disk, be it full, read-only or broken, and not because
// somebody named the wrong place.
func noRoom(err error) bool {
	if err == nil {
		return false
	}
	for _, mistake := range []error{os.ErrPermission, syscall.ENOTDIR, syscall.EISDIR, os.ErrNotExist, syscall.ENAMETOOLONG, syscall.ELOOP} {
		if errors.Is(err, mistake) {
			return false
		}
	}
	return true
}

// tellRunning has the appliance that runs on dir, if one does, look for newly compiled lists.
func tellRunning(dir string) (told bool, err error) {
	f, err := os.Open(filepath.Join(dir, lockName))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	if syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil {
		return false, nil // nobody holds it: the number in it is of the past
	}
	var text [20]byte
	n, _ := f.Read(text[:])
	pid, err := strconv.Atoi(string(bytes.TrimSpace(text[:n])))
	if err != nil || pid < 2 {
		return false, fmt.Errorf("%s holds no process number", lockName)
	}
	return true, syscall.Kill(pid, syscall.SIGUSR1)
}
