package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestArchitecture holds the code to the table of floors in ARCHITECTURE.md: each package of ours is in it, imports what
// its row says and nothing of its own floor or above, and has exactly one package comment.
func TestArchitecture(t *testing.T) {
	floors, rows := floorsTable(t)
	for _, p := range goList(t) {
		name := strings.TrimPrefix(p.ImportPath, "schoolgate/")
		row, ok := rows[name]
		if !ok {
			t.Errorf("%s: not in the table of ARCHITECTURE.md", name)
			continue
		}
		delete(rows, name)
		var ours []string
		for _, i := range p.Imports {
			own, isOurs := strings.CutPrefix(i, "schoolgate/")
			if !isOurs {
				if why := fence(name, i); why != "" {
					t.Errorf("%s imports %s: %s", name, i, why)
				}
				continue
			}
			ours = append(ours, own)
			if floors[own] >= floors[name] {
				t.Errorf("%s (floor %d) imports %s (floor %d): imports go down only", name, floors[name], own, floors[own])
			}
			if why := fence(name, own); why != "" {
				t.Errorf("%s imports %s: %s", name, own, why)
			}
		}
		slices.Sort(ours)
		if !slices.Contains(row, "what it wires") && !slices.Equal(ours, row) {
			t.Errorf("%s imports %v, ARCHITECTURE.md says %v", name, ours, row)
		}
		if n := packageComments(t, p.Dir, p.GoFiles); n != 1 {
			t.Errorf("%s has %d package comments, wants one", name, n)
		}
	}
	for name := range rows {
		t.Errorf("ARCHITECTURE.md lists %s, which does not exist", name)
	}
}

// fence says why a package may not import another, "" when it may. Filtering must outlive everything upstairs: a broken
// database, template or exporter may never take DNS with it.
func fence(pkg, imported string) string {
	if !strings.HasPrefix(pkg, "blocklist") && !strings.HasPrefix(pkg, "resolver") {
		if strings.HasPrefix(imported, "github.com/prometheus/") && pkg != "monitor/metrics" {
			return "monitor/metrics is the only package that knows Prometheus"
		}
		return ""
	}
	for _, upstairs := range []string{"monitor", "database/sql", "modernc.org/sqlite", "html/template", "github.com/prometheus/", "github.com/google/gopacket"} {
		if strings.HasPrefix(imported, upstairs) {
			return "blocklist and resolver must not depend on what records and shows"
		}
	}
	return ""
}

// floorsTable reads the rows | floor | `package` | responsibility | imports | of ARCHITECTURE.md.
func floorsTable(t *testing.T) (floors map[string]int, rows map[string][]string) {
	t.Helper()
	text, err := os.ReadFile("../../ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	floors, rows = map[string]int{}, map[string][]string{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		var floor int
		if len(cells) != 6 {
			continue
		}
		if _, err := fmt.Sscan(cells[1], &floor); err != nil {
			continue
		}
		name := strings.Trim(cells[2], " `")
		floors[name] = floor
		imports := strings.FieldsFunc(strings.NewReplacer("`", "", " ", "", "–", "").Replace(cells[4]), func(r rune) bool { return r == ',' })
		if strings.TrimSpace(cells[4]) == "what it wires" {
			imports = []string{"what it wires"}
		}
		slices.Sort(imports)
		rows[name] = imports
		if len(imports) == 0 {
			rows[name] = []string{}
		}
	}
	if len(rows) < 10 {
		t.Fatalf("found %d rows of the table of floors", len(rows))
	}
	return floors, rows
}

type listedPackage struct {
	ImportPath, Dir  string
	Imports, GoFiles []string
}

func goList(t *testing.T) (out []listedPackage) {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Imports,GoFiles", "schoolgate/...")
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for d := json.NewDecoder(bytes.NewReader(text)); d.More(); {
		var p listedPackage
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

func packageComments(t *testing.T, dir string, files []string) (n int) {
	t.Helper()
	for _, f := range files {
		text, err := os.ReadFile(dir + "/" + f)
		if err != nil {
			t.Fatal(err)
		}
		before, _, _ := strings.Cut("\n"+string(text), "\npackage ")
		lines := strings.Split(strings.TrimRight(before, "\n"), "\n")
		if last := lines[len(lines)-1]; strings.HasPrefix(last, "//") && !strings.HasPrefix(last, "//go:") && strings.HasSuffix(before, last) {
			n++
		}
	}
	return n
}
