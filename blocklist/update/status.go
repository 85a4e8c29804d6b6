package update

import (
	"time"

	"schoolgate/blocklist/starter"
)

// State is how good the copy of a list is.
type State uint8

// The states.
const (
	Fresh   State = iota // known to be current within twice the time between two looks
	Stale                // older: the last good copy is in use
	Never                // no usable copy: the list blocks nothing
	Starter              // built in: as old as the program
	Retired              // of the illegal tier, no longer configured: blocks until the set is compiled without it
)

func (s State) String() string {
	return [...]string{"fresh", "stale", "never", "starter", "retired"}[s]
}

// MarshalText writes the state as its word.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Status is one list as people and metrics see it.
type Status struct {
	Name     string        `json:"name"`
	Category string        `json:"category"`
	Source   string        `json:"source"` // without credentials and query; "" when built in
	State    State         `json:"state"`
	Rules    int           `json:"rules"`
	Problems int           `json:"problems"`         // lines or names on them that made no rule
	Fetched  time.Time     `json:"fetched,omitzero"` // when the copy in use came
	Checked  time.Time     `json:"checked,omitzero"` // when it was last known to be current
	Age      time.Duration `json:"age"`              // since Checked; 0 when never or built in
	Next     time.Time     `json:"next,omitzero"`    // when it is looked at next
	Failures int           `json:"failures"`         // in a row
	Error    string        `json:"error,omitempty"`  // of the last look; "" when it went well
}

// Status tells of every configured list in order, then of retired lists, then of the starter lists in use. It reads the state on disk, so it is
// right in another process too, and is safe for concurrent use.
func (u *Updater) Status() []Status {
	plan, now := u.plan(), u.now()
	f := folder(u.dir)
	var out []Status
	without := make(map[string]bool)
	for _, l := range plan.Lists {
		m := f.readMeta(l.Name)
		s := Status{
			Name: l.Name, Category: l.Category, Source: display(l.Source), Rules: m.Rules, Problems: m.Problems,
			Fetched: m.Fetched, Checked: m.Checked, Failures: m.Failures, Error: printable(m.Error),
		}
		if !m.Checked.IsZero() {
			s.Age = max(0, now.Sub(m.Checked))
		}
		if !m.Attempted.IsZero() {
			s.Next = due(l, m, now)
		}
		switch d := f.wantedDigest(l); {
		case d == "" || d == changed && m.Fetched.IsZero():
			s.State, without[l.Name] = Never, true
		case s.Age > 2*every(l) || m.Checked.IsZero():
			s.State = Stale
		}
		out = append(out, s)
	}
	for _, o := range f.retired(plan.Lists) {
		m := o.meta
		out = append(out, Status{
			Name: o.name, Category: m.Config.Category, Source: m.Source, State: Retired, Rules: m.Rules, Problems: m.Problems,
			Fetched: m.Fetched, Checked: m.Checked, Age: max(0, now.Sub(m.Checked)),
		})
	}
	for _, c := range plan.starters(func(list string) bool { return without[list] }) {
		n := 0
		for range starter.Rules(c) {
			n++
		}
		out = append(out, Status{Name: StarterPrefix + c, Category: c, State: Starter, Rules: n})
	}
	return out
}
