package listen

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"log"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"schoolgate/resolver/query"
	"schoolgate/resolver/wire"
)

const (
	dohPath   = "/dns-query"
	dohType   = "application/dns-message"
	maxHeader = 16 << 10 // a request by GET holds the whole question there
)

// web serves DNS over HTTPS, and hands all else to Encrypted.Other.
type web struct {
	s       *Server
	l       net.Listener
	server  *http.Server
	stopped sync.Once
	ctx     context.Context // of Run, which all questions share: that of a request ends with it
}

func newWeb(s *Server, l net.Listener) *web {
	w := &web{s: s, l: l}
	conf := s.Encrypted.config("h2", "http/1.1")
	if s.Encrypted.PageCertificate != nil {
		conf.GetCertificate = s.Encrypted.PageCertificate
	}
	w.server = &http.Server{
		Handler:           w,
		TLSConfig:         conf,
		ReadHeaderTimeout: s.Limits.Idle,
		ReadTimeout:       s.Limits.Idle,
		WriteTimeout:      s.Limits.Answer + s.Limits.Answer/16 + s.Limits.Write,
		IdleTimeout:       s.Limits.IdleTLS,
		MaxHeaderBytes:    maxHeader,
		ConnContext:       withSession,
		ErrorLog:          log.New(io.Discard, "", 0), // it would name clients' addresses
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          s.Limits.ConnInFlight,
			MaxReceiveBufferPerConnection: 128 << 10,
			MaxReceiveBufferPerStream:     16 << 10,
			MaxReadFrameSize:              16 << 10,
			WriteByteTimeout:              s.Limits.Write,
		},
	}
	return w
}

// run serves until stop.
func (w *web) run(ctx context.Context) error {
	w.ctx = ctx
	w.server.BaseContext = func(net.Listener) context.Context { return ctx }
	err := w.server.ServeTLS(&counted{Listener: w.l, s: w.s}, "", "")
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// stop lets what is under way be answered; the Server's jobs are told when it is.
func (w *web) stop() {
	w.stopped.Do(func() {
		w.l.Close()
		go func() {
			defer w.s.jobs.Done()
			w.server.Shutdown(context.Background()) //nolint:errcheck // ends when all connections have, which Run closes if they stay
		}()
	})
}

// counted lets in as many connections as the Server's limits allow.
type counted struct {
	net.Listener
	s *Server
}

// Accept gives the next connection that is within the limits. Out of descriptors it waits: that does not end the service.
func (l *counted) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		if err != nil {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		l.s.counts.tcpAccepted.Add(1)
		client := addrOf(nc.RemoteAddr())
		c := &countedConn{Conn: nc}
		if c.session = l.s.open(client, func() {}, func() { nc.Close() }); c.session == nil {
			nc.Close()
			continue
		}
		return c, nil
	}
}

// countedConn is a connection of HTTPS. How its requests end when the program does is for http.Server to say.
type countedConn struct {
	net.Conn
	session *session
}

// Close ends the connection and makes room for another.
func (c *countedConn) Close() error {
	c.session.close()
	return c.Conn.Close()
}

// sessionKey is where the context of a connection holds its session.
type sessionKey struct{}

func withSession(ctx context.Context, nc net.Conn) context.Context {
	if t, ok := nc.(*tls.Conn); ok {
		if c, ok := t.NetConn().(*countedConn); ok {
			return context.WithValue(ctx, sessionKey{}, c.session)
		}
	}
	return ctx
}

// ServeHTTP answers one request. A panic of Other is that request's 500.
func (w *web) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if session, ok := r.Context().Value(sessionKey{}).(*session); ok {
		defer session.ended()
		if !session.opened() {
			w.s.counts.overloaded.Add(1)
			http.Error(rw, "too many questions at once", http.StatusServiceUnavailable)
			return
		}
		session.began()
		defer session.answered()
	}
	ident, ok := dohIdent(r.URL.Path)
	if ok {
		w.query(rw, r, ident)
		return
	}
	defer func() {
		if p := recover(); p != nil {
			w.s.panicked(p)
			rw.WriteHeader(http.StatusInternalServerError)
		}
	}()
	if other := w.s.Encrypted.Other; other != nil {
		other.ServeHTTP(rw, r)
		return
	}
	http.NotFound(rw, r)
}

// dohIdent says whether a path is for questions, and what the client calls itself in it: one word of letters, digits and
// hyphens, as a label of a host's name.
func dohIdent(path string) (ident string, ok bool) {
	rest, ok := strings.CutPrefix(path, dohPath)
	if !ok || rest == "" || rest == "/" {
		return "", ok
	}
	ident, ok = strings.CutPrefix(strings.ToLower(rest), "/")
	if !ok || len(ident) > 63 || strings.Trim(ident, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return "", false
	}
	return ident, true
}

// query answers one question (RFC 8484 section 4).
func (w *web) query(rw http.ResponseWriter, r *http.Request, ident string) {
	s := w.s
	req, status := readHTTP(r)
	if status == http.StatusMethodNotAllowed {
		rw.Header().Set("Allow", "GET, HEAD, POST")
	}
	if status != http.StatusOK {
		s.counts.notRequests.Add(1)
		http.Error(rw, http.StatusText(status), status)
		return
	}
	s.counts.tcpQueries.Add(1)
	t := s.newErrand(req)
	defer s.putErrand(t)
	client, _ := netip.ParseAddrPort(r.RemoteAddr) // as net/http wrote it
	begin(&t.q, s.Now(), 0, query.HTTPS, client.Addr().Unmap().WithZone(""))
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		t.q.Asked = addrOf(local)
	}
	if t.q.Ident = ident; ident == "" && r.TLS != nil {
		t.q.Ident = s.Encrypted.ident(r.TLS.ServerName)
	}
	resp := s.serve(w.ctx, t)
	if len(resp) == 0 {
		http.Error(rw, "not a DNS request", http.StatusBadRequest)
		return
	}
	h := rw.Header()
	h.Set("Content-Type", dohType)
	h.Set("Content-Length", strconv.Itoa(len(resp)))
	// Private: the answer is this client's, whose group others may not be in.
	h.Set("Cache-Control", "private, max-age="+strconv.FormatUint(uint64(wire.Freshness(resp, &t.q.Question)), 10))
	if _, err := rw.Write(resp); err != nil && !errors.Is(err, http.ErrBodyNotAllowed) { // which is how HEAD ends
		s.counts.socketErrors.Add(1)
	}
	s.finishErrand(t, resp)
}

// readHTTP reads the question of a request, or says with which status that is refused. It holds no more than has come, since a
// client may send a byte now and then.
func readHTTP(r *http.Request) (req []byte, status int) {
	var err error
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		text := strings.TrimRight(r.URL.Query().Get("dns"), "=")
		if base64.RawURLEncoding.DecodedLen(len(text)) > maxRequest {
			return nil, http.StatusRequestURITooLong
		}
		if req, err = base64.RawURLEncoding.DecodeString(text); err != nil || len(req) == 0 {
			return nil, http.StatusBadRequest
		}
		return req, http.StatusOK
	case http.MethodPost:
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != dohType {
			return nil, http.StatusUnsupportedMediaType
		}
		switch req, err = io.ReadAll(io.LimitReader(r.Body, maxRequest+1)); {
		case len(req) > maxRequest || r.ContentLength > maxRequest:
			return nil, http.StatusRequestEntityTooLarge
		case err != nil:
			return nil, http.StatusRequestTimeout
		}
		return req, http.StatusOK
	}
	return nil, http.StatusMethodNotAllowed
}
