package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/idna"
	"pgregory.net/rapid"

	"schoolgate/blocklist"
	"schoolgate/blocklist/domain"
	"schoolgate/config"
	"schoolgate/resolver/query"
)

func carriedBy(t testing.TB, p *Policy, name string) []domain.Name {
	t.Helper()
	var w domain.Wire
	if err := w.SetName(domain.Name(name)); err != nil {
		t.Fatalf("%q: %v", name, err)
	}
	names, _ := p.carriedNames(&w)
	return names
}

func TestUnwrap(t *testing.T) {
	p, _ := build(t, nil)
	for name, want := range map[string][]domain.Name{
		"example-com.translate.goog":                                              {"example.com"},
		"www-my--site-co-uk.translate.goog":                                       {"www.my-site.co.uk"},
		"0-bcher--kva-example.translate.goog":                                     {"xn--bcher-kva.example", "0.bcher-kva.example"},
		"1-0-example-com.translate.goog":                                          {"xn--example.com", "1.0.example.com"},
		"0--9-example.translate.goog":                                             {"0-9.example"},
		"www-xn----bcher--kva-example.translate.goog":                             {"www.xn--bcher-kva.example"},
		"ru-long-example-com.translate.goog":                                      {"ru.long.example.com"}, // its beginning is in the address, not in the name
		"x.example-com.translate.goog":                                            {"example.com"},
		"www-example-com.cdn.ampproject.org":                                      {"www.example.com"},
		"my--site-example.www.bing-amp.com":                                       {"my-site.example"},
		"0-en--us-example-com-0.cdn.ampproject.org":                               {"en-us.example.com", "0.en-us.example.com.0"},
		"xn---com-p33b41770a.cdn.ampproject.org":                                  {"xn--57hw060o.com"}, // ⚡😊.com, the example of its documentation
		"a6h5moukddengbsjm77rvbosevwuduec2blkjva4223o4bgafgla.cdn.ampproject.org": nil,                  // a hash
		"lenta-example.turbopages.org":                                            {"lenta.example"},
		"en-wikipedia--on--ipfs-example.ipns.dweb.link":                           {"en.wikipedia-on-ipfs.example"},
		"abc.onion.ly":                              {"abc.onion"},
		"www.abc.onion.ly":                          {"www.abc.onion"},
		"www-jstor-org.ezproxy.library.example":     {"www.jstor.org"},
		"www.somedb.com.ezproxy.library.example":    {"www.somedb.com"},
		"www-jstor-org.libproxy.library.example":    {"www.jstor.org"},
		"www-jstor-org.college.idm.oclc.org":        {"www.jstor.org"},
		"referenceusa.com.us1.proxy.openathens.net": {"referenceusa.com"},
		"college.idm.oclc.org":                      nil,
		"login.ezproxy.library.example":             nil,
		"ezproxy.library.example":                   nil,
		"translate.goog":                            nil,
		"www.translate.goog":                        nil,
		"-example-com.translate.goog":               nil,
		"example-com-.translate.goog":               nil,
		"example-com.translate.google.com":          nil,
		"example-com.nottranslate.goog":             nil,
	} {
		if diff := cmp.Diff(want, carriedBy(t, p, name)); diff != "" {
			t.Errorf("%s: (-want +got):\n%s", name, diff)
		}
	}
}

