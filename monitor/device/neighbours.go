package device

import (
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"sync/atomic"
	"time"

	"schoolgate/config"
)

// Neighbours is which hardware address the kernel has seen behind each address of the local network. The zero value is
// an empty table.
type Neighbours struct {
	Read func() (map[netip.Addr]config.MAC, error) // Kernel in the product
	Log  *slog.Logger

	table   atomic.Pointer[map[netip.Addr]config.MAC]
	version atomic.Uint64
}

// period is how old the table may be: a device that takes over an address is known by then.
const period = 10 * time.Second

// Version changes when the table does.
func (n *Neighbours) Version() uint64 { return n.version.Load() }

// MAC is the hardware address behind a, zero when none is known.
func (n *Neighbours) MAC(a netip.Addr) config.MAC {
	if t := n.table.Load(); t != nil {
		return (*t)[a]
	}
	return config.MAC{}
}

// Run keeps the table fresh until ctx ends. A table that cannot be read is reported once and kept as it was: devices are
// then known by their addresses.
func (n *Neighbours) Run(ctx context.Context) error {
	tick := time.NewTicker(period)
	defer tick.Stop()
	failing := false
	for {
		err := n.Refresh()
		if err != nil && !failing {
			n.Log.Warn("neighbour table unreadable, devices are told apart by address alone", "error", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Refresh reads the table once.
func (n *Neighbours) Refresh() error {
	next, err := n.Read()
	if err != nil {
		return err
	}
	if old := n.table.Load(); old == nil || !maps.Equal(*old, next) {
		n.table.Store(&next)
		n.version.Add(1)
	}
	return nil
}
