package config

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"schoolgate/blocklist/domain"
)

func TestTooMany(t *testing.T) {
	c := Default()
	c.DNS.Listen = make([]netip.AddrPort, maxListen+1)
	c.Upstream.Servers = make([]Server, maxServers+1)
	c.Groups = make([]Group, maxGroups+1)
	c.Devices = make([]Device, maxDevices+1)
	c.Lists = make([]List, maxLists+1)
	c.Terms = make([]Term, maxTerms+1)
	var paths []string
	for _, p := range c.Validate() {
		paths = append(paths, p.Path)
	}
	if diff := cmp.Diff([]string{"dns.listen", "upstream.servers", "groups", "devices", "lists", "terms"}, paths); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestZeroValuesAreRefused: what code rather than a file leaves out is found too, and nothing panics on it.
func TestZeroValuesAreRefused(t *testing.T) {
	c := &Config{
		DNS:      DNS{Listen: make([]netip.AddrPort, 1), Forwarders: make([]netip.Addr, 1)},
		Upstream: Upstream{Servers: []Server{{}, {Kind: ServerTLS, Addr: netip.MustParseAddrPort("192.0.2.1:853")}}},
		Policy:   Policy{Block: []domain.Name{""}},
		Groups:   []Group{{Clients: make([]Client, 1), Answer: Answer{Kind: AnswerPage}, Hours: []Hours{{From: -1, To: 2000}}}},
		Devices:  make([]Device, 1),
		Lists:    make([]List, 1),
		Alerts:   Alerts{DSL: make([]string, 1)},
		Terms:    make([]Term, 1),
	}
	problems := c.Validate()
	if (&Config{}).Validate() == nil {
		t.Error("the empty Config has no problems")
	}
	for _, path := range []string{
		"site.name", "site.timezone", "dns.listen[0]", "dns.forwarders[0]", "upstream.servers[0]", "upstream.servers[1]", "upstream.timeout",
		"cache.size", "cache.max_ttl", "policy.block[0]", "groups[0].name", "groups[0].clients[0]", "groups[0].answer", "groups[0].hours[0].to",
		"devices[0]", "devices[0].name", "lists[0].name", "lists[0].category", "lists[0].source", "lists[0].every", "lists[0].max_size", "update.timeout",
		"alerts.window", "alerts.dsl[0]", "alerts.smtp.port", "alerts.smtp.timeout", "store.path", "store.retention", "store.flush", "terms[0].name", "terms[0].first",
	} {
		if !slices.ContainsFunc(problems, func(p Problem) bool { return p.Path == path && p.Severity == Error }) {
			t.Errorf("nothing wrong with %s", path)
		}
	}
}

// TestIllegalTier: no configuration that is taken can switch it off.
func TestIllegalTier(t *testing.T) {
	c := Default()
	c.Groups[0].Hours = []Hours{{From: 60, To: 120, Allow: []string{IllegalTier}}}
	if problems := c.Validate(); !problems.Refused() || problems[0].Path != "groups[0].hours[0].allow[0]" {
		t.Errorf("allowed in an hour: %v", problems)
	}
	c = Default()
	for i := range c.Groups {
		c.Groups[i].Block = slices.DeleteFunc(c.Groups[i].Block, func(s string) bool { return s == IllegalTier })
	}
	if problems := c.Validate(); len(problems) != 0 {
		t.Errorf("leaving it out of block changes nothing and is no problem: %v", problems)
	}
}

func TestWholeDayIsAWindow(t *testing.T) {
	c := Default()
	c.Groups[0].Hours = []Hours{{Days: []Weekday{6}, Allow: []string{Gaming}}}
	if problems := c.Validate(); len(problems) != 0 {
		t.Errorf("00:00 to 00:00: %v", problems)
	}
}

func TestMailToThisMachineMayBePlain(t *testing.T) {
	for host, refused := range map[string]bool{"localhost": false, "127.0.0.1": false, "::1": false, "mail.school.example": true, "192.0.2.25": true} {
		c := Default()
		c.Alerts.DSL = []string{"Safeguarding <dsl@school.example>"}
		c.Alerts.SMTP = SMTP{Host: host, Port: 25, TLS: TLSNone, From: "box@school.example", Timeout: c.Alerts.SMTP.Timeout}
		if problems := c.Validate(); problems.Refused() != refused {
			t.Errorf("%s: %v", host, problems)
		}
	}
}

func TestSpellingsMean(t *testing.T) {
	c, err := Load("testdata/spellings.good.toml")
	if err != nil {
		t.Fatal(err)
	}
	g := c.Groups[0]
	var clients []string
	for _, client := range g.Clients {
		clients = append(clients, client.String())
	}
	want := "00:00:5e:00:53:01 00:00:5e:00:53:02 00:00:5e:00:53:03 00:00:5e:00:53:04 00:00:5e:00:53:05 00:00:5e:00:53:06 " +
		"192.0.2.7 192.0.2.128/25 2001:db8::/32 198.51.100.1"
	if got := strings.Join(clients, " "); got != want {
		t.Errorf("clients %s", got)
	}
	if want := []Hours{{Days: []Weekday{1, 2}, From: 22 * 60, To: 6 * 60, Allow: []string{"own-category"}}}; !reflect.DeepEqual(g.Hours, want) {
		t.Errorf("hours %v", g.Hours)
	}
	if want := []domain.Name{"xn--bcher-kva.example", "example.org"}; !slices.Equal(g.Deny, want) {
		t.Errorf("deny %q", g.Deny)
	}
	if !g.Internet || c.Groups[1].Internet {
		t.Errorf("internet: %v, %v", g.Internet, c.Groups[1].Internet)
	}
	if l := c.Lists[0]; l.SHA256 != strings.ToLower(l.SHA256) || l.Every != Duration(day) || l.MaxSize != 64<<20 {
		t.Errorf("list %+v", l)
	}
	if want := []Term{{Name: "autumn", First: Date{2026, 9, 1}, Last: Date{2026, 12, 18}}}; !slices.Equal(c.Terms, want) {
		t.Errorf("terms %v", c.Terms)
	}
}
