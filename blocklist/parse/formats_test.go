package parse

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"schoolgate/blocklist"
	"schoolgate/config"
)

// collect gives an add that writes rules as "+name" (subtree), "+=name" (exact), "+.name" (below), exceptions with "-".
func collect(into *[]string) func(blocklist.Rule) error {
	return func(r blocklist.Rule) error {
		sign := "+"
		if r.Except {
			sign = "-"
		}
		*into = append(*into, sign+map[blocklist.Scope]string{blocklist.Exact: "=", blocklist.Below: "."}[r.Scope]+string(r.Name))
		return nil
	}
}

func TestFormats(t *testing.T) {
	type skipped = map[Reason]int
	for _, tc := range []struct {
		name    string
		format  config.Format
		text    string
		want    string // rules, space-separated
		skipped map[Reason]int
		entries int
	}{
		{
			"hosts", config.FormatHosts, `# a heading
127.0.0.1 localhost localhost.localdomain
::1 ip6-localhost ip6-loopback # the machine
255.255.255.255 broadcasthost
fe80::1%lo0 localhost
0.0.0.0 0.0.0.0
0.0.0.0 a.example
127.0.0.1	b.example  c.example	d.example # comment e.example
:: f.example#tight
192.0.2.7 intranet.example
0.0.0.0
just-a-name.example
0.0.0.0 co.uk g.example
`, "+a.example +b.example +c.example +d.example +f.example +g.example",
			skipped{Address: 2, Data: 1, Syntax: 1, PublicSuffix: 1},
			12,
		},

		{
			"domains", config.FormatDomains, "\ufeffa.example\r\n\r\nB.Example.\r\nunder_score.example # comment\r\n" +
				"bücher.example\r\nhttp://c.example/\r\nd.example/path\r\n192.0.2.1\r\n192.0.2.0/24\r\n2001:db8::1\r\ne.example:8080\r\n" +
				"com\r\nco.uk\r\nsch.uk\r\nlocalhost\r\n-bad-.example\r\na b\r\n*.f.example\r\n1.2.3\r\n" + strings.Repeat("a", 64) + ".example\r\nlast.example",
			"+a.example +b.example +under_score.example +xn--bcher-kva.example +last.example",
			skipped{Page: 3, Address: 3, PublicSuffix: 3, BadName: 3, Syntax: 1, Pattern: 1},
			20,
		},

		{
			"wildcard", config.FormatWildcard, "# c\n*.a.example\n.b.example\nc.example\n*.co.uk\n*\na.*.example\n",
			"+a.example +b.example +c.example",
			skipped{PublicSuffix: 1, BadName: 1, Pattern: 1},
			6,
		},

		{
			"adblock", config.FormatAdblock, `[Adblock Plus]
! comment
# comment
||a.example^
||b.example^$important
||c.example^$all
||d.example^$document,popup
||e.example^$third-party
||f.example
||g.example^|
|h.example^
i.example^
||*.j.example^
@@||ok.a.example^
@@|ok.b.example^$important
@@||narrow.example^$third-party
@@||narrow.example^$elemhide
||k.example^$domain=l.example
||m.example^$script
||n.example^$badfilter
||africa^$denyallow=x.africa
||*.actor^
||o.example/ads/
||p.example:8080^
/^ads?[0-9]+\./
/banner/*/img^
q.example##.advert
##.advert
r.example#@#.advert
||ads.
||a*.example^
||192.0.2.1^
||[2001:db8::1]^
|http://s.example/
plain.example
`, "+a.example +b.example +c.example +d.example +e.example +f.example +g.example +=h.example +i.example +.j.example " +
				"-ok.a.example -=ok.b.example +plain.example",
			skipped{Modifier: 6, PublicSuffix: 1, Page: 4, Pattern: 3, Cosmetic: 3, Address: 2},
			32,
		},

		{
			"dnsmasq", config.FormatDnsmasq, `# comment
address=/a.example/
address=/b.example/0.0.0.0
address=/c.example/::
address=/d.example/#
address=/e.example/127.0.0.1 # comment
local=/f.example/
server=/g.example/
server=/h.example/i.example/j.example/
server=/ok.a.example/#
--address=/k.example/
address=/.l.example/
server=/m.example/192.0.2.53
local=/m.example/192.0.2.53
address=/n.example/192.0.2.80
server=192.0.2.53
cname=a.example,b.example
no-resolv
address=/#/0.0.0.0
address=/*.o.example/
Not a setting
`, "+a.example +b.example +c.example +d.example +e.example +f.example +g.example +h.example +i.example +j.example " +
				"-ok.a.example +k.example +l.example",
			skipped{Forward: 2, Data: 1, Directive: 3, BadName: 1, Pattern: 1, Syntax: 1},
			20,
		},

		{
			"unbound", config.FormatUnbound, `# comment
server:
local-zone: "a.example." always_nxdomain
local-zone: "b.example" always_null
local-zone: c.example static
  local-zone: 'd.example' refuse # comment
local-zone: "e.example" redirect
local-data: "e.example A 192.0.2.80"
local-zone: "ok.a.example" always_transparent
local-zone: "ok.b.example" transparent
local-zone: "f.example" typetransparent
local-zone: "g.example" sideways
local-data: "h.example. A 0.0.0.0"
local-data: "i.example 3600 IN AAAA ::"
local-data: "j.example TXT text"
do-ip6: no
local-zone: "co.uk" static
nonsense
`, "+a.example +b.example +c.example +d.example +e.example -ok.a.example -ok.b.example +=h.example +=i.example",
			skipped{Data: 2, Directive: 2, Syntax: 2, PublicSuffix: 1},
			16,
		},

		{
			"rpz", config.FormatRPZ, `; comment
$TTL 1h
@ IN SOA ns.example. root.example. (
    1 ; serial
    3600 600
    2592000 3600 )
  IN NS localhost.
@ 60 IN NS ns.example.
a.example CNAME .
*.a.example CNAME .
b.example 300 IN CNAME *. ; no data
c.example IN 300 CNAME rpz-drop.
ok.a.example CNAME rpz-passthru.
*.ok.a.example CNAME RPZ-Passthru.
ok.b.example CNAME ok.b.example.
d.example A 0.0.0.0
        AAAA ::
e.example A 192.0.2.80
f.example CNAME walled.example.
g.example TXT "a ; b"
24.0.2.0.192.rpz-ip CNAME .
32.1.2.0.192.rpz-client-ip CNAME rpz-drop.
ns.example.rpz-nsdname CNAME .
h.example CNAME rpz-tcp-only.
* CNAME .
*.co.uk CNAME .
whole.example. CNAME .
LOCALHOST. IN A 127.0.0.1
nonsense
$GENERATE 1-9 x$ CNAME .
`, "+=a.example +.a.example +=b.example +=c.example -=ok.a.example -.ok.a.example -=ok.b.example +=d.example +=d.example +=whole.example",
			skipped{Data: 4, Trigger: 3, PublicSuffix: 2, Syntax: 1, Directive: 1},
			22,
		},

		{"rpz with an origin", config.FormatRPZ, `$ORIGIN rpz.example.
@ SOA localhost. root.localhost. 1 2 3 4 5
a.example CNAME .
*.b.example.rpz.example. CNAME .
out-of-zone.example. CNAME .
$ORIGIN net.rpz.example.
c CNAME .
*.d CNAME .
`, "+=a.example +.b.example +=c.net +.d.net", skipped{Syntax: 1}, 5},

		{"rpz as BIND writes it", config.FormatRPZ, `$ORIGIN .
rpz.example IN SOA localhost. root.localhost. (1 2 3 4 5)
            NS localhost.
$ORIGIN example.rpz.example.
a           CNAME .
*.a         CNAME .
`, "+=a.example +.a.example", nil, 2},

		{"rpz with the zone's name in its SOA alone", config.FormatRPZ, `rpz.example. IN SOA localhost. root.localhost. 1 2 3 4 5
a.example CNAME .
b.example.RPZ.example. CNAME .
`, "+=a.example +=b.example", nil, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			rep, err := Text(strings.NewReader(tc.text), tc.format, collect(&got))
			if err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(strings.Fields(tc.want), got); diff != "" {
				t.Error("rules, want −, got +:\n" + diff)
			}
			if diff := cmp.Diff(tc.skipped, rep.Skipped); diff != "" {
				t.Errorf("skipped, want −, got +:\n%s%v", diff, rep.Problems)
			}
			if rep.Entries != tc.entries || rep.Rules != len(got) {
				t.Errorf("%d entries and %d rules reported, want %d and %d", rep.Entries, rep.Rules, tc.entries, len(got))
			}
		})
	}
}

