package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"text/tabwriter"
	"time"

	"schoolgate/monitor"
	"schoolgate/monitor/store"
)

func runAlerts(ctx context.Context, c *call) error {
	f := flags("alerts")
	where := configFlag(f)
	from, to := f.String("from", "", ""), f.String("to", "", "")
	limit := f.Int("limit", 50, "")
	asJSON := f.Bool("json", false, "")
	rest, err := parse(f, c.args)
	if err != nil {
		return err
	}
	if len(rest) > 0 && rest[0] == "list" {
		rest = rest[1:]
	}
	var show int64
	if len(rest) == 2 && rest[0] == "show" {
		if show, err = strconv.ParseInt(rest[1], 10, 64); err != nil || show < 1 {
			return usage("schoolgate alerts lists them with their numbers", "%q is no alert's number", rest[1])
		}
		rest = nil
	}
	if len(rest) > 0 {
		return usage("schoolgate alerts, or schoolgate alerts show 17", "unexpected argument %q", rest[0])
	}
	cfg, err := loadConfig(c, *where)
	if err != nil {
		return err
	}
	loc := cfg.Location()
	start, end, err := span(*from, *to, time.Now(), loc)
	if err != nil {
		return err
	}
	s, err := openRecord(ctx, cfg)
	if err != nil {
		return err
	}
	defer s.Close()
	var found []monitor.Alert
	if show != 0 {
		a, err := s.Alert(ctx, show)
		if errors.Is(err, store.ErrNotFound) {
			return failed("schoolgate alerts lists them with their numbers", "no alert has the number %d", show)
		}
		if err != nil {
			return fmt.Errorf("reading alert %d: %w", show, err)
		}
		found = append(found, a)
	} else if found, err = s.Alerts(ctx, start, end, *limit); err != nil {
		return fmt.Errorf("reading the alerts: %w", err)
	}
	switch {
	case *asJSON:
		return alertsJSON(c, found)
	case show != 0:
		return alertPage(c, found[0], loc)
	}
	return alertTable(c, found, loc)
}

func alertTable(c *call, alerts []monitor.Alert, loc *time.Location) error {
	if len(alerts) == 0 {
		_, err := fmt.Fprintln(c.stdout, "no alerts in this time")
		return err
	}
	w := tabwriter.NewWriter(c.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "NUMBER\tFIRST\tLAST\tSEVERITY\tWHAT\tDEVICE\tGROUP\tTIMES")
	for _, a := range alerts {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%d\n", a.ID, a.First.In(loc).Format(time.DateTime), a.Last.In(loc).Format(time.TimeOnly),
			a.Severity, alertSubject(a), dash(a.Device), dash(a.Group), a.Count)
	}
	return w.Flush()
}

// alertSubject says in a few words what an alert is about.
func alertSubject(a monitor.Alert) string {
	switch a.Kind {
	case monitor.Illegal:
		return "a name of the illegal tier (withheld)"
	case monitor.System:
		return a.Text
	case monitor.Blocked:
	}
	if a.Site == "" {
		return a.Category + ": " + a.Text
	}
	return a.Category + ": " + a.Site
}

func alertPage(c *call, a monitor.Alert, loc *time.Location) error {
	fmt.Fprintf(c.stdout, "Alert %d, %s\n", a.ID, a.Severity)
	for _, line := range [][2]string{
		{"what", alertSubject(a)},
		{"device", dash(a.Device)},
		{"group", dash(a.Group)},
		{"first", a.First.In(loc).Format("Mon 2 Jan 2006 15:04:05")},
		{"last", a.Last.In(loc).Format("Mon 2 Jan 2006 15:04:05")},
		{"times", strconv.FormatInt(a.Count, 10)},
	} {
		fmt.Fprintf(c.stdout, "  %-8s %s\n", line[0], line[1])
	}
	if a.Device != "" {
		fmt.Fprintf(c.stdout, "\nWhat the device asked around that time:\n  schoolgate log --device '%s' --from '%s' --to '%s'\n", a.Device,
			a.First.Add(-5*time.Minute).In(loc).Format("2006-01-02 15:04"), a.Last.Add(5*time.Minute).In(loc).Format("2006-01-02 15:04"))
	}
	_, err := fmt.Fprintln(c.stdout, "\nDNS shows which names a device asked for, not the pages, the searches or who sat before it.")
	return err
}

func alertsJSON(c *call, alerts []monitor.Alert) error {
	type line struct {
		Number   int64     `json:"number"`
		Kind     string    `json:"kind"`
		Severity string    `json:"severity"`
		Category string    `json:"category,omitempty"`
		Group    string    `json:"group,omitempty"`
		Device   string    `json:"device,omitempty"`
		Site     string    `json:"site,omitempty"`
		Code     string    `json:"code,omitempty"`
		Text     string    `json:"text,omitempty"`
		First    time.Time `json:"first"`
		Last     time.Time `json:"last"`
		Count    int64     `json:"count"`
	}
	e := json.NewEncoder(c.stdout)
	for _, a := range alerts {
		if err := e.Encode(line{a.ID, a.Kind.String(), a.Severity.String(), a.Category, a.Group, a.Device, a.Site, a.Code, a.Text, a.First, a.Last, a.Count}); err != nil {
			return err
		}
	}
	return nil
}
