package upstream

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"schoolgate/resolver/wire"
)

const (
	datagramSize = 4096 // more than was offered, for servers that do not listen
	maxForeign   = 16   // datagrams at one port that are no reply, until somebody is seen to be guessing
)

// errGuessing means that datagrams arrived as from somebody who forges replies.
var errGuessing = errors.New("many datagrams that are no reply")

// overUDP asks twice if need be, each time from another port with a new ID; b may hold what was sent already. What is
// truncated, and what looks forged, is asked for again over TCP, where forging is far harder.
func (s *server) overUDP(ctx context.Context, q *question, b *begun) (*wire.Reply, error) {
	var failed error
	var last *port
	w, err := b.waiter, b.err
	mix := !s.folds.Load()
	again := func() {}
	for try := range 2 {
		if w == nil && err == nil {
			w, err = s.ports.send(q, mix, last)
		}
		var reply *wire.Reply
		if err == nil {
			last = w.port
			until, _ := ctx.Deadline()
			if try == 0 {
				until = b.start.Add(s.timeout / 2)
			}
			reply, err = s.ports.await(ctx, w, until)
		}
		switch {
		case err == nil:
			return reply, nil
		case errors.Is(err, errTruncated):
			return s.overTCP(ctx, q, mix)
		case errors.Is(err, errBadCookie) && try == 1:
			return s.overTCP(ctx, q, mix)
		case errors.Is(err, errNoCookie):
			if reply, err := s.overTCP(ctx, q, mix); err == nil {
				return reply, nil
			}
			s.ports.cookies.forget() // no TCP there either
		case errors.Is(err, errCase), errors.Is(err, errGuessing):
			if reply, err := s.overTCP(ctx, q, mix); err == nil {
				return reply, nil
			}
			mix = false // no TCP there either: port and ID must do
		case errors.Is(err, context.DeadlineExceeded) && try == 0:
			again = s.ports.cookies.pause()
		}
		failed = err
		if ctx.Err() != nil {
			break
		}
		w, err = nil, nil
	}
	again()
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

// overTCP asks once on a connection of its own (RFC 7766). A reply in another letter case is one that the server folded,
// and this is remembered.
func (s *server) overTCP(ctx context.Context, q *question, mix bool) (*wire.Reply, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", s.conf.Addr.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	defer interrupt(ctx, conn, deadline)()
	sent := s.ports.cookies.add(bytes.Clone(q.msg), time.Now())
	q.stamp(sent, mix)
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
	if errors.Is(s.ports.cookies.judge(q, reply, sent), errNoCookie) {
		s.ports.cookies.forget() // nobody forges this: it gives none any more
	}
	return q.read(reply)
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
