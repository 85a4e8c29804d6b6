// Package monitor holds the words that its wing shares: conditions of health, alerts, changes of filtering, gaps in the
// record.
package monitor

import "time"

// Severity grades a condition or an alert by how soon a person should see it.
type Severity uint8

// The severities.
const (
	Info     Severity = iota // nothing to do
	Notice                   // look this week
	Warning                  // look today
	Critical                 // filtering, the record or a child's safety is impaired: look now
)

func (s Severity) String() string {
	if int(s) < len(severityNames) {
		return severityNames[s]
	}
	return "unknown"
}

var severityNames = [...]string{"info", "notice", "warning", "critical"}

// Condition is one typed statement about the health of the box that is true now. It names no device, person or site.
type Condition struct {
	Code     string // stable and machine-readable: upstream.down, lists.stale, record.dropped
	Severity Severity
	Title    string // one plain sentence for a person
	Hint     string // what to do about it
	Since    time.Time
}

// Alert is one episode that the DSL (or, for Kind System, the technical lead) should know of. It is what the database
// holds; what leaves the box in an e-mail is less.
type Alert struct {
	ID       int64
	Kind     Kind
	Severity Severity
	Category string // of the block; "" for Kind System
	Group    string
	Device   string
	Site     string // registrable domain; always "" for Kind Illegal
	Code     string // Kind System: the condition's code
	Text     string // Kind System: the condition's title
	First    time.Time
	Last     time.Time
	Count    int64 // queries in the episode
}

// Kind tells the alerts apart that are routed differently.
type Kind uint8

// The kinds of alert.
const (
	Blocked Kind = iota // a name in an alerting category
	Illegal             // a name of the illegal tier: at once, and never named
	System              // the box itself: lost rows, a list out of date
)

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "unknown"
}

var kindNames = [...]string{"blocked", "illegal", "system"}

// Change is one recorded change of what is filtered or how.
type Change struct {
	At      time.Time
	Kind    string // config, lists, start, change, decision
	Summary string // one plain sentence
	Detail  string // what was before and after, a line each
	By      string // who asked for it and who agreed; "" when nobody is known
}

// Gap is a stretch of time for which the record is not whole.
type Gap struct {
	From, To time.Time
	Reason   string // stopped, killed, dropped, damaged (a month's file was set aside), full (the disk had no room)
	Lost     int64  // rows known to be lost; 0 when nothing was running to count them
}

// Head is the end of a chain of hashed lines at some time. Kept away from the chain, it shows that none of it was exchanged
// or cut off since.
type Head struct {
	At    time.Time `json:"at"`
	Count int       `json:"count"` // lines
	Hash  string    `json:"hash"`  // of the last of them, 64 hexadecimal digits
}

// Hit is one name that the illegal tier refused to one device, for ten minutes at most, or what is left of a flood of
// them. It never holds the name.
type Hit struct {
	ID          int64
	First, Last time.Time
	Device      string // "" for the rest of a flood
	List        string
	Sealed      []byte // the name, for the safeguarding lead's key; nil when there is no key
	Count       int64
}

// Request is somebody's wish, from the block page, that a refused site be looked at. Nobody has checked who it was.
type Request struct {
	ID     int64
	At     time.Time
	Site   string // the name in the address, or what stands for one that must be kept nowhere
	Reason string // why it was refused: a category, or the rule
	Device string
	Group  string
	Name   string // as somebody wrote it
	Role   string // teacher, staff or other
	Why    string

	// What became of it, by the log of changes; the zero time while nobody has answered.
	Answered   time.Time
	AnsweredBy string
	Answer     string
}
