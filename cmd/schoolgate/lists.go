package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"time"

	"schoolgate/blocklist"
	"schoolgate/blocklist/domain"
	"schoolgate/blocklist/feed"
	"schoolgate/blocklist/pack"
	"schoolgate/blocklist/starter"
	"schoolgate/blocklist/update"
	"schoolgate/config"
)

// updaterOf is what keeps the lists of a configuration, for the appliance and for the commands beside it.
func updaterOf(cfg *config.Config) *update.Updater {
	u := update.New(listsDir(cfg), openLists(cfg), cfg.Update)
	u.Version, u.CompileCmd = version, compileInChild
	u.Essential, u.Popular = asNames(pack.Names()), asNames(pack.Popular())
	return u
}

func asNames(texts []string) []domain.Name {
	names := make([]domain.Name, len(texts))
	for i, t := range texts {
		names[i] = domain.Name(t)
	}
	return names
}

// currentSet is what an appliance with this configuration would serve from now.
func currentSet(cfg *config.Config) (*blocklist.Set, error) {
	loaded, err := updaterOf(cfg).Load()
	if err != nil {
		return nil, fmt.Errorf("loading the lists: %w", err)
	}
	return loaded.Set, nil
}

// compileInChild compiles the lists in a process of lowest priority.
func compileInChild(ctx context.Context, p update.Plan) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	var plan, said bytes.Buffer
	if err := p.Encode(&plan); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, compileCommand)
	cmd.Stdin, cmd.Stderr = &plan, &said
	if p.Progress != nil {
		cmd.Stdout = &relay{progress: p.Progress}
	}
	cmd.WaitDelay = 5 * time.Second
	runtime.LockOSThread() // the child ends with the thread that began it
	defer runtime.UnlockOSThread()
	endsWithParent(cmd)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("compiling lists: %w: %s", err, lastLine(said.String()))
	}
	return nil
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// runCompile is the child's side.
func runCompile(ctx context.Context, c *call) error {
	lowerPriority()
	p, err := update.ReadPlan(c.stdin)
	if err != nil {
		return fmt.Errorf("reading the plan: %w", err)
	}
	p.Progress = func(p update.Progress) { fmt.Fprintf(c.stdout, "%d %d\n", p.Done, p.Total) }
	_, err = update.Compile(ctx, p, time.Now())
	return err
}

// relay reads the lines that runCompile writes.
type relay struct {
	progress func(update.Progress)
	rest     []byte // of a line that has not come whole
}

func (r *relay) Write(b []byte) (int, error) {
	r.rest = append(r.rest, b...)
	for {
		line, rest, whole := bytes.Cut(r.rest, []byte("\n"))
		if !whole {
			return len(b), nil
		}
		r.rest = rest
		p := update.Progress{Compiling: true}
		if n, _ := fmt.Sscan(string(line), &p.Done, &p.Total); n == 2 {
			r.progress(p)
		}
	}
}

// listAction is one thing to do with lists.
type listAction struct {
	names string // how many it takes: "*" any number, "1" one
	run   func(ctx context.Context, c *call, cfg *config.Config, o listOptions, names []string) error
}

// listOptions are the flags of the command lists.
type listOptions struct {
	json    bool
	refused bool
	to      string
	limit   int
}

var listActions = map[string]listAction{
	"status": {"*", listStatus},
	"update": {"*", listUpdate},
	"diff":   {"1", listDiff},
	"revert": {"1", listRevert},
	"resume": {"1", listResume},
	"accept": {"1", listAccept},
	"refuse": {"1", listRefuse},
}

func runLists(ctx context.Context, c *call) error {
	var o listOptions
	f := flags("lists")
	where := configFlag(f)
	f.BoolVar(&o.json, "json", false, "")
	f.BoolVar(&o.refused, "refused", false, "")
	f.StringVar(&o.to, "to", "", "")
	f.IntVar(&o.limit, "limit", 100, "")
	rest, err := parse(f, c.args)
	if err != nil {
		return err
	}
	if len(rest) == 0 {
		rest = []string{"status"}
	}
	if rest[0] == "services" {
		return listServices(c, o.json, rest[1:])
	}
	action, known := listActions[rest[0]]
	names := rest[1:]
	switch {
	case !known:
		return usage("schoolgate help lists", "no such thing to do with lists: %q", rest[0])
	case action.names == "1" && len(names) != 1:
		return usage("schoolgate lists shows the names", "schoolgate lists %s takes the name of one list", rest[0])
	case o.refused && (rest[0] != "status" || len(names) != 1):
		return usage("schoolgate lists status --refused NAME", "--refused tells of one list")
	case o.limit < 0:
		return usage("write a number from 0", "--limit %d is out of bounds", o.limit)
	}
	cfg, err := loadConfig(c, *where)
	if err != nil {
		return err
	}
	if err := knownLists(cfg, names, rest[0] == "status"); err != nil {
		return err
	}
	if rest[0] != "status" && rest[0] != "update" || o.refused {
		if tier, _ := feed.Split(cfg.Store.Path, cfg.Lists); isOf(tier, names[0]) {
			return usage("schoolgate help illegal", "what the list %q holds is not to be seen, and its versions are no choice", names[0])
		}
	}
	return action.run(ctx, c, cfg, o, names)
}

