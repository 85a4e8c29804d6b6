package blocklist_test

import (
	"strings"

	"schoolgate/blocklist"
	"schoolgate/blocklist/domain"
)

// oracle says the same as a Set, in the slowest and plainest way: every rule is asked about every name.
type oracle map[listRule]bool

type listRule struct {
	list int
	rule blocklist.Rule
}

// speaks says whether r speaks of n, by comparing label after label.
func speaks(r blocklist.Rule, n domain.Name) bool {
	rule, name := strings.Split(string(r.Name), "."), strings.Split(string(n), ".")
	if len(name) < len(rule) {
		return false
	}
	for i := range rule {
		if rule[len(rule)-1-i] != name[len(name)-1-i] {
			return false
		}
	}
	switch r.Scope {
	case blocklist.Exact:
		return len(name) == len(rule)
	case blocklist.Below:
		return len(name) > len(rule)
	}
	return true
}

// lookup is the lists that block n.
func (o oracle) lookup(n domain.Name) blocklist.Mask {
	var block, except blocklist.Mask
	for lr := range o {
		if !speaks(lr.rule, n) {
			continue
		}
		if lr.rule.Except {
			except.Add(lr.list)
		} else {
			block.Add(lr.list)
		}
	}
	var m blocklist.Mask
	for i := range blocklist.MaxLists {
		if block.Has(i) && !except.Has(i) {
			m.Add(i)
		}
	}
	return m
}

// kept leaves out the rules that add nothing to a Subtree or Below rule, of the same list and kind, above their name.
// What stands at one name is put as the Set puts it: Exact and Below of one list are Subtree.
func (o oracle) kept() oracle {
	wide := oracle{}
	for lr := range o {
		other := lr
		switch lr.rule.Scope {
		case blocklist.Exact:
			other.rule.Scope = blocklist.Below
		case blocklist.Below:
			other.rule.Scope = blocklist.Exact
		}
		sub := lr
		sub.rule.Scope = blocklist.Subtree
		if other != lr && o[other] || o[sub] {
			lr = sub
		}
		wide[lr] = true
	}
	kept := oracle{}
	for lr := range wide {
		if !wide.above(lr) {
			kept[lr] = true
		}
	}
	return kept
}

func (o oracle) above(lr listRule) bool {
	for n, ok := lr.rule.Name.Parent(); ok && n != ""; n, ok = n.Parent() {
		for _, s := range []blocklist.Scope{blocklist.Subtree, blocklist.Below} {
			if o[listRule{lr.list, blocklist.Rule{Name: n, Scope: s, Except: lr.rule.Except}}] {
				return true
			}
		}
	}
	return false
}

// hits puts rules that several lists share together.
func (o oracle) hits(speakingOf func(blocklist.Rule) bool) map[blocklist.Rule]blocklist.Mask {
	hits := map[blocklist.Rule]blocklist.Mask{}
	for lr := range o {
		if speakingOf(lr.rule) {
			m := hits[lr.rule]
			m.Add(lr.list)
			hits[lr.rule] = m
		}
	}
	return hits
}
