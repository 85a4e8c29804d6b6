package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"schoolgate/blocklist"
	"schoolgate/blocklist/domain"
	"schoolgate/config"
	"schoolgate/resolver/query"
)

func TestServices(t *testing.T) {
	b := blocklist.NewBuilder([]blocklist.Info{{Name: "social"}}, "")
	for list, names := range map[int][]domain.Name{0: {"whatsapp.com", "whatsapp.net", "tiktok.com"}} {
		for _, n := range names {
			if err := b.Add(list, blocklist.Rule{Name: n}); err != nil {
				t.Fatal(err)
			}
		}
	}
	set, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	social := []string{config.SocialMedia}
	cfg.Policy.Block = []domain.Name{"bad.whatsapp.com"}
	cfg.Groups = []config.Group{
		{Name: "children", Block: social, AllowServices: []string{"whatsapp"}, BlockServices: []string{"youtube"}, Internet: true},
		{Name: "staff", Block: social, Internet: true},
	}
	p, err := Compile(cfg, set, map[string]string{"social": config.SocialMedia}, feedOf(t, "illegal.whatsapp.com"))
	if err != nil {
		t.Fatal(err)
	}
	refused := query.Verdict{Action: query.Block, Rule: query.OwnBlock}
	for _, tt := range []struct {
		group uint8
		name  string
		want  query.Verdict
	}{
		{children, "web.whatsapp.com", query.Verdict{Rule: query.OwnAllow}},
		{children, "mmg.whatsapp.net", query.Verdict{Rule: query.OwnAllow}},
		{children, "tiktok.com", block(query.Category, config.SocialMedia, "social")}, // the category holds for all others
		{children, "bad.whatsapp.com", refused},
		{children, "illegal.whatsapp.com", block(query.Illegal, config.IllegalTier, "feed")},
		{children, "i.ytimg.com", refused}, // though the schools pack holds it
		{staff, "i.ytimg.com", query.Verdict{Rule: query.SchoolsPack}},
		{staff, "web.whatsapp.com", block(query.Category, config.SocialMedia, "social")},
	} {
		if diff := cmp.Diff(tt.want, decide(t, p, world{cfg, set}, tt.group, tt.name, noon)); diff != "" {
			t.Errorf("group %d, %s: %s", tt.group, tt.name, diff)
		}
	}
}
