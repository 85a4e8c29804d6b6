package listen

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"schoolgate/resolver/query"
	"schoolgate/resolver/wire"
)

// acceptLoop takes connections until the listener is closed; conf is nil for plain TCP.
func (s *Server) acceptLoop(ctx context.Context, t net.Listener, conf *tls.Config) error {
	for {
		nc, err := t.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil { // out of descriptors, or a client that went away: neither ends the service
			wait := time.NewTimer(20 * time.Millisecond)
			select {
			case <-wait.C:
			case <-ctx.Done():
			}
			wait.Stop()
			continue
		}
		s.counts.tcpAccepted.Add(1)
		c := &conn{s: s, nc: nc, rw: nc, proto: query.TCP, client: addrOf(nc.RemoteAddr()), asked: addrOf(nc.LocalAddr())}
		if conf != nil {
			c.proto, c.tls = query.TLS, tls.Server(nc, conf)
			c.rw = c.tls
		}
		if c.session = s.open(c.client, c.stopReading, c.end); c.session == nil {
			nc.Close()
			continue
		}
		s.jobs.Add(1)
		go c.serve(ctx)
	}
}

// addrOf is the address of one end of a connection.
func addrOf(a net.Addr) netip.Addr {
	switch a := a.(type) {
	case *net.TCPAddr:
		return a.AddrPort().Addr().Unmap().WithZone("")
	case *net.UDPAddr:
		return a.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// conn is one TCP connection, with or without TLS. Its requests are answered as their answers come, in any order (RFC 7766
// section 6.2.1.1).
type conn struct {
	s             *Server
	nc            net.Conn
	tls           *tls.Conn     // nil without
	rw            io.ReadWriter // one of the two
	proto         query.Proto
	client, asked netip.Addr
	ident         string
	session       *session
	slots         chan struct{} // one for each query in Resolve
	jobs          sync.WaitGroup

	mu   sync.Mutex // guards writing
	dead bool       // a write did not go through: whatever follows would be out of step
}

// serve reads requests until the client stops sending, is too slow, or sends what is none; then it waits for the answers
// that are still to come. So a client may close its sending half first.
func (c *conn) serve(ctx context.Context) {
	defer c.s.jobs.Done()
	defer c.session.close()
	defer c.nc.Close()
	if !c.handshake(ctx) {
		return
	}
	if c.tls != nil {
		defer c.tls.Close() // which tells the client
	}
	defer c.jobs.Wait()
	c.slots = make(chan struct{}, c.s.Limits.ConnInFlight)
	r := bufio.NewReaderSize(c.rw, 1024)
	q := new(query.Query)
	var req, out []byte
	for {
		var length [2]byte
		if !c.arm(c.s.idle(c.proto)) {
			return
		}
		if _, err := io.ReadFull(r, length[:]); err != nil {
			return
		}
		n := int(binary.BigEndian.Uint16(length[:]))
		if n > maxRequest {
			c.s.counts.notRequests.Add(1)
			return
		}
		if req == nil {
			req, out = make([]byte, maxRequest), make([]byte, replyRoom)
		}
		if _, err := io.ReadFull(r, req[:n]); err != nil {
			return
		}
		if !c.request(ctx, q, req[:n], out) {
			return
		}
	}
}

// handshake sets up TLS, where there is any, in the time that a request has over TCP.
func (c *conn) handshake(ctx context.Context) bool {
	if c.tls == nil {
		return true
	}
	c.nc.SetWriteDeadline(time.Now().Add(c.s.Limits.Idle))
	if !c.arm(c.s.Limits.Idle) || c.tls.HandshakeContext(ctx) != nil {
		c.s.counts.handshakes.Add(1)
		return false
	}
	c.ident = c.s.Encrypted.ident(c.tls.ConnectionState().ServerName)
	return true
}

// arm gives the client its time to send a whole request; it is false when no more are to be read.
func (c *conn) arm(most time.Duration) bool {
	end := time.Now().Add(c.s.sessions.patience(most))
	return c.s.sessions.going(func() error { return c.nc.SetReadDeadline(end) })
}

func (c *conn) stopReading() { c.nc.SetReadDeadline(time.Unix(1, 0)) }

func (c *conn) end() { c.nc.Close() }

// request serves one request; it is false when the connection is to end.
func (c *conn) request(ctx context.Context, q *query.Query, req, out []byte) bool {
	c.s.counts.tcpQueries.Add(1)
	c.session.began()
	begin(q, c.s.Now(), 0, c.proto, c.client)
	q.Asked, q.Ident = c.asked, c.ident
	st := c.s.standing(c.client)
	resp, what := c.s.first(q, st, req, out[2:2])
	switch what {
	case dropped:
		return false
	case missed:
		// Wait while the connection has too many in Resolve, which ends since each has a time limit; the client's further
		// requests wait in its own buffers.
		select {
		case c.slots <- struct{}{}:
		case <-ctx.Done():
			return false
		}
		if j := c.s.gate.enter(c.client, st); j != nil {
			c.handOver(ctx, j, q, req)
			return true
		}
		<-c.slots
		c.s.counts.overloaded.Add(1)
		resp = c.s.servFail(q, req, out[2:2], wire.EDE{Code: wire.EDEOther, Text: "too many questions at once"})
	case answered, told:
	}
	resp = c.s.dress(resp, q)
	ok := c.write(resp, out)
	c.session.answered()
	if what != told {
		c.s.finish(q, resp, c.s.Now())
	}
	return ok
}

// handOver copies a query for Resolve.
func (c *conn) handOver(ctx context.Context, j *job, q *query.Query, req []byte) {
	j.q = *q
	j.req = append(j.req[:0], req...)
	c.jobs.Add(1)
	go c.answer(ctx, j)
}

// answer is the rest of a query's way, in a goroutine of its own.
func (c *conn) answer(ctx context.Context, j *job) {
	defer c.jobs.Done()
	defer func() { <-c.slots }()
	defer c.s.gate.leave(j)
	resp := c.s.dress(c.s.resolve(ctx, &j.q, j.req, j.out[2:2]), &j.q)
	c.write(resp, j.out)
	c.session.answered()
	c.s.finish(&j.q, resp, c.s.Now())
}

// write sends a reply with its length before it, in one piece. buf is where resp was appended to from its third byte on,
// unless it outgrew it. After a failure the connection is closed, so that the reader ends too.
func (c *conn) write(resp, buf []byte) bool {
	if len(resp) == 0 {
		return true
	}
	if len(resp) > 0xffff {
		c.s.counts.socketErrors.Add(1)
		return false
	}
	buf = prefixed(resp, buf)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return false
	}
	c.nc.SetWriteDeadline(time.Now().Add(c.s.Limits.Write))
	if _, err := c.rw.Write(buf); err != nil {
		c.dead = true
		c.s.counts.socketErrors.Add(1)
		c.nc.Close()
		return false
	}
	return true
}

// prefixed is a reply with its length before it. buf is where resp was appended to from its third byte on, unless it
// outgrew it.
func prefixed(resp, buf []byte) []byte {
	if &resp[0] == &buf[2] {
		buf = buf[:2+len(resp)]
	} else {
		buf = append(make([]byte, 2, 2+len(resp)), resp...)
	}
	binary.BigEndian.PutUint16(buf, uint16(len(resp)))
	return buf
}
