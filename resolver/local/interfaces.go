package local

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"schoolgate/blocklist/domain"
)

// lookEvery is how soon a new address of the box is known.
const lookEvery = 10 * time.Second

// Interfaces knows the addresses of the box. It is safe for concurrent use, and a nil one knows none.
type Interfaces struct {
	beside atomic.Pointer[map[netip.Addr][]netip.Addr]
}

// Run looks every ten seconds, at once to begin with, until ctx ends. It returns nil: what cannot be seen stays as it was.
func (i *Interfaces) Run(ctx context.Context) error {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		i.Look()
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// Look reads the system's table.
func (i *Interfaces) Look() {
	all, err := net.Interfaces()
	if err != nil {
		return
	}
	var of [][]netip.Addr
	for _, f := range all {
		addrs, err := f.Addrs()
		if err != nil || f.Flags&net.FlagUp == 0 {
			continue
		}
		var here []netip.Addr
		for _, a := range addrs {
			if p, ok := a.(*net.IPNet); ok {
				if ip, ok := netip.AddrFromSlice(p.IP); ok {
					here = append(here, ip.Unmap())
				}
			}
		}
		of = append(of, here)
	}
	i.Set(of...)
}

// Set tells the addresses of each interface.
func (i *Interfaces) Set(of ...[]netip.Addr) {
	beside := map[netip.Addr][]netip.Addr{}
	for _, here := range of {
		// Of no use to who cannot tell the interface: link-local ones.
		global := slices.DeleteFunc(slices.Clone(here), netip.Addr.IsLinkLocalUnicast)
		for _, a := range here {
			beside[a] = global
		}
	}
	i.beside.Store(&beside)
}

// Beside gives the addresses of the interface that has a, in the order of the system, borrowed.
func (i *Interfaces) Beside(a netip.Addr) []netip.Addr {
	if i == nil {
		return nil
	}
	if m := i.beside.Load(); m != nil {
		return (*m)[a.WithZone("")]
	}
	return nil
}

// Owns says whether a name is that of an address of the box in a reverse zone. Loopback addresses are everybody's.
func (i *Interfaces) Owns(name *domain.Wire) bool {
	if i == nil {
		return false
	}
	a, ok := address(name)
	if !ok || a.IsLoopback() {
		return false
	}
	m := i.beside.Load()
	if m == nil {
		return false
	}
	_, ok = (*m)[a]
	return ok
}
