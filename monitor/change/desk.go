package change

import (
	"fmt"
	"time"

	"schoolgate/config"
	"schoolgate/monitor"
)

// maxOpen bounds the changes that wait or are in force.
const maxOpen = 500

// Refusal is why something may not be done, and what can be done instead.
type Refusal struct{ What, Hint string }

func (r *Refusal) Error() string { return r.What }

func refuse(hint, format string, args ...any) error {
	return &Refusal{What: fmt.Sprintf(format, args...), Hint: hint}
}

// Desk is where people change the filter: the command line uses it, and whatever else lets people do so. Its methods
// return what is to be in force; that it is, the service sees to. An error is a *Refusal when the rules say no.
type Desk struct {
	Log  *Log
	File *config.Config // of the file, as far as it is good
	// Illegal says whether a text bears a name that the illegal tier holds: then no line of the log may have it. nil: none does.
	Illegal func(text string) bool
	Via     string // the account that is at work
}

// Proposal is what somebody wants.
type Proposal struct {
	What
	By, Why, Risk string
	Until         time.Time     // when it is to end by itself; zero: For says it
	For           time.Duration // how long it is to hold once in force; 0 with a zero Until: as the configuration says
}

// Propose takes in a change. It is in force at once unless the Needs of what is returned is Approval.
func (d *Desk) Propose(p Proposal) (*Change, error) {
	who, err := d.person(p.By)
	if err != nil {
		return nil, err
	}
	if p.Why, err = d.text("--why", p.Why, true); err != nil {
		return nil, err
	}
	if p.Risk, err = d.text("--risk", p.Risk, p.Opens() || d.File.Changes.Approval == config.NoApproval); err != nil {
		return nil, err
	}
	if err := d.possible(p.What); err != nil {
		return nil, err
	}
	return d.add(func(b *Book, now time.Time) (Entry, error) {
		if n := open(b, now); n >= maxOpen {
			return Entry{}, refuse("revert what is no longer needed, or write what is to stay into the configuration file", "%d changes are open already", n)
		}
		e := Entry{Kind: KindProposed, What: &p.What, By: who.Name, Role: d.role(who), Why: p.Why, Risk: p.Risk, Until: p.Until.UTC().Truncate(time.Second), For: p.For}
		if p.Until.IsZero() {
			e.Until = time.Time{}
		}
		if err := d.life(&e, now); err != nil {
			return Entry{}, err
		}
		e.Needs = d.needs(p.What)
		return e, d.works(b, p.What, now)
	})
}

// Approve agrees to a change that waits, or says of one that applied at once that it was looked at. risk is needed when the
// proposal came without.
func (d *Desk) Approve(id int, by, why, risk string) (*Change, error) {
	who, err := d.person(by)
	if err != nil {
		return nil, err
	}
	if why, err = d.text("--why", why, false); err != nil {
		return nil, err
	}
	if risk, err = d.text("--risk", risk, false); err != nil {
		return nil, err
	}
	return d.add(func(b *Book, now time.Time) (Entry, error) {
		c, err := find(b, id)
		if err != nil {
			return Entry{}, err
		}
		switch state := c.State(now); {
		case state != Pending && !c.Unreviewed(now):
			return Entry{}, refuse("schoolgate changes list --pending shows what waits", "change %d waits for nobody: it is %s", id, state)
		case c.Doubted:
			return Entry{}, refuse("propose it again", "change %d stands behind a break of the log, so it cannot be agreed to", id)
		case d.File.Changes.Approval == config.NoApproval:
		case config.SamePerson(c.By, who.Name):
			return Entry{}, refuse("somebody else must run this", "%s proposed change %d and cannot agree to it", c.By, id)
		case len(d.File.Changes.People) > 0 && !who.Role.Agrees():
			return Entry{}, refuse(`changes.people of the configuration says who has the role "dsl" or "leadership"`, "%s has the role %q, which cannot agree to changes", who.Name, who.Role)
		}
		if c.Risk == "" && risk == "" {
			return Entry{}, refuse("--risk TEXT says what could come of it", "change %d has no risk note yet", id)
		}
		if c.Action != Revert && c.Began.IsZero() {
			if err := d.works(b, c.What, now); err != nil {
				return Entry{}, err
			}
		}
		return Entry{Kind: KindApproved, Change: id, By: who.Name, Role: d.role(who), Why: why, Risk: risk}, nil
	})
}

// Refuse ends a change that waits. Whoever proposed it may too.
func (d *Desk) Refuse(id int, by, why string) (*Change, error) {
	who, err := d.person(by)
	if err != nil {
		return nil, err
	}
	if why, err = d.text("--why", why, true); err != nil {
		return nil, err
	}
	return d.add(func(b *Book, now time.Time) (Entry, error) {
		c, err := find(b, id)
		if err != nil {
			return Entry{}, err
		}
		if s := c.State(now); s != Pending {
			hint := "there is nothing left to refuse"
			if s == Active {
				hint = fmt.Sprintf("schoolgate changes revert %d ends it", id)
			}
			return Entry{}, refuse(hint, "change %d is %s", id, s)
		}
		return Entry{Kind: KindRefused, Change: id, By: who.Name, Role: d.role(who), Why: why}, nil
	})
}

