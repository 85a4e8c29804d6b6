package upstream

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"github.com/quic-go/quic-go"

	"schoolgate/config"
	"schoolgate/resolver/clock"
)

// stub is a DNS server on loopback by any way that is no UDP.
type stub struct {
	config.Server
	questions atomic.Int64
	conns     atomic.Int64
	resumed   atomic.Int64

	mu    sync.Mutex                // guards what follows
	sent  func(msg []byte)          // sees each question, may be nil
	reply func(q *dns.Msg) *dns.Msg // nil: nothing is answered
	web   func(w http.ResponseWriter, r *http.Request) bool
	hang  func() // ends all connections
}

func (s *stub) answer(msg []byte) []byte {
	s.questions.Add(1)
	s.mu.Lock()
	sent, reply := s.sent, s.reply
	s.mu.Unlock()
	if sent != nil {
		sent(msg)
	}
	m := new(dns.Msg)
	if m.Unpack(msg) != nil {
		return nil
	}
	out := reply(m)
	if out == nil {
		return nil
	}
	b, _ := out.Pack()
	return b
}

// stubOf starts a server that answers each question with an address.
func stubOf(t *testing.T, kind config.ServerKind, cert tls.Certificate) *stub {
	t.Helper()
	s := &stub{Server: config.Server{Kind: kind, Name: "dns.example"}, reply: answer}
	conf := &tls.Config{Certificates: []tls.Certificate{cert}}
	switch kind {
	case config.ServerTCP:
		s.Name = ""
		s.stream(t, nil)
	case config.ServerTLS:
		conf.NextProtos = []string{"dot"}
		s.stream(t, conf)
	case config.ServerHTTPS:
		s.Path = "/dns-query"
		s.https(t, conf)
	case config.ServerQUIC:
		conf.NextProtos = []string{"doq"}
		s.quic(t, conf)
	case config.ServerUDP:
	}
	return s
}

func (s *stub) stream(t *testing.T, conf *tls.Config) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Addr = netip.MustParseAddrPort(l.Addr().String())
	var all sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	s.hang = func() {
		mu.Lock()
		defer mu.Unlock()
		for c := range open {
			c.Close()
		}
	}
	serve := func(conn net.Conn) {
		defer conn.Close()
		s.conns.Add(1)
		if tc, ok := conn.(*tls.Conn); ok {
			if tc.Handshake() != nil {
				return
			}
			if tc.ConnectionState().DidResume {
				s.resumed.Add(1)
			}
		}
		for r := bufio.NewReader(conn); ; {
			msg, err := readFrame(r)
			if err != nil {
				return
			}
			if out := s.answer(msg); out != nil {
				_, _ = conn.Write(frame(out))
			}
		}
	}
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open[conn] = true
			mu.Unlock()
			if conf != nil {
				conn = tls.Server(conn, conf)
			}
			all.Go(func() { serve(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		s.hang()
		all.Wait()
	})
}

func (s *stub) https(t *testing.T, conf *tls.Config) {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		web := s.web
		s.mu.Unlock()
		if web != nil && web(w, r) {
			return
		}
		msg, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		out := s.answer(msg)
		if out == nil {
			<-r.Context().Done()
			return
		}
		w.Header().Set("Content-Type", messageType)
		_, _ = w.Write(out)
	}))
	server.TLS, server.EnableHTTP2 = conf, true
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.conns.Add(1)
		}
	}
	server.StartTLS()
	s.Addr = netip.MustParseAddrPort(server.Listener.Addr().String())
	s.hang = server.CloseClientConnections
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
}

