package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/term"

	"schoolgate/blocklist/feed"
	"schoolgate/config"
	"schoolgate/monitor"
	"schoolgate/monitor/change"
	"schoolgate/monitor/reference"
)

// illegalOptions are the flags of the command illegal.
type illegalOptions struct {
	json bool
	key  string // the file of the safeguarding lead's key
	out  string
	by   string
}

// illegalActions are the things to do with the illegal tier, with how many arguments each takes at most.
var illegalActions = map[string]struct {
	least, most int
	run         func(ctx context.Context, c *call, cfg *config.Config, o illegalOptions, args []string) error
}{
	"status":     {0, 0, illegalStatus},
	"update":     {0, 16, illegalUpdate},
	"accept":     {1, 1, illegalAccept},
	"forget":     {1, 1, illegalForget},
	"references": {0, 0, illegalReferences},
	"open":       {1, 1, illegalOpen},
}

func runIllegal(ctx context.Context, c *call) error {
	var o illegalOptions
	f := flags("illegal")
	where := configFlag(f)
	f.BoolVar(&o.json, "json", false, "")
	f.StringVar(&o.key, "key", "", "")
	f.StringVar(&o.out, "out", "", "")
	f.StringVar(&o.by, "by", "", "")
	rest, err := parse(f, c.args)
	if err != nil {
		return err
	}
	if len(rest) == 0 {
		rest = []string{"status"}
	}
	if rest[0] == "key" && len(rest) == 1 { // of no configuration yet
		return illegalKey(c, o)
	}
	action, known := illegalActions[rest[0]]
	args := rest[1:]
	if !known || len(args) < action.least || len(args) > action.most {
		return usage("schoolgate help illegal", "schoolgate illegal cannot do %q", strings.Join(rest, " "))
	}
	cfg, err := loadConfig(c, *where)
	if err != nil {
		return err
	}
	return action.run(ctx, c, cfg, o, args)
}

// standingOfTier is what illegal status --json prints.
type standingOfTier struct {
	Enforced  bool          `json:"enforced"`
	Words     []string      `json:"words"`
	Lists     []feed.Status `json:"lists"`
	DSLKey    bool          `json:"dsl_key"`
	Upstream  string        `json:"upstream,omitempty"`
	Confirmed string        `json:"confirmed,omitempty"`
}

// tierWords says honestly, a sentence each, who enforces the illegal tier and when that was last proven.
func tierWords(cfg *config.Config, lists []feed.Status) (words []string, enforced bool) {
	loc := cfg.Location()
	for _, s := range lists {
		if s.State == feed.Never {
			why := "nothing of %s was ever fetched"
			if !s.Lost.IsZero() {
				why = "the copy of %s, or the key to it, was lost"
			}
			words = append(words, fmt.Sprintf("not enforced here: "+why, s.Name))
			continue
		}
		enforced = true
		proven := "never proven"
		if !s.Proven.IsZero() {
			proven = "last proven " + cameAt(s.Proven, loc)
		}
		line := fmt.Sprintf("enforced by %s (%s, %s), fetched %s, %s", s.Name, count(s.Domains, "domain"), count(s.URLs, "URL"), cameAt(s.Fetched, loc), proven)
		switch s.State {
		case feed.Stale:
			line += "; out of date: last confirmed " + cameAt(s.Checked, loc)
		case feed.Retired:
			line += "; no longer configured"
		case feed.Enforced, feed.Never:
		}
		words = append(words, line)
	}
	if len(lists) == 0 {
		words = append(words, "not enforced here: no licensed list")
	}
	if i := cfg.Illegal; i.Upstream != "" {
		words = append(words, fmt.Sprintf("enforced by upstream %s as the school states, confirmed %s", i.Upstream, i.Confirmed))
	}
	return words, enforced
}

func illegalStatus(ctx context.Context, c *call, cfg *config.Config, o illegalOptions, _ []string) error {
	k := keeperOf(cfg)
	if _, err := k.Load(ctx); err != nil {
		return failed("run the command as the user schoolgate, or with sudo", "reading the illegal tier: %v", err)
	}
	lists := k.Status()
	words, enforced := tierWords(cfg, lists)
	if o.json {
		return json.NewEncoder(c.stdout).Encode(standingOfTier{
			Enforced: enforced, Words: words, Lists: lists, DSLKey: !cfg.Illegal.DSLKey.IsZero(), Upstream: cfg.Illegal.Upstream, Confirmed: cfg.Illegal.Confirmed.String(),
		})
	}
	for _, w := range words {
		fmt.Fprintln(c.stdout, w)
	}
	for _, s := range lists {
		fmt.Fprintf(c.stdout, "\n%s: %s\n", s.Name, s.State)
		fmt.Fprintf(c.stdout, "  source     %s\n", printable(s.Source))
		fmt.Fprintf(c.stdout, "  holds      %s refused to everyone; %s on %s, by each group's illegal_urls\n", count(s.Domains, "domain"), count(s.URLs, "page"), count(s.Hosts, "host"))
		if s.Addresses+s.Skipped > 0 {
			fmt.Fprintf(c.stdout, "  holds not  %d at addresses that nobody asks DNS for, %d that cannot be read\n", s.Addresses, s.Skipped)
		}
		fmt.Fprintf(c.stdout, "  changed    %d came and %d went with the newest version\n", s.Added, s.Removed)
		fmt.Fprintf(c.stdout, "  looked at  %s, next %s\n", cameAt(s.Checked, cfg.Location()), cameAt(s.Next, cfg.Location()))
		if s.Error != "" {
			fmt.Fprintf(c.stdout, "  problem    %s (%d in a row)\n", cell(s.Error), s.Failures)
		}
		if !s.Lost.IsZero() {
			fmt.Fprintf(c.stdout, "  damage     the copy or the key was lost or damaged, seen %s\n", cameAt(s.Lost, cfg.Location()))
		}
	}
	if len(lists) > 0 && cfg.Illegal.DSLKey.IsZero() {
		fmt.Fprintln(c.stdout, "\nThere is no key of the safeguarding lead: what is refused is recorded without a reference to the name.")
	}
	return nil
}

