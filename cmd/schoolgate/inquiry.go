package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"schoolgate/blocklist"
	"schoolgate/blocklist/catalogue"
	"schoolgate/blocklist/domain"
	"schoolgate/config"
	"schoolgate/monitor/change"
	"schoolgate/resolver/policy"
	"schoolgate/resolver/query"
)

// inquiry is one question about a name, for all groups at once.
type inquiry struct {
	file   *config.Config // as it is written
	cfg    *config.Config // with the changes in force
	book   *change.Book
	set    *blocklist.Set
	policy *policy.Policy
	name   domain.Name
	at     time.Time
	answer
}

// answer is what explain --json prints for all groups.
type answer struct {
	Name    string         `json:"name"`
	Site    string         `json:"site"` // what people register: the name of a school, not of one of its machines
	Note    string         `json:"note,omitempty"`
	At      time.Time      `json:"at"`
	Groups  []*explanation `json:"groups"`
	Entries []entryFound   `json:"entries"`
	Changes []changeLine   `json:"changes"`
	Advice  []string       `json:"advice"`
}

// entryFound is one list's word on the name, and what else of the site the list has.
type entryFound struct {
	policy.Held
	Since   time.Time `json:"since,omitzero"` // when the version that first had it was fetched
	First   bool      `json:"first"`          // false: or before, as far as kept versions tell
	More    int       `json:"more"`           // further entries of the list at and below the site
	Samples []string  `json:"samples,omitempty"`
}

// sampled is how many of the further entries of a site are named.
const sampled = 5

func (q *inquiry) ask(ctx context.Context) error {
	q.answer = answer{
		Name: q.name.String(), Site: q.name.Site().String(), At: q.at, Entries: []entryFound{}, Changes: []changeLine{}, Advice: []string{},
	}
	for i, g := range q.cfg.Groups {
		x, err := explain(q.policy, q.cfg, q.set, q.name, query.Client{Group: uint8(i), Name: g.Name}, q.at)
		if err != nil {
			return err
		}
		q.Groups = append(q.Groups, x)
	}
	if err := q.entries(ctx); err != nil {
		return err
	}
	now := time.Now()
	for _, c := range q.book.Changes() {
		if state := c.State(now); (state == change.Active || state == change.Pending) && q.concerns(c) {
			q.Changes = append(q.Changes, changeJSON(c, now))
		}
	}
	q.advise()
	return nil
}

// concerns says whether a change is about the name, one above it, one below it, or what decides on it.
func (q *inquiry) concerns(c *change.Change) bool {
	switch c.Action {
	case change.Allow, change.Block:
		return q.name.Within(c.Name) || c.Name.Within(q.name)
	case change.Category:
		return slices.ContainsFunc(q.Entries, func(e entryFound) bool {
			return slices.Contains(c.On, e.Category) || slices.Contains(c.Off, e.Category)
		})
	case change.Service:
		id := q.Groups[0].Service
		return id != "" && (slices.Contains(c.On, id) || slices.Contains(c.Off, id))
	case change.Stop:
		return true
	case change.Revert:
		of, ok := q.book.Change(c.Of)
		return ok && q.concerns(of)
	}
	return false
}

// entries finds what the lists hold of the name. Of the illegal tier that is told, and nothing else.
func (q *inquiry) entries(ctx context.Context) error {
	u := updaterOf(q.file)
	for _, h := range q.policy.Held(q.at, q.name, q.set) {
		e := entryFound{Held: h}
		if h.Category == config.IllegalTier {
			q.Entries = append(q.Entries, e)
			continue
		}
		rule := blocklist.Rule{Name: h.Name, Except: h.Except}
		var err error
		if e.Since, e.First, err = u.Since(ctx, h.List, rule); err != nil {
			return err
		}
		q.Entries = append(q.Entries, e)
	}
	lists := q.set.Lists()
	for hit := range q.set.Within(q.name.Site()) {
		for i := range q.Entries {
			e := &q.Entries[i]
			at := slices.IndexFunc(lists, func(l blocklist.Info) bool { return l.Name == e.List })
			if e.Name == "" || hit.Rule.Name == e.Name || !hit.Lists.Has(at) {
				continue
			}
			e.More++
			name := hit.Rule.Name.String()
			i, _ := slices.BinarySearch(e.Samples, name)
			e.Samples = slices.Insert(e.Samples, i, name)
			e.Samples = e.Samples[:min(len(e.Samples), sampled)] // the first ones, whatever the order of the set
		}
	}
	return nil
}

