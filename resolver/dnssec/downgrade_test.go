package dnssec_test

import (
	"encoding/base64"
	"testing"

	"github.com/miekg/dns"

	"schoolgate/resolver/dnssec"
)

// TestKeyOfUnsupportedSize: a key that is too small to count makes its zone unsigned where the parent vouches for no other. Beside
// one that counts it must not: who takes that one out on the way could have the zone taken for unsigned.
func TestKeyOfUnsupportedSize(t *testing.T) {
	small := &dns.DNSKEY{Flags: 257, Protocol: 3, Algorithm: dns.RSASHA256, PublicKey: base64.StdEncoding.EncodeToString(append([]byte{3, 1, 0, 1, 0xc0}, make([]byte, 63)...))}
	w := &world{authority: newAuthority(t, epoch)}
	for name, both := range map[string]bool{"small.": false, "both.": true} {
		k := *small
		k.Hdr = dns.RR_Header{Name: name, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 3600}
		w.zone(name, dns.ED25519, "www."+name+" 300 IN A 192.0.2.1").dsOf = func(other *dns.DNSKEY) []dns.RR {
			if both {
				return []dns.RR{k.ToDS(dns.SHA256), other.ToDS(dns.SHA256)}
			}
			return []dns.RR{k.ToDS(dns.SHA256), k.ToDS(dns.SHA384)}
		}
		w.tamper[name+" DNSKEY"] = func(m *dns.Msg) { m.Answer = []dns.RR{&k} }
		w.tamper["www."+name+" A"] = func(m *dns.Msg) { m.Answer = []dns.RR{must(t, "www."+name+" 300 IN A 198.51.100.66")} }
	}
	w.sign()
	v := dnssec.New(w.options(t))
	for name, want := range map[string]dnssec.Status{"www.small.": dnssec.Insecure, "www.both.": dnssec.Bogus} {
		if _, got, _, err := v.Explain(t.Context(), question(t, name, a)); err != nil || got.Status != want {
			t.Errorf("%s: %v (%s), %v; want %v", name, got.Status, got.Why, err, want)
		}
	}
}
