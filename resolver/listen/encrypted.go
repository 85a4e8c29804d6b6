package listen

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"

	"schoolgate/resolver/query"
	"schoolgate/resolver/wire"
)

// Encrypted is what a Server serves over encrypted transports. Certificate is required. Each transport may have no address,
// and Server.Listen takes out of its fields those that cannot be had. Its questions go through Inline, Resolve and Done as all others, and
// share the limits of TCP.
type Encrypted struct {
	TLS   []netip.AddrPort // DNS over TLS (RFC 7858)
	HTTPS []netip.AddrPort // DNS over HTTPS (RFC 8484), HTTP/1.1 and HTTP/2, at /dns-query and /dns-query/IDENT
	QUIC  []netip.AddrPort // DNS over QUIC (RFC 9250), without 0-RTT, which whoever recorded it could replay

	// Certificate has the form of tls.Config.GetCertificate.
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)

	// PageCertificate takes its place for HTTPS. May be nil.
	PageCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)

	// Ident finds what a client calls itself in the TLS server name that it asks for, "" for nothing. It becomes Query.Ident
	// unless the path of a request over HTTPS names another. May be nil.
	Ident func(serverName string) string

	// Other gets requests over HTTPS for any other path. A nil one answers 404.
	Other http.Handler

	tls   []net.Listener
	https []*web
	quic  []*quicSocket

	failed []*BindError
}

// bind opens the sockets. An address that cannot be had is left out: plain DNS, which a school does not do without, works all
// the same.
func (e *Encrypted) bind(s *Server) error {
	if e.Certificate == nil {
		return errors.New("listening for encrypted DNS: no certificate given")
	}
	e.TLS = e.each(s, e.TLS, func(addr netip.AddrPort) error {
		l, err := net.ListenTCP(network("tcp", addr), net.TCPAddrFromAddrPort(addr))
		if err == nil {
			e.tls = append(e.tls, l)
		}
		return err
	})
	e.HTTPS = e.each(s, e.HTTPS, func(addr netip.AddrPort) error {
		l, err := net.ListenTCP(network("tcp", addr), net.TCPAddrFromAddrPort(addr))
		if err == nil {
			e.https = append(e.https, newWeb(s, l))
		}
		return err
	})
	e.QUIC = e.each(s, e.QUIC, func(addr netip.AddrPort) error {
		q, err := listenQUIC(s, addr)
		if err == nil {
			e.quic = append(e.quic, q)
		}
		return err
	})
	return nil
}

// each opens a socket for each address, and gives those that could be had.
func (e *Encrypted) each(s *Server, addrs []netip.AddrPort, open func(netip.AddrPort) error) (had []netip.AddrPort) {
	for _, addr := range addrs {
		if err := open(addr); err != nil {
			failed := &BindError{Addr: addr, Err: plain(err)}
			s.Log.Error("encrypted DNS is not served at an address", "error", failed, "hint", failed.Hint())
			e.failed = append(e.failed, failed)
			continue
		}
		had = append(had, addr)
	}
	return had
}

// Failed tells of the addresses that could not be had. It is known after Server.Listen.
func (e *Encrypted) Failed() []*BindError { return e.failed }

// run starts the loops of all sockets by start.
func (e *Encrypted) run(ctx context.Context, s *Server, start func(func() error)) {
	for _, l := range e.tls {
		start(func() error { return s.acceptLoop(ctx, l, e.config("dot")) })
	}
	for _, w := range e.https {
		s.jobs.Add(1) // until stop is over
		start(func() error { return w.run(ctx) })
	}
	for _, q := range e.quic {
		start(func() error { return q.run(ctx) })
	}
}

// stop ends all loops; answers still leave.
func (e *Encrypted) stop() {
	for _, l := range e.tls {
		l.Close()
	}
	for _, w := range e.https {
		w.stop()
	}
	for _, q := range e.quic {
		q.listener.Close()
	}
}

func (e *Encrypted) close() {
	for _, l := range e.tls {
		l.Close()
	}
	for _, w := range e.https {
		w.server.Close()
		w.l.Close()
	}
	for _, q := range e.quic {
		q.close()
	}
}

// config is that of a listener for the given protocols (ALPN).
func (e *Encrypted) config(protos ...string) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: protos, GetCertificate: e.Certificate}
}

func (e *Encrypted) ident(serverName string) string {
	if e.Ident == nil || serverName == "" {
		return ""
	}
	return e.Ident(serverName)
}

// Bound gives the addresses as bound, with real ports, in the order of the fields. It is known after Server.Listen.
func (e *Encrypted) Bound() (tls, https, quic []netip.AddrPort) {
	at := func(asked netip.AddrPort, a net.Addr) netip.AddrPort {
		switch a := a.(type) {
		case *net.TCPAddr:
			return netip.AddrPortFrom(asked.Addr(), uint16(a.Port))
		case *net.UDPAddr:
			return netip.AddrPortFrom(asked.Addr(), uint16(a.Port))
		}
		return asked
	}
	for i, l := range e.tls {
		tls = append(tls, at(e.TLS[i], l.Addr()))
	}
	for i, w := range e.https {
		https = append(https, at(e.HTTPS[i], w.l.Addr()))
	}
	for i, q := range e.quic {
		quic = append(quic, at(e.QUIC[i], q.conn.LocalAddr()))
	}
	return tls, https, quic
}

// dress adds to a reply what depends on how it travels.
func (s *Server) dress(resp []byte, q *query.Query) []byte {
	if q.Question.KeepAlive && (q.Proto == query.TCP || q.Proto == query.TLS) {
		units := min(s.idle(q.Proto).Milliseconds()/100, 0xffff)
		resp = wire.AppendOption(resp, &q.Question, wire.OptionKeepAlive, []byte{byte(units >> 8), byte(units)})
	}
	if q.Question.Padded && q.Proto >= query.TLS {
		resp = wire.Pad(resp, &q.Question)
	}
	return resp
}

// errand is one request, once it is whole, over a transport that has a goroutine for each: HTTPS and QUIC.
type errand struct {
	q    query.Query
	told bool // it was refused before it was judged, and is not recorded
	req  []byte
	out  [replyRoom]byte
}

func (s *Server) newErrand(req []byte) *errand {
	t, ok := s.errands.Get().(*errand)
	if !ok {
		t = new(errand)
	}
	t.req = req
	return t
}

func (s *Server) putErrand(t *errand) {
	t.req = nil
	s.errands.Put(t)
}

// serve answers the request t.req; nil means that none is to be sent, since it was no request. The
// reply is t's. For who knows it already begin was called. After it has been written finishErrand must be called.
func (s *Server) serve(ctx context.Context, t *errand) []byte {
	q, req, dst := &t.q, t.req, t.out[2:2]
	client := q.Client.Addr // which may become another's
	st := s.standing(client)
	resp, what := s.first(q, st, req, dst)
	t.told = what == told
	switch what {
	case dropped:
		return nil
	case missed:
		if j := s.gate.enter(client, st); j != nil {
			resp = s.resolve(ctx, q, req, dst)
			s.gate.leave(j)
		} else {
			s.counts.overloaded.Add(1)
			resp = s.servFail(q, req, dst, wire.EDE{Code: wire.EDEOther, Text: "too many questions at once"})
		}
	case answered, told:
	}
	return s.dress(resp, q)
}

// finishErrand completes the facts of a request whose answer has been written.
func (s *Server) finishErrand(t *errand, resp []byte) {
	if !t.told {
		s.finish(&t.q, resp, s.Now())
	}
}
