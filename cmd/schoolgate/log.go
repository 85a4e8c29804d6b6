package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/miekg/dns"

	"schoolgate/blocklist/domain"
	"schoolgate/blocklist/lookalike"
	"schoolgate/monitor/record"
	"schoolgate/resolver/query"
	"schoolgate/resolver/wire"
)

func runLog(ctx context.Context, c *call) error {
	f := flags("log")
	where := configFlag(f)
	device, group, category := f.String("device", "", ""), f.String("group", "", ""), f.String("category", "", "")
	name, verdict := f.String("name", "", ""), f.String("verdict", "", "")
	from, to := f.String("from", "", ""), f.String("to", "", "")
	limit := f.Int("limit", 100, "")
	format := f.String("format", "table", "")
	asJSON := f.Bool("json", false, "")
	alike := f.Bool("lookalike", false, "")
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
	loc := cfg.Location()
	filter := record.Filter{Device: *device, Group: *group, Category: *category, Limit: *limit}
	if filter.Name, err = namePattern(*name); err != nil {
		return err
	}
	if filter.From, filter.To, err = span(*from, *to, time.Now(), loc); err != nil {
		return err
	}
	if *verdict != "" {
		a, ok := query.ParseAction(*verdict)
		if !ok {
			return usage("--verdict takes allowed, blocked or rewritten", "no verdict %q", *verdict)
		}
		filter.Action = &a
	}
	if *limit < 0 {
		return usage("--limit 0 is no limit", "--limit %d", *limit)
	}
	if *asJSON {
		*format = "json"
	}
	w, err := rowWriter(*format, c.stdout, loc)
	if err != nil {
		return err
	}
	s, err := openRecord(ctx, cfg)
	if err != nil {
		return err
	}
	defer s.Close()
	n := 0
	write := func(r record.Row) error { n++; return w.write(r) }
	if *alike {
		filter.Limit = 0 // of those that look like others
		write = lookalikes(write, func() bool { return n == *limit })
	}
	if err := s.Search(ctx, filter, write); err != nil && !errors.Is(err, errEnough) {
		return fmt.Errorf("searching the record: %w", err)
	}
	if err := w.flush(); err != nil {
		return err
	}
	switch {
	case n == 0:
		fmt.Fprintf(c.stderr, "schoolgate: nothing in the record matches\nhint: a query is in the record within %v of its answer\n", cfg.Store.Flush)
	case n == *limit:
		fmt.Fprintf(c.stderr, "schoolgate: showing the newest %d rows\nhint: --limit 0 shows all\n", n)
	}
	return nil
}

// errEnough ends a search.
var errEnough = errors.New("enough rows")

// lookalikes passes on the rows of names that look like well-known blocked ones, with what they look like in place of a
// list, until there are enough.
func lookalikes(write func(record.Row) error, enough func() bool) func(record.Row) error {
	seen := map[string]string{}
	return func(r record.Row) error {
		like, known := seen[r.Name]
		if !known {
			if hit, ok := lookalike.FindName(domain.Name(r.Name)); ok {
				like = "like " + hit.Of.String()
			}
			if len(seen) >= maxSeen {
				clear(seen)
			}
			seen[r.Name] = like
		}
		if like == "" {
			return nil
		}
		if r.List == "" || r.Rule == query.Lookalike {
			r.List = like
		}
		if err := write(r); err != nil {
			return err
		}
		if enough() {
			return errEnough
		}
		return nil
	}
}

// namePattern brings the name of a search into canonical form; * stays.
func namePattern(s string) (string, error) {
	if s == "" || strings.Contains(s, "*") {
		return strings.ToLower(strings.TrimSuffix(s, ".")), nil
	}
	n, err := domain.Parse(s)
	if err != nil {
		return "", usage("give a name such as bbc.co.uk, or a pattern such as *game*", "%q is no name: %v", s, err)
	}
	return n.String(), nil
}

// rows writes rows of the record in one of the formats.
type rows struct {
	write func(record.Row) error
	flush func() error
}

