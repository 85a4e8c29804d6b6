package report

import (
	"fmt"
	"slices"
	"strings"

	"schoolgate/config"
	"schoolgate/monitor"
	"schoolgate/monitor/record"
	"schoolgate/resolver/query"
)

func tallyOf(a monitor.Alert) record.Tally {
	return record.Tally{Rule: query.Category, Category: a.Category}
}

// finding is one sentence on what stands out, and where the page says more.
type finding struct {
	Grave bool // marked, in words too
	Text  string
	Where string // id of a section
	Link  string // its words
}

// decision is one item of the checklist.
type decision struct {
	Text  string
	Where string
	Link  string
}

// headline is the first paragraph: how much was asked and how much was refused.
func (c *count) headline(span Span) []string {
	t := c.totals()
	if t.Requests == 0 && c.future() {
		return []string{"This time has not begun: its first day is " + longDate(c.cal.date(0)) + ".", "There is nothing to review yet."}
	}
	if t.Requests == 0 {
		return []string{
			"The record holds not one request for this time.",
			"Either nobody used a device, or no device asks Schoolgate: find out which before relying on this report.",
		}
	}
	_, unknown := c.deviceAt[""]
	first := fmt.Sprintf("%s asked for names of sites %s, on %s. Schoolgate refused %s of these requests%s%s.",
		who(t.Devices, unknown), times(t.Requests), count1(t.Days, "day"), orNone(zeroless(t.Refused), "none"), share(t.Refused, t.Requests), steeredWords(t.Steered))
	all := []string{strings.ToUpper(first[:1]) + first[1:]}
	switch {
	case c.future():
		all = append(all, "By the clock of this appliance this time has not begun, yet the record holds requests of it: the clock was wrong then, or is now.")
	case c.cal.past < c.cal.n:
		all = append(all, "The time that this report is about is not over: it tells of what there is so far.")
	}
	return append(all, "One visit to a page makes many requests, and apps make them without anybody touching the device: the numbers compare weeks and devices, they do not count visits or people.")
}

func times(n int64) string {
	if n == 1 {
		return "once"
	}
	return thousands(n) + " times"
}

func zeroless(n int64) string {
	if n == 0 {
		return ""
	}
	return thousands(n)
}

func share(part, whole int64) string {
	if part == 0 || whole == 0 {
		return ""
	}
	p := float64(part) / float64(whole) * 100
	if p < 0.1 {
		return " (less than 1 in 1,000)"
	}
	return fmt.Sprintf(" (%.1f %%)", p)
}

func steeredWords(n int64) string {
	if n == 0 {
		return ""
	}
	return ", and answered " + thousands(n) + " with the safe form of a search engine"
}

// findings is what stands out, the gravest first.
func (c *count) findings(span Span, repeats []repeated, wrong []candidate) []finding {
	all := c.reassurance(span)
	say := func(grave bool, where, link, format string, args ...any) {
		all = append(all, finding{Grave: grave, Text: fmt.Sprintf(format, args...), Where: where, Link: link})
	}
	c.tierFindings(say)
	for _, k := range c.order {
		s := &c.kindSums[k]
		if c.kinds[k] != illegal && c.kinds[k].grave() && s.n > 0 {
			say(true, "sec-devices", "Devices", "%s: %s refused to %s, on %s.", c.kinds[k].label(), count1(s.n, "request"), s.who(), count1(s.days, "day"))
		}
	}
	if none := c.uncovered(); len(none) > 0 {
		say(false, "sec-policy", "Lists and policy", "No list here is about: %s.", strings.Join(none, ", "))
	}
	if n := c.repeatingDevices(repeats); n > 0 {
		say(true, "sec-repeats", "Repeated attempts", "%s asked for the same refused site in a grave category on more than one day.", count1(n, "device"))
	}
	if s := c.bypassSums(); s.n > 0 {
		say(false, "sec-bypass", "Ways round the filter", "Services that lead past the filter were asked for by %s (%s).", s.who(), count1(s.n, "request"))
	}
	if len(wrong) > 0 {
		say(false, "sec-overblocked", "Refused wrongly?", "%s may be refused wrongly.", count1(len(wrong), "site"))
	}
	c.lossFindings(span, say)
	if n := c.unexplained(); n > 0 {
		say(false, "sec-record", "Is the record whole?", "%s without a single request and without a known reason.", was(int64(n), "weekday passed", "weekdays passed"))
	}
	if n := c.troubledLists(); n > 0 {
		say(true, "sec-policy", "Lists and policy", "%s a problem.", was(int64(n), "list has", "lists have"))
	}
	if s := c.trend(); s != "" {
		say(false, "sec-refused", "What was refused", "%s", s)
	}
	if n := len(c.fellSilent()); n > 0 {
		say(false, "sec-silent", "Devices that fell silent", "%s in regular use fell silent.", count1(n, "device"))
	}
	slices.SortStableFunc(all, func(a, b finding) int {
		switch {
		case a.Grave && !b.Grave:
			return -1
		case b.Grave && !a.Grave:
			return 1
		}
		return 0
	})
	return all
}

