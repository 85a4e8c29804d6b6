package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"schoolgate/blocklist/domain"
	"schoolgate/blocklist/lookalike"
	"schoolgate/monitor/record"
)

// alike is names that were allowed and look like well-known blocked ones.
type alike struct {
	names map[string]*alikeName
	none  map[string]bool // names that look like none: most come again each day
}

type alikeName struct {
	nameSums
	hit lookalike.Hit
}

// Bounds of what is remembered of names that were allowed. Beyond the first, names are counted together; the second only
// saves looking twice.
const (
	maxAlike    = 512
	maxOrdinary = 1 << 14
)

// liken counts an allowed name if it looks like a blocked one.
func (c *count) liken(d int, t record.Tally) {
	if !c.site.Alike || c.alike.none[t.Name] {
		return
	}
	n := c.alike.names[t.Name]
	if n == nil {
		hit, ok := lookalike.FindName(domain.Name(t.Name))
		if !ok {
			if c.alike.none == nil || len(c.alike.none) >= maxOrdinary {
				c.alike.none = make(map[string]bool, maxOrdinary)
			}
			c.alike.none[t.Name] = true
			return
		}
		if n = c.alike.add(t.Name, hit); n == nil {
			return
		}
	}
	n.n += t.Count
	c.mark(&n.devices, d)
}

func (a *alike) add(name string, hit lookalike.Hit) *alikeName {
	if a.names == nil {
		a.names = map[string]*alikeName{}
	}
	if len(a.names) >= maxAlike {
		name, hit = otherNames, lookalike.Hit{}
	}
	n := a.names[name]
	if n == nil {
		n = &alikeName{hit: hit}
		a.names[name] = n
	}
	return n
}

func (c *count) alikeTable() table {
	t := table{
		ID: "alike", Caption: "Names let through that look like blocked ones", Keys: 1, Empty: "No name that was let through looked like a well-known blocked one.",
		Head: []column{col("Name"), col("Looks like"), col("Category of that"), col("How"), numCol("Requests"), numCol("Devices")},
	}
	if !c.site.Alike {
		t.Empty = "The configuration says not to look for such names (answers.lookalikes)."
	}
	var names []string
	for n := range c.alike.names {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(c.alike.names[b].n, c.alike.names[a].n), strings.Compare(a, b))
	})
	for _, n := range names {
		a := c.alike.names[n]
		of := kind{category: a.hit.Category}
		row := []cell{text(n), text(string(a.hit.Of)), named(of.label(), of.key()), text(a.hit.Kind.String()), num(a.n), num(int64(a.devices.len()))}
		if n == otherNames {
			row[1], row[2], row[3] = text("–"), text("–"), text("–")
		}
		t.Rows = append(t.Rows, row)
	}
	t.limit(alikeRows, func(rest [][]cell) []cell {
		return []cell{text(fmt.Sprintf("(%d other names)", len(rest))), text("–"), text("–"), text("–"), num(sumOf(rest, 4)), text("–")}
	})
	return t
}
