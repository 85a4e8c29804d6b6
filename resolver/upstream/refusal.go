package upstream

import (
	"net/netip"
	"slices"

	"schoolgate/blocklist/domain"
	"schoolgate/config"
	"schoolgate/resolver/provider"
	"schoolgate/resolver/wire"
)

// refusal is how a server says that it refuses a name by a filter of its own.
type refusal struct {
	by    string // the server's name in records
	addrs []netip.Prefix
	names []string // in wire form
	bare  bool
}

// refusalOf knows the providers by their addresses; others are told by the configuration.
func refusalOf(s config.Server, told []netip.Addr) refusal {
	f := refusal{by: s.Name}
	if p, ok := provider.ByAddr(s.Addr.Addr()); ok {
		f.by, f.bare = p.ID, p.Refusal.Bare
		f.addrs = slices.Clone(p.Refusal.Addrs)
		for _, n := range p.Refusal.Names {
			if w, err := domain.Name(n).AppendWire(nil); err == nil {
				f.names = append(f.names, string(w))
			}
		}
	}
	if f.by == "" {
		f.by = s.Addr.Addr().String()
	}
	for _, a := range told {
		f.addrs = append(f.addrs, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
	}
	return f
}

// judge notes in a reply that nobody shares yet whether it is a refusal.
func (f *refusal) judge(r *wire.Reply) {
	if f.says(r) {
		r.Finding, r.By = wire.BlockedUpstream, f.by
	}
}

func (f *refusal) says(r *wire.Reply) bool {
	switch r.EDE {
	case wire.EDEBlocked, wire.EDECensored, wire.EDEFiltered:
		if empty(r) {
			return true
		}
	}
	switch {
	case r.RCode == wire.NXDomain && f.bare && r.Records() == 0:
		return true
	case len(f.addrs) > 0 && holds(r, func(a netip.Addr) bool {
		return slices.ContainsFunc(f.addrs, func(p netip.Prefix) bool { return p.Contains(a) })
	}):
		return true
	}
	return len(f.names) > 0 && f.named(r)
}

// named looks for a CNAME to one of the names, and for an SOA record of one of them under a denial.
func (f *refusal) named(r *wire.Reply) bool {
	var w domain.Wire
	for off, ok := 0, true; ok && off < len(r.Targets); {
		next, err := w.Read(r.Targets, off)
		if ok = err == nil; ok && slices.Contains(f.names, string(w.Bytes())) {
			return true
		}
		off = next
	}
	for i := int(r.Answers); i < len(r.TTLs); i++ {
		if typ, _, _ := r.Record(i); typ == wire.TypeSOA && r.Owner(i, &w) && slices.Contains(f.names, string(w.Bytes())) {
			return true
		}
	}
	return false
}

// empty says whether a reply leads nowhere: an error, nothing, or addresses that are none.
func empty(r *wire.Reply) bool {
	return r.RCode != wire.NoError || !holds(r, func(a netip.Addr) bool { return !a.IsUnspecified() })
}

// holds says whether the answer has an address that is such. What IPv6 maps counts as IPv4.
func holds(r *wire.Reply, such func(netip.Addr) bool) bool {
	for i := range int(r.Answers) {
		switch typ, _, data := r.Record(i); {
		case typ == wire.TypeA && len(data) == 4, typ == wire.TypeAAAA && len(data) == 16:
			if a, ok := netip.AddrFromSlice(data); ok && such(a.Unmap()) {
				return true
			}
		}
	}
	return false
}
