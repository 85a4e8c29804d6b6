package listen

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"github.com/quic-go/quic-go"

	"schoolgate/resolver/certificate"
	"schoolgate/resolver/query"
)

const boxName = "dns.school.example"

// secure is a server of all encrypted transports, and whom its clients trust.
type secure struct {
	*Server
	tls, https, quic netip.AddrPort
	roots            *x509.CertPool
}

func securely(t testing.TB, a *answerer, edit func(*Server)) *secure {
	t.Helper()
	box := &certificate.Box{Dir: t.TempDir(), Built: time.Now().Add(-time.Hour)}
	box.Set(certificate.Settings{Names: certificate.Names{Host: boxName, Addrs: []netip.Addr{localhost.Addr()}}})
	s := listening(t, a, localhost, func(s *Server) {
		one := []netip.AddrPort{localhost}
		s.Encrypted = &Encrypted{TLS: one, HTTPS: one, QUIC: one, Certificate: box.Get, Ident: func(name string) string {
			label, below := strings.CutSuffix(name, "."+boxName)
			if !below {
				return ""
			}
			return label
		}}
		if edit != nil {
			edit(s)
		}
	})
	x := &secure{Server: s, roots: x509.NewCertPool()}
	x.roots.AddCert(box.Status().Authority)
	over, https, quic := s.Encrypted.Bound()
	x.tls, x.https, x.quic = over[0], https[0], quic[0]
	return x
}

func (x *secure) conf(name string, protos ...string) *tls.Config {
	return &tls.Config{RootCAs: x.roots, ServerName: name, NextProtos: protos}
}

func (x *secure) overTLS(t testing.TB, name string) *client {
	t.Helper()
	c, err := tls.Dial("tcp", x.tls.String(), x.conf(name, "dot"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return &client{t, c, true}
}

// browser is a client of HTTPS, with HTTP/2.
func (x *secure) browser(t testing.TB) *http.Client {
	transport := &http.Transport{TLSClientConfig: x.conf(boxName), ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// get gives the status of a page.
func get(b *http.Client, url string) (int, error) {
	resp, err := b.Get(url)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

func (x *secure) url(path string) string { return "https://" + x.https.String() + path }

// overQUIC dials by quic-go.
func (x *secure) overQUIC(t testing.TB, name string) *quic.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := quic.DialAddr(ctx, x.quic.String(), x.conf(name, "doq"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.CloseWithError(0, "") })
	return c
}

// ask sends bytes on a stream of its own, ends it, and gives what came back.
func ask(c *quic.Conn, raw []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	stream, err := c.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	stream.SetDeadline(time.Now().Add(patience))
	if _, err := stream.Write(raw); err != nil {
		return nil, err
	}
	stream.Close()
	return io.ReadAll(stream)
}

func framed(msg []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)
}

func unframed(t testing.TB, raw []byte) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	if len(raw) < 2 || int(binary.BigEndian.Uint16(raw)) != len(raw)-2 {
		t.Fatalf("no one message: %x", raw)
	}
	if err := m.Unpack(raw[2:]); err != nil {
		t.Fatal(err)
	}
	return m
}

func padded(m *dns.Msg) {
	m.SetEdns0(1232, false)
	m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_PADDING{Padding: make([]byte, 11)})
}

func keepAlive(m *dns.Msg) {
	m.SetEdns0(1232, false)
	m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE})
}

