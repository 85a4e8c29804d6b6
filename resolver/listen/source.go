package listen

import (
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// askDestination makes packets of a wildcard socket come with the address that they were sent to.
func askDestination(c *net.UDPConn, v4 bool) error {
	if v4 {
		return ipv4.NewPacketConn(c).SetControlMessage(ipv4.FlagDst, true)
	}
	return ipv6.NewPacketConn(c).SetControlMessage(ipv6.FlagDst|ipv6.FlagInterface, true)
}

// source turns a packet's control messages into those that send its answer from the address it was sent to, and gives that
// address. Clients throw away an answer from another address, and a machine with several would otherwise choose by its routes.
func (l *lane) source(oob []byte) (out []byte, asked netip.Addr) {
	if !l.wildcard || len(oob) == 0 {
		return nil, l.local.Addr()
	}
	if l.local.Addr().Is4() {
		var cm ipv4.ControlMessage
		if cm.Parse(oob) != nil || cm.Dst.To4() == nil || cm.Dst.IsMulticast() || cm.Dst.Equal(net.IPv4bcast) {
			return nil, asked
		}
		asked, _ = netip.AddrFromSlice(cm.Dst.To4())
		return (&ipv4.ControlMessage{Src: cm.Dst}).Marshal(), asked
	}
	var cm ipv6.ControlMessage
	if cm.Parse(oob) != nil || cm.Dst == nil || cm.Dst.IsMulticast() {
		return nil, asked
	}
	asked, _ = netip.AddrFromSlice(cm.Dst)
	reply := ipv6.ControlMessage{Src: cm.Dst}
	if cm.Dst.IsLinkLocalUnicast() {
		reply.IfIndex = cm.IfIndex
	}
	return reply.Marshal(), asked.Unmap()
}
