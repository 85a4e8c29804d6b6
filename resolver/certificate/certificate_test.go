package certificate

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"schoolgate/blocklist/domain"
)

var built = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func names() Names {
	return Names{Host: "dns.school.example", Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.53"), netip.MustParseAddr("2001:db8::53")}}
}

func own(t *testing.T, dir string, now time.Time) *Box {
	t.Helper()
	b := &Box{Dir: dir, Built: built, Now: func() time.Time { return now }}
	b.Set(Settings{Names: names()})
	if err := b.Status().Err; err != nil {
		t.Fatal(err)
	}
	return b
}

func verify(ca, leaf *x509.Certificate, host string, at time.Time) error {
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	_, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: host, CurrentTime: at})
	return err
}

func TestOwnCertificateVerifies(t *testing.T) {
	now := built.AddDate(0, 2, 0)
	b := own(t, t.TempDir(), now)
	s := b.Status()
	for _, host := range []string{"dns.school.example", "tablet7.dns.school.example", "192.0.2.53", "2001:db8::53"} {
		if err := verify(s.Authority, s.Leaf, host, now); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	for _, host := range []string{"school.example", "a.b.dns.school.example", "192.0.2.54"} {
		if verify(s.Authority, s.Leaf, host, now) == nil {
			t.Errorf("%s verifies", host)
		}
	}
	if life := s.Leaf.NotAfter.Sub(s.Leaf.NotBefore); life > 397*24*time.Hour {
		t.Errorf("a leaf is valid for %v", life)
	}
	if !b.Has(netip.MustParseAddr("::ffff:192.0.2.53")) || b.Has(netip.MustParseAddr("192.0.2.54")) {
		t.Error("Has does not tell the box's addresses from others")
	}
	info, err := os.Stat(filepath.Join(b.Dir, authorityFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the authority's key: %v, %v", info.Mode(), err)
	}
}

func TestAuthorityCannotSignForOthers(t *testing.T) {
	now := built.AddDate(0, 2, 0)
	b := own(t, t.TempDir(), now)
	_, key, err := kept(b.Dir, authorityFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		ip   net.IP
	}{{name: "bank.example"}, {name: "school.example"}, {name: "xdns.school.example"}, {ip: net.IPv4(192, 0, 2, 54)}} {
		var dns []string
		var ips []net.IP
		host := tt.name
		if tt.ip != nil {
			ips, host = []net.IP{tt.ip}, tt.ip.String()
		} else {
			dns = []string{tt.name}
		}
		leaf, err := b.authority.sign(key, dns, ips, now, now.Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if err := verify(b.authority.cert, leaf, host, now); err == nil {
			t.Errorf("a certificate for %s verifies", host)
		}
	}
}

// The machine begins in 1970, and learns the time later.
func TestWrongClockAtStart(t *testing.T) {
	now := time.Unix(0, 0)
	b := &Box{Dir: t.TempDir(), Built: built, Now: func() time.Time { return now }}
	b.Set(Settings{Names: names()})
	first := b.Status()
	if first.Err != nil {
		t.Fatal(first.Err)
	}
	for _, d := range []time.Duration{0, 24 * time.Hour, 300 * 24 * time.Hour} {
		if err := verify(first.Authority, first.Leaf, "dns.school.example", built.Add(d)); err != nil {
			t.Errorf("%v after the build: %v", d, err)
		}
	}
	now = built.AddDate(3, 0, 0)
	b.Look()
	second := b.Status()
	if second.Leaf.Equal(first.Leaf) || !second.Authority.Equal(first.Authority) {
		t.Error("once the time was known the leaf was not replaced, or the authority was")
	}
	if err := verify(second.Authority, second.Leaf, "dns.school.example", now); err != nil {
		t.Error(err)
	}
	// After a power cut it begins in 1970 again, with a certificate that is good for those who know the time.
	again := own(t, b.Dir, time.Unix(0, 0))
	if !again.Status().Leaf.Equal(second.Leaf) {
		t.Error("a wrong clock replaced a good certificate")
	}
	// A clock of the far future is undone too.
	ahead := own(t, t.TempDir(), built.AddDate(15, 0, 0))
	back := own(t, ahead.Dir, now).Status()
	if err := verify(back.Authority, back.Leaf, "dns.school.example", now); err != nil {
		t.Error(err)
	}
}

func TestRenewedWhileRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var days atomic.Int64
		began := time.Now()
		now := func() time.Time { return built.Add(time.Since(began)).AddDate(0, 0, 1+int(days.Load())) }
		b := &Box{Dir: t.TempDir(), Built: built, Now: now}
		b.Set(Settings{Names: names()})
		first := b.Status().Leaf
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go b.Run(ctx)
		days.Store(270)
		time.Sleep(2 * time.Minute)
		if !b.Status().Leaf.Equal(first) {
			t.Error("renewed too early")
		}
		days.Store(290)
		time.Sleep(2 * time.Minute)
		if b.Status().Leaf.Equal(first) {
			t.Error("not renewed")
		}
		if c, err := b.Get(nil); err != nil || c.Leaf.Equal(first) {
			t.Errorf("the old certificate is shown: %v", err)
		}
	})
}