// Requests on one connection are answered as their answers come.
func TestTLS(t *testing.T) {
	a := newAnswerer()
	x := securely(t, a, nil)
	run(t, x.Server)
	c := x.overTLS(t, "tablet7."+boxName)
	c.send(question(t, 1, "held.example."), question(t, 2, "blocked.example."), question(t, 3, "slow.example."))
	ids := []uint16{c.receive().Id, c.receive().Id}
	slices.Sort(ids)
	close(a.release)
	if d := cmp.Diff([]uint16{2, 3, 1}, append(ids, c.receive().Id)); d != "" {
		t.Error(d)
	}
	c.send(question(t, 4, "blocked.example.", padded))
	reply := make([]byte, 2)
	if _, err := io.ReadFull(c, reply); err != nil || binary.BigEndian.Uint16(reply) != 468 {
		t.Errorf("a padded question got %v bytes, %v", reply, err)
	}
	io.CopyN(io.Discard, c, 468)
	c.send(question(t, 5, "blocked.example.", keepAlive))
	if k, ok := c.receive().IsEdns0().Option[0].(*dns.EDNS0_TCP_KEEPALIVE); !ok || k.Timeout != 300 {
		t.Errorf("keep-alive: %v", k)
	}
	for _, q := range a.records(t, 5) {
		if q.Proto != query.TLS || q.Ident != "tablet7" || !q.Proven || q.Asked != localhost.Addr() {
			t.Errorf("recorded as %v, ident %q, asked at %v", q.Proto, q.Ident, q.Asked)
		}
	}
	if q := a.records(t, 5); q[0].Client.Addr != localhost.Addr() {
		t.Errorf("client %v", q[0].Client.Addr)
	}
}

// Another protocol is none of ours, old TLS neither, and what is no TLS ends at once.
func TestTLSRefuses(t *testing.T) {
	x := securely(t, newAnswerer(), nil)
	run(t, x.Server)
	old := x.conf(boxName, "dot")
	old.MaxVersion = tls.VersionTLS11
	for name, conf := range map[string]*tls.Config{"h2": x.conf(boxName, "h2"), "TLS 1.1": old} {
		if c, err := tls.Dial("tcp", x.tls.String(), conf); err == nil {
			t.Errorf("%s: taken", name)
			c.Close()
		}
	}
	c := dial(t, "tcp", x.tls)
	c.send(question(t, 1, "blocked.example."))
	io.Copy(io.Discard, c) // an alert, then the end
	eventually(t, "handshakes to be counted", func() bool { return x.Stats().Handshakes == 3 })
}

func TestHTTPS(t *testing.T) {
	a := newAnswerer()
	x := securely(t, a, func(s *Server) {
		s.Encrypted.Other = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/panic" {
				panic("on purpose")
			}
			w.WriteHeader(http.StatusTeapot)
		})
	})
	run(t, x.Server)
	b := x.browser(t)
	plain, long := question(t, 0, "slow.example."), make([]byte, maxRequest+1)
	get := func(msg []byte) string { return "?dns=" + base64.RawURLEncoding.EncodeToString(msg) }
	tests := []struct {
		name, method, path, kind string
		body                     []byte
		status                   int
		ident, cache             string
	}{
		{"POST", "POST", "/dns-query", dohType, plain, 200, "", "private, max-age=60"},
		{"POST with parameters", "POST", "/dns-query", dohType + "; charset=x", plain, 200, "", "private, max-age=60"},
		{"GET", "GET", "/dns-query" + get(plain), "", nil, 200, "", "private, max-age=60"},
		{"GET, padded base64", "GET", "/dns-query" + get(plain) + "==", "", nil, 200, "", "private, max-age=60"},
		{"HEAD", "HEAD", "/dns-query" + get(plain), "", nil, 200, "", "private, max-age=60"},
		{"ident", "POST", "/dns-query/Tablet7", dohType, plain, 200, "tablet7", "private, max-age=60"},
		{"malformed is a reply", "POST", "/dns-query", dohType, question(t, 0, "a.example.", noQuestion), 200, "", "private, max-age=0"},
		{"a response", "POST", "/dns-query", dohType, question(t, 0, "a.example.", func(m *dns.Msg) { m.Response = true }), 400, "", ""},
		{"too short", "POST", "/dns-query", dohType, plain[:11], 400, "", ""},
		{"empty", "POST", "/dns-query", dohType, nil, 400, "", ""},
		{"too long", "POST", "/dns-query", dohType, long, 413, "", ""},
		{"too long by GET", "GET", "/dns-query" + get(long), "", nil, 414, "", ""},
		{"no dns", "GET", "/dns-query", "", nil, 400, "", ""},
		{"no base64", "GET", "/dns-query?dns=a+b", "", nil, 400, "", ""},
		{"another type", "POST", "/dns-query", "application/json", plain, 415, "", ""},
		{"no type", "POST", "/dns-query", "", plain, 415, "", ""},
		{"another method", "PUT", "/dns-query", dohType, plain, 405, "", ""},
		{"deeper", "POST", "/dns-query/a/b", dohType, plain, 418, "", ""},
		{"no ident", "POST", "/dns-query/a.b", dohType, plain, 418, "", ""},
		{"elsewhere", "GET", "/", "", nil, 418, "", ""},
		{"panic elsewhere", "GET", "/panic", "", nil, 500, "", ""},
	}
	n := 0
	for _, tt := range tests {
		req, err := http.NewRequest(tt.method, x.url(tt.path), bytes.NewReader(tt.body))
		if err != nil {
			t.Fatal(err)
		}
		if tt.kind != "" {
			req.Header.Set("Content-Type", tt.kind)
		}
		resp, err := b.Do(req)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != tt.status || resp.Header.Get("Cache-Control") != tt.cache || resp.ProtoMajor != 2 || err != nil {
			t.Errorf("%s: %s, cache %q, %v", tt.name, resp.Status, resp.Header.Get("Cache-Control"), err)
		}
		if tt.status != 200 {
			continue
		}
		n++
		if q := a.records(t, n)[n-1]; q.Proto != query.HTTPS || q.Ident != tt.ident || q.Client.Addr != localhost.Addr() || q.Asked != localhost.Addr() {
			t.Errorf("%s: recorded as %v, ident %q", tt.name, q.Proto, q.Ident)
		}
		if m := new(dns.Msg); tt.method != "HEAD" && m.Unpack(body) != nil || resp.Header.Get("Content-Type") != dohType {
			t.Errorf("%s: no message: %x", tt.name, body)
		}
	}
	if got := len(a.records(t, n)); got != n {
		t.Errorf("%d recorded, want %d", got, n)
	}
	if p := x.Stats().Panics; p != 1 {
		t.Errorf("%d panics", p)
	}
}

