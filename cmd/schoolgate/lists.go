package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"schoolgate/blocklist"
	"schoolgate/blocklist/update"
	"schoolgate/config"
)

func updaterOf(cfg *config.Config) *update.Updater {
	u := update.New(listsDir(cfg), cfg.Lists, cfg.Update)
	u.Version, u.CompileCmd = version, compileInChild
	return u
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
	_, err = update.Compile(ctx, p, time.Now())
	return err
}

func runLists(ctx context.Context, c *call) error {
	f := flags("lists")
	where := configFlag(f)
	asJSON := f.Bool("json", false, "")
	rest, err := parse(f, c.args)
	if err != nil {
		return err
	}
	cfg, err := loadConfig(c, *where)
	if err != nil {
		return err
	}
	if len(rest) == 0 {
		rest = []string{"status"}
	}
	switch rest[0] {
	case "status":
		if len(rest) > 1 {
			return usage("schoolgate help lists", "unexpected argument %q", rest[1])
		}
		return listStatus(c, cfg, *asJSON)
	case "update":
		return listUpdate(ctx, c, cfg, rest[1:])
	}
	return usage("schoolgate lists status, or schoolgate lists update", "no such thing to do with lists: %q", rest[0])
}

func listStatus(c *call, cfg *config.Config, asJSON bool) error {
	status := updaterOf(cfg).Status()
	if asJSON {
		return json.NewEncoder(c.stdout).Encode(status)
	}
	w := tabwriter.NewWriter(c.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "LIST\tCATEGORY\tSTATE\tENTRIES\tPASSED OVER\tFETCHED\tPROBLEM")
	for _, s := range status {
		fetched := "-"
		if !s.Fetched.IsZero() {
			fetched = s.Fetched.In(cfg.Location()).Format("2006-01-02 15:04")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\t%s\n", s.Name, s.Category, s.State, s.Rules, s.Problems, fetched, dash(cell(s.Error)))
	}
	return w.Flush()
}

func listUpdate(ctx context.Context, c *call, cfg *config.Config, names []string) error {
	for _, n := range names {
		found := false
		for _, l := range cfg.Lists {
			found = found || l.Name == n
		}
		if !found {
			return usage("schoolgate lists shows the names", "no list %q", n)
		}
	}
	if err := os.MkdirAll(cfg.Store.Path, 0o700); err != nil {
		return failed("store.path must be a directory that the program may write", "%v", err)
	}
	err := updaterOf(cfg).Refresh(ctx, progressLine(c), names...)
	var list *update.ListError
	if errors.As(err, &list) {
		_, _ = tellRunning(cfg.Store.Path) // of the lists that did come
		return failed("the last good versions stay in use; schoolgate lists shows each", "%v", err)
	}
	if err != nil {
		return err
	}
	told, err := tellRunning(cfg.Store.Path)
	switch {
	case err != nil:
		fmt.Fprintf(c.stderr, "schoolgate: lists are up to date; the running appliance could not be told and will see it within minutes: %v\n", err)
	case told:
		fmt.Fprintln(c.stderr, "schoolgate: lists are up to date, and the running appliance takes them up")
	default:
		fmt.Fprintln(c.stderr, "schoolgate: lists are up to date; no appliance is running")
	}
	return nil
}

// cell makes an error fit for one line of a table.
func cell(s string) string {
	s = strings.Join(strings.Fields(printable(s)), " ")
	if r := []rune(s); len(r) > 120 {
		s = string(r[:119]) + "…"
	}
	return s
}

// progressLine shows long work on a terminal, one line that changes, and elsewhere a line for each list that is done.
func progressLine(c *call) func(update.Progress) {
	file, isFile := c.stderr.(*os.File)
	live := isFile && term.IsTerminal(int(file.Fd()))
	return func(p update.Progress) {
		switch {
		case p.Err != nil:
			clearLine(c, live)
			fmt.Fprintf(c.stderr, "%s: %s\n", p.List, cell(p.Err.Error()))
		case p.Finished:
			clearLine(c, live)
			got := "checked" // a file, or a source that has not changed
			if p.Done > 0 {
				got = config.Size(p.Done).String()
			}
			fmt.Fprintf(c.stderr, "%s: %s\n", p.List, got)
		case live && p.Total > 0:
			const width = 30
			n := int(min(p.Done, p.Total) * width / p.Total)
			fmt.Fprintf(c.stderr, "\r\x1b[K%-20s [%s%s] %3d %%", p.List, strings.Repeat("#", n), strings.Repeat(".", width-n), p.Done*100/p.Total)
		case live:
			fmt.Fprintf(c.stderr, "\r\x1b[K%-20s %s", p.List, config.Size(p.Done))
		}
	}
}

func clearLine(c *call, live bool) {
	if live {
		fmt.Fprint(c.stderr, "\r\x1b[K")
	}
}
