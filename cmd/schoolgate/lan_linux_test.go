package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// lan is a network of its own: a box and hosts, each in a network namespace. Host n is 10.77.n.2 in a network of its own,
// and the box 10.77.n.1 there; what is sent to 10.(100+n).0.0/16 goes to host n, which has none of these addresses.
type lan struct {
	t     testing.TB
	box   string
	hosts []string // namespaces, host 1 first
}

// newLAN makes a network with so many hosts. The test is skipped where that cannot be.
func newLAN(t testing.TB, hosts int) *lan {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("skipped: only root can make network namespaces")
	}
	ip := tool(t, "ip", "iproute2")
	l := &lan{t: t, box: fmt.Sprintf("sg%d-box", os.Getpid())}
	run := func(args string) error {
		out, err := exec.Command(ip, strings.Fields(args)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ip %s: %w: %s", args, err, out)
		}
		return nil
	}
	must := func(format string, args ...any) {
		t.Helper()
		if err := run(fmt.Sprintf(format, args...)); err != nil {
			t.Fatal(err)
		}
	}
	if err := run("netns add " + l.box); err != nil {
		t.Skipf("skipped: no network namespaces here: %v", err)
	}
	t.Cleanup(func() { run("netns del " + l.box) })
	must("-n %s link set lo up", l.box)
	for i := range hosts {
		n, ns := i+1, fmt.Sprintf("sg%d-h%d", os.Getpid(), i+1)
		must("netns add %s", ns)
		t.Cleanup(func() { run("netns del " + ns) })
		must("link add v%d netns %s type veth peer name eth0 netns %s", n, l.box, ns)
		must("-n %s addr add 10.77.%d.1/24 dev v%d", l.box, n, n)
		must("-n %s link set v%d up", l.box, n)
		must("-n %s link set lo up", ns)
		must("-n %s addr add 10.77.%d.2/24 dev eth0", ns, n)
		must("-n %s link set eth0 up", ns)
		must("-n %s route add default via 10.77.%d.1", ns, n)
		must("-n %s route add 10.%d.0.0/16 via 10.77.%d.2", l.box, 100+n, n)
		l.hosts = append(l.hosts, ns)
	}
	return l
}

// as gives a host more addresses: 10.77.n.from and further ones.
func (l *lan) as(host, from, count int) (addrs []netip.Addr) {
	l.t.Helper()
	var batch strings.Builder
	for i := range count {
		a := netip.AddrFrom4([4]byte{10, 77, byte(host), byte(from + i)})
		fmt.Fprintf(&batch, "addr add %s/24 dev eth0\n", a)
		addrs = append(addrs, a)
	}
	cmd := exec.Command("ip", "-n", l.hosts[host-1], "-batch", "-")
	cmd.Stdin = strings.NewReader(batch.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		l.t.Fatalf("%v: %s", err, out)
	}
	return addrs
}

// in calls f on a thread of the namespace: sockets that it makes itself are there. Other goroutines are not.
func (l *lan) in(ns string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine, and nobody else finds himself there
		fd, err := unix.Open("/var/run/netns/"+ns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = unix.Setns(fd, unix.CLONE_NEWNET)
			unix.Close(fd)
		}
		if err == nil {
			err = f()
		}
		done <- err
	}()
	return <-done
}

// dial connects from a host, or from the box for 0.
func (l *lan) dial(host int, network string, from netip.Addr, to netip.AddrPort) (c net.Conn, err error) {
	ns := l.box
	if host > 0 {
		ns = l.hosts[host-1]
	}
	d := net.Dialer{}
	if from.IsValid() {
		d.LocalAddr = map[string]net.Addr{
			"udp": net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), "tcp": net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0)),
		}[network]
	}
	err = l.in(ns, func() (err error) { c, err = d.Dial(network, to.String()); return err })
	return c, err
}

// atHost is the box's address towards a host.
func atHost(host int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 77, byte(host), 1}), 53)
}

// traffic is what a host's line carried so far, packets and bytes with their Ethernet headers.
func (l *lan) traffic(host int) (outPackets, outBytes, inPackets, inBytes int) {
	l.t.Helper()
	var text []byte
	err := l.in(l.hosts[host-1], func() (err error) { text, err = os.ReadFile("/proc/thread-self/net/dev"); return err })
	if err != nil {
		l.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		if f := strings.Fields(rest); name == "eth0" {
			n := func(i int) int { v, _ := strconv.Atoi(f[i]); return v }
			return n(9), n(8), n(1), n(0)
		}
	}
	l.t.Fatalf("no eth0 in %s", text)
	return
}

// page gets a page of the box's health, as text.
func (l *lan) page(b *box, path string) string {
	l.t.Helper()
	where := netip.MustParseAddrPort(strings.TrimPrefix(b.http, "http://"))
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(context.Context, string, string) (net.Conn, error) {
		return l.dial(0, "tcp", netip.Addr{}, where)
	}}}
	resp, err := client.Get(b.http + path)
	if err != nil {
		l.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		l.t.Fatal(err)
	}
	return string(body)
}

// metric reads a metric of the box, labels and all.
func (l *lan) metric(b *box, name string) float64 {
	l.t.Helper()
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindStringSubmatch(l.page(b, "/metrics"))
	if found == nil {
		l.t.Fatalf("no metric %s", name)
	}
	v, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		l.t.Fatal(err)
	}
	return v
}

// ip runs the program in a namespace.
func (l *lan) ip(ns, args string) {
	l.t.Helper()
	if out, err := exec.Command("ip", append([]string{"-n", ns}, strings.Fields(args)...)...).CombinedOutput(); err != nil {
		l.t.Fatalf("ip -n %s %s: %v: %s", ns, args, err, out)
	}
}
