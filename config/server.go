package config

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"schoolgate/blocklist/domain"
	"schoolgate/resolver/provider"
)

// Server is one upstream, in the file an address with what goes before and behind it: "192.0.2.1", "udp://192.0.2.1:53",
// "tcp://192.0.2.1", "tls://192.0.2.1:853#name.of.certificate", "quic://192.0.2.1#name" or
// "https://192.0.2.1/dns-query#name". Its address is given and never looked up: that could be a question to this box.
type Server struct {
	Kind ServerKind
	Addr netip.AddrPort
	Name string // of encrypted kinds: the name its certificate must be for; the text of its address when the file gives none
	Path string // ServerHTTPS: begins with /
	Pins Pins   // of encrypted kinds: the keys of which one must be its own
}

// ServerKind is the transport to an upstream.
type ServerKind uint8

// The kinds of upstream.
const (
	ServerUDP   ServerKind = iota // TCP when the answer does not fit
	ServerTLS                     // DNS over TLS (RFC 7858), certificate checked, as for all that follow but TCP
	ServerTCP                     // TCP alone (RFC 7766)
	ServerHTTPS                   // DNS over HTTPS (RFC 8484)
	ServerQUIC                    // DNS over QUIC (RFC 9250)
)

var serverKinds = [...]string{"udp", "tls", "tcp", "https", "quic"}

func (k ServerKind) String() string { return word(k, serverKinds[:]) }

// Encrypted says whether the server shows a certificate.
func (k ServerKind) Encrypted() bool { return k == ServerTLS || k == ServerHTTPS || k == ServerQUIC }

func (k ServerKind) port() uint16 {
	switch k {
	case ServerTLS, ServerQUIC:
		return 853
	case ServerHTTPS:
		return 443
	case ServerUDP, ServerTCP:
	}
	return 53
}

// usualPath is where servers by HTTPS are asked when the file does not say.
const usualPath = "/dns-query"

// UnmarshalText reads [kind://]address[:port][/path][#name] and further pin=KEY, with spaces between. A port left out is 53,
// 853 for TLS and QUIC, 443 for HTTPS.
func (s *Server) UnmarshalText(text []byte) error {
	fields := strings.Fields(string(text))
	if len(fields) == 0 {
		fields = []string{""}
	}
	scheme, rest, found := strings.Cut(fields[0], "://")
	if !found {
		scheme, rest = "udp", fields[0]
	}
	kind := slices.Index(serverKinds[:], scheme)
	if kind < 0 {
		return &syntaxError{fmt.Sprintf("%q begins with no transport that is spoken here", text), "write udp:// (which takes TCP where an answer needs it), tcp://, tls://, https:// or quic://"}
	}
	out := Server{Kind: ServerKind(kind)}
	rest, name, named := strings.Cut(rest, "#")
	if (named || len(fields) > 1) && !out.Kind.Encrypted() {
		return &syntaxError{fmt.Sprintf("%q names a certificate, but only tls://, https:// and quic:// have one", text), "write tls:// or leave out what follows the address"}
	}
	address, path, _ := strings.Cut(rest, "/")
	if err := out.setPath("/"+path, string(text)); err != nil {
		return err
	}
	if err := out.setAddress(address, string(text)); err != nil {
		return err
	}
	if out.Kind.Encrypted() {
		var err error
		if out.Name, err = certificateName(name, named, out.Addr.Addr()); err != nil {
			return err
		}
	}
	for _, f := range fields[1:] {
		if err := out.Pins.add(f); err != nil {
			return err
		}
	}
	*s = out
	return nil
}

func (s *Server) setPath(path, text string) error {
	if s.Kind != ServerHTTPS {
		if path != "/" {
			return &syntaxError{fmt.Sprintf("%q has a path, which only https:// has", text), "leave out what follows the address, or write https://"}
		}
		return nil
	}
	path = strings.TrimSuffix(path, "{?dns}") // as templates for GET end (RFC 8484 section 4.1); we ask by POST
	u, err := url.ParseRequestURI(path)
	if err != nil || u.RawQuery != "" || u.EscapedPath() != path || len(path) > 200 {
		return &syntaxError{fmt.Sprintf("%q has no path that a server could have", text), `write such as "https://192.0.2.1/dns-query#dns.example"`}
	}
	if path == "/" {
		path = usualPath
	}
	s.Path = path
	return nil
}

