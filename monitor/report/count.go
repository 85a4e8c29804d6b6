package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"schoolgate/blocklist/domain"
	"schoolgate/monitor"
	"schoolgate/monitor/record"
	"schoolgate/resolver/query"
)

// count is one pass over the tallies of a span. Its memory does not grow with the record beyond the bounds of the
// package: names that were allowed are only counted.
type count struct {
	cal  calendar
	site Site
	sums sums
	days []daySums

	kinds    []kind
	kindSums []kindSums
	kindAt   map[kind]int
	groups   []groupSums
	groupAt  map[string]int
	devices  []device
	deviceAt map[string]int

	names   *sketch[nameKey, nameSums]
	pairs   *sketch[pairKey, pairSums]
	steered map[string]*nameSums
	alike   alike
	illegal map[illegalKey]int64

	lastName string // the site of the last name, as names often come again
	lastSite string

	changes   []monitor.Change
	gaps      []monitor.Gap
	alerts    []monitor.Alert
	alertsCut bool
	requests  []monitor.Request

	order []int // kinds, gravest first
}

// Names of what lies beyond the bounds.
const (
	otherDevices = "(other devices)"
	otherGroups  = "(other groups)"
	maxSteered   = 1024
	maxIllegal   = 4096
)

func newCount(cal calendar, site Site) *count {
	c := &count{
		cal: cal, site: site, days: make([]daySums, cal.n),
		kindAt: map[kind]int{}, groupAt: map[string]int{}, deviceAt: map[string]int{},
		steered: map[string]*nameSums{}, illegal: map[illegalKey]int64{},
	}
	c.names = newSketch[nameKey, nameSums](maxNames, func(a, b nameKey) int {
		return cmp.Or(strings.Compare(a.name, b.name), cmp.Compare(a.kind, b.kind))
	})
	c.pairs = newSketch[pairKey, pairSums](maxPairs, func(a, b pairKey) int {
		return cmp.Or(cmp.Compare(a.device, b.device), strings.Compare(a.site, b.site), cmp.Compare(a.kind, b.kind))
	})
	c.kindOf(illegal)
	for _, g := range site.Groups { // a category that refused nothing is worth a line too
		c.groupOf(g.Name)
		for _, b := range g.Block {
			c.kindOf(kindOf(record.Tally{Rule: query.Category, Category: b}))
		}
	}
	return c
}

func (c *count) kindOf(k kind) int {
	i, ok := c.kindAt[k]
	if !ok {
		if len(c.kinds) >= maxKinds-1 {
			k = kind{otherKinds, query.Default}
			if i, ok = c.kindAt[k]; ok {
				return i
			}
		}
		i = len(c.kinds)
		c.kinds, c.kindSums, c.kindAt[k] = append(c.kinds, k), append(c.kindSums, kindSums{lastDay: -1}), i
	}
	return i
}

func (c *count) groupOf(name string) int {
	i, ok := c.groupAt[name]
	if !ok {
		if len(c.groups) >= maxGroups-1 {
			name = otherGroups
			if i, ok = c.groupAt[name]; ok {
				return i
			}
		}
		i = len(c.groups)
		c.groups, c.groupAt[name] = append(c.groups, groupSums{name: name}), i
	}
	return i
}

func (c *count) deviceOf(name string) int {
	i, ok := c.deviceAt[name]
	if !ok {
		if len(c.devices) >= maxDevices-1 {
			name = otherDevices
			if i, ok = c.deviceAt[name]; ok {
				return i
			}
		}
		i = len(c.devices)
		c.devices = append(c.devices, device{name: name, first: -1, last: -1, kinds: map[int]*deviceKind{}})
		c.deviceAt[name] = i
	}
	return i
}

// add takes in one tally. Days must not go back.
func (c *count) add(t record.Tally) error {
	day := c.cal.index(t.Day)
	if day < 0 {
		return fmt.Errorf("a tally of %s lies outside of the span", t.Day.In(c.cal.loc).Format(time.DateOnly))
	}
	if t.Count < 1 {
		return fmt.Errorf("a tally counts %d", t.Count)
	}
	d, g := c.deviceOf(t.Device), c.groupOf(t.Group)
	dev := &c.devices[d]
	if dev.last > day {
		return fmt.Errorf("the tallies go back from %s to %s", c.cal.date(dev.last).Format(time.DateOnly), c.cal.date(day).Format(time.DateOnly))
	}
	if dev.first < 0 {
		dev.first = day
	}
	if dev.last < day {
		dev.last = day
		dev.days++
	}
	dev.groups.add(uint16(g))
	c.mark(&c.days[day].devices, d)
	c.mark(&c.groups[g].devices, d)
	for _, s := range []*sums{&c.sums, &c.days[day].sums, &c.groups[g].sums, &dev.sums} {
		s.add(t.Action, t.Count)
	}
	switch t.Action {
	case query.Block:
		c.refuse(day, d, g, t)
	case query.Rewrite:
		c.steer(d, t)
	case query.Allow:
		c.liken(d, t)
	}
	return nil
}

