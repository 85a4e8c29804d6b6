package config

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"schoolgate/blocklist/domain"
)

// Encrypted is where questions are taken over encrypted transports, and who the box is to those that ask so. TLS, HTTPS
// and QUIC need a restart to change.
type Encrypted struct {
	Name      BoxName          `toml:"name"`      // of the box; names one label below it are devices that say who they are
	TLS       []netip.AddrPort `toml:"tls"`       // DNS over TLS
	HTTPS     []netip.AddrPort `toml:"https"`     // DNS over HTTPS
	QUIC      []netip.AddrPort `toml:"quic"`      // DNS over QUIC, by UDP
	Addresses []netip.Addr     `toml:"addresses"` // of the box, besides the single ones that it listens on
	CertFile  string           `toml:"cert_file"` // PEM; "": the box is its own authority
	KeyFile   string           `toml:"key_file"`
	Announce  bool             `toml:"announce"` // tell devices that ask in plain text (RFC 9462)
}

// BoxName is the name of the box; "" is none.
type BoxName domain.Name

// UnmarshalText reads a domain name, or "".
func (n *BoxName) UnmarshalText(text []byte) error {
	*n = ""
	if len(text) == 0 {
		return nil
	}
	name, err := domain.Parse(string(text))
	if err != nil || name == "" {
		return &syntaxError{fmt.Sprintf("%q is no domain name", text), `write such as "dns.school.example"`}
	}
	*n = BoxName(name)
	return nil
}

// MarshalText writes the name.
func (n BoxName) MarshalText() ([]byte, error) { return []byte(n), nil }

// On says whether any encrypted transport is served.
func (e *Encrypted) On() bool { return len(e.TLS)+len(e.HTTPS)+len(e.QUIC) > 0 }

