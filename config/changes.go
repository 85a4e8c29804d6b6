package config

import (
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Changes is how the filter may be changed without editing the file: schoolgate changes, and what stands on it.
type Changes struct {
	Approval Approval `toml:"approval"`
	AllowFor Duration `toml:"allow_for"` // life of what opens the filter and names no end
	MaxFor   Duration `toml:"max_for"`   // the longest that anything may open it
	People   []Person `toml:"people"`    // who may; empty: whoever may run the command, by any name
}

// Approval is who must agree before a change opens the filter: "second-person" or "none".
type Approval uint8

// The approvals.
const (
	SecondPerson Approval = iota // somebody other than who proposed it
	NoApproval                   // nobody
)

var approvalNames = [...]string{"second-person", "none"}

// UnmarshalText reads what String writes.
func (a *Approval) UnmarshalText(text []byte) error { return readWord(a, text, approvalNames[:]) }

// MarshalText writes String.
func (a Approval) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

func (a Approval) String() string { return word(a, approvalNames[:]) }

// Person is somebody who may change the filter.
type Person struct {
	Name string `toml:"name"`
	Role Role   `toml:"role"`
}

// Role is what somebody is at the school: "staff", "technical", "dsl" or "leadership". Everybody named may propose, block
// and revert; only the last two may agree that the filter is opened.
type Role uint8

// The roles.
const (
	Staff Role = iota
	Technical
	DSL // the designated safeguarding lead, or a deputy
	Leadership
)

var roleNames = [...]string{"staff", "technical", "dsl", "leadership"}

// UnmarshalText reads what String writes.
func (r *Role) UnmarshalText(text []byte) error { return readWord(r, text, roleNames[:]) }

// MarshalText writes String.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

func (r Role) String() string { return word(r, roleNames[:]) }

// Agrees says whether somebody of the role may agree to a change.
func (r Role) Agrees() bool { return r == DSL || r == Leadership }

// SamePerson says whether two names are of one person: case, accents, spaces, and what is neither letter nor digit do not
// count, however the letters are put together (Unicode's NFKD).
func SamePerson(a, b string) bool { return personKey(a) == personKey(b) }

func personKey(name string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return -1
		}
		return unicode.ToLower(unicode.ToUpper(r)) // letters with two small forms have one large one
	}, norm.NFKD.String(name))
}

// Person finds somebody by name, as SamePerson compares them.
func (c *Changes) Person(name string) (Person, bool) {
	for _, p := range c.People {
		if SamePerson(p.Name, name) {
			return p, true
		}
	}
	return Person{}, false
}

func (*Person) required() []string { return []string{"name", "role"} }

func (k *checker) changes() {
	c := k.c.Changes
	k.within("changes.allow_for", c.AllowFor, time.Minute, 3660*day)
	k.within("changes.max_for", c.MaxFor, time.Minute, 3660*day)
	if c.AllowFor > c.MaxFor {
		k.refusef("changes.allow_for", "make allow_for the smaller one", "allow_for %v is more than max_for %v", c.AllowFor, c.MaxFor)
	}
	if c.Approval == NoApproval {
		k.warnf("changes.approval", `write approval = "second-person"`, "one person alone can open the filter")
	}
	keys, agree := make([]string, len(c.People)), 0
	for i, p := range c.People {
		k.label(child(element("changes.people", i), "name"), p.Name)
		if keys[i] = personKey(p.Name); keys[i] == "" && p.Name != "" {
			k.refusef(child(element("changes.people", i), "name"), "write what the person is called", "%q has no letter", p.Name)
		}
		if p.Role.Agrees() {
			agree++
		}
	}
	distinct("changes.people", keys, func(path string, first int) {
		k.refusef(child(path, "name"), "give each a name of its own; letters and digits alone count", "%s has that name already", element("changes.people", first))
	})
	switch {
	case len(c.People) == 0 || c.Approval == NoApproval:
	case agree == 0:
		k.refusef("changes.people", `give at least one the role "dsl" or "leadership"`, "nobody may agree to a change")
	case agree == 1:
		k.warnf("changes.people", "name a second one, a deputy say", "only one person may agree to changes, and nobody to that person's own")
	}
}
