package alert

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"schoolgate/config"
)

// mailServer is a real SMTP server on loopback that the test can make behave badly.
type mailServer struct {
	cfg config.SMTP // how to reach it

	mu       sync.Mutex
	password string
	logins   int
	sessions int
	got      []taken
	rcpt     func(to string) error           // nil takes all
	data     func(c *smtp.Conn, n int) error // before the n-th message is answered; nil takes all
	hangUp   bool                            // close the connection right after each 250
}

// taken is a message that the server has answered 250 to.
type taken struct {
	from, to string
	msg      *mail.Message
	raw      string
}

func (s *mailServer) set(f func(*mailServer)) { s.mu.Lock(); f(s); s.mu.Unlock() }

func (s *mailServer) messages() []taken {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]taken(nil), s.got...)
}

func serveMail(t *testing.T, mode config.TLSMode) *mailServer {
	t.Helper()
	dir := t.TempDir()
	ca, cert := authority(t)
	s := &mailServer{password: "first"}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.cfg = config.SMTP{
		Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, TLS: mode, From: "schoolgate@school.example",
		Timeout: config.Duration(10 * time.Second),
	}
	srv := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) {
		s.set(func(s *mailServer) { s.sessions++ })
		_, encrypted := c.TLSConnectionState()
		return &mailSession{server: s, conn: c, auth: encrypted, loggedIn: mode == config.TLSNone}, nil
	}))
	srv.Domain, srv.ErrorLog = "mail.school.example", log.New(io.Discard, "", 0)
	switch mode {
	case config.TLSStartTLS:
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}}
	case config.TLSImplicit:
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}})
	}
	if mode != config.TLSNone {
		s.cfg.CAFile, s.cfg.PasswordFile, s.cfg.User = filepath.Join(dir, "ca.pem"), filepath.Join(dir, "password"), "box"
		write(t, s.cfg.CAFile, string(ca))
		write(t, s.cfg.PasswordFile, "first\nnot this line\n")
	}
	done := make(chan struct{})
	go func() { defer close(done); srv.Serve(l) }()
	t.Cleanup(func() { l.Close(); srv.Close(); <-done })
	return s
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

type mailSession struct {
	server         *mailServer
	conn           *smtp.Conn
	auth, loggedIn bool
	from, to       string
	answered       bool
}

func (m *mailSession) AuthMechanisms() []string {
	if !m.auth {
		return nil
	}
	return []string{sasl.Plain}
}

func (m *mailSession) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		m.server.mu.Lock()
		defer m.server.mu.Unlock()
		if user != "box" || password != m.server.password {
			return smtp.ErrAuthFailed
		}
		m.loggedIn = true
		m.server.logins++
		return nil
	}), nil
}

func (m *mailSession) Mail(from string, _ *smtp.MailOptions) error {
	if !m.loggedIn {
		return smtp.ErrAuthRequired
	}
	m.from = from
	return nil
}

func (m *mailSession) Rcpt(to string, _ *smtp.RcptOptions) error {
	m.to = to
	m.server.mu.Lock()
	f := m.server.rcpt
	m.server.mu.Unlock()
	if f != nil {
		return f(to)
	}
	return nil
}

func (m *mailSession) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m.server.mu.Lock()
	f, n := m.server.data, len(m.server.got)
	m.server.mu.Unlock()
	if f != nil {
		if err := f(m.conn, n); err != nil {
			return err
		}
	}
	msg, err := mail.ReadMessage(strings.NewReader(string(raw)))
	if err != nil {
		return err
	}
	m.server.set(func(s *mailServer) {
		s.got = append(s.got, taken{from: m.from, to: m.to, msg: msg, raw: string(raw)})
		m.answered = s.hangUp
	})
	return nil
}

func (m *mailSession) Reset() { // called after the answer was written
	if m.answered {
		m.conn.Conn().Close()
	}
}

func (m *mailSession) Logout() error { return nil }

var errHungUp = errors.New("hung up")

// authority makes a CA and a certificate of it for 127.0.0.1.
func authority(t *testing.T) (caPEM []byte, leaf tls.Certificate) {
	t.Helper()
	now := time.Now()
	sign := func(tmpl, parent *x509.Certificate, signer *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if signer == nil {
			signer = k
		}
		der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &k.PublicKey, signer)
		if err != nil {
			t.Fatal(err)
		}
		return der, k
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Example CA"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, rootKey := sign(root, root, nil)
	caPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	host := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "mail"}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, key := sign(host, root, rootKey)
	return caPEM, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
