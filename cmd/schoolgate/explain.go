package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"schoolgate/blocklist"
	"schoolgate/blocklist/catalogue"
	"schoolgate/blocklist/domain"
	"schoolgate/blocklist/lookalike"
	"schoolgate/config"
	"schoolgate/monitor/change"
	"schoolgate/monitor/device"
	"schoolgate/resolver/policy"
	"schoolgate/resolver/query"
)

// explanation is what explain --json prints.
type explanation struct {
	Name     string        `json:"name"`
	Group    string        `json:"group"`
	Device   string        `json:"device,omitempty"`
	At       time.Time     `json:"at"`
	Verdict  string        `json:"verdict"`
	Rule     string        `json:"rule"`
	Category string        `json:"category,omitempty"`
	List     string        `json:"list,omitempty"`
	Target   string        `json:"target,omitempty"`
	Service  string        `json:"service,omitempty"` // of the catalogue; "" for a name of the illegal tier
	Wrapped  bool          `json:"wrapped,omitempty"` // a name that this one carries decided
	Exempt   bool          `json:"exempt_target,omitempty"`
	Like     string        `json:"looks_like,omitempty"` // a well-known name that is blocked
	Forward  string        `json:"forward,omitempty"`    // the forwarding of the zone that it is in
	Steps    []explainStep `json:"steps"`
}

type explainStep struct {
	Number  int           `json:"number"`
	Matched bool          `json:"matched"`
	Title   string        `json:"title"`
	Finding string        `json:"finding"`
	Lists   []policy.Held `json:"lists,omitempty"`
}

func runExplain(ctx context.Context, c *call) error {
	f := flags("explain")
	where := configFlag(f)
	client, group, at := f.String("client", "", ""), f.String("group", "", ""), f.String("at", "now", "")
	asJSON := f.Bool("json", false, "")
	rest, err := parse(f, c.args)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return usage("schoolgate explain bbc.co.uk", "explain takes one name")
	}
	if *client != "" && *group != "" {
		return usage("a client has a group: give one of the two", "--client and --group together")
	}
	file, err := loadConfig(c, *where)
	if err != nil {
		return err
	}
	when, err := moment(*at, time.Now(), file.Location(), false)
	if err != nil {
		return err
	}
	name, note, err := nameOf(rest[0])
	if err != nil {
		return err
	}
	book, err := change.New(file.Store.Path).Read()
	if err != nil {
		return changeError(file, err)
	}
	cfg, _ := change.Effective(file, book.Active(when))
	who, err := clientOf(cfg, *client, *group)
	if err != nil {
		return err
	}
	set, err := currentSet(cfg)
	if err != nil {
		return err
	}
	tier, err := currentTier(ctx, cfg)
	if err != nil {
		return err
	}
	p, err := policy.Compile(cfg, set, categories(cfg), tier)
	if err != nil {
		return err
	}
	if *client == "" && *group == "" {
		all := &inquiry{file: file, cfg: cfg, book: book, set: set, policy: p, name: name, at: when}
		if err := all.ask(ctx); err != nil {
			return err
		}
		all.Note = note
		if *asJSON {
			return json.NewEncoder(c.stdout).Encode(all.answer)
		}
		return all.print(c.stdout)
	}
	x, err := explain(p, cfg, set, name, who, when)
	if err != nil {
		return err
	}
	if *asJSON {
		return json.NewEncoder(c.stdout).Encode(x)
	}
	if note != "" {
		fmt.Fprintln(c.stdout, note)
	}
	return x.print(c.stdout, cfg.Location())
}

