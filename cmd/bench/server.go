//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// place is where one server is to run and what it is to load.
type place struct {
	dir      string // its own, empty at first
	port     int    // to answer on
	http     int    // free for it as well
	upstream int
	core     int // to run on
	names    *names
}

func (p *place) file(name string) string { return filepath.Join(p.dir, name) }

// server is something to be measured.
type server struct {
	name    string // in the table
	program string // looked for in the PATH, or with a path
	pkg     string // Debian package, if there is one
	version []string
	echo    bool
	plain   bool // it refuses nothing, so only what it does with misses is measured
	logs    bool // it writes down each query

	// prepare writes what the server reads and gives its arguments. It may take long; loading is not part of it.
	prepare func(ctx context.Context, p *place) (args []string, err error)
}

// find gives the program's path.
func (s *server) find() (string, error) {
	path, err := exec.LookPath(s.program)
	if err != nil { // Debian's sbin is not in everyone's PATH
		path, err = exec.LookPath(filepath.Join("/usr/sbin", s.program))
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", s.program, exec.ErrNotFound)
	}
	return path, nil
}

// running is a server at work.
type running struct {
	*place
	cmd    *exec.Cmd
	addr   netip.AddrPort
	loaded time.Duration // from the start of the process to the first right answer about a listed name
	exited chan struct{}
	err    error // why it exited; after exited is closed
	once   sync.Once
}

// startLock makes pinning and starting one step.
var startLock sync.Mutex

// start runs a server on its core and waits until it answers rightly.
func start(ctx context.Context, s *server, p *place) (*running, error) {
	path, err := s.find()
	if err != nil {
		return nil, err
	}
	args, err := s.prepare(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("preparing %s: %w", s.name, err)
	}
	out, err := os.Create(p.file("output.log"))
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", s.name, err)
	}
	defer out.Close()
	r := &running{place: p, cmd: exec.Command(path, args...), exited: make(chan struct{})} //nolint:gosec,noctx // G204: the programs are listed in peers.go; ended by stop
	r.cmd.Stdout, r.cmd.Stderr, r.cmd.Dir = out, out, p.dir
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	r.addr = netip.AddrPortFrom(netip.AddrFrom4(loopback), uint16(p.port))
	begin := time.Now()
	if err := startOn(r.cmd, p.core); err != nil {
		return nil, fmt.Errorf("starting %s: %w", s.name, err)
	}
	go func() {
		r.err = r.cmd.Wait()
		close(r.exited)
	}()
	if err := r.await(ctx, s); err != nil {
		r.stop()
		said, _ := os.ReadFile(p.file("output.log"))
		return nil, fmt.Errorf("%s does not answer: %w: %s", s.name, err, lastLines(said, 5))
	}
	r.loaded = time.Since(begin)
	return r, nil
}

// startOn starts a command whose threads, from the first, run on one core: a program that counts its cores then sees one.
func startOn(cmd *exec.Cmd, core int) error {
	startLock.Lock()
	defer startLock.Unlock()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("asking for the cores: %w", err)
	}
	if err := pinThread(0, core); err != nil {
		return err
	}
	return errors.Join(cmd.Start(), unix.SchedSetaffinity(0, &before))
}

// await asks for a listed name until the answer is right.
func (r *running) await(ctx context.Context, s *server) error {
	c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(r.addr))
	if err != nil {
		return fmt.Errorf("dialling: %w", err)
	}
	defer c.Close()
	name, w := r.names.asked[0], wantBlocked
	switch {
	case s.echo:
		w = wantEcho
	case s.plain:
		name, w = r.names.cached[0], wantAddress
	}
	q := appendQuestion(nil, name)
	answer := make([]byte, packetRoom)
	last := errors.New("no answer")
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); {
		select {
		case <-r.exited:
			return fmt.Errorf("it ended: %w", errors.Join(r.err, errors.New("too early")))
		case <-ctx.Done():
			return ctx.Err()
		default:
		}
		_, _ = c.Write(q) // refused until it listens
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		n, err := c.Read(answer)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
		case err != nil:
			time.Sleep(10 * time.Millisecond)
		case n >= 12 && w.right(q, answer[:n]):
			return nil
		case n >= 12:
			last = fmt.Errorf("wrong answer, code %d", answer[3]&0x0f)
		}
	}
	return last
}

// stop ends a server and what it started, by force if it takes longer than ten seconds. It may be called again.
func (r *running) stop() {
	r.once.Do(func() {
		defer func() { _ = syscall.Kill(-r.pid(), syscall.SIGKILL) }() // its group; mostly there is nobody left
		_ = r.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-r.exited:
		case <-time.After(10 * time.Second):
			_ = r.cmd.Process.Kill()
			<-r.exited
		}
	})
}

func (r *running) pid() int { return r.cmd.Process.Pid }

// freePort finds a port of loopback that is free for UDP and TCP.
func freePort() (int, error) {
	for range 20 {
		t, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: loopback[:]})
		if err != nil {
			return 0, fmt.Errorf("looking for a free port: %w", err)
		}
		port := t.Addr().(*net.TCPAddr).Port
		u, err := net.ListenUDP("udp4", &net.UDPAddr{IP: loopback[:], Port: port})
		t.Close()
		if err == nil {
			u.Close()
			return port, nil
		}
	}
	return 0, errors.New("no free port")
}

// firstLine is what a program says first when asked with args, such as for its version.
func firstLine(ctx context.Context, program string, args ...string) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, _ := exec.CommandContext(ctx, program, args...).CombinedOutput() //nolint:gosec // G204: as above
	line, _, _ := bytes.Cut(bytes.TrimSpace(out), []byte("\n"))
	return string(line)
}

// versionOf is the line of a program's words that has a number with a point.
func versionOf(ctx context.Context, program string, args ...string) string {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, _ := exec.CommandContext(ctx, program, args...).CombinedOutput() //nolint:gosec // G204: as above
	name := filepath.Base(program)
	if strings.HasPrefix(string(out), name+" ") {
		return strings.TrimSpace(string(bytes.SplitN(out, []byte("\n"), 2)[0]))
	}
	for line := range strings.Lines(string(out)) {
		if number := versionNumber.FindString(line); number != "" {
			return name + " " + number
		}
	}
	return name
}

var versionNumber = regexp.MustCompile(`\b[0-9]+\.[0-9]+[0-9a-z.+~-]*`)

func lastLines(b []byte, n int) string {
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], " | ")
}
