package upstream

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"schoolgate/config"
)

func dot(addr netip.AddrPort, name string) config.Server {
	return config.Server{Kind: config.ServerTLS, Addr: addr, Name: name}
}

// tlsPool is a pool that trusts the test's authority.
func tlsPool(t *testing.T, timeout time.Duration, servers ...config.Server) *Pool {
	t.Helper()
	p := pool(t, timeout, servers...)
	p.RootCAs = authorityOnce().pool
	return p
}

func TestTLSChecksTheCertificate(t *testing.T) {
	_, _ = x509.SystemCertPool() // reading it takes long on a busy machine, and then stays
	ca := authorityOnce()
	named := overTLS(t, ca.issue(t, []string{"dns.example"}), echo)
	addressed := overTLS(t, ca.issue(t, nil, net.IPv4(127, 0, 0, 1)), echo)
	for _, tt := range []struct {
		name   string
		server config.Server
		roots  *x509.CertPool
		ok     bool
	}{
		{"the name", dot(named.addr, "dns.example"), ca.pool, true},
		{"another name", dot(named.addr, "other.example"), ca.pool, false},
		{"no name and none in the certificate", dot(named.addr, ""), ca.pool, false},
		{"the address", dot(addressed.addr, ""), ca.pool, true},
		{"a name and only an address in the certificate", dot(addressed.addr, "dns.example"), ca.pool, false},
		{"an unknown authority", dot(named.addr, "dns.example"), x509.NewCertPool(), false},
		{"the system's authorities", dot(named.addr, "dns.example"), nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := pool(t, 5*time.Second, tt.server)
			p.RootCAs = tt.roots
			before := named.seen.Load() + addressed.seen.Load()
			_, err := exchange(p, context.Background(), ask("a.example."))
			asked := named.seen.Load()+addressed.seen.Load() > before
			if (err == nil) != tt.ok || asked != tt.ok {
				t.Errorf("error %v, question sent %v", err, asked)
			}
			var cert *tls.CertificateVerificationError
			if err != nil && !errors.As(err, &cert) {
				t.Errorf("failed for another reason: %v", err)
			}
		})
	}
}

func TestTLSRefusesOldVersions(t *testing.T) {
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{authorityOnce().issue(t, []string{"dns.example"})}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11,
	})
	if err != nil {
		t.Fatal(err)
	}
	f := new(fake)
	f.set(echo)
	serve(t, &dns.Server{Listener: l, Handler: f})
	p := tlsPool(t, 5*time.Second, dot(netip.MustParseAddrPort(l.Addr().String()), "dns.example"))
	if _, err := exchange(p, context.Background(), ask("a.example.")); err == nil {
		t.Error("spoke TLS 1.1")
	}
}

// session is one connection of a scripted TLS server.
type session struct {
	*tls.Conn
	r *bufio.Reader
}

func (s *session) next() (*dns.Msg, []byte, error) {
	b, err := readFrame(s.r)
	if err != nil {
		return nil, nil, err
	}
	m := new(dns.Msg)
	return m, b, m.Unpack(b)
}

func (s *session) send(m *dns.Msg) {
	if b, err := m.Pack(); err == nil {
		_, _ = s.Write(frame(b))
	}
}

// scripted is a TLS server that runs script for each connection, numbered from 0, and closes it then.
func scripted(t *testing.T, script func(n int, s *session)) netip.AddrPort {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{authorityOnce().issue(t, []string{"dns.example"})}})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for n := 0; ; n++ {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				script(n, &session{conn.(*tls.Conn), bufio.NewReader(conn)})
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	return netip.MustParseAddrPort(l.Addr().String())
}

func TestTLSPipelinesAndPads(t *testing.T) {
	const n = 50
	var conns, resumed, unpadded atomic.Int64
	addr := scripted(t, func(_ int, s *session) {
		conns.Add(1)
		var held []*dns.Msg
		for {
			m, b, err := s.next()
			if err != nil {
				return
			}
			if s.ConnectionState().DidResume {
				resumed.Add(1)
			}
			if len(b)%padBlock != 0 {
				unpadded.Add(1)
			}
			if held = append(held, m); len(held) < n {
				continue
			}
			for i := len(held) - 1; i >= 0; i-- { // only when all are there, and backwards
				s.send(answer(held[i]))
			}
			held = nil
		}
	})
	p := tlsPool(t, 5*time.Second, dot(addr, "dns.example"))
	distinct(t, p, n)
	if c := conns.Load(); c != 1 || unpadded.Load() != 0 {
		t.Errorf("%d connections for %d questions, %d of them not padded", c, n, unpadded.Load())
	}
	for _, o := range p.servers[0].way.(*pipes).open {
		o.fail(errors.New("the test ends it"))
	}
	distinct(t, p, n)
	if conns.Load() != 2 || resumed.Load() == 0 {
		t.Errorf("%d connections, session resumed: %v", conns.Load(), resumed.Load() > 0)
	}
}

