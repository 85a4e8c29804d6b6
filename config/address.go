package config

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
)

// MAC is a 48-bit hardware address; the zero value means none and is written "".
type MAC [6]byte

// UnmarshalText reads the usual spellings, in either case: aa:bb:cc:dd:ee:ff (also with single digits), aa-bb-cc-dd-ee-ff,
// aabb.ccdd.eeff, aabbcc-ddeeff and aabbccddeeff.
func (m *MAC) UnmarshalText(text []byte) error {
	bad := &syntaxError{fmt.Sprintf("%q is no hardware address", text), `write six pairs of hexadecimal digits, such as "00:00:5e:00:53:01"`}
	s := string(text)
	if s == "" {
		*m = MAC{}
		return nil
	}
	parts := []string{s}
	for _, separator := range []string{":", "-", "."} {
		if strings.Contains(s, separator) {
			parts = strings.Split(s, separator)
			break
		}
	}
	if len(parts) > 6 || 6%len(parts) != 0 {
		return bad
	}
	var digits string
	for _, p := range parts {
		if len(parts) == 6 && len(p) == 1 {
			p = "0" + p
		}
		if len(p) != 12/len(parts) {
			return bad
		}
		digits += p
	}
	b, err := hex.DecodeString(digits)
	if err != nil {
		return bad
	}
	*m = MAC(b)
	return nil
}

// MarshalText writes String.
func (m MAC) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// IsZero says whether there is no address.
func (m MAC) IsZero() bool { return m == MAC{} }

func (m MAC) String() string {
	if m.IsZero() {
		return ""
	}
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// Client selects devices: by hardware address, or by address prefix (a single address is a whole-length prefix).
type Client struct {
	MAC    MAC
	Prefix netip.Prefix // masked and unmapped; the zero value when MAC selects
}

// UnmarshalText reads a hardware address, an IP address or a prefix such as 192.0.2.0/24.
func (c *Client) UnmarshalText(text []byte) error {
	s := string(text)
	if p, err := netip.ParsePrefix(s); err == nil {
		if p != p.Masked() {
			return &syntaxError{fmt.Sprintf("%q has bits set that its length cuts off", s), fmt.Sprintf("write %q for the network or %q for the one address", p.Masked(), p.Addr())}
		}
		if p.Addr().Is4In6() {
			return &syntaxError{fmt.Sprintf("%q is IPv4 in IPv6 clothes", s), "write it as an IPv4 network"}
		}
		*c = Client{Prefix: p}
		return nil
	}
	if a, err := netip.ParseAddr(s); err == nil {
		a = a.Unmap().WithZone("")
		*c = Client{Prefix: netip.PrefixFrom(a, a.BitLen())}
		return nil
	}
	var m MAC
	if err := m.UnmarshalText(text); err != nil || m.IsZero() {
		return &syntaxError{fmt.Sprintf("%q is neither a hardware address nor an IP address nor a network", s), `write such as "00:00:5e:00:53:01", "192.0.2.7" or "192.0.2.0/24"`}
	}
	*c = Client{MAC: m}
	return nil
}

// MarshalText writes String.
func (c Client) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

func (c Client) String() string {
	switch {
	case !c.MAC.IsZero():
		return c.MAC.String()
	case !c.Prefix.IsValid():
		return ""
	case c.Prefix.IsSingleIP():
		return c.Prefix.Addr().String()
	}
	return c.Prefix.String()
}
