package listen

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"schoolgate/resolver/query"
)

// Errors of DNS over QUIC (RFC 9250 section 8.4).
const (
	doqNoError       quic.ApplicationErrorCode = 0
	doqProtocolError quic.ApplicationErrorCode = 2
	doqInternalError quic.StreamErrorCode      = 1
	doqTooMany       quic.StreamErrorCode      = 4
	doqUnwanted      quic.StreamErrorCode      = 5
)

const (
	// quicLinger is how long a connection stays when all is answered and the program ends: nothing else says that the last
	// answers left.
	quicLinger = 50 * time.Millisecond
	quicShake  = 4 * time.Second
)

// errTooMany refuses a connection.
var errTooMany = errors.New("too many connections")

// quicSocket is one UDP socket of DNS over QUIC.
type quicSocket struct {
	s         *Server
	conn      *net.UDPConn
	transport *quic.Transport
	listener  *quic.Listener
}

func listenQUIC(s *Server, addr netip.AddrPort) (*quicSocket, error) {
	conn, err := net.ListenUDP(network("udp", addr), net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return nil, err
	}
	q := &quicSocket{s: s, conn: conn}
	q.transport = &quic.Transport{Conn: conn, VerifySourceAddress: always, ConnContext: q.admit}
	q.listener, err = q.transport.Listen(s.Encrypted.config("doq"), &quic.Config{
		HandshakeIdleTimeout:           quicShake,
		MaxIdleTimeout:                 s.Limits.IdleTLS,
		MaxIncomingStreams:             int64(s.Limits.ConnInFlight),
		MaxIncomingUniStreams:          -1,
		InitialStreamReceiveWindow:     maxRequest + 2,
		MaxStreamReceiveWindow:         maxRequest + 2,
		InitialConnectionReceiveWindow: 32 << 10,
		MaxConnectionReceiveWindow:     128 << 10,
	})
	if err != nil {
		conn.Close()
		return nil, err
	}
	return q, nil
}

// always has each client show first that it has its address (Retry, RFC 9000 section 8.1.2). QUIC would send three times what came,
// and the certificate again and again; so nothing is kept for a claimed address, and it gets less than was sent in its name. It
// costs a client one way there and back, and nothing when it comes again.
func always(net.Addr) bool { return true }

// quicSession is one connection, from its first packet on. Its context holds it, at sessionKey.
type quicSession struct {
	*session
	reading context.Context           // ends when no more questions are to be taken
	conn    atomic.Pointer[quic.Conn] // nil until the handshake is over
}

// admit lets in as many connections as the Server's limits allow.
func (q *quicSocket) admit(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	s, client := q.s, addrOf(info.RemoteAddr)
	s.counts.tcpAccepted.Add(1)
	c := new(quicSession)
	reading, stop := context.WithCancel(ctx)
	c.reading = reading
	c.session = s.open(client, stop, func() {
		stop()
		if conn := c.conn.Load(); conn != nil {
			go conn.CloseWithError(doqNoError, "") // which waits for the connection's own loop
		}
	})
	if c.session == nil {
		stop()
		return nil, errTooMany
	}
	context.AfterFunc(ctx, func() {
		if c.conn.Load() == nil {
			s.counts.handshakes.Add(1)
		}
		c.session.close()
	})
	return context.WithValue(ctx, sessionKey{}, c), nil
}

// run takes connections until the listener is closed.
func (q *quicSocket) run(ctx context.Context) error {
	for {
		conn, err := q.listener.Accept(ctx)
		if err != nil {
			if errors.Is(err, quic.ErrServerClosed) || errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		}
		c := conn.Context().Value(sessionKey{}).(*quicSession)
		c.conn.Store(conn)
		q.s.jobs.Add(1)
		go q.serve(ctx, conn, c)
	}
}

func (q *quicSocket) close() {
	q.transport.Close()
	q.conn.Close()
}

// serve takes the connection's streams, each a question, until the client asks nothing for too long.
func (q *quicSocket) serve(ctx context.Context, conn *quic.Conn, c *quicSession) {
	defer q.s.jobs.Done()
	defer conn.CloseWithError(doqNoError, "")
	ident := q.s.Encrypted.ident(conn.ConnectionState().TLS.ServerName)
	asked := addrOf(conn.LocalAddr())
	var jobs sync.WaitGroup
	for {
		wait, cancel := context.WithTimeout(c.reading, q.s.sessions.patience(q.s.idle(query.QUIC)))
		stream, err := conn.AcceptStream(wait)
		cancel()
		if err != nil {
			break
		}
		jobs.Go(func() { q.question(ctx, conn, stream, c, ident, asked) })
	}
	jobs.Wait()
	select {
	case <-conn.Context().Done():
	case <-time.After(quicLinger):
	}
}

// question answers what one stream asks (RFC 9250 section 4.2). Whoever breaks the protocol loses the connection.
func (q *quicSocket) question(ctx context.Context, conn *quic.Conn, stream *quic.Stream, c *quicSession, ident string, asked netip.Addr) {
	s := q.s
	defer c.ended()
	if !c.opened() {
		s.counts.overloaded.Add(1)
		stream.CancelRead(doqTooMany)
		stream.CancelWrite(doqTooMany)
		return
	}
	stream.SetReadDeadline(time.Now().Add(s.Limits.Idle))
	req, err := readQUIC(stream)
	if err != nil {
		if errors.Is(err, errFraming) {
			s.counts.notRequests.Add(1)
			conn.CloseWithError(doqProtocolError, err.Error())
		} else {
			stream.CancelWrite(doqUnwanted)
		}
		return
	}
	s.counts.tcpQueries.Add(1)
	t := s.newErrand(req)
	defer s.putErrand(t)
	c.began()
	defer c.answered()
	begin(&t.q, s.Now(), 0, query.QUIC, c.client)
	t.q.Ident, t.q.Asked = ident, asked
	resp := s.serve(ctx, t)
	if len(resp) == 0 || t.q.Question.KeepAlive {
		conn.CloseWithError(doqProtocolError, errFraming.Error())
		return
	}
	stream.SetWriteDeadline(time.Now().Add(s.Limits.Write))
	if _, err := stream.Write(prefixed(resp, t.out[:])); err == nil {
		stream.Close()
	} else {
		stream.CancelWrite(doqInternalError)
		s.counts.socketErrors.Add(1)
	}
	s.finishErrand(t, resp)
}

// errFraming is a stream that holds anything but one message with its length before it, and the id 0.
var errFraming = errors.New("not one question")

// readQUIC reads the one request of a stream. It holds no more than has come, since a client may send a byte now and then.
func readQUIC(r io.Reader) (req []byte, err error) {
	const head = 2
	all, err := io.ReadAll(io.LimitReader(r, head+maxRequest+1))
	switch {
	case err != nil:
		return nil, err
	case len(all) < head+12 || len(all) > head+maxRequest || int(binary.BigEndian.Uint16(all)) != len(all)-head || all[head] != 0 || all[head+1] != 0:
		return nil, errFraming
	}
	return all[head:], nil
}
