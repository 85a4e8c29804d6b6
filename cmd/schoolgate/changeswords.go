package main

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"
	"time"

	"schoolgate/monitor/change"
)

// sentence says where a change stands.
func (g *changing) sentence(c *change.Change) string {
	now := time.Now()
	s := fmt.Sprintf("change %d: %s: ", c.ID, c.What)
	switch state := c.State(now); state {
	case change.Pending:
		s += "waits for a second person"
	case change.Active:
		s += "in force"
		if !c.Until.IsZero() {
			s += " until " + g.when(c.Until)
		}
	case change.Done:
		s += "done"
	default:
		s += string(state)
	}
	return s
}

func (g *changing) when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.In(g.loc).Format("2006-01-02 15:04")
}

func (g *changing) list(_ context.Context, args []string) error {
	if len(args) > 0 {
		return usage("schoolgate changes list --all", "unexpected argument %q", args[0])
	}
	b, err := g.log.Read()
	if err != nil {
		return changeError(g.cfg, err)
	}
	now := time.Now()
	var found []*change.Change
	for _, c := range b.Changes() {
		state := c.State(now)
		waits := state == change.Pending || c.Unreviewed(now)
		if g.all || waits && !g.active || state == change.Active && !g.pending {
			found = append(found, c)
		}
	}
	if g.asJSON {
		e := json.NewEncoder(g.stdout)
		for _, c := range found {
			if err := e.Encode(changeJSON(c, now)); err != nil {
				return err
			}
		}
		return nil
	}
	if len(found) == 0 {
		_, err := fmt.Fprintln(g.stdout, "no changes")
		return err
	}
	w := tabwriter.NewWriter(g.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "NUMBER\tSTATE\tWHAT\tPROPOSED\tBY\tAGREED BY\tUNTIL")
	for _, c := range found {
		state := string(c.State(now))
		if c.Unreviewed(now) {
			state += ", to be looked at"
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\n", c.ID, state, c.What, g.when(c.Proposed), c.By, dash(c.ApprovedBy), g.when(c.Until))
	}
	return w.Flush()
}

func (g *changing) show(_ context.Context, args []string) error {
	return g.numbered(args, func(id int) error {
		b, err := g.log.Read()
		if err != nil {
			return changeError(g.cfg, err)
		}
		c, ok := b.Change(id)
		if !ok {
			return failed("schoolgate changes list --all shows them", "no change has the number %d", id)
		}
		now := time.Now()
		if g.asJSON {
			return json.NewEncoder(g.stdout).Encode(changeJSON(c, now))
		}
		fmt.Fprintln(g.stdout, g.sentence(c))
		for _, line := range changeStory(c, g.loc, now) {
			fmt.Fprintln(g.stdout, "  "+line)
		}
		if c.State(now) == change.Active {
			if _, without := change.Effective(g.cfg, b.Active(now)); without[id] != nil {
				fmt.Fprintf(g.stdout, "  has no effect: %v\n", without[id])
			}
		}
		return nil
	})
}

// changeStory is all that is known of a change, a line each.
func changeStory(c *change.Change, loc *time.Location, now time.Time) (out []string) {
	at := func(t time.Time) string { return t.In(loc).Format("2006-01-02 15:04") }
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	who := func(name, role string) string {
		if role != "" {
			return name + " (" + role + ")"
		}
		return name
	}
	add("proposed %s by %s, %s", at(c.Proposed), who(c.By, c.Role), dash(c.Via))
	add("why: %s", c.Why)
	if c.Risk != "" {
		add("risk: %s", c.Risk)
	}
	if c.ApprovedBy != "" {
		add("agreed %s by %s", at(c.ApprovedAt), c.ApprovedBy)
	} else if c.Unreviewed(now) {
		add("applied at once; a second person has not looked at it yet")
	}
	if !c.Began.IsZero() && c.Action != change.Revert {
		until := "without end"
		if !c.Until.IsZero() {
			until = "until " + at(c.Until)
		}
		add("from %s %s", at(c.Began), until)
	}
	if !c.Ended.IsZero() {
		line := fmt.Sprintf("%s %s", c.EndedAs, at(c.Ended))
		if c.EndedBy != "" {
			line += " by " + c.EndedBy + ": " + c.EndedWhy
		}
		add("%s", line)
	}
	for _, l := range c.Before {
		add("before: %s", l)
	}
	for _, l := range c.After {
		add("after: %s", l)
	}
	if c.Doubted {
		add("not in force: it stands behind a break of the log; schoolgate audit verify")
	}
	return out
}

type changeLine struct {
	Number     int           `json:"number"`
	State      change.State  `json:"state"`
	Waiting    bool          `json:"waiting"` // for a second person
	What       change.What   `json:"what"`
	Words      string        `json:"words"`
	By         string        `json:"by"`
	Role       string        `json:"role,omitempty"`
	Via        string        `json:"via,omitempty"`
	Why        string        `json:"why"`
	Risk       string        `json:"risk,omitempty"`
	Proposed   time.Time     `json:"proposed"`
	ApprovedBy string        `json:"approved_by,omitempty"`
	ApprovedAt time.Time     `json:"approved_at,omitzero"`
	Began      time.Time     `json:"began,omitzero"`
	Until      time.Time     `json:"until,omitzero"`
	For        time.Duration `json:"for,omitempty"`
	Applied    time.Time     `json:"applied,omitzero"`
	Ended      time.Time     `json:"ended,omitzero"`
	EndedBy    string        `json:"ended_by,omitempty"`
	EndedWhy   string        `json:"ended_why,omitempty"`
	Before     []string      `json:"before,omitempty"`
	After      []string      `json:"after,omitempty"`
}

func changeJSON(c *change.Change, now time.Time) changeLine {
	state := c.State(now)
	return changeLine{
		Number: c.ID, State: state, Waiting: state == change.Pending || c.Unreviewed(now), What: c.What, Words: c.What.String(),
		By: c.By, Role: c.Role, Via: c.Via, Why: c.Why, Risk: c.Risk, Proposed: c.Proposed, ApprovedBy: c.ApprovedBy, ApprovedAt: c.ApprovedAt,
		Began: c.Began, Until: c.Until, For: c.For, Applied: c.Applied, Ended: c.Ended, EndedBy: c.EndedBy, EndedWhy: c.EndedWhy,
		Before: c.Before, After: c.After,
	}
}
