// Package policy says what a name means for one client at one time: the precedence of rules, compiled from the
// configuration into masks over the bits of a blocklist.Set.
package policy

import (
	"fmt"
	"iter"
	"math/bits"
	"slices"
	"time"

	"schoolgate/blocklist"
	"schoolgate/blocklist/catalogue"
	"schoolgate/blocklist/domain"
	"schoolgate/blocklist/lookalike"
	"schoolgate/blocklist/pack"
	"schoolgate/blocklist/sealed"
	"schoolgate/config"
	"schoolgate/resolver/local"
	"schoolgate/resolver/query"
)

// Policy is one immutable reading of the configuration against one Set of lists. Its methods may be called
// concurrently and do not allocate, Explain apart, and but for names that carry an internationalised one.
type Policy struct {
	set     *blocklist.Set
	tier    *sealed.Set // the illegal tier
	stopAll bool
	groups  []group
	lists   []listed                  // by bit
	alike   map[string]blocklist.Mask // the lists of each category, when names that look like one of it are refused; else nil
	loc     *time.Location

	own      *blocklist.Set // the setting's and the groups' own names, the schools pack, canaries and safe-search names, and so on: see the own bits
	rewrites map[string]*rewrite
	wrappers map[string]wrapper
	names    *local.Names
	esni     bool // questions for encrypted server names are refused
}

// group is what one group refuses, as masks over the lists' bits.
type group struct {
	name      string
	stopped   bool // no internet
	allowOnly bool
	youtube   config.YouTube
	base      blocklist.Mask
	hours     []window
	deny      int // own bits
	allow     int
	approved  int
	answer    config.Answer

	searchSafe bool   // engines in their safe form only,
	except     uint16 // but for these of config.Engines

	wholeHost  bool   // hosts with pages of the illegal tier are refused
	approvedBy string // who took that on, and when
}

// window changes a group's blocked lists in some minutes of the week.
type window struct {
	days     [7]bool // on which it begins
	from, to int     // minutes after midnight; to ≤ from: until to on the next day
	block    blocklist.Mask
	allow    blocklist.Mask
}

// listed is what a bit of the Set stands for. Strings are what verdicts share.
type listed struct {
	name     string
	category string
	rank     int // gravest first
}

// The first bits of own; each group adds three.
const (
	ownBlock = iota
	ownAllow
	ownSpecial // canaries and safe-search names: rewrites or the label rules say more
	ownPack    // the schools pack
	ownTarget  // content networks and load balancers, that category lists do not refuse as targets
	ownLocal   // names of this network: names says more
	ownForward // zones that are asked of servers of their own
	ownWrapper // what names that carry others end in: wrappers says how
	ownGroups
)

// MaxGroups is how many groups a policy can tell apart: three own bits each.
const MaxGroups = (blocklist.MaxLists - ownGroups) / 3

// Compile reads cfg against a Set, with whose bits the verdicts will be asked for, and against the illegal tier,
// nil when there is none. categories gives the category of each list of the Set by its name; a list that it does not hold
// blocks nobody. The configuration must have been validated.
func Compile(cfg *config.Config, set *blocklist.Set, categories map[string]string, tier *sealed.Set) (*Policy, error) {
	if len(cfg.Groups) > MaxGroups {
		return nil, fmt.Errorf("%d groups: at most %d can be told apart", len(cfg.Groups), MaxGroups)
	}
	p := &Policy{set: set, tier: tier, stopAll: cfg.Policy.StopAll, loc: cfg.Location(), esni: cfg.Signals.ESNI}
	byCategory := map[string]blocklist.Mask{}
	for i, l := range set.Lists() {
		c := categories[l.Name]
		p.lists = append(p.lists, listed{name: l.Name, category: c, rank: config.Gravity(c)})
		if c != "" {
			m := byCategory[c]
			m.Add(i)
			byCategory[c] = m
		}
	}
	if cfg.Answers.Lookalikes == config.LookalikesBlock {
		p.alike = byCategory
	}
	for i, g := range cfg.Groups {
		p.groups = append(p.groups, compileGroup(g, byCategory, ownGroups+3*i))
	}
	return p, p.compileOwn(cfg, set)
}

