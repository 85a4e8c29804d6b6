package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"schoolgate/config"
	"schoolgate/monitor"
	"schoolgate/monitor/change"
	"schoolgate/monitor/record"
)

func runRequests(ctx context.Context, c *call) error {
	f := flags("requests")
	where := configFlag(f)
	by, why := f.String("by", "", ""), f.String("why", "", "")
	all, asJSON := f.Bool("all", false, ""), f.Bool("json", false, "")
	rest, err := parse(f, c.args)
	if err != nil {
		return err
	}
	if len(rest) == 0 {
		rest = []string{"list"}
	}
	if verb := rest[0]; verb == "list" && len(rest) > 1 || verb == "done" && len(rest) != 2 || verb != "list" && verb != "done" {
		return usage("schoolgate requests, or schoolgate requests done 7 --by NAME --why TEXT", "no such thing to do with requests")
	}
	cfg, err := loadConfig(c, *where)
	if err != nil {
		return err
	}
	b, err := change.New(cfg.Store.Path).Read()
	if err != nil {
		return changeError(cfg, err)
	}
	r, err := openRecord(ctx, cfg)
	if err != nil {
		return err
	}
	defer r.Close()
	found, err := r.Requests(ctx, time.Time{}, time.Time{})
	if err != nil {
		return err
	}
	found = answered(b, found)
	if rest[0] == "done" {
		return requestDone(ctx, c, cfg, found, rest[1], *by, *why)
	}
	if !*all {
		found = slices.DeleteFunc(found, func(r monitor.Request) bool { return !r.Answered.IsZero() })
	}
	slices.Reverse(found) // who has waited longest comes first
	if *asJSON {
		return requestsJSON(c, found)
	}
	return requestTable(c, found, *all, cfg.Location())
}

// requestDone writes into the log of changes what became of a request.
func requestDone(ctx context.Context, c *call, cfg *config.Config, found []monitor.Request, number, by, why string) error {
	id, err := strconv.ParseInt(number, 10, 64)
	at := slices.IndexFunc(found, func(r monitor.Request) bool { return r.ID == id })
	if err != nil || at < 0 {
		return failed("schoolgate requests --all lists them with their numbers", "no request has the number %s", number)
	}
	desk := &change.Desk{Log: change.New(cfg.Store.Path), File: cfg, Illegal: bearsIllegal(ctx, cfg), Via: account()}
	if err := desk.Answer(found[at], by, why); err != nil {
		return changeError(cfg, err)
	}
	_, _ = tellRunning(cfg.Store.Path) // else it sees it within a second
	_, err = fmt.Fprintf(c.stdout, "request %d is answered\n", id)
	return err
}

func requestTable(c *call, found []monitor.Request, all bool, loc *time.Location) error {
	if len(found) == 0 {
		what := "no request waits for an answer"
		if all {
			what = "there are no requests"
		}
		_, err := fmt.Fprintln(c.stdout, what)
		return err
	}
	for _, r := range found {
		fmt.Fprintf(c.stdout, "Request %d, %s\n", r.ID, r.At.In(loc).Format("Mon 2 Jan 2006 15:04"))
		w := tabwriter.NewWriter(c.stdout, 0, 8, 2, ' ', 0)
		row := func(key, value string) { fmt.Fprintf(w, "  %s\t%s\n", key, printable(dash(value))) }
		row("site", r.Site)
		row("refused as", r.Reason)
		row("device", r.Device+", group "+r.Group)
		row("from", fmt.Sprintf("%s (%s); nobody has checked who it was", r.Name, r.Role))
		row("why", r.Why)
		if !r.Answered.IsZero() {
			row("answered", fmt.Sprintf("%s by %s: %s", r.Answered.In(loc).Format("Mon 2 Jan 2006 15:04"), r.AnsweredBy, r.Answer))
		}
		if err := w.Flush(); err != nil {
			return err
		}
		if r.Answered.IsZero() && r.Site != record.Withheld {
			fmt.Fprintf(c.stdout, "  schoolgate explain %s\n", printable(r.Site))
		}
		fmt.Fprintln(c.stdout)
	}
	return nil
}

func requestsJSON(c *call, found []monitor.Request) error {
	type line struct {
		Number     int64     `json:"number"`
		At         time.Time `json:"at"`
		Site       string    `json:"site"`
		Reason     string    `json:"reason,omitempty"`
		Device     string    `json:"device"`
		Group      string    `json:"group"`
		Name       string    `json:"name"`
		Role       string    `json:"role"`
		Why        string    `json:"why"`
		Answered   time.Time `json:"answered,omitzero"`
		AnsweredBy string    `json:"answered_by,omitempty"`
		Answer     string    `json:"answer,omitempty"`
	}
	e := json.NewEncoder(c.stdout)
	for _, r := range found {
		if err := e.Encode(line{r.ID, r.At, r.Site, r.Reason, r.Device, r.Group, r.Name, r.Role, r.Why, r.Answered, r.AnsweredBy, r.Answer}); err != nil {
			return err
		}
	}
	return nil
}