func TestWrappedPrecedence(t *testing.T) {
	p, w := build(t, func(c *config.Config) {
		c.Policy.Allow = []domain.Name{"turbopages.org", "games-example.cdn.ampproject.org"}
		c.Policy.Block = []domain.Name{"own.example", "bad-fine-example.translate.goog"}
		c.Groups[nursery].Approved = append(c.Groups[nursery].Approved, "translate.goog")
	})
	wrapped := func(v query.Verdict) query.Verdict { v.Wrapped = true; return v }
	games := wrapped(block(query.Category, config.Gaming, "games"))
	refused := query.Verdict{Action: query.Block, Rule: query.OwnBlock}
	for _, tt := range []struct {
		what  string
		group uint8
		name  string
		want  query.Verdict
	}{
		{"a game", children, "www-games-example.translate.goog", games},
		{"for who may", staff, "www-games-example.translate.goog", query.Verdict{}},
		{"an innocent site", children, "www-fine-example.translate.goog", query.Verdict{}},
		{"the illegal tier", staff, "illegal-example.translate.goog", wrapped(block(query.Illegal, config.IllegalTier, "feed"))},
		{"the illegal tier without internet", consoles, "illegal-example.translate.goog", wrapped(block(query.Illegal, config.IllegalTier, "feed"))},
		{"no internet", consoles, "fine-example.translate.goog", query.Verdict{Action: query.Block, Rule: query.Stopped}},
		{"an own block", staff, "own-example.translate.goog", wrapped(refused)},
		{"an own block of the wrapped name alone", staff, "bad-fine-example.translate.goog", refused},
		{"an allowed service opens nothing", children, "games-example.turbopages.org", games},
		{"nor a search without its safe form", children, "www-google-com.turbopages.org", wrapped(query.Verdict{Action: query.Block, Rule: query.SafeSearch, List: config.Engines()[0]})},
		{"one page that a person allowed by name", children, "games-example.cdn.ampproject.org", query.Verdict{Rule: query.OwnAllow}},
		{"and no other", children, "both-example.cdn.ampproject.org", wrapped(block(query.Category, config.Pornography, "adult"))},
		{"an approved service opens what is approved", nursery, "phonics-example.translate.goog", query.Verdict{Rule: query.Approved}},
		{"and nothing else", nursery, "fine-example.translate.goog", wrapped(query.Verdict{Action: query.Block, Rule: query.Approved})},
		{"a page of the illegal tier is counted", staff, "images-example.translate.goog", query.Verdict{Pages: "feed"}},
		{"wrapped twice", children, "games--example-translate-goog.cdn.ampproject.org", games},
		{"wrapped twice the other way about", children, "both--example-cdn-ampproject-org.translate.goog", wrapped(block(query.Category, config.Pornography, "adult"))},
	} {
		t.Run(tt.what, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, decide(t, p, w, tt.group, tt.name, noon)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestExplainWrapped(t *testing.T) {
	p, w := build(t, nil)
	v, steps, err := p.Explain(noon, children, "www-games-example.translate.goog", w.set)
	if err != nil {
		t.Fatal(err)
	}
	last := steps[len(steps)-1]
	if !v.Wrapped || steps[0].Number != 0 || !strings.Contains(steps[0].Finding, "translate.goog shows the pages of www.games.example") ||
		last.Number != 7 || !last.Matched || len(last.Lists) != 1 || last.Lists[0].Name != "games.example" {
		t.Errorf("%+v %+v", v, steps)
	}
	_, steps, err = p.Explain(noon, children, "www-fine-example.translate.goog", w.set)
	if err != nil || steps[0].Number != 0 || len(steps) != 10 || !strings.Contains(steps[0].Finding, "both are judged") {
		t.Errorf("%+v, %v", steps, err)
	}
	_, steps, _ = p.Explain(noon, staff, "illegal-example.translate.goog", w.set)
	if last := steps[len(steps)-1]; last.Number != 1 || len(last.Lists) != 1 || last.Lists[0].Name != "" {
		t.Errorf("%+v", steps)
	}
	if p.ExemptTarget("games.example") || !p.ExemptTarget("x.akadns.net") || p.ExemptTarget("doh.dns.apple.com.v.aaplimg.com") {
		t.Error("exempt targets are not what they should be")
	}
}

func TestExemptTargets(t *testing.T) {
	for what, edit := range map[string]func(*config.Config){
		"more": func(c *config.Config) { c.Answers.ExemptTargets = []domain.Name{"games.example"} },
		"less": func(c *config.Config) {
			c.Answers.ExemptTargets = []domain.Name{"games.example"}
			c.Answers.ExemptTargetsExcept = []domain.Name{"www.games.example"}
		},
	} {
		p, w := build(t, edit)
		var n domain.Wire
		if err := n.SetName("www.games.example"); err != nil {
			t.Fatal(err)
		}
		key := blocklist.KeyOf(&n)
		if v := p.DecideTarget(noon, children, query.Verdict{}, &key, w.set.LookupKey(&key)); v.Blocked() != (what == "less") {
			t.Errorf("%s: %+v", what, v)
		}
	}
}

// hosts are names as sites have them.
var hosts = rapid.Custom(func(t *rapid.T) string {
	labels := rapid.SliceOfN(rapid.StringMatching(`[a-z0-9]([a-z0-9_]|[a-z0-9_]-[a-z0-9_]){0,5}`), 2, 5).Draw(t, "labels")
	return strings.Join(labels, ".")
})

// wrap is the way of the services, the other way round.
func wrap(host string) string {
	return strings.ReplaceAll(strings.ReplaceAll(host, "-", "--"), ".", "-")
}

// TestWrapUnwrap: what was wrapped comes out again, in one of the readings.
func TestWrapUnwrap(t *testing.T) {
	p, _ := build(t, nil)
	rapid.Check(t, func(t *rapid.T) {
		host := hosts.Draw(t, "host")
		label := wrap(host)
		suffix := rapid.SampledFrom([]string{"translate.goog", "turbopages.org", "cdn.ampproject.org", "ipns.dweb.link", "ezproxy.library.example", "x.idm.oclc.org"}).Draw(t, "suffix")
		if suffix == "cdn.ampproject.org" && len(label) > 3 && label[2:4] == "--" {
			label = "0-" + label + "-0"
		}
		if len(label) > domain.MaxLabel || strings.HasPrefix(label, "xn--") {
			t.Skip("the services do otherwise")
		}
		var w domain.Wire
		if err := w.SetName(domain.Name(label + "." + suffix)); err != nil {
			t.Fatal(err)
		}
		names, service := p.carriedNames(&w)
		found := false
		for _, n := range names {
			found = found || string(n) == host
		}
		if !found || !strings.HasSuffix(suffix, string(service)) && service != domain.Name(suffix) {
			t.Fatalf("%s.%s carries %q of %s, want %s", label, suffix, names, service, host)
		}
	})
}

// TestInternationalCached: names of other scripts come out of their one label.
func TestInternationalCached(t *testing.T) {
	p, _ := build(t, nil)
	for _, host := range []string{"bücher.example", "www.中文.example", "пример.бел"} {
		text := wrap(host)
		if text[2:4] == "--" {
			text = "0-" + text + "-0"
		}
		label, err := idna.Punycode.ToASCII(text)
		if err != nil {
			t.Fatal(err)
		}
		want := domain.MustParse(host)
		if got := carriedBy(t, p, label+".cdn.ampproject.org"); len(got) == 0 || got[0] != want {
			t.Errorf("%s (%s): %q, want %s", host, label, got, want)
		}
	}
}

// FuzzUnwrap: whatever a name is, what it carries is a name, shorter in labels than both, and judging it ends.
func FuzzUnwrap(f *testing.F) {
	for _, s := range []string{"example-com.translate.goog", "1-0-a--b-c.translate.goog", "xn---com-p33b41770a.cdn.ampproject.org", "0-a-0.www.bing-amp.com", "a.ezproxy.b.ezproxy.c", "x.onion.ly", "a.b.idm.oclc.org"} {
		var w domain.Wire
		if err := w.SetName(domain.Name(s)); err != nil {
			f.Fatal(err)
		}
		f.Add(w.Bytes())
	}
	p, world := build(f, nil)
	f.Fuzz(func(t *testing.T, msg []byte) {
		var w, inner domain.Wire
		if _, err := w.Read(msg, 0); err != nil {
			return
		}
		for n := range readings {
			at, ok := p.unwrap(&w, n, &inner)
			if !ok {
				continue
			}
			if at < 1 || at >= w.Labels() || inner.Labels() < 2 {
				t.Errorf("%s carries %s at %d", w.Name(), inner.Name(), at)
			}
			var again domain.Wire
			if err := again.SetName(inner.Name()); err != nil || string(again.Bytes()) != string(inner.Bytes()) {
				t.Errorf("%s carries %q, which is no name: %v", w.Name(), inner.Name(), err)
			}
		}
		key := blocklist.KeyOf(&w)
		p.Decide(noon, children, &key, world.set.LookupKey(&key))
	})
}

// BenchmarkDecide is rules 1 to 9 for a name that none of them knows.
func BenchmarkDecide(b *testing.B) {
	p, w := build(b, nil)
	for what, name := range map[string]string{"plain": "www.fine.example.com", "wrapped": "www-fine-example-com.translate.goog"} {
		b.Run(what, func(b *testing.B) {
			var n domain.Wire
			if err := n.SetName(domain.Name(name)); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				key := blocklist.KeyOf(&n)
				p.Decide(noon, children, &key, w.set.LookupKey(&key))
			}
		})
	}
}