func compileGroup(g config.Group, byCategory map[string]blocklist.Mask, bit int) group {
	union := func(categories []string) (m blocklist.Mask) {
		for _, c := range categories {
			m = m.Or(byCategory[c])
		}
		return m
	}
	out := group{
		name: g.Name, stopped: !g.Internet, allowOnly: g.AllowOnly, searchSafe: g.SafeSearch, youtube: g.YouTube,
		base: union(g.Block), deny: bit, allow: bit + 1, approved: bit + 2, answer: g.Answer,
		wholeHost: g.IllegalURLs == config.IllegalURLsBlock, approvedBy: g.IllegalURLsApprovedBy + " on " + g.IllegalURLsApprovedOn.String(),
	}
	for _, e := range g.SafeSearchExcept {
		if i := slices.Index(config.Engines(), e); i >= 0 {
			out.except |= 1 << i
		}
	}
	for _, h := range g.Hours {
		w := window{from: int(h.From), to: int(h.To), block: union(h.Block), allow: union(h.Allow)}
		for d := range w.days {
			w.days[d] = len(h.Days) == 0
		}
		for _, d := range h.Days {
			w.days[time.Weekday(d)] = true
		}
		out.hours = append(out.hours, w)
	}
	return out
}

// compileOwn builds the small Set of names that the configuration itself holds. It hashes names as set does, which every
// query asks too.
func (p *Policy) compileOwn(cfg *config.Config, set *blocklist.Set) error {
	infos := []blocklist.Info{{Name: "setting block"}, {Name: "setting allow"}, {Name: "special"}, {Name: "schools pack"}, {Name: "targets"}, {Name: "local"}, {Name: "forwarded"}, {Name: "wrappers"}}
	for _, g := range cfg.Groups {
		infos = append(infos, blocklist.Info{Name: g.Name + " deny"}, blocklist.Info{Name: g.Name + " allow"}, blocklist.Info{Name: g.Name + " approved"})
	}
	b := blocklist.NewBuilder(infos, "").HashAs(set)
	add := func(bit int, names []domain.Name) error {
		for _, n := range names {
			if err := b.Add(bit, blocklist.Rule{Name: n}); err != nil {
				return fmt.Errorf("own name %q: %w", n, err)
			}
		}
		return nil
	}
	for bit, names := range map[int][]domain.Name{ownBlock: cfg.Policy.Block, ownAllow: cfg.Policy.Allow} {
		if err := add(bit, names); err != nil {
			return err
		}
	}
	for i, g := range cfg.Groups {
		deny, allow := slices.Concat(g.Deny, services(g.BlockServices)), slices.Concat(g.Allow, services(g.AllowServices))
		for k, names := range [][]domain.Name{deny, allow, g.Approved} {
			if err := add(p.groups[i].deny+k, names); err != nil {
				return err
			}
		}
	}
	for r := range packed(&cfg.Policy) {
		if err := b.Add(ownPack, r); err != nil {
			return fmt.Errorf("name %q of the schools pack: %w", r.Name, err)
		}
	}
	for r := range targets(&cfg.Answers) {
		if err := b.Add(ownTarget, r); err != nil {
			return fmt.Errorf("target %q: %w", r.Name, err)
		}
	}
	if err := p.compileWrappers(b); err != nil {
		return err
	}
	if err := p.compileLocal(cfg, b); err != nil {
		return err
	}
	for _, f := range cfg.Forward {
		for _, z := range f.Zones {
			if err := add(ownForward, z.Names()); err != nil {
				return err
			}
		}
	}
	p.rewrites = map[string]*rewrite{}
	for n, r := range specials(&cfg.Signals) {
		wire, err := n.AppendWire(nil)
		if err != nil {
			return fmt.Errorf("special name %q: %w", n, err)
		}
		p.rewrites[string(wire)] = &r
		scope := blocklist.Exact
		if r.below {
			scope = blocklist.Subtree
		}
		if err := b.Add(ownSpecial, blocklist.Rule{Name: n, Scope: scope}); err != nil {
			return fmt.Errorf("special name %q: %w", n, err)
		}
	}
	own, err := b.Build()
	if err != nil {
		return fmt.Errorf("compiling own names: %w", err)
	}
	p.own = own
	return nil
}

