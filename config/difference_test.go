package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"schoolgate/blocklist/domain"
)

// full is a configuration in which every array has elements.
func full() *Config {
	c := Default()
	c.DNS.Forwarders = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	c.Policy.Block = []domain.Name{"example.org"}
	c.Policy.Allow = []domain.Name{"example.net"}
	g := &c.Groups[0]
	g.Clients = []Client{{Prefix: netip.MustParsePrefix("192.0.2.0/24")}}
	g.Approved, g.Allow, g.Deny = []domain.Name{"a.example"}, []domain.Name{"b.example"}, []domain.Name{"c.example"}
	g.Hours = []Hours{{Days: []Weekday{1, 2}, From: 720, To: 780, Block: []string{Gambling}, Allow: []string{Gaming}}}
	c.Devices = []Device{{Name: "Tablet 7", MAC: MAC{0, 0, 0x5e, 0, 0x53, 1}, IP: netip.MustParseAddr("192.0.2.7"), Group: "children"}}
	c.Groups[0].SafeSearchExcept = []string{"pixabay"}
	c.Local.Records = []Record{
		{Name: "printer.home.arpa", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.10")}, TXT: []string{"paper"}, TTL: DefaultTTL},
		{Name: "www.school.example", CNAME: "printer.home.arpa", TTL: DefaultTTL, Groups: []string{"staff"}},
		{Name: "mail.home.arpa", MX: []MX{{10, "mail.example"}}, SRV: []SRV{{0, 5, 25, "mail.example"}}, PTR: "x.example", TTL: DefaultTTL, Below: true},
	}
	c.Lists = []List{
		{Name: "own", Category: Gambling, Source: "https://lists.example/key-one/x.txt", Format: FormatUT1, Select: []string{"gambling"}, Every: Duration(day), MaxSize: 64 << 20},
		{Name: "two", Category: Gaming, Source: "own.txt", Every: Duration(day), MaxSize: 64 << 20},
	}
	c.Upstream.Fallback = []Server{{Kind: ServerHTTPS, Addr: netip.MustParseAddrPort("192.0.2.54:443"), Path: "/dns-query", Name: "dns.example"}}
	c.Upstream.BlockedAnswers = []netip.Addr{netip.MustParseAddr("192.0.2.80")}
	c.Forward = []Forward{{Name: "router", Zones: []Zone{{Name: "lan"}}, Servers: []Server{{Addr: netip.MustParseAddrPort("192.0.2.1:53")}}, Timeout: Duration(defaultTimeout)}}
	c.Alerts.DSL, c.Alerts.Technical = []string{"dsl@school.example"}, []string{"it@school.example"}
	return c
}

func TestDiffWords(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Config)
		want   []string
	}{
		{"nothing", func(*Config) {}, nil},
		{"empty for nil", func(c *Config) { c.Groups[1].Allow = []domain.Name{} }, nil},
		{"category", func(c *Config) { c.Groups[0].Block = c.Groups[0].Block[:6] }, []string{
			"group children: category gambling is no longer blocked", "group children: category bypass is no longer blocked",
			"group children: category dating is no longer blocked",
		}},
		{"scalars", func(c *Config) {
			c.Cache.Size = 16 << 20
			c.Site.Name = "Elm Park"
			c.HTTP.Listen = netip.AddrPort{}
			c.Groups[0].SafeSearch = false
			c.Groups[0].YouTube = YouTubeOff
		}, []string{
			`site.name is now "Elm Park" (was "Example School")`,
			`http.listen is now "" (was 127.0.0.1:9153)`,
			"cache.size is now 16 MB (was 8 MB)",
			"group children: safe_search is now false (was true)",
			"group children: youtube is now off (was strict)",
		}},
		{"own lists", func(c *Config) {
			c.Policy.Block = []domain.Name{"example.com"}
			c.Policy.Allow = nil
			c.Groups[0].Deny, c.Groups[0].Allow, c.Groups[0].Approved = nil, nil, []domain.Name{"a.example", "d.example"}
		}, []string{
			"own list: example.com is blocked for everyone", "own list: example.org is no longer blocked for everyone",
			"own list: example.net is no longer allowed for everyone",
			"group children: d.example is approved", "group children: b.example is no longer allowed", "group children: c.example is no longer blocked",
		}},
		{"services", func(c *Config) {
			c.Groups[0].BlockServices, c.Groups[1].AllowServices = []string{"youtube"}, []string{"copilot"}
			c.Update.Catalogue = false
		}, []string{
			"group children: service youtube is blocked", "group staff: service copilot is allowed", "update.catalogue is now false (was true)",
		}},
		{"answers", func(c *Config) {
			c.Answers = Answers{ECH: ECHStrip, Lookalikes: LookalikesBlock, Private: []domain.Name{"a.example"}, ExemptTargets: []domain.Name{"b.example"}, ExemptTargetsExcept: []domain.Name{"c.example"}}
		}, []string{
			"answers.ech is now strip (was keep)", "answers.lookalikes is now block (was flag)", "answers: a.example may have addresses of the local network",
			"answers: no category list refuses b.example as what an answer leads to", "answers: c.example is no longer exempt as what an answer leads to",
		}},
		{"switches", func(c *Config) { c.Policy.StopAll = true; c.Groups[2].Internet = false }, []string{
			"every name is refused to everyone", "group guests: cut off: every name is refused",
		}},
		{"schools pack", func(c *Config) {
			c.Policy.SchoolsPack = false
			c.Policy.SchoolsPackExcept = []domain.Name{"example.org"}
		}, []string{
			"the schools pack is off: category lists refuse its names too", "schools pack: example.org is excepted",
		}},
		{"new and gone", func(c *Config) {
			c.Groups[2] = Group{Name: "lab", Block: []string{Gaming}, Internet: true}
			c.Devices[0].Name = "Tablet 8"
			c.Terms = c.Terms[:2]
		}, []string{
			"group lab is new", "group lab: category gaming is blocked", "group guests is gone",
			"device Tablet 8 is new", "device Tablet 8: mac is now 00:00:5e:00:53:01", "device Tablet 8: ip is now 192.0.2.7",
			`device Tablet 8: group is now "children"`, "device Tablet 7 is gone",
			"term summer 2026/27 is gone",
		}},
		{"hours", func(c *Config) { c.Groups[0].Hours[0].Days = nil }, []string{
			"group children: hours now hold: every day 12:00 to 13:00, blocked: gambling, allowed: gaming",
			"group children: hours no longer hold: monday, tuesday 12:00 to 13:00, blocked: gambling, allowed: gaming",
		}},
		{"order", func(c *Config) {
			c.Groups[1], c.Groups[2] = c.Groups[2], c.Groups[1]
			s := c.Upstream.Servers
			s[0], s[1] = s[1], s[0]
		}, []string{"the order of upstream.servers is new", "the order of groups is new"}},
		{"sources keep their secrets", func(c *Config) {
			c.Lists[0].Source = "https://lists.example/key-two/x.txt"
			c.Lists[1].Source = "https://user:key-three@feeds.example?key-four"
			c.Alerts.SMTP.User = "key-five"
		}, []string{
			"list own: source changed at https://lists.example/…",
			`list two: source is now "https://feeds.example/…" (was "own.txt")`,
			"alerts.smtp.user changed",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := full()
			tt.change(c)
			got := Diff(full(), c)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if strings.Contains(fmt.Sprint(got), "key-") {
				t.Errorf("a secret shows: %v", got)
			}
			if c.Equal(full()) != (len(got) == 0) {
				t.Errorf("Equal is %v", c.Equal(full()))
			}
		})
	}
}

