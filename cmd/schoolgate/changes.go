package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"schoolgate/blocklist/sealed"
	"schoolgate/config"
	"schoolgate/monitor/change"
	"schoolgate/monitor/record"
)

// changing is one call of schoolgate changes.
type changing struct {
	*call
	flags *flag.FlagSet
	cfg   *config.Config // of the file
	loc   *time.Location
	log   *change.Log
	desk  *change.Desk

	where, by, why, risk, until, group string
	lasts                              config.Duration
	pending, active, all, asJSON       bool
}

// durationFlag reads "2h" and "30d".
type durationFlag struct{ *config.Duration }

func (d durationFlag) Set(s string) error { return d.UnmarshalText([]byte(s)) }

func (d durationFlag) String() string { return "" }

func runChanges(ctx context.Context, c *call) error {
	g := &changing{call: c, flags: flags("changes")}
	g.flags.StringVar(&g.where, "config", "", "")
	for name, into := range map[string]*string{"by": &g.by, "why": &g.why, "risk": &g.risk, "until": &g.until, "group": &g.group} {
		g.flags.StringVar(into, name, "", "")
	}
	g.flags.Var(durationFlag{&g.lasts}, "for", "")
	for name, into := range map[string]*bool{"pending": &g.pending, "active": &g.active, "all": &g.all, "json": &g.asJSON} {
		g.flags.BoolVar(into, name, false, "")
	}
	rest, err := parse(g.flags, signed(g.flags, c.args))
	if err != nil {
		return err
	}
	if g.cfg, err = loadConfig(c, g.where); err != nil {
		return err
	}
	g.loc, g.log = g.cfg.Location(), change.New(g.cfg.Store.Path)
	g.desk = &change.Desk{Log: g.log, File: g.cfg, Illegal: bearsIllegal(ctx, g.cfg), Via: account()}
	if len(rest) == 0 {
		rest = []string{"list"}
	}
	verbs := map[string]func(context.Context, []string) error{
		"propose": g.propose, "approve": g.approve, "refuse": g.refuse, "revert": g.revert, "list": g.list, "show": g.show,
	}
	verb, ok := verbs[rest[0]]
	if !ok {
		return usage("schoolgate help changes", "no such thing to do with changes: %q", rest[0])
	}
	return verb(ctx, rest[1:])
}

// signed keeps "-gaming", a category that is no longer to be refused, from being read as a flag.
func signed(f *flag.FlagSet, args []string) []string {
	at := slices.IndexFunc(args, func(s string) bool { return s == string(change.Category) || s == string(change.Service) })
	if at < 0 || !slices.Contains(args[:at], "propose") {
		return args
	}
	out := slices.Clone(args)
	for i, s := range out {
		if name, ok := strings.CutPrefix(s, "-"); ok && i > at && name != "" && name[0] != '-' && f.Lookup(name) == nil {
			out[i] = offMark + name
		}
	}
	return out
}

const offMark = "\u2212" // a minus sign, which is no hyphen

// account is who runs this command, for the log: what people call themselves is another thing.
func account() string {
	name := strconv.Itoa(os.Getuid())
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if real := os.Getenv("SUDO_USER"); real != "" && os.Geteuid() == 0 && len(real) < 100 {
		return fmt.Sprintf("command line, %s for %s", name, printable(real))
	}
	return "command line, " + name
}

// bearsIllegal says whether a text has a name in it that the illegal tier holds, as far as that can be read.
func bearsIllegal(ctx context.Context, cfg *config.Config) func(text string) bool {
	tier := sync.OnceValue(func() *sealed.Set {
		set, _ := keeperOf(cfg).Load(ctx)
		return set
	})
	return func(text string) bool { return tier().Withhold(text, record.Withheld) != text }
}

func (g *changing) propose(ctx context.Context, args []string) error {
	p := change.Proposal{By: g.by, Why: g.why, Risk: g.risk, For: g.lasts.Std()}
	p.Group = g.group
	const hint = "schoolgate help changes"
	if len(args) == 0 {
		return usage(hint, "propose what: allow, block, category, service or stop")
	}
	p.Action = change.Action(args[0])
	args = args[1:]
	switch p.Action {
	case change.Allow, change.Block:
		if len(args) != 1 {
			return usage("schoolgate changes propose "+string(p.Action)+" example.org", "%s takes one name", p.Action)
		}
		name, note, err := nameOf(args[0])
		if err != nil {
			return err
		}
		if p.Name = name; note != "" {
			fmt.Fprintln(g.stderr, note)
		}
	case change.Category, change.Service:
		if len(args) < 2 || g.group != "" {
			return usage("schoolgate changes propose category children +social-media -gaming", "%s takes a group, and what to switch with + or -", p.Action)
		}
		p.Group = args[0]
		for _, s := range args[1:] {
			if on, ok := strings.CutPrefix(s, "+"); ok {
				p.On = append(p.On, on)
			} else if off, ok := strings.CutPrefix(s, offMark); ok {
				p.Off = append(p.Off, off)
			} else {
				return usage("write +"+s+" to refuse it, -"+s+" to refuse it no longer", "%q has neither + nor -", s)
			}
		}
	case change.Stop:
		if len(args) != 0 {
			return usage("schoolgate changes propose stop --group children", "stop takes no name")
		}
	default:
		return usage(hint, "no such change: %q", string(p.Action))
	}
	if g.until != "" {
		var err error
		if p.Until, err = moment(g.until, time.Now(), g.loc, true); err != nil {
			return err
		}
	}
	return g.after(ctx)(g.desk.Propose(p))
}

