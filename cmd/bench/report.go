//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// result is the whole outcome, also in its JSON form.
type result struct {
	When     time.Time     `json:"when"`
	Machine  []string      `json:"machine"` // what it ran on and with
	Servers  []*measured   `json:"servers"`
	Set      []benchmark   `json:"set"`
	Notes    []string      `json:"notes"`    // further findings
	NotDone  []string      `json:"not_done"` // what could not be run, and why
	Duration time.Duration `json:"duration_ns"`
}

// describe notes the machine and all versions.
func (r *result) describe(ctx context.Context, b *bench, list []*server) {
	r.Machine = append(r.Machine,
		fmt.Sprintf("%s, %d cores, %s, %s", processor(), runtime.NumCPU(), firstLine(ctx, "uname", "-srm"), distribution()),
		"names loaded: "+b.names.origin, fmt.Sprintf("asked: %d of them, and %d cached names in turn", len(b.names.asked), len(b.names.cached)),
		runtime.Version(), firstLine(ctx, "gcc", "--version"))
	if b.dnsperf {
		r.Machine = append(r.Machine, "dnsperf for fixed rates: "+versionOf(ctx, "dnsperf", "-H"))
	}
	seen := map[string]bool{}
	for _, s := range list {
		if path, err := s.find(); err == nil && len(s.version) > 0 && !seen[s.program] {
			seen[s.program] = true
			r.Machine = append(r.Machine, versionOf(ctx, path, s.version...))
		}
	}
}

func processor() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if k, v, ok := strings.Cut(line, ":"); ok && (strings.HasPrefix(k, "model name") || strings.HasPrefix(k, "Model")) {
			return strings.TrimSpace(v)
		}
	}
	return runtime.GOARCH
}

// loadAverage is that of the last 1, 5 and 15 minutes: it shows what else was running.
func loadAverage() string {
	b, _ := os.ReadFile("/proc/loadavg")
	words := strings.Fields(string(b))
	return strings.Join(words[:min(3, len(words))], ", ")
}

func distribution() string {
	b, _ := os.ReadFile("/etc/os-release")
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "PRETTY_NAME="); ok {
			return strings.Trim(strings.TrimSpace(v), `"`)
		}
	}
	return "Linux"
}

func (r *result) text() string {
	var s strings.Builder
	fmt.Fprintf(&s, "Measured on %s in %v; medians [min–max] of the rounds, ratios within one round.\n\n", r.When.Format("2 January 2006, 15:04 MST"), r.Duration)
	for _, line := range r.Machine {
		fmt.Fprintf(&s, "- %s\n", line)
	}
	s.WriteString("\n")
	writeTable(&s, r.Servers)
	if len(r.Set) > 0 {
		s.WriteString("\n")
		writeBenchmarks(&s, r.Set)
	}
	for _, part := range []struct {
		title string
		lines []string
	}{{"Further", append(sentences(r.Servers), r.Notes...)}, {"Not run", r.NotDone}} {
		if len(part.lines) > 0 {
			fmt.Fprintf(&s, "\n%s:\n\n", part.title)
			for _, line := range part.lines {
				fmt.Fprintf(&s, "- %s\n", line)
			}
		}
	}
	return s.String()
}

// report writes what was found to where it is wanted.
func (r *result) report(o options) error {
	if o.asJSON {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		if err := e.Encode(r); err != nil {
			return fmt.Errorf("writing the result: %w", err)
		}
	} else if _, err := os.Stdout.WriteString(r.text()); err != nil {
		return fmt.Errorf("writing the result: %w", err)
	}
	if o.out == "" {
		return nil
	}
	page, err := os.ReadFile(o.out)
	if err != nil {
		return fmt.Errorf("putting the table into a page: %w", err)
	}
	next, err := between(string(page), r.text())
	if err != nil {
		return fmt.Errorf("putting the table into %s: %w", o.out, err)
	}
	if err := os.WriteFile(o.out, []byte(next), 0o644); err != nil { //nolint:gosec // G306: documentation
		return fmt.Errorf("putting the table into a page: %w", err)
	}
	return nil
}

const firstMark, lastMark = "<!-- the last run: begin -->\n", "<!-- the last run: end -->\n"

// between replaces what stands between the marks of a page.
func between(page, text string) (string, error) {
	head, rest, ok1 := strings.Cut(page, firstMark)
	_, tail, ok2 := strings.Cut(rest, lastMark)
	if !ok1 || !ok2 {
		return "", errors.New("it has no marks for it")
	}
	return head + firstMark + text + lastMark + tail, nil
}