// By HTTP/1.1, from the server name, padded, large, and with a query that panics.
func TestHTTPSOnceMore(t *testing.T) {
	a := newAnswerer()
	x := securely(t, a, nil)
	run(t, x.Server)
	transport := &http.Transport{TLSClientConfig: x.conf("phone."+boxName, "http/1.1")}
	defer transport.CloseIdleConnections()
	b := &http.Client{Transport: transport, Timeout: patience}
	for _, tt := range []struct {
		name   string
		edit   func(*dns.Msg)
		rcode  int
		length int
	}{
		{"blocked.example.", padded, dns.RcodeNameError, 468},
		{"big.example.", padded, dns.RcodeSuccess, 5148},
		{"slowpanic.example.", func(*dns.Msg) {}, dns.RcodeServerFailure, 35},
		{"panic.example.", func(*dns.Msg) {}, dns.RcodeServerFailure, 31},
	} {
		resp, err := b.Post(x.url("/dns-query"), dohType, bytes.NewReader(question(t, 0, tt.name, tt.edit)))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		m := new(dns.Msg)
		if err := m.Unpack(body); err != nil || m.Rcode != tt.rcode || len(body) != tt.length {
			t.Errorf("%s: %v, %d bytes, %v", tt.name, dns.RcodeToString[m.Rcode], len(body), err)
		}
	}
	for _, q := range a.records(t, 4) {
		if q.Ident != "phone" {
			t.Errorf("ident %q", q.Ident)
		}
	}
	if status, err := get(b, x.url("/")); status != http.StatusNotFound {
		t.Errorf("elsewhere: %d, %v", status, err)
	}
}

