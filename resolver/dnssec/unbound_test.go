package dnssec_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"schoolgate/resolver/dnssec"
)

// serve answers on loopback, by UDP and TCP, until the test ends.
func (w *world) serve(t *testing.T) (port int) {
	t.Helper()
	var tcp net.Listener
	var udp net.PacketConn
	for udp == nil { // until a port is free for both
		var err error
		if tcp, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if udp, err = net.ListenPacket("udp", tcp.Addr().String()); err != nil {
			_ = tcp.Close()
		}
	}
	h := dns.HandlerFunc(func(to dns.ResponseWriter, req *dns.Msg) {
		opt := req.IsEdns0()
		m := w.reply(req.Question[0], opt != nil && opt.Do())
		m.Id, m.CheckingDisabled = req.Id, req.CheckingDisabled
		if to.RemoteAddr().Network() == "udp" {
			m.Truncate(1232)
		}
		_ = to.WriteMsg(m)
	})
	for _, s := range []*dns.Server{{Listener: tcp, Handler: h}, {PacketConn: udp, Handler: h}} {
		go func() { _ = s.ActivateAndServe() }()
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return tcp.Addr().(*net.TCPAddr).Port
}

// unbound starts a validating Unbound that asks the world, and gives its address.
func unbound(t *testing.T, w *world) string {
	t.Helper()
	path, err := exec.LookPath("unbound")
	if err != nil {
		t.Skip("skipped: unbound is not installed, its verdicts are not compared (Debian package unbound)")
	}
	port := w.serve(t)
	for range 3 {
		if addr := startUnbound(t, w, path, port); addr != "" {
			return addr
		}
	}
	t.Fatal("unbound does not start")
	return ""
}

// startUnbound is "" when it did not start.
func startUnbound(t *testing.T, w *world, path string, upstream int) string {
	t.Helper()
	free, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.LocalAddr().(*net.UDPAddr)
	_ = free.Close()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "root.ds"), []byte(w.anchors()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(dir, "unbound.conf")
	text := fmt.Sprintf(`server:
  directory: %q
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  logfile: ""
  log-time-ascii: no
  interface: 127.0.0.1
  port: %d
  do-ip6: no
  do-not-query-localhost: no
  module-config: "validator iterator"
  trust-anchor-file: %q
  val-override-date: %q
  val-log-level: 2
  aggressive-nsec: no
  qname-minimisation: no
  trust-anchor-signaling: no
  root-key-sentinel: no
  ede: yes
  num-threads: 1
  outbound-msg-retry: 10
  unknown-server-time-limit: 5000
  infra-keep-probing: yes
remote-control:
  control-enable: no
forward-zone:
  name: "."
  forward-addr: 127.0.0.1@%d
`, dir, addr.Port, filepath.Join(dir, "root.ds"), epoch.Format("20060102150405"), upstream)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, "-d", "-c", conf)
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "start of service") {
			go func() { _, _ = io.Copy(io.Discard, said) }()
			return addr.String()
		}
	}
	return "" // its port was taken meanwhile
}

// TestUnboundAgrees compares status, response code and AD with those of Unbound for every question about the world.
func TestUnboundAgrees(t *testing.T) {
	w := oneWorld()
	addr := unbound(t, w)
	v := dnssec.New(w.options(t))
	compared, codes, differ := 0, 0, 0
	var mu sync.Mutex
	t.Run("questions", func(t *testing.T) {
		for _, want := range w.wants {
			t.Run(want.name+dns.TypeToString[want.typ], func(t *testing.T) {
				t.Parallel()
				m := new(dns.Msg)
				m.SetQuestion(want.name, want.typ)
				m.SetEdns0(4096, true)
				theirs, _, err := (&dns.Client{Net: "tcp", Timeout: 15 * time.Second}).Exchange(m, addr)
				if err != nil {
					t.Fatal(err)
				}
				ours, err := v.Exchange(t.Context(), question(t, want.name, want.typ))
				if err != nil {
					t.Fatal(err)
				}
				mu.Lock()
				defer mu.Unlock()
				compared++
				code := edeOf(theirs)
				if int(ours.RCode) != theirs.Rcode || ours.AD != theirs.AuthenticatedData {
					differ++
					if want.differ == "" {
						t.Errorf("rcode %d, AD %v, extended error %d; unbound says %d, %v, %d", ours.RCode, ours.AD, ours.EDE, theirs.Rcode, theirs.AuthenticatedData, code)
					}
				} else if want.differ != "" {
					t.Errorf("was to differ: %s", want.differ)
				} else if theirs.Rcode == dns.RcodeServerFailure && code != ours.EDE {
					codes++
					t.Logf("extended error %d, unbound says %d", ours.EDE, code)
				}
			})
		}
	})
	t.Logf("%d questions compared, %d differ as explained, %d of the bogus ones with another extended error", compared, differ, codes)
}

func edeOf(m *dns.Msg) uint16 {
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok {
				return e.InfoCode
			}
		}
	}
	return 0
}
