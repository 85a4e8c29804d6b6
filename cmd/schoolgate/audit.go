package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"schoolgate/config"
	"schoolgate/monitor"
	"schoolgate/monitor/change"
)

func runAudit(ctx context.Context, c *call) error {
	f := flags("audit")
	where := configFlag(f)
	from, to := f.String("from", "", ""), f.String("to", "", "")
	head, form := f.String("head", "", ""), f.String("format", "csv", "")
	by, why := f.String("by", "", ""), f.String("why", "", "")
	asJSON := f.Bool("json", false, "")
	rest, err := parse(f, c.args)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return usage("schoolgate audit verify, or schoolgate audit export", "audit takes one thing to do")
	}
	cfg, err := loadConfig(c, *where)
	if err != nil {
		return err
	}
	b, err := change.New(cfg.Store.Path).Read()
	if err != nil {
		return changeError(cfg, err)
	}
	switch rest[0] {
	case "verify":
		return auditVerify(ctx, c, cfg, b, *head, *asJSON)
	case "acknowledge":
		heads, note := keptHeads(ctx, cfg)
		if note != "" {
			fmt.Fprintf(c.stderr, "schoolgate: %s\n", printable(note))
		}
		desk := &change.Desk{Log: change.New(cfg.Store.Path), File: cfg, Illegal: bearsIllegal(ctx, cfg), Via: account()}
		b, err := desk.Acknowledge(*by, *why, heads)
		if err != nil {
			return changeError(cfg, err)
		}
		_, _ = tellRunning(cfg.Store.Path) // else it sees it within a second
		fmt.Fprintf(c.stdout, "written down as line %d: from there on the log is to be whole again\n", b.Head.Count)
		return nil
	case "export":
		start, end, err := span(*from, *to, time.Now(), cfg.Location())
		if err != nil {
			return err
		}
		if *asJSON {
			*form = "json"
		}
		return auditExport(c, b, start, end, cfg.Location(), *form)
	}
	return usage("schoolgate audit verify, or schoolgate audit export", "no such thing to do with the log of changes: %q", rest[0])
}

// verdictOnLog is what audit verify --json prints.
type verdictOnLog struct {
	Whole    bool         `json:"whole"`
	Head     monitor.Head `json:"head"`
	Compared int          `json:"compared"` // heads kept elsewhere
	Line     int          `json:"line,omitempty"`
	What     string       `json:"what,omitempty"`
	Back     []int        `json:"dated_before,omitempty"` // lines dated before the one before them
	Known    []known      `json:"acknowledged,omitempty"`
}

// known is what was wrong with the log before, and who has said that they know.
type known struct {
	Line int      `json:"line"` // that says so
	By   string   `json:"by"`
	Why  string   `json:"why"`
	What []string `json:"what"`
}

func auditVerify(ctx context.Context, c *call, cfg *config.Config, b *change.Book, given string, asJSON bool) error {
	heads, note := keptHeads(ctx, cfg)
	if given != "" {
		count, hash, _ := strings.Cut(given, ":")
		n, err := strconv.Atoi(count)
		if err != nil || n < 1 || len(hash) != len(b.Head.Hash) {
			return usage("--head 14:9f86… as a report or mail has it", "%q is no head", given)
		}
		heads = append(heads, monitor.Head{At: time.Now(), Count: n, Hash: strings.ToLower(hash)})
	}
	v := verdictOnLog{Whole: true, Head: b.Head, Compared: len(heads), Back: b.Back}
	if fault := b.Check(heads); fault != nil {
		v.Whole, v.Line, v.What = false, fault.Line, fault.What
	}
	for _, e := range b.Known {
		v.Known = append(v.Known, known{e.Number, e.By, e.Why, e.Before})
	}
	if asJSON {
		if err := json.NewEncoder(c.stdout).Encode(v); err != nil {
			return err
		}
		if !v.Whole {
			return &hintError{code: exitFailed}
		}
		return nil
	}
	if note != "" {
		fmt.Fprintf(c.stderr, "schoolgate: %s\n", printable(note))
	}
	for _, k := range v.Known {
		fmt.Fprintf(c.stdout, "it was not whole before line %d, by which %s acknowledged that (%s): %s\n", k.Line, k.By, k.Why, strings.Join(k.What, "; "))
	}
	for _, n := range v.Back {
		fmt.Fprintf(c.stderr, "schoolgate: line %d is dated before the line before it: the clock had been set back\n", n)
	}
	if !v.Whole {
		return failed("keep a copy of the file as it is, find out who could write it, and compare it with an earlier audit export or report",
			"the log of changes is not whole: line %d: %s", v.Line, v.What)
	}
	switch b.Head.Count {
	case 0:
		fmt.Fprintln(c.stdout, "the log of changes is empty, and no head of it was ever kept")
	default:
		if n := len(v.Known); n > 0 {
			fmt.Fprintf(c.stdout, "the log of changes is whole from line %d on\n", v.Known[n-1].Line)
		} else {
			fmt.Fprintf(c.stdout, "the log of changes is whole: %s, none altered, moved or missing\n", count(b.Head.Count, "line"))
		}
		fmt.Fprintf(c.stdout, "compared with %s kept in the record\n", count(v.Compared, "head"))
		fmt.Fprintf(c.stdout, "head %d:%s\n", b.Head.Count, b.Head.Hash)
	}
	return nil
}

