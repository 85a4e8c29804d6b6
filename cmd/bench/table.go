//go:build linux

package main

import (
	"fmt"
	"io"
	"strings"
)

// column is one of the table.
type column struct {
	title string
	cell  func(m, echo *measured) string
}

var columns = []column{
	{"q/s, mix", func(m, _ *measured) string { return cell(m.spread(qps), thousands) }},
	{"CPU µs/query", func(m, _ *measured) string { return cell(m.spread(cpuFull), oneDigit) }},
	{"× echo", func(m, e *measured) string { return cell(m.ratio(e, cpuFull), twoDigits) }},
	{"CPU µs at 5,000 q/s", func(m, _ *measured) string { return cell(m.spread(cpuLow), oneDigit) }},
	{"× echo", func(m, e *measured) string { return cell(m.ratio(e, cpuLow), twoDigits) }},
	{"p50 / p99 / p99.9 µs at 20,000 q/s", func(m, _ *measured) string {
		return medians(m, []string{p50, p99, p999}, " / ")
	}},
	{"p99 × echo", func(m, e *measured) string { return cell(m.ratio(e, p99), oneDigit) }},
	{"misses/s", func(m, _ *measured) string { return cell(m.spread(cold), thousands) }},
	{"CPU µs/miss", func(m, _ *measured) string { return cell(m.spread(cpuCold), oneDigit) }},
	{"own + mapped MB", func(m, _ *measured) string { return medians(m, []string{rssAnon, rssFile}, " + ") }},
	{"written B/query", func(m, _ *measured) string { return cell(m.spread(bytesRow), noDigits) }},
	{"ready s", func(m, _ *measured) string { return cell(m.spread(load1), twoDigits) }},
	{"lost, wrong", func(m, _ *measured) string {
		return fmt.Sprintf("%.0f, %.0f", m.sum(lostFixed), m.sum(wrongAll))
	}},
}

func thousands(v float64) string { return fmt.Sprintf("%.1fk", v/1000) }
func noDigits(v float64) string  { return fmt.Sprintf("%.0f", v) }
func oneDigit(v float64) string  { return fmt.Sprintf("%.1f", v) }
func twoDigits(v float64) string { return fmt.Sprintf("%.2f", v) }

// cell is median [min–max], or – when there is no figure.
func cell(s spread, format func(float64) string) string {
	switch {
	case s.Rounds == 0:
		return "–"
	case s.Rounds == 1:
		return format(s.Median)
	}
	return fmt.Sprintf("%s [%s–%s]", format(s.Median), format(s.Min), format(s.Max))
}

func medians(m *measured, keys []string, between string) string {
	var parts []string
	for _, k := range keys {
		if s := m.spread(k); s.Rounds > 0 {
			parts = append(parts, noDigits(s.Median))
		}
	}
	if len(parts) == 0 {
		return "–"
	}
	return strings.Join(parts, between)
}

// writeTable writes it as Markdown, which reads well enough on a terminal too.
func writeTable(w io.Writer, all []*measured) {
	var echo *measured
	for _, m := range all {
		if m.Server == echoName {
			echo = m
		}
	}
	fmt.Fprint(w, "| server |")
	for _, c := range columns {
		fmt.Fprintf(w, " %s |", c.title)
	}
	fmt.Fprintf(w, "\n|---|%s\n", strings.Repeat("---|", len(columns)))
	for _, m := range all {
		fmt.Fprintf(w, "| %s |", m.Server)
		for _, c := range columns {
			fmt.Fprintf(w, " %s |", c.cell(m, echo))
		}
		fmt.Fprintln(w)
	}
}

// sentences say what does not fit into the table.
func sentences(all []*measured) (out []string) {
	for _, m := range all {
		for i, f := range m.Rounds {
			if _, ok := f[rowsLog]; ok {
				out = append(out, fmt.Sprintf("%s, round %d: %.0f queries answered, %.0f rows in the log, %.0f dropped rows counted.",
					m.Server, i+1, f[answeredAl], f[rowsLog], f[droppedRow]))
			}
			if f[lostFull]+f[coldLost] > 0 {
				out = append(out, fmt.Sprintf("%s, round %d: %.0f lost at full speed, %.0f of the misses.", m.Server, i+1, f[lostFull], f[coldLost]))
			}
		}
	}
	return out
}