func rowWriter(format string, out io.Writer, loc *time.Location) (rows, error) {
	switch format {
	case "table":
		return tableWriter(out, loc), nil
	case "csv":
		return csvWriter(out, loc), nil
	case "json":
		return jsonWriter(out, loc), nil
	}
	return rows{}, usage("--format takes table, csv or json", "no format %q", format)
}

var columns = []string{"time", "device", "address", "group", "name", "type", "verdict", "rule", "category", "list", "source", "rcode", "duration_ms", "via"}

func fields(r record.Row, loc *time.Location) []string {
	return []string{
		r.Time.In(loc).Format("2006-01-02T15:04:05.000Z07:00"), r.Device, r.Addr.String(), r.Group, r.Name, typeName(r.Type),
		r.Action.String(), r.Rule.String(), r.Category, r.List, r.Source.String(), rcodeName(r.RCode), milliseconds(r.Duration), r.Via.String(),
	}
}

func tableWriter(out io.Writer, loc *time.Location) rows {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	n := 0
	return rows{
		write: func(r record.Row) error {
			if n++; n%1000 == 0 { // the writer holds what it aligns
				if err := w.Flush(); err != nil {
					return err
				}
			}
			if n == 1 {
				fmt.Fprintln(w, "TIME\tDEVICE\tGROUP\tNAME\tTYPE\tVERDICT\tCATEGORY\tLIST\tANSWER")
			}
			_, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s, %s\n", r.Time.In(loc).Format(time.DateTime), r.Device, r.Group,
				r.Name, typeName(r.Type), r.Action, dash(kindWord(r)), listWords(r), rcodeName(r.RCode), r.Source)
			return err
		},
		flush: w.Flush,
	}
}

func csvWriter(out io.Writer, loc *time.Location) rows {
	w := csv.NewWriter(out)
	_ = w.Write(columns) // an error stays in the writer and comes out of flush
	return rows{
		write: func(r record.Row) error {
			cells := fields(r, loc)
			for i, c := range cells {
				cells[i] = inert(c)
			}
			return w.Write(cells)
		},
		flush: func() error { w.Flush(); return w.Error() },
	}
}

func jsonWriter(out io.Writer, loc *time.Location) rows {
	b := bufio.NewWriter(out)
	e := json.NewEncoder(b)
	return rows{
		write: func(r record.Row) error {
			line := make(map[string]string, len(columns))
			for i, v := range fields(r, loc) {
				line[columns[i]] = v
			}
			return e.Encode(line)
		},
		flush: b.Flush,
	}
}

// inert keeps a spreadsheet from reading a cell as a formula.
func inert(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
		return "'" + cell
	}
	return cell
}

// kindWord is the category that decided, or what was found in the upstream's reply.
func kindWord(r record.Row) string {
	v := query.Verdict{Category: r.Category, Rule: r.Rule}
	return v.Kind()
}

// listWords is the list that decided, and what of the question it decided on when that was not the name asked for.
func listWords(r record.Row) string {
	switch r.Via {
	case query.ViaTarget:
		return dash(r.List) + " (target)"
	case query.ViaCarried:
		return dash(r.List) + " (name within)"
	case query.ViaTarget | query.ViaCarried:
		return dash(r.List) + " (name within a target)"
	}
	return dash(r.List)
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func typeName(t uint16) string {
	if s, ok := dns.TypeToString[t]; ok {
		return s
	}
	return "TYPE" + strconv.Itoa(int(t))
}

func rcodeName(c uint16) string {
	if c == wire.BadVers { // the library knows the number by its other meaning, of signatures
		return "BADVERS"
	}
	if s, ok := dns.RcodeToString[int(c)]; ok {
		return s
	}
	return "RCODE" + strconv.Itoa(int(c))
}

func milliseconds(d time.Duration) string {
	return strconv.FormatFloat(float64(d.Microseconds())/1000, 'f', 3, 64)
}
