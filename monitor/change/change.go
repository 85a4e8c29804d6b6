// Package change is the control of changes of the filter: what was proposed by whom and why, who agreed, what is in force
// until when, and an append-only log of it all in which every later alteration shows.
//
// # The log
//
// One file of lines, each a JSON object that ends with the SHA-256 of the rest of the line, which holds the hash of the
// line before: a chain. Whoever alters, removes or moves a line breaks it there. Whoever cuts lines off the end, or writes
// the whole file anew, does not; so its head, the number and hash of the last line, is also kept elsewhere (Anchors), and
// stands in reports and mails. The file is written under its own lock, by the command line and the service alike, and each
// line is on the disk before anybody is told that it was taken.
//
// # In force
//
// What is in force follows from the log and the clock alone (Book.Active), so that nothing is lost between the line that
// says so and the filter that does it: a service that starts again comes to the same. Effective lays the changes in force
// over the configuration of the file.
//
// # Who may
//
// What tightens the filter applies at once and is looked at afterwards; what opens it waits for a second person, and ends
// by itself. Names are what people say they are: a log of who claimed what, beside the account that ran the command.
package change

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"schoolgate/blocklist/domain"
)

// Action is what a change does.
type Action string

// The actions.
const (
	Allow    Action = "allow"    // a name and all below it, whatever its category
	Block    Action = "block"    // a name and all below it
	Category Action = "category" // of a group: refuse some, no longer refuse others
	Service  Action = "service"  // of a group, of the service catalogue: likewise
	Stop     Action = "stop"     // refuse every name
	Revert   Action = "revert"   // end another change before its time
)

// What is one change of filtering. Its slices are not altered once made.
type What struct {
	Action Action      `json:"action"`
	Name   domain.Name `json:"name,omitempty"`  // Allow and Block
	Group  string      `json:"group,omitempty"` // "": the whole setting; Category and Service must name one
	On     []string    `json:"on,omitempty"`    // Category, Service: now refused
	Off    []string    `json:"off,omitempty"`   // Category: no longer refused; Service: let through whatever its category
	Of     int         `json:"of,omitempty"`    // Revert: the change that ends
}

// Opens says whether the change lets through what was refused. A Revert opens when what it ends tightened, which Book
// knows.
func (w What) Opens() bool { return w.Action == Allow || len(w.Off) > 0 }

// Tightens says whether the change refuses what was let through.
func (w What) Tightens() bool {
	return w.Action == Block || w.Action == Stop || len(w.On) > 0
}

// String is the change in a few words: "allow example.org for the group staff".
func (w What) String() string {
	who := "everyone"
	if w.Group != "" {
		who = "the group " + w.Group
	}
	switch w.Action {
	case Allow, Block:
		return fmt.Sprintf("%s %s for %s", w.Action, w.Name, who)
	case Stop:
		return "refuse every name to " + who
	case Revert:
		return fmt.Sprintf("revert change %d", w.Of)
	case Category, Service:
		kind := ""
		if w.Action == Service {
			kind = "the service "
		}
		var parts []string
		if len(w.On) > 0 {
			parts = append(parts, "refuse "+kind+strings.Join(w.On, ", "))
		}
		if len(w.Off) > 0 {
			parts = append(parts, "no longer refuse "+kind+strings.Join(w.Off, ", "))
		}
		return strings.Join(parts, " and ") + " to " + who
	}
	return string(w.Action)
}

// sound says whether the fields fit together: a line of a log that somebody wrote by hand may hold anything.
func (w What) sound() bool {
	named := w.Name != ""
	if named {
		n, err := domain.Parse(string(w.Name))
		named = err == nil && n == w.Name
	}
	switch w.Action {
	case Allow, Block:
		return named && len(w.On)+len(w.Off) == 0
	case Category, Service:
		return w.Group != "" && len(w.On)+len(w.Off) > 0 && !slices.ContainsFunc(w.On, func(c string) bool { return slices.Contains(w.Off, c) })
	case Stop:
		return len(w.On)+len(w.Off) == 0
	case Revert:
		return w.Of > 0 && len(w.On)+len(w.Off) == 0
	}
	return false
}

// Need is what a change waits for.
type Need string

// The needs.
const (
	Nothing  Need = ""
	Approval Need = "approval" // before it applies
	Review   Need = "review"   // afterwards: it applies at once
)

// State is where a change stands at some time.
type State string

// The states.
const (
	Pending  State = "pending"  // waits for a second person
	Active   State = "active"   // in force
	Refused  State = "refused"  // never was in force
	Lapsed   State = "lapsed"   // its time ended before anybody agreed
	Expired  State = "expired"  // its time has ended
	Reverted State = "reverted" // ended by a person
	Done     State = "done"     // a Revert that was carried out
)

// Change is one change as the log tells of it. It is not altered once read.
type Change struct {
	ID int // the number of the line that proposed it
	What
	By, Role, Via string // who proposed it; their role, if people are configured; the account that did
	Why, Risk     string
	Proposed      time.Time
	Needs         Need
	ApprovedBy    string // the second person; "" while there is none
	ApprovedAt    time.Time
	Began         time.Time     // when it came into force; zero while it waits, and for ever when it was refused
	Until         time.Time     // when it ends by itself; zero: it does not, or For says it
	For           time.Duration // how long from Began; Until has it once it began
	Ended         time.Time     // by a line of the log; zero: not yet
	EndedAs       State
	EndedBy       string
	EndedWhy      string
	Applied       time.Time // when the service said that it is in force; zero: not yet
	Before, After []string  // what the service found then
	turn          int       // the number of the line that put it in force
	Doubted       bool      // it opens the filter and stands behind a break of the chain: not believed
}

// State is where the change stands at now.
func (c *Change) State(now time.Time) State {
	over := !c.Until.IsZero() && !now.Before(c.Until)
	switch {
	case !c.Ended.IsZero():
		return c.EndedAs
	case c.Began.IsZero() && over:
		return Lapsed
	case c.Began.IsZero():
		return Pending
	case c.Action == Revert:
		return Done
	case over:
		return Expired
	}
	return Active
}

// Unreviewed says whether the change is in force and no second person has looked at it yet, though one should.
func (c *Change) Unreviewed(now time.Time) bool {
	return c.Needs == Review && c.ApprovedBy == "" && c.State(now) == Active
}
