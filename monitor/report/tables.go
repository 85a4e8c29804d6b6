package report

import (
	"cmp"
	"slices"
	"strings"

	"schoolgate/config"
)

// How many rows the page shows; what is beyond them is added up in one row, or the note says that there is more.
const (
	deviceRows  = 400
	repeatRows  = 50
	nameRows    = 60
	steeredRows = 40
	alikeRows   = 40
	illegalRows = 200
	groupCols   = 6
	kindCols    = 8
	otherNames  = "(other names)"
)

func (c *count) totalsTable() table {
	t := c.totals()
	out := table{
		ID: "totals", Caption: "In numbers", Keys: 1, Head: []column{col("What"), numCol("Number")},
		Rows: [][]cell{
			{named("Requests for names of sites", "requests"), num(t.Requests)},
			{named("of these let through", "allowed"), num(t.Allowed)},
			{named("refused", "refused"), num(t.Refused)},
			{named("steered to a safe search", "steered"), num(t.Steered)},
			{named("Requests refused by the illegal tier", "illegal"), num(t.Illegal)},
			{named("Devices that asked", "devices"), num(int64(t.Devices))},
			{named("Days with requests", "days"), num(int64(t.Days))},
			{named("Alerts", "alerts"), num(int64(t.Alerts))},
			{named("Changes of settings and lists", "changes"), num(int64(t.Changes))},
			{named("Rows known to be missing from the record", "lost"), num(t.Lost)},
			{named("Power cuts and crashes; "+c.unflushed()+" before each may be missing too", "kills"), num(int64(t.Kills))},
			{named("Damaged files of the record; rows of these may be missing too", "damaged"), num(int64(t.Damaged))},
		},
	}
	return out
}

func (c *count) kindsTable() table {
	t := table{
		ID: "categories", Caption: "Requests refused, by category", Keys: 1,
		Head: []column{col("Category"), numCol("Refused"), numCol("Devices"), numCol("Days"), col("Refused to"), col("What it holds")},
		Foot: []cell{text("Total"), num(c.sums.refused)},
		Note: "A request that several lists would refuse is counted once, under the gravest of their categories.",
	}
	for _, k := range c.order {
		s := &c.kindSums[k]
		t.Rows = append(t.Rows, []cell{
			named(c.kinds[k].label(), c.kinds[k].key()), num(s.n), num(int64(s.devices.len())), num(int64(s.days)),
			text(c.refusedTo(c.kinds[k])), text(c.kinds[k].what()),
		})
	}
	return t
}

// refusedTo says which groups a category is refused to as the policy stands.
func (c *count) refusedTo(k kind) string {
	if k == illegal {
		if !c.loaded(illegal.category) {
			return "nobody: no list of it is loaded"
		}
		return "everyone, always"
	}
	if k.category == "" || k.category == otherKinds {
		return "–"
	}
	var names []string
	for _, g := range c.site.Groups {
		switch {
		case slices.Contains(g.Block, k.category):
			names = append(names, g.Name)
		case g.AllowOnly:
			names = append(names, g.Name+" (approved names only)")
		case slices.ContainsFunc(g.Hours, func(h config.Hours) bool { return slices.Contains(h.Block, k.category) }):
			names = append(names, g.Name+" (at some hours)")
		}
	}
	switch len(names) {
	case 0:
		return "no group"
	case len(c.site.Groups):
		if !slices.ContainsFunc(names, func(n string) bool { return strings.HasSuffix(n, ")") }) {
			return "every group"
		}
	}
	return strings.Join(names, ", ")
}

func (c *count) groupsTable() table {
	t := table{
		ID: "groups", Caption: "Requests by group", Keys: 1,
		Head: []column{col("Group"), numCol("Devices"), numCol("Requests"), numCol("Refused"), numCol("Steered")},
		Foot: []cell{text("Total"), num(int64(c.known())), num(c.sums.requests), num(c.sums.refused), num(c.sums.steered)},
		Note: "A device that changed its group during this time counts in each of them, but once in the total.",
	}
	for i := range c.groups {
		g := &c.groups[i]
		t.Rows = append(t.Rows, []cell{text(orNone(g.name, notKnown)), num(int64(g.devices.len())), num(g.requests), num(g.refused), num(g.steered)})
	}
	return t
}

func orNone(s, none string) string {
	if s == "" {
		return none
	}
	return s
}

