package notice

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"schoolgate/monitor"
)

// Limits of the server. A page is some kilobytes, and a browser asks for it once.
const (
	maxConns     = 128
	maxPerClient = 8
	maxHeader    = 8 << 10 // bytes
	headTimeout  = 5 * time.Second
	readTimeout  = 10 * time.Second
	writeTimeout = 10 * time.Second
	idleTimeout  = 5 * time.Second
	stopTimeout  = 2 * time.Second
	lookEvery    = 30 * time.Second // at addresses that cannot be listened on, and at the machine's own
)

// Server serves the page by HTTP. An address that it cannot have is no reason to stop: it is tried again, and Conditions
// tells of it. The exported fields are set before Open; the methods may be called from any goroutine.
type Server struct {
	Addrs   []netip.AddrPort
	Handler http.Handler
	Allowed func(client netip.Addr) bool // who is answered at all; nil: everyone
	Log     *slog.Logger

	interfaces func() ([]home, error) // for tests; nil is the machine's
	gate       gate
	homes      atomic.Pointer[[]home] // where the page can be reached

	mu    sync.Mutex
	doors []door // guarded by mu; one for each of Addrs
}

// door is one address at which the page is to be served.
type door struct {
	listener net.Listener // nil while it cannot be listened on
	err      error        // why
	since    time.Time
}

// Open tries all addresses once, so that those that can be had are taken when it returns.
func (s *Server) Open() {
	s.gate.by = make(map[netip.Prefix]int)
	s.doors = make([]door, len(s.Addrs))
	for i := range s.Addrs {
		_ = s.open(i) // which Conditions tells
	}
	s.lookAround()
}

// open tries one address.
func (s *Server) open(i int) net.Listener {
	addr := s.Addrs[i]
	network := "tcp4"
	if addr.Addr().Is6() {
		network = "tcp6"
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), network, addr.String())
	s.mu.Lock()
	defer s.mu.Unlock()
	d := &s.doors[i]
	if err != nil {
		if d.err == nil {
			d.since = time.Now()
			s.Log.Warn("the block page cannot be served", "address", addr, "error", err)
		}
		d.listener, d.err = nil, err
		return nil
	}
	*d = door{listener: l}
	return l
}

// Run serves until ctx ends and returns nil.
func (s *Server) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for i := range s.Addrs {
		all.Go(func() { s.keepOpen(ctx, i) })
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			all.Wait()
			return nil
		case <-tick.C:
			s.lookAround()
		}
	}
}

// keepOpen serves at one address, and tries it again as long as that cannot be.
func (s *Server) keepOpen(ctx context.Context, i int) {
	s.mu.Lock()
	l := s.doors[i].listener
	s.mu.Unlock()
	for {
		if l != nil {
			s.serve(ctx, l)
		}
		if ctx.Err() != nil {
			return
		}
		t := time.NewTimer(lookEvery)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
		if l = s.open(i); l != nil {
			s.lookAround()
		}
	}
}

// serve answers at one address until ctx ends or the socket fails.
func (s *Server) serve(ctx context.Context, l net.Listener) {
	h := &http.Server{
		Handler: s.Handler, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		ReadHeaderTimeout: headTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = h.Serve(&gated{Listener: l, s: s}) // it is tried again whatever ended it
	}()
	select {
	case <-served:
		return
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := h.Shutdown(stop); err != nil {
		h.Close()
	}
	l.Close() // Shutdown misses it when Serve had not begun yet
	<-served
}

// Close gives up the addresses of a Server that never ran.
func (s *Server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.doors {
		if d.listener != nil {
			d.listener.Close()
		}
	}
}

// Bound gives the addresses at which the page is served now, with real ports.
func (s *Server) Bound() (out []netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, d := range s.doors {
		if d.listener != nil {
			out = append(out, netip.AddrPortFrom(s.Addrs[i].Addr(), d.listener.Addr().(*net.TCPAddr).AddrPort().Port()))
		}
	}
	return out
}

// Conditions says at which addresses the page cannot be served.
func (s *Server) Conditions(time.Time) (out []monitor.Condition) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, d := range s.doors {
		if d.err == nil {
			continue
		}
		hint := "Check page.http, and the network of this machine"
		switch {
		case errors.Is(d.err, syscall.EADDRINUSE):
			hint = fmt.Sprintf("Another program has port %d: ss -ltnp shows which", s.Addrs[i].Port())
		case errors.Is(d.err, syscall.EACCES):
			hint = "Ports below 1024 need a privilege: run as the packaged service, or give the program CAP_NET_BIND_SERVICE"
		case errors.Is(d.err, syscall.EADDRNOTAVAIL):
			hint = "No interface of this machine has that address: correct page.http"
		}
		out = append(out, monitor.Condition{
			Code: "page.unserved", Severity: monitor.Warning, Since: d.since, Hint: hint,
			Title: fmt.Sprintf("The block page cannot be served at %v; sites are refused all the same", s.Addrs[i]),
		})
	}
	return out
}