// TestDiffMissesNothing changes each single value in turn: whatever is added to the types later is covered too.
func TestDiffMissesNothing(t *testing.T) {
	changed := 0
	var walk func(get func(*Config) reflect.Value, path string)
	walk = func(get func(*Config) reflect.Value, path string) {
		v := get(full())
		switch {
		case isTable(v.Type()):
			for i, key := range keysOf(v.Type()) {
				walk(func(c *Config) reflect.Value { return get(c).Field(i) }, path+"."+key)
			}
			return
		case v.Kind() == reflect.Slice:
			for i := range v.Len() {
				walk(func(c *Config) reflect.Value { return get(c).Index(i) }, element(path, i))
			}
			if v.Len() == 0 {
				return
			}
		}
		c := full()
		alter(t, get(c), path)
		changed++
		if len(Diff(full(), c)) == 0 || c.Equal(full()) || c.Digest() == full().Digest() {
			t.Errorf("a change of %s goes unseen", path)
		}
	}
	walk(func(c *Config) reflect.Value { return reflect.ValueOf(c).Elem() }, "")
	if changed < 100 {
		t.Errorf("only %d values changed", changed)
	}
}

func alter(t *testing.T, v reflect.Value, path string) {
	t.Helper()
	switch x := v.Addr().Interface().(type) {
	case *netip.Addr:
		*x = netip.MustParseAddr("203.0.113.99")
	case *netip.AddrPort:
		*x = netip.MustParseAddrPort("203.0.113.99:99")
	case *Client:
		*x = Client{MAC: MAC{9}}
	case *Network:
		*x = Network{Prefix: netip.MustParsePrefix("203.0.113.0/24")}
	case *Server:
		x.Name = "other.example"
		x.Kind = ServerTLS
	case *Answer:
		x.Kind = AnswerZero
	case *Zone:
		x.Name = "other"
	case *Date:
		x.Day++
	case *MX:
		x.Preference++
	case *SRV:
		x.Port++
	case *MAC:
		x[5]++
	case *PublicKey:
		x[5]++
	default:
		switch v.Kind() {
		case reflect.Slice:
			v.Set(v.Slice(0, v.Len()-1))
		case reflect.String:
			v.SetString(v.String() + "x")
		case reflect.Bool:
			v.SetBool(!v.Bool())
		case reflect.Int, reflect.Int64:
			v.SetInt(v.Int() + 1)
		case reflect.Uint8:
			v.SetUint(v.Uint() ^ 1)
		default:
			t.Fatalf("no way to change %s, a %v", path, v.Type())
		}
	}
}

func TestNeedsRestart(t *testing.T) {
	c := full()
	c.Site.Name, c.Upstream.Servers, c.Store.Retention, c.DNS.Forwarders = "Elm Park", nil, Duration(day), nil
	if got := NeedsRestart(full(), c); got != nil {
		t.Errorf("reload can apply this, but got %v", got)
	}
	c.DNS.Listen = c.DNS.Listen[:0]
	c.HTTP.Listen = netip.AddrPort{}
	c.Store.Path = "/srv"
	if diff := cmp.Diff([]string{"dns.listen", "http.listen", "store.path"}, NeedsRestart(full(), c)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