func (c *count) steer(d int, t record.Tally) {
	s := c.steered[t.Name]
	if s == nil {
		if len(c.steered) >= maxSteered {
			t.Name = otherNames
		}
		if s = c.steered[t.Name]; s == nil {
			s = &nameSums{}
			c.steered[t.Name] = s
		}
	}
	s.n += t.Count
	c.mark(&s.devices, d)
}

// refuse counts a refusal by kind, and by name unless that may not be kept.
func (c *count) refuse(day, d, g int, t record.Tally) {
	k := c.kindOf(kindOf(t))
	at := &c.days[day]
	at.kinds = addTo(at.kinds, k, t.Count)
	ks := &c.kindSums[k]
	ks.n += t.Count
	ks.unknown = !c.mark(&ks.devices, d) || ks.unknown
	ks.groups = addTo(ks.groups, g, t.Count)
	if ks.lastDay < day {
		ks.lastDay = day
		ks.days++
	}
	dk := c.devices[d].kinds[k]
	if dk == nil {
		dk = &deviceKind{lastDay: -1}
		c.devices[d].kinds[k] = dk
	}
	dk.n += t.Count
	if dk.lastDay < day {
		dk.lastDay = day
		dk.days++
	}
	if c.kinds[k] == illegal {
		key := illegalKey{day, d}
		if _, ok := c.illegal[key]; !ok && len(c.illegal) >= maxIllegal {
			key = illegalKey{day: -1}
		}
		c.illegal[key] += t.Count
		return
	}
	pair := c.pairs.add(pairKey{uint16(d), c.siteOf(t.Name), k}, t.Count)
	p := &pair.v
	if p.days == 0 || p.lastDay < day {
		p.days, p.lastDay, p.today = p.days+1, day, 0
	}
	p.today += t.Count
	p.most = max(p.most, p.today)

	n := &c.names.add(nameKey{t.Name, k}, t.Count).v
	c.mark(&n.devices, d)
	n.most = max(n.most, p.today)
	if c.adults(g) {
		n.staff += t.Count
	}
}

func addTo(s []int64, i int, n int64) []int64 {
	if i >= len(s) {
		s = append(s, make([]int64, i+1-len(s))...)
	}
	s[i] += n
	return s
}

func at(s []int64, i int) int64 {
	if i < len(s) {
		return s[i]
	}
	return 0
}

func (c *count) siteOf(name string) string {
	if name != c.lastName || c.lastSite == "" {
		c.lastName, c.lastSite = name, domain.Name(name).Site().String()
	}
	return c.lastSite
}

// adults says whether a group's name speaks of adults who work at the school.
func (c *count) adults(g int) bool {
	name := strings.ToLower(c.groups[g].name)
	return slices.ContainsFunc([]string{"staff", "teach", "office", "admin", "adult"}, func(w string) bool { return strings.Contains(name, w) })
}

// finish puts in order what could not be ordered before all was read.
func (c *count) finish() {
	for i := range c.kinds {
		c.order = append(c.order, i)
	}
	slices.SortFunc(c.order, func(a, b int) int { return compareKinds(c.kinds[a], c.kinds[b]) })
	for k, e := range c.pairs.entries {
		dk := c.devices[k.device].kinds[k.kind]
		dk.sites++
		if dk.constant == nil || e.v.most > dk.constant.most || e.v.most == dk.constant.most && k.site < dk.constantSite {
			dk.constant, dk.constantSite = &e.v, k.site
		}
	}
}

func (c *count) totals() Totals {
	t := Totals{
		Requests: c.sums.requests, Refused: c.sums.refused, Steered: c.sums.steered,
		Allowed: c.sums.requests - c.sums.refused - c.sums.steered,
		Illegal: c.kindSums[c.kindAt[illegal]].n, Devices: c.known(), Alerts: len(c.alerts),
	}
	for i := range c.days {
		if c.days[i].requests > 0 {
			t.Days++
		}
	}
	for _, ch := range c.changes {
		if ch.Kind != startKind {
			t.Changes++
		}
	}
	for _, g := range c.gaps {
		t.Lost += g.Lost
		switch g.Reason {
		case killed:
			t.Kills++
		case damaged:
			t.Damaged++
		}
	}
	return t
}
