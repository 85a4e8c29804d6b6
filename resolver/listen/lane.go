package listen

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"schoolgate/resolver/query"
)

// lane is one UDP socket and the loop that serves it.
type lane struct {
	s        *Server
	number   int
	sock     socket
	local    netip.AddrPort
	wildcard bool // bound to no single address: answers must say where they leave from

	packets, answers, batches, deferred atomic.Uint64
	_                                   [64]byte // keeps another core's counters off this cache line
}

func newLane(s *Server, number int, sock socket, local netip.AddrPort) *lane {
	return &lane{s: s, number: number, sock: sock, local: local, wildcard: local.Addr().IsUnspecified()}
}

// run serves the socket until it is stopped.
func (l *lane) run(ctx context.Context) error { return l.sock.serve(ctx, l) }

// runSingly is the loop for every system: one packet a call.
func (l *lane) runSingly(ctx context.Context, c *net.UDPConn) error {
	q := new(query.Query)
	req, out := make([]byte, maxUDPRequest+1), make([]byte, replyRoom)
	oob := make([]byte, len(job{}.oob))
	for {
		n, noob, _, peer, err := c.ReadMsgUDPAddrPort(req, oob)
		if err != nil {
			if ended(err) {
				return nil
			}
			l.pause(ctx)
			continue
		}
		l.packets.Add(1)
		l.batches.Add(1)
		client := peer.Addr().Unmap().WithZone("")
		begin(q, l.s.Now(), l.number, query.UDP, client)
		st := l.s.standing(client)
		whole := whole(req[:n], n > maxUDPRequest)
		resp, what := l.s.arrived(q, st, whole, out[2:2])
		source, asked := l.source(oob[:noob])
		switch what {
		case answered:
			resp = l.s.forUDP(q, client, st, whole, resp)
			if len(resp) > 0 && l.send(resp, source, peer) {
				l.answers.Add(1)
			}
			l.s.finish(q, resp, l.s.Now())
		case missed:
			l.handOver(ctx, q, st, req[:n], source, asked, peer)
		case told:
			l.send(resp, source, peer)
		case dropped:
		}
	}
}

// whole makes a request that was cut off one that ParseQuestion refuses with FORMERR: its header alone.
func whole(req []byte, cut bool) []byte {
	if cut {
		return req[:12]
	}
	return req
}

// ended says whether a socket's error means that Run is to end.
func ended(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed)
}

// pause keeps a socket that fails at once, again and again, from taking the processor.
func (l *lane) pause(ctx context.Context) {
	l.s.counts.socketErrors.Add(1)
	t := time.NewTimer(10 * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// send writes one answer from the address that source (control messages, may be empty) names.
func (l *lane) send(resp, source []byte, peer netip.AddrPort) bool {
	if err := l.sock.send(resp, source, peer); err != nil {
		l.s.counts.socketErrors.Add(1)
		return false
	}
	return true
}

// handOver copies a query for Resolve, or drops it when too many are there.
func (l *lane) handOver(ctx context.Context, q *query.Query, st Standing, req, source []byte, asked netip.Addr, peer netip.AddrPort) {
	client := peer.Addr().Unmap().WithZone("")
	j := l.s.gate.enter(client, st)
	if j == nil {
		l.s.counts.overloaded.Add(1)
		return
	}
	l.deferred.Add(1)
	j.q = *q
	j.q.Lane, j.q.Asked = 0, asked
	j.req = append(j.req[:0], req...)
	j.noob = copy(j.oob[:], source)
	j.lane, j.peer = l, peer
	l.s.jobs.Add(1)
	go l.answer(ctx, j)
}

// answer is the rest of a query's way, in a goroutine of its own.
func (l *lane) answer(ctx context.Context, j *job) {
	defer l.s.jobs.Done()
	defer l.s.gate.keep(j)
	resp := l.s.resolve(ctx, &j.q, j.req, j.out[2:2])
	l.s.gate.left(j) // before the client can know: its next question must not find this one still counted
	if len(resp) > 0 {
		resp = l.s.forUDP(&j.q, j.client, j.standing, j.req, resp)
		l.send(resp, j.oob[:j.noob], j.peer)
	}
	l.s.finish(&j.q, resp, l.s.Now())
}
