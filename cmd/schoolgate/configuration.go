package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"schoolgate/blocklist/feed"
	"schoolgate/blocklist/update"
	"schoolgate/config"
	"schoolgate/monitor/store"
)

// usualConfig is where the service's configuration lies.
const usualConfig = "/etc/schoolgate/schoolgate.toml"

// configFlag adds the flag that names the configuration.
func configFlag(f *flag.FlagSet) *string {
	return f.String("config", "", "")
}

// configPath is the file to read: the one given, else the one in the environment, else the service's where there is one,
// else none ("" is what is built in).
func configPath(given string) string {
	if given != "" {
		return given
	}
	if p := os.Getenv("SCHOOLGATE_CONFIG"); p != "" {
		return p
	}
	if _, err := os.Stat(usualConfig); err == nil {
		return usualConfig
	}
	return ""
}

// loadConfig reads the configuration of a command that asks something of a box. One that is refused does not keep a
// person from the record while the box itself runs on the last good one: the command then does the same, and says so.
func loadConfig(c *call, given string) (*config.Config, error) {
	path := configPath(given)
	cfg, err := config.Load(path)
	if err == nil {
		return cfg, nil
	}
	dirs := []string{"/var/lib/schoolgate"}
	if text, readErr := config.ReadFile(path); readErr == nil {
		if partial, _ := config.Check(text, path); partial != nil {
			dirs = []string{partial.Store.Path}
		}
		for _, dir := range dirs {
			if old, oldErr := config.Load(filepath.Join(dir, "last-good.toml")); oldErr == nil && filepath.Clean(old.Store.Path) == filepath.Clean(dir) {
				fmt.Fprintf(c.stderr, "schoolgate: %s is refused; using what the box last took into use\nhint: schoolgate check %[1]s says what is wrong\n", path)
				return old, nil
			}
		}
	}
	return nil, refused(path, err)
}

// refused turns a configuration's problems into what a person sees.
func refused(path string, err error) error {
	var problems config.Problems
	switch {
	case errors.As(err, &problems):
		return usage("schoolgate check --config "+path+" shows the same; nothing was changed", "the configuration cannot be used:\n%v", problems)
	case errors.Is(err, fs.ErrNotExist):
		return usage("--config FILE names the file; without one the built-in defaults are used", "%v", err)
	case errors.Is(err, fs.ErrPermission):
		return usage("run the command as the user schoolgate, or with sudo", "%v", err)
	}
	return usage("", "%v", err)
}

// categories gives the category of each list that the box may serve from under cfg, by its name. Those of the illegal
// tier are not among them: they are kept by themselves.
func categories(cfg *config.Config) map[string]string {
	return update.Categories(openLists(cfg))
}

// openLists are the lists that are kept as they come: all but those of the illegal tier.
func openLists(cfg *config.Config) []config.List {
	_, open := feed.Split(cfg.Store.Path, cfg.Lists)
	return open
}

// listsDir is where the lists are kept.
func listsDir(cfg *config.Config) string { return filepath.Join(cfg.Store.Path, "lists") }

func runCheck(_ context.Context, c *call) error {
	f := flags("check")
	where := configFlag(f)
	asJSON := f.Bool("json", false, "")
	rest, err := parse(f, c.args)
	if err != nil {
		return err
	}
	if len(rest) == 1 && *where == "" {
		*where, rest = rest[0], nil
	}
	if err := noArguments(f, rest); err != nil {
		return err
	}
	path := configPath(*where)
	var cfg *config.Config
	var problems config.Problems
	if path == "" {
		cfg = config.Default()
		problems = cfg.Validate()
	} else {
		text, err := config.ReadFile(path)
		if err != nil {
			return refused(path, err)
		}
		cfg, problems = config.Check(text, path)
	}
	if *asJSON {
		return checkJSON(c, path, problems)
	}
	for _, p := range problems {
		fmt.Fprintln(c.stdout, p)
	}
	if problems.Refused() {
		return usage("", "%s", tally(problems))
	}
	if path == "" {
		path = "the built-in configuration"
	}
	fmt.Fprintf(c.stdout, "%s is right: %d groups, %d devices, %d lists, %d terms; %s\n",
		path, len(cfg.Groups), len(cfg.Devices), len(cfg.Lists), len(cfg.Terms), tally(problems))
	return nil
}

func tally(problems config.Problems) string {
	errs, warnings := 0, 0
	for _, p := range problems {
		if p.Severity == config.Error {
			errs++
		} else {
			warnings++
		}
	}
	return fmt.Sprintf("%s, %s", count(errs, "error"), count(warnings, "warning"))
}

// count is "no errors", "1 error", "2 errors".
func count(n int, noun string) string {
	switch n {
	case 0:
		return "no " + noun + "s"
	case 1:
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func checkJSON(c *call, path string, problems config.Problems) error {
	type line struct {
		File     string `json:"file"`
		Line     int    `json:"line"`
		Path     string `json:"path"`
		Severity string `json:"severity"`
		What     string `json:"what"`
		Hint     string `json:"hint"`
	}
	out := struct {
		File     string `json:"file"`
		OK       bool   `json:"ok"`
		Problems []line `json:"problems"`
	}{File: path, OK: !problems.Refused(), Problems: []line{}}
	for _, p := range problems {
		out.Problems = append(out.Problems, line{p.File, p.Line, p.Path, p.Severity.String(), p.What, p.Hint})
	}
	if err := json.NewEncoder(c.stdout).Encode(out); err != nil {
		return err
	}
	if !out.OK {
		return &hintError{code: exitUsage}
	}
	return nil
}

// openRecord opens the record for reading, whether or not an appliance writes to it.
func openRecord(ctx context.Context, cfg *config.Config) (*store.Reader, error) {
	r, err := store.OpenReader(ctx, cfg.Store.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, failed("store.path of the configuration names the folder; schoolgate run begins a record", "there is no record in %s", cfg.Store.Path)
	case errors.Is(err, fs.ErrPermission):
		return nil, failed("run the command as the user of the service, or with sudo", "the record in %s may not be read: %v", cfg.Store.Path, err)
	case err != nil:
		return nil, failed("", "opening the record in %s: %v", cfg.Store.Path, err)
	}
	return r, nil
}
