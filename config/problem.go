package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Severity grades a Problem.
type Severity uint8

// The severities.
const (
	Error   Severity = iota // the file is refused
	Warning                 // the file is taken; a person should look
)

func (s Severity) String() string {
	if s == Warning {
		return "warning"
	}
	return "error"
}

// Problem is one thing wrong with a configuration, said to the person who wrote it.
type Problem struct {
	File         string
	Line, Column int    // from 1; 0 is not known. Column is known for errors of syntax only
	Path         string // of the key, arrays counted from 0: groups[2].hours[0].to
	Severity     Severity
	What         string // one plain statement, without a full stop
	Hint         string // what to do about it, may be ""
}

// String is file:line:column: severity: path: what (hint), leaving out what is not known.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	for _, n := range []int{p.Line, p.Column} {
		if n > 0 {
			fmt.Fprintf(&b, ":%d", n)
		}
	}
	if b.Len() > 0 {
		b.WriteString(": ")
	}
	if p.Severity != Error {
		b.WriteString(p.Severity.String() + ": ")
	}
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.What)
	if p.Hint != "" {
		b.WriteString(" (" + p.Hint + ")")
	}
	return b.String()
}

// Problems are all that is wrong with one configuration, in the order of its lines, what the file lacks last. As an
// error it holds at least one Problem of severity Error; warnings may stand among them.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}

// Refused says whether one of the problems is more than a warning.
func (p Problems) Refused() bool {
	return slices.ContainsFunc(p, func(p Problem) bool { return p.Severity == Error })
}

// report gathers problems and gives each the line of its path.
type report struct {
	file     string
	lines    lines
	wrong    map[string]bool // paths with an error: what else is found there would only follow from it
	problems Problems
}

func newReport(file string, lines lines) *report {
	return &report{file: file, lines: lines, wrong: make(map[string]bool)}
}

func (r *report) refuse(path, what, hint string) {
	if r.wrong[path] {
		return
	}
	r.wrong[path] = true
	r.problems = append(r.problems, Problem{File: r.file, Line: r.lines.of(path), Path: path, What: what, Hint: hint})
}

func (r *report) warn(path, what, hint string) {
	if r.wrong[path] {
		return
	}
	r.problems = append(r.problems, Problem{File: r.file, Line: r.lines.of(path), Path: path, Severity: Warning, What: what, Hint: hint})
}

// sorted is the problems by line, what the text lacks last; problems of one line stay in the order of finding.
func (r *report) sorted() Problems {
	slices.SortStableFunc(r.problems, func(a, b Problem) int { return cmp.Compare(uint(a.Line-1), uint(b.Line-1)) })
	return r.problems
}

// syntaxError is what the text forms of small values return: a Problem that does not know where it is.
type syntaxError struct{ what, hint string }

func (e *syntaxError) Error() string { return e.what + " (" + e.hint + ")" }

// suggest is "did you mean" with the candidates nearest to word, or otherwise when none is near.
func suggest(word string, candidates []string, otherwise string) string {
	if near := nearest(word, candidates); len(near) > 0 {
		return `did you mean "` + strings.Join(near, `" or "`) + `"?`
	}
	return otherwise
}

// nearest is the candidates that the fewest typing mistakes turn into word: at most one in three letters, at most three.
func nearest(word string, candidates []string) []string {
	var best []string
	least := min(3, max(1, len(word)/3))
	for _, c := range candidates {
		switch d := distance(strings.ToLower(word), c, least+1); {
		case d < least:
			best, least = []string{c}, d
		case d == least:
			best = append(best, c)
		}
	}
	return best
}

// distance counts the letters to insert, delete, replace or swap with their neighbour (optimal string alignment); it
// gives limit as soon as the answer cannot be below it.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return min(rows[len(a)][len(b)], limit)
}
