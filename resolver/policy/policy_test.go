package policy

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"schoolgate/blocklist"
	"schoolgate/blocklist/domain"
	"schoolgate/blocklist/sealed"
	"schoolgate/config"
	"schoolgate/resolver/query"
)

// world is a small school: four lists, three groups.
type world struct {
	cfg *config.Config
	set *blocklist.Set
}

var listsOfWorld = map[string]string{
	"games": config.Gaming, "adult": config.Pornography, "own-category": "dating",
}

func build(t testing.TB, edit func(*config.Config)) (*Policy, world) {
	t.Helper()
	infos := []blocklist.Info{{Name: "games"}, {Name: "adult"}, {Name: "own-category"}}
	b := blocklist.NewBuilder(infos, "")
	for list, names := range map[int][]string{
		0: {"games.example", "both.example", "phonics.example"}, 1: {"adult.example", "both.example"},
		2: {"dating.example", "mixed.example"},
	} {
		for _, n := range names {
			if err := b.Add(list, blocklist.Rule{Name: domain.MustParse(n)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	set, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Groups = []config.Group{
		{Name: "children", Block: []string{config.Gaming, config.Pornography, "dating"}, SafeSearch: true, YouTube: config.YouTubeStrict, Internet: true},
		{Name: "staff", Block: []string{config.Pornography}, Internet: true},
		{Name: "nursery", AllowOnly: true, Approved: []domain.Name{"cbeebies.example", "phonics.example"}, Block: []string{config.Gaming}, Internet: true},
		{Name: "consoles", Internet: false},
	}
	if edit != nil {
		edit(cfg)
	}
	p, err := Compile(cfg, set, listsOfWorld, feedOf(t, "illegal.example", "mixed.example", "https://images.example/page"))
	if err != nil {
		t.Fatal(err)
	}
	return p, world{cfg, set}
}

// feedOf seals a list of the illegal tier.
func feedOf(t testing.TB, lines ...string) *sealed.Set {
	t.Helper()
	k := sealed.NewKey()
	l, err := sealed.Seal(strings.NewReader(strings.Join(lines, "\n")), k)
	if err != nil {
		t.Fatal(err)
	}
	l.Name = "feed"
	s, err := sealed.NewSet(k, l)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const (
	children = iota
	staff
	nursery
	consoles
)

// noon is a Wednesday in term.
var noon = time.Date(2026, time.September, 16, 12, 0, 0, 0, time.UTC)

func decide(t testing.TB, p *Policy, w world, group uint8, name string, now time.Time) query.Verdict {
	t.Helper()
	var n domain.Wire
	if err := n.SetName(domain.MustParse(name)); err != nil {
		t.Fatal(err)
	}
	key := blocklist.KeyOf(&n)
	return p.Decide(now, group, &key, w.set.LookupKey(&key))
}

func block(rule query.Rule, category, list string) query.Verdict {
	return query.Verdict{Action: query.Block, Rule: rule, Category: category, List: list}
}

func TestPrecedence(t *testing.T) {
	own := func(c *config.Config) {
		c.Policy.Block = []domain.Name{"blocked.example", "contested.example"}
		c.Policy.Allow = []domain.Name{"phonics.example", "contested.example", "illegal.example", "mixed.example"}
		c.Groups[children].Allow = []domain.Name{"ok.games.example", "illegal.example"}
		c.Groups[staff].Deny = []domain.Name{"staffroom.example"}
		c.Groups[nursery].Approved = append(c.Groups[nursery].Approved, "illegal.example", "both.example")
	}
	refused := query.Verdict{Action: query.Block, Rule: query.OwnBlock}
	allowed := query.Verdict{Rule: query.OwnAllow}
	for _, tt := range []struct {
		what  string
		group uint8
		name  string
		want  query.Verdict
	}{
		{"1: the illegal tier, whoever asks and whatever allows it", children, "illegal.example", block(query.Illegal, config.IllegalTier, "feed")},
		{"1: for staff", staff, "www.illegal.example", block(query.Illegal, config.IllegalTier, "feed")},
		{"1: though approved", nursery, "illegal.example", block(query.Illegal, config.IllegalTier, "feed")},
		{"1: before a group without internet", consoles, "illegal.example", block(query.Illegal, config.IllegalTier, "feed")},
		{"1: before a category of the same name", children, "mixed.example", block(query.Illegal, config.IllegalTier, "feed")},
		{"2: a group without internet", consoles, "school.example", query.Verdict{Action: query.Block, Rule: query.Stopped}},
		{"3: the setting's block list", staff, "www.blocked.example", refused},
		{"3: before its allow list", staff, "contested.example", refused},
		{"3: a group's deny list", staff, "staffroom.example", refused},
		{"3: of that group alone", children, "staffroom.example", query.Verdict{}},
		{"4: the setting's allow list before categories", children, "www.phonics.example", allowed},
		{"4: a group's", children, "ok.games.example", allowed},
		{"4: and not the name above", children, "games.example", block(query.Category, config.Gaming, "games")},
		{"5: approved", nursery, "www.cbeebies.example", query.Verdict{Rule: query.Approved}},
		{"5: not approved", nursery, "school.example", query.Verdict{Action: query.Block, Rule: query.Approved}},
		{"5: an approved name outranks categories", nursery, "both.example", query.Verdict{Rule: query.Approved}},
		{"7: a category", children, "www.adult.example", block(query.Category, config.Pornography, "adult")},
		{"7: the gravest of two", children, "both.example", block(query.Category, config.Pornography, "adult")},
		{"7: a category of the school's own", children, "dating.example", block(query.Category, "dating", "own-category")},
		{"7: not refused to this group", staff, "games.example", query.Verdict{}},
		{"8: a canary", staff, "use-application-dns.net", block(query.Bypass, "", "firefox-doh")},
		{"8: below resolver.arpa", staff, "_dns.resolver.arpa", block(query.Bypass, "", "designated-resolvers")},
		{"8: encrypted server names", staff, "_esni.school.example", block(query.Bypass, "", "esni")},
		{"8: safe search", children, "www.google.co.uk", query.Verdict{Action: query.Rewrite, Rule: query.SafeSearch, List: "google", Target: "forcesafesearch.google.com"}},
		{"8: the exact name only", children, "mail.www.google.co.uk", query.Verdict{}},
		{"8: for who has it", staff, "www.google.co.uk", query.Verdict{Rule: query.SchoolsPack}},
		{"8: a search without a safe form", children, "www.startpage.com", query.Verdict{Action: query.Block, Rule: query.SafeSearch}},
		{"8: a side door of one that has", children, "html.duckduckgo.com", block(query.SafeSearch, "", "duckduckgo")},
		{"8: for who may", staff, "html.duckduckgo.com", query.Verdict{Rule: query.SchoolsPack}},
		{"8: youtube", children, "www.youtube.com", query.Verdict{Action: query.Rewrite, Rule: query.SafeSearch, List: YouTube, Target: youtubeStrict}},
		{"8: youtube off", staff, "www.youtube.com", query.Verdict{Rule: query.SchoolsPack}},
		{"9: all else", children, "school.example", query.Verdict{}},
		{"9: no match across a label border", children, "notgames.example", query.Verdict{}},
		{"an unknown group is the strictest", 200, "games.example", block(query.Category, config.Gaming, "games")},
	} {
		t.Run(tt.what, func(t *testing.T) {
			p, w := build(t, own)
			if diff := cmp.Diff(tt.want, decide(t, p, w, tt.group, tt.name, noon)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestStopAll(t *testing.T) {
	p, w := build(t, func(c *config.Config) { c.Policy.StopAll = true; c.Policy.Allow = []domain.Name{"school.example"} })
	for group := range uint8(3) {
		if v := decide(t, p, w, group, "school.example", noon); v.Rule != query.Stopped || !v.Blocked() {
			t.Errorf("group %d: %+v", group, v)
		}
	}
}

func TestHours(t *testing.T) {
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	day := func(d ...time.Weekday) (out []config.Weekday) {
		for _, w := range d {
			out = append(out, config.Weekday(w))
		}
		return out
	}
	p, w := build(t, func(c *config.Config) {
		c.Groups[children].Hours = []config.Hours{
			{Days: day(time.Wednesday), From: 12 * 60, To: 13 * 60, Allow: []string{config.Gaming}},
		}
		c.Groups[staff].Hours = []config.Hours{
			{Days: day(time.Friday), From: 22 * 60, To: 6 * 60, Block: []string{config.Gaming}}, // into Saturday
		}
	})
	at := func(day, hour, minute int) time.Time { // September 2026, a Tuesday is the 15th
		return time.Date(2026, time.September, day, hour, minute, 0, 0, london)
	}
	for _, tt := range []struct {
		group   uint8
		at      time.Time
		blocked bool
	}{
		{children, at(16, 11, 59), true},
		{children, at(16, 12, 0), false},
		{children, at(16, 12, 59), false},
		{children, at(16, 13, 0), true},
		{children, at(15, 12, 30), true},
		{staff, at(18, 21, 59), false},
		{staff, at(18, 22, 0), true},
		{staff, at(19, 5, 59), true},
		{staff, at(19, 6, 0), false},
		{staff, at(18, 5, 0), false}, // Friday morning belongs to Thursday
		{staff, at(19, 23, 0), false},
		// In UTC it is 21:30: the clock on the wall counts.
		{staff, time.Date(2026, time.September, 18, 21, 30, 0, 0, time.UTC), true},
	} {
		if got := decide(t, p, w, tt.group, "games.example", tt.at); got.Blocked() != tt.blocked {
			t.Errorf("group %d at %v: blocked %v, want %v", tt.group, tt.at, got.Blocked(), tt.blocked)
		}
	}
}

func TestDecideTarget(t *testing.T) {
	p, w := build(t, func(c *config.Config) {
		c.Policy.Block = []domain.Name{"blocked.example"}
		c.Policy.Allow = []domain.Name{"allowed.example"}
	})
	cloaked := func(v query.Verdict) query.Verdict { v.Cloaked = true; return v }
	for _, tt := range []struct {
		what   string
		group  uint8
		asked  query.Verdict
		target string
		want   query.Verdict
	}{
		{"a blocked category behind an innocent name", children, query.Verdict{}, "cdn.adult.example", cloaked(block(query.Category, config.Pornography, "adult"))},
		{"which this group may see", staff, query.Verdict{}, "cdn.games.example", query.Verdict{}},
		{"behind a name that a person allowed", children, query.Verdict{Rule: query.OwnAllow}, "cdn.games.example", query.Verdict{Rule: query.OwnAllow}},
		{"behind an approved name, not approved itself", nursery, query.Verdict{Rule: query.Approved}, "cdn.example", query.Verdict{Rule: query.Approved}},
		{"the illegal tier, though allowed", nursery, query.Verdict{Rule: query.OwnAllow}, "illegal.example", cloaked(block(query.Illegal, config.IllegalTier, "feed"))},
		{"the own block list, though allowed", children, query.Verdict{Rule: query.OwnAllow}, "blocked.example", cloaked(query.Verdict{Action: query.Block, Rule: query.OwnBlock})},
		{"a target that a person allowed", children, query.Verdict{}, "allowed.example", query.Verdict{}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			var n domain.Wire
			if err := n.SetName(domain.MustParse(tt.target)); err != nil {
				t.Fatal(err)
			}
			key := blocklist.KeyOf(&n)
			got := p.DecideTarget(noon, tt.group, tt.asked, &key, w.set.LookupKey(&key))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestExplainAgrees holds Explain's steps to Decide's verdict over every name, group and many times.
// TestForwardedZones: a zone that means nothing outside is answered here, whatever the groups are refused; where it is
// forwarded its names are judged as others are, but for those that have records.
func TestForwardedZones(t *testing.T) {
	here := func(c *config.Config) {
		c.Policy.Block = []domain.Name{"bad.lan"}
		c.Local.Records = []config.Record{{Name: "printer.lan", Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.10")}}}
	}
	kept, w := build(t, here)
	sent, _ := build(t, func(c *config.Config) {
		here(c)
		c.Forward = []config.Forward{{Name: "router", Zones: []config.Zone{{Name: "lan"}, {Prefix: netip.MustParsePrefix("192.168.1.0/24")}}}}
	})
	for name, want := range map[string]query.Rule{
		"bad.lan": query.OwnBlock, "nas.lan": query.Default, "7.1.168.192.in-addr.arpa": query.Default,
		"printer.lan": query.LocalName, "nas.local": query.LocalName, "7.2.168.192.in-addr.arpa": query.LocalName,
	} {
		if v := decide(t, kept, w, children, name, noon); v.Rule != query.LocalName {
			t.Errorf("%s is judged by %v", name, v.Rule)
		}
		if v := decide(t, sent, w, children, name, noon); v.Rule != want {
			t.Errorf("%s is judged by %v where lan is forwarded, want %v", name, v.Rule, want)
		}
	}
}

func TestExplainAgrees(t *testing.T) {
	p, w := build(t, func(c *config.Config) {
		c.Policy.Block = []domain.Name{"blocked.example"}
		c.Policy.Allow = []domain.Name{"phonics.example"}
		c.Groups[children].Hours = []config.Hours{{From: 9 * 60, To: 15 * 60, Allow: []string{config.Gaming}}}
	})
	names := []domain.Name{
		"games.example", "x.games.example", "adult.example", "illegal.example", "blocked.example", "phonics.example", "school.example",
		"www.google.com", "www.youtube.com", "mask.icloud.com", "www.nhs.uk", "youtube-nocookie.com", "cbeebies.example", "both.example", "_esni.school.example", "resolver.arpa",
	}
	for range 500 {
		name := names[rand.IntN(len(names))]
		group := uint8(rand.IntN(len(w.cfg.Groups)))
		now := noon.Add(time.Duration(rand.IntN(7*24*60)) * time.Minute)
		want := decide(t, p, w, group, string(name), now)
		got, steps, err := p.Explain(now, group, name, w.set)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s: %s", name, diff)
		}
		matched := 0
		for i, s := range steps {
			if s.Number != i+1 || s.Finding == "" {
				t.Errorf("%s: step %d is %+v", name, i+1, s)
			}
			if s.Matched {
				matched++
			}
		}
		if last := steps[len(steps)-1]; matched != 1 || !last.Matched {
			t.Fatalf("%s, group %d: %d steps match, the last is %+v", name, group, matched, last)
		}
	}
}

func TestExplainWithholdsIllegalEntries(t *testing.T) {
	p, w := build(t, nil)
	_, steps, err := p.Explain(noon, children, "deep.below.illegal.example", w.set)
	if err != nil {
		t.Fatal(err)
	}
	if len(steps) != 1 || len(steps[0].Lists) != 1 || steps[0].Lists[0].Name != "" || steps[0].Lists[0].List != "feed" {
		t.Errorf("steps %+v", steps)
	}
}

func TestDecideDoesNotAllocate(t *testing.T) {
	p, w := build(t, func(c *config.Config) {
		c.Groups[children].Hours = []config.Hours{{From: 9 * 60, To: 15 * 60, Allow: []string{"dating"}}}
	})
	for _, name := range []string{"games.example", "school.example", "www.google.com", "illegal.example"} {
		var n domain.Wire
		if err := n.SetName(domain.MustParse(name)); err != nil {
			t.Fatal(err)
		}
		if got := testing.AllocsPerRun(100, func() {
			key := blocklist.KeyOf(&n)
			p.Decide(noon, children, &key, w.set.LookupKey(&key))
		}); got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}

func TestTooManyGroups(t *testing.T) {
	cfg := config.Default()
	for i := range MaxGroups {
		cfg.Groups = append(cfg.Groups, config.Group{Name: fmt.Sprintf("g%d", i)})
	}
	if _, err := Compile(cfg, nil, nil, nil); err == nil {
		t.Error("accepted")
	}
}

// TestHostsOfPages: DNS sees no page, so each group says what becomes of the host, and only what is asked for counts.
func TestHostsOfPages(t *testing.T) {
	p, w := build(t, func(c *config.Config) {
		c.Policy.Allow = []domain.Name{"images.example"}
		c.Groups[staff].IllegalURLs = config.IllegalURLsBlock
		c.Groups[staff].IllegalURLsApprovedBy = "A. Lead"
		c.Groups[staff].IllegalURLsApprovedOn = config.Date{Year: 2026, Month: time.September, Day: 1}
	})
	passed := query.Verdict{Rule: query.OwnAllow, Pages: "feed"}
	if diff := cmp.Diff(passed, decide(t, p, w, children, "images.example", noon)); diff != "" {
		t.Error(diff)
	}
	over := query.Verdict{Action: query.Block, Rule: query.IllegalURL, List: "feed"}
	if diff := cmp.Diff(over, decide(t, p, w, staff, "images.example", noon)); diff != "" {
		t.Error(diff)
	}
	if got := decide(t, p, w, staff, "www.images.example", noon); got != (query.Verdict{Rule: query.OwnAllow}) {
		t.Errorf("a host below that of the page: %+v", got)
	}
	var n domain.Wire
	if err := n.SetName("images.example"); err != nil {
		t.Fatal(err)
	}
	key := blocklist.KeyOf(&n)
	if v := p.DecideTarget(noon, staff, query.Verdict{}, &key, w.set.LookupKey(&key)); v.Blocked() {
		t.Errorf("a target: %+v", v)
	}
	for group, want := range map[uint8]string{
		children: "the list feed has pages of this host; DNS does not see pages, and this group passes and counts them",
		staff:    "over-block: the list feed has pages of this host, and the whole host is refused to the group staff, as approved by A. Lead on 2026-09-01",
	} {
		_, steps, err := p.Explain(noon, group, "images.example", w.set)
		if err != nil || steps[0].Finding != want || len(steps[0].Lists) != 1 || steps[0].Lists[0].String() != "feed (illegal): pages of this host" {
			t.Errorf("group %d: %v %+v", group, err, steps[0])
		}
	}
}
