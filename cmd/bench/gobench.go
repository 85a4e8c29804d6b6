//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
)

// benchmark is one line of go test -bench.
type benchmark struct {
	Name   string             `json:"name"`
	Values map[string]float64 `json:"values"` // by unit
}

// setBenchmarks runs the blocklist's own benchmarks.
func setBenchmarks(ctx context.Context, pattern string) ([]benchmark, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", pattern, "-benchmem", "-benchtime", "1s", "./blocklist") //nolint:gosec // G204: patterns of main
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("running the blocklist's benchmarks: %w: %s", err, lastLines(out, 3))
	}
	return parseBenchmarks(strings.NewReader(string(out)))
}

func parseBenchmarks(r io.Reader) (all []benchmark, err error) {
	in := bufio.NewScanner(r)
	for in.Scan() {
		words := strings.Fields(in.Text())
		if len(words) < 4 || !strings.HasPrefix(words[0], "Benchmark") {
			continue
		}
		b := benchmark{Name: strings.TrimPrefix(words[0], "Benchmark"), Values: map[string]float64{}}
		if at := strings.LastIndexByte(b.Name, '-'); at > 0 {
			b.Name = b.Name[:at]
		}
		for i := 2; i+1 < len(words); i += 2 {
			v, err := strconv.ParseFloat(words[i], 64)
			if err != nil {
				return nil, fmt.Errorf("reading a benchmark: %w", err)
			}
			b.Values[words[i+1]] = v
		}
		all = append(all, b)
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("reading benchmarks: %w", err)
	}
	return all, nil
}

func writeBenchmarks(w io.Writer, all []benchmark) {
	fmt.Fprint(w, "| the set | time | × a Go map's | bytes/name | allocations |\n|---|---|---|---|---|\n")
	for _, b := range all {
		time, ratio, size := b.Values["ns/op"], "–", "–"
		if v, ok := b.Values["ns/lookup"]; ok { // look-ups are timed by the benchmark itself, beside a map
			time, ratio = v, fmt.Sprintf("%.2f", b.Values["ratio"])
		}
		if v, ok := b.Values["bytes/name"]; ok {
			size = oneDigit(v)
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %.0f |\n", b.Name, duration(time), ratio, size, b.Values["allocs/op"])
	}
}

func duration(ns float64) string {
	switch {
	case ns < 1e4:
		return fmt.Sprintf("%.0f ns", ns)
	case ns < 1e9:
		return fmt.Sprintf("%.1f ms", ns/1e6)
	}
	return fmt.Sprintf("%.1f s", ns/1e9)
}
