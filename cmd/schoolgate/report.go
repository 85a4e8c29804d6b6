package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"schoolgate/blocklist/update"
	"schoolgate/config"
	"schoolgate/monitor/report"
	"schoolgate/monitor/store"
)

// reportFiles is where a report was written.
type reportFiles struct {
	HTML string `json:"html"`
	CSV  string `json:"csv"`
}

func runReport(ctx context.Context, c *call) error {
	f := flags("report")
	where := configFlag(f)
	name := f.String("term", "", "")
	from, to := f.String("from", "", ""), f.String("to", "", "")
	out := f.String("out", "", "")
	asJSON := f.Bool("json", false, "")
	rest, err := parse(f, c.args)
	if err != nil {
		return err
	}
	if err := noArguments(f, rest); err != nil {
		return err
	}
	cfg, err := loadConfig(c, *where)
	if err != nil {
		return err
	}
	span, err := reportSpan(cfg, *name, *from, *to, time.Now())
	if err != nil {
		return err
	}
	s, err := openRecord(ctx, cfg)
	if err != nil {
		return err
	}
	defer s.Close()
	if *out == "" {
		*out = filepath.Join(cfg.Store.Path, "reports")
	}
	if !*asJSON {
		fmt.Fprintf(c.stderr, "schoolgate: reading the record of %s\n", span.Title)
	}
	files, totals, err := writeTotals(ctx, cfg, s, span, *out)
	if err != nil {
		return err
	}
	if *asJSON {
		return json.NewEncoder(c.stdout).Encode(struct {
			reportFiles
			Totals report.Totals `json:"totals"`
		}{files, totals})
	}
	fmt.Fprintf(c.stdout, "%s\n%s\n", files.HTML, files.CSV)
	return nil
}

// reportSpan is the stretch of time that a report is asked for.
func reportSpan(cfg *config.Config, name, from, to string, now time.Time) (report.Span, error) {
	loc := cfg.Location()
	if name != "" {
		if from != "" || to != "" {
			return report.Span{}, usage("schoolgate help report", "--term together with --from or --to")
		}
		t, err := termNamed(cfg, name, now, loc)
		if err != nil {
			return report.Span{}, err
		}
		return report.Span{
			Title: fmt.Sprintf("%s term %d", capital(t.Name), t.First.Year), From: midnight(t.First, loc), To: midnight(t.Last, loc).AddDate(0, 0, 1), Loc: loc,
		}, nil
	}
	if from == "" || to == "" {
		return report.Span{}, usage("schoolgate report --term autumn, or --from 2026-09-01 --to 2026-12-18", "no span of time is given")
	}
	start, end, err := span(from, to, now, loc)
	if err != nil {
		return report.Span{}, err
	}
	return report.Span{Title: start.Format("2 January 2006") + " to " + end.Add(-time.Second).Format("2 January 2006"), From: start, To: end, Loc: loc}, nil
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// today is the span of this one day.
func today(cfg *config.Config) report.Span {
	loc := cfg.Location()
	from, _ := moment("today", time.Now(), loc, false)
	to, _ := moment("today", time.Now(), loc, true)
	return report.Span{Title: from.Format("2 January 2006"), From: from, To: to, Loc: loc}
}

func writeReport(ctx context.Context, cfg *config.Config, s *store.Reader, span report.Span, dir string) (reportFiles, error) {
	files, _, err := writeTotals(ctx, cfg, s, span, dir)
	return files, err
}

// writeTotals writes the report, whole files or none.
func writeTotals(ctx context.Context, cfg *config.Config, s *store.Reader, span report.Span, dir string) (files reportFiles, totals report.Totals, err error) {
	src, err := newEvidence(cfg, s, time.Now())
	if err != nil {
		return files, totals, changeError(cfg, err)
	}
	site, err := reportSite(ctx, cfg)
	if err != nil {
		return files, totals, err
	}
	site.Changes = src.book.Head
	heads, err := s.Heads(ctx)
	if err != nil {
		return files, totals, err
	}
	if fault := src.book.Check(heads); fault != nil {
		site.ChangesFault = fmt.Sprintf("line %d: %s", fault.Line, fault.What)
	}
	r, err := report.Build(ctx, src, span, site)
	if err != nil {
		return files, totals, fmt.Errorf("building the report: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return files, totals, failed("--out names a folder that may be written", "%v", err)
	}
	base := filepath.Join(dir, "review-"+span.From.Format(time.DateOnly)+"-to-"+span.To.AddDate(0, 0, -1).Format(time.DateOnly))
	files = reportFiles{HTML: base + ".html", CSV: base + ".csv"}
	for path, write := range map[string]func(io.Writer) error{files.HTML: r.HTML, files.CSV: r.CSV} {
		var b strings.Builder
		if err := errors.Join(write(&b), writeFile(path, []byte(b.String()))); err != nil {
			return files, totals, fmt.Errorf("writing %s: %w", path, err)
		}
	}
	return files, r.Totals(), nil
}

// reportSite is what the report says of the school and its filtering as they are now.
func reportSite(ctx context.Context, cfg *config.Config) (report.Site, error) {
	site := report.NewSite(cfg, version, time.Now())
	site.Lists = nil
	k := keeperOf(cfg)
	status, err := allStatus(ctx, cfg, k)
	if err != nil {
		return site, err
	}
	site.Tier, _ = tierWords(cfg, k.Status())
	for _, s := range status {
		site.Lists = append(site.Lists, report.List{
			Name: s.Name, Category: s.Category, Entries: s.Rules, Fetched: s.Checked, Problem: s.Error, BuiltIn: s.State == update.Starter,
		})
	}
	return site, nil
}
