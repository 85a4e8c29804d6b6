package listen

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"time"

	"schoolgate/resolver/cookie"
)

// BindError is an address that could not be listened on.
type BindError struct {
	Addr netip.AddrPort
	Err  error
}

func (e *BindError) Error() string { return fmt.Sprintf("listening on %s: %v", e.Addr, e.Err) }

func (e *BindError) Unwrap() error { return e.Err }

// Hint says in plain words what a technician can do about it; "" when nothing is known.
func (e *BindError) Hint() string {
	switch {
	case errors.Is(e.Err, syscall.EADDRINUSE):
		return fmt.Sprintf("another program already answers on port %d; often systemd-resolved, dnsmasq or a second copy of this one. "+
			"Stop it, or listen on single addresses that it does not use (ss -lunp shows who has the port)", e.Addr.Port())
	case errors.Is(e.Err, syscall.EACCES):
		return "ports below 1024 need a privilege: run as the packaged service, or give the program CAP_NET_BIND_SERVICE"
	case errors.Is(e.Err, syscall.EADDRNOTAVAIL):
		return "no interface of this machine has that address"
	}
	return ""
}

// MaxPerAddr bounds the UDP sockets of an address: beyond eight cores a school has no use for more.
const MaxPerAddr = 8

// Listen binds all addresses, or none: on failure it returns a *BindError. Clients' packets wait in the sockets until Run.
func (s *Server) Listen() error {
	if len(s.Addrs) == 0 || s.Inline == nil || s.Resolve == nil {
		return errors.New("listening for DNS: no address, Inline or Resolve given")
	}
	s.Limits = s.Limits.withDefaults()
	s.gate.init(s.Limits.InFlight, s.Limits.PerClient)
	s.sessions.init(s.Limits.Sessions, s.Limits.SessionsPerClient, s.Limits.InFlight)
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	s.epoch = s.Now()
	s.jar = cookie.NewJar(s.epoch)
	s.strangers = newStrangers()
	if s.brakes.Load() == nil {
		s.SetRates(Rates{})
	}
	if s.PerAddr <= 0 {
		s.PerAddr = runtime.GOMAXPROCS(0)
	}
	s.PerAddr = min(s.PerAddr, MaxPerAddr)
	for _, addr := range s.Addrs {
		if err := s.bind(addr); err != nil {
			s.Close()
			s.lanes, s.tcp = nil, nil
			return &BindError{Addr: addr, Err: err}
		}
	}
	if s.Encrypted == nil {
		return nil
	}
	if err := s.Encrypted.bind(s); err != nil {
		s.Close()
		s.lanes, s.tcp = nil, nil
		return err
	}
	return nil
}

// bind takes one address. TCP comes first: UDP sockets with SO_REUSEPORT would let a second copy of the program take
// every other packet in silence, a TCP listener does not.
func (s *Server) bind(addr netip.AddrPort) error {
	for range 10 {
		t, err := net.ListenTCP(network("tcp", addr), net.TCPAddrFromAddrPort(addr))
		if err != nil {
			return plain(err)
		}
		bound := netip.AddrPortFrom(addr.Addr(), t.Addr().(*net.TCPAddr).AddrPort().Port())
		socks, err := s.bindUDP(bound)
		if err == nil {
			s.tcp = append(s.tcp, t)
			for _, c := range socks {
				s.lanes = append(s.lanes, newLane(s, len(s.lanes)+1, c, bound))
			}
			return nil
		}
		t.Close()
		if addr.Port() != 0 || !errors.Is(err, syscall.EADDRINUSE) {
			return plain(err)
		}
	}
	return syscall.EADDRINUSE
}

// bindUDP opens the sockets of one address, whose port is known.
func (s *Server) bindUDP(addr netip.AddrPort) (socks []socket, err error) {
	n := s.PerAddr
	if s.portable || !hasReusePort {
		n = 1
	}
	lc := net.ListenConfig{}
	if n > 1 {
		lc.Control = reusePort
	}
	for range n {
		pc, err := lc.ListenPacket(context.Background(), network("udp", addr), addr.String())
		if err != nil {
			closeAll(socks)
			return nil, err
		}
		c := pc.(*net.UDPConn)
		c.SetReadBuffer(4 << 20) // as far as the system's limit lets; the default holds a few hundred packets
		c.SetWriteBuffer(1 << 20)
		if addr.Addr().IsUnspecified() {
			if err := askDestination(c, addr.Addr().Is4()); err != nil {
				c.Close()
				closeAll(socks)
				return nil, fmt.Errorf("asking for packets' destination address: %w", err)
			}
		}
		sock, err := newSocket(c, s.portable)
		if err != nil {
			closeAll(socks)
			return nil, err
		}
		socks = append(socks, sock)
	}
	return socks, nil
}

func closeAll(socks []socket) {
	for _, c := range socks {
		c.Close()
	}
}

// network keeps the families apart, so that 0.0.0.0 and [::] can be listed together.
func network(proto string, addr netip.AddrPort) string {
	if addr.Addr().Is4() {
		return proto + "4"
	}
	return proto + "6"
}

// plain takes the address out of an error of package net, since BindError says it already.
func plain(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// Bound gives the addresses as bound, with real ports, in the order of Addrs.
func (s *Server) Bound() []netip.AddrPort {
	out := make([]netip.AddrPort, len(s.tcp))
	for i, t := range s.tcp {
		out[i] = netip.AddrPortFrom(s.Addrs[i].Addr(), t.Addr().(*net.TCPAddr).AddrPort().Port())
	}
	return out
}

// Lanes is the highest lane number, known after Listen.
func (s *Server) Lanes() int { return len(s.lanes) }
