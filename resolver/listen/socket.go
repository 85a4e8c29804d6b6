package listen

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// socket is where a lane's packets come from and its answers go. There are two: plainSocket everywhere, and on Linux
// batchSocket.
type socket interface {
	// serve answers packets for l until stop, and returns nil then.
	serve(ctx context.Context, l *lane) error
	// send writes one answer, from any goroutine, to peer from the address that source (control messages, may be empty) names.
	send(resp, source []byte, peer netip.AddrPort) error
	// stop makes serve return. Answers still leave.
	stop()
	// Close is called after serve has returned, or was not called at all.
	Close() error
}

// plainSocket reads and writes one packet a call, through package net.
type plainSocket struct{ *net.UDPConn }

func (s plainSocket) serve(ctx context.Context, l *lane) error { return l.runSingly(ctx, s.UDPConn) }

func (s plainSocket) send(resp, source []byte, peer netip.AddrPort) error {
	_, _, err := s.WriteMsgUDPAddrPort(resp, source, peer)
	return err
}

func (s plainSocket) stop() { s.SetReadDeadline(time.Unix(1, 0)) }