func illegalUpdate(ctx context.Context, c *call, cfg *config.Config, _ illegalOptions, names []string) error {
	if err := os.MkdirAll(cfg.Store.Path, 0o700); err != nil {
		return failed("store.path must be a directory that the program may write", "%v", err)
	}
	err := keeperOf(cfg).Refresh(ctx, false, progressLine(c), names...)
	return conclude(c, cfg, err, "lists of the illegal tier are up to date", "the last good versions stay in force; schoolgate illegal status shows each")
}

func illegalAccept(ctx context.Context, c *call, cfg *config.Config, o illegalOptions, names []string) error {
	if err := deciding(c, cfg, o); err != nil {
		return err
	}
	tier, _ := feed.Split(cfg.Store.Path, cfg.Lists)
	if !isOf(tier, names[0]) {
		return failed("schoolgate illegal status shows the lists", "no list %q of the illegal tier is configured", names[0])
	}
	if err := noteTier(cfg, o, change.KindLists, "list "+names[0]+" of the illegal tier: its next version is taken however strange it looks"); err != nil {
		return err
	}
	err := keeperOf(cfg).Refresh(ctx, true, progressLine(c), names...)
	return conclude(c, cfg, err, "the version is in force", "schoolgate illegal status shows what is wrong")
}

func illegalForget(ctx context.Context, c *call, cfg *config.Config, o illegalOptions, names []string) error {
	if err := deciding(c, cfg, o); err != nil {
		return err
	}
	k := keeperOf(cfg)
	if err := k.MayForget(names[0]); err != nil { // else the log would tell of what was not done
		return failed("schoolgate illegal status shows the lists; one that is configured has to leave the configuration first", "%v", err)
	}
	if err := noteTier(cfg, o, change.KindLists, "list "+names[0]+" of the illegal tier: no longer enforced, all copies are removed"); err != nil {
		return err
	}
	return conclude(c, cfg, k.Forget(ctx, names[0]), "the list is no longer enforced", "schoolgate illegal status shows the lists")
}

// noteTier writes what a person does to the tier into the log of changes, before it is done.
func noteTier(cfg *config.Config, o illegalOptions, kind change.Kind, what string) error {
	by := o.by
	if by == "" {
		by = account()
	}
	_, err := change.New(cfg.Store.Path).Update(func(*change.Book, time.Time) ([]change.Entry, error) {
		return []change.Entry{{Kind: kind, By: by, Via: account(), After: []string{what}}}, nil
	})
	if err != nil {
		return changeError(cfg, err)
	}
	_, _ = tellRunning(cfg.Store.Path) // it sees by itself that the log has grown
	return nil
}

// dslKey reads the safeguarding lead's key, which only its holder can unlock.
func dslKey(c *call, o illegalOptions) (*reference.Key, error) {
	if o.key == "" {
		return nil, usage("--key FILE names the file that schoolgate illegal key made", "this takes the safeguarding lead's key")
	}
	text, err := os.ReadFile(o.key)
	if err != nil {
		return nil, failed("", "%v", err)
	}
	pass, err := passphrase(c, "Passphrase of the safeguarding lead's key: ")
	if err != nil {
		return nil, err
	}
	k, err := reference.Unlock(text, pass)
	if err != nil {
		return nil, failed("", "%s: %v", o.key, err)
	}
	return k, nil
}

// deciding wants the key of somebody who may decide on lists of the tier. The configuration does not say who that is: this
// command takes any, and whoever may write one could name a key of their own.
func deciding(c *call, cfg *config.Config, o illegalOptions) error {
	k, err := dslKey(c, o)
	if err != nil {
		return err
	}
	trust, err := reference.ReadTrust(cfg.Store.Path)
	switch {
	case err != nil:
		return failed("run the command as the user schoolgate, or with sudo", "%v", err)
	case trust.Key == [32]byte{}:
		return failed("dsl_key under [illegal] names one; the running service takes it up", "the box trusts no key of a safeguarding lead yet")
	case k.Public() != trust.Key:
		return failed("a dsl_key that takes the place of another counts after seven days", "this is not the key that the box trusts")
	case !trust.Decides(time.Now()):
		return failed("the first key of a box that enforces the tier already has to wait",
			"this key is new, and decides from %s", trust.From.Add(reference.Patience).In(cfg.Location()).Format("2 January 2006 15:04"))
	}
	return nil
}

