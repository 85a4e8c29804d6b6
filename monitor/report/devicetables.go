package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// sumOf adds up a column.
func sumOf(rows [][]cell, i int) (sum int64) {
	for _, r := range rows {
		n, _ := strconv.ParseInt(r[i].Raw, 10, 64) // a cell made by num
		sum += n
	}
	return sum
}

// gravest is the gravest kind that a device was refused, -1 for none.
func (c *count) gravest(d *device) int {
	for _, k := range c.order {
		if d.kinds[k] != nil {
			return k
		}
	}
	return -1
}

// byConcern gives the devices in the order in which to look at them: by gravest category, then by how often they were
// refused in it, then by all refusals.
func (c *count) byConcern() []int {
	rank := make([]int, len(c.devices))
	most := make([]int64, len(c.devices))
	all := make([]int, len(c.devices))
	for i := range c.devices {
		all[i], rank[i] = i, len(c.order)
		if k := c.gravest(&c.devices[i]); k >= 0 {
			rank[i], most[i] = slices.Index(c.order, k), c.devices[i].kinds[k].n
		}
	}
	slices.SortFunc(all, func(a, b int) int {
		return cmp.Or(cmp.Compare(rank[a], rank[b]), cmp.Compare(most[b], most[a]), cmp.Compare(c.devices[b].refused, c.devices[a].refused),
			cmp.Compare(c.devices[b].requests, c.devices[a].requests), strings.Compare(c.devices[a].name, c.devices[b].name))
	})
	return all
}

func (c *count) groupNames(s *set) string {
	var names []string
	for i := range c.groups {
		if slices.Contains(s.few, uint16(i)) || i/64 < len(s.many) && s.many[i/64]>>(i%64)&1 != 0 {
			names = append(names, orNone(c.groups[i].name, notKnown))
		}
	}
	return strings.Join(names, ", ")
}

func (c *count) devicesTable(order []int) table {
	t := table{
		ID: "devices", Caption: "Every device that asked", Keys: 1, Empty: "No device asked anything.",
		Head: []column{col("Device"), col("Group"), numCol("Requests"), numCol("Refused"), numCol("Days"), col("Refused, by category"), col("Remark")},
		Foot: []cell{text("Total"), text(""), num(c.sums.requests), num(c.sums.refused)},
	}
	for _, i := range order {
		d := &c.devices[i]
		var of []string
		remark := ""
		for _, k := range c.order {
			dk := d.kinds[k]
			if dk == nil {
				continue
			}
			of = append(of, c.kinds[k].label()+" "+thousands(dk.n))
			if remark == "" && dk.constant != nil && dk.constant.most >= constantAt {
				remark = fmt.Sprintf("%s up to %s times in one day: likely an app", dk.constantSite, thousands(dk.constant.most))
			}
		}
		t.Rows = append(t.Rows, []cell{
			text(orNone(d.name, notKnown)), text(c.groupNames(&d.groups)), num(d.requests), num(d.refused), num(int64(d.days)),
			text(strings.Join(of, "; ")), text(remark),
		})
	}
	t.limit(deviceRows, func(rest [][]cell) []cell {
		return []cell{text(fmt.Sprintf("(%d other devices)", len(rest))), text(""), num(sumOf(rest, 2)), num(sumOf(rest, 3)), text("–"), text(""), text("")}
	})
	return t
}

// deviceKindsTable is who was refused what, in numbers.
func (c *count) deviceKindsTable(order []int) table {
	t := table{
		ID: "devicekinds", Caption: "Requests refused, by device and category", Keys: 2, Empty: "Nothing was refused.",
		Head: []column{col("Device"), col("Category"), numCol("Refused"), numCol("Days"), numCol("Sites")},
		Note: "“Sites” counts different sites, whatever their pages. Sites of the illegal tier are not kept, so they cannot be counted." + atLeast(c.pairs.floor),
	}
	for _, i := range order {
		for _, k := range c.order {
			dk := c.devices[i].kinds[k]
			if dk == nil {
				continue
			}
			sites := num(int64(dk.sites))
			if c.kinds[k] == illegal {
				sites = text("–")
			}
			t.Rows = append(t.Rows, []cell{
				text(orNone(c.devices[i].name, notKnown)), named(c.kinds[k].label(), c.kinds[k].key()), num(dk.n), num(int64(dk.days)), sites,
			})
		}
	}
	t.limit(2*deviceRows, func(rest [][]cell) []cell {
		return []cell{text(fmt.Sprintf("(%d other rows)", len(rest))), text(""), num(sumOf(rest, 2)), text("–"), text("–")}
	})
	return t
}

// repeated is a device that asked for a refused site on several days: what the audit of attempts is about.
type repeated struct {
	key pairKey
	n   int64
	*pairSums
}

