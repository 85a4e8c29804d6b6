package listen

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// batchOf gives a batch of a server that does not run, to be looked at from inside.
func batchOf(t testing.TB, s *Server) *batch {
	t.Helper()
	return newBatch(s.lanes[0], s.lanes[0].sock.(*batchSocket))
}

// An answer that cannot be sent takes no other with it.
func TestFlushPassesOver(t *testing.T) {
	for _, broken := range []int{0, 1, 2} {
		s := listening(t, newAnswerer(), localhost, nil)
		b := batchOf(t, s)
		c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(localhost))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		port := c.LocalAddr().(*net.UDPAddr).AddrPort().Port()
		for i := range 3 {
			b.names[i] = unix.RawSockaddrInet6{Family: unix.AF_INET, Port: port<<8 | port>>8, Flowinfo: 0x0100007f}
			if i == broken {
				b.names[i].Family = 99
			}
			b.reply(i, []byte{byte('a' + i)})
		}
		if n := b.flush(); n != 2 || s.Stats().SocketErrors != 1 {
			t.Errorf("%d sent, %d errors", n, s.Stats().SocketErrors)
		}
		c.SetDeadline(time.Now().Add(patience))
		got := ""
		for range 2 {
			buf := make([]byte, 10)
			n, err := c.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			got += string(buf[:n])
		}
		if want := []string{"bc", "ac", "ab"}[broken]; got != want {
			t.Errorf("arrived %q, want %q", got, want)
		}
	}
}

// A call that fails is counted and tried again.
func TestBatchErrors(t *testing.T) {
	s := listening(t, newAnswerer(), localhost, nil)
	b := batchOf(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // so that pause returns at once
	errnos := []syscall.Errno{unix.ENOMEM, unix.EAGAIN, unix.ECONNREFUSED}
	calls := 0
	b.recv = func() (int, syscall.Errno) {
		calls++
		if calls == len(errnos) {
			b.s.stop()
		}
		return 0, errnos[calls-1]
	}
	if b.run(ctx); calls != 3 || s.Stats().SocketErrors != 2 {
		t.Errorf("%d calls, %d errors", calls, s.Stats().SocketErrors)
	}
}

// An answer that comes after the end is an error, not a packet from whatever has got the descriptor since.
func TestSendAfterClose(t *testing.T) {
	s := listening(t, newAnswerer(), localhost, nil)
	sock := s.lanes[0].sock
	if err := errors.Join(sock.Close(), sock.Close()); err != nil {
		t.Error(err)
	}
	sock.stop()
	if err := sock.send([]byte{1}, nil, s.Bound()[0]); !errors.Is(err, net.ErrClosed) {
		t.Errorf("send: %v", err)
	}
}

// The address of a client on the link itself is of use only with its interface.
func TestPeer(t *testing.T) {
	s := listening(t, newAnswerer(), localhost, nil)
	b := batchOf(t, s)
	link := netip.MustParseAddr("fe80::7")
	b.names[0] = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: 0x3500, Addr: link.As16(), Scope_id: 4}
	b.names[1] = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: 0x3500, Addr: netip.MustParseAddr("2001:db8::7").As16()}
	got := []string{b.peer(0).String(), b.client(0).String(), b.peer(1).String(), b.client(1).String()}
	if d := cmp.Diff([]string{"[fe80::7%4]:53", "fe80::7", "[2001:db8::7]:53", "2001:db8::7"}, got); d != "" {
		t.Error(d)
	}
}

// BenchmarkUDP drives the loops over loopback with a generator that batches too, one window of packets at a time. Time and
// allocations are those of both ends together.
func BenchmarkUDP(b *testing.B) {
	for _, loop := range loops {
		b.Run(loop.name, func(b *testing.B) {
			s, addr := serving(b, newAnswerer(), localhost, func(s *Server) {
				s.portable = loop.portable
				s.Done = nil
			})
			g := newGenerator(b, addr, question(b, 1, "blocked.example."))
			b.ReportAllocs()
			for b.Loop() {
				g.round(b)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batchSize), "ns/question")
			if n := s.Stats().SocketErrors; n > 0 {
				b.Errorf("%d socket errors", n)
			}
		})
	}
}

// generator asks one question a batch at a time.
type generator struct {
	raw        syscall.RawConn
	msgs       [batchSize]unix.Mmsghdr
	vecs       [batchSize]unix.Iovec
	req        []byte
	buf        []byte
	n          int
	errno      syscall.Errno
	send, recv func(uintptr) bool
}

func newGenerator(b *testing.B, addr netip.AddrPort, req []byte) *generator {
	raw, err := dial(b, "udp", addr).Conn.(*net.UDPConn).SyscallConn()
	if err != nil {
		b.Fatal(err)
	}
	g := &generator{raw: raw, req: req, buf: make([]byte, 2000)}
	for i := range g.msgs {
		g.msgs[i].Hdr.Iov = &g.vecs[i]
		g.msgs[i].Hdr.SetIovlen(1)
	}
	call := func(trap uintptr) func(uintptr) bool {
		return func(fd uintptr) bool {
			g.n, g.errno = mmsg(trap, int(fd), g.msgs[:], unix.MSG_DONTWAIT)
			return g.errno != unix.EAGAIN
		}
	}
	g.send, g.recv = call(unix.SYS_SENDMMSG), call(unix.SYS_RECVMMSG)
	return g
}

func (g *generator) aim(b []byte) {
	for i := range g.vecs {
		g.vecs[i].Base = &b[0]
		g.vecs[i].SetLen(len(b))
	}
}

func (g *generator) round(b *testing.B) {
	g.aim(g.req)
	if err := g.raw.Write(g.send); err != nil || g.errno != 0 || g.n != batchSize {
		b.Fatal(g.n, g.errno, err)
	}
	g.aim(g.buf)
	for left := batchSize; left > 0; left -= g.n {
		if err := g.raw.Read(g.recv); err != nil || g.errno != 0 {
			b.Fatal(g.errno, err)
		}
	}
}