// compileLocal takes in the names of this network.
func (p *Policy) compileLocal(cfg *config.Config, b *blocklist.Builder) (err error) {
	if p.names, err = local.Compile(cfg); err != nil {
		return err
	}
	for _, r := range p.names.Rules() {
		rule := blocklist.Rule{Name: r.Name, Scope: blocklist.Exact}
		if r.Below {
			rule.Scope = blocklist.Subtree
		}
		if err := b.Add(ownLocal, rule); err != nil {
			return fmt.Errorf("local name %q: %w", r.Name, err)
		}
	}
	return nil
}

// services is the names of some services of the catalogue.
func services(ids []string) (names []domain.Name) {
	for _, id := range ids {
		s, _ := catalogue.Lookup(id)
		for _, d := range s.Domains {
			names = append(names, domain.Name(d))
		}
	}
	return names
}

// packed yields the rules of the schools pack that hold for the setting.
func packed(p *config.Policy) iter.Seq[blocklist.Rule] {
	return func(yield func(blocklist.Rule) bool) {
		if !p.SchoolsPack {
			return
		}
		for _, r := range pack.Rules() {
			rule := blocklist.Rule{Name: domain.Name(r.Name), Except: r.Except}
			if r.Exact {
				rule.Scope = blocklist.Exact
			}
			if !yield(rule) {
				return
			}
		}
		for _, n := range p.SchoolsPackExcept {
			if !yield(blocklist.Rule{Name: n, Except: true}) {
				return
			}
		}
	}
}

// targets yields the rules of what no category list refuses as a target.
func targets(a *config.Answers) iter.Seq[blocklist.Rule] {
	return func(yield func(blocklist.Rule) bool) {
		for _, n := range slices.Concat(pack.Targets(), textOf(a.ExemptTargets)) {
			if !yield(blocklist.Rule{Name: domain.Name(n)}) {
				return
			}
		}
		for _, r := range pack.Rules() {
			if r.Except && !yield(blocklist.Rule{Name: domain.Name(r.Name), Except: true}) {
				return
			}
		}
		for _, n := range a.ExemptTargetsExcept {
			if !yield(blocklist.Rule{Name: n, Except: true}) {
				return
			}
		}
	}
}

func textOf(names []domain.Name) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = string(n)
	}
	return out
}

