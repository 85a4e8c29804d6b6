package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"

	"schoolgate/blocklist/domain"
)

// truth is labelled names: what should be refused, by label, and what must not.
type truth struct {
	labels  map[string][]domain.Name // CitizenLab's labels of whole sites; pages on shared hosts are no names to refuse
	paths   int                      // rows of single pages, left out
	probes  map[string][]domain.Name
	allow   []domain.Name // must resolve
	popular []domain.Name // in order of rank
}

// readTruth reads the folder of ground truth. A file that is not there leaves its part empty.
func readTruth(dir string) (*truth, error) {
	t := &truth{labels: map[string][]domain.Name{}, probes: map[string][]domain.Name{}}
	seen := map[string]bool{}
	label := func(into map[string][]domain.Name, label, host string) {
		name, err := domain.Parse(host)
		if err != nil || name == "" || strings.Trim(host, "0123456789.") == "" || seen[label+" "+host] {
			return // an address, or a host that was there already
		}
		seen[label+" "+host] = true
		into[label] = append(into[label], name)
	}
	files := []struct {
		name string
		sep  string
		row  func(cells []string)
	}{
		{"citizenlab-half-A.tsv", "\t", func(c []string) {
			if c[2] == "root" {
				label(t.labels, c[0], c[1])
			} else {
				t.paths++
			}
		}},
		{"uk-must-block-probes.tsv", "\t", func(c []string) { label(t.probes, c[1], c[0]) }},
		{"uk-must-allow.tsv", "\t", func(c []string) { t.allow = appendName(t.allow, c[0]) }},
		{"govuk-domains.csv.zst", ",", func(c []string) { t.allow = appendName(t.allow, c[0]) }},
		{"tranco-100k.csv.zst", ",", func(c []string) { t.popular = appendName(t.popular, c[len(c)-1]) }},
	}
	for _, f := range files {
		if err := rows(dir+"/"+f.name, f.sep, f.row); err != nil {
			return nil, fmt.Errorf("reading %s: %w", f.name, err)
		}
	}
	if len(t.labels)+len(t.probes)+len(t.allow) == 0 {
		return nil, fmt.Errorf("no labelled names in %s", dir)
	}
	return t, nil
}

func appendName(names []domain.Name, s string) []domain.Name {
	if n, err := domain.Parse(s); err == nil && n != "" {
		return append(names, n)
	}
	return names
}

// rows gives the cells of each line that looks like data: a header holds no dot.
func rows(path, sep string, row func(cells []string)) error {
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	var in io.Reader = f
	if strings.HasSuffix(path, ".zst") {
		z, err := zstd.NewReader(f)
		if err != nil {
			return err
		}
		defer z.Close()
		in = z
	}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		cells := strings.Split(strings.TrimRight(lines.Text(), "\r"), sep)
		if strings.Contains(lines.Text(), ".") && (sep == "," || len(cells) > 1) {
			row(cells)
		}
	}
	return lines.Err()
}
