package main

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// inPrivate starts systemd-resolved with a /run, a configuration and an authority of its own, and without a bus; as nobody,
// since it would change to a user that exists only where its package is installed.
const inPrivate = `set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/resolve
chown 65534 /run/systemd/resolve
cp "$2" /run/resolved.conf
cp "$3" /run/authority.pem
chmod 644 /run/resolved.conf /run/authority.pem
mkdir -p /etc/systemd
[ -e /etc/systemd/resolved.conf ] || { mount -t tmpfs tmpfs /etc/systemd; touch /etc/systemd/resolved.conf; }
mount --bind /run/resolved.conf /etc/systemd/resolved.conf
export SSL_CERT_FILE=/run/authority.pem
caps=+setpcap,+net_raw,+net_bind_service
exec setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=$caps --ambient-caps=$caps "$1"
`

// resolved runs systemd-resolved, which asks the box by TLS as the given name. It gives the address at which it takes questions.
func resolved(t *testing.T, e *encryptedBox, name string) string {
	t.Helper()
	program := cmp.Or(os.Getenv("SCHOOLGATE_RESOLVED"), "/lib/systemd/systemd-resolved")
	if _, err := os.Stat(program); err != nil {
		t.Skip("skipped: no systemd-resolved; SCHOOLGATE_RESOLVED names one, as .ci/run unpacks it from its Debian package")
	}
	free, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.LocalAddr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(t.TempDir(), "resolved.conf")
	text := fmt.Sprintf("[Resolve]\nDNS=%s#%s\nFallbackDNS=\nDomains=~.\nDNSOverTLS=yes\nDNSSEC=no\nLLMNR=no\nMulticastDNS=no\nDNSStubListener=no\nDNSStubListenerExtra=udp:%s\n", e.tls, name, addr)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("unshare", "--mount", "sh", "-c", inPrivate, "sh", program, conf, e.authority)
	said := new(output)
	cmd.Stdout, cmd.Stderr = said, said
	cmd.Env = append(os.Environ(), "SYSTEMD_LOG_LEVEL=debug")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // says that it was killed
		if t.Failed() {
			t.Logf("systemd-resolved said:\n%s", last(said.String(), 4000))
		}
	})
	e.until("systemd-resolved listens", func() bool { return strings.Contains(said.String(), "Listening on UDP socket") })
	return addr
}

// TestEncryptedResolved: systemd-resolved asks by TLS and checks the certificate.
func TestEncryptedResolved(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("skipped: mounts of its own for systemd-resolved need root")
	}
	t.Parallel()
	e := startEncrypted(t, school{upstream: serveDNS(t, zone)})
	ask := func(addr, name string, patience time.Duration) (*dns.Msg, error) {
		c := dns.Client{Timeout: patience}
		m, _, err := c.Exchange(new(dns.Msg).SetQuestion(name, dns.TypeA), addr)
		return m, err
	}
	addr := resolved(t, e, "dns.school.example")
	if m, err := ask(addr, "lesson.example.", time.Minute); err != nil || len(m.Answer) != 1 {
		t.Errorf("allowed: %v, %v", m, err)
	}
	if m, err := ask(addr, "roblox.com.", time.Minute); err != nil || m.Rcode != dns.RcodeNameError {
		t.Errorf("blocked: %v, %v", m, err)
	}
	asked := e.byProto("tls")
	if n := e.byProto("udp") + e.byProto("tcp"); asked == 0 || n != 0 {
		t.Errorf("%d questions by TLS, %d in plain text", asked, n)
	}
	// By a name that the certificate is not for it gets no further than the handshake, again and again.
	if m, err := ask(resolved(t, e, "other.example"), "lesson.example.", 5*time.Second); err == nil && m.Rcode != dns.RcodeServerFailure {
		t.Errorf("with the certificate of another name: %v", m)
	}
	if n := e.byProto("tls"); n != asked {
		t.Errorf("%d questions behind a certificate of another name", n-asked)
	}
}
