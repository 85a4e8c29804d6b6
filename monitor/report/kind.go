package report

import (
	"slices"
	"strings"

	"schoolgate/config"
	"schoolgate/monitor/record"
	"schoolgate/resolver/query"
)

// kind is why a request was refused: a category of lists, or else a rule. Each refusal is of exactly one kind.
type kind struct {
	category string     // "" where no list decided
	rule     query.Rule // Default for the kind that stands for all beyond the bound
}

const (
	otherKinds    = "(other categories)"
	bypassSignals = "Asked whether it may go around the filter"
)

var illegal = kind{config.IllegalTier, query.Illegal}

// kindOf sorts a refusal. Whatever bears one mark of the illegal tier is of it, so that no name can slip through.
func kindOf(t record.Tally) kind {
	switch {
	case t.Rule == query.IllegalURL:
		return kind{rule: t.Rule}
	case t.Rule == query.Illegal || t.Category == config.IllegalTier || t.Name == record.Withheld:
		return illegal
	case t.Rule == query.Category:
		return kind{t.Category, query.Category}
	default:
		return kind{rule: t.Rule}
	}
}

// rank is lower for graver kinds: the known categories, then the school's own, then blocks by rule.
func (k kind) rank() int {
	if k.category != "" {
		return config.Gravity(k.category)
	}
	return config.Gravity("") + 1 + int(k.rule)
}

// gravest are the categories of which one refusal is worth a person's look.
var gravest = [...]string{config.IllegalTier, config.Extremism, config.Hate, config.Pornography}

// grave says whether a kind is one of the gravest.
func (k kind) grave() bool {
	return slices.Contains(gravest[:], k.category)
}

func compareKinds(a, b kind) int {
	if d := a.rank() - b.rank(); d != 0 {
		return d
	}
	return strings.Compare(a.category, b.category)
}

// key is the kind in the CSV.
func (k kind) key() string {
	if k.category != "" {
		return k.category
	}
	return "rule:" + k.rule.String()
}

// label is the kind on the page.
func (k kind) label() string {
	switch k.category {
	case config.IllegalTier:
		return "Illegal tier"
	case config.Circumvent:
		return "Ways round the filter"
	case config.Chatbots:
		return "AI chat"
	case config.Extremism, config.Hate, config.Pornography, config.Gambling, config.SocialMedia, config.Gaming, config.Dating:
		s := strings.ReplaceAll(k.category, "-", " ")
		return strings.ToUpper(s[:1]) + s[1:]
	case "":
	default:
		return k.category
	}
	switch k.rule {
	case query.OwnBlock:
		return "Own block list"
	case query.Approved:
		return "Not on the approved list"
	case query.Stopped:
		return "Internet switched off"
	case query.Bypass:
		return bypassSignals
	case query.IllegalURL:
		return "Hosts of listed pages (over-block)"
	case query.BlockedUpstream:
		return "Blocked upstream"
	case query.Rebinding:
		return "Public names with local addresses"
	case query.Lookalike:
		return "Names that look like blocked ones"
	case query.Category:
		return "A list without a category"
	default:
		return "Another rule"
	}
}

// what says in a sentence what the kind holds.
func (k kind) what() string {
	switch k.category {
	case config.IllegalTier:
		return "Sites that the licensed lists of unlawful material name. Nobody can be allowed them. Their names are never kept."
	case config.Extremism:
		return "Sites that promote terrorism, violence or extremist views."
	case config.Hate:
		return "Sites that promote hatred of people for their race, religion, sex, orientation or disability."
	case config.Pornography:
		return "Pornography and other sexual material."
	case config.Gambling:
		return "Betting, casinos and lotteries."
	case config.Circumvent:
		return "VPN, proxy and encrypted-DNS services, which would lead past this filter."
	case config.SocialMedia:
		return "Social networks and messaging between strangers."
	case config.Gaming:
		return "Games, and the services that games talk to. Apps often ask for these by themselves."
	case config.Dating:
		return "Sites and apps for meeting a partner, or somebody unknown."
	case config.Chatbots:
		return "Chat with machines, and what machines write, draw and say."
	case otherKinds:
		return "Categories beyond the number that one report tells apart."
	case "":
	default:
		return "A category of lists that the school added."
	}
	switch k.rule {
	case query.OwnBlock:
		return "Names that the school itself put on its block list."
	case query.Approved:
		return "Names asked for by a group that may use approved names only. Most of these are apps working in the background."
	case query.Stopped:
		return "Everything asked for while a group, or everyone, was switched off."
	case query.Bypass:
		return "Browsers and systems asking on their own whether they may use another DNS service. Refusing it keeps them on the filter; it is no sign of intent."
	case query.IllegalURL:
		return "Whole hosts refused because the illegal tier lists single pages of them, as the safeguarding lead approved. Their names are never kept."
	case query.Lookalike:
		return "Names that look like a well-known blocked one, which the configuration says to refuse."
	case query.Category:
		return "Names of a list that had no category."
	case query.BlockedUpstream:
		return "Names that the upstream server refused by a filter of its own. No list of this box decided, and none of its settings can allow them."
	case query.Rebinding:
		return "Names of the Internet whose answer was an address of the local network, as in attacks on devices there. A network's own names are allowed for in the configuration."
	default:
		return "Refused by a rule that this version does not know."
	}
}
