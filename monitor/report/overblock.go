package report

import (
	"cmp"
	"slices"
	"strings"

	"schoolgate/blocklist/domain"
	"schoolgate/config"
	"schoolgate/resolver/query"
)

// candidate is a refused site that people may have wanted for good reasons.
type candidate struct {
	site    string
	kind    int
	n       int64
	staff   int64
	devices set
	most    int64
	reasons []string
	score   int
}

// officialSuffixes are suffixes under which only the bodies that they name can register.
var officialSuffixes = [...]struct{ suffix, who string }{
	{"sch.uk", "a UK school"},
	{"ac.uk", "a UK college or university"},
	{"gov.uk", "UK government"},
	{"nhs.uk", "the NHS"},
	{"police.uk", "UK police"},
	{"parliament.uk", "the UK Parliament"},
	{"edu", "a US college or university"},
	{"gov", "US government"},
}

// learningWords are looked for inside the name of a site. Those that also name sites of other kinds ("school", "teen",
// "student") are not among them.
var learningWords = [...]string{
	"phonics", "maths", "spelling", "curriculum", "educat", "homework", "handwriting", "alphablocks", "numberblocks",
	"timestables", "times-tables", "numeracy", "literacy", "museum", "library", "eyfs", "nursery-rhyme", "storytime",
	"classroom", "teaching", "safeguarding", "childline", "nspcc", "autism", "dyslexia", "samaritans", "charity",
}

const (
	manyDevices    = 5  // and at least one in eight of all
	candidateLimit = 40 // on the page
)

// candidates finds sites that may be refused wrongly, the surest first. It judges by name and by who asked, nothing
// else: it is a list to look at, not a finding.
func (c *count) candidates() []candidate {
	type key struct {
		site string
		kind int
	}
	sites := map[key]*candidate{}
	for _, k := range c.names.sorted(func(a, b *entry[nameSums]) int { return cmp.Compare(b.n, a.n) }) {
		if r := c.kinds[k.kind].rule; r != query.Category && r != query.Approved {
			continue // refused on purpose
		}
		e := c.names.entries[k]
		at := key{c.siteOf(k.name), k.kind}
		s := sites[at]
		if s == nil {
			s = &candidate{site: at.site, kind: k.kind}
			sites[at] = s
		}
		s.n += e.n
		s.staff += e.v.staff
		s.most = max(s.most, e.v.most)
		s.devices.join(&e.v.devices)
	}
	var all []candidate
	for _, s := range sites {
		if c.judge(s); s.score > 0 {
			all = append(all, *s)
		}
	}
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(b.devices.len(), a.devices.len()),
			cmp.Compare(b.n, a.n), strings.Compare(a.site, b.site), cmp.Compare(a.kind, b.kind))
	})
	return all
}

// judge gives a site its reasons, and a score in which a surer one outweighs all that are less sure.
func (c *count) judge(s *candidate) {
	because := func(weight int, reason string) {
		s.reasons = append(s.reasons, reason)
		s.score += weight
	}
	for _, o := range officialSuffixes {
		if domain.Name(s.site).Within(domain.Name(o.suffix)) {
			because(8, "belongs to "+o.who)
			break
		}
	}
	k := c.kinds[s.kind]
	for _, w := range learningWords {
		if k.category != config.Pornography && strings.Contains(s.site, w) { // there such words mislead
			because(4, "has “"+w+"” in its name")
			break
		}
	}
	if k.rule == query.Approved || k.grave() && s.score == 0 {
		return // not approved is refused on purpose; and who asks for pornography does not make it a mistake
	}
	if s.staff > 0 {
		because(2, "staff asked for it")
	}
	if n := s.devices.len(); n >= manyDevices && n*8 >= c.known() {
		because(1, "many devices asked for it")
	}
}
