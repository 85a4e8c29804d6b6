package update

import (
	"time"

	"schoolgate/blocklist/starter"
	"schoolgate/config"
)

// State is how good the copy of a list is.
type State uint8

// The states.
const (
	Fresh   State = iota // known to be current within the list's max_age
	Stale                // older: the last good copy is in use
	Never                // no usable copy: the list blocks nothing
	Starter              // built in: as old as the program
	Retired              // of the illegal tier, no longer configured: what keeps that tier says so
	Held                 // at a version that a person chose: no newer one is looked for
	Waiting              // the last good copy is in use; a newer version waits for a person
)

func (s State) String() string {
	return [...]string{"fresh", "stale", "never", "starter", "retired", "held", "waiting"}[s]
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

	MaxAge    time.Duration  `json:"max_age,omitempty"` // older than this it is stale
	Served    string         `json:"served,omitempty"`  // the mirror that the copy in use came from, without credentials; "" for the source itself
	SHA256    string         `json:"sha256,omitempty"`  // of the copy in use
	Before    *Version       `json:"before,omitempty"`  // the version before it, which Revert puts back
	Waiting   *Version       `json:"waiting,omitempty"` // the version that waits for a person
	HeldSince time.Time      `json:"held_since,omitzero"`
	HeldBy    string         `json:"held_by,omitempty"`
	Skipped   map[string]int `json:"skipped,omitempty"`  // Problems by kind
	Conflicts Conflicts      `json:"conflicts,omitzero"` // of the copy in use
}

// Version is one kept version of a list, besides the one in use.
type Version struct {
	SHA256    string    `json:"sha256"`
	Rules     int       `json:"rules"`
	Fetched   time.Time `json:"fetched"`
	Conflicts Conflicts `json:"conflicts,omitzero"`
}

func (v *version) public() *Version {
	return &Version{SHA256: v.SHA256, Rules: v.Rules, Fetched: v.Fetched, Conflicts: v.Conflicts}
}

// servedBy names the mirror that the copy in use came from.
func servedBy(l config.List, m meta) string {
	for _, a := range l.Mirrors {
		if m.From == addressID(a) {
			return display(a)
		}
	}
	return ""
}

// Status tells of every configured list in order, then of the starter lists in use. It reads the state on disk, so it is
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
			MaxAge: maxAge(l), Served: servedBy(l, m), SHA256: m.SHA256, Skipped: m.Skipped, Conflicts: m.Conflicts,
		}
		if m.Before != nil && f.holds(f.old(l.Name), *m.Before) {
			s.Before = m.Before.public()
		}
		if f.waits(l, m) {
			s.Waiting = m.Waiting.public()
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
		case m.Held != nil:
			s.State, s.HeldSince, s.HeldBy, s.Next = Held, m.Held.At, m.Held.By, time.Time{}
		case s.Waiting != nil:
			s.State = Waiting
		case s.Age > maxAge(l) || m.Checked.IsZero() || m.Checked.After(now.Add(clockSlack)):
			s.State = Stale
		}
		out = append(out, s)
	}
	for _, c := range plan.starters(func(list string) bool { return without[list] }) {
		n := 0
		for range starter.Rules(c) {
			n++
		}
		out = append(out, Status{Name: starter.Name(c), Category: c, State: Starter, Rules: n})
	}
	return out
}
