package wire

import (
	"encoding/binary"
	"iter"
	"net/netip"
)

// Keys of service parameters (RFC 9460 section 14.3.2, RFC 9848).
const (
	svcMandatory uint16 = 0
	svcIPv4Hint  uint16 = 4
	svcECH       uint16 = 5
	svcIPv6Hint  uint16 = 6
)

func isSVCB(typ uint16) bool { return typ == TypeSVCB || typ == TypeHTTPS }

// svcParams is the parameters in the data of an SVCB or HTTPS record, whose target is written out whole; nil when it is
// broken.
func svcParams(data []byte) []byte {
	if len(data) < 3 {
		return nil
	}
	at, ok := skipName(data, 2)
	if !ok || at > len(data) {
		return nil
	}
	return data[at:]
}

// eachParam yields key and value of each parameter, up to one that is broken.
func eachParam(params []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(params) >= 4 {
			end := 4 + int(binary.BigEndian.Uint16(params[2:]))
			if end > len(params) || !yield(binary.BigEndian.Uint16(params), params[4:end]) {
				return
			}
			params = params[end:]
		}
	}
}

// soundParams says whether parameters can be read to their end, with ascending keys (RFC 9460 section 2.2) and hints that
// are addresses.
func soundParams(params []byte) bool {
	n, last := 0, -1
	for key, value := range eachParam(params) {
		if int(key) <= last || key == svcIPv4Hint && len(value)%4 != 0 || key == svcIPv6Hint && len(value)%16 != 0 {
			return false
		}
		n, last = n+4+len(value), int(key)
	}
	return n == len(params)
}

// appendWithoutECH appends params without those of an encrypted client hello, and without what says that a client must
// understand them.
func appendWithoutECH(dst, params []byte) []byte {
	for key, value := range eachParam(params) {
		if key == svcECH {
			continue
		}
		at := len(dst)
		dst = binary.BigEndian.AppendUint16(dst, key)
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(value)))
		if key != svcMandatory {
			dst = append(dst, value...)
			continue
		}
		for ; len(value) >= 2; value = value[2:] {
			if binary.BigEndian.Uint16(value) != svcECH {
				dst = append(dst, value[:2]...)
			}
		}
		if binary.BigEndian.PutUint16(dst[at+2:], uint16(len(dst)-at-4)); len(dst) == at+4 {
			dst = dst[:at] // which may not be empty (RFC 9460 section 8)
		}
	}
	return dst
}

// WithoutECH is r without the keys for an encrypted client hello in its HTTPS and SVCB records; r itself when there are
// none. Signatures over these records go, since they no longer fit, and so does AD: a client that validates takes such an
// answer of a signed zone for forged.
func (r *Reply) WithoutECH() *Reply {
	if !r.hasECH() {
		return r
	}
	msg := make([]byte, headerLen, headerLen+len(r.Name)+4+len(r.Body))
	msg[2], msg[5] = flagQR, 1
	binary.BigEndian.PutUint16(msg[6:], r.Answers)
	binary.BigEndian.PutUint16(msg[8:], r.Authority)
	msg = append(msg, r.Name...)
	msg = binary.BigEndian.AppendUint16(msg, r.Type)
	msg = binary.BigEndian.AppendUint16(msg, r.Class)
	out, err := readReply(append(msg, r.Body...), true)
	if err != nil {
		return r // cannot be: r was written by the same hand
	}
	out.RCode, out.AA, out.EDE, out.Finding, out.By = r.RCode, r.AA, r.EDE, r.Finding, r.By
	return out
}

func (r *Reply) hasECH() bool {
	for i := range r.TTLs {
		if typ, _, data := r.Record(i); isSVCB(typ) {
			for key := range eachParam(svcParams(data)) {
				if key == svcECH {
					return true
				}
			}
		}
	}
	return false
}

// LocalAddress is an address in r that means nothing outside of a local network (see IsLocal): of an A or AAAA record, or
// a hint of an HTTPS or SVCB record.
func (r *Reply) LocalAddress() (a netip.Addr, ok bool) {
	for i := range r.TTLs {
		switch typ, _, data := r.Record(i); typ {
		case TypeA, TypeAAAA:
			a, ok = localIn(data, len(data))
		case TypeHTTPS, TypeSVCB:
			for key, value := range eachParam(svcParams(data)) {
				switch {
				case ok:
				case key == svcIPv4Hint:
					a, ok = localIn(value, 4)
				case key == svcIPv6Hint:
					a, ok = localIn(value, 16)
				}
			}
		}
		if ok {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// localIn finds the first local one of addresses of size bytes each.
func localIn(b []byte, size int) (netip.Addr, bool) {
	for ; len(b) >= size && size > 0; b = b[size:] {
		if a, ok := netip.AddrFromSlice(b[:size]); ok && IsLocal(a) {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// local are the networks that no public name has business with, beside those that netip knows: "this network", between a
// provider and its customers (RFC 6598), reserved and broadcast; and of IPv6 those that are written for an IPv4 address or
// were meant for sites, by RFC 4291, 8215 and 3879. Addresses of documentation lead nowhere, and are left alone.
var local = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("fec0::/10"),
}

// Prefixes of IPv6 addresses that lead to an IPv4 address within them, and where it begins (RFC 6052, 3056).
var (
	nat64   = netip.MustParsePrefix("64:ff9b::/96")
	sixToV4 = netip.MustParsePrefix("2002::/16")
)

// IsLocal says whether an address is one of a network's own, of the machine itself, or none to connect to: private,
// loopback, link-local, unique local, unspecified, multicast, reserved; an IPv4 address within an IPv6 one (RFC 4291
// section 2.5.5) always, since no server has one, and one to be translated if it is such itself.
func IsLocal(a netip.Addr) bool {
	switch {
	case a.Is4In6(), a.IsPrivate(), a.IsLoopback(), a.IsLinkLocalUnicast(), a.IsUnspecified(), a.IsMulticast():
		return true
	case nat64.Contains(a):
		b := a.As16()
		return IsLocal(netip.AddrFrom4([4]byte(b[12:])))
	case sixToV4.Contains(a):
		b := a.As16()
		return IsLocal(netip.AddrFrom4([4]byte(b[2:6])))
	}
	for _, p := range local {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
