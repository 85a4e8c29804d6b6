package listen //nolint:gosec // G103: the kernel takes its structures by address; each pointer leads into the batch that outlives the call

import (
	"context"
	"net/netip"
	"runtime"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"schoolgate/resolver/query"
)

// batchSize is how many packets one call reads or sends at most. The gain is nearly all there at 32, and the buffers of a
// lane stay within a core's cache.
const batchSize = 32

// batch is what a lane hands to the kernel, made once and used again. The answers share the requests' addresses and
// control messages: where a packet came from is where its answer goes.
type batch struct {
	l *lane
	s *batchSocket

	in, out [batchSize]unix.Mmsghdr
	inVec   [batchSize]unix.Iovec
	outVec  [batchSize]unix.Iovec
	names   [batchSize]unix.RawSockaddrInet6 // room for either family
	ctrl    [batchSize][8]uint64             // aligned as struct cmsghdr must be

	req  [batchSize][maxUDPRequest]byte
	resp [batchSize][replyRoom - 2]byte
	q    [batchSize]query.Query

	recv     func() (n int, errno syscall.Errno) // a field for tests
	from, to int                                 // out[from:to] is still to be sent

	end, yielded time.Time // when the last batch was done, and when others were last let run
}

// yieldEvery is less than the time after which the runtime takes a processor away from a goroutine that did not yield
// (10 ms): in a loop of system calls it would do so, and look for more, many thousand times a second.
const yieldEvery = 4 * time.Millisecond

// nobody is whose an answer is that is not recorded.
const nobody = -1

// run answers packets until the socket is stopped.
func (b *batch) run(ctx context.Context) {
	for !b.s.stopping.Load() {
		if b.end.Sub(b.yielded) > yieldEvery {
			b.yielded = b.end
			runtime.Gosched()
		}
		switch n, errno := b.recv(); errno {
		case 0:
			b.serve(ctx, n)
		case unix.EAGAIN: // nothing came
		default:
			b.l.pause(ctx)
		}
	}
}

func newBatch(l *lane, s *batchSocket) *batch {
	b := &batch{l: l, s: s}
	for i := range batchSize {
		b.inVec[i].Base = &b.req[i][0]
		b.inVec[i].SetLen(maxUDPRequest)
		in, out := &b.in[i].Hdr, &b.out[i].Hdr
		in.Iov, out.Iov = &b.inVec[i], &b.outVec[i]
		in.SetIovlen(1)
		out.SetIovlen(1)
		in.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		if l.wildcard {
			in.Control = (*byte)(unsafe.Pointer(&b.ctrl[i]))
		}
		b.rearm(i)
	}
	b.recv = func() (int, syscall.Errno) { return mmsg(unix.SYS_RECVMMSG, b.s.fd, b.in[:], unix.MSG_WAITFORONE) }
	return b
}