// keptHeads gives the heads that the record keeps; note says why there are none, when they could not be read.
func keptHeads(ctx context.Context, cfg *config.Config) (heads []monitor.Head, note string) {
	r, err := openRecord(ctx, cfg)
	if err != nil {
		return nil, "no head that is kept in the record was compared: " + err.Error()
	}
	defer r.Close()
	if heads, err = r.Heads(ctx); err != nil {
		return nil, "no head that is kept in the record was compared: " + err.Error()
	}
	return heads, ""
}

func auditExport(c *call, b *change.Book, start, end time.Time, loc *time.Location, form string) error {
	var entries []change.Entry
	for _, e := range b.Entries() {
		if !start.IsZero() && e.At.Before(start) || !end.IsZero() && !e.At.Before(end) {
			continue
		}
		entries = append(entries, e)
	}
	if fault := b.Check(nil); fault != nil {
		fmt.Fprintf(c.stderr, "schoolgate: the log of changes is not whole: line %d: %s\n", fault.Line, fault.What)
	}
	switch form {
	case "json":
		e := json.NewEncoder(c.stdout)
		for _, entry := range entries {
			if err := e.Encode(entry); err != nil {
				return err
			}
		}
		return nil
	case "csv":
		return auditCSV(c.stdout, b, entries, loc)
	}
	return usage("--format csv, or --format json", "no such form %q", form)
}

// auditCSV is for a spreadsheet: a row for each line of the log, times in the school's time zone.
func auditCSV(w io.Writer, b *change.Book, entries []change.Entry, loc *time.Location) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"line", "time", "event", "change", "what", "by", "role", "account", "why", "risk note", "until", "before", "after", "hash"})
	for _, e := range entries {
		what, number, until := "", "", ""
		switch {
		case e.What != nil:
			what, number = e.What.String(), strconv.Itoa(e.Number)
		case e.Kind == change.KindAnswered:
			what = fmt.Sprintf("request %d from the block page", e.Asked)
		case e.Change > 0:
			number = strconv.Itoa(e.Change)
			if c, ok := b.Change(e.Change); ok {
				what = c.What.String()
			}
		}
		if !e.Until.IsZero() {
			until = e.Until.In(loc).Format(time.DateTime)
		} else if e.For > 0 {
			until = "for " + config.Duration(e.For).String()
		}
		row := []string{
			strconv.Itoa(e.Number), e.At.In(loc).Format(time.DateTime), string(e.Kind), number, what, e.By, e.Role, e.Via, e.Why, e.Risk, until,
			strings.Join(e.Before, "\n"), strings.Join(e.After, "\n"), e.Hash,
		}
		for i, cell := range row {
			row[i] = inert(cell)
		}
		_ = out.Write(row)
	}
	out.Flush()
	return out.Error()
}
