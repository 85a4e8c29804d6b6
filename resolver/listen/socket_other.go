//go:build !linux

package listen

import (
	"net"
	"syscall"
)

// hasReusePort: without Linux's SO_REUSEPORT, which spreads packets over sockets, more than one is no use.
const hasReusePort = false

func reusePort(string, string, syscall.RawConn) error { return nil }

func newSocket(c *net.UDPConn, _ bool) (socket, error) { return plainSocket{c}, nil }
