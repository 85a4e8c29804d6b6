package report

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// table is a table of the page and a section of the CSV: both are written from it, so that they cannot differ.
type table struct {
	ID      string
	Caption string
	Note    string // below the table; "" for none
	Empty   string // the sentence that stands in place of a table without rows
	Head    []column
	Keys    int // how many of the first columns say what a row is about
	Rows    [][]cell
	Foot    []cell // sums, on the page only: they would be counted twice in a spreadsheet
}

type column struct {
	Title   string
	Numeric bool
	Blank   bool // to be written in by hand; not in the CSV
}

func col(title string) column    { return column{Title: title} }
func numCol(title string) column { return column{Title: title, Numeric: true} }
func handCol(title string) column {
	return column{Title: title, Blank: true}
}

// cell is one value, as people read it and as the CSV has it.
type cell struct {
	Text  string
	Raw   string
	Time  string   // machine-readable, for <time>; "" for what is none
	Lines []string // in place of Text
}

func num(n int64) cell { return cell{Text: thousands(n), Raw: strconv.FormatInt(n, 10)} }

func text(s string) cell { s = clean(s); return cell{Text: s, Raw: s} }

// named is text that the CSV has another word for.
func named(label, key string) cell { return cell{Text: clean(label), Raw: clean(key)} }

func lines(s string) cell {
	var all []string
	for l := range strings.Lines(s) {
		all = append(all, clean(strings.TrimRight(l, "\n")))
	}
	return cell{Lines: all, Raw: strings.Join(all, "; ")}
}

func dateCell(t time.Time) cell {
	iso := t.Format(time.DateOnly)
	return cell{Text: t.Format("Mon 2 Jan 2006"), Raw: iso, Time: iso}
}

func momentCell(t time.Time, loc *time.Location) cell {
	t = t.In(loc)
	return cell{Text: t.Format("Mon 2 Jan 2006, 15:04"), Raw: t.Format(time.RFC3339), Time: t.Format(time.RFC3339)}
}

func blank() cell { return cell{} }

// thousands writes 1234567 as 1,234,567.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// clean takes out of foreign text what could reorder or hide its neighbours.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029' {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// numbered puts before each row its number, by which people and the CSV can speak of it.
func (t *table) numbered() {
	t.Head = append([]column{numCol("No.")}, t.Head...)
	for i, row := range t.Rows {
		t.Rows[i] = append([]cell{num(int64(i + 1))}, row...)
	}
}

// limit cuts rows to at most n and puts the rest into one last row, if rest makes one of them.
func (t *table) limit(n int, rest func(rows [][]cell) []cell) {
	if len(t.Rows) <= n {
		return
	}
	cut := t.Rows[n:]
	t.Rows = t.Rows[:n:n]
	if rest != nil {
		t.Rows = append(t.Rows, rest(cut))
	}
}

// CSV writes the numbers of the report, one value a line: section, item, detail, measure, value. It begins with a byte
// order mark, which Excel needs to read UTF-8. A text that a spreadsheet would take for a formula has a ' before it.
func (r *Report) CSV(w io.Writer) error {
	if _, err := io.WriteString(w, "\uFEFF"); err != nil {
		return err
	}
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if err := out.Write([]string{"section", "item", "detail", "measure", "value"}); err != nil {
		return err
	}
	for _, t := range r.page.tables() {
		for _, row := range t.Rows {
			item, detail := row[0].Raw, ""
			for _, c := range row[1:t.Keys] {
				detail = strings.TrimSpace(detail + " " + c.Raw)
			}
			for i := t.Keys; i < len(t.Head); i++ {
				if t.Head[i].Blank {
					continue
				}
				record := []string{t.ID, item, detail, t.Head[i].Title, row[i].Raw}
				for j := range record {
					record[j] = harmless(record[j])
				}
				if err := out.Write(record); err != nil {
					return err
				}
			}
		}
	}
	out.Flush()
	return out.Error()
}

func harmless(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
