package resolver

import (
	"net/netip"
	"strconv"
	"strings"

	"schoolgate/blocklist/domain"
	"schoolgate/resolver/query"
	"schoolgate/resolver/wire"
)

// localZones have no meaning on the Internet: asking an upstream would only tell it about this network. Special-use
// names of RFC 6761, 6762, 7686, 8375 and 9476 and the reverse zones of addresses that are nobody's (RFC 6303, 7793), in wire
// form.
var localZones = wires(append(sharedReverse(),
	"localhost", "local", "invalid", "test", "onion", "alt", "home.arpa", "internal",
	"0.in-addr.arpa", "10.in-addr.arpa", "127.in-addr.arpa", "168.192.in-addr.arpa", "254.169.in-addr.arpa",
	"16.172.in-addr.arpa", "17.172.in-addr.arpa", "18.172.in-addr.arpa", "19.172.in-addr.arpa",
	"20.172.in-addr.arpa", "21.172.in-addr.arpa", "22.172.in-addr.arpa", "23.172.in-addr.arpa",
	"24.172.in-addr.arpa", "25.172.in-addr.arpa", "26.172.in-addr.arpa", "27.172.in-addr.arpa",
	"28.172.in-addr.arpa", "29.172.in-addr.arpa", "30.172.in-addr.arpa", "31.172.in-addr.arpa",
	"2.0.192.in-addr.arpa", "100.51.198.in-addr.arpa", "113.0.203.in-addr.arpa", "255.255.255.255.in-addr.arpa",
	"0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
	"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa",
	"d.f.ip6.arpa", "8.e.f.ip6.arpa", "9.e.f.ip6.arpa", "a.e.f.ip6.arpa", "b.e.f.ip6.arpa", "8.b.d.0.1.0.0.2.ip6.arpa",
)...)

// sharedReverse are the reverse zones of 100.64.0.0/10, which providers use behind their NAT.
func sharedReverse() (zones []domain.Name) {
	for i := 64; i < 128; i++ {
		zones = append(zones, domain.Name(strconv.Itoa(i)+".100.in-addr.arpa"))
	}
	return zones
}

func wires(names ...domain.Name) map[string]bool {
	out := make(map[string]bool, len(names))
	for _, n := range names {
		b, err := n.AppendWire(nil)
		if err != nil {
			panic(err) // a name written above is no name
		}
		out[string(b)] = true
	}
	return out
}

// local answers names that never leave the box; ok is false for all others.
func local(q *query.Query, req, dst []byte) (out []byte, ok bool) {
	name := &q.Question.Name
	zone := -1
	for i := range name.Labels() {
		if localZones[string(name.From(i))] {
			zone = i
			break
		}
	}
	if zone < 0 {
		return dst, false
	}
	b := wire.Blocked{TTL: blockTTL} // NXDOMAIN
	if string(name.From(zone)) == "\x09localhost\x00" {
		b.Kind, b.V4, b.V6 = wire.BlockPage, netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()
	}
	return reply(q, req, dst, b, wire.EDE{}), true
}

// below says whether name is zone (in wire form) or lies below it.
func below(name *domain.Wire, zone string) bool {
	return strings.HasSuffix(string(name.Bytes()), zone) && onBorder(name, len(zone))
}

// onBorder says whether the last n bytes of the name begin with a label.
func onBorder(name *domain.Wire, n int) bool {
	for i := range name.Labels() {
		if len(name.From(i)) == n {
			return true
		}
	}
	return false
}