// Decide says what name means for a client of the group at now; hits are the lists of the Set that hold the name. The
// first rule that matches decides:
//
//  1. the illegal tier is blocked for everyone, always; a host of which it lists single pages is blocked where the group
//     says so, and is else judged by what follows;
//  2. the stop-everything switch, and a group without internet, refuse every name;
//  3. the setting's own block list, and the group's;
//  4. the setting's own allow list, and the group's;
//  5. in an allow-only group, an approved name is allowed and every other is blocked;
//  6. what the UK schools pack holds is refused by no category list; rule 8 still holds for it;
//  7. category lists, by group and hour; behind rule 8, and where the configuration says so, names that look like a
//     well-known one of a category that is refused;
//  8. bypass signals are refused and search engines are steered to their safe form;
//  9. everything else is allowed.
//
// Names of this network (see local.Names) are answered here, whatever rules 2 to 9 say of them: no list breaks them. What
// is only in a zone of them that is forwarded is a name like others.
//
// Of a name that carries another (see wrapper) both are judged: what refuses one of them refuses the name, unless a person
// has allowed it by just this name.
//
// A group beyond those of the policy is treated as the first, the strictest.
func (p *Policy) Decide(now time.Time, client uint8, name *blocklist.Key, hits blocklist.Mask) query.Verdict {
	g := p.group(client)
	tier := p.tier.Lookup(name.Wire()) // 1
	switch {
	case tier.Sites != 0:
		return p.sealed(query.Illegal, tier.Sites)
	case tier.Hosts != 0 && g.wholeHost:
		return p.sealed(query.IllegalURL, tier.Hosts)
	}
	own := p.own.LookupKey(name)
	if own.Has(ownLocal) {
		here, target, apart := p.names.Find(client, name.Wire())
		if here && !(apart && own.Has(ownForward)) {
			return query.Verdict{Rule: query.LocalName, Target: target}
		}
	}
	v := p.decide(now, g, name, own, hits)
	if own.Has(ownWrapper) || library(name.Wire()) > 0 {
		v = p.carried(now, client, name.Wire(), v, nil)
	}
	if tier.Hosts != 0 {
		v.Pages = p.tierList(tier.Hosts)
	}
	return v
}

// decide applies rules 2 to 9; own are the bits of the name in the own set.
func (p *Policy) decide(now time.Time, g *group, name *blocklist.Key, own, hits blocklist.Mask) query.Verdict {
	if p.stopAll || g.stopped { // 2
		return query.Verdict{Action: query.Block, Rule: query.Stopped}
	}
	if own.Has(ownBlock) || own.Has(g.deny) { // 3
		return query.Verdict{Action: query.Block, Rule: query.OwnBlock}
	}
	if own.Has(ownAllow) || own.Has(g.allow) { // 4
		return query.Verdict{Action: query.Allow, Rule: query.OwnAllow}
	}
	if g.allowOnly { // 5
		if own.Has(g.approved) {
			return query.Verdict{Action: query.Allow, Rule: query.Approved}
		}
		return query.Verdict{Action: query.Block, Rule: query.Approved}
	}
	verdict := query.Verdict{} // 9
	if own.Has(ownPack) {      // 6
		verdict.Rule = query.SchoolsPack
	} else if m := hits.And(g.blocked(now, p.loc)); !m.Empty() { // 7
		return p.listed(query.Category, m)
	}
	if own.Has(ownSpecial) || isESNI(name.Wire()) { // 8
		if v, ok := p.special(g, name.Wire()); ok {
			return v
		}
	}
	if p.alike != nil && verdict.Rule == query.Default { // 7
		if hit, ok := lookalike.Find(name.Wire()); ok && !p.alike[hit.Category].And(g.blocked(now, p.loc)).Empty() {
			return query.Verdict{Action: query.Block, Rule: query.Lookalike, Category: hit.Category, List: string(hit.Of)}
		}
	}
	return verdict
}

// DecideTarget judges a name that the answer for another one leads to (a CNAME, HTTPS or SVCB target); asked is the
// verdict on the name that the client asked for. What a person or the schools pack has allowed by name is not undone by the
// host that serves it, save by the illegal tier and own block lists; an allow-only group need not approve hosts it cannot
// see. What the pack or an own allow list holds is no wrong host for any name, and no more is a network that serves all the
// world (pack.Targets). What a target carries (see Decide) is a target too.
func (p *Policy) DecideTarget(now time.Time, client uint8, asked query.Verdict, target *blocklist.Key, hits blocklist.Mask) query.Verdict {
	g := p.group(client)
	own := p.own.LookupKey(target)
	v := p.decideTarget(now, g, asked, target, own, hits)
	if own.Has(ownWrapper) || library(target.Wire()) > 0 {
		v = p.carried(now, client, target.Wire(), v, &asked)
	}
	v.Cloaked = v.Action == query.Block
	return v
}

