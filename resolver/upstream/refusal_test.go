package upstream

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"schoolgate/config"
	"schoolgate/resolver/wire"
)

// replied is a reply with records as text ("ns: …" for the authority section) and an extended error, 0 for none.
func replied(t *testing.T, qtype uint16, rcode int, ede uint16, records ...string) *wire.Reply {
	t.Helper()
	m := new(dns.Msg).SetQuestion("games.example.", qtype)
	m.Response, m.Rcode, m.Compress = true, rcode, true
	for _, text := range records {
		section := &m.Answer
		if len(text) > 4 && text[:4] == "ns: " {
			section, text = &m.Ns, text[4:]
		}
		r, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		*section = append(*section, r)
	}
	if ede != 0 {
		m.SetEdns0(1232, false)
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: ede}}
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	r, err := wire.ReadReply(b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRefusalsAreRecognised(t *testing.T) {
	const (
		soa   = "ns: example. 300 IN SOA ns.example. hostmaster.example. 1 7200 900 86400 300"
		rpz   = "ns: cleanbrowsing.rpz.noc.org. 300 IN SOA cleanbrowsing.rpz.noc.org. accesspolicy.noc.org. 1 7200 900 86400 300"
		right = "games.example. 60 IN A 198.51.100.1"
	)
	at := func(address string) config.Server {
		return config.Server{Kind: config.ServerTLS, Addr: netip.AddrPortFrom(netip.MustParseAddr(address), 853), Name: "dns.example"}
	}
	a, aaaa := dns.TypeA, dns.TypeAAAA
	for _, tt := range []struct {
		what    string
		server  string
		reply   *wire.Reply
		refused string // by whom; "" for nobody
	}{
		{"an answer", "192.0.2.1", replied(t, a, dns.RcodeSuccess, 0, right), ""},
		{"no such name", "192.0.2.1", replied(t, a, dns.RcodeNameError, 0, soa), ""},
		{"no such name, no record", "192.0.2.1", replied(t, a, dns.RcodeNameError, 0), ""},
		{"zero", "192.0.2.1", replied(t, a, dns.RcodeSuccess, 0, "games.example. 60 IN A 0.0.0.0"), ""},
		{"refused to us", "192.0.2.1", replied(t, a, dns.RcodeRefused, dns.ExtendedErrorCodeProhibited), ""},
		{"bogus", "192.0.2.1", replied(t, a, dns.RcodeServerFailure, dns.ExtendedErrorCodeDNSBogus), ""},
		{"blocked", "192.0.2.1", replied(t, a, dns.RcodeNameError, dns.ExtendedErrorCodeBlocked, soa), "dns.example"},
		{"censored", "192.0.2.1", replied(t, a, dns.RcodeServerFailure, dns.ExtendedErrorCodeCensored), "dns.example"},
		{"filtered", "192.0.2.1", replied(t, a, dns.RcodeRefused, dns.ExtendedErrorCodeFiltered), "dns.example"},
		{"filtered, zero", "192.0.2.1", replied(t, a, dns.RcodeSuccess, dns.ExtendedErrorCodeFiltered, "games.example. 60 IN A 0.0.0.0"), "dns.example"},
		{"filtered, zero, six", "192.0.2.1", replied(t, aaaa, dns.RcodeSuccess, dns.ExtendedErrorCodeFiltered, "games.example. 60 IN AAAA ::"), "dns.example"},
		{"filtered, no data", "192.0.2.1", replied(t, aaaa, dns.RcodeSuccess, dns.ExtendedErrorCodeFiltered), "dns.example"},
		{"filtered, with an address all the same", "192.0.2.1", replied(t, a, dns.RcodeSuccess, dns.ExtendedErrorCodeFiltered, right), ""},
		{"told by the configuration", "192.0.2.1", replied(t, a, dns.RcodeSuccess, 0, "games.example. 60 IN CNAME page.example.", "page.example. 60 IN A 203.0.113.80"), "dns.example"},

		{"Cloudflare", "1.1.1.3", replied(t, a, dns.RcodeSuccess, 0, "games.example. 60 IN A 0.0.0.0"), "cloudflare-family"},
		{"Cloudflare, six", "1.1.1.3", replied(t, aaaa, dns.RcodeSuccess, 0, "games.example. 60 IN AAAA ::"), "cloudflare-family"},
		{"Cloudflare, an answer", "1.1.1.3", replied(t, a, dns.RcodeSuccess, 0, right), ""},
		{"Quad9", "9.9.9.9", replied(t, a, dns.RcodeNameError, 0), "quad9"},
		{"Quad9, no such name", "9.9.9.9", replied(t, a, dns.RcodeNameError, 0, soa), ""},
		{"Quad9, no data", "9.9.9.9", replied(t, aaaa, dns.RcodeSuccess, 0), ""},
		{"OpenDNS", "208.67.222.123", replied(t, a, dns.RcodeSuccess, 0, "games.example. 0 IN A 146.112.61.106"), "opendns-family"},
		{"OpenDNS, six", "208.67.222.123", replied(t, aaaa, dns.RcodeSuccess, 0, "games.example. 0 IN AAAA ::ffff:146.112.61.108"), "opendns-family"},
		{"OpenDNS, a neighbour of its pages", "208.67.222.123", replied(t, a, dns.RcodeSuccess, 0, "games.example. 0 IN A 146.112.61.112"), ""},
		{"CleanBrowsing", "185.228.168.168", replied(t, a, dns.RcodeNameError, 0, rpz), "cleanbrowsing-family"},
		{"CleanBrowsing, no such name", "185.228.168.168", replied(t, a, dns.RcodeNameError, 0, soa), ""},
		{"AdGuard", "94.140.14.15", replied(t, a, dns.RcodeSuccess, 0, "games.example. 60 IN CNAME family-block.dns.adguard.com.", "family-block.dns.adguard.com. 60 IN A 198.51.100.9"), "adguard-family"},
		{"DNS4EU", "86.54.11.12", replied(t, a, dns.RcodeSuccess, 0, "games.example. 60 IN A 51.15.69.11"), "dns4eu-child"},
	} {
		f := refusalOf(at(tt.server), []netip.Addr{netip.MustParseAddr("203.0.113.80")})
		f.judge(tt.reply)
		want := wire.NoFinding
		if tt.refused != "" {
			want = wire.BlockedUpstream
		}
		if tt.reply.Finding != want || tt.reply.By != tt.refused {
			t.Errorf("%s: %v by %q, want %q", tt.what, tt.reply.Finding, tt.reply.By, tt.refused)
		}
	}
}

// TestRefusalIsFinal: who refuses a name by a filter is not passed over for a server that has none.
func TestRefusalIsFinal(t *testing.T) {
	refuse := func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg).SetRcode(r, dns.RcodeRefused)
		m.SetEdns0(1232, false)
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeFiltered}}
		_ = w.WriteMsg(m)
	}
	first, second := plain(t, refuse), plain(t, echo)
	p := pool(t, 2*time.Second, udp(first.addr), udp(second.addr))
	_, q, err := wired(ask("games.example."))
	if err != nil {
		t.Fatal(err)
	}
	r, err := p.Exchange(context.Background(), &q)
	if err != nil || r.Finding != wire.BlockedUpstream || r.By != "127.0.0.1" || second.seen.Load() != 0 {
		t.Errorf("%v: %+v; the second server saw %d", err, r, second.seen.Load())
	}
}
