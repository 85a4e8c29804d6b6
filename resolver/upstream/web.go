package upstream

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"

	"schoolgate/resolver/wire"
)

// messageType is the media type of DNS messages (RFC 8484 section 6).
const messageType = "application/dns-message"

// web asks a server by HTTPS (RFC 8484), which is HTTP/2 alone: one connection, many questions. Nothing but the question
// travels: no cookies, no name of this program, no proxy from the environment, and redirects are not followed.
type web struct {
	server *server
	url    string

	heard atomic.Uint64 // reads of any connection

	mu        sync.Mutex // guards what follows
	transport *http.Transport
	open      map[net.Conn]struct{}
	over      bool
}

func newWeb(s *server) *web {
	w := &web{server: s, open: make(map[net.Conn]struct{})}
	w.url = "https://" + net.JoinHostPort(s.certified(), fmt.Sprint(s.conf.Addr.Port())) + s.conf.Path
	w.transport = w.dialer()
	return w
}

// dialer is a fresh transport.
func (w *web) dialer() *http.Transport {
	t := &http.Transport{
		DialContext:            w.dial,
		TLSClientConfig:        w.server.tlsConfig("h2"),
		Protocols:              new(http.Protocols),
		DisableCompression:     true,
		MaxConnsPerHost:        1, // else each of the first questions makes one
		MaxResponseHeaderBytes: 16 << 10,
		IdleConnTimeout:        idleClose,
	}
	t.Protocols.SetHTTP2(true)
	return t
}

// dial connects to the server's address, whatever the name in the URL, and remembers the connection to close it.
func (w *web) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", w.server.conf.Addr.String())
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		_ = conn.Close()
		return nil, ErrClosed
	}
	c := &webConn{Conn: conn, web: w}
	w.open[c] = struct{}{}
	return c, nil
}

// webConn counts what it hears and forgets itself when it is closed.
type webConn struct {
	net.Conn
	web *web
}

func (c *webConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.web.heard.Add(1)
	}
	return n, err
}

func (c *webConn) Close() error {
	c.web.mu.Lock()
	delete(c.web.open, c)
	c.web.mu.Unlock()
	return c.Conn.Close()
}

// errNoWeb means that a question came to nothing for want of a connection that carries it.
var errNoWeb = errors.New("asking by HTTPS")

// ask asks on the open connection or a new one. One that dies under the question, or on which nothing at all arrives for half
// of the time, is replaced once.
func (w *web) ask(ctx context.Context, q *question) (*wire.Reply, error) {
	t, heard := w.current(), w.heard.Load()
	half, cancel := context.WithTimeout(ctx, w.server.share(ctx, 0))
	reply, reused, err := w.post(half, t, q)
	cancel()
	late := errors.Is(err, context.DeadlineExceeded)
	if !errors.Is(err, errNoWeb) || ctx.Err() != nil || !reused && !late {
		return reply, err
	}
	if reused && (!late || w.heard.Load() == heard) {
		w.leave(t)
	}
	reply, _, err = w.post(ctx, w.current(), q)
	return reply, err
}

func (w *web) current() *http.Transport {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.transport
}

// leave puts a fresh transport in the place of t, whose connections end when nothing is under way there any more.
func (w *web) leave(t *http.Transport) {
	w.mu.Lock()
	if w.transport == t && !w.over {
		w.transport = w.dialer()
	}
	w.mu.Unlock()
	t.CloseIdleConnections()
}

// post sends one question and reads the reply. reused says that the connection was there before.
func (w *web) post(ctx context.Context, t *http.Transport, q *question) (reply *wire.Reply, reused bool, err error) {
	sent := q.message(true) // with ID 0 (section 4.1)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(c httptrace.GotConnInfo) { reused = c.Reused }})
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(sent))
	if err != nil {
		return nil, false, err
	}
	r.Header = http.Header{"Content-Type": {messageType}, "Accept": {messageType}, "User-Agent": {""}}
	resp, err := t.RoundTrip(r)
	if err != nil {
		return nil, reused, fmt.Errorf("%w: %w", errNoWeb, err)
	}
	defer resp.Body.Close()
	if kind := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || kind != messageType {
		return nil, reused, fmt.Errorf("HTTP status %d with content of type %.60q", resp.StatusCode, kind)
	}
	msg, err := io.ReadAll(io.LimitReader(resp.Body, 0xffff+1))
	if err != nil {
		return nil, reused, fmt.Errorf("%w: %w", errNoWeb, err)
	}
	if len(msg) > 0xffff {
		return nil, reused, errors.New("HTTP body is larger than a DNS message")
	}
	reply, err = q.answered(msg, sent)
	return reply, reused, err
}

func (w *web) close() {
	w.mu.Lock()
	w.over = true
	t := w.transport
	open := make([]net.Conn, 0, len(w.open))
	for c := range w.open {
		open = append(open, c)
	}
	w.mu.Unlock()
	for _, c := range open {
		_ = c.Close()
	}
	t.CloseIdleConnections()
}