// advise says what can be done about it, as commands.
func (q *inquiry) advise() {
	blocked, open := []string(nil), []string(nil)
	own, stopped, pages, local := false, false, false, false
	for _, g := range q.Groups {
		switch {
		case g.Rule == query.Illegal.String():
			q.Advice = append(q.Advice, "The illegal tier holds it: it is refused to everyone, and nothing changes that.")
			return
		case g.Rule == query.LocalName.String():
			local = true
		case g.Rule == query.IllegalURL.String():
			pages = true
		case g.Verdict == query.Block.String():
			blocked = append(blocked, g.Group)
			own = own || g.Rule == query.OwnBlock.String()
			stopped = stopped || g.Rule == query.Stopped.String()
		default:
			open = append(open, g.Group)
		}
	}
	name := strings.TrimPrefix(q.Name, "www.")
	scope := func(groups []string) string {
		if len(groups) == len(q.Groups) {
			return ""
		}
		return " --group " + groups[0]
	}
	if len(blocked) > 0 && own {
		q.Advice = append(q.Advice, q.endBlock()...)
	}
	if local {
		q.Advice = append(q.Advice, "It is a name of this network: [local] in the configuration says what is answered for it, and for whom.")
	}
	if pages {
		q.Advice = append(q.Advice, "The illegal tier lists pages of this host: a group with illegal_urls = \"block\" is refused all of it, and no change touches that.")
	}
	if stopped {
		q.Advice = append(q.Advice, "Every name is refused where it says so: schoolgate changes shows a stop that can be reverted; else the configuration file says stop_all or internet = false.")
	}
	if len(blocked) > 0 && !own {
		q.Advice = append(q.Advice, "To allow it: schoolgate changes propose allow "+name+scope(blocked)+" --by NAME --why TEXT --risk TEXT --for 7d")
	}
	if len(open) > 0 {
		q.Advice = append(q.Advice, "To block it: schoolgate changes propose block "+name+scope(open)+" --by NAME --why TEXT")
	}
	if line := serviceLine(q.Groups[0].Service); line != "" {
		q.Advice = append(q.Advice, line)
	}
	if line := likeLine(q.Groups[0].Like); line != "" {
		q.Advice = append(q.Advice, line)
	}
	if q.Groups[0].Exempt {
		q.Advice = append(q.Advice, exemptLine)
	}
	for _, g := range q.Groups {
		if g.Forward != "" {
			q.Advice = append(q.Advice, forwardLine(g.Forward))
			break
		}
	}
}

// endBlock says how each own block of the name is ended.
func (q *inquiry) endBlock() (out []string) {
	for _, c := range q.book.Active(q.at) {
		if c.Action == change.Block && q.name.Within(c.Name) {
			out = append(out, fmt.Sprintf("To end change %d, which blocks it: schoolgate changes revert %[1]d --by NAME --why TEXT", c.ID))
		}
	}
	inFile := slices.ContainsFunc(q.file.Policy.Block, q.name.Within)
	for _, g := range q.file.Groups {
		inFile = inFile || slices.ContainsFunc(g.Deny, q.name.Within)
	}
	if inFile {
		out = append(out, "The configuration file blocks it, by policy.block or the deny of a group: no change outranks that; edit the file.")
	}
	service, known := catalogue.Of(string(q.name))
	for _, g := range q.cfg.Groups {
		if known && slices.Contains(g.BlockServices, service.ID) {
			out = append(out, fmt.Sprintf("The service %s is blocked for %s: schoolgate changes propose service %[2]s -%[1]s --by NAME --why TEXT --risk TEXT --for 7d", service.ID, g.Name))
		}
	}
	return out
}

func (q *inquiry) print(out io.Writer) error {
	loc := q.cfg.Location()
	var b strings.Builder
	if q.Note != "" {
		fmt.Fprintln(&b, q.Note)
	}
	fmt.Fprintf(&b, "%s at %s\n\n", q.Name, q.At.In(loc).Format("Mon 2 Jan 2006 15:04"))
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "GROUP\tVERDICT\tRULE\tBECAUSE")
	allowed := false
	for _, g := range q.Groups {
		last := g.Steps[len(g.Steps)-1]
		because := last.Finding
		if g.Wrapped {
			because = g.Steps[0].Finding + ": " + because
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\n", g.Group, strings.ToUpper(g.Verdict), last.Number, because)
		allowed = allowed || g.Verdict == query.Allow.String() && g.Rule != query.LocalName.String()
	}
	_ = w.Flush() // into b
	if len(q.Entries) > 0 {
		b.WriteString("\nOn lists, whether or not a group refuses their category:\n")
	}
	for _, e := range q.Entries {
		fmt.Fprintf(&b, "  %s\n", e.Held)
		if since := e.since(loc); since != "" {
			fmt.Fprintf(&b, "    %s\n", since)
		}
		if e.More > 0 {
			more := ""
			if e.More > len(e.Samples) {
				more = ", …"
			}
			fmt.Fprintf(&b, "    the list has %d more of %s: %s%s\n", e.More, q.Site, strings.Join(e.Samples, ", "), more)
		}
	}
	if len(q.Changes) > 0 {
		b.WriteString("\nChanges about it:\n")
	}
	for _, c := range q.Changes {
		fmt.Fprintf(&b, "  change %d: %s: %s\n", c.Number, c.Words, c.State)
	}
	if len(q.Advice) > 0 {
		b.WriteString("\n")
	}
	for _, a := range q.Advice {
		fmt.Fprintln(&b, a)
	}
	if allowed {
		b.WriteString("An allowed name may still be refused when its answer leads to a blocked one (CNAME), or by the upstream itself: schoolgate log shows that.\n")
	}
	b.WriteString("Step by step for one group: schoolgate explain --group GROUP " + q.Name + "\n")
	_, err := io.WriteString(out, b.String())
	return err
}

// since says in words since when the list has the entry.
func (e entryFound) since(loc *time.Location) string {
	switch {
	case e.Since.IsZero():
		return ""
	case e.First:
		return "since the version of " + e.Since.In(loc).Format("2 Jan 2006 15:04")
	}
	return "in the version of " + e.Since.In(loc).Format("2 Jan 2006 15:04") + ", or before"
}