// BoxAddrs is every address that is known to be the box's: those of encrypted.addresses, and the single ones that it
// listens on for DNS. Each is there once, unmapped.
func (c *Config) BoxAddrs() (out []netip.Addr) {
	add := func(a netip.Addr) {
		if a = a.Unmap().WithZone(""); a.IsValid() && !a.IsUnspecified() && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	for _, a := range c.Encrypted.Addresses {
		add(a)
	}
	for _, list := range [][]netip.AddrPort{c.DNS.Listen, c.Encrypted.TLS, c.Encrypted.HTTPS, c.Encrypted.QUIC} {
		for _, a := range list {
			add(a.Addr())
		}
	}
	return out
}

func (k *checker) encrypted() {
	e := &k.c.Encrypted
	k.boxName()
	tcp := []listener{{"http.listen", k.c.HTTP.Listen}}
	for i, a := range k.c.DNS.Listen {
		tcp = append(tcp, listener{element("dns.listen", i), a})
	}
	udp := slices.Clone(tcp[1:])
	for i, a := range k.c.Page.HTTP {
		tcp = append(tcp, listener{element("page.http", i), a})
	}
	tcp = k.listeners("encrypted.tls", e.TLS, tcp)
	k.listeners("encrypted.https", e.HTTPS, tcp)
	k.listeners("encrypted.quic", e.QUIC, udp)
	for i, a := range e.Addresses {
		if path := element("encrypted.addresses", i); !a.IsValid() || a.IsUnspecified() || a.IsMulticast() {
			k.refusef(path, "write the address that devices ask", "%v is no address of one machine", a)
		}
	}
	distinct("encrypted.addresses", e.Addresses, func(path string, first int) {
		k.warnf(path, "leave it out", "%v is here already", e.Addresses[first])
	})
	if e.On() && e.Announce && e.CertFile == "" && len(k.c.BoxAddrs()) == 0 {
		k.warnf("encrypted.addresses", `write such as ["192.0.2.53"], the addresses that your devices are given as their DNS server`,
			"no address for the certificate: devices that look for encrypted DNS by themselves do not find it")
	}
	k.certificateFiles()
}

func (k *checker) boxName() {
	e := &k.c.Encrypted
	switch {
	case e.Name == "" && e.On():
		k.refusef("encrypted.name", `write the name that devices are to use for this box, such as "dns.school.example"`, "no name for the certificate")
	case e.Name == "":
	case !strings.Contains(string(e.Name), "."):
		k.refusef("encrypted.name", `write a name of at least two parts, such as "dns.school.example"`, "%q is a single word, which devices do not take for a name", e.Name)
	case len(e.Name) > 180:
		k.refusef("encrypted.name", "write a shorter one", "%q is too long for a name that devices go below", e.Name)
	case domain.Name(e.Name).IsPublicSuffix():
		k.refusef("encrypted.name", `write a name of the school's own, such as "dns.school.example"`, "%q is a name under which others register", e.Name)
	}
}

// listener is an address that something is served at, and where the file says so.
type listener struct {
	path string
	addr netip.AddrPort
}

// listeners checks addresses that are to be listened on besides others, and gives all of them.
func (k *checker) listeners(path string, addrs []netip.AddrPort, others []listener) []listener {
	for i, a := range addrs {
		at := element(path, i)
		if !k.address(at, a) {
			continue
		}
		if isPublic(a.Addr()) {
			k.warnf(at, "make sure that a firewall keeps strangers out", "%v is a public address", a.Addr())
		}
		for _, o := range others {
			if o.addr.IsValid() && (covers(o.addr, a) || covers(a, o.addr)) {
				k.refusef(at, "give one of them another port", "%v is taken by %s %v", a, o.path, o.addr)
				break
			}
		}
		others = append(others, listener{at, a})
	}
	return others
}

// certificateFiles looks at the files of the certificate. What is wrong with them is a warning: plain DNS works without.
func (k *checker) certificateFiles() {
	e := &k.c.Encrypted
	if (e.CertFile == "") != (e.KeyFile == "") {
		k.refusef("encrypted.cert_file", "write both cert_file and key_file, or neither", "a certificate and its key go together")
		return
	}
	if e.CertFile == "" {
		return
	}
	for _, f := range [][2]string{{"encrypted.cert_file", e.CertFile}, {"encrypted.key_file", e.KeyFile}} {
		if why := unreadable(f[1]); why != "" {
			k.warnf(f[0], "put the PEM file there, readable by the program", "%q %s: encrypted DNS does not work until it can be read", f[1], why)
			return
		}
	}
	pair, err := tls.LoadX509KeyPair(e.CertFile, e.KeyFile)
	if err != nil {
		k.warnf("encrypted.cert_file", "put a certificate and the key that belongs to it there, as PEM", "%q and %q are no pair: %v", e.CertFile, e.KeyFile, err)
		return
	}
	if err := pair.Leaf.VerifyHostname(string(e.Name)); err != nil && e.Name != "" {
		k.warnf("encrypted.cert_file", "have it made for that name, or write another name", "the certificate is not for %q: devices refuse it", e.Name)
	}
	if time.Now().After(pair.Leaf.NotAfter) {
		k.warnf("encrypted.cert_file", "put a new one there", "the certificate ended on %s: devices refuse it", pair.Leaf.NotAfter.Format(time.DateOnly))
	}
}

// deviceID checks what a device calls itself over encrypted transports.
func (k *checker) deviceID(path string, i int, ids map[string]int) {
	d := k.c.Devices[i]
	path = child(path, "id")
	if d.ID == "" {
		return
	}
	if len(d.ID) > 63 || strings.Trim(d.ID, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || d.ID[0] == '-' || d.ID[len(d.ID)-1] == '-' {
		k.refusef(path, `write 1 to 63 of a to z, 0 to 9 and hyphen, such as "tablet7-k3x9"`, "%q will not do as an id", d.ID)
	}
	if j, ok := ids[d.ID]; ok {
		k.refusef(path, "give each device an id of its own", "%q is the id of the device %q already", d.ID, k.c.Devices[j].Name)
	}
	ids[d.ID] = i
	if !k.c.Encrypted.On() {
		k.warnf(path, "see [encrypted]", "an id is told over encrypted transports alone, and none is served")
	}
}
