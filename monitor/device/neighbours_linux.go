package device

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"schoolgate/config"
)

// Kernel reads the kernel's neighbour table (ARP and IPv6 neighbour discovery).
func Kernel() (map[netip.Addr]config.MAC, error) {
	list, err := netlink.NeighList(0, unix.AF_UNSPEC)
	if err != nil {
		return nil, fmt.Errorf("reading the neighbour table: %w", err)
	}
	out := make(map[netip.Addr]config.MAC, len(list))
	for _, n := range list {
		addr, ok := netip.AddrFromSlice(n.IP)
		if !ok || len(n.HardwareAddr) != len(config.MAC{}) || n.State&(unix.NUD_FAILED|unix.NUD_INCOMPLETE|unix.NUD_NOARP) != 0 {
			continue
		}
		if mac := config.MAC(n.HardwareAddr); mac != (config.MAC{}) {
			out[addr.Unmap()] = mac
		}
	}
	return out, nil
}
