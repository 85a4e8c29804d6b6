package upstream

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"schoolgate/resolver/wire"
)

// Codes that a connection or stream is closed with (RFC 9250 section 4.3).
const (
	doqNoError          = 0
	doqRequestCancelled = 3
)

// quick asks a server by QUIC (RFC 9250): one connection, a stream for each question.
type quick struct {
	server *server
	tls    *tls.Config
	quic   *quic.Config

	mu   sync.Mutex // guards what follows
	conn *quic.Conn
	dial *quickDial // the connection being made, nil when none is
	over bool
}

// quickDial is a connection being made, for all that wait for it.
type quickDial struct {
	done chan struct{} // closed when conn and err are set
	conn *quic.Conn
	err  error
}

func newQuick(s *server) *quick {
	return &quick{
		server: s,
		tls:    s.tlsConfig("doq"),
		quic: &quic.Config{
			HandshakeIdleTimeout:    s.timeout,
			MaxIdleTimeout:          idleClose,
			MaxIncomingStreams:      -1, // the server has nothing to ask
			MaxIncomingUniStreams:   -1,
			DisablePathMTUDiscovery: true, // questions are small
			TokenStore:              quic.NewLRUTokenStore(1, maxPipes),
		},
	}
}

// ask asks on the open connection or a new one. An open one that ends, or says nothing for half of the time, is replaced
// once.
func (k *quick) ask(ctx context.Context, q *question) (*wire.Reply, error) {
	for try := 0; ; try++ {
		conn, fresh, err := k.take(ctx)
		if err != nil {
			return nil, err
		}
		wait := k.server.share(ctx, 1)
		if try == 0 && !fresh {
			wait = k.server.share(ctx, 0)
		}
		heard := conn.ConnectionStats().PacketsReceived
		reply, err := stream(ctx, conn, q, time.Now().Add(wait))
		if err == nil || try > 0 || fresh || ctx.Err() != nil {
			return reply, err
		}
		if conn.ConnectionStats().PacketsReceived == heard {
			k.drop(conn)
		}
	}
}

// stream sends one question and reads the reply.
func stream(ctx context.Context, conn *quic.Conn, q *question, until time.Time) (*wire.Reply, error) {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	s, err := conn.OpenStreamSync(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening stream: %w", err)
	}
	defer s.CancelRead(doqRequestCancelled) // of no effect once all is read
	_ = s.SetDeadline(until)
	defer context.AfterFunc(ctx, func() { _ = s.SetDeadline(time.Unix(1, 0)) })()
	sent := q.message(true) // with ID 0 (section 4.2.1)
	if _, err := s.Write(frame(sent)); err != nil {
		s.CancelWrite(doqRequestCancelled)
		return nil, fmt.Errorf("asking by QUIC: %w", err)
	}
	if err := s.Close(); err != nil { // the end of the question
		return nil, fmt.Errorf("asking by QUIC: %w", err)
	}
	msg, err := readFrame(bufio.NewReader(s))
	if err != nil {
		return nil, fmt.Errorf("reading by QUIC: %w", err)
	}
	return q.answered(msg, sent)
}

// take gives the open connection, or makes one: fresh says that it has not been idle before.
func (k *quick) take(ctx context.Context) (conn *quic.Conn, fresh bool, err error) {
	k.mu.Lock()
	if k.over {
		k.mu.Unlock()
		return nil, false, ErrClosed
	}
	if k.conn != nil && k.conn.Context().Err() == nil {
		defer k.mu.Unlock()
		return k.conn, false, nil
	}
	if d := k.dial; d != nil {
		k.mu.Unlock()
		select {
		case <-d.done:
			return d.conn, true, d.err
		case <-ctx.Done():
			return nil, false, fmt.Errorf("waiting for connection: %w", ctx.Err())
		}
	}
	d := &quickDial{done: make(chan struct{})}
	k.dial = d
	k.mu.Unlock()

	d.conn, d.err = k.connect(ctx)
	k.mu.Lock()
	k.dial = nil
	switch {
	case d.err != nil:
		d.err = fmt.Errorf("connecting: %w", d.err)
	case k.over:
		_ = d.conn.CloseWithError(doqNoError, "")
		d.err = ErrClosed
	default:
		k.conn = d.conn
	}
	k.mu.Unlock()
	close(d.done)
	return d.conn, true, d.err
}

// quickSocket is a UDP socket of which the buffers stay as they are: quic-go asks for megabytes, and writes into the log
// when it does not get them.
type quickSocket struct{ net.PacketConn }

func (quickSocket) SetReadBuffer(int) error  { return nil }
func (quickSocket) SetWriteBuffer(int) error { return nil }

// connect makes a connection with a socket of its own, which is closed after it.
func (k *quick) connect(ctx context.Context) (*quic.Conn, error) {
	socket, err := net.ListenUDP("udp", nil)
	if err != nil {
		return nil, err
	}
	conn, err := quic.Dial(ctx, quickSocket{socket}, net.UDPAddrFromAddrPort(k.server.conf.Addr), k.tls, k.quic)
	if err != nil {
		_ = socket.Close()
		return nil, err
	}
	k.server.pool.work.Go(func() {
		<-conn.Context().Done()
		_ = socket.Close()
	})
	return conn, nil
}

// drop ends a connection that leads nowhere.
func (k *quick) drop(conn *quic.Conn) {
	k.mu.Lock()
	if k.conn == conn {
		k.conn = nil
	}
	k.mu.Unlock()
	_ = conn.CloseWithError(doqNoError, "")
}

func (k *quick) close() {
	k.mu.Lock()
	conn := k.conn
	k.over, k.conn = true, nil
	k.mu.Unlock()
	if conn != nil {
		_ = conn.CloseWithError(doqNoError, "")
	}
}
