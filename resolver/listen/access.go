package listen

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gaissmai/bart"
)

// Standing is what an address is to the server.
type Standing uint8

// The standings.
const (
	Ordinary Standing = iota // a client like any other
	Shared                   // a router that asks for many devices: what holds for one client does not hold for it
	Local                    // this machine itself, which is not limited in rate
	Outside                  // of no network that is answered
)

// Private is the networks that nobody has on the Internet: RFC 1918, unique local (RFC 4193), link-local, loopback, and the
// space that providers, VPNs and tunnels share (RFC 6598).
func Private() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
		netip.MustParsePrefix("fc00::/7"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fe80::/10"),
		netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("100.64.0.0/10"),
	}
}

// lookEvery is how soon new networks of this machine are seen.
const lookEvery = 5 * time.Second

// Access knows which networks are answered. Standing may be called at any time from anywhere, and takes no lock. The fields
// are set before the first use; New state is that nobody but this machine is answered.
type Access struct {
	Own func() ([]netip.Prefix, error) // the networks of this machine's interfaces; nil is Interfaces
	Log *slog.Logger                   // nil discards

	now atomic.Pointer[networks]

	mu         sync.Mutex // guards what follows
	allow      []netip.Prefix
	withOwn    bool
	forwarders []netip.Addr
	own        []netip.Prefix
}

// networks is one reading of all that Access knows.
type networks struct {
	answered   bart.Lite
	forwarders map[netip.Addr]struct{}
}

// Standing says what an unmapped address without zone is.
func (a *Access) Standing(addr netip.Addr) Standing {
	if addr.IsLoopback() {
		return Local
	}
	n := a.now.Load()
	switch {
	case n == nil:
		return Outside
	case len(n.forwarders) > 0 && has(n.forwarders, addr):
		return Shared
	case n.answered.Contains(addr):
		return Ordinary
	}
	return Outside
}

func has(set map[netip.Addr]struct{}, a netip.Addr) bool {
	_, ok := set[a]
	return ok
}

// Set says who is answered from now on: these networks, with own also those of this machine's interfaces, and these routers.
func (a *Access) Set(allow []netip.Prefix, own bool, forwarders []netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.allow, a.withOwn, a.forwarders = slices.Clone(allow), own, slices.Clone(forwarders)
	a.publish()
}

// Refresh looks at this machine's interfaces again.
func (a *Access) Refresh() error {
	read := a.Own
	if read == nil {
		read = Interfaces
	}
	own, err := read()
	if err != nil {
		return fmt.Errorf("reading this machine's networks: %w", err)
	}
	slices.SortFunc(own, netip.Prefix.Compare)
	own = slices.Compact(own)
	a.mu.Lock()
	defer a.mu.Unlock()
	if slices.Equal(own, a.own) {
		return nil
	}
	if a.own = own; a.withOwn {
		if a.publish(); a.Log != nil {
			a.Log.Info("networks of this machine, which are answered", "networks", own)
		}
	}
	return nil
}

// publish puts what is known in force. The caller holds mu.
func (a *Access) publish() {
	n := &networks{forwarders: make(map[netip.Addr]struct{}, len(a.forwarders))}
	all := a.allow
	if a.withOwn {
		all = slices.Concat(all, a.own)
	}
	for _, p := range all {
		n.answered.Insert(p.Masked())
	}
	for _, f := range a.forwarders {
		n.forwarders[f.Unmap().WithZone("")] = struct{}{}
	}
	a.now.Store(n)
}

// Run looks at this machine's interfaces every few seconds until ctx ends: addresses come late at boot, and providers
// change IPv6 prefixes. What cannot be read is logged once.
func (a *Access) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	failing := false
	for {
		err := a.Refresh()
		if err != nil && !failing && a.Log != nil {
			a.Log.Warn("networks of this machine unknown, those known before are answered", "error", err)
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Interfaces is the networks of this machine's interfaces. An IPv6 address that came by DHCP stands alone (/128) though its
// neighbours are in the same /64, so that is taken. A network without a length, which would be everybody, is left out.
func Interfaces() ([]netip.Prefix, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	found := make(map[netip.Prefix]struct{}, len(addrs))
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok {
			if p, ok := onLink(n); ok {
				found[p] = struct{}{}
			}
		}
	}
	return slices.Collect(maps.Keys(found)), nil
}

func onLink(n *net.IPNet) (netip.Prefix, bool) {
	addr, ok := netip.AddrFromSlice(n.IP)
	if !ok {
		return netip.Prefix{}, false
	}
	addr = addr.Unmap()
	bits, all := n.Mask.Size()
	if all == 128 && addr.Is4() {
		bits -= 96
	}
	if addr.Is6() {
		bits = min(bits, 64)
	}
	if bits <= 0 || addr.IsLoopback() || addr.IsUnspecified() {
		return netip.Prefix{}, false
	}
	p, err := addr.Prefix(bits)
	return p, err == nil
}
