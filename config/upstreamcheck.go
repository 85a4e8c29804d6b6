package config

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"schoolgate/blocklist/domain"
	"schoolgate/resolver/provider"
)

func (k *checker) upstream() {
	u := &k.c.Upstream
	if u.Preset != "" {
		k.preset(u)
	} else if len(u.Servers) == 0 {
		k.warnf("upstream.servers", "write at least one resolver, or preset = …", "nobody to ask: every allowed name fails")
	}
	k.servers("upstream.servers", u.Servers)
	k.servers("upstream.fallback", u.Fallback)
	for i, s := range u.Fallback {
		if slices.Contains(u.Servers, s) {
			k.refusef(element("upstream.fallback", i), "leave it out of one of the two", "%v is among upstream.servers already", s)
		}
	}
	k.unfiltered(u)
	for i, a := range u.BlockedAnswers {
		path := element("upstream.blocked_answers", i)
		if !a.IsValid() || a.IsLoopback() || a.IsMulticast() {
			k.refusef(path, "write the address that the server gives instead of the right one", "%v is no address of a block page", a)
		}
	}
	distinct("upstream.blocked_answers", u.BlockedAnswers, func(path string, first int) {
		k.warnf(path, "leave it out", "%v is here already", u.BlockedAnswers[first])
	})
	k.within("upstream.timeout", u.Timeout, 100*time.Millisecond, 30*time.Second)
}

func (k *checker) preset(u *Upstream) {
	var ids []string
	for _, p := range provider.All() {
		ids = append(ids, p.ID)
	}
	if !slices.Contains(ids, u.Preset) {
		k.refusef("upstream.preset", suggest(u.Preset, ids, "the presets are "+strings.Join(ids, ", ")), "there is no preset %q", u.Preset)
	}
	if len(u.Servers) > 0 {
		k.refusef("upstream.servers", "leave out servers or preset", "the preset %s brings its own servers", u.Preset)
	}
}

// unfiltered warns of a fallback that refuses less than who is asked first.
func (k *checker) unfiltered(u *Upstream) {
	filtering := u.providers()
	for i, s := range u.Fallback {
		p, known := provider.ByAddr(s.Addr.Addr())
		if len(filtering) > 0 && (!known || !slices.Contains(filtering, p.ID)) {
			k.warnf(element("upstream.fallback", i), "fall back on a server of the same provider, unless this is meant",
				"%v does not refuse what %s refuses: while that does not answer, it is not refused", s, filtering[0])
		}
	}
}

// servers checks who is asked.
func (k *checker) servers(path string, servers []Server) {
	for i, s := range servers {
		path := element(path, i)
		if !s.Addr.IsValid() || s.Addr.Addr().IsUnspecified() || s.Addr.Addr().IsMulticast() || s.Addr.Port() == 0 {
			k.refusef(path, "write the address of one resolver", "%v is no address to ask", s.Addr)
			continue
		}
		if s.Kind.Encrypted() && s.Name == "" {
			k.refusef(path, "write its name after a #, such as tls://192.0.2.1#dns.example", "no name to check the certificate for")
		}
		if s.Kind == ServerHTTPS && !strings.HasPrefix(s.Path, "/") {
			k.refusef(path, "write such as https://192.0.2.1/dns-query#dns.example", "no path to ask at")
		}
		for _, own := range k.c.DNS.Listen {
			if !s.Kind.Encrypted() && own.IsValid() && loops(own, s.Addr) {
				k.refusef(path, "write the address of another resolver", "%v is this program itself (dns.listen %v): questions would go round in circles", s.Addr, own)
				break
			}
		}
	}
	distinct(path, servers, func(path string, first int) {
		k.refusef(path, "leave it out", "%v is here already", servers[first])
	})
}

// loops says whether a question to server arrives at own. Which addresses this machine has besides loopback is not
// known here.
func loops(own, server netip.AddrPort) bool {
	return own.Port() == server.Port() && (own.Addr().Unmap() == server.Addr().Unmap() || own.Addr().IsUnspecified() && server.Addr().Unmap().IsLoopback())
}

func (k *checker) forward() {
	owner := map[domain.Name]string{}
	names := make([]string, len(k.c.Forward))
	for i, f := range k.c.Forward {
		path := element("forward", i)
		names[i] = f.Name
		k.slug(child(path, "name"), f.Name)
		if len(f.Zones) == 0 {
			k.refusef(child(path, "zones"), `write such as zones = ["lan", "192.168.1.0/24"]`, "no zone to forward")
		}
		if len(f.Servers) == 0 {
			k.refusef(child(path, "servers"), "write the address of the router", "nobody to forward to")
		}
		k.servers(child(path, "servers"), f.Servers)
		k.within(child(path, "timeout"), f.Timeout, 100*time.Millisecond, 30*time.Second)
		for j, z := range f.Zones {
			k.zone(element(child(path, "zones"), j), z, f.Name, owner)
		}
	}
	distinct("forward", names, func(path string, first int) {
		k.refusef(child(path, "name"), "give each a name of its own", "a forwarding is called %q already", names[first])
	})
}

func (k *checker) zone(path string, z Zone, forward string, owner map[domain.Name]string) {
	if z == (Zone{}) {
		k.refusef(path, `write such as "lan" or "192.168.1.0/24"`, "no zone")
		return
	}
	for _, n := range z.Names() {
		if other, taken := owner[n]; taken {
			k.refusef(path, "leave it out of one of them", "%v is forwarded by %s already", z, other)
			return
		}
		owner[n] = forward
	}
	if z.Prefix.IsValid() && isPublic(z.Prefix.Addr()) {
		k.warnf(path, "make sure that the server answers for it", "%v is a network of the Internet: all look-ups of its names go to %s alone", z, forward)
	}
	switch n := z.Name; {
	case n == "" || !n.IsPublic() || n.Within("arpa"):
	case n.IsPublicSuffix():
		k.refusef(path, "write the school's own zone below it", "%v is where others register: all their sites would be asked of %s alone", n, forward)
	case n == n.Site():
		k.warnf(path, "make sure that the server answers for all of it", "%v is a name of the Internet: all names below it are asked of %s alone", n, forward)
	}
}
