package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"schoolgate/blocklist"
	"schoolgate/blocklist/domain"
	"schoolgate/config"
	"schoolgate/resolver/query"
)

// wronged is a school whose lists hold much that the pack holds.
func wronged(t *testing.T, edit func(*config.Config)) (*Policy, world) {
	t.Helper()
	infos := []blocklist.Info{{Name: "games"}, {Name: "bypass"}}
	b := blocklist.NewBuilder(infos, "")
	for list, names := range map[int][]string{
		0: {"phonicsplay.co.uk", "gov.uk", "cloudfront.net", "d1.cloudfront.net", "games.example"},
		1: {"apple-dns.net", "mask.icloud.com", "duckduckgo.com", "dns.google", "edge.example"},
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
		{Name: "children", Block: []string{config.Gaming, config.Circumvent}, SafeSearch: true, Internet: true},
		{Name: "nursery", AllowOnly: true, Approved: []domain.Name{"school.example"}, Internet: true},
	}
	if edit != nil {
		edit(cfg)
	}
	p, err := Compile(cfg, set, map[string]string{"games": config.Gaming, "bypass": config.Circumvent}, feedOf(t, "illegal.nhs.uk"))
	if err != nil {
		t.Fatal(err)
	}
	return p, world{cfg, set}
}

func TestSchoolsPack(t *testing.T) {
	const nursery = 1
	held := query.Verdict{Rule: query.SchoolsPack}
	for _, tt := range []struct {
		what  string
		group uint8
		name  string
		want  query.Verdict
	}{
		{"outranks a category", children, "www.phonicsplay.co.uk", held},
		{"and a list that holds all of a registry", children, "www.school.gov.uk", held},
		{"says so of names that no list holds", children, "www.nhs.uk", held},
		{"never the illegal tier", children, "www.illegal.nhs.uk", block(query.Illegal, config.IllegalTier, "feed")},
		{"never an own block list", children, "blocked.nhs.uk", query.Verdict{Action: query.Block, Rule: query.OwnBlock}},
		{"after an own allow list", children, "allowed.nhs.uk", query.Verdict{Rule: query.OwnAllow}},
		{"not for an allow-only group", nursery, "www.nhs.uk", query.Verdict{Action: query.Block, Rule: query.Approved}},
		{"does not switch safe search off", children, "duckduckgo.com", query.Verdict{Action: query.Rewrite, Rule: query.SafeSearch, List: "duckduckgo", Target: "safe.duckduckgo.com"}},
		{"nor the canaries", children, "mask-h2.icloud.com", block(query.Bypass, "", "private-relay")},
		{"a shared network's own name", children, "cloudfront.net", held},
		{"not its customers", children, "d1.cloudfront.net", block(query.Category, config.Gaming, "games")},
		{"not what the school excepts", children, "sub.bbc.co.uk", query.Verdict{}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			p, w := wronged(t, func(c *config.Config) {
				c.Policy.Block = []domain.Name{"blocked.nhs.uk"}
				c.Policy.Allow = []domain.Name{"allowed.nhs.uk"}
				c.Policy.SchoolsPackExcept = []domain.Name{"bbc.co.uk"}
			})
			if diff := cmp.Diff(tt.want, decide(t, p, w, tt.group, tt.name, noon)); diff != "" {
				t.Error(diff)
			}
		})
	}
	p, w := wronged(t, func(c *config.Config) { c.Policy.SchoolsPack = false })
	want := block(query.Category, config.Gaming, "games")
	if diff := cmp.Diff(want, decide(t, p, w, children, "phonicsplay.co.uk", noon)); diff != "" {
		t.Error("switched off: " + diff)
	}
}

func TestSchoolsPackTargets(t *testing.T) {
	p, w := wronged(t, nil)
	for _, tt := range []struct {
		what    string
		asked   query.Verdict
		target  string
		blocked bool
	}{
		{"the host that serves a name of the pack", query.Verdict{Rule: query.SchoolsPack}, "edge.example", false},
		{"iCloud behind any name", query.Verdict{}, "gateway.fe2.apple-dns.net", false},
		{"a customer of a network that serves all the world", query.Verdict{}, "d1.cloudfront.net", false},
		{"a wrong host behind an innocent name", query.Verdict{}, "edge.example", true},
		{"the illegal tier", query.Verdict{Rule: query.SchoolsPack}, "illegal.nhs.uk", true},
	} {
		var n domain.Wire
		if err := n.SetName(domain.MustParse(tt.target)); err != nil {
			t.Fatal(err)
		}
		key := blocklist.KeyOf(&n)
		if v := p.DecideTarget(noon, children, tt.asked, &key, w.set.LookupKey(&key)); v.Blocked() != tt.blocked {
			t.Errorf("%s: %+v", tt.what, v)
		}
	}
}

func TestExplainSchoolsPack(t *testing.T) {
	p, w := wronged(t, nil)
	_, steps, err := p.Explain(noon, children, "www.phonicsplay.co.uk", w.set)
	if err != nil {
		t.Fatal(err)
	}
	last := steps[len(steps)-1]
	if last.Number != 6 || !strings.Contains(last.Finding, "(teaching)") || len(last.Lists) != 1 || last.Lists[0].List != "games" {
		t.Errorf("%+v", last)
	}
	_, steps, err = p.Explain(noon, children, "duckduckgo.com", w.set)
	if err != nil {
		t.Fatal(err)
	}
	if s := steps[5]; s.Matched || !strings.Contains(s.Finding, "(infrastructure)") || len(steps) != 8 {
		t.Errorf("%+v", steps)
	}
}
