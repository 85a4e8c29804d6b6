package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"schoolgate/blocklist/domain"
	"schoolgate/config"
	"schoolgate/resolver/query"
)

func TestLookalikes(t *testing.T) {
	refused := query.Verdict{Action: query.Block, Rule: query.Lookalike, Category: config.Gaming, List: "roblox.com"}
	for _, tt := range []struct {
		what  string
		mode  config.Lookalikes
		group uint8
		name  string
		want  query.Verdict
	}{
		{"shown, not refused", config.LookalikesFlag, children, "www.rob1ox.com", query.Verdict{}},
		{"neither", config.LookalikesOff, children, "www.rob1ox.com", query.Verdict{}},
		{"refused", config.LookalikesBlock, children, "www.rob1ox.com", refused},
		{"refused in other letters", config.LookalikesBlock, children, "xn--rblox-jye.com", refused},
		{"to whom its category is", config.LookalikesBlock, staff, "www.rob1ox.com", query.Verdict{}},
		{"a category of no list", config.LookalikesBlock, children, "faceboook.com", query.Verdict{}},
		{"not what a person allowed", config.LookalikesBlock, children, "robloxx.com", query.Verdict{Rule: query.OwnAllow}},
		{"nor what looks like nothing", config.LookalikesBlock, children, "fine.example", query.Verdict{}},
		{"carried by another", config.LookalikesBlock, children, "www-rob1ox-com.turbopages.org", func() query.Verdict { v := refused; v.Wrapped = true; return v }()},
	} {
		t.Run(tt.what, func(t *testing.T) {
			p, w := build(t, func(c *config.Config) {
				c.Answers.Lookalikes = tt.mode
				c.Policy.Allow = []domain.Name{"robloxx.com"}
			})
			if diff := cmp.Diff(tt.want, decide(t, p, w, tt.group, tt.name, noon)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	p, w := build(t, func(c *config.Config) { c.Answers.Lookalikes = config.LookalikesBlock })
	v, steps, err := p.Explain(noon, children, "rob1ox.com", w.set)
	if last := steps[len(steps)-1]; err != nil || v.Rule != query.Lookalike || last.Number != 7 || !strings.Contains(last.Finding, "looks like roblox.com") {
		t.Errorf("%+v %+v, %v", v, steps, err)
	}
}
