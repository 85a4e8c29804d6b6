package policy

import (
	"fmt"
	"strings"
	"time"

	"schoolgate/blocklist"
	"schoolgate/blocklist/domain"
	"schoolgate/blocklist/pack"
	"schoolgate/config"
	"schoolgate/resolver/query"
)

// Step is one rule of the precedence as it bears on one name.
type Step struct {
	Number  int    // as in Decide; 0 for what comes before: the name carries another
	Matched bool   // this step decided
	Title   string // what the rule is
	Finding string // what it found, in plain words
	Lists   []Held // steps 1, 6 and 7: what the lists say of the name
}

// Held is one list's word on a name.
type Held struct {
	List     string      `json:"list"`
	Category string      `json:"category"`
	Name     domain.Name `json:"name"`   // the name in the list: the one asked, or one above it; "" when withheld
	Scope    string      `json:"scope"`  // subtree, exact, below; pages: of this host, none of which is shown
	Except   bool        `json:"except"` // the list excepts the name
	Counts   bool        `json:"counts"` // the group refuses this category at the time asked
}

// Explain walks the same precedence as Decide and says at each step what it found. The verdict is Decide's own. Steps
// after the one that decided are not reached and are left out. Of a name that carries another the steps are those of the
// one that decided, behind a step 0 that says so.
func (p *Policy) Explain(now time.Time, client uint8, name domain.Name, set *blocklist.Set) (query.Verdict, []Step, error) {
	var w domain.Wire
	if err := w.SetName(name); err != nil {
		return query.Verdict{}, nil, fmt.Errorf("name %q: %w", name, err)
	}
	key := blocklist.KeyOf(&w)
	v := p.Decide(now, client, &key, set.LookupKey(&key))
	if v.Rule == query.LocalName {
		s := Step{Title: "a name of this network", Finding: "answered here, whatever lists and groups say of it; only the illegal tier comes before", Matched: true}
		if v.Target != "" {
			s.Finding = "leads to " + v.Target.String() + " by a local record; only the illegal tier and own block lists say more of that"
		}
		return v, []Step{s}, nil
	}
	names, service := p.carriedNames(&w)
	var before []Step
	for _, n := range names {
		s := Step{Title: "a name that carries another", Finding: fmt.Sprintf("%s shows the pages of %s: both are judged, and what refuses either refuses the name", service, n)}
		if !v.Wrapped {
			before = append(before, s)
			continue
		}
		got, steps, err := p.Explain(now, client, n, set)
		if err == nil && (got.Action == query.Rewrite || got.Rule == v.Rule && got.List == v.List) {
			s.Finding = fmt.Sprintf("%s shows the pages of %s, which decides", service, n)
			if got.Action == query.Rewrite {
				s.Finding += "; it cannot be steered there, so it is refused"
			}
			return v, append([]Step{s}, steps...), nil
		}
	}
	return v, append(before, p.steps(now, client, &w, name, &key, v, set)...), nil
}

// steps are the rules up to the one that led to v.
func (p *Policy) steps(now time.Time, client uint8, w *domain.Wire, name domain.Name, key *blocklist.Key, v query.Verdict, set *blocklist.Set) []Step {
	g := p.group(client)
	held := p.held(now, g, name, set)
	var steps []Step
	for n, title := range titles {
		s := Step{Number: n + 1, Title: title, Finding: "no match"}
		s.Matched = ruleOf[n] == v.Rule || ruleOf[n] == query.Bypass && v.Rule == query.SafeSearch ||
			ruleOf[n] == query.Illegal && v.Rule == query.IllegalURL || ruleOf[n] == query.Category && v.Rule == query.Lookalike
		if s.Matched {
			s.Finding = p.finding(g, v, w)
		}
		switch s.Number {
		case 1:
			s.Lists = p.tierHeld(w, g.wholeHost)
			if v.Pages != "" {
				s.Finding = "the list " + v.Pages + " has pages of this host; DNS does not see pages, and this group passes and counts them"
			}
		case 5:
			if !g.allowOnly {
				s.Finding = "this group is not allow-only"
			}
		case 6:
			if p.own.LookupKey(key).Has(ownPack) {
				theme, _ := pack.Holds(string(name))
				s.Finding = "held by the pack (" + theme + "), so no category list refuses it"
				s.Lists = held
			}
		case 7:
			s.Lists = held
			if !s.Matched && len(s.Lists) > 0 {
				s.Finding = "on lists, but none that this group refuses at this time"
			}
		}
		steps = append(steps, s)
		if s.Matched {
			break
		}
	}
	return steps
}

// ExemptTarget says whether category lists have no say on a name as what the answer for another leads to (see DecideTarget),
// because it is of a network that serves all the world, or the configuration says so.
func (p *Policy) ExemptTarget(name domain.Name) bool {
	var w domain.Wire
	return w.SetName(name) == nil && p.own.Lookup(&w).Has(ownTarget)
}

var titles = [...]string{
	"illegal tier, blocked for everyone",
	"everything stopped, or no internet for this group",
	"own block list of the setting or group",
	"own allow list of the setting or group",
	"approved names of an allow-only group",
	"UK schools pack",
	"category lists, by group and hour",
	"bypass signals and safe search",
	"allowed when nothing above matches",
}