// knownLists refuses a name that no list has. Only to look at are those that are built in.
func knownLists(cfg *config.Config, names []string, builtIn bool) error {
	for _, n := range names {
		found := builtIn && slices.ContainsFunc(starter.Categories(), func(c string) bool { return starter.Name(c) == n })
		for _, l := range cfg.Lists {
			found = found || l.Name == n
		}
		if !found {
			return usage("schoolgate lists shows the names", "no list %q", n)
		}
	}
	return nil
}

// changer makes an updater for a command that writes, and the folder it writes to.
func changer(cfg *config.Config) (*update.Updater, error) {
	if err := os.MkdirAll(cfg.Store.Path, 0o700); err != nil {
		return nil, failed("store.path must be a directory that the program may write", "%v", err)
	}
	u := updaterOf(cfg)
	u.By = account()
	return u, nil
}

func listUpdate(ctx context.Context, c *call, cfg *config.Config, o listOptions, names []string) error {
	u, err := changer(cfg)
	if err != nil {
		return err
	}
	began := time.Now()
	err = refreshAll(ctx, c, cfg, u, names)
	all, unread := allStatus(ctx, cfg, keeperOf(cfg))
	if unread != nil {
		return unread
	}
	status := chosen(all, names)
	for _, s := range status {
		if s.Conflicts.New > 0 && !s.Conflicts.Since.Before(began) {
			fmt.Fprintf(c.stderr, "%s: newly holds %d names that schools need or that are popular; schoolgate lists status %s\n", s.Name, s.Conflicts.New, s.Name)
		}
	}
	if o.json {
		if err := printStatus(c, status); err != nil {
			return err
		}
	}
	return conclude(c, cfg, err, "lists are up to date", "the last good versions stay in use; schoolgate lists shows each")
}

func listRevert(ctx context.Context, c *call, cfg *config.Config, o listOptions, names []string) error {
	u, err := changer(cfg)
	if err != nil {
		return err
	}
	err = u.Revert(ctx, names[0], o.to, progressLine(c))
	return conclude(c, cfg, err, heldAt(u.Status(), names[0], cfg.Location()), "schoolgate lists status "+names[0]+" shows the versions that are kept")
}

// heldAt says at which of its two versions a list is held: who reverts twice is back at the newer one.
func heldAt(all []update.Status, name string, in *time.Location) string {
	which := "version"
	for _, s := range all {
		if s.Name != name || s.SHA256 == "" {
			continue
		}
		if s.Before != nil {
			which = "older version"
			if s.Fetched.After(s.Before.Fetched) {
				which = "newer version"
			}
		}
		which += " (" + version8(s.SHA256, s.Fetched, in) + ")"
	}
	return fmt.Sprintf("the list is held at its %s until schoolgate lists resume %s", which, name)
}

func listResume(ctx context.Context, c *call, cfg *config.Config, _ listOptions, names []string) error {
	u, err := changer(cfg)
	if err != nil {
		return err
	}
	return conclude(c, cfg, u.Resume(ctx, names[0], progressLine(c)), "the list is up to date and no longer held", "schoolgate lists status "+names[0])
}

func listAccept(ctx context.Context, c *call, cfg *config.Config, _ listOptions, names []string) error {
	u, err := changer(cfg)
	if err != nil {
		return err
	}
	return conclude(c, cfg, u.Accept(ctx, names[0], progressLine(c)), "the version that waited is in use", "schoolgate lists status "+names[0])
}

func listRefuse(ctx context.Context, c *call, cfg *config.Config, _ listOptions, names []string) error {
	u, err := changer(cfg)
	if err != nil {
		return err
	}
	return conclude(c, cfg, u.Refuse(ctx, names[0]), "the version that waited is refused, the last good one stays in use", "schoolgate lists status "+names[0])
}

// conclude has the running appliance take up what a command did, also where that failed for some lists, and says so.
func conclude(c *call, cfg *config.Config, err error, done, hint string) error {
	var list *update.ListError
	if err != nil && !errors.As(err, &list) {
		return err
	}
	if _, waits := errors.AsType[*update.WaitingError](err); waits {
		hint = "schoolgate lists diff NAME shows what it would bring; then schoolgate lists accept NAME, or refuse NAME"
	}
	running, terr := tellRunning(cfg.Store.Path)
	switch {
	case err != nil:
		return failed(hint, "%v", err)
	case terr != nil:
		fmt.Fprintf(c.stderr, "schoolgate: %s; the running appliance could not be told and will see it within minutes: %v\n", done, terr)
	case running:
		fmt.Fprintf(c.stderr, "schoolgate: %s, and the running appliance takes them up\n", done)
	default:
		fmt.Fprintf(c.stderr, "schoolgate: %s; no appliance is running\n", done)
	}
	return nil
}
