package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"schoolgate/resolver/wire"
)

// Bounds of the connections to one server.
const (
	maxPipes   = 4  // open at once
	pipeUseful = 64 // questions on one connection, until another is opened
)

// errDead means that a connection ended, or said nothing for too long, with the question unanswered.
var errDead = errors.New("connection is dead")

// ask asks on an open connection or a new one (RFC 7766, RFC 7858). A connection that dies under the question, as one that
// was idle often has without notice, is replaced once.
func (ps *pipes) ask(ctx context.Context, q *question) (*wire.Reply, error) {
	for try := 0; ; try++ {
		p, fresh, err := ps.take(ctx)
		if err != nil {
			return nil, err
		}
		wait := ps.server.share(ctx, 1)
		if try == 0 && !fresh {
			wait = ps.server.share(ctx, 0)
		}
		reply, err := p.exchange(ctx, q, wait)
		if err == nil {
			return q.read(reply)
		}
		if try > 0 || !errors.Is(err, errDead) || ctx.Err() != nil {
			return nil, err
		}
	}
}

// pipes are the connections to one server, by TLS or plain TCP.
type pipes struct {
	server *server
	idle   time.Duration
	conf   *tls.Config // nil for TCP

	mu     sync.Mutex // guards what follows
	open   []*pipe
	dial   *dialing // the connection being made, nil when none is
	closed bool
}

// dialing is a connection being made, for all that wait for it.
type dialing struct {
	done chan struct{} // closed when pipe and err are set
	pipe *pipe
	err  error
}

// take gives the least busy connection, or makes one: fresh says that it has not been idle before.
func (ps *pipes) take(ctx context.Context) (p *pipe, fresh bool, err error) {
	ps.mu.Lock()
	if ps.closed {
		ps.mu.Unlock()
		return nil, false, ErrClosed
	}
	busy := 0
	for _, o := range ps.open {
		if n, ok := o.busy(); ok && (p == nil || n < busy) {
			p, busy = o, n
		}
	}
	if p != nil && (busy < pipeUseful || ps.dial != nil || len(ps.open) >= maxPipes) {
		ps.mu.Unlock()
		return p, false, nil
	}
	if d := ps.dial; d != nil {
		ps.mu.Unlock()
		select {
		case <-d.done:
			return d.pipe, true, d.err
		case <-ctx.Done():
			return nil, false, fmt.Errorf("waiting for connection: %w", ctx.Err())
		}
	}
	d := &dialing{done: make(chan struct{})}
	ps.dial = d
	ps.mu.Unlock()

	conn, err := ps.connect(ctx)
	ps.mu.Lock()
	ps.dial = nil
	switch {
	case err != nil:
		d.err = err
	case ps.closed:
		_ = conn.Close()
		d.err = ErrClosed
	default:
		d.pipe = newPipe(conn, ps.idle, ps.conf != nil)
		ps.open = append(ps.open, d.pipe)
		ps.server.pool.work.Go(func() {
			d.pipe.read()
			ps.drop(d.pipe)
		})
	}
	ps.mu.Unlock()
	close(d.done)
	return d.pipe, true, d.err
}

func (ps *pipes) connect(ctx context.Context) (conn net.Conn, err error) {
	if addr := ps.server.conf.Addr.String(); ps.conf == nil {
		conn, err = new(net.Dialer).DialContext(ctx, "tcp", addr)
	} else {
		conn, err = (&tls.Dialer{Config: ps.conf}).DialContext(ctx, "tcp", addr)
	}
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	return conn, nil
}

// drop forgets a connection that has ended.
func (ps *pipes) drop(p *pipe) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for i, o := range ps.open {
		if o == p {
			ps.open = append(ps.open[:i], ps.open[i+1:]...)
			return
		}
	}
}

func (ps *pipes) close() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.closed = true
	for _, p := range ps.open {
		p.fail(ErrClosed)
	}
}
