package upstream

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/miekg/dns"
)

const (
	datagramSize = 4096 // more than was offered, for servers that do not listen
	maxForeign   = 16   // datagrams that are no reply, until somebody is seen to be guessing
)

// errGuessing means that datagrams arrived as from somebody who forges replies.
var errGuessing = errors.New("many datagrams that are no reply")

// overUDP asks twice if need be, each time from a new random port with a new ID. What is truncated, and what looks
// forged, is asked for again over TCP, where forging is far harder.
func (s *server) overUDP(ctx context.Context, q *question) (*dns.Msg, error) {
	var failed error
	mix := !s.folds.Load()
	for try := range 2 {
		sent := q.stamp(q.plain, mix)
		reply, err := s.datagram(ctx, q, sent, s.share(ctx, try))
		switch {
		case err == nil:
			return reply, nil
		case errors.Is(err, errTruncated):
			return s.overTCP(ctx, q, sent)
		case errors.Is(err, errCase), errors.Is(err, errGuessing):
			if reply, err := s.overTCP(ctx, q, sent); err == nil {
				return reply, nil
			}
			mix = false // no TCP there either: port and ID must do
		}
		failed = err
		if ctx.Err() != nil {
			break
		}
	}
	return nil, failed
}

// share is how long a try may wait: half of what is left, then all of it.
func (s *server) share(ctx context.Context, try int) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return s.timeout / 2
	}
	left := time.Until(deadline)
	if try == 0 {
		left /= 2
	}
	return left
}

// datagram sends once and waits for the reply. The socket is connected, so the kernel drops what others send; what is no
// reply, or cannot be read as a message, is ignored while time is left.
func (s *server) datagram(ctx context.Context, q *question, sent []byte, wait time.Duration) (*dns.Msg, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "udp", s.conf.Addr.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer interrupt(ctx, conn, time.Now().Add(wait))()
	if _, err := conn.Write(sent); err != nil {
		return nil, err
	}
	buf := make([]byte, datagramSize)
	for foreign := 0; foreign < maxForeign; foreign++ {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, err
		}
		if err := check(buf[:n], sent, q.end); errors.Is(err, errCase) {
			return nil, err
		} else if err != nil {
			continue
		}
		if truncated(buf[:n]) {
			return nil, errTruncated
		}
		if reply, err := q.unpack(buf[:n]); err == nil {
			return reply, nil
		}
	}
	return nil, errGuessing
}

// overTCP asks once on a connection of its own (RFC 7766). A reply in another letter case is one that the server folded,
// and this is remembered.
func (s *server) overTCP(ctx context.Context, q *question, sent []byte) (*dns.Msg, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", s.conf.Addr.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	defer interrupt(ctx, conn, deadline)()
	if _, err := conn.Write(frame(sent)); err != nil {
		return nil, err
	}
	reply, err := readFrame(bufio.NewReader(conn))
	if err != nil {
		return nil, err
	}
	switch err := check(reply, sent, q.end); {
	case errors.Is(err, errCase):
		s.folds.Store(true)
	case err != nil:
		return nil, err
	}
	if truncated(reply) {
		return nil, errTruncated
	}
	return q.unpack(reply)
}

// interrupt bounds what conn may take by a deadline and by the cancelling of ctx, until the returned func is called.
func interrupt(ctx context.Context, conn net.Conn, deadline time.Time) func() bool {
	_ = conn.SetDeadline(deadline)
	return context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
}

// frame puts the length before a message (RFC 1035 section 4.2.2), to be written in one piece.
func frame(msg []byte) []byte {
	b := make([]byte, 2, 2+len(msg))
	binary.BigEndian.PutUint16(b, uint16(len(msg)))
	return append(b, msg...)
}

func readFrame(r *bufio.Reader) ([]byte, error) {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(length[:]))
	if n < headerSize {
		return nil, fmt.Errorf("message of %d bytes", n)
	}
	msg := make([]byte, n)
	if _, err := io.ReadFull(r, msg); err != nil {
		return nil, fmt.Errorf("reading message: %w", err)
	}
	return msg, nil
}