// tierFindings is what the illegal tier refused, and whether it can.
func (c *count) tierFindings(say func(grave bool, where, link, format string, args ...any)) {
	const where, link = "sec-illegal", "Illegal tier"
	if s := &c.kindSums[c.kindAt[illegal]]; s.n > 0 {
		say(true, where, link, "The illegal tier refused %s by %s, on %s. Each of these must have been reported when it happened.", count1(s.n, "request"), s.who(), count1(s.days, "day"))
	}
	switch {
	case !c.configured(config.IllegalTier):
		say(true, where, link, "No licensed list of illegal material is loaded here: as it stands, Schoolgate refuses nothing as illegal, so somebody else must.")
	case !c.loaded(config.IllegalTier):
		say(true, where, link, "A licensed list of illegal material is configured, but nothing of it is known to be loaded: until that is mended, somebody else must enforce it.")
	}
	for _, words := range c.site.Tier {
		say(false, where, link, "The illegal tier is %s.", words)
	}
}

// uncovered are the gravest categories, but for the illegal tier, that no list is about: nothing can be refused in them.
func (c *count) uncovered() (none []string) {
	for _, category := range gravest[1:] {
		if !c.configured(category) {
			none = append(none, category)
		}
	}
	return none
}

// reassurance says that nothing grave was refused, if so, and no more than that: only of categories that a list is loaded
// for, and only so far as there is a record.
func (c *count) reassurance(span Span) []finding {
	var of []string
	for _, category := range gravest {
		if c.loaded(category) {
			of = append(of, category)
		}
	}
	if c.sums.requests == 0 || len(of) == 0 || slices.ContainsFunc(c.order, func(k int) bool { return c.kinds[k].grave() && c.kindSums[k].n > 0 }) {
		return nil
	}
	s := "Nothing was refused in the gravest categories that lists are loaded for (" + strings.Join(of, ", ") + ")"
	if len(c.gaps) > 0 || c.forgotten(span) || c.unexplained() > 0 {
		return []finding{{Text: s + ", as far as the record goes."}}
	}
	return []finding{{Text: s + ", and no gap in the record is known."}}
}

// future says whether the time has not begun.
func (c *count) future() bool { return c.site.Made.Before(c.cal.start(0)) }

func (c *count) soFar() string {
	if c.cal.past < c.cal.n {
		return " so far"
	}
	return ""
}

func (c *count) troubledLists() (n int) {
	for _, l := range c.site.Lists {
		if l.Problem != "" {
			n++
		}
	}
	return n
}