func (s *Server) setAddress(address, text string) error {
	var err error
	if s.Addr, err = netip.ParseAddrPort(address); err == nil {
		return nil
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(address, "["), "]"))
	if err == nil {
		s.Addr = netip.AddrPortFrom(a, s.Kind.port())
		return nil
	}
	host, _, _ := strings.Cut(address, ":")
	if name, err := domain.Parse(host); err == nil && name != "" && strings.Contains(host, ".") {
		return &syntaxError{
			fmt.Sprintf("%q has a name where an address belongs: looking it up could be a question to this box", text),
			"write its IP address, and the name behind it: " + s.spelled(string(name)),
		}
	}
	return &syntaxError{fmt.Sprintf("%q is no address of a server", text), `write its IP address, such as "192.0.2.1", "tls://192.0.2.1#name.of.certificate" or "https://192.0.2.1/dns-query#name.of.certificate"`}
}

// spelled is how a server of that name is written: with the right address, when it is that of a known provider.
func (s *Server) spelled(name string) string {
	kind, address := s.Kind, "192.0.2.1"
	if !kind.Encrypted() {
		kind = ServerTLS // a name is worth having where a certificate proves it
	}
	for _, p := range provider.All() {
		for _, known := range append(slices.Clone(p.Servers), p.Fallback...) {
			if strings.HasSuffix(known, "#"+name) && (kind != ServerHTTPS || strings.Contains(known, s.Path+"#")) {
				address = p.Addrs[0].String()
			}
		}
	}
	return fmt.Sprintf("%q", kind.String()+"://"+address+s.Path+"#"+name)
}

func certificateName(name string, named bool, addr netip.Addr) (string, error) {
	if !named {
		return addr.WithZone("").String(), nil // its certificate must then hold the address itself (9.9.9.9's does)
	}
	if a, err := netip.ParseAddr(name); err == nil {
		return a.String(), nil
	}
	n, err := domain.Parse(name)
	if err != nil || n == "" {
		return "", &syntaxError{fmt.Sprintf("%q is no name that a certificate could have", name), "write the provider's name after the #, such as tls://192.0.2.1#dns.example"}
	}
	return string(n), nil
}

// MarshalText writes String.
func (s Server) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s Server) String() string {
	out := s.Kind.String() + "://" + s.Addr.String() + s.Path
	if s.Kind.Encrypted() && s.Name != s.Addr.Addr().WithZone("").String() {
		out += "#" + s.Name
	}
	for pin := range slices.Chunk([]byte(s.Pins), sha256.Size) {
		out += " pin=" + base64.StdEncoding.EncodeToString(pin)
	}
	return out
}

// Pins are SHA-256 digests of public keys (SubjectPublicKeyInfo; RFC 7858 section 4.2), one behind the other.
type Pins string

// maxPins is the key in use, the next one and some more.
const maxPins = 8

func (p *Pins) add(field string) error {
	text, ok := strings.CutPrefix(field, "pin=")
	digest, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil || len(digest) != sha256.Size {
		return &syntaxError{fmt.Sprintf("%q is no pin", field), "write pin= and the SHA-256 of the server's public key in base64, 44 characters"}
	}
	if p.Hold(digest) || len(*p) == maxPins*sha256.Size {
		return &syntaxError{fmt.Sprintf("%q is one pin too many", field), fmt.Sprintf("write each pin once, %d at most", maxPins)}
	}
	*p += Pins(digest)
	return nil
}

// Hold says whether a digest is among the pins.
func (p Pins) Hold(digest []byte) bool {
	for pin := range slices.Chunk([]byte(p), sha256.Size) {
		if string(pin) == string(digest) {
			return true
		}
	}
	return false
}
