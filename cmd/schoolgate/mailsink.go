package main

import (
	"io"
	"net"
	"net/netip"
	"sync"

	"github.com/emersion/go-smtp"
)

// mailSink is a mail server of the demo that keeps what it is sent.
type mailSink struct {
	addr   netip.AddrPort
	server *smtp.Server

	mu      sync.Mutex // guards letters
	letters []string
}

func startMailSink() (*mailSink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	m := &mailSink{addr: l.Addr().(*net.TCPAddr).AddrPort()}
	m.server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &mailSession{sink: m}, nil }))
	m.server.Domain = "mail.little-oak.example"
	m.server.MaxMessageBytes = 1 << 20
	go func() { _ = m.server.Serve(l) }() // ends with stop
	return m, nil
}

func (m *mailSink) stop() { _ = m.server.Close() }

// received gives the letters so far, oldest first.
func (m *mailSink) received() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]string(nil), m.letters...)
}

// mailSession takes one letter after the other from one connection.
type mailSession struct{ sink *mailSink }

func (s *mailSession) Mail(string, *smtp.MailOptions) error { return nil }
func (s *mailSession) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (s *mailSession) Reset()                               {}
func (s *mailSession) Logout() error                        { return nil }

func (s *mailSession) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.sink.mu.Lock()
	defer s.sink.mu.Unlock()
	s.sink.letters = append(s.sink.letters, string(text))
	return nil
}
