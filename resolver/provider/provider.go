// Package provider holds the public resolvers that filter: where they are, and how they answer what they refuse.
package provider

import "net/netip"

// Provider is one service of a public resolver.
type Provider struct {
	ID       string       // as upstream.preset names it
	Title    string       // for people
	Refuses  string       // what it says that it refuses
	Servers  []string     // who to ask, in order of preference, as upstream.servers spells them
	Fallback []string     // who to ask when none of those answers: by HTTPS, where a firewall lets nothing else out
	Addrs    []netip.Addr // all that it answers on: whoever asks one of them asks this provider
	Refusal  Refusal
}

// Refusal is how a provider answers a name that it refuses, besides the extended errors of RFC 8914, which say it for
// whoever sends them.
type Refusal struct {
	Addrs []netip.Prefix // an address in the answer; one that IPv6 maps counts as IPv4
	Names []string       // canonical text, of a CNAME's target or the owner of the SOA record of an NXDOMAIN
	Bare  bool           // NXDOMAIN without any record; a name that does not exist has an SOA record
}

// All gives every provider, in the order of their IDs. The result is shared: do not change it.
func All() []Provider { return all }

// ByID finds a provider.
func ByID(id string) (p *Provider, ok bool) {
	for i := range all {
		if all[i].ID == id {
			return &all[i], true
		}
	}
	return nil, false
}

// ByAddr finds whose address it is.
func ByAddr(addr netip.Addr) (p *Provider, ok bool) {
	for i := range all {
		for _, a := range all[i].Addrs {
			if a == addr.Unmap() {
				return &all[i], true
			}
		}
	}
	return nil, false
}

func addrs(texts ...string) (out []netip.Addr) {
	for _, t := range texts {
		out = append(out, netip.MustParseAddr(t))
	}
	return out
}

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, t := range texts {
		out = append(out, netip.MustParsePrefix(t))
	}
	return out
}
