package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"schoolgate/blocklist/domain"
	"schoolgate/resolver/provider"
)

// Upstream is who is asked for names that are allowed.
type Upstream struct {
	Servers        []Server     `toml:"servers"`         // in order of preference; empty without Preset: every allowed name gets SERVFAIL
	Preset         string       `toml:"preset"`          // a provider's ID: its servers are asked instead of Servers
	Strategy       Strategy     `toml:"strategy"`        // which of them is asked first
	Fallback       []Server     `toml:"fallback"`        // asked when none of those gives an answer
	Timeout        Duration     `toml:"timeout"`         // for one attempt at one server
	BlockedAnswers []netip.Addr `toml:"blocked_answers"` // addresses by which the servers say that they refuse a name
}

// Asked gives the servers to ask and those to fall back on, Preset included.
func (u *Upstream) Asked() (servers, fallback []Server) {
	p, ok := provider.ByID(u.Preset)
	if !ok {
		return u.Servers, u.Fallback
	}
	if fallback = u.Fallback; len(fallback) == 0 {
		fallback = parseServers(p.Fallback)
	}
	return parseServers(p.Servers), fallback
}

// parseServers reads what a test has read before.
func parseServers(texts []string) (out []Server) {
	for _, t := range texts {
		var s Server
		if err := s.UnmarshalText([]byte(t)); err == nil {
			out = append(out, s)
		}
	}
	return out
}

// Equal says whether both mean the same.
func (u *Upstream) Equal(o *Upstream) bool {
	return slices.Equal(u.Servers, o.Servers) && u.Preset == o.Preset && u.Strategy == o.Strategy && slices.Equal(u.Fallback, o.Fallback) &&
		u.Timeout == o.Timeout && slices.Equal(u.BlockedAnswers, o.BlockedAnswers)
}

// Alike says whether the servers of both filter alike: then what those of one have answered may be kept.
func (u *Upstream) Alike(o *Upstream) bool {
	return slices.Equal(u.providers(), o.providers()) && slices.Equal(u.BlockedAnswers, o.BlockedAnswers)
}

// providers are the filtering providers among the servers, by ID, in order.
func (u *Upstream) providers() (ids []string) {
	servers, _ := u.Asked()
	for _, s := range servers {
		if p, ok := provider.ByAddr(s.Addr.Addr()); ok && !slices.Contains(ids, p.ID) {
			ids = append(ids, p.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// Strategy is which of several upstreams is asked first.
type Strategy uint8

// The strategies.
const (
	Ordered  Strategy = iota // the first that answers lately; the next when it fails or is slow
	Parallel                 // the two fastest at once
	Fastest                  // the fastest
)

var strategyNames = [...]string{"ordered", "parallel", "fastest"}

// UnmarshalText reads what String writes.
func (s *Strategy) UnmarshalText(text []byte) error { return readWord(s, text, strategyNames[:]) }

// MarshalText writes String.
func (s Strategy) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s Strategy) String() string { return word(s, strategyNames[:]) }

// Forward is zones for which others than the upstreams are asked, such as those of a school's router or domain controller.
// Their names are local: nobody else is ever asked for them.
type Forward struct {
	Name    string   `toml:"name"`    // of the forwarding, in health, metrics and logs
	Zones   []Zone   `toml:"zones"`   // the longest zone of all forwardings that a name lies in decides
	Servers []Server `toml:"servers"` // in order of preference
	Timeout Duration `toml:"timeout"` // for one attempt at one server
}

func (f *Forward) setDefaults() { f.Timeout = Duration(defaultTimeout) }

func (*Forward) required() []string { return []string{"name", "zones", "servers"} }

// Equal says whether both mean the same.
func (f Forward) Equal(o Forward) bool {
	return f.Name == o.Name && slices.Equal(f.Zones, o.Zones) && slices.Equal(f.Servers, o.Servers) && f.Timeout == o.Timeout
}

// Zone is a name with all below it, or in the file also a network, which means the names of its reverse look-ups.
type Zone struct {
	Name   domain.Name  // "" when Prefix is valid
	Prefix netip.Prefix // masked
}

// UnmarshalText reads a domain name, or a network such as 192.168.1.0/24.
func (z *Zone) UnmarshalText(text []byte) error {
	s := string(text)
	if strings.Contains(s, "/") || strings.Contains(s, ":") {
		p, err := netip.ParsePrefix(s)
		switch {
		case err != nil || p.Addr().Is4In6():
			return &syntaxError{fmt.Sprintf("%q is neither a name nor a network", s), `write such as "lan", "school.internal" or "192.168.1.0/24"`}
		case p != p.Masked():
			return &syntaxError{fmt.Sprintf("%q has bits set that its length cuts off", s), fmt.Sprintf("write %q", p.Masked())}
		case p.Bits() < 8:
			return &syntaxError{fmt.Sprintf("%q is more than one network", s), "write the school's networks, with a length of 8 at least"}
		}
		*z = Zone{Prefix: p}
		return nil
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return &syntaxError{fmt.Sprintf("%q is an address", s), `write the network that the server knows the names of, such as "192.168.1.0/24"`}
	}
	n, err := domain.Parse(strings.TrimPrefix(s, "*."))
	if err != nil || n == "" {
		return &syntaxError{fmt.Sprintf("%q is neither a name nor a network", s), `write such as "lan", "school.internal" or "192.168.1.0/24"; for all names that is upstream.servers`}
	}
	*z = Zone{Name: n}
	return nil
}

// MarshalText writes String.
func (z Zone) MarshalText() ([]byte, error) { return []byte(z.String()), nil }

func (z Zone) String() string {
	if z.Prefix.IsValid() {
		return z.Prefix.String()
	}
	return z.Name.String()
}

// Names are the zones that it means: itself, or the reverse zones of a network, up to 128.
func (z Zone) Names() []domain.Name {
	if !z.Prefix.IsValid() {
		return []domain.Name{z.Name}
	}
	const hex = "0123456789abcdef"
	digit, suffix := 8, "in-addr.arpa" // bits to a label
	if z.Prefix.Addr().Is6() {
		digit, suffix = 4, "ip6.arpa"
	}
	bytes, bits := z.Prefix.Addr().AsSlice(), z.Prefix.Bits()
	whole, over := bits/digit, bits%digit
	for i := range whole {
		if digit == 8 {
			suffix = fmt.Sprintf("%d.%s", bytes[i], suffix)
		} else {
			suffix = string(hex[bytes[i/2]>>(4*(1-i%2))&15]) + "." + suffix
		}
	}
	if over == 0 {
		return []domain.Name{domain.Name(suffix)}
	}
	var out []domain.Name
	for n := range 1 << (digit - over) {
		if digit == 8 {
			out = append(out, domain.Name(fmt.Sprintf("%d.%s", int(bytes[whole])+n, suffix)))
		} else {
			first := int(bytes[whole/2] >> (4 * (1 - whole%2)) & 15)
			out = append(out, domain.Name(string(hex[first+n])+"."+suffix))
		}
	}
	return out
}