func (p *Policy) decideTarget(now time.Time, g *group, asked query.Verdict, target *blocklist.Key, own, hits blocklist.Mask) query.Verdict {
	if tier := p.tier.Lookup(target.Wire()); tier.Sites != 0 { // a page is one of the host in its address, so of a name that is asked for
		return p.sealed(query.Illegal, tier.Sites)
	}
	if own.Has(ownBlock) || own.Has(g.deny) {
		return query.Verdict{Action: query.Block, Rule: query.OwnBlock}
	}
	if p.keepsTarget(g, asked.Rule, own) {
		return asked
	}
	if m := hits.And(g.blocked(now, p.loc)); !m.Empty() {
		return p.listed(query.Category, m)
	}
	return asked
}

// keepsTarget says whether category lists have no say on a target.
func (p *Policy) keepsTarget(g *group, asked query.Rule, own blocklist.Mask) bool {
	return keeps(asked) || own.Has(ownAllow) || own.Has(g.allow) || own.Has(ownPack) || own.Has(ownTarget)
}

// keeps says whether a name that is allowed by rule keeps the hosts that serve it, whatever category lists say of them.
func keeps(rule query.Rule) bool {
	return rule == query.OwnAllow || rule == query.Approved || rule == query.SchoolsPack || rule == query.LocalName
}

// Local is the names of this network.
func (p *Policy) Local() *local.Names { return p.names }

// Tier is the illegal tier that the policy enforces, nil for none.
func (p *Policy) Tier() *sealed.Set { return p.tier }

// Illegal says whether the illegal tier lists a name as a whole, or one above it.
func (p *Policy) Illegal(name *domain.Wire) bool { return p.tier.Lookup(name).Sites != 0 }

// NoIllegal says whether there is no list of the illegal tier at all.
func (p *Policy) NoIllegal() bool { return len(p.tier.Lists()) == 0 }

// Answer is what clients of the group get for a blocked name.
func (p *Policy) Answer(client uint8) config.Answer { return p.group(client).answer }

// group finds a group by index, the first for an index that is none.
func (p *Policy) group(i uint8) *group {
	if int(i) < len(p.groups) {
		return &p.groups[i]
	}
	return &p.groups[0]
}

// listed is a block by the gravest category among the lists in m.
func (p *Policy) listed(rule query.Rule, m blocklist.Mask) query.Verdict {
	var best *listed
	for i := range p.lists {
		if m.Has(i) && (best == nil || p.lists[i].rank < best.rank) {
			best = &p.lists[i]
		}
	}
	return query.Verdict{Action: query.Block, Rule: rule, Category: best.category, List: best.name}
}

// sealed is a block by the first of some lists of the illegal tier. An over-block is of no category: what is asked for is
// likely something else.
func (p *Policy) sealed(rule query.Rule, lists uint16) query.Verdict {
	v := query.Verdict{Action: query.Block, Rule: rule, List: p.tierList(lists)}
	if rule == query.Illegal {
		v.Category = config.IllegalTier
	}
	return v
}

func (p *Policy) tierList(lists uint16) string {
	return p.tier.Lists()[bits.TrailingZeros16(lists)].Name
}

// blocked is what the group's category lists refuse at now.
func (g *group) blocked(now time.Time, loc *time.Location) blocklist.Mask {
	if len(g.hours) == 0 {
		return g.base
	}
	t := now.In(loc)
	day, minute := t.Weekday(), t.Hour()*60+t.Minute()
	block, allow := g.base, blocklist.Mask{}
	for i := range g.hours {
		if w := &g.hours[i]; w.holds(day, minute) {
			block, allow = block.Or(w.block), allow.Or(w.allow)
		}
	}
	return block.Without(allow)
}

// holds says whether a minute of a day lies in the window, by the clock on the wall: a window that ends after the
// clocks go back is an hour longer that night.
func (w *window) holds(day time.Weekday, minute int) bool {
	if w.from < w.to {
		return w.days[day] && w.from <= minute && minute < w.to
	}
	return w.days[day] && minute >= w.from || w.days[(day+6)%7] && minute < w.to
}
