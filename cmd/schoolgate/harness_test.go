package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// The tests of this package that speak of a box start the real binary, as a service would.

var built struct {
	once sync.Once
	path string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if built.path != "" {
		_ = os.RemoveAll(filepath.Dir(built.path))
	}
	os.Exit(code)
}

// binary builds the program once.
func binary(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		dir, err := os.MkdirTemp("", "schoolgate-test-")
		if err != nil {
			built.err = err
			return
		}
		built.path = filepath.Join(dir, "schoolgate")
		cmd := exec.Command("go", "build", "-o", built.path, ".")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("building: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.path
}

// sharedData is the folder of real lists and traces; the test is skipped where there is none.
func sharedData(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs("../../../shared/data")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skip("skipped: there is no ../shared/data with real lists and traces beside the checkout")
	}
	return dir
}

// tool finds a program of a Debian package; the test is skipped without it.
func tool(t testing.TB, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("skipped: %s is not installed (Debian package %s)", name, pkg)
	}
	return path
}

// output collects what a process writes while it runs.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// box is a running appliance.
type box struct {
	t              testing.TB
	cmd            *exec.Cmd
	config         string
	stdout, stderr output
	dns            netip.AddrPort
	http           string
	ended          chan struct{} // closed when the process has ended; err is then its end
	err            error
}

// writeConfig puts a configuration into dir.
func writeConfig(t testing.TB, dir, text string) string {
	t.Helper()
	path := filepath.Join(dir, "schoolgate.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// launch starts the binary with a configuration and waits until it says that it answers.
func launch(t testing.TB, config string, more ...string) *box {
	t.Helper()
	return launchAs(t, config, append([]string{binary(t), "run", "--config", config}, more...)...)
}

// launchAs is launch by a command line of one's own.
func launchAs(t testing.TB, config string, command ...string) *box {
	t.Helper()
	b := &box{t: t, config: config, ended: make(chan struct{})}
	b.cmd = exec.Command(command[0], command[1:]...)
	b.cmd.Dir = filepath.Dir(config)
	b.cmd.Stdout, b.cmd.Stderr = &b.stdout, &b.stderr
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { b.err = b.cmd.Wait(); close(b.ended) }()
	t.Cleanup(func() {
		_ = b.cmd.Process.Kill()
		<-b.ended
		if t.Failed() {
			t.Logf("the appliance said:\n%s", last(b.stderr.String(), 4000))
		}
	})
	b.until("the appliance answers", func() bool { return strings.Contains(b.stdout.String(), "Stop with Ctrl-C") })
	where := regexp.MustCompile(`DNS\s+(\S+?),`).FindStringSubmatch(b.stdout.String())
	addr, err := netip.ParseAddrPort(where[1])
	if err != nil {
		t.Fatalf("no DNS address in %q", b.stdout.String())
	}
	b.dns = addr
	if where := regexp.MustCompile(`metrics\s+(http://\S+)/metrics`).FindStringSubmatch(b.stdout.String()); where != nil {
		b.http = where[1]
	}
	return b
}

// until waits for something that comes by itself.
func (b *box) until(what string, done func() bool) {
	b.t.Helper()
	eventually(b.t, what, func() bool {
		select {
		case <-b.ended:
			b.t.Fatalf("waiting until %s: the process ended: %v\n%s", what, b.err, b.stderr.String())
		default:
		}
		return done()
	})
}

func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline := time.NewTimer(60 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-deadline.C:
			t.Fatalf("waited a minute until %s", what)
		case <-tick.C:
		}
	}
}

// stop ends the appliance as systemd would, and wants it to end well.
func (b *box) stop() {
	b.t.Helper()
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		b.t.Fatal(err)
	}
	<-b.ended
	if b.err != nil {
		b.t.Fatalf("the appliance did not stop well: %v\n%s", b.err, last(b.stderr.String(), 4000))
	}
}

// ask sends one question from a loopback address.
func (b *box) ask(from, name string, qtype uint16) *dns.Msg {
	b.t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), qtype)
	m.SetEdns0(1232, false)
	c := dns.Client{Timeout: 10 * time.Second, Dialer: &net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(from)}}}
	reply, _, err := c.Exchange(m, b.dns.String())
	if err != nil {
		b.t.Fatalf("asking for %s: %v", name, err)
	}
	return reply
}

// schoolgate runs another command of the binary against the same configuration.
func (b *box) schoolgate(args ...string) (stdout string) {
	b.t.Helper()
	out, stderr, code := invoke(b.t, filepath.Dir(b.config), append(args, "--config", b.config)...)
	if code != exitOK {
		b.t.Fatalf("schoolgate %v ended with %d: %s", args, code, stderr)
	}
	return out
}

func invoke(t testing.TB, dir string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var o, e bytes.Buffer
	cmd := exec.Command(binary(t), args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &o, &e
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

func last(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}