// groupKindsTable sets categories against groups.
func (c *count) groupKindsTable() table {
	shown := min(len(c.groups), groupCols)
	t := table{
		ID: "groupkinds", Caption: "Requests refused, by category and group", Keys: 1, Head: []column{col("Category")},
		Empty: "Nothing was refused.",
	}
	for i := range shown {
		t.Head = append(t.Head, numCol(clean(orNone(c.groups[i].name, notKnown))))
	}
	if shown < len(c.groups) {
		t.Head = append(t.Head, numCol("All other groups"))
	}
	for _, k := range c.order {
		s := &c.kindSums[k]
		if s.n == 0 {
			continue
		}
		row, left := []cell{named(c.kinds[k].label(), c.kinds[k].key())}, s.n
		for i := range shown {
			row = append(row, num(at(s.groups, i)))
			left -= at(s.groups, i)
		}
		if shown < len(c.groups) {
			row = append(row, num(left))
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func (c *count) weeksTable(weeks []week) table {
	t := table{
		ID: "weeks", Caption: "Week by week", Keys: 1,
		Head: []column{col("Week of Monday"), numCol("Days"), numCol("Requests"), numCol("Refused"), numCol("Steered")},
		Foot: []cell{text("Total"), num(int64(c.totals().Days)), num(c.sums.requests), num(c.sums.refused), num(c.sums.steered)},
		Note: "“Days” are days with at least one request. The first and the last week may be cut short by the dates of this report.",
	}
	for _, w := range weeks {
		s, days := c.sumDays(w), 0
		for d := w.from; d < w.to; d++ {
			if c.days[d].requests > 0 {
				days++
			}
		}
		t.Rows = append(t.Rows, []cell{dateCell(w.monday), num(int64(days)), num(s.requests), num(s.refused), num(s.steered)})
	}
	return t
}

// weekKindsTable sets weeks against categories: those refused most have a column of their own, in order of gravity.
func (c *count) weekKindsTable(weeks []week) table {
	t := table{
		ID: "weekkinds", Caption: "Requests refused week by week, by category", Keys: 1, Head: []column{col("Week of Monday")},
		Empty: "Nothing was refused.",
	}
	if c.sums.refused == 0 {
		return t
	}
	var own []int
	for _, k := range c.order {
		if c.kindSums[k].n > 0 {
			own = append(own, k)
		}
	}
	cut := len(own) > kindCols
	if cut {
		slices.SortStableFunc(own, func(a, b int) int {
			ga, gb := c.kinds[a].grave(), c.kinds[b].grave()
			if ga != gb {
				if ga {
					return -1
				}
				return 1
			}
			return cmp.Compare(c.kindSums[b].n, c.kindSums[a].n)
		})
		own = own[:kindCols]
		slices.SortFunc(own, func(a, b int) int { return compareKinds(c.kinds[a], c.kinds[b]) })
	}
	for _, k := range own {
		t.Head = append(t.Head, numCol(clean(c.kinds[k].label())))
	}
	if cut {
		t.Head = append(t.Head, numCol("All others"))
	}
	t.Head = append(t.Head, numCol("Refused"))
	for _, w := range weeks {
		t.Rows = append(t.Rows, c.weekKinds(w, own, cut))
	}
	t.Foot = c.weekKinds(week{from: 0, to: c.cal.n}, own, cut)
	t.Foot[0] = text("Total")
	return t
}

func (c *count) weekKinds(w week, own []int, cut bool) []cell {
	row, refused := []cell{dateCell(w.monday)}, c.sumDays(w).refused
	left := refused
	for _, k := range own {
		n := int64(0)
		for d := w.from; d < w.to; d++ {
			n += at(c.days[d].kinds, k)
		}
		row = append(row, num(n))
		left -= n
	}
	if cut {
		row = append(row, num(left))
	}
	return append(row, num(refused))
}

func (c *count) daysTable() table {
	t := table{
		ID: "days", Caption: "Day by day", Keys: 1,
		Head:  []column{col("Day"), numCol("Devices"), numCol("Requests"), numCol("Refused"), numCol("Steered")},
		Empty: "There is not one request in the record.",
		Note:  "Days without a request are left out here; they are listed under “Is the record whole?”.",
	}
	for i := range c.days {
		if d := &c.days[i]; d.requests > 0 {
			t.Rows = append(t.Rows, []cell{dateCell(c.cal.date(i)), num(int64(d.devices.len())), num(d.requests), num(d.refused), num(d.steered)})
		}
	}
	return t
}
