package upstream

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"schoolgate/config"
	"schoolgate/resolver/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a DNS server on loopback. handle may be changed while it runs.
type fake struct {
	addr   netip.AddrPort
	handle atomic.Pointer[dns.HandlerFunc]
	seen   atomic.Int64 // requests
	tcp    atomic.Int64 // of them over TCP or TLS
}

func (f *fake) ServeDNS(w dns.ResponseWriter, r *dns.Msg) {
	f.seen.Add(1)
	if w.RemoteAddr().Network() == "tcp" {
		f.tcp.Add(1)
	}
	(*f.handle.Load())(w, r)
}

func (f *fake) set(h dns.HandlerFunc) { f.handle.Store(&h) }

// plain starts a server on UDP and TCP of one port.
func plain(t *testing.T, h dns.HandlerFunc) *fake {
	t.Helper()
	f := new(fake)
	f.set(h)
	for range 20 {
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", pc.LocalAddr().String())
		if err != nil {
			pc.Close()
			continue
		}
		f.addr = netip.MustParseAddrPort(l.Addr().String())
		serve(t, &dns.Server{PacketConn: pc, Handler: f})
		serve(t, &dns.Server{Listener: l, Handler: f})
		return f
	}
	t.Fatal("no port is free on both UDP and TCP")
	return nil
}

// overTLS starts a server of DNS over TLS with the certificate.
func overTLS(t *testing.T, cert tls.Certificate, h dns.HandlerFunc) *fake {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{addr: netip.MustParseAddrPort(l.Addr().String())}
	f.set(h)
	serve(t, &dns.Server{Listener: l, Handler: f})
	return f
}

func serve(t *testing.T, s *dns.Server) {
	t.Helper()
	started, ended := make(chan struct{}), make(chan struct{})
	s.NotifyStartedFunc = func() { close(started) }
	go func() {
		defer close(ended)
		_ = s.ActivateAndServe()
	}()
	<-started
	t.Cleanup(func() {
		_ = s.Shutdown()
		<-ended
	})
}

// echo answers every A question with one address.
func echo(w dns.ResponseWriter, r *dns.Msg) { _ = w.WriteMsg(answer(r)) }

func answer(r *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(r)
	m.RecursionAvailable, m.Compress = true, true
	m.Answer = []dns.RR{&dns.A{
		Hdr: dns.RR_Header{Name: r.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60},
		A:   net.IPv4(192, 0, 2, 1),
	}}
	return m
}

func code(rcode int) dns.HandlerFunc {
	return func(w dns.ResponseWriter, r *dns.Msg) { _ = w.WriteMsg(new(dns.Msg).SetRcode(r, rcode)) }
}

func silent(dns.ResponseWriter, *dns.Msg) {}

func udp(addr netip.AddrPort) config.Server { return config.Server{Addr: addr} }

// pool makes a Pool whose Run has ended, and with it every goroutine, when the test ends.
func pool(t *testing.T, timeout time.Duration, servers ...config.Server) *Pool {
	t.Helper()
	p := New(config.Upstream{Servers: servers, Timeout: config.Duration(timeout)}, slog.New(slog.DiscardHandler))
	t.Cleanup(p.close)
	return p
}

// run lets p.Run go on until the test ends.
func run(t *testing.T, p *Pool) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func ask(name string) *dns.Msg { return new(dns.Msg).SetQuestion(name, dns.TypeA) }

// wired is a request as bytes and as the listener reads it.
func wired(req *dns.Msg) (msg []byte, q wire.Question, err error) {
	if msg, err = req.Pack(); err == nil {
		err = wire.ParseQuestion(msg, &q)
	}
	return msg, q, err
}

// exchange asks as the resolver does, and makes of the reply what the client gets.
func exchange(p *Pool, ctx context.Context, req *dns.Msg) (*dns.Msg, error) {
	msg, q, err := wired(req)
	if err != nil {
		return nil, err
	}
	r, err := p.Exchange(ctx, &q)
	if err != nil {
		return nil, err
	}
	m := new(dns.Msg)
	return m, m.Unpack(wire.AppendReply(nil, msg, &q, r.Header, r.Body, wire.EDE{Code: r.EDE}))
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	end := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-end:
			t.Fatalf("waiting in vain: %s", what)
		case <-tick.C:
		}
	}
}

// authority is a certificate authority that lives for one test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

var authorityOnce = sync.OnceValue(func() *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-20 * 365 * 24 * time.Hour), NotAfter: time.Now().Add(20 * 365 * 24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	a := &authority{cert: cert, key: key, pool: x509.NewCertPool()}
	a.pool.AddCert(cert)
	return a
})

// issue makes a server certificate for names and addresses.
func (a *authority) issue(t *testing.T, names []string, ips ...net.IP) tls.Certificate {
	t.Helper()
	return a.issueFor(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour), names, ips...)
}

func (a *authority) issueFor(t *testing.T, from, to time.Time, names []string, ips ...net.IP) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: from, NotAfter: to,
		DNSNames: names, IPAddresses: ips, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
