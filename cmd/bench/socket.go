//go:build linux

package main //nolint:gosec // G103: the kernel takes its structures by address; each pointer leads into the batch that outlives the call

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batchSize is how many packets one call reads or sends at most.
const batchSize = 64

// packetRoom is for one packet; the questions and answers here are far shorter.
const packetRoom = 1536

// batch is a set of packets that one call sends or receives, made once and used again.
type batch struct {
	headers [batchSize]unix.Mmsghdr
	vectors [batchSize]unix.Iovec
	peers   [batchSize]unix.RawSockaddrInet4
	room    [batchSize][packetRoom]byte
}

// newBatch makes a batch that receives into its own room; withPeers if it is also to keep who sent.
func newBatch(withPeers bool) *batch {
	b := new(batch)
	for i := range b.headers {
		h := &b.headers[i].Hdr
		h.Iov = &b.vectors[i]
		h.SetIovlen(1)
		if withPeers {
			h.Name = (*byte)(unsafe.Pointer(&b.peers[i]))
		}
		b.set(i, b.room[i][:])
	}
	return b
}

// set makes p message i. p must not be moved or freed before the batch is used.
func (b *batch) set(i int, p []byte) {
	b.vectors[i].Base = &p[0]
	b.vectors[i].SetLen(len(p))
	if b.headers[i].Hdr.Name != nil {
		b.headers[i].Hdr.Namelen = unix.SizeofSockaddrInet4
	}
}

// packet is message i as it was received.
func (b *batch) packet(i int) []byte { return b.room[i][:min(int(b.headers[i].Len), packetRoom)] }

// receive reads up to a batch; 0 without an error when none came within the socket's time.
func (b *batch) receive(fd, flags int) (int, error) {
	n, errno := mmsg(unix.SYS_RECVMMSG, fd, b.headers[:], flags)
	if errno == unix.EAGAIN || errno == unix.ECONNREFUSED {
		return 0, nil
	}
	if errno != 0 {
		return 0, fmt.Errorf("recvmmsg: %w", errno)
	}
	return n, nil
}

// send sends the first n messages and says how many the kernel took.
func (b *batch) send(fd, n int) (int, error) {
	sent := 0
	for sent < n {
		m, errno := mmsg(unix.SYS_SENDMMSG, fd, b.headers[sent:n], 0)
		if errno == unix.EAGAIN || errno == unix.ECONNREFUSED || errno == unix.ENOBUFS {
			return sent, nil
		}
		if errno != 0 {
			return sent, fmt.Errorf("sendmmsg: %w", errno)
		}
		sent += m
	}
	return sent, nil
}

func mmsg(trap uintptr, fd int, msgs []unix.Mmsghdr, flags int) (int, syscall.Errno) {
	for {
		n, _, errno := unix.Syscall6(trap, uintptr(fd), uintptr(unsafe.Pointer(&msgs[0])), uintptr(len(msgs)), uintptr(flags), 0, 0)
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}

// loopback is the only address that anything here uses.
var loopback = [4]byte{127, 0, 0, 1}

// openSocket makes a UDP socket on loopback with large buffers, whose reads wait for at most the given time.
func openSocket(wait time.Duration) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("making a socket: %w", err)
	}
	for _, option := range []int{unix.SO_RCVBUF, unix.SO_SNDBUF} {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, 4<<20) // as far as the system's limit lets
	}
	tv := unix.NsecToTimeval(wait.Nanoseconds())
	err = errors.Join(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv),
		unix.Bind(fd, &unix.SockaddrInet4{Addr: loopback}),
	)
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("preparing a socket: %w", err)
	}
	return fd, nil
}

func connectSocket(fd int, to netip.AddrPort) error {
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())}); err != nil {
		return fmt.Errorf("connecting to %v: %w", to, err)
	}
	return nil
}

func portOf(fd int) (int, error) {
	a, err := unix.Getsockname(fd)
	if err != nil {
		return 0, fmt.Errorf("reading a socket's address: %w", err)
	}
	v4, ok := a.(*unix.SockaddrInet4)
	if !ok {
		return 0, errors.New("a socket without an IPv4 address")
	}
	return v4.Port, nil
}
