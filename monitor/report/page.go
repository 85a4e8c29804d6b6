package report

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"schoolgate/config"
)

// page is everything that the template writes down. It decides nothing by itself.
type page struct {
	Title   string // of the span
	School  string
	From    cell
	Until   cell // last day included
	Made    cell
	Version string
	Zone    string

	Notice    string // above all else, when there is nothing to review; "" else
	Headline  []string
	Findings  []finding
	Decisions []decision
	Signers   []string

	Totals, Categories, GroupKinds, Groups, Weeks, WeekKinds, Days  table
	Illegal, Devices, Repeats, DeviceKinds, Silent                  table
	Names, Overblocked, Steered, Requests, Alerts, Changes, Updates table
	Alike                                                           table
	Gaps, SilentDays, Lists, Policy                                 table
	WeekChart, DayChart                                             chart
	KindCharts                                                      []chart

	HasIllegal   bool // a list of the illegal tier is loaded
	IllegalLists string
	NeverSeen    string
	Bypass       string // a sentence
	Signals      string // a sentence
	Alerting     string
	Whole        []string // sentences on whether the record is
	Forgotten    string   // a sentence when the span reaches further back than the record
	Retention    string
	DeviceLimit  int
	Bounded      bool // more devices than one report tells apart

	ManyDevices int
	ConstantAt  int
	Words       string // that the heuristic looks for
	Suffixes    string
}

// tables are all tables in the order of the page, which is that of the CSV.
func (p *page) tables() []*table {
	return []*table{
		&p.Totals, &p.Categories, &p.GroupKinds, &p.Groups, &p.Illegal, &p.Devices, &p.Repeats, &p.Silent, &p.Names, &p.Overblocked, &p.Requests,
		&p.Steered, &p.Alike, &p.Alerts, &p.Changes, &p.Updates, &p.Gaps, &p.SilentDays, &p.Policy, &p.Lists, &p.Weeks, &p.WeekKinds, &p.Days, &p.DeviceKinds,
	}
}

func (c *count) page(span Span) page {
	weeks, order, repeats, wrong := c.shown(), c.byConcern(), c.repeats(), c.candidates()
	p := page{
		Title: clean(span.Title), School: clean(c.site.Name), Version: clean(c.site.Version), Zone: clean(span.Loc.String()),
		From: dateCell(c.cal.date(0)), Until: dateCell(c.cal.date(c.cal.n - 1)), Made: momentCell(c.site.Made, span.Loc),
		Headline: c.headline(span), Findings: c.findings(span, repeats, wrong), Decisions: c.decisions(span, repeats, wrong),
		Signers: []string{"Designated safeguarding lead", "Head teacher or manager", "Governor, owner or inspector"},

		Totals: c.totalsTable(), Categories: c.kindsTable(), GroupKinds: c.groupKindsTable(), Groups: c.groupsTable(),
		Weeks: c.weeksTable(weeks), WeekKinds: c.weekKindsTable(weeks), Days: c.daysTable(), Illegal: c.illegalTable(),
		Devices: c.devicesTable(order), Repeats: c.repeatsTable(repeats), DeviceKinds: c.deviceKindsTable(order), Silent: c.silentTable(),
		Names: c.namesTable(), Overblocked: c.candidatesTable(wrong), Steered: c.steeredTable(), Requests: c.requestsTable(), Alike: c.alikeTable(), Alerts: c.alertsTable(),
		Changes: c.changesTable(), Updates: c.updatesTable(), Gaps: c.gapsTable(), SilentDays: c.silentDaysTable(),
		Lists: c.listsTable(), Policy: c.policyTable(),
		WeekChart: c.weekChart(weeks), DayChart: c.dayChart(weeks), KindCharts: c.kindCharts(weeks),

		HasIllegal: c.loaded(config.IllegalTier), Whole: c.wholeness(span), Bypass: c.bypassWords(), Signals: c.signalWords(),
		DeviceLimit: maxDevices, Bounded: c.deviceAt[otherDevices] != 0, ManyDevices: manyDevices, ConstantAt: constantAt,
		Words: strings.Join(learningWords[:], ", "),
	}
	for _, o := range officialSuffixes {
		p.Suffixes += ", ." + o.suffix
	}
	p.Suffixes = strings.TrimPrefix(p.Suffixes, ", ")
	c.standing(&p, span)
	return p
}

// standing fills in what is said of the configuration and of time.
func (c *count) standing(p *page, span Span) {
	var names []string
	for _, l := range c.site.Lists {
		if l.Category == illegal.category {
			names = append(names, clean(l.Name))
		}
	}
	p.IllegalLists = strings.Join(names, ", ")
	if never := c.neverSeen(); len(never) > 0 {
		p.NeverSeen = listed(never, 30)
	}
	p.Alerting = clean(strings.Join(labels(c.site.Alerting), ", "))
	if c.sums.requests == 0 {
		p.Notice = p.Headline[0]
	}
	if c.site.Retention <= 0 {
		return
	}
	p.Retention = duration(c.site.Retention)
	if c.forgotten(span) {
		p.Forgotten = fmt.Sprintf("Rows are kept for %s, so those from before %s may be gone already: the numbers of earlier days may be too low.",
			p.Retention, longDate(c.site.Made.Add(-c.site.Retention).In(span.Loc)))
	}
}

// forgotten says whether the span reaches further back than rows are kept.
func (c *count) forgotten(span Span) bool {
	return c.site.Retention > 0 && span.From.Before(c.site.Made.Add(-c.site.Retention))
}

// listed joins names, and says how many more there are than n.
func listed(names []string, n int) string {
	if len(names) <= n {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:n], ", ") + fmt.Sprintf(" and %d more", len(names)-n)
}

func (c *count) bypassWords() string {
	s := c.bypassSums()
	if s.n == 0 {
		return "No device was refused a service that leads past the filter."
	}
	return fmt.Sprintf("VPN, proxy or encrypted-DNS services were refused to %s: %s, on %s.", s.who(), count1(s.n, "request"), count1(s.days, "day"))
}

func (c *count) signalWords() string {
	for i, k := range c.kinds {
		if s := &c.kindSums[i]; k.category == "" && k.label() == bypassSignals && s.n > 0 {
			return fmt.Sprintf("Besides, %s asked %s whether they may go around the filter, and were told no. Browsers and systems do so by themselves.", s.who(), times(s.n))
		}
	}
	return ""
}

// class says how a table wants to be set: with many columns small, with few rows on one sheet of paper.
func class(t table) string {
	var names []string
	if len(t.Head) > 5 {
		names = append(names, "wide")
	}
	if len(t.Rows) <= 14 {
		names = append(names, "whole")
	}
	return strings.Join(names, " ")
}

//go:embed page.html style.css
var files embed.FS

// HTML writes the report as one page that needs nothing else: no script, no picture, no font, no connection.
func (r *Report) HTML(w io.Writer) error {
	style, err := files.ReadFile("style.css")
	if err != nil {
		return err
	}
	t, err := template.New("page.html").Funcs(template.FuncMap{
		"style": func() template.CSS { return template.CSS(style) }, //nolint:gosec // ours, from the binary
		"class": class,
		"first": func(i int) bool { return i == 0 },
	}).ParseFS(files, "page.html")
	if err != nil {
		return fmt.Errorf("reading the template: %w", err)
	}
	if err := t.Execute(w, &r.page); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}
