package upstream

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"schoolgate/resolver/wire"
)

// Bounds of the ports to one server.
const (
	openPorts = 16                     // that take questions at once
	portUses  = 64                     // questions that one port carries, all its life
	portLife  = 250 * time.Millisecond // for so long a port takes questions
	freshGap  = 4 * time.Millisecond   // one port in this time is opened rather than shared …
	freshRun  = 64                     // … and so many at once, after a quiet time
)

// ports are the UDP sockets to one server.
//
// What a forger who cannot see the questions must guess for one of them is its source port, its ID, and the case of each
// letter of its name (RFC 5452, draft-vixie-dnsext-dns0x20); and the packet must come from the server's address. The port
// is chosen by the system, at random of those that it has for this: some 28,000 on Linux, 14.8 bits. The ID has 16 bits, is
// drawn for each question, and never the same twice for a port.
//
// Up to 250 questions a second, and 64 at once, each leave from a port of their own, as if nothing were shared: a school
// hardly asks for more that is in no cache. Beyond that up to 16 open ports are shared, chosen at random for each question,
// since a socket for each is most of what a question costs. That takes no bit from the guess: a forged packet has one port,
// one ID and one name, and meets at most one question, however many are under way at that port. It would help who could
// find out an open port and use it; but a port carries 64 questions at most, takes them for a quarter of a second at most
// and much shorter in a crowd, and sixteen packets that are no reply to any of its questions end it (see maxForeign).
type ports struct {
	server  *server
	spare   sync.Pool // of *waiter
	cookies cookies

	mu     sync.Mutex // guards what follows
	open   [openPorts]*port
	all    map[*port]struct{} // these, and others with questions still under way
	next   int                // the one of open that has been there for longest
	fresh  time.Time          // the further in the future, the more ports were opened lately
	closed bool
}

// port is one connected UDP socket, so the kernel drops what others than the server send.
type port struct {
	conn    *net.UDPConn
	born    time.Time
	cookies *cookies

	mu      sync.Mutex // guards what follows
	ids     [portUses]uint16
	waiting [portUses]*waiter // nil where the question is over
	used    int
	under   int  // questions under way
	retired bool // takes no more questions, and is closed with the last of them
	foreign int  // datagrams that are no reply
}

// waiter is a question on its way from a port. It may be used again once its outcome was taken or it has left.
type waiter struct {
	q       *question
	port    *port
	number  int // among those of port
	sent    []byte
	outcome chan outcome // capacity 1
	timer   *time.Timer
}

// outcome is the reply to one question, or why there is none.
type outcome struct {
	reply *wire.Reply
	err   error
}

// send sends q from another port than not, and returns before there is an outcome, which may be an error of the sending.
// The waiter is to be released.
func (ps *ports) send(q *question, mix bool, not *port) (*waiter, error) {
	w, _ := ps.spare.Get().(*waiter)
	if w == nil {
		w = &waiter{outcome: make(chan outcome, 1), timer: time.NewTimer(time.Hour)}
	}
	w.q, w.sent = q, ps.cookies.add(append(w.sent[:0], q.msg...), time.Now())
	if err := ps.enlist(w, mix, not); err != nil {
		ps.spare.Put(w)
		return nil, err
	}
	if _, err := w.port.conn.Write(w.sent); err != nil {
		w.port.fail(err)
	}
	return w, nil
}

