package policy

import (
	"schoolgate/config"
	"schoolgate/resolver/query"
)

// Told is what a client may be told of a verdict that refuses it a name: rule and category, and of some refusals not even
// those. A device that asks for many names must not find out which of them the illegal tier holds, since a list of such
// names does harm. So a name of the tier is refused in the words in which the group is refused most other names; and
// pornography, hate and extremism, of which lists hold millions of names, are not told from the tier, nor from what the
// school closed by name. They are told as OwnBlock without a category.
func (p *Policy) Told(client uint8, v query.Verdict) query.Verdict {
	g := p.group(client)
	told := query.Verdict{Action: v.Action, Rule: v.Rule, Category: v.Category}
	switch {
	case !v.Rule.Withheld() && !config.Gravest(v.Category):
	case p.stopAll || g.stopped:
		told = query.Verdict{Action: v.Action, Rule: query.Stopped}
	case g.allowOnly && !v.Cloaked: // what an approved name leads to is refused for no want of approval
		told = query.Verdict{Action: v.Action, Rule: query.Approved}
	default:
		told = query.Verdict{Action: v.Action, Rule: query.OwnBlock}
	}
	return told
}