func (c *count) repeats() []repeated {
	var all []repeated
	for k, e := range c.pairs.entries {
		if e.v.days > 1 && c.deliberate(k.kind) && c.devices[k.device].name != "" {
			all = append(all, repeated{k, e.n, &e.v})
		}
	}
	slices.SortFunc(all, func(a, b repeated) int {
		ga, gb := c.kinds[a.key.kind].rank(), c.kinds[b.key.kind].rank()
		return cmp.Or(cmp.Compare(ga, gb), cmp.Compare(b.days, a.days), cmp.Compare(b.n, a.n),
			cmp.Compare(a.key.device, b.key.device), strings.Compare(a.key.site, b.key.site))
	})
	return all
}

// deliberate says whether asking for a name of the kind can be a person's doing at all, rather than a rule's.
func (c *count) deliberate(k int) bool { return c.kinds[k].category != "" }

func (c *count) repeatsTable(all []repeated) table {
	t := table{
		ID: "repeats", Caption: "Refused sites that one device asked for on more than one day", Keys: 3,
		Empty: "No device asked for a refused site on more than one day.",
		Head:  []column{col("Device"), col("Site"), col("Category"), numCol("Days"), numCol("Refused"), col("Remark")},
	}
	for _, r := range all[:min(len(all), repeatRows)] {
		remark := ""
		if r.most >= constantAt {
			remark = fmt.Sprintf("up to %s times in one day: likely an app", thousands(r.most))
		}
		t.Rows = append(t.Rows, []cell{
			text(orNone(c.devices[r.key.device].name, notKnown)), text(r.key.site),
			named(c.kinds[r.key.kind].label(), c.kinds[r.key.kind].key()), num(int64(r.days)), num(r.n), text(remark),
		})
	}
	if more := len(all) - repeatRows; more > 0 {
		t.Note = fmt.Sprintf("The %d gravest are shown; there are %s more.", repeatRows, thousands(int64(more)))
	}
	return t
}

// A device that asked on regularDays or more, and then not on the last silentDays that others did, has fallen silent.
const (
	regularDays = 5
	silentDays  = 5
)

// fellSilent gives the devices, by number, with how many days others asked on since.
func (c *count) fellSilent() map[int]int {
	busy := make([]int, c.cal.n+1) // days with requests from day i on
	for i := c.cal.n - 1; i >= 0; i-- {
		busy[i] = busy[i+1]
		if c.days[i].requests > 0 && !c.cal.weekend(i) {
			busy[i]++
		}
	}
	out := map[int]int{}
	for i := range c.devices {
		if d := &c.devices[i]; d.name != "" && d.days >= regularDays && busy[d.last+1] >= silentDays {
			out[i] = busy[d.last+1]
		}
	}
	return out
}

func (c *count) silentTable() table {
	t := table{
		ID: "silent", Caption: "Devices in regular use that stopped asking", Keys: 1, Empty: "No device that was in regular use fell silent.",
		Head: []column{col("Device"), col("Last request"), numCol("Weekdays in use by others since"), numCol("Days in use before"), handCol("What became of it")},
		Note: fmt.Sprintf("Devices that asked on at least %d days, and then on none of the last %d or more weekdays on which others did.", regularDays, silentDays),
	}
	silent := c.fellSilent()
	var order []int
	for i := range silent {
		order = append(order, i)
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(silent[b], silent[a]), strings.Compare(c.devices[a].name, c.devices[b].name))
	})
	for _, i := range order {
		d := &c.devices[i]
		t.Rows = append(t.Rows, []cell{text(d.name), dateCell(c.cal.date(d.last)), num(int64(silent[i])), num(int64(d.days)), blank()})
	}
	if more := len(t.Rows) - repeatRows; more > 0 {
		t.Note += fmt.Sprintf(" The %d longest silent are shown; there are %s more.", repeatRows, thousands(int64(more)))
	}
	t.limit(repeatRows, nil)
	return t
}

// neverSeen are devices in the configuration that asked nothing in all this time.
func (c *count) neverSeen() []string {
	var names []string
	for _, n := range c.site.Devices {
		if _, seen := c.deviceAt[n]; !seen {
			names = append(names, clean(n))
		}
	}
	return names
}

func (c *count) illegalTable() table {
	t := table{
		ID: "illegal", Caption: "Requests refused by the illegal tier", Keys: 2, Empty: "No request was refused by the illegal tier.",
		Head: []column{col("Day"), col("Device"), numCol("Requests"), handCol("Reported to, and when")},
	}
	var keys []illegalKey
	for k := range c.illegal {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b illegalKey) int {
		return cmp.Or(cmp.Compare(uint(a.day), uint(b.day)), strings.Compare(c.devices[a.device].name, c.devices[b.device].name))
	})
	for _, k := range keys {
		row := []cell{text("(other days)"), text(otherDevices), num(c.illegal[k]), blank()}
		if k.day >= 0 {
			row[0], row[1] = dateCell(c.cal.date(k.day)), text(orNone(c.devices[k.device].name, notKnown))
		}
		t.Rows = append(t.Rows, row)
	}
	t.limit(illegalRows, func(rest [][]cell) []cell {
		return []cell{text("(other days)"), text(otherDevices), num(sumOf(rest, 2)), blank()}
	})
	return t
}
