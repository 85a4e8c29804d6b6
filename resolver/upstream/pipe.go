package upstream

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// pipe is one connection with several questions on it at a time, answered in any order (RFC 7766 section 6.2.1.1).
type pipe struct {
	conn net.Conn
	idle time.Duration
	pads bool          // questions shall not be told by their length
	dead chan struct{} // closed when err is set

	write sync.Mutex // held while a message is written

	mu      sync.Mutex // guards what follows
	waiting map[uint16]*piped
	heard   uint64 // messages read
	err     error  // why the connection ended
}

// piped is a question on its way.
type piped struct {
	sent  []byte
	end   int
	reply chan []byte // capacity 1
}

func newPipe(conn net.Conn, idle time.Duration, pads bool) *pipe {
	p := &pipe{conn: conn, idle: idle, pads: pads, dead: make(chan struct{}), waiting: make(map[uint16]*piped)}
	p.touch()
	return p
}

// touch lets the connection live on: it ends by the deadline of its reader, idle after the last question.
func (p *pipe) touch() { _ = p.conn.SetReadDeadline(time.Now().Add(p.idle)) }

// busy is how many questions are on the way; ok is false when the connection has ended.
func (p *pipe) busy() (n int, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.waiting), p.err == nil
}

// exchange sends q and waits for its reply. When nothing at all has arrived meanwhile, the connection is given up
// (errDead): it may lead nowhere.
func (p *pipe) exchange(ctx context.Context, q *question, wait time.Duration) ([]byte, error) {
	w, heard, err := p.enlist(q)
	if err != nil {
		return nil, err
	}
	defer p.leave(w)
	p.touch()
	p.write.Lock()
	_ = p.conn.SetWriteDeadline(time.Now().Add(wait))
	_, err = p.conn.Write(frame(w.sent))
	p.write.Unlock()
	if err != nil {
		p.fail(err) // part of a message may have gone out: nothing can follow it
		return nil, fmt.Errorf("%w: %w", errDead, err)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case reply := <-w.reply:
		return reply, nil
	case <-p.dead:
		select {
		case reply := <-w.reply: // the last words of the server
			return reply, nil
		default:
			return nil, p.failure()
		}
	case <-timer.C:
		return nil, p.silent(heard, context.DeadlineExceeded)
	case <-ctx.Done():
		return nil, p.silent(heard, ctx.Err())
	}
}

// enlist gives q an ID that no other question on the connection has.
func (p *pipe) enlist(q *question) (w *piped, heard uint64, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return nil, 0, fmt.Errorf("%w: %w", errDead, p.err)
	}
	w = &piped{sent: q.message(p.pads), end: q.end, reply: make(chan []byte, 1)}
	for taken := true; taken; {
		q.stamp(w.sent, false)
		_, taken = p.waiting[binary.BigEndian.Uint16(w.sent)]
	}
	p.waiting[binary.BigEndian.Uint16(w.sent)] = w
	return w, p.heard, nil
}

func (p *pipe) leave(w *piped) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if id := binary.BigEndian.Uint16(w.sent); p.waiting[id] == w {
		delete(p.waiting, id)
	}
}

// silent judges a question that was not answered in time.
func (p *pipe) silent(heard uint64, cause error) error {
	p.mu.Lock()
	quiet := p.heard == heard
	p.mu.Unlock()
	if !quiet {
		return fmt.Errorf("waiting for reply: %w", cause)
	}
	p.fail(cause)
	return fmt.Errorf("%w: silent: %w", errDead, cause)
}

// read hands replies to those who wait, until the connection ends.
func (p *pipe) read() {
	r := bufio.NewReader(p.conn)
	for {
		reply, err := readFrame(r)
		if err != nil {
			p.fail(err)
			return
		}
		p.deliver(reply)
	}
}

// deliver ignores what nobody waits for: a reply that came too late.
func (p *pipe) deliver(reply []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard++
	id := binary.BigEndian.Uint16(reply)
	w := p.waiting[id]
	if w == nil || errors.Is(check(reply, w.sent, w.end), errAlien) {
		return
	}
	delete(p.waiting, id)
	w.reply <- reply
}

// fail ends the connection.
func (p *pipe) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return
	}
	p.err = err
	close(p.dead)
	_ = p.conn.Close()
}

func (p *pipe) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Errorf("%w: %w", errDead, p.err)
}
