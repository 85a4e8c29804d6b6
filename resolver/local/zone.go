package local

import (
	"strings"

	"schoolgate/blocklist/domain"
)

// special are the names that mean nothing on the Internet: asking an upstream for them would only tell it about this
// network. Names that are answered here beside their zone, such as localhost, are in builtin.
//
//   - RFC 6761 (localhost, invalid, test; example is a name like others), RFC 6762 (local, and the names of its appendix G
//     that networks use without leave), RFC 7686 (onion), RFC 8375 (home.arpa), RFC 9476 (alt), RFC 9665 (service.arpa),
//     RFC 9031 (6tisch.arpa), RFC 9140 and 9965 (EAP), and internal, reserved by ICANN for networks like this;
//   - reverse zones: RFC 6303, for private, local, unspecified and documentation addresses, RFC 7793 for those that providers
//     share (100.64.0.0/10), and the documentation prefix of RFC 9637.
//
// resolver.arpa (RFC 9462) is not here: questions for it are a signal, see policy.
func special() (zones []domain.Name) {
	for z := range strings.FieldsSeq(`localhost invalid test local intranet internal private corp home lan localdomain onion alt
		home.arpa service.arpa 6tisch.arpa eap-noob.arpa eap.arpa empty.as112.arpa
		10.in-addr.arpa 168.192.in-addr.arpa 0.in-addr.arpa 127.in-addr.arpa 254.169.in-addr.arpa
		2.0.192.in-addr.arpa 100.51.198.in-addr.arpa 113.0.203.in-addr.arpa 255.255.255.255.in-addr.arpa
		d.f.ip6.arpa 8.e.f.ip6.arpa 9.e.f.ip6.arpa a.e.f.ip6.arpa b.e.f.ip6.arpa 8.b.d.0.1.0.0.2.ip6.arpa 0.f.f.f.3.ip6.arpa`) {
		zones = append(zones, domain.Name(z))
	}
	for i := 16; i < 32; i++ {
		zones = append(zones, domain.Name(decimal(i)+".172.in-addr.arpa"))
	}
	for i := 64; i < 128; i++ {
		zones = append(zones, domain.Name(decimal(i)+".100.in-addr.arpa"))
	}
	zeros := strings.Repeat("0.", 31) + "ip6.arpa" // of :: and ::1
	return append(zones, domain.Name("0."+zeros), domain.Name("1."+zeros))
}