// nameOf takes a name or an address of a page; note says what of the latter DNS does not see.
func nameOf(s string) (name domain.Name, note string, err error) {
	host := strings.ReplaceAll(s, `\`, "/") // as browsers read it
	if _, after, ok := strings.Cut(host, "://"); ok {
		host = after
	}
	host, path := strings.TrimPrefix(host, "//"), ""
	if i := strings.IndexAny(host, "/?#"); i >= 0 {
		host, path = host[:i], host[i+1:]
	}
	host = host[strings.LastIndexByte(host, '@')+1:]
	if !strings.HasPrefix(host, "[") && strings.Count(host, ":") == 1 {
		host, _, _ = strings.Cut(host, ":")
	}
	if _, err := netip.ParseAddr(host); err == nil || strings.HasPrefix(host, "[") {
		return "", "", usage("a firewall refuses addresses; DNS is asked for names", "%q is an address", s)
	}
	if name, err = domain.Parse(host); err != nil || name == "" {
		return "", "", usage("give a name such as bbc.co.uk", "%q is no name", s)
	}
	if path != "" {
		note = "Only the name " + host + " is judged: DNS does not see the rest of an address."
	}
	return name, note, nil
}

// clientOf finds whom to judge for: a device or address as it would be identified now, or a group, or the default one.
func clientOf(cfg *config.Config, client, group string) (query.Client, error) {
	table := &device.Neighbours{Read: device.Kernel}
	_ = table.Refresh() // without the table devices are told apart by address
	who := device.New(cfg, table)
	switch {
	case group != "":
		for i, g := range cfg.Groups {
			if g.Name == group {
				return query.Client{Group: uint8(i), Name: g.Name}, nil
			}
		}
		var names []string
		for _, g := range cfg.Groups {
			names = append(names, g.Name)
		}
		return query.Client{}, usage("the groups are "+strings.Join(names, ", "), "no group %q", group)
	case client != "":
		addr, err := netip.ParseAddr(client)
		if err != nil {
			c, ok := who.Named(client)
			if !ok {
				return query.Client{}, usage("give an IP address, a hardware address or the name of a configured device", "no device %q", client)
			}
			return c, nil
		}
		q := query.Query{Client: query.Client{Addr: addr}}
		who.Identify(&q)
		return q.Client, nil
	}
	c := who.Default()
	return c, nil
}

func explain(p *policy.Policy, cfg *config.Config, set *blocklist.Set, name domain.Name, who query.Client, at time.Time) (*explanation, error) {
	v, steps, err := p.Explain(at, who.Group, name, set)
	if err != nil {
		return nil, err
	}
	x := &explanation{
		Name: name.String(), Group: who.Name, Device: who.Device, At: at, Verdict: v.Action.String(), Rule: v.Rule.String(),
		Category: v.Category, List: v.List, Wrapped: v.Wrapped, Exempt: p.ExemptTarget(name),
	}
	if v.Action == query.Rewrite {
		x.Target = v.Target.String()
	}
	if hit, ok := lookalike.FindName(name); ok && !v.Rule.Withheld() {
		x.Like = fmt.Sprintf("%s (%s), category %s", hit.Of, hit.Kind, hit.Category)
	}
	if v.Action == query.Allow && v.Rule != query.LocalName {
		x.Forward = forwardOf(cfg, name)
	}
	if s, ok := catalogue.Of(string(name)); ok && v.Rule != query.Illegal {
		x.Service = s.ID
	}
	for _, s := range steps {
		x.Steps = append(x.Steps, explainStep(s))
	}
	return x, nil
}

// forwardOf is the name of the forwarding whose zone holds name, "" for none; the longest zone decides.
func forwardOf(cfg *config.Config, name domain.Name) (forward string) {
	longest := domain.Name("")
	for _, f := range cfg.Forward {
		for _, z := range f.Zones {
			for _, n := range z.Names() {
				if name.Within(n) && len(n) > len(longest) {
					longest, forward = n, f.Name
				}
			}
		}
	}
	return forward
}

// forwardLine is said of a name in a zone that is forwarded.
func forwardLine(forward string) string {
	if forward == "" {
		return ""
	}
	return "It is asked of the servers of the forwarding " + forward + " alone, whatever they answer: [[forward]] says so."
}

// likeLine is said of a name that looks like a blocked one.
func likeLine(like string) string {
	if like == "" {
		return ""
	}
	return "It looks like " + like + ": answers.lookalikes says what becomes of such names."
}

// exemptLine is said of a name that pack.Targets or the configuration holds.
const exemptLine = "It is of a network that serves all the world: as what the answer for an allowed name leads to (CNAME, HTTPS) no category list refuses it."

func (x *explanation) print(w io.Writer, loc *time.Location) error {
	var b strings.Builder
	who := "group " + x.Group
	if x.Device != "" {
		who = x.Device + ", " + who
	}
	fmt.Fprintf(&b, "%s is %s for %s at %s\n", x.Name, strings.ToUpper(x.Verdict), who, x.At.In(loc).Format("Mon 2 Jan 2006 15:04"))
	for _, s := range x.Steps {
		mark := " "
		if s.Matched {
			mark = ">"
		}
		fmt.Fprintf(&b, "%s %d. %s: %s\n", mark, s.Number, s.Title, s.Finding)
		for _, h := range s.Lists {
			fmt.Fprintf(&b, "       %s\n", h)
		}
	}
	if line := serviceLine(x.Service); line != "" {
		fmt.Fprintln(&b, line)
	}
	if line := likeLine(x.Like); line != "" {
		fmt.Fprintln(&b, line)
	}
	if x.Exempt {
		fmt.Fprintln(&b, exemptLine)
	}
	if line := forwardLine(x.Forward); line != "" {
		fmt.Fprintln(&b, line)
	}
	if x.Verdict == query.Allow.String() && x.Rule != query.LocalName.String() {
		b.WriteString("An allowed name may still be refused when its answer leads to a blocked one (CNAME), or by the upstream itself: schoolgate log shows that.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
