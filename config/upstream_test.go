package config

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"schoolgate/resolver/provider"
)

// TestPresets: what is known of each provider can be asked, and is recognised again.
func TestPresets(t *testing.T) {
	for _, p := range provider.All() {
		c := Default()
		c.Upstream.Preset, c.Upstream.Servers = p.ID, nil
		if problems := c.Validate(); problems.Refused() {
			t.Errorf("%s: %v", p.ID, problems)
		}
		servers, fallback := c.Upstream.Asked()
		if len(servers) != len(p.Servers) || len(fallback) != len(p.Fallback) {
			t.Errorf("%s: asked are %v, then %v", p.ID, servers, fallback)
		}
		for _, s := range append(servers, fallback...) {
			if of, ok := provider.ByAddr(s.Addr.Addr()); !ok || of.ID != p.ID || !s.Kind.Encrypted() {
				t.Errorf("%s: %v", p.ID, s)
			}
		}
		c.Upstream.Fallback = servers[:1]
		if _, fallback := c.Upstream.Asked(); len(fallback) != 1 || fallback[0] != servers[0] {
			t.Errorf("%s: the file's fallback does not count: %v", p.ID, fallback)
		}
	}
}

// TestPresetReplacesTheDefaultServers, also when the configuration is written and read again.
func TestPresetReplacesTheDefaultServers(t *testing.T) {
	c, err := Parse([]byte("[upstream]\npreset = \"cleanbrowsing-family\"\n"), "x.toml")
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(c.Encode(), "y.toml")
	if err != nil || !again.Equal(c) || len(again.Upstream.Servers) != 0 {
		t.Errorf("%v: %v", err, again)
	}
	if servers, _ := c.Upstream.Asked(); servers[0].Name != "family-filter-dns.cleanbrowsing.org" {
		t.Errorf("asked is %v", servers)
	}
}

func TestNameWhereAnAddressBelongs(t *testing.T) {
	for text, hint := range map[string]string{
		"https://dns.quad9.net/dns-query":                  `"https://9.9.9.9/dns-query#dns.quad9.net"`,
		"tls://dns.example":                                `"tls://192.0.2.1#dns.example"`,
		"https://doh.cleanbrowsing.org/doh/family-filter/": `"https://185.228.168.168/doh/family-filter/#doh.cleanbrowsing.org"`,
		"tls://family.cloudflare-dns.com:853":              `"tls://1.1.1.3#family.cloudflare-dns.com"`,
	} {
		_, err := Parse([]byte("[upstream]\nservers = [\""+text+"\"]\n"), "x.toml")
		if err == nil || !strings.Contains(err.Error(), hint) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestZoneNames(t *testing.T) {
	for text, want := range map[string]string{
		"lan":             "lan",
		"192.168.1.0/24":  "1.168.192.in-addr.arpa",
		"10.0.0.0/8":      "10.in-addr.arpa",
		"172.16.0.0/14":   "16.172.in-addr.arpa 17.172.in-addr.arpa 18.172.in-addr.arpa 19.172.in-addr.arpa",
		"192.168.1.64/26": "64.1.168.192.in-addr.arpa 65.1.168.192.in-addr.arpa", // and 62 more
		"fd00::/8":        "d.f.ip6.arpa",
		"fd12:3456::/32":  "6.5.4.3.2.1.d.f.ip6.arpa",
		"fd00::/14":       "0.0.d.f.ip6.arpa 1.0.d.f.ip6.arpa 2.0.d.f.ip6.arpa 3.0.d.f.ip6.arpa",
		"192.168.1.7/32":  "7.1.168.192.in-addr.arpa",
	} {
		var z Zone
		if err := z.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		var got []string
		for _, n := range z.Names() {
			got = append(got, string(n))
		}
		if len(got) == 64 {
			got = got[:2]
		}
		if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
	z := Zone{Prefix: netip.MustParsePrefix("128.0.0.0/9")}
	if n := len(z.Names()); n != 128 {
		t.Errorf("%d zones", n)
	}
}

func TestAlike(t *testing.T) {
	server := func(text string) (s Server) {
		if err := s.UnmarshalText([]byte(text)); err != nil {
			t.Fatal(err)
		}
		return s
	}
	quad9 := Upstream{Servers: []Server{server("tls://9.9.9.9#dns.quad9.net")}}
	for _, tt := range []struct {
		other Upstream
		want  bool
	}{
		{quad9, true},
		{Upstream{Preset: "quad9"}, true},
		{Upstream{Servers: []Server{server("9.9.9.9"), server("192.0.2.1")}}, true},
		{Upstream{Servers: []Server{server("192.0.2.1")}}, false},
		{Upstream{Preset: "cleanbrowsing-family"}, false},
		{Upstream{Servers: quad9.Servers, BlockedAnswers: []netip.Addr{netip.MustParseAddr("192.0.2.80")}}, false},
	} {
		if got := quad9.Alike(&tt.other); got != tt.want {
			t.Errorf("%+v is alike: %v", tt.other, got)
		}
	}
}