// mmsg makes one of the two calls, and repeats it after a signal.
func mmsg(trap uintptr, fd int, msgs []unix.Mmsghdr, flags uintptr) (n int, errno syscall.Errno) {
	for {
		r, _, errno := unix.Syscall6(trap, uintptr(fd), uintptr(unsafe.Pointer(&msgs[0])), uintptr(len(msgs)), flags, 0, 0)
		switch errno {
		case 0:
			return int(r), 0
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// rearm sets the lengths of message i, which the kernel overwrote, to the room there is.
func (b *batch) rearm(i int) {
	h := &b.in[i].Hdr
	h.Namelen = uint32(unsafe.Sizeof(b.names[i]))
	if b.l.wildcard {
		h.SetControllen(len(b.ctrl[i]) * 8)
	}
	h.Flags = 0
}

// serve answers the n packets that were read. Time is taken once before and once after.
func (b *batch) serve(ctx context.Context, n int) {
	l := b.l
	start := l.s.Now()
	var order [batchSize]int // which packet each answer belongs to
	b.from, b.to = 0, 0
	for i := range n {
		h := &b.in[i].Hdr
		q := &b.q[i]
		client := b.client(i)
		begin(q, start, l.number, query.UDP, client)
		req := whole(b.req[i][:b.in[i].Len], h.Flags&unix.MSG_TRUNC != 0)
		st := l.s.standing(client)
		resp, what := l.s.arrived(q, st, req, b.resp[i][:0])
		switch what {
		case answered:
			if resp = l.s.forUDP(q, client, st, req, resp); len(resp) == 0 {
				l.s.finish(q, nil, start)
				break
			}
			order[b.to] = i
			b.reply(i, resp)
		case told:
			order[b.to] = nobody
			b.reply(i, resp)
		case missed:
			source := b.source(i)
			l.handOver(ctx, q, st, req, source, b.asked(i), b.peer(i))
		case dropped:
		}
	}
	answers := b.to
	sent := b.flush()
	l.packets.Add(uint64(n))
	l.batches.Add(1)
	l.answers.Add(uint64(sent))
	b.end = l.s.Now()
	for k := range answers {
		if i := order[k]; i != nobody {
			l.s.finish(&b.q[i], unsafe.Slice(b.outVec[k].Base, int(b.outVec[k].Len)), b.end)
		}
		b.outVec[k].Base = nil // a reply that did not fit its buffer must not be kept
	}
	for i := range n {
		b.rearm(i)
	}
}

// reply queues the answer to packet i.
func (b *batch) reply(i int, resp []byte) {
	k := b.to
	b.to++
	b.outVec[k].Base = &resp[0]
	b.outVec[k].SetLen(len(resp))
	in, out := &b.in[i].Hdr, &b.out[k].Hdr
	out.Name, out.Namelen = in.Name, in.Namelen
	out.Control = nil
	out.SetControllen(0)
	if c := b.source(i); c != nil {
		out.Control = &c[0]
		out.SetControllen(len(c))
	}
}

// flush sends what is queued and says how much went. An answer that cannot be sent is left out, the rest follows.
func (b *batch) flush() (sent int) {
	for b.from < b.to {
		n, errno := mmsg(unix.SYS_SENDMMSG, b.s.fd, b.out[b.from:b.to], 0)
		sent += n
		b.from += n
		if errno != 0 {
			b.l.s.counts.socketErrors.Add(1)
			b.from++
		}
	}
	return sent
}

// source turns packet i's control message, in place, into the one that sends its answer from the address it was sent to:
// what is received as "destination" and sent as "source" has one layout, only the interface must be left to routing.
// It is nil where the system may choose.
func (b *batch) source(i int) []byte {
	h := &b.in[i].Hdr
	size := int(h.Controllen)
	if h.Control == nil || size < unix.SizeofCmsghdr || h.Flags&unix.MSG_CTRUNC != 0 {
		return nil
	}
	c := (*unix.Cmsghdr)(unsafe.Pointer(&b.ctrl[i]))
	data := unsafe.Add(unsafe.Pointer(c), unix.CmsgLen(0))
	switch {
	case c.Level == unix.IPPROTO_IP && c.Type == unix.IP_PKTINFO && size >= unix.CmsgLen(unix.SizeofInet4Pktinfo):
		(*unix.Inet4Pktinfo)(data).Ifindex = 0
		size = unix.CmsgSpace(unix.SizeofInet4Pktinfo)
	case c.Level == unix.IPPROTO_IPV6 && c.Type == unix.IPV6_PKTINFO && size >= unix.CmsgLen(unix.SizeofInet6Pktinfo):
		info := (*unix.Inet6Pktinfo)(data)
		switch addr := netip.AddrFrom16(info.Addr); {
		case addr.IsMulticast():
			return nil
		case !addr.IsLinkLocalUnicast():
			info.Ifindex = 0
		}
		size = unix.CmsgSpace(unix.SizeofInet6Pktinfo)
	default:
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(c)), min(size, len(b.ctrl[i])*8))
}

// asked is the box's address that packet i was sent to, known once source was called for it.
func (b *batch) asked(i int) netip.Addr {
	h := &b.in[i].Hdr
	if h.Control == nil || int(h.Controllen) < unix.SizeofCmsghdr || h.Flags&unix.MSG_CTRUNC != 0 {
		return b.l.local.Addr()
	}
	c := (*unix.Cmsghdr)(unsafe.Pointer(&b.ctrl[i]))
	data := unsafe.Add(unsafe.Pointer(c), unix.CmsgLen(0))
	switch {
	case c.Level == unix.IPPROTO_IP && c.Type == unix.IP_PKTINFO:
		return netip.AddrFrom4((*unix.Inet4Pktinfo)(data).Spec_dst)
	case c.Level == unix.IPPROTO_IPV6 && c.Type == unix.IPV6_PKTINFO:
		return netip.AddrFrom16((*unix.Inet6Pktinfo)(data).Addr).Unmap()
	}
	return netip.Addr{}
}

// client is who sent packet i.
func (b *batch) client(i int) netip.Addr {
	if b.names[i].Family == unix.AF_INET {
		return netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(&b.names[i])).Addr)
	}
	return netip.AddrFrom16(b.names[i].Addr).Unmap()
}

// peer is the address that an answer to packet i goes to, for those that are sent later.
func (b *batch) peer(i int) netip.AddrPort {
	name := &b.names[i]
	port := (*[2]byte)(unsafe.Pointer(&name.Port))
	addr := b.client(i)
	if name.Family != unix.AF_INET && name.Scope_id != 0 {
		addr = addr.WithZone(strconv.FormatUint(uint64(name.Scope_id), 10))
	}
	return netip.AddrPortFrom(addr, uint16(port[0])<<8|uint16(port[1]))
}
