//go:build !linux

package listen

import (
	"context"
	"syscall"
)

// socketsPerAddr: without Linux's SO_REUSEPORT, which spreads packets over sockets, more than one is no use.
func socketsPerAddr() int { return 1 }

func reusePort(string, string, syscall.RawConn) error { return nil }

func (l *lane) runBatches(context.Context) error { return errNoBatches }
