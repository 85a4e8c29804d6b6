package listen

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// hasReusePort: the kernel spreads clients over several sockets of one address.
const hasReusePort = true

// reusePort lets several sockets share an address; the kernel spreads clients over them.
func reusePort(_, _ string, c syscall.RawConn) error {
	var err error
	if cerr := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}); cerr != nil {
		return cerr
	}
	return err
}

// batchSocket reads and writes many packets a call (recvmmsg, sendmmsg), and waits in these calls, on a thread of its
// lane's own, not in Go's poller. At a school's few queries a second each packet finds everybody asleep. Waking a thread
// that waits in recvmmsg costs what it costs in C; through the poller it is first another thread that wakes, then the
// scheduler and the runtime's monitor, which is more than twice the time for a query.
type batchSocket struct {
	fd       int
	stopping atomic.Bool

	mu     sync.RWMutex // keeps the descriptor open while send uses it
	closed bool
}

// turn is how long a call may wait before the lane looks whether it is to end, should the wake-up of stop get lost.
const turn = time.Second

// newSocket takes c over, as a batchSocket if the system has the calls for it.
func newSocket(c *net.UDPConn, portable bool) (socket, error) {
	if portable || !canBatch() {
		return plainSocket{c}, nil
	}
	defer c.Close() // which takes it out of the poller: that would be told of each packet, for nobody
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd := -1
	if cerr := raw.Control(func(old uintptr) { fd, err = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0) }); err != nil || cerr != nil {
		return nil, errors.Join(cerr, os.NewSyscallError("fcntl", err))
	}
	wait := unix.NsecToTimeval(int64(turn))
	err = errors.Join(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &wait),
		unix.SetNonblock(fd, false))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making a socket wait: %w", err), unix.Close(fd))
	}
	return &batchSocket{fd: fd}, nil
}

// canBatch asks whether the calls exist and no sandbox forbids them: without a message they do nothing.
func canBatch() bool {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	for _, call := range []uintptr{unix.SYS_RECVMMSG, unix.SYS_SENDMMSG} {
		if _, _, errno := unix.Syscall6(call, uintptr(fd), 0, 0, unix.MSG_DONTWAIT, 0, 0); errno != 0 {
			return false
		}
	}
	return true
}

func (s *batchSocket) serve(ctx context.Context, l *lane) error {
	newBatch(l, s).run(ctx)
	return nil
}

func (s *batchSocket) send(resp, source []byte, peer netip.AddrPort) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return net.ErrClosed
	}
	var to unix.Sockaddr
	if addr := peer.Addr(); addr.Is4() {
		to = &unix.SockaddrInet4{Port: int(peer.Port()), Addr: addr.As4()}
	} else {
		zone, _ := strconv.ParseUint(addr.Zone(), 10, 32) // as batch.peer wrote it; none is 0
		to = &unix.SockaddrInet6{Port: int(peer.Port()), Addr: addr.As16(), ZoneId: uint32(zone)}
	}
	_, err := unix.SendmsgN(s.fd, resp, source, to, 0)
	return os.NewSyscallError("sendmsg", err)
}

func (s *batchSocket) stop() {
	s.stopping.Store(true)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if !s.closed {
		_ = unix.Shutdown(s.fd, unix.SHUT_RD) // says ENOTCONN on a socket without a peer, and wakes who waits all the same
	}
}

func (s *batchSocket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return os.NewSyscallError("close", unix.Close(s.fd))
}
