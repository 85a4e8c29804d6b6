package notice

import (
	"net"
	"net/netip"
	"slices"
)

// home is an address of this machine, with the network that it stands in.
type home struct {
	addr  netip.Addr
	net   netip.Prefix
	iface int
}

// Addresses is where a client best reaches the page: at the interface behind which it stands, or, when it comes from a
// network beyond, at the first that there is. One that is not valid stands for none. It does not allocate and takes no lock.
func (s *Server) Addresses(client netip.Addr) (v4, v6 netip.Addr) {
	homes := s.homes.Load()
	if homes == nil {
		return v4, v6
	}
	near := -1
	for _, h := range *homes {
		if h.net.Contains(client) {
			near = h.iface
			break
		}
	}
	for _, h := range *homes {
		switch {
		case near >= 0 && h.iface != near, near < 0 && h.addr.IsLoopback():
		case h.addr.Is4() && !v4.IsValid():
			v4 = h.addr
		case h.addr.Is6() && !v6.IsValid():
			v6 = h.addr
		}
	}
	return v4, v6
}

// lookAround finds out which addresses of the machine the page is served at. When they cannot be read, those known stay.
func (s *Server) lookAround() {
	read := s.interfaces
	if read == nil {
		read = machine
	}
	all, err := read()
	if err != nil {
		s.Log.Warn("the addresses of this machine cannot be read", "error", err)
		return
	}
	bound := s.Bound()
	all = slices.DeleteFunc(all, func(h home) bool {
		return !slices.ContainsFunc(bound, func(b netip.AddrPort) bool {
			return b.Addr() == h.addr || b.Addr().IsUnspecified() && b.Addr().Is4() == h.addr.Is4()
		})
	})
	s.homes.Store(&all)
}

// machine is all addresses of this machine that others can use.
func machine() (out []home, err error) {
	ifaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	for _, i := range ifaces {
		if i.Flags&net.FlagUp == 0 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			return nil, err
		}
		for _, a := range addrs {
			n, ok := a.(*net.IPNet)
			if !ok {
				continue
			}
			addr, ok := netip.AddrFromSlice(n.IP)
			if addr = addr.Unmap(); !ok || addr.IsLinkLocalUnicast() || addr.IsMulticast() {
				continue
			}
			ones, _ := n.Mask.Size()
			if addr.Is6() {
				ones = min(ones, 64) // an address that came by DHCP stands alone, though its neighbours are in the same network
			}
			out = append(out, home{addr: addr, net: netip.PrefixFrom(addr, ones).Masked(), iface: i.Index})
		}
	}
	return out, nil
}