// passphrase asks on a terminal, and elsewhere reads one line.
func passphrase(c *call, prompt string) ([]byte, error) {
	if file, ok := c.stdin.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		fmt.Fprint(c.stderr, prompt)
		pass, err := term.ReadPassword(int(file.Fd()))
		fmt.Fprintln(c.stderr)
		return pass, err
	}
	line, err := bufio.NewReader(io.LimitReader(c.stdin, 4096)).ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

// minPassphrase is a guard against a slip, not advice.
const minPassphrase = 10

func illegalKey(c *call, o illegalOptions) error {
	if o.out == "" {
		return usage("schoolgate illegal key --out /media/usb/safeguarding.key", "--out FILE says where the key is to be kept: not on this machine")
	}
	pass, err := passphrase(c, "A passphrase that the safeguarding lead alone knows: ")
	if err != nil {
		return err
	}
	if len(pass) < minPassphrase {
		return usage("four or five words will do", "a passphrase of less than %d characters", minPassphrase)
	}
	k, err := reference.NewKey()
	if err != nil {
		return err
	}
	text, err := k.Lock(pass)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(o.out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return failed("an existing key is never written over", "%v", err)
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return failed("", "writing %s: %v", o.out, err)
	}
	fmt.Fprintf(c.stdout, "dsl_key = %q\n", config.PublicKey(k.Public()).String())
	fmt.Fprintf(c.stderr, "schoolgate: the line above goes into [illegal] of the configuration; %s and its passphrase are for the safeguarding lead alone, and there is no other copy\n", filepath.Base(o.out))
	return nil
}

// hitsOf reads hits from the record.
func hitsOf(ctx context.Context, cfg *config.Config, id int64) ([]monitor.Hit, error) {
	s, err := openRecord(ctx, cfg)
	if err != nil {
		return nil, err
	}
	hits, err := s.Hits(ctx, time.Time{}, id)
	return hits, errors.Join(err, s.Close())
}

// referenceLine is what illegal references --json prints for each.
type referenceLine struct {
	Reference int64     `json:"reference"`
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
	Device    string    `json:"device,omitempty"`
	List      string    `json:"list"`
	Count     int64     `json:"count"`
	Sealed    bool      `json:"sealed"`
}

func illegalReferences(ctx context.Context, c *call, cfg *config.Config, o illegalOptions, _ []string) error {
	hits, err := hitsOf(ctx, cfg, 0)
	if err != nil {
		return err
	}
	if o.json {
		out := make([]referenceLine, len(hits))
		for i, h := range hits {
			out[i] = referenceLine{h.ID, h.First, h.Last, h.Device, h.List, h.Count, h.Sealed != nil}
		}
		return json.NewEncoder(c.stdout).Encode(out)
	}
	w := tabwriter.NewWriter(c.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "REFERENCE\tFIRST\tLAST\tDEVICE\tLIST\tCOUNT\tNAME")
	for _, h := range hits {
		name := "sealed"
		if h.Sealed == nil {
			name = "not kept"
		}
		device := h.Device
		if device == "" {
			device = "(further ones)"
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%d\t%s\n", h.ID, cameAt(h.First, cfg.Location()), cameAt(h.Last, cfg.Location()), printable(device), h.List, h.Count, name)
	}
	return w.Flush()
}

func illegalOpen(ctx context.Context, c *call, cfg *config.Config, o illegalOptions, args []string) error {
	id, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil || id < 1 {
		return usage("schoolgate illegal references lists them", "%q is no number of a reference", args[0])
	}
	hits, err := hitsOf(ctx, cfg, id)
	if err != nil {
		return err
	}
	if len(hits) == 0 || hits[0].Sealed == nil {
		return failed("schoolgate illegal references lists them", "there is no sealed reference %d", id)
	}
	k, err := dslKey(c, o)
	if err != nil {
		return err
	}
	secret, err := k.Open(hits[0].Sealed)
	if err != nil {
		return failed("dsl_key may have been another one then", "reference %d: %v", id, err)
	}
	if err := noteTier(cfg, o, change.KindOpened, fmt.Sprintf("reference %d was opened", id)); err != nil {
		return err // what is not recorded is not shown
	}
	how := "asked for"
	if secret.Leads {
		how = "asked for, and leads to a listed name"
	}
	fmt.Fprintf(c.stdout, "%s\n  %s by %s at %s, list %s\n", printable(secret.Name), how, printable(secret.Device), secret.At.In(cfg.Location()).Format("2006-01-02 15:04:05"), secret.List)
	fmt.Fprintln(c.stderr, "schoolgate: that this was opened is in the log of changes; do not open the site, and do not copy its name into mail")
	return nil
}
