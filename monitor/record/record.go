// Package record is what the log holds: one row per query, filters over rows, and tallies of them.
package record

import (
	"net/netip"
	"time"

	"schoolgate/resolver/query"
)

// Withheld stands in place of a name that the record must not hold: names of the illegal tier (IWF rules).
const Withheld = "(withheld: illegal tier)"

// Row is one query as the record keeps it. Times are kept to the millisecond, durations to the microsecond.
type Row struct {
	Time     time.Time
	Device   string
	Addr     netip.Addr
	Group    string
	Name     string // canonical text without final dot; Withheld for the illegal tier; "." for the root
	Type     uint16
	Action   query.Action
	Rule     query.Rule
	Category string
	List     string
	Via      query.Via
	Source   query.Source
	RCode    uint16
	Duration time.Duration
}

// FromQuery copies what the record keeps of q. It allocates the name; nothing of q is retained.
func FromQuery(q *query.Query) Row {
	r := Row{
		Time: q.Start, Device: q.Client.Device, Addr: q.Client.Addr, Group: q.Client.Name,
		Type: q.Question.Type, Action: q.Verdict.Action, Rule: q.Verdict.Rule,
		Category: q.Verdict.Category, List: q.Verdict.List, Via: q.Verdict.Via(),
		Source: q.Source, RCode: q.RCode, Duration: q.Duration,
	}
	if q.Verdict.Rule.Withheld() {
		r.Name = Withheld
	} else {
		r.Name = q.Question.Name.Name().String()
	}
	return r
}

// Filter selects rows. Zero fields select everything; all given ones must hold.
type Filter struct {
	From, To time.Time // From ≤ Time < To
	Device   string    // exactly this device name, MAC or address
	Group    string
	Name     string // this name and names below it; with * anywhere, a pattern over the whole name
	Category string
	Action   *query.Action
	Limit    int // newest rows first; 0 is no limit
}

// Tally is how many rows of one local day agree in all these fields.
type Tally struct {
	Day      time.Time // midnight, in the location asked for
	Device   string
	Group    string
	Name     string
	Action   query.Action
	Rule     query.Rule
	Category string
	List     string
	Count    int64
}
