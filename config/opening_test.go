package config

import (
	"testing"

	"schoolgate/blocklist/domain"
)

func TestOpens(t *testing.T) {
	for _, tt := range []struct {
		what  string
		by    func(*Config)
		there bool // it opens
		back  bool // so does undoing it
	}{
		{"nothing", func(*Config) {}, false, false},
		{"another cache", func(c *Config) { c.Cache.Size = 1 << 20 }, false, false},
		{"a name is allowed", func(c *Config) { c.Policy.Allow = append(c.Policy.Allow, "x.example") }, true, false},
		{"a name is blocked", func(c *Config) { c.Policy.Block = append(c.Policy.Block, "x.example") }, false, true},
		{"all is stopped", func(c *Config) { c.Policy.StopAll = true }, false, true},
		{"another default group", func(c *Config) { c.Policy.DefaultGroup = "staff" }, true, true},
		{"a category less", func(c *Config) { c.Groups[0].Block = c.Groups[0].Block[1:] }, true, false},
		{"no safe search", func(c *Config) { c.Groups[0].SafeSearch = false }, true, false},
		{"all of YouTube", func(c *Config) { c.Groups[0].YouTube = YouTubeOff }, true, false},
		{"no internet", func(c *Config) { c.Groups[0].Internet = false }, false, true},
		{"approved names alone", func(c *Config) { c.Groups[0].AllowOnly = true }, false, true},
		{"a name is denied", func(c *Config) { c.Groups[0].Deny = []domain.Name{"x.example", "c.example"} }, false, true},
		{"a service is let through", func(c *Config) { c.Groups[0].AllowServices = append(c.Groups[0].AllowServices, "x") }, true, false},
		{"a service is blocked", func(c *Config) { c.Groups[0].BlockServices = append(c.Groups[0].BlockServices, "y") }, false, true},
		{"hosts of illegal pages are refused", func(c *Config) { c.Groups[0].IllegalURLs = IllegalURLsBlock }, false, true},
		{"other hours", func(c *Config) { c.Groups[0].Hours = nil }, true, true},
		{"no starter lists", func(c *Config) { c.Update.Starter = false }, true, false},
		{"no service catalogue", func(c *Config) { c.Update.Catalogue = false }, true, false},
		{"a service is allowed", func(c *Config) { c.Groups[0].AllowServices = []string{"whatsapp"} }, true, false},
		{"a service is blocked", func(c *Config) { c.Groups[0].BlockServices = []string{"youtube"} }, false, true},
		{"a list less", func(c *Config) { c.Lists = c.Lists[:1] }, true, false},
		{"a list of another category", func(c *Config) { c.Lists[0].Category = Gaming }, true, true},
		{"names that look like blocked ones are refused", func(c *Config) { c.Answers.Lookalikes = LookalikesBlock }, false, true},
		{"names may lead into the network", func(c *Config) { c.Answers.Private = []domain.Name{"x.example"} }, true, false},
		{"a target is exempt", func(c *Config) { c.Answers.ExemptTargets = []domain.Name{"x.example"} }, true, false},
		{"a target is not exempt", func(c *Config) { c.Answers.ExemptTargetsExcept = []domain.Name{"x.example"} }, false, true},
		{"no keys that hide names", func(c *Config) { c.Answers.ECH = ECHStrip }, false, false},
		{"another provider", func(c *Config) { c.Upstream.Preset, c.Upstream.Servers = "opendns", nil }, true, true},
		{"no provider that filters", func(c *Config) { c.Upstream.Servers = c.Forward[0].Servers }, true, false},
		{"a server more of the same provider", func(c *Config) { c.Upstream.Servers = c.Upstream.Servers[:1] }, false, false},
		{"a group less", func(c *Config) { c.Groups = c.Groups[:2] }, true, true},
		{"no schools pack", func(c *Config) { c.Policy.SchoolsPack = !c.Policy.SchoolsPack }, !Default().Policy.SchoolsPack, Default().Policy.SchoolsPack},
	} {
		old, next := full(), full()
		tt.by(next)
		if got := Opens(old, next); got != tt.there {
			t.Errorf("%s: opens %v, want %v", tt.what, got, tt.there)
		}
		if got := Opens(next, old); got != tt.back {
			t.Errorf("undoing %s: opens %v, want %v", tt.what, got, tt.back)
		}
	}
}