// ruleOf gives the rule that each step stands for.
var ruleOf = [len(titles)]query.Rule{
	query.Illegal, query.Stopped, query.OwnBlock, query.OwnAllow, query.Approved, query.SchoolsPack, query.Category, query.Bypass, query.Default,
}

func (p *Policy) finding(g *group, v query.Verdict, name *domain.Wire) string {
	switch v.Rule {
	case query.Illegal:
		return "held by the list " + v.List + "; which entry is not shown"
	case query.IllegalURL:
		return "over-block: the list " + v.List + " has pages of this host, and the whole host is refused to the group " + g.name + ", as approved by " + g.approvedBy
	case query.Stopped:
		if p.stopAll {
			return "policy.stop_all is on"
		}
		return "the group " + g.name + " has no internet"
	case query.OwnBlock:
		return "on the setting's block list, the deny list of the group " + g.name + " or a service that it blocks"
	case query.OwnAllow:
		return "on the setting's allow list, the allow list of the group " + g.name + " or a service that it allows"
	case query.Approved:
		if v.Action == query.Allow {
			return "approved for the group " + g.name
		}
		return "not among the approved names of the group " + g.name
	case query.Category:
		return "held by the list " + v.List + ", category " + v.Category
	case query.Lookalike:
		return "looks like " + v.List + ", category " + v.Category
	case query.Bypass:
		return "a name by which devices ask whether they may go around the filter: the signal " + v.List
	case query.SafeSearch:
		switch r := p.known(name); {
		case v.Action != query.Block:
			return "rewritten: safe search, steered to " + v.Target.String()
		case v.List == YouTube:
			return "YouTube is blocked for the group " + g.name
		case r != nil && v.List != "":
			return "a side door of " + v.List + ", refused where safe search is on: " + r.why
		case r != nil:
			return "a search without a safe form that DNS can enforce, refused where safe search is on: " + r.why
		}
	case query.Default:
		return "no rule refuses it"
	case query.SchoolsPack, query.LocalName: // Explain knows
	case query.BlockedUpstream, query.Rebinding: // found in answers, by no rule of the policy
	}
	return ""
}

// tierHeld says which lists of the illegal tier hold a name; wholeHost, whether pages of a host count against all of it.
// Entries are never shown (IWF).
func (p *Policy) tierHeld(w *domain.Wire, wholeHost bool) (out []Held) {
	hit := p.tier.Lookup(w)
	for i, l := range p.tier.Lists() {
		if bit := uint16(1) << i; hit.Sites&bit != 0 {
			out = append(out, Held{List: l.Name, Category: config.IllegalTier, Scope: blocklist.Subtree.String(), Counts: true})
		} else if hit.Hosts&bit != 0 {
			out = append(out, Held{List: l.Name, Category: config.IllegalTier, Scope: pages, Counts: wholeHost})
		}
	}
	return out
}

// Held lists every list entry that speaks of name, whoever asks; Counts says whether some group refuses its category then.
func (p *Policy) Held(now time.Time, name domain.Name, set *blocklist.Set) []Held {
	var refused blocklist.Mask
	whole := false
	for i := range p.groups {
		refused = refused.Or(p.groups[i].blocked(now, p.loc))
		whole = whole || p.groups[i].wholeHost
	}
	var w domain.Wire
	if w.SetName(name) != nil {
		return nil
	}
	return append(p.tierHeld(&w, whole), p.heldBy(refused, name, set)...)
}

// held lists every list entry that speaks of name, in the order of the Set's walk.
func (p *Policy) held(now time.Time, g *group, name domain.Name, set *blocklist.Set) []Held {
	return p.heldBy(g.blocked(now, p.loc), name, set)
}

func (p *Policy) heldBy(refused blocklist.Mask, name domain.Name, set *blocklist.Set) (out []Held) {
	for _, hit := range set.Why(name) {
		for i := range p.lists {
			if !hit.Lists.Has(i) {
				continue
			}
			out = append(out, Held{
				List: p.lists[i].name, Category: p.lists[i].category, Name: hit.Rule.Name, Scope: hit.Rule.Scope.String(),
				Except: hit.Rule.Except, Counts: refused.Has(i) && !hit.Rule.Except,
			})
		}
	}
	return out
}

// pages is the Scope of a list that holds pages of a host and not the host.
const pages = "pages"

// String is the entry as a line for people: "games-ut1 (gaming): roblox.example and all below".
func (h Held) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s): ", h.List, h.Category)
	if h.Except {
		b.WriteString("except ")
	}
	switch {
	case h.Scope == pages:
		b.WriteString("pages of this host")
		return b.String()
	case h.Name == "":
		b.WriteString("entry withheld")
		return b.String()
	}
	switch h.Scope {
	case blocklist.Exact.String():
		b.WriteString(h.Name.String() + " itself")
	case blocklist.Below.String():
		b.WriteString("all below " + h.Name.String())
	default:
		b.WriteString(h.Name.String() + " and all below")
	}
	return b.String()
}
