package upstream

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"schoolgate/config"
)

// TestUnbound asks a server of another maker by UDP, TCP, TLS and, where it is built with that, HTTPS.
func TestUnbound(t *testing.T) {
	unbound, err := exec.LookPath("unbound")
	if err != nil {
		t.Skip("skipped: unbound is not installed (Debian package unbound)")
	}
	version, _ := exec.Command(unbound, "-V").CombinedOutput()
	dir := t.TempDir()
	cert := authorityOnce().issue(t, []string{"dns.example"})
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	certFile := write("cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}))
	keyFile := write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
	free := func() uint16 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return netip.MustParseAddrPort(l.Addr().String()).Port()
	}
	plainPort, tlsPort, webPort := free(), free(), free()
	conf := fmt.Sprintf("server:\n directory: %q\n chroot: \"\"\n username: \"\"\n pidfile: \"\"\n use-syslog: no\n do-daemonize: no\n port: %d\n"+
		" interface: 127.0.0.1@%[2]d\n interface: 127.0.0.1@%[3]d\n tls-port: %[3]d\n tls-service-key: %[5]q\n tls-service-pem: %[6]q\n"+
		" local-zone: \"school.example.\" redirect\n local-data: \"school.example. 60 IN A 192.0.2.1\"\n", dir, plainPort, tlsPort, webPort, keyFile, certFile)
	web := bytes.Contains(version, []byte("nghttp2"))
	if web {
		conf += fmt.Sprintf(" interface: 127.0.0.1@%d\n https-port: %[1]d\n", webPort)
	}
	cmd := exec.Command(unbound, "-d", "-c", write("unbound.conf", []byte(conf)))
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("unbound said:\n%s", said.String())
		}
	})
	at := func(kind config.ServerKind, port uint16) config.Server {
		s := config.Server{Kind: kind, Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)}
		if kind.Encrypted() {
			s.Name = "dns.example"
		}
		if kind == config.ServerHTTPS {
			s.Path = "/dns-query"
		}
		return s
	}
	until(t, "unbound listens", func() bool {
		c, err := net.Dial("tcp", at(config.ServerTLS, tlsPort).Addr.String())
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	servers := []config.Server{at(config.ServerUDP, plainPort), at(config.ServerTCP, plainPort), at(config.ServerTLS, tlsPort)}
	if web {
		servers = append(servers, at(config.ServerHTTPS, webPort))
	}
	for _, s := range servers {
		p := tlsPool(t, 5*time.Second, s)
		distinctBelow(t, p, "school.example.", 100)
		if st := p.Status()[0]; st.Failures != 0 {
			t.Errorf("%v: %+v", s.Kind, st)
		}
	}
}

// distinctBelow asks for n names below a zone, ten at a time.
func distinctBelow(t *testing.T, p *Pool, zone string, n int) {
	t.Helper()
	left := make(chan int, n)
	for i := range n {
		left <- i
	}
	close(left)
	failed := make(chan error, 10)
	for range 10 {
		go func() {
			for i := range left {
				if m, err := exchange(p, context.Background(), ask(fmt.Sprintf("n%d.%s", i, zone))); err != nil || len(m.Answer) != 1 {
					failed <- fmt.Errorf("%w: %v", err, m)
					return
				}
			}
			failed <- nil
		}()
	}
	for range 10 {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
}