// The end of one request over HTTPS does not end what others wait for.
func TestHTTPSRequestsEndAlone(t *testing.T) {
	a := newAnswerer()
	x := securely(t, a, nil)
	run(t, x.Server)
	b := x.browser(t)
	post := func(name string) (*dns.Msg, error) {
		resp, err := b.Post(x.url("/dns-query"), dohType, bytes.NewReader(question(t, 0, name)))
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		m := new(dns.Msg)
		return m, errors.Join(err, m.Unpack(body))
	}
	if _, err := post("slow.example."); err != nil {
		t.Fatal(err)
	}
	got := make(chan *dns.Msg, 1)
	go func() {
		m, _ := post("held.example.")
		got <- m
	}()
	eventually(t, "the query to wait", func() bool { return x.Stats().InFlight == 1 })
	close(a.release)
	if m := <-got; m == nil || m.Rcode != dns.RcodeSuccess {
		t.Error(m)
	}
}

func TestQUIC(t *testing.T) {
	a := newAnswerer()
	x := securely(t, a, nil)
	run(t, x.Server)
	c := x.overQUIC(t, "tablet7."+boxName)
	type reply struct {
		raw []byte
		err error
	}
	held := make(chan reply, 1)
	go func() {
		raw, err := ask(c, framed(question(t, 0, "held.example.")))
		held <- reply{raw, err}
	}()
	eventually(t, "the query to wait", func() bool { return x.Stats().InFlight == 1 })
	for _, tt := range []struct {
		name   string
		edit   func(*dns.Msg)
		rcode  int
		length int
	}{
		{"blocked.example.", padded, dns.RcodeNameError, 468},
		{"slow.example.", padded, dns.RcodeSuccess, 468},
		{"big.example.", func(*dns.Msg) {}, dns.RcodeSuccess, 4829},
		{"slowpanic.example.", func(*dns.Msg) {}, dns.RcodeServerFailure, 35},
	} {
		raw, err := ask(c, framed(question(t, 0, tt.name, tt.edit)))
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if m := unframed(t, raw); m.Rcode != tt.rcode || m.Id != 0 || len(raw)-2 != tt.length {
			t.Errorf("%s: %d bytes, %v", tt.name, len(raw)-2, m)
		}
	}
	close(a.release)
	if r := <-held; r.err != nil || len(unframed(t, r.raw).Answer) != 1 {
		t.Error(r.err)
	}
	for _, q := range a.records(t, 5) {
		if q.Proto != query.QUIC || q.Ident != "tablet7" || q.Client.Addr != localhost.Addr() || !q.Asked.IsValid() {
			t.Errorf("recorded as %v, ident %q, asked at %v", q.Proto, q.Ident, q.Asked)
		}
	}
}