// await waits for the outcome until a time, or until ctx ends, and releases w.
func (ps *ports) await(ctx context.Context, w *waiter, until time.Time) (*wire.Reply, error) {
	defer ps.release(w)
	w.timer.Reset(time.Until(until))
	select {
	case o := <-w.outcome:
		return o.reply, o.err
	case <-w.timer.C:
		return nil, context.DeadlineExceeded
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// release ends the waiting, whether there was an outcome or not.
func (ps *ports) release(w *waiter) {
	w.port.leave(w)
	select {
	case <-w.outcome:
	default:
	}
	w.timer.Stop()
	w.q, w.port = nil, nil
	ps.spare.Put(w)
}

// enlist finds a port for w, or opens one.
func (ps *ports) enlist(w *waiter, mix bool, not *port) error {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.closed {
		return ErrClosed
	}
	now := time.Now()
	if ps.fresh.Before(now) {
		ps.fresh = now
	}
	enough := ps.fresh.Sub(now) >= freshRun*freshGap
	if enough && ps.share(w, mix, not, now) {
		return nil
	}
	err := ps.dial(w, mix, now)
	if err != nil && !enough && ps.share(w, mix, not, now) {
		return nil
	}
	return err
}

// share adds w to one of the open ports. The caller holds ps.mu.
func (ps *ports) share(w *waiter, mix bool, not *port, now time.Time) bool {
	var random [1]byte
	_, _ = rand.Read(random[:])
	for i := range openPorts {
		if p := ps.open[(int(random[0])+i)%openPorts]; p != nil && p != not && p.add(w, mix, now) {
			return true
		}
	}
	return false
}

// dial opens a port for w in the place of that which was open for longest. The caller holds ps.mu; connecting a datagram
// socket waits for nobody.
func (ps *ports) dial(w *waiter, mix bool, now time.Time) error {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(ps.server.conf.Addr))
	if err != nil {
		return err
	}
	_ = conn.SetReadDeadline(now.Add(portLife))
	_ = conn.SetWriteDeadline(now.Add(portLife + maxBudget))
	p := &port{conn: conn, born: now, cookies: &ps.cookies}
	p.add(w, mix, now)
	if old := ps.open[ps.next]; old != nil {
		old.retire()
	}
	ps.open[ps.next] = p
	ps.next = (ps.next + 1) % openPorts
	ps.fresh = ps.fresh.Add(freshGap)
	if ps.all == nil {
		ps.all = make(map[*port]struct{})
	}
	ps.all[p] = struct{}{}
	ps.server.pool.work.Go(func() {
		p.read()
		ps.mu.Lock()
		defer ps.mu.Unlock()
		delete(ps.all, p)
	})
	return nil
}

// close ends all ports and what is under way there.
func (ps *ports) close() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.closed = true
	for p := range ps.all {
		p.fail(ErrClosed)
	}
}

// add takes a question in, with an ID that the port never had, unless it takes no more.
func (p *port) add(w *waiter, mix bool, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.retired || p.used == portUses || now.Sub(p.born) > portLife {
		return false
	}
	for taken := true; taken; {
		w.q.stamp(w.sent, mix)
		_, taken = p.find(binary.BigEndian.Uint16(w.sent))
	}
	w.port, w.number = p, p.used
	p.ids[p.used], p.waiting[p.used] = binary.BigEndian.Uint16(w.sent), w
	p.used++
	p.under++
	return true
}

func (p *port) find(id uint16) (number int, ok bool) {
	for i, have := range p.ids[:p.used] {
		if have == id {
			return i, true
		}
	}
	return 0, false
}

// leave takes a question out if it is still there.
func (p *port) leave(w *waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting[w.number] == w {
		p.over(w.number)
	}
}

// over notes that a question is no longer under way. The caller holds p.mu.
func (p *port) over(number int) {
	p.waiting[number] = nil
	p.under--
	if p.retired && p.under == 0 {
		_ = p.conn.Close()
	}
}

// retire lets no more questions in.
func (p *port) retire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.retired = true; p.under == 0 {
		_ = p.conn.Close()
	}
}

// fail ends the port and all questions that are under way there.
func (p *port) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.retired = true
	for i, w := range p.waiting[:p.used] {
		if w != nil {
			w.outcome <- outcome{err: err}
			p.waiting[i] = nil
		}
	}
	p.under = 0
	_ = p.conn.Close()
}

// read hands replies to those who wait, until the port is closed.
func (p *port) read() {
	buf := make([]byte, datagramSize)
	for {
		n, err := p.conn.Read(buf)
		switch {
		case err == nil:
			if err := p.deliver(buf[:n]); err != nil {
				p.fail(err)
				return
			}
		case errors.Is(err, os.ErrDeadlineExceeded):
			p.retire()
			_ = p.conn.SetReadDeadline(time.Time{})
		default:
			p.fail(err)
			return
		}
	}
}

// deliver gives a reply to who waits for it. What is no reply, or cannot be read as one, is passed over, until there is so
// much of it that somebody must be guessing; what comes twice, or too late, is no guess. A panic ends the port, not the
// program: nobody else could recover from it.
func (p *port) deliver(msg []byte) (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	if len(msg) >= headerSize {
		i, ok := p.find(binary.BigEndian.Uint16(msg))
		if w := p.waiting[i]; ok && w == nil {
			return nil
		} else if ok {
			reply, err := w.q.reply(msg, w.sent)
			if !errors.Is(err, errAlien) {
				if bad := p.cookies.judge(w.q, msg, w.sent); bad != nil {
					reply, err = nil, bad
				}
			}
			if !errors.Is(err, errAlien) {
				w.outcome <- outcome{reply, err}
				p.over(i)
				return nil
			}
		}
	}
	if p.foreign++; p.foreign >= maxForeign {
		return errGuessing
	}
	return nil
}