// TestAuto reads lines of every format mixed, which no format but auto does.
func TestAuto(t *testing.T) {
	const text = `# comment
## a heading
! comment
[Adblock Plus]
// comment
0.0.0.0 a.example b.example
192.0.2.9 # an address
2001:db8::9
c.example
d.example # comment
*.e.example
.f.example
||g.example^
@@||ok.g.example^
h.example^
h2.example##.advert
##.advert
/^regex$/
local=/i.example/
address=/j.example/0.0.0.0 # comment
server:
local-zone: "k.example" always_null
local-data: "l.example A 0.0.0.0"
$TTL 30
@ IN SOA localhost. root.localhost. (
 1 2 3
 4 5 )
 NS localhost.
m.example CNAME .
*.m.example CNAME .
n.example IN A 0.0.0.0
https://o.example/page
some words that mean nothing
`
	want := strings.Fields(`+a.example +b.example +c.example +d.example +e.example +f.example +g.example -ok.g.example
		+h.example +i.example +j.example +k.example +=l.example +=m.example +.m.example +=n.example`)
	var got []string
	rep, err := Text(strings.NewReader(text), config.FormatAuto, collect(&got))
	if err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("want −, got +:\n" + diff)
	}
	skipped := map[Reason]int{Address: 2, Cosmetic: 2, Pattern: 1, Page: 1, Syntax: 1}
	if diff := cmp.Diff(skipped, rep.Skipped); diff != "" {
		t.Errorf("want −, got +:\n%s%v", diff, rep.Problems)
	}
}
