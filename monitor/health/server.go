package health

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/net/netutil"
)

// Limits of the server: it is for a few watchers on the school's own network.
const (
	maxConns     = 32
	maxHeader    = 8 << 10
	readTimeout  = 5 * time.Second
	writeTimeout = 20 * time.Second
	idleTimeout  = time.Minute
	stopTimeout  = 3 * time.Second
)

// Server is one HTTP listener.
type Server struct {
	listener net.Listener
	http     http.Server
}

// Listen opens the address, port 0 for any; requests are answered once Run runs.
func Listen(addr netip.AddrPort, h http.Handler, log *slog.Logger) (*Server, error) {
	l, err := net.Listen("tcp", addr.String())
	if err != nil {
		return nil, fmt.Errorf("listening for metrics and health on %s: %w", addr, err)
	}
	return &Server{
		listener: netutil.LimitListener(l, maxConns),
		http: http.Server{
			Handler: h, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
			ReadHeaderTimeout: readTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		},
	}, nil
}

// Addr is where the server listens.
func (s *Server) Addr() netip.AddrPort {
	return s.listener.Addr().(*net.TCPAddr).AddrPort()
}

// Run serves until ctx ends, lets requests under way end for a few seconds, and returns nil; or it returns why it could
// not serve. It is called once, also to free the address when nothing shall be served.
func (s *Server) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(s.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving metrics and health: %w", err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := s.http.Shutdown(stop); err != nil {
		s.http.Close()
	}
	s.listener.Close() // Shutdown misses it when Serve had not begun yet
	if err := <-served; !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("serving metrics and health: %w", err)
	}
	return nil
}
