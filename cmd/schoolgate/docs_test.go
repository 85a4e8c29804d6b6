package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"schoolgate/monitor/metrics"
)

// TestMetricsPage: docs/metrics.md tells of every metric, in the words of the metric itself.
func TestMetricsPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]bool{}
	for _, m := range metrics.Names() {
		labels := "–"
		if len(m.Labels) > 0 {
			labels = "`" + strings.Join(m.Labels, "`, `") + "`"
		}
		named[m.Name] = true
		if row := fmt.Sprintf("| `%s` | %s | %s | %s |\n", m.Name, m.Type, labels, m.Help); !strings.Contains(string(page), row) {
			t.Errorf("docs/metrics.md lacks\n%s", row)
		}
	}
	for _, row := range regexp.MustCompile("(?m)^\\| `(schoolgate_[a-z_]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		if !named[row[1]] {
			t.Errorf("docs/metrics.md tells of %s, which does not exist", row[1])
		}
	}
}

// TestCommandPages: every command has a page that begins with its name and ends with its exit codes or needs none.
func TestCommandPages(t *testing.T) {
	for _, c := range commands() {
		if c.hidden {
			continue
		}
		page, err := pages.ReadFile("help/" + c.name + ".md")
		if err != nil {
			t.Errorf("%s has no page: %v", c.name, err)
			continue
		}
		if !strings.HasPrefix(string(page), "# schoolgate "+c.name+"\n") {
			t.Errorf("the page of %s begins otherwise", c.name)
		}
		if c.name != "help" && c.name != "version" && !strings.Contains(string(page), "Exit codes: ") {
			t.Errorf("the page of %s says nothing of exit codes", c.name)
		}
	}
}

// TestLinks: what the pages of the repository point at is there.
func TestLinks(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (strings.HasPrefix(d.Name(), ".git") || d.Name() == "var" || d.Name() == "testdata") {
			if err == nil {
				err = fs.SkipDir
			}
			return err
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s points at %s, which is not there", path, m[1])
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestPrometheusRules holds the alert rules to their own tests.
func TestPrometheusRules(t *testing.T) {
	promtool := tool(t, "promtool", "prometheus")
	for _, args := range [][]string{
		{"check", "rules", "schoolgate.rules.yml"}, {"test", "rules", "schoolgate.rules.test.yml"},
	} {
		cmd := exec.Command(promtool, args...)
		cmd.Dir = "../../deploy/prometheus"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}
