package local

import (
	"net/netip"
	"strconv"

	"schoolgate/blocklist/domain"
)

func decimal(n int) string { return strconv.Itoa(n) }

// Reverse is the name under which the name of an address is asked for (RFC 1035 section 3.5, RFC 3596 section 2.5).
func Reverse(a netip.Addr) domain.Name {
	var b []byte
	if a = a.Unmap(); a.Is4() {
		four := a.As4()
		for i := len(four) - 1; i >= 0; i-- {
			b = append(strconv.AppendInt(b, int64(four[i]), 10), '.')
		}
		return domain.Name(append(b, "in-addr.arpa"...))
	}
	const digits = "0123456789abcdef"
	sixteen := a.As16()
	for i := len(sixteen) - 1; i >= 0; i-- {
		b = append(b, digits[sixteen[i]&15], '.', digits[sixteen[i]>>4], '.')
	}
	return domain.Name(append(b, "ip6.arpa"...))
}

// address reads a name as Reverse writes it.
func address(name *domain.Wire) (a netip.Addr, ok bool) {
	switch n := name.Labels(); {
	case n == 6 && string(name.From(4)) == "\x07in-addr\x04arpa\x00":
		var four [4]byte
		for i := range four {
			v := 0
			for _, c := range name.Label(i) {
				if c < '0' || c > '9' {
					return a, false
				}
				v = min(10*v+int(c-'0'), 256)
			}
			if v > 255 {
				return a, false
			}
			four[3-i] = byte(v)
		}
		return netip.AddrFrom4(four), true
	case n == 34 && string(name.From(32)) == "\x03ip6\x04arpa\x00":
		var sixteen [16]byte
		for i := range 32 {
			l := name.Label(i)
			v, ok := nibble(l[0])
			if len(l) != 1 || !ok {
				return a, false
			}
			sixteen[15-i/2] |= v << (4 * (i % 2))
		}
		return netip.AddrFrom16(sixteen), true
	}
	return a, false
}

func nibble(c byte) (v byte, ok bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}