// trend compares what was refused on a day of use in the first and the second half of the days of use, when the two differ
// by a quarter or more.
func (c *count) trend() string {
	var used []int64
	for i := range c.days {
		if c.days[i].requests > 0 {
			used = append(used, c.days[i].refused)
		}
	}
	if len(used) < 10 {
		return ""
	}
	var half [2]int64
	for i, n := range used {
		half[i*2/len(used)] += n
	}
	before := (half[0] + int64(len(used)+1)/4) / (int64(len(used)+1) / 2) // rounded
	after := (half[1] + int64(len(used))/4) / (int64(len(used)) / 2)
	word := "rose"
	if after < before {
		word = "fell"
	}
	if diff := max(before, after) - min(before, after); diff*4 < max(before, 1) {
		return ""
	}
	return fmt.Sprintf("Refusals %s from about %s a day in the first half of the days of use to about %s in the second.", word, thousands(before), thousands(after))
}

func was(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + many
}

func (c *count) repeatingDevices(all []repeated) int {
	var s set
	for _, r := range all {
		if c.kinds[r.key.kind].grave() {
			s.add(r.key.device)
		}
	}
	return s.len()
}

func (c *count) bypassSums() *kindSums {
	if k, ok := c.kindAt[kind{config.Circumvent, query.Category}]; ok {
		return &c.kindSums[k]
	}
	return &kindSums{}
}

// unexplained counts weekdays without a request that no gap explains.
func (c *count) unexplained() (n int) {
	for _, r := range c.silentRuns() {
		if c.explained(r) == "" {
			n += c.weekdays(r)
		}
	}
	return n
}

// decisions is the checklist: what this term raises, then what every term asks.
func (c *count) decisions(span Span, repeats []repeated, wrong []candidate) []decision {
	var all []decision
	ask := func(when bool, where, link, text string) {
		if when {
			all = append(all, decision{text, where, link})
		}
	}
	t := c.totals()
	ask(t.Illegal > 0, "sec-illegal", "Illegal tier", "For each day on which the illegal tier refused something: was it reported, to whom, and what was the outcome?")
	ask(!c.loaded(config.IllegalTier), "sec-illegal", "Illegal tier", "No licensed list of illegal material is loaded here. Who enforces the lists of the Internet Watch Foundation and the police for this school, and when was that last proven?")
	ask(c.repeatingDevices(repeats) > 0, "sec-repeats", "Repeated attempts", "For each device that asked again and again in a grave category: who used it, was it a person or an app, and what support or action follows?")
	ask(c.graveRefused(), "sec-devices", "Devices", "Which refusals in the gravest categories become a concern to be recorded, and is each of them recorded?")
	ask(c.bypassSums().n > 0, "sec-bypass", "Ways round the filter", "Are the devices that asked for ways round the filter known, and is software of that kind removed from them?")
	ask(len(wrong) > 0, "sec-overblocked", "Refused wrongly?", "Which of the sites that may be refused wrongly should be allowed, for whom, and until when?")
	ask(t.Alerts > 0, "sec-alerts", "Alerts", "Was each alert looked at, and is it written down what was done?")
	ask(len(c.changesTable().Rows) > 0, "sec-changes", "Changes", "Was each change of settings risk assessed and agreed with the leadership before it was made?")
	ask(c.losses(span).grave(), "sec-record", "Is the record whole?", "What caused the gaps in the record, and what will prevent the next one?")
	ask(c.unexplained() > 0, "sec-record", "Is the record whole?", "Is there a good reason for each weekday without requests, such as a holiday?")
	ask(len(c.fellSilent()) > 0, "sec-silent", "Devices that fell silent", "What became of the devices that fell silent: put away, or connected in another way that is not filtered?")
	ask(c.troubledLists() > 0, "sec-policy", "Lists and policy", "Who sees to the lists that have a problem?")
	ask(true, "sec-policy", "Lists and policy", "Does what each group may use still fit its age, needs and curriculum? Is anything new in use (devices, apps, services) that calls for another risk assessment?")
	ask(true, "sec-limits", "What this cannot show", "Is filtering checked on each kind of device, for each group, and is the result of the check written down?")
	ask(true, "sec-limits", "What this cannot show", "Is what this filter cannot see covered by supervision and teaching?")
	return all
}

func (c *count) graveRefused() bool {
	return slices.ContainsFunc(c.order, func(k int) bool { return c.kinds[k].grave() && c.kinds[k] != illegal && c.kindSums[k].n > 0 })
}
