package config

import (
	"net/netip"
	"time"
)

// defaultTimeout is for one attempt at one upstream.
const defaultTimeout = 2 * time.Second

// Default is a sensible school on an unprivileged port of this machine alone: what runs without a file, and what a file
// that leaves something out gets.
func Default() *Config {
	everyone := []string{IllegalTier, Pornography, Hate, Extremism, Gaming}
	with := func(more ...string) []string { return append(append([]string(nil), everyone...), more...) }
	return &Config{
		Site: Site{Name: "Example School", Timezone: "Europe/London"},
		DNS: DNS{
			Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:5300")},
			Allow:  []Network{{Word: NetworkPrivate}, {Word: NetworkOwn}},
			Limits: Limits{Client: 1000, Network: 4000, Answers: 200, Spare: 128 << 10, Sessions: 1024, ClientSessions: 256},
		},
		HTTP:      HTTP{Listen: netip.MustParseAddrPort("127.0.0.1:9153")},
		Encrypted: Encrypted{Announce: true},
		Upstream: Upstream{
			Servers: []Server{
				{Kind: ServerTLS, Addr: netip.MustParseAddrPort("9.9.9.9:853"), Name: "dns.quad9.net"},
				{Kind: ServerTLS, Addr: netip.MustParseAddrPort("149.112.112.112:853"), Name: "dns.quad9.net"},
			},
			Timeout: Duration(defaultTimeout),
		},
		Cache:   Cache{Size: 8 << 20, MaxTTL: Duration(24 * time.Hour), StaleFor: Duration(24 * time.Hour)},
		Policy:  Policy{DefaultGroup: "children", SchoolsPack: true},
		Local:   Local{Domain: "home.arpa", Name: "schoolgate.home.arpa", Devices: true},
		Signals: Signals{FirefoxDoH: true, PrivateRelay: true, ChromePrefetch: true, DesignatedResolvers: true, ESNI: true},
		Groups: []Group{
			{Name: "children", Block: with(SocialMedia, Gambling, Circumvent, Dating), SafeSearch: true, YouTube: YouTubeStrict, Internet: true},
			{Name: "staff", Block: with(), Internet: true},
			{Name: "guests", Block: with(), SafeSearch: true, YouTube: YouTubeModerate, Internet: true},
		},
		Update: Update{Starter: true, Catalogue: true, Timeout: Duration(5 * time.Minute)},
		Alerts: Alerts{
			Categories: []string{Pornography, Hate, Extremism},
			Window:     Duration(10 * time.Minute),
			SMTP:       SMTP{Port: 587, TLS: TLSStartTLS, Timeout: Duration(30 * time.Second)},
		},
		Changes: Changes{AllowFor: Duration(30 * day), MaxFor: Duration(366 * day)},
		Store:   Store{Path: "var", Retention: Duration(150 * 24 * time.Hour), Flush: Duration(2 * time.Second)},
		Terms: []Term{
			{Name: "autumn", First: Date{2026, time.September, 1}, Last: Date{2026, time.December, 18}},
			{Name: "spring", First: Date{2027, time.January, 4}, Last: Date{2027, time.March, 25}},
			{Name: "summer", First: Date{2027, time.April, 12}, Last: Date{2027, time.July, 21}},
		},
	}
}
