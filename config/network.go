package config

import (
	"fmt"
	"net/netip"
)

// Network is one entry of dns.allow: a network, or one of two words for several.
type Network struct {
	Word   NetworkWord
	Prefix netip.Prefix // NetworkPrefix: masked and unmapped
}

// NetworkWord is what an entry of dns.allow speaks of.
type NetworkWord uint8

// The words.
const (
	NetworkPrefix  NetworkWord = iota // Prefix
	NetworkPrivate                    // all networks that nobody has on the Internet
	NetworkOwn                        // those that this machine's interfaces are in, as they are at the time
)

// UnmarshalText reads "private", "own", an address or a network.
func (n *Network) UnmarshalText(text []byte) error {
	switch string(text) {
	case "private":
		*n = Network{Word: NetworkPrivate}
		return nil
	case "own":
		*n = Network{Word: NetworkOwn}
		return nil
	}
	var c Client
	if err := c.UnmarshalText(text); err != nil {
		if _, perr := netip.ParsePrefix(string(text)); perr == nil {
			return err // bits that its length cuts off, or IPv4 in IPv6
		}
		return n.bad(text)
	}
	if !c.MAC.IsZero() {
		return n.bad(text)
	}
	*n = Network{Prefix: c.Prefix}
	return nil
}

func (*Network) bad(text []byte) error {
	return &syntaxError{
		fmt.Sprintf("%q is no network", text),
		`write such as "192.0.2.0/24", "private" for all networks that are nobody's on the Internet, or "own" for those of this machine's interfaces`,
	}
}

// MarshalText writes String.
func (n Network) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

func (n Network) String() string {
	switch n.Word {
	case NetworkPrivate:
		return "private"
	case NetworkOwn:
		return "own"
	case NetworkPrefix:
	}
	return Client{Prefix: n.Prefix}.String()
}

// Limits bound what clients can ask of the box and what it sends them. A network is an IPv4 /24 or an IPv6 /64. Zero is no
// limit for the first four. What each is for: docs/abuse.md.
type Limits struct {
	Client  int  `toml:"client"`  // questions a second from one address, over UDP and over all else each
	Network int  `toml:"network"` // questions a second from one network whose addresses nothing proves
	Answers int  `toml:"answers"` // answers a second to such a network that say the same; five times as many without data
	Spare   Size `toml:"spare"`   // bytes a second to such a network beyond twice what came from there

	Sessions       int `toml:"sessions"`        // connections open at once, of all encrypted transports and TCP
	ClientSessions int `toml:"client_sessions"` // of these from one address
}

// The least that a school with one router for all can work with.
const leastClient, leastNetwork = 200, 500

func (k *checker) allow() {
	allow := k.c.DNS.Allow
	if len(allow) == 0 {
		k.refusef("dns.allow", `write ["private", "own"], which is the default, and the networks of yours that are neither`, "no network is answered")
	}
	own := false
	for i, n := range allow {
		path := element("dns.allow", i)
		own = own || n.Word == NetworkOwn
		switch p := n.Prefix; {
		case n.Word != NetworkPrefix:
		case !p.IsValid():
			k.refusef(path, `write such as "192.0.2.0/24"`, "%v is no network", n)
		case p.Bits() == 0:
			k.warnf(path, `name the school's own networks: "private", "own" and others, such as "192.0.2.0/24"`,
				"%v is everybody: if the Internet reaches this box, others are attacked with its help", p)
		case isPublic(p.Addr()) && (p.Addr().Is4() && p.Bits() < 16 || p.Addr().Is6() && p.Bits() < 40):
			k.warnf(path, "name the school's own networks alone", "%v is far more of the Internet than one school has", p)
		}
	}
	distinct("dns.allow", allow, func(path string, first int) {
		k.warnf(path, "leave it out", "%v is here already", allow[first])
	})
	if own || len(allow) == 0 {
		return // what this machine's networks are is not known here
	}
	for i, l := range k.c.DNS.Listen {
		if a := l.Addr().Unmap(); l.IsValid() && !a.IsUnspecified() && !a.IsLoopback() && !answered(allow, a) {
			k.warnf(element("dns.listen", i), `add its network or "own" to dns.allow`, "nobody in the network of %v is answered: dns.allow does not name it", a)
		}
	}
	for i, g := range k.c.Groups {
		for j, c := range g.Clients {
			if c.MAC.IsZero() && c.Prefix.IsValid() && !answered(allow, c.Prefix.Addr()) {
				k.warnf(element(child(element("groups", i), "clients"), j), "add it to dns.allow", "%v is not answered: dns.allow does not name it", c)
			}
		}
	}
}

// answered says whether an address is in one of the networks that are known here.
func answered(allow []Network, a netip.Addr) bool {
	for _, n := range allow {
		if n.Word == NetworkPrivate && !isPublic(a) || n.Word == NetworkPrefix && n.Prefix.Contains(a) {
			return true
		}
	}
	return false
}

func (k *checker) rates() {
	l := k.c.DNS.Limits
	rate := func(path string, n, least int, why string) {
		switch {
		case n < 0 || n > 1_000_000:
			k.refusef(path, "write a number from 0, which is no limit, to 1000000", "%d is out of bounds", n)
		case n > 0 && n < least:
			k.warnf(path, fmt.Sprintf("write %d or more, or 0 for no limit", least), "%d a second is less than %s", n, why)
		}
	}
	rate("dns.limits.client", l.Client, leastClient, "one router that asks for a small school")
	rate("dns.limits.network", l.Network, leastNetwork, "a class that opens a page")
	rate("dns.limits.answers", l.Answers, 50, "a class that opens the same page")
	if l.Network > 0 && l.Network < l.Client {
		k.warnf("dns.limits.network", "make network the larger one", "%d for a network is less than %d for one address in it", l.Network, l.Client)
	}
	if l.Spare != 0 {
		k.sized("dns.limits.spare", l.Spare, 4<<10, 1<<30)
	}
	k.counted("dns.limits.sessions", l.Sessions, 16, 65536)
	k.counted("dns.limits.client_sessions", l.ClientSessions, 1, 65536)
	if l.ClientSessions > l.Sessions && l.Sessions > 0 {
		k.refusef("dns.limits.client_sessions", "make client_sessions the smaller one", "%d for one address is more than %d for all", l.ClientSessions, l.Sessions)
	}
}