func (s *stub) quic(t *testing.T, conf *tls.Config) {
	t.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	transport := &quic.Transport{Conn: quickSocket{socket}}
	l, err := transport.Listen(conf, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Addr = netip.MustParseAddrPort(l.Addr().String())
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	var mu sync.Mutex
	var open []*quic.Conn
	s.hang = func() {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range open {
			_ = c.CloseWithError(0, "")
		}
	}
	all.Go(func() {
		for {
			conn, err := l.Accept(ctx)
			if err != nil {
				return
			}
			s.conns.Add(1)
			if conn.ConnectionState().TLS.DidResume {
				s.resumed.Add(1)
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			all.Go(func() {
				for {
					str, err := conn.AcceptStream(ctx)
					if err != nil {
						return
					}
					all.Go(func() {
						msg, err := io.ReadAll(str)
						if err != nil || len(msg) < 2 || int(msg[0])<<8|int(msg[1]) != len(msg)-2 {
							return
						}
						if out := s.answer(msg[2:]); out != nil {
							_, _ = str.Write(frame(out))
							_ = str.Close()
						}
					})
				}
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		s.hang()
		_ = l.Close()
		_ = transport.Close()
		_ = socket.Close()
		all.Wait()
	})
}

var ways = []config.ServerKind{config.ServerTCP, config.ServerTLS, config.ServerHTTPS, config.ServerQUIC}

// encrypted are those with certificates.
var encrypted = ways[1:]

func TestEveryWay(t *testing.T) {
	for _, kind := range ways {
		t.Run(kind.String(), func(t *testing.T) {
			s := stubOf(t, kind, authorityOnce().issue(t, []string{"dns.example"}))
			var unpadded, numbered, optioned atomic.Int64
			s.mu.Lock()
			s.sent = func(msg []byte) {
				if kind.Encrypted() && len(msg)%padBlock != 0 {
					unpadded.Add(1)
				}
				m := new(dns.Msg)
				if m.Unpack(msg) != nil || m.IsEdns0() == nil {
					return
				}
				if m.Id != 0 && (kind == config.ServerHTTPS || kind == config.ServerQUIC) {
					numbered.Add(1)
				}
				for _, o := range m.IsEdns0().Option {
					if o.Option() != dns.EDNS0PADDING {
						optioned.Add(1)
					}
				}
			}
			s.mu.Unlock()
			p := tlsPool(t, 5*time.Second, s.Server)
			const n = 400
			distinct(t, p, n)
			if s.questions.Load() != n || s.conns.Load() > 20 { // one, or as many as the protocol lets be; more on a machine so busy that some seem dead
				t.Errorf("%d questions on %d connections", s.questions.Load(), s.conns.Load())
			}
			if unpadded.Load()+numbered.Load()+optioned.Load() > 0 {
				t.Errorf("%d unpadded, %d with an ID, %d with options", unpadded.Load(), numbered.Load(), optioned.Load())
			}
			st := p.Status()[0]
			if st.Kind != kind.String() || !st.Healthy || st.RTT == 0 || st.Queries != n || !strings.HasPrefix(st.Address, kind.String()+"://127.0.0.1:") {
				t.Errorf("status %+v", st)
			}
		})
	}
}

// TestConnectionThatDied: a server that hung up, or whose connection leads nowhere, costs a question no more than time.
func TestConnectionThatDied(t *testing.T) {
	for _, kind := range ways {
		t.Run(kind.String(), func(t *testing.T) {
			s := stubOf(t, kind, authorityOnce().issue(t, []string{"dns.example"}))
			p := tlsPool(t, 5*time.Second, s.Server)
			for i := range 3 {
				if _, err := exchange(p, context.Background(), ask(fmt.Sprintf("a%d.example.", i))); err != nil {
					t.Fatalf("question %d: %v", i, err)
				}
				s.hang()
			}
			if n := s.conns.Load(); n < 3 {
				t.Errorf("%d connections", n)
			}
			if (kind == config.ServerTLS || kind == config.ServerQUIC) && s.resumed.Load() == 0 {
				t.Error("no session was resumed")
			}
		})
	}
}

func TestSilentConnectionIsReplaced(t *testing.T) {
	for _, kind := range ways {
		t.Run(kind.String(), func(t *testing.T) {
			front := stubOf(t, kind, authorityOnce().issue(t, []string{"dns.example"}))
			hole := newHole(t, kind, front.Addr)
			to := front.Server
			to.Addr = hole.addr
			p := tlsPool(t, time.Second, to)
			if _, err := exchange(p, context.Background(), ask("a.example.")); err != nil {
				t.Fatal(err)
			}
			hole.swallow()
			_, err := exchange(p, context.Background(), ask("b.example."))
			if err != nil { // something may have been on its way still: then the connection counts as alive, once
				_, err = exchange(p, context.Background(), ask("c.example."))
			}
			if err != nil {
				t.Errorf("with a connection that leads nowhere: %v", err)
			}
		})
	}
}

// hole passes on to a server, until the connections that there are lead nowhere.
type hole struct {
	addr netip.AddrPort
	age  atomic.Int64 // connections and flows made in an age before this one are dead
}

func (h *hole) swallow() { h.age.Add(1) }

func newHole(t *testing.T, kind config.ServerKind, to netip.AddrPort) *hole {
	t.Helper()
	h := new(hole)
	if kind == config.ServerQUIC {
		h.datagrams(t, to)
	} else {
		h.streams(t, to)
	}
	return h
}

func (h *hole) streams(t *testing.T, to netip.AddrPort) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.addr = netip.MustParseAddrPort(l.Addr().String())
	var all sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	pass := func(age int64, dst, src net.Conn) {
		buf := make([]byte, 4096)
		for {
			n, err := src.Read(buf)
			if err != nil {
				return
			}
			if h.age.Load() == age {
				_, _ = dst.Write(buf[:n])
			}
		}
	}
	all.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to.String())
			if err != nil {
				in.Close()
				continue
			}
			mu.Lock()
			open = append(open, in, out)
			mu.Unlock()
			age := h.age.Load()
			all.Go(func() { pass(age, out, in) })
			all.Go(func() { pass(age, in, out) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
}

func (h *hole) datagrams(t *testing.T, to netip.AddrPort) {
	t.Helper()
	front, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	h.addr = netip.MustParseAddrPort(front.LocalAddr().String())
	var all sync.WaitGroup
	flows := map[netip.AddrPort]*net.UDPConn{}
	ages := map[netip.AddrPort]int64{}
	all.Go(func() {
		defer func() {
			for _, c := range flows {
				c.Close()
			}
		}()
		buf := make([]byte, 4096)
		for {
			n, from, err := front.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			back, ok := flows[from]
			if !ok {
				if back, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to)); err != nil {
					return
				}
				flows[from], ages[from] = back, h.age.Load()
				age := ages[from]
				all.Go(func() {
					buf := make([]byte, 4096)
					for {
						n, err := back.Read(buf)
						if err != nil {
							return
						}
						if h.age.Load() == age {
							_, _ = front.WriteToUDPAddrPort(buf[:n], from)
						}
					}
				})
			}
			if h.age.Load() == ages[from] {
				_, _ = back.Write(buf[:n])
			}
		}
	})
	t.Cleanup(func() {
		front.Close()
		all.Wait()
	})
}

func TestCertificates(t *testing.T) {
	ca := authorityOnce()
	good := ca.issue(t, []string{"dns.example"})
	lone := selfSigned(t)
	pin := func(der []byte) config.Pins {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		d := sha256.Sum256(c.RawSubjectPublicKeyInfo)
		return config.Pins(d[:])
	}
	for _, kind := range encrypted {
		for _, tt := range []struct {
			what  string
			cert  tls.Certificate
			name  string
			roots *x509.CertPool
			pins  config.Pins
			ok    bool
		}{
			{"the name", good, "dns.example", ca.pool, "", true},
			{"another name", good, "other.example", ca.pool, "", false},
			{"an unknown authority", good, "dns.example", x509.NewCertPool(), "", false},
			{"nobody vouches for it", lone, "dns.example", ca.pool, "", false},
			{"its key is pinned", good, "dns.example", ca.pool, pin(good.Certificate[0]), true},
			{"another key is pinned", good, "dns.example", ca.pool, pin(lone.Certificate[0]), false},
			{"one of two keys is pinned", good, "dns.example", ca.pool, pin(lone.Certificate[0]) + pin(good.Certificate[0]), true},
			{"the key of the authority is pinned", good, "dns.example", ca.pool, pin(ca.cert.Raw), true},
			{"the key of the authority is pinned, the name is another", good, "other.example", ca.pool, pin(ca.cert.Raw), false},
			{"nobody vouches for it but the pin", lone, "dns.example", ca.pool, pin(lone.Certificate[0]), true},
		} {
			t.Run(kind.String()+" "+tt.what, func(t *testing.T) {
				s := stubOf(t, kind, tt.cert)
				s.Name, s.Pins = tt.name, tt.pins
				p := pool(t, 5*time.Second, s.Server)
				p.RootCAs = tt.roots
				_, err := exchange(p, context.Background(), ask("a.example."))
				if (err == nil) != tt.ok || (s.questions.Load() > 0) != tt.ok {
					t.Errorf("error %v, %d questions sent", err, s.questions.Load())
				}
			})
		}
	}
}

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	c := authorityOnce().issue(t, []string{"dns.example"})
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, leaf.PublicKey, c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: c.PrivateKey}
}

// TestClockThatIsWrong: certificates are checked against a time that can be, and what is from the future is believed only
// while nobody keeps the clock.
func TestClockThatIsWrong(t *testing.T) {
	now := time.Now()
	day := 24 * time.Hour
	for _, kind := range encrypted {
		for _, tt := range []struct {
			what         string
			clock, built time.Time
			synced       bool
			from, to     time.Time
			ok, wrong    bool
		}{
			{"all is well", now, now.Add(-30 * day), true, now.Add(-day), now.Add(day), true, false},
			{"1970, built since the certificate was made", time.Unix(0, 0), now, false, now.Add(-day), now.Add(day), true, true},
			{"1970, built before the certificate was made", time.Unix(0, 0), now.Add(-30 * day), false, now.Add(-day), now.Add(day), true, true},
			{"behind since the last time it ran", now.Add(-20 * day), now.Add(-30 * day), false, now.Add(-day), now.Add(day), true, true},
			{"behind, though somebody keeps it", now.Add(-20 * day), now.Add(-30 * day), true, now.Add(-day), now.Add(day), false, false},
			{"1970, and the certificate ended before the build", time.Unix(0, 0), now, false, now.Add(-9 * day), now.Add(-day), false, true},
			{"the certificate has ended", now, now.Add(-30 * day), false, now.Add(-9 * day), now.Add(-day), false, false},
			{"far ahead", now.Add(9000 * day), now.Add(-30 * day), false, now.Add(-day), now.Add(day), false, false},
		} {
			t.Run(kind.String()+" "+tt.what, func(t *testing.T) {
				s := stubOf(t, kind, authorityOnce().issueFor(t, tt.from, tt.to, []string{"dns.example"}))
				p := tlsPool(t, 5*time.Second, s.Server)
				p.Clock = &clock.Clock{Built: tt.built, System: func() time.Time { return tt.clock }, Synchronised: func() bool { return tt.synced }}
				_, err := exchange(p, context.Background(), ask("a.example."))
				if (err == nil) != tt.ok || (s.questions.Load() > 0) != tt.ok {
					t.Errorf("error %v, %d questions sent", err, s.questions.Load())
				}
				if !tt.ok && !strings.Contains(err.Error(), "set the clock") {
					t.Errorf("the error says nothing of the clock: %v", err)
				}
				if _, _, wrong := p.Clock.Wrong(); wrong != tt.wrong {
					t.Errorf("wrong: %v", wrong)
				}
			})
		}
	}
}

// TestFutureDoesNotVouch: a date in the future makes no certificate good that is bad for another reason, and teaches nothing.
func TestFutureDoesNotVouch(t *testing.T) {
	s := stubOf(t, config.ServerTLS, authorityOnce().issueFor(t, time.Now().Add(time.Hour), time.Now().Add(2*time.Hour), []string{"other.example"}))
	p := tlsPool(t, 5*time.Second, s.Server)
	p.Clock = &clock.Clock{Synchronised: func() bool { return false }}
	if _, err := exchange(p, context.Background(), ask("a.example.")); err == nil {
		t.Error("a certificate for another name was taken")
	}
	if _, _, wrong := p.Clock.Wrong(); wrong {
		t.Error("the clock was set by a stranger")
	}
}

func TestHTTPSSendsTheQuestionAlone(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	t.Setenv("https_proxy", "http://127.0.0.1:1")
	s := stubOf(t, config.ServerHTTPS, authorityOnce().issue(t, []string{"dns.example"}))
	s.Path = "/school/4711"
	var got *http.Request
	s.mu.Lock()
	s.web = func(w http.ResponseWriter, r *http.Request) bool {
		got = r.Clone(context.Background())
		http.SetCookie(w, &http.Cookie{Name: "known", Value: "again"})
		return false
	}
	s.mu.Unlock()
	p := tlsPool(t, 5*time.Second, s.Server)
	for _, name := range []string{"a.example.", "b.example."} {
		if _, err := exchange(p, context.Background(), ask(name)); err != nil {
			t.Fatal(err)
		}
	}
	if got.Method != http.MethodPost || got.URL.Path != "/school/4711" || got.Proto != "HTTP/2.0" || !strings.HasPrefix(got.Host, "dns.example") {
		t.Errorf("%s %s to %s by %s", got.Method, got.URL, got.Host, got.Proto)
	}
	for _, h := range []string{"User-Agent", "Cookie", "Accept-Encoding", "Referer", "Accept-Language"} {
		if v, ok := got.Header[h]; ok {
			t.Errorf("%s: %q", h, v)
		}
	}
	if s.conns.Load() != 1 {
		t.Errorf("%d connections", s.conns.Load())
	}
	if a := p.Status()[0].Address; strings.Contains(a, "4711") {
		t.Errorf("the path shows: %s", a)
	}
}

func TestHTTPSAnswersThatAreNone(t *testing.T) {
	for what, web := range map[string]func(w http.ResponseWriter, r *http.Request) bool{
		"a redirect": func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, "https://other.example/dns-query", http.StatusTemporaryRedirect)
			return true
		},
		"an error": func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Type", messageType)
			w.WriteHeader(http.StatusBadGateway)
			return true
		},
		"a page": func(w http.ResponseWriter, r *http.Request) bool {
			_, _ = io.WriteString(w, "<html>")
			return true
		},
		"too much": func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Type", messageType)
			_, _ = w.Write(make([]byte, 1<<20))
			return true
		},
		"too little": func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Type", messageType)
			_, _ = w.Write(make([]byte, 3))
			return true
		},
		"an answer to another question": func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Type", messageType)
			b, _ := answer(ask("other.example.")).Pack()
			_, _ = w.Write(b)
			return true
		},
	} {
		t.Run(what, func(t *testing.T) {
			s := stubOf(t, config.ServerHTTPS, authorityOnce().issue(t, []string{"dns.example"}))
			s.mu.Lock()
			s.web = web
			s.mu.Unlock()
			p := tlsPool(t, 5*time.Second, s.Server)
			if m, err := exchange(p, context.Background(), ask("a.example.")); err == nil {
				t.Errorf("got %v", m)
			}
			if st := p.Status()[0]; st.Failures != 1 {
				t.Errorf("status %+v", st)
			}
		})
	}
}