// Whoever breaks the protocol loses the connection (RFC 9250 section 4.3.3).
func TestQUICBroken(t *testing.T) {
	x := securely(t, newAnswerer(), nil)
	run(t, x.Server)
	good := framed(question(t, 0, "blocked.example."))
	for name, raw := range map[string][]byte{
		"id":         framed(question(t, 7, "blocked.example.")),
		"empty":      {},
		"half":       good[:len(good)-1],
		"too much":   append(slices.Clone(good), 0),
		"two":        append(slices.Clone(good), good...),
		"short":      framed(good[2:10]),
		"response":   framed(question(t, 0, "a.example.", func(m *dns.Msg) { m.Response = true })),
		"too long":   append([]byte{0x10, 0x01}, make([]byte, 0x1001)...),
		"keep-alive": framed(question(t, 0, "blocked.example.", keepAlive)),
	} {
		_, err := ask(x.overQUIC(t, boxName), raw)
		if e, ok := errors.AsType[*quic.ApplicationError](err); !ok || e.ErrorCode != doqProtocolError {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := x.overQUIC(t, boxName)
	if s, err := c.OpenUniStream(); err == nil {
		t.Errorf("a stream in one direction was granted: %v", s.StreamID())
	}
	if raw, err := ask(c, good); err != nil || unframed(t, raw).Rcode != dns.RcodeNameError {
		t.Errorf("others: %v", err)
	}
}

// Whoever comes must show first that the address is theirs. To one that is claimed, less is sent than came, and nothing is kept for it.
func TestQUICClaimedAddress(t *testing.T) {
	x := securely(t, newAnswerer(), nil)
	run(t, x.Server)
	before := x.Stats()
	sink, err := net.ListenUDP("udp4", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	// What follows is one first packet, whose sender does not listen.
	ctx, cancel := context.WithCancel(t.Context())
	once := &deaf{PacketConn: sink, closed: make(chan struct{})}
	tr := &quic.Transport{Conn: once}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tr.Dial(ctx, net.UDPAddrFromAddrPort(x.quic), x.conf(boxName, "doq"), nil)
	}()
	var reply [2048]byte
	n, err := sink.Read(reply[:])
	cancel()
	<-ended
	tr.Close()
	if err != nil || n == 0 || n >= 1200 || reply[0]&0xf0 != 0xf0 { // a long header of type Retry
		t.Errorf("%d bytes, %#x, %v", n, reply[0], err)
	}
	// Each copy of it was answered by no more than a Retry, and there is nothing that would be sent again later.
	if got := x.Stats().TCPAccepted - before.TCPAccepted; got != 0 {
		t.Errorf("%d sessions", got)
	}
	raw, err := ask(x.overQUIC(t, boxName), framed(question(t, 0, "blocked.example.")))
	if err != nil || unframed(t, raw).Rcode != dns.RcodeNameError {
		t.Error(err)
	}
}

// deaf is a socket that is sent on and not read.
type deaf struct {
	net.PacketConn
	once   sync.Once
	closed chan struct{}
}

func (d *deaf) ReadFrom([]byte) (int, net.Addr, error) {
	<-d.closed
	return 0, nil, net.ErrClosed
}

func (d *deaf) SetReadDeadline(time.Time) error {
	d.once.Do(func() { close(d.closed) })
	return nil
}

// All transports share one table, and one bound for each client.
func TestSessionsOfAllTransports(t *testing.T) {
	x := securely(t, newAnswerer(), func(s *Server) { s.Limits.SessionsPerClient = 3 })
	run(t, x.Server)
	x.overTLS(t, boxName)
	web := x.browser(t)
	if _, err := get(web, x.url("/")); err != nil {
		t.Fatal(err)
	}
	x.overQUIC(t, boxName)
	eventually(t, "three sessions", func() bool { return x.Stats().TCPOpen == 3 })
	dial(t, "tcp", x.Server.Bound()[0]).closed()
	if c, err := tls.Dial("tcp", x.tls.String(), x.conf(boxName)); err == nil {
		t.Error("a fourth by TLS")
		c.Close()
	}
	if _, err := get(x.browser(t), x.url("/")); err == nil {
		t.Error("a fourth by HTTPS")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := quic.DialAddr(ctx, x.quic.String(), x.conf(boxName, "doq"), nil); err == nil {
		t.Error("a fourth by QUIC")
	}
	web.CloseIdleConnections()
	eventually(t, "room", func() bool { return x.Stats().TCPOpen == 2 })
	x.overTLS(t, boxName)
}

// Whoever says nothing is let go.
func TestIdleEnds(t *testing.T) {
	x := securely(t, newAnswerer(), func(s *Server) { s.Limits.Idle, s.Limits.IdleTLS = 50*time.Millisecond, 50*time.Millisecond })
	run(t, x.Server)
	dial(t, "tcp", x.tls).closed() // no handshake
	dial(t, "tcp", x.https).closed()
	c := x.overTLS(t, boxName)
	c.send(question(t, 1, "blocked.example."))
	c.receive()
	c.closed()
	q := x.overQUIC(t, boxName)
	<-q.Context().Done()
	if _, err := get(x.browser(t), x.url("/")); err != nil {
		t.Error(err)
	}
	eventually(t, "all to end", func() bool { return x.Stats().TCPOpen == 0 })
}

// What is in flight when the server is told to stop is still answered, over each transport.
func TestEncryptedStopDrains(t *testing.T) {
	a := newAnswerer()
	x := securely(t, a, func(s *Server) { s.Limits.Drain = patience })
	stop := run(t, x.Server)
	msg := question(t, 0, "held.example.")
	c, q, b := x.overTLS(t, boxName), x.overQUIC(t, boxName), x.browser(t)
	results := make(chan error, 2)
	go func() {
		raw, err := ask(q, framed(msg))
		if err == nil && len(raw) < 12 {
			err = errors.New("no answer over QUIC")
		}
		results <- err
	}()
	go func() {
		resp, err := b.Post(x.url("/dns-query"), dohType, bytes.NewReader(msg))
		if err == nil {
			if err = resp.Body.Close(); resp.StatusCode != 200 {
				err = errors.New(resp.Status)
			}
		}
		results <- err
	}()
	c.send(msg)
	eventually(t, "the queries to wait", func() bool { return x.Stats().InFlight == 3 })
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	eventually(t, "no more connections", func() bool {
		nc, err := net.Dial("tcp", x.https.String())
		if err == nil {
			nc.Close()
		}
		return err != nil
	})
	close(a.release)
	if m := c.receive(); len(m.Answer) != 1 {
		t.Error(m)
	}
	for range 2 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	b.CloseIdleConnections()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Without a certificate handshakes fail and nothing else does.
func TestNoCertificate(t *testing.T) {
	none := new(certificate.Box)
	x := securely(t, newAnswerer(), func(s *Server) { s.Encrypted.Certificate = none.Get })
	run(t, x.Server)
	if _, err := tls.Dial("tcp", x.tls.String(), x.conf(boxName)); err == nil {
		t.Error("a connection without a certificate")
	}
	c := dial(t, "tcp", x.Server.Bound()[0])
	c.send(question(t, 1, "blocked.example."))
	c.receive()
}

// TestEncryptedBindError: an address of encrypted DNS that another program has costs nobody the plain one, nor the others.
func TestEncryptedBindError(t *testing.T) {
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	a, addr := newAnswerer(), taken.Addr().(*net.TCPAddr).AddrPort()
	s := &Server{Addrs: []netip.AddrPort{localhost}, Inline: a.inline, Resolve: a.resolve}
	s.Encrypted = &Encrypted{HTTPS: []netip.AddrPort{addr}, TLS: []netip.AddrPort{localhost}, Certificate: new(certificate.Box).Get}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if failed := s.Encrypted.Failed(); len(failed) != 1 || failed[0].Addr != addr || failed[0].Hint() == "" {
		t.Errorf("failed: %v", failed)
	}
	if tls, https, _ := s.Encrypted.Bound(); len(s.Bound()) != 1 || len(tls) != 1 || len(https) != 0 {
		t.Errorf("bound %v, %v, %v", s.Bound(), tls, https)
	}
}

func FuzzDoHPath(f *testing.F) {
	f.Add("/dns-query/tablet-7")
	f.Fuzz(func(t *testing.T, path string) {
		ident, ok := dohIdent(path)
		if !ok && ident != "" || strings.ContainsAny(ident, "/. ") || len(ident) > 63 {
			t.Errorf("%q: %q, %v", path, ident, ok)
		}
	})
}

func FuzzDoHRequest(f *testing.F) {
	f.Add("AAABAAABAAAAAAAAAWEHZXhhbXBsZQAAAQAB", "application/dns-message", []byte("x"), true)
	f.Fuzz(func(t *testing.T, dns, kind string, body []byte, post bool) {
		r := &http.Request{Method: "GET", URL: &url.URL{RawQuery: url.Values{"dns": {dns}}.Encode()}, Header: http.Header{"Content-Type": {kind}}}
		if post {
			r.Method, r.Body, r.ContentLength = "POST", io.NopCloser(bytes.NewReader(body)), int64(len(body))
		}
		req, status := readHTTP(r)
		if len(req) > maxRequest || (status != 200) != (len(req) == 0) && !post {
			t.Errorf("%d bytes, status %d", len(req), status)
		}
	})
}

func FuzzDoQRequest(f *testing.F) {
	f.Add(framed(make([]byte, 12)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		req, err := readQUIC(bytes.NewReader(raw))
		if err == nil && (len(req)+2 != len(raw) || raw[2] != 0 || raw[3] != 0) {
			t.Errorf("%d bytes taken of %d", len(req), len(raw))
		}
	})
}