func TestTLSManyDistinctQuestions(t *testing.T) {
	var conns atomic.Int64
	addr := scripted(t, func(_ int, s *session) {
		conns.Add(1)
		for m, _, err := s.next(); err == nil; m, _, err = s.next() {
			s.send(answer(m))
		}
	})
	p := tlsPool(t, 5*time.Second, dot(addr, "dns.example"))
	distinct(t, p, 200)
	if c := conns.Load(); c < 1 || c > maxPipes {
		t.Errorf("%d connections", c)
	}
}

func TestTLSResetMidPipeline(t *testing.T) {
	const n = 20
	addr := scripted(t, func(conn int, s *session) {
		for got := 0; ; got++ {
			m, _, err := s.next()
			if err != nil || conn == 0 && got == n/2 {
				_ = s.NetConn().(*net.TCPConn).SetLinger(0) // a reset, not a farewell
				_ = s.NetConn().Close()
				return
			}
			if conn > 0 {
				s.send(answer(m))
			}
		}
	})
	p := tlsPool(t, 5*time.Second, dot(addr, "dns.example"))
	distinct(t, p, n)
	if s := p.Status()[0]; s.Failures != 0 {
		t.Errorf("%d of the questions failed: %s", s.Failures, s.LastErr)
	}
}

func TestTLSReusedConnectionThatDied(t *testing.T) {
	for name, end := range map[string]func(s *session){
		"closed":     func(*session) {},
		"black hole": func(s *session) { _, _, _ = s.next(); _, _, _ = s.next() }, // swallows a question, then waits for the client to close
	} {
		t.Run(name, func(t *testing.T) {
			addr := scripted(t, func(_ int, s *session) {
				if m, _, err := s.next(); err == nil {
					s.send(answer(m))
					end(s)
				}
			})
			p := tlsPool(t, time.Second, dot(addr, "dns.example"))
			for _, name := range []string{"a.example.", "b.example.", "c.example."} {
				if _, err := exchange(p, context.Background(), ask(name)); err != nil {
					t.Fatal(err)
				}
			}
			if s := p.Status()[0]; s.Failures != 0 {
				t.Errorf("status %+v", s)
			}
		})
	}
}

func TestTLSServerThatAlwaysHangsUp(t *testing.T) {
	var conns atomic.Int64
	addr := scripted(t, func(_ int, s *session) { conns.Add(1); _, _, _ = s.next() })
	p := tlsPool(t, 5*time.Second, dot(addr, "dns.example"))
	if _, err := exchange(p, context.Background(), ask("a.example.")); !errors.Is(err, errDead) {
		t.Errorf("error is %v", err)
	}
	if conns.Load() != 2 {
		t.Errorf("%d connections, want one and one more try", conns.Load())
	}
}

func TestTLSIgnoresForeignReplies(t *testing.T) {
	addr := scripted(t, func(_ int, s *session) {
		m, _, err := s.next()
		if err != nil {
			return
		}
		wrong := answer(m)
		wrong.Id++
		s.send(wrong)
		wrong = answer(m)
		wrong.Question[0].Name = "b.example."
		s.send(wrong)
		s.send(answer(m))
		_, _, _ = s.next()
	})
	p := tlsPool(t, 5*time.Second, dot(addr, "dns.example"))
	m, err := exchange(p, context.Background(), ask("a.example."))
	if err != nil {
		t.Fatal(err)
	}
	if m.Answer[0].Header().Name != "a.example." {
		t.Errorf("accepted\n%v", m)
	}
}

func TestTLSIdleConnectionIsClosed(t *testing.T) {
	closed := make(chan struct{})
	once := sync.OnceFunc(func() { close(closed) })
	addr := scripted(t, func(_ int, s *session) {
		if m, _, err := s.next(); err == nil {
			s.send(answer(m))
		}
		_, _, _ = s.next()
		once()
	})
	p := tlsPool(t, 5*time.Second, dot(addr, "dns.example"))
	p.servers[0].way.(*pipes).idle = 500 * time.Millisecond
	if _, err := exchange(p, context.Background(), ask("a.example.")); err != nil {
		t.Fatal(err)
	}
	<-closed
	until(t, "the connection is forgotten", func() bool {
		ps := p.servers[0].way.(*pipes)
		ps.mu.Lock()
		defer ps.mu.Unlock()
		return len(ps.open) == 0
	})
	if s := p.Status()[0]; s.Failures != 0 {
		t.Errorf("idleness counts as a failure: %+v", s)
	}
}