// Revert proposes to end a change that is in force. It does end at once unless that opens what a second person agreed to
// close: then Needs is Approval.
func (d *Desk) Revert(id int, by, why, risk string) (*Change, error) {
	who, err := d.person(by)
	if err != nil {
		return nil, err
	}
	if why, err = d.text("--why", why, true); err != nil {
		return nil, err
	}
	if risk, err = d.text("--risk", risk, false); err != nil {
		return nil, err
	}
	return d.add(func(b *Book, now time.Time) (Entry, error) {
		c, err := find(b, id)
		if err != nil {
			return Entry{}, err
		}
		if s := c.State(now); s != Active {
			hint := "schoolgate changes list shows what is in force"
			if s == Pending {
				hint = fmt.Sprintf("schoolgate changes refuse %d ends it", id)
			}
			return Entry{}, refuse(hint, "change %d is %s", id, s)
		}
		for _, o := range b.changes {
			if o.Action == Revert && o.Of == id && o.State(now) == Pending {
				return Entry{}, refuse(fmt.Sprintf("schoolgate changes approve %d, by somebody else", o.ID), "that is proposed already, as change %d", o.ID)
			}
		}
		e := Entry{Kind: KindProposed, What: &What{Action: Revert, Of: id}, By: who.Name, Role: d.role(who), Why: why, Risk: risk}
		if d.File.Changes.Approval == config.SecondPerson && c.Tightens() && c.ApprovedBy != "" {
			if e.Needs = Approval; risk == "" {
				return Entry{}, refuse("--risk TEXT says what could come of it", "ending change %d opens the filter, which needs a risk note", id)
			}
		}
		return e, nil
	})
}

// Acknowledge writes down that somebody knows that the log is not whole, and what was found. From that line on the chain
// is to be whole again, and what opens the filter is believed again; what stands before stays as it is, for all to see.
func (d *Desk) Acknowledge(by, why string, heads []monitor.Head) (*Book, error) {
	who, err := d.person(by)
	if err != nil {
		return nil, err
	}
	if why, err = d.text("--why", why, true); err != nil {
		return nil, err
	}
	if len(d.File.Changes.People) > 0 && !who.Role.Agrees() {
		return nil, refuse(`changes.people of the configuration says who has the role "dsl" or "leadership"`, "%s has the role %q, which cannot acknowledge this", who.Name, who.Role)
	}
	return d.Log.Update(func(b *Book, _ time.Time) ([]Entry, error) {
		fault := b.Check(heads)
		if fault == nil {
			return nil, refuse("there is nothing to acknowledge", "the log of changes is whole")
		}
		return []Entry{{
			Kind: KindAcknowledged, By: who.Name, Role: d.role(who), Via: d.Via, Why: why, Before: []string{fmt.Sprintf("line %d: %s", fault.Line, fault.What)},
		}}, nil
	})
}

// Answer writes down what became of a request of the block page: why says what was done. It changes nothing of the filter.
func (d *Desk) Answer(r monitor.Request, by, why string) error {
	who, err := d.person(by)
	if err != nil {
		return err
	}
	if why, err = d.text("--why", why, true); err != nil {
		return err
	}
	_, err = d.Log.Update(func(b *Book, _ time.Time) ([]Entry, error) {
		if e, ok := b.Answer(r.ID, r.At); ok {
			return nil, refuse("schoolgate requests --all shows what was answered", "request %d was answered by %s already", r.ID, e.By)
		}
		return []Entry{{Kind: KindAnswered, Asked: r.ID, By: who.Name, Role: d.role(who), Via: d.Via, Why: why}}, nil
	})
	return err
}

// add writes what decide gives, and returns the change that it is about.
func (d *Desk) add(decide func(b *Book, now time.Time) (Entry, error)) (*Change, error) {
	var e Entry
	b, err := d.Log.Update(func(b *Book, now time.Time) ([]Entry, error) {
		var err error
		if e, err = decide(b, now); err != nil {
			return nil, err
		}
		e.Via = d.Via
		return []Entry{e}, nil
	})
	if err != nil {
		return nil, err
	}
	id := e.Change
	if e.Kind == KindProposed {
		id = b.Head.Count // it is the last line
	}
	return find(b, id)
}

func find(b *Book, id int) (*Change, error) {
	c, ok := b.Change(id)
	if !ok {
		return nil, refuse("schoolgate changes list --all shows them", "no change has the number %d", id)
	}
	return c, nil
}

func open(b *Book, now time.Time) (n int) {
	for _, c := range b.changes {
		if s := c.State(now); s == Pending || s == Active {
			n++
		}
	}
	return n
}
