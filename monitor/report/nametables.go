package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

func (c *count) namesTable() table {
	t := table{
		ID: "names", Caption: "Refused names, most often first", Keys: 2, Empty: "No name was refused.",
		Head: []column{col("Name"), col("Category"), numCol("Refused"), numCol("Devices"), col("Remark")},
	}
	keys := c.names.sorted(func(a, b *entry[nameSums]) int { return cmp.Compare(b.n, a.n) })
	for _, k := range keys[:min(len(keys), nameRows)] {
		e := c.names.entries[k]
		t.Rows = append(t.Rows, []cell{
			text(k.name), named(c.kinds[k.kind].label(), c.kinds[k.kind].key()), num(e.n), num(int64(e.v.devices.len())), text(constant(e.v.most)),
		})
	}
	t.Note = "Names of the illegal tier are not kept, so they cannot be in this table."
	if more := len(keys) - nameRows; more > 0 {
		t.Note = fmt.Sprintf("%s are shown, those refused most; %s more were refused. %s", count1(nameRows, "name"), thousands(int64(more)), t.Note)
	}
	t.Note += atLeast(c.names.floor)
	return t
}

// constantAt is how many requests of one device for one site in one day no person makes.
const constantAt = 100

// constant is the remark on something asked for all the time.
func constant(most int64) string {
	if most < constantAt {
		return ""
	}
	return fmt.Sprintf("asked up to %s times in one day by one device: an app or a page left open is likelier than a person", thousands(most))
}

// atLeast owns up to what a sketch has forgotten.
func atLeast(floor int64) string {
	if floor == 0 {
		return ""
	}
	return fmt.Sprintf(" There were more different names than one report can hold: names refused up to %s times may be missing, and counts here may be up to that much too low. All sums are exact.", thousands(floor))
}

func (c *count) candidatesTable(all []candidate) table {
	t := table{
		ID: "overblocked", Caption: "Sites that may be refused wrongly", Keys: 2,
		Empty: "No refused site looked as if it were wanted for good reasons. Ask the staff all the same: they know best.",
		Head:  []column{col("Site"), col("Category"), numCol("Refused"), numCol("Devices"), numCol("Of these by staff"), col("Why it is listed"), handCol("Decision")},
	}
	for _, s := range all[:min(len(all), candidateLimit)] {
		t.Rows = append(t.Rows, []cell{
			text(s.site), named(c.kinds[s.kind].label(), c.kinds[s.kind].key()), num(s.n), num(int64(s.devices.len())), num(s.staff),
			text(strings.Join(s.reasons, "; ")), blank(),
		})
	}
	if more := len(all) - candidateLimit; more > 0 {
		t.Note = fmt.Sprintf("The %d surest are shown; there are %s more.", candidateLimit, thousands(int64(more)))
	}
	return t
}

func (c *count) steeredTable() table {
	t := table{
		ID: "steered", Caption: "Searches answered with their safe form", Keys: 1, Empty: "No search engine was asked for by a group with safe search.",
		Head: []column{col("Name asked for"), numCol("Requests"), numCol("Devices")},
	}
	var names []string
	for n := range c.steered {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(c.steered[b].n, c.steered[a].n), strings.Compare(a, b))
	})
	for _, n := range names {
		t.Rows = append(t.Rows, []cell{text(n), num(c.steered[n].n), num(int64(c.steered[n].devices.len()))})
	}
	t.limit(steeredRows, func(rest [][]cell) []cell {
		return []cell{text(fmt.Sprintf("(%d other names)", len(rest))), num(sumOf(rest, 1)), text("–")}
	})
	return t
}
