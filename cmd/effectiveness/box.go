package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"schoolgate/blocklist"
	"schoolgate/blocklist/domain"
	"schoolgate/blocklist/starter"
	"schoolgate/blocklist/update"
	"schoolgate/config"
	"schoolgate/resolver/policy"
	"schoolgate/resolver/query"
)

// standIn is a file of the test data that holds what an address serves, or part of it.
type standIn struct {
	file string
	note string // what it lacks; "" when it is the same list
}

// standIns, by address. An address without one is left out and told.
var standIns = map[string]standIn{
	"https://nsfw.oisd.nl/": {"adult/oisd-nsfw-small.abp.txt.zst", "the small edition"},
	"https://raw.githubusercontent.com/hagezi/dns-blocklists/main/adblock/nsfw.txt":                 {"adult/hagezi-nsfw.adblock.txt.zst", ""},
	"https://raw.githubusercontent.com/ShadowWhisperer/BlockLists/master/Lists/Adult":               {"adult/shadowwhisperer-adult.domains.txt.zst", ""},
	"https://raw.githubusercontent.com/Sinfonietta/hostfiles/master/pornography-hosts":              {"adult/sinfonietta-pornography.hosts.txt.zst", ""},
	"https://raw.githubusercontent.com/hagezi/dns-blocklists/main/adblock/social.txt":               {"social/hagezi-social.adblock.txt", ""},
	"https://raw.githubusercontent.com/hagezi/dns-blocklists/main/adblock/gambling.txt":             {"gambling/hagezi-gambling.adblock.txt.zst", ""},
	"https://raw.githubusercontent.com/hagezi/dns-blocklists/main/adblock/nosafesearch.txt":         {"bypass/hagezi-nosafesearch.adblock.txt", ""},
	"https://raw.githubusercontent.com/hagezi/dns-blocklists/main/adblock/doh-vpn-proxy-bypass.txt": {"bypass/hagezi-doh-vpn-proxy-bypass.onlydomains.txt.zst", "the same names in another form"},
	"https://raw.githubusercontent.com/dibdot/DoH-IP-blocklists/master/doh-domains.txt":             {"bypass/dibdot-doh-domains.txt", ""},
	"https://raw.githubusercontent.com/ShadowWhisperer/BlockLists/master/Lists/Dating":              {"misc/shadowwhisperer-dating.domains.txt", ""},
	"https://dsi.ut-capitole.fr/blacklists/download/agressif.tar.gz":                                {ut1, ""},
	"https://dsi.ut-capitole.fr/blacklists/download/games.tar.gz":                                   {ut1, ""},
	"https://dsi.ut-capitole.fr/blacklists/download/social_networks.tar.gz":                         {ut1, ""},
	"https://dsi.ut-capitole.fr/blacklists/download/gambling.tar.gz":                                {ut1, ""},
}

const ut1 = "ut1/ut1-blacklists-subset.tar.gz" // without the names of adult, malware and phishing

// box is a compiled configuration that can be asked.
type box struct {
	set     *blocklist.Set
	policy  *policy.Policy
	group   uint8
	builtIn blocklist.Mask // lists that come with the program
	at      time.Time
	sources []source
}

// source is what became of one list of the configuration.
type source struct {
	list, category, file, note string
	rules                      int
}

// compile makes the sets and the policy of a configuration as an appliance does, with files for addresses.
func compile(ctx context.Context, file, data, group, dir string) (*box, error) {
	text, err := config.ReadFile(file)
	if err != nil {
		return nil, err
	}
	cfg, problems := config.Check(text, file)
	if problems.Refused() {
		return nil, fmt.Errorf("%s is refused:\n%w", file, problems)
	}
	b := &box{at: time.Date(2026, time.November, 18, 10, 30, 0, 0, cfg.Location())} // a Wednesday in term
	i := slices.IndexFunc(cfg.Groups, func(g config.Group) bool { return g.Name == group })
	if i < 0 {
		return nil, fmt.Errorf("%s has no group %q", file, group)
	}
	b.group = uint8(i)
	lists := b.locate(cfg.Lists, filepath.Join(data, "lists"))
	plan := update.Plan{Dir: dir, Lists: lists, Starter: cfg.Update.Starter, Catalogue: cfg.Update.Catalogue}
	report, err := update.Compile(ctx, plan, time.Now())
	if err != nil {
		return nil, fmt.Errorf("compiling lists: %w", err)
	}
	for _, l := range report.Lists {
		if l.Err != nil {
			return nil, fmt.Errorf("list %q: %w", l.Name, l.Err)
		}
		for k := range b.sources {
			if b.sources[k].list == l.Name {
				b.sources[k].rules = l.Rules
			}
		}
	}
	if b.set, err = blocklist.Open(filepath.Join(dir, "current.set")); err != nil {
		return nil, err
	}
	categories := update.Categories(lists)
	if b.policy, err = policy.Compile(cfg, b.set, categories, nil); err != nil {
		return nil, err
	}
	for bit, l := range b.set.Lists() {
		if c := categories[l.Name]; starter.Name(c) == l.Name {
			b.builtIn.Add(bit)
			b.sources = append(b.sources, source{list: l.Name, category: c, file: "built in", rules: l.Rules})
		}
	}
	return b, nil
}

// locate puts files in the place of addresses, and leaves out lists that have none.
func (b *box) locate(lists []config.List, dir string) (out []config.List) {
	for _, l := range lists {
		s := source{list: l.Name, category: l.Category}
		in, known := standIns[l.Source]
		path := filepath.Join(dir, in.file)
		if strings.Contains(l.Source, "://") {
			if _, err := os.Stat(path); !known || err != nil {
				s.note = "MISSING here"
				b.sources = append(b.sources, s)
				continue
			}
			l.Source, s.file, s.note = path, in.file, in.note
		} else {
			s.file = l.Source
		}
		if strings.Contains(in.file, "onlydomains") {
			l.Format = config.FormatDomains
		}
		l.Mirrors, l.MinisignKey, l.Signature = nil, "", ""
		b.sources = append(b.sources, s)
		out = append(out, l)
	}
	return out
}

// finding is the policy's word on a name, and which lists hold it.
type finding struct {
	query.Verdict
	published, builtIn bool // lists of that kind hold the name
}

// ask judges a name as for a query of the group.
func (b *box) ask(name domain.Name) (finding, error) {
	var w domain.Wire
	if err := w.SetName(name); err != nil {
		return finding{}, err
	}
	key := blocklist.KeyOf(&w)
	hits := b.set.LookupKey(&key)
	return finding{
		Verdict:   b.policy.Decide(b.at, b.group, &key, hits),
		published: !hits.Without(b.builtIn).Empty(), builtIn: !hits.And(b.builtIn).Empty(),
	}, nil
}
