package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// freeAddr is an address of loopback for a program that cannot be told to find one.
func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// startUnbound runs the resolver that this one is compared with, asking the same upstream, and says where it answers. The
// test is skipped without it.
func startUnbound(t testing.TB, upstream string, lines ...string) netip.AddrPort {
	t.Helper()
	path := tool(t, "unbound", "unbound")
	port := netip.MustParseAddrPort(freeAddr(t))
	dir := t.TempDir()
	conf := filepath.Join(dir, "unbound.conf")
	text := fmt.Sprintf(`server:
	interface: 127.0.0.1
	port: %d
	do-daemonize: no
	username: ""
	chroot: ""
	directory: %q
	pidfile: ""
	use-syslog: no
	logfile: ""
	do-ip6: no
	do-not-query-localhost: no
	module-config: "iterator"
	num-threads: 1
	max-udp-size: 1232
	jostle-timeout: 5000
	%s
remote-control:
	control-enable: no
forward-zone:
	name: "."
	forward-addr: %s
`, port.Port(), dir, strings.Join(lines, "\n\t"), strings.Replace(strings.TrimPrefix(upstream, "udp://"), ":", "@", 1))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out output
	cmd := exec.Command(path, "-d", "-c", conf)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("Unbound said:\n%s", last(out.String(), 2000))
		}
	})
	eventually(t, "Unbound answers", func() bool {
		m := new(dns.Msg).SetQuestion("ready.probe.example.", dns.TypeA)
		_, err := dns.Exchange(m, port.String())
		return err == nil
	})
	return port
}