func TestPoolEndsWithQuestionsUnderWay(t *testing.T) {
	for _, kind := range ways {
		t.Run(kind.String(), func(t *testing.T) {
			s := stubOf(t, kind, authorityOnce().issue(t, []string{"dns.example"}))
			s.mu.Lock()
			s.reply = func(*dns.Msg) *dns.Msg { return nil }
			s.mu.Unlock()
			p := tlsPool(t, 5*time.Second, s.Server)
			failed := make(chan error)
			go func() {
				_, err := exchange(p, context.Background(), ask("a.example."))
				failed <- err
			}()
			until(t, "the question arrives", func() bool { return s.questions.Load() > 0 })
			p.close()
			if err := <-failed; err == nil || errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// TestServersAreTold: two servers that differ by a path alone have names of their own, and neither shows the path.
func TestServersAreTold(t *testing.T) {
	a := config.Server{Kind: config.ServerHTTPS, Addr: netip.MustParseAddrPort("192.0.2.1:443"), Name: "dns.example", Path: "/one"}
	b, c := a, a
	b.Path, c.Path = "/two", "/three"
	var got []string
	for _, s := range pool(t, time.Second, a, b, c).Status() {
		got = append(got, s.Address)
	}
	want := []string{"https://192.0.2.1:443#dns.example", "https://192.0.2.1:443#dns.example (2)", "https://192.0.2.1:443#dns.example (3)"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