func TestOtherNamesOtherAuthority(t *testing.T) {
	now := built.AddDate(0, 2, 0)
	b := own(t, t.TempDir(), now)
	first := b.Status()
	fewer := names()
	fewer.Addrs = fewer.Addrs[:1]
	b.Set(Settings{Names: fewer})
	if s := b.Status(); !s.Authority.Equal(first.Authority) || s.Leaf.Equal(first.Leaf) {
		t.Error("an address less: the authority must stay and the leaf change")
	}
	b.Set(Settings{Names: Names{Host: "dns.other.example"}})
	s := b.Status()
	if s.Err != nil || s.Authority.Equal(first.Authority) {
		t.Fatalf("another name: %v", s.Err)
	}
	if err := verify(s.Authority, s.Leaf, "dns.other.example", now); err != nil {
		t.Error(err)
	}
	// However often the name is changed, devices that trust the first authority are served again when its name is back.
	b.Set(Settings{Names: Names{Host: "dns.third.example"}})
	b.Set(Settings{Names: fewer})
	if back := b.Status(); back.Err != nil || !back.Authority.Equal(first.Authority) {
		t.Errorf("the first name again: another authority, %v", back.Err)
	}
	b.Set(Settings{Names: Names{Host: "dns.other.example"}})
	if again := b.Status(); again.Err != nil || !again.Authority.Equal(s.Authority) {
		t.Errorf("the other name again: another authority, %v", again.Err)
	}
	if restarted, _, err := kept(b.Dir, authorityFile); err != nil || !restarted.Equal(s.Authority) {
		t.Errorf("a restart finds another authority, %v", err)
	}
}

// A damaged authority is not replaced in silence: devices trust the old one, and a person may have a copy.
func TestDamagedAuthority(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, authorityFile), []byte("torn"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := &Box{Dir: dir, Built: built}
	b.Set(Settings{Names: names()})
	if b.Status().Err == nil {
		t.Error("no error")
	}
	if _, err := b.Get(nil); !errors.Is(err, ErrNone) {
		t.Errorf("a certificate all the same: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, authorityFile)); err != nil {
		t.Fatal(err)
	}
	b.Look()
	if err := b.Status().Err; err != nil {
		t.Error(err)
	}
}

// pair writes a certificate with its key into two files, as a person would who got one elsewhere.
func pair(t *testing.T, dir, host string) (cert, key string) {
	t.Helper()
	made := &Box{Dir: filepath.Join(t.TempDir(), "keys"), Built: built}
	made.Set(Settings{Names: Names{Host: host}})
	text, err := os.ReadFile(filepath.Join(made.Dir, leafFile))
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for _, path := range []string{cert, key} { // each holds both, which is allowed
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestFilesAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	cert, key := pair(t, dir, "one.school.example")
	b := &Box{Dir: filepath.Join(dir, "keys"), Built: built}
	b.Set(Settings{Names: names(), CertFile: cert, KeyFile: key})
	shows := func(host string) {
		t.Helper()
		c, err := b.Get(nil)
		if err != nil || c.Leaf.DNSNames[0] != host {
			t.Fatalf("shown is not that of %s: %v", host, err)
		}
	}
	shows("one.school.example")
	if s := b.Status(); s.Err != nil || s.Authority != nil {
		t.Fatal(s)
	}
	if err := os.WriteFile(cert, []byte("half a fi"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	b.look()
	b.mu.Unlock()
	if b.Status().Err == nil {
		t.Error("a broken pair is not told")
	}
	shows("one.school.example")
	pair(t, dir, "two.school.example")
	b.Look()
	shows("two.school.example")
	if err := b.Status().Err; err != nil {
		t.Error(err)
	}
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	b.Look()
	if b.Status().Err == nil {
		t.Error("a missing file is not told")
	}
	shows("two.school.example")
	if _, err := os.Stat(b.Dir); err == nil {
		t.Error("keys were made although there are files")
	}
}

func TestPages(t *testing.T) {
	dir := t.TempDir()
	client := netip.MustParseAddr("192.0.2.7")
	refused := func(name domain.Name, from netip.Addr) bool { return name != "school.example" && from == client }
	p, err := OpenPages(dir, built, refused)
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.Page("Games.Example", client)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(p.authority.cert, c.Leaf, "games.example", time.Now()); err != nil {
		t.Error(err)
	}
	if again, _ := p.Page("games.example", client); again != c {
		t.Error("made twice")
	}
	for _, name := range []string{"school.example", "", "192.0.2.1", "not a name"} {
		if _, err := p.Page(name, client); !errors.Is(err, ErrNotRefused) {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := p.Page("games.example", netip.MustParseAddr("192.0.2.8")); !errors.Is(err, ErrNotRefused) {
		t.Errorf("for a client to whom the name is not refused: %v", err)
	}
	for i := range 2 * maxPages {
		if _, err := p.Page(fmt.Sprintf("n%d.example", i), client); err != nil {
			t.Fatal(err)
		}
	}
	if len(p.made) != maxPages || len(p.order) != maxPages {
		t.Errorf("%d certificates kept, %d in order", len(p.made), len(p.order))
	}
	second, err := OpenPages(dir, built, refused)
	if err != nil || !second.authority.cert.Equal(p.authority.cert) {
		t.Errorf("another authority after a restart: %v", err)
	}
}

// What a client sees: a handshake through crypto/tls with the box's name, and with an address and so no server name.
func TestHandshake(t *testing.T) {
	b := &Box{Dir: t.TempDir(), Built: time.Now().Add(-time.Hour)}
	b.Set(Settings{Names: names()})
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(PEM(b.Status().Authority)) {
		t.Fatal("no certificate in PEM")
	}
	for _, host := range []string{"dns.school.example", "tablet7.dns.school.example", "192.0.2.53"} {
		client, server := net.Pipe()
		go tls.Server(server, &tls.Config{GetCertificate: b.Get}).Handshake()
		if err := tls.Client(client, &tls.Config{RootCAs: roots, ServerName: host}).Handshake(); err != nil {
			t.Errorf("%s: %v", host, err)
		}
		client.Close()
		server.Close()
	}
}
