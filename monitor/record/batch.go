package record

import (
	"net/netip"
	"time"

	"schoolgate/resolver/query"
)

// Batch is rows on their way to the record. What rows share is in it once, and they name it by its index; so whoever keeps
// a batch looks at each device, verdict and name once, and not once for each row.
type Batch struct {
	Who   []Who
	Why   []Why
	Names []string // as in Row.Name
	Rows  []Entry  // in any order; by time takes least room
}

// Entry is a row of a Batch.
type Entry struct {
	Time           int64  // milliseconds since 1970
	Took           uint32 // microseconds
	Who, Why, Name uint32
}

// Who is the part of a Row that says who asked.
type Who struct {
	Device string
	Addr   netip.Addr
	Group  string
}

// Why is the part of a Row that says what became of it.
type Why struct {
	Action         query.Action
	Rule           query.Rule
	Category, List string
	Source         query.Source
	RCode, Type    uint16
	Via            query.Via
}

// Row gives row i.
func (b *Batch) Row(i int) Row {
	e := &b.Rows[i]
	return e.Row(&b.Who[e.Who], &b.Why[e.Why], b.Names[e.Name])
}

// Row puts a row together.
func (e *Entry) Row(who *Who, why *Why, name string) Row {
	return Row{
		Time: time.UnixMilli(e.Time).UTC(), Duration: time.Duration(e.Took) * time.Microsecond, Name: name,
		Device: who.Device, Addr: who.Addr, Group: who.Group,
		Type: why.Type, Action: why.Action, Rule: why.Rule, Category: why.Category, List: why.List, Source: why.Source, RCode: why.RCode, Via: why.Via,
	}
}

// Micros keeps a duration in 32 bits, which is more than an hour.
func Micros(d time.Duration) uint32 {
	return uint32(min(max(d.Microseconds(), 0), 1<<32-1))
}

// BatchOf makes a batch of rows.
func BatchOf(rows ...Row) *Batch {
	b := &Batch{Rows: make([]Entry, 0, len(rows))}
	who, why, names := make(map[Who]uint32), make(map[Why]uint32), make(map[string]uint32)
	for i := range rows {
		r := &rows[i]
		b.Rows = append(b.Rows, Entry{
			Time: r.Time.UnixMilli(), Took: Micros(r.Duration),
			Who:  index(who, &b.Who, Who{r.Device, r.Addr, r.Group}),
			Why:  index(why, &b.Why, Why{r.Action, r.Rule, r.Category, r.List, r.Source, r.RCode, r.Type, r.Via}),
			Name: index(names, &b.Names, r.Name),
		})
	}
	return b
}

// index is where v is in all, to which it is added when it is new.
func index[T comparable](known map[T]uint32, all *[]T, v T) uint32 {
	i, ok := known[v]
	if !ok {
		i = uint32(len(*all))
		known[v] = i
		*all = append(*all, v)
	}
	return i
}