func (g *changing) approve(ctx context.Context, args []string) error {
	return g.numbered(args, func(id int) error { return g.after(ctx)(g.desk.Approve(id, g.by, g.why, g.risk)) })
}

func (g *changing) refuse(ctx context.Context, args []string) error {
	return g.numbered(args, func(id int) error { return g.after(ctx)(g.desk.Refuse(id, g.by, g.why)) })
}

func (g *changing) revert(ctx context.Context, args []string) error {
	return g.numbered(args, func(id int) error { return g.after(ctx)(g.desk.Revert(id, g.by, g.why, g.risk)) })
}

func (g *changing) numbered(args []string, do func(id int) error) error {
	if len(args) != 1 {
		return usage("schoolgate changes lists them with their numbers", "give the number of one change")
	}
	id, err := strconv.Atoi(args[0])
	if err != nil || id < 1 {
		return usage("schoolgate changes lists them with their numbers", "%q is no change's number", args[0])
	}
	return do(id)
}

// after tells the running appliance of what was written, waits until it has seen it, and says what came of it.
func (g *changing) after(ctx context.Context) func(*change.Change, error) error {
	return func(c *change.Change, err error) error {
		if err != nil {
			return changeError(g.cfg, err)
		}
		running, tellErr := tellRunning(g.cfg.Store.Path)
		if wants := c.State(time.Now()); running && (wants == change.Active || wants == change.Done) && c.Applied.IsZero() {
			c = g.await(ctx, c)
		}
		if g.asJSON {
			return json.NewEncoder(g.stdout).Encode(changeJSON(c, time.Now()))
		}
		fmt.Fprintln(g.stdout, g.sentence(c))
		if len(c.After) > 0 && slices.Equal(c.Before, c.After) {
			fmt.Fprintf(g.stderr, "schoolgate: this changes what no group gets now\nhint: schoolgate explain %s says why\n", cmp.Or(string(c.Name), "NAME"))
		}
		switch wants := c.State(time.Now()); {
		case wants == change.Pending:
			fmt.Fprintf(g.stderr, "hint: somebody else now runs: schoolgate changes approve %d --by NAME\n", c.ID)
		case c.Unreviewed(time.Now()):
			fmt.Fprintf(g.stderr, "hint: somebody else should look at it: schoolgate changes approve %d --by NAME%s\n", c.ID, map[bool]string{true: " --risk TEXT"}[c.Risk == ""])
		}
		if (c.State(time.Now()) == change.Active || c.State(time.Now()) == change.Done) && c.Applied.IsZero() {
			if !running {
				fmt.Fprintln(g.stderr, "schoolgate: no appliance is running here; it takes this up when it starts")
			} else {
				fmt.Fprintf(g.stderr, "schoolgate: the running appliance has not said yet that it took this up: %v\nhint: schoolgate changes show %d\n", tellErr, c.ID)
			}
		}
		return nil
	}
}

// await waits a little for the appliance to say that a change is in force.
func (g *changing) await(ctx context.Context, c *change.Change) *change.Change {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for stamp := ""; ; {
		if now := g.log.Stamp(); now != stamp {
			stamp = now
			if b, err := g.log.Read(); err == nil {
				if fresh, ok := b.Change(c.ID); ok && !fresh.Applied.IsZero() {
					return fresh
				}
			}
		}
		select {
		case <-ctx.Done():
			return c
		case <-tick.C:
		}
	}
}

// changeError turns a refusal into what a person sees.
func changeError(cfg *config.Config, err error) error {
	var no *change.Refusal
	switch {
	case errors.As(err, &no):
		return failed(no.Hint, "%s", no.What)
	case errors.Is(err, fs.ErrNotExist):
		return failed("store.path of the configuration names the folder; schoolgate run makes it", "there is no folder %s", cfg.Store.Path)
	case errors.Is(err, fs.ErrPermission):
		return failed("run the command as the user of the service, or with sudo", "%v", err)
	}
	return err
}
