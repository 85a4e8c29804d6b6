package main

import (
	"debug/buildinfo"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// licenceOf names the licences whose text a file holds, in order of the alphabet, and "unknown" when there is none or one
// that no product under Apache-2.0 should be built with.
func licenceOf(text string) string {
	text = strings.ToLower(strings.Join(strings.Fields(text), " "))
	holds := func(phrase string) bool { return strings.Contains(text, phrase) }
	var found []string
	add := func(name string, is bool) {
		if is {
			found = append(found, name)
		}
	}
	bsd := holds("redistribution and use in source and binary forms, with or without modification, are permitted")
	endorse := regexp.MustCompile(`neither the names? of|may not be used to endorse or promote|be used to endorse or promote products derived`).MatchString(text)
	mozilla := holds("mozilla public license version 2.0")
	add("Apache-2.0", holds("apache license version 2.0") || holds("apache license, version 2.0"))
	add("BSD-2-Clause", bsd && !endorse)
	add("BSD-3-Clause", bsd && endorse)
	add("ISC", holds("permission to use, copy, modify, and/or distribute this software for any purpose with or without fee is hereby granted"))
	add("MIT", holds("permission is hereby granted, free of charge, to any person obtaining a copy of this software"))
	add("MPL-2.0", mozilla)
	others := regexp.MustCompile(`gnu (lesser |affero )?general public|server side public|business source|commons clause|all advertising materials mentioning`)
	if len(found) == 0 || others.MatchString(text) && !mozilla { // which speaks of the others as a choice
		return "unknown"
	}
	return strings.Join(found, ", ")
}

// permitted says whether a module under these licences may be in the binary, or in the tests alone.
func permitted(licences string, testsOnly bool) bool {
	ok := []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT"}
	if testsOnly {
		ok = append(ok, "MPL-2.0")
	}
	for l := range strings.SplitSeq(licences, ", ") {
		if !slices.Contains(ok, l) {
			return false
		}
	}
	return true
}

// TestLicences holds docs/licences.md to the modules that the binary and the tests are built from, and the modules to the
// licences that a product under Apache-2.0 may be built with.
func TestLicences(t *testing.T) {
	t.Parallel()
	dirs := moduleDirs(t)
	inBinary := map[string]string{}
	info, err := buildinfo.ReadFile(binary(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range info.Deps {
		if m.Replace != nil {
			t.Errorf("%s is replaced by %s: whose licence counts?", m.Path, m.Replace.Path)
		}
		inBinary[m.Path] = licenceIn(t, dirs[m.Path])
	}
	inTests := map[string]string{}
	for path, dir := range dirs {
		if _, ok := inBinary[path]; !ok {
			inTests[path] = licenceIn(t, dir)
		}
	}
	for _, group := range []struct {
		heading   string
		got       map[string]string
		testsOnly bool
	}{
		{"In the program", inBinary, false},
		{"In the tests alone", inTests, true},
	} {
		if len(group.got) < 3 {
			t.Errorf("%s: only %d modules", group.heading, len(group.got))
		}
		for path, l := range group.got {
			if !permitted(l, group.testsOnly) {
				t.Errorf("%s: %s is under %s", group.heading, path, l)
			}
		}
		if diff := cmp.Diff(licenceTable(t, group.heading), group.got); diff != "" {
			t.Errorf("docs/licences.md, %q, and what is built differ (-page +built):\n%s", group.heading, diff)
		}
	}
	if got := licenceOf(readFile(t, "../../LICENSE")); got != "Apache-2.0" {
		t.Errorf("this product is under %s", got)
	}
}

// TestLicenceOf shows that the recognisers tell apart what they must.
func TestLicenceOf(t *testing.T) {
	t.Parallel()
	bsd := "Redistribution and use in source and binary\nforms, with or without modification, are permitted provided that … "
	for text, want := range map[string]string{
		bsd:                                   "BSD-2-Clause",
		bsd + "Neither the name of X nor …":   "BSD-3-Clause",
		"Apache License\n  Version 2.0, 2004": "Apache-2.0",
		"Mozilla Public License Version 2.0 … GNU General Public License …": "MPL-2.0",
		"GNU GENERAL PUBLIC LICENSE Version 3":                              "unknown",
		"GNU AFFERO GENERAL PUBLIC LICENSE … MIT: Permission is hereby granted, free of charge, to any person obtaining a copy of this software": "unknown",
		bsd + "All advertising materials mentioning features …":                                                                                  "unknown",
		"Do what you like.": "unknown",
		"":                  "unknown",
	} {
		if got := licenceOf(text); got != want {
			t.Errorf("%q is %s, wants %s", text, got, want)
		}
	}
	if permitted("MPL-2.0", false) || !permitted("MPL-2.0", true) || permitted("MIT, unknown", true) || permitted("", true) {
		t.Error("permitted lets in what it must not, or the other way round")
	}
}

// moduleDirs gives the folder of each module that the program or a test is built from.
func moduleDirs(t *testing.T) map[string]string {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-test", "-json=Module", "schoolgate/...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	dirs := map[string]string{}
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var p struct {
			Module *struct {
				Path, Dir string
				Main      bool
			}
		}
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		if p.Module != nil && !p.Module.Main {
			dirs[p.Module.Path] = p.Module.Dir
		}
	}
	return dirs
}

// licenceIn reads the licence of a module.
func licenceIn(t *testing.T, dir string) string {
	t.Helper()
	for _, name := range []string{"LICENSE", "LICENSE.txt", "LICENSE.md", "COPYING"} {
		if text, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
			return licenceOf(string(text))
		}
	}
	return "unknown"
}

// licenceTable reads the rows | module | licence | below a heading of docs/licences.md.
func licenceTable(t *testing.T, heading string) map[string]string {
	t.Helper()
	_, part, ok := strings.Cut(readFile(t, "../../docs/licences.md"), "\n## "+heading+"\n")
	if !ok {
		t.Fatalf("docs/licences.md has no heading %q", heading)
	}
	part, _, _ = strings.Cut(part, "\n## ")
	rows := map[string]string{}
	for line := range strings.Lines(part) {
		cells := strings.Split(line, "|")
		if len(cells) != 4 || strings.Contains(line, "---") || strings.Contains(line, "| module |") {
			continue
		}
		path := strings.TrimSpace(cells[1])
		if _, twice := rows[path]; twice {
			t.Errorf("docs/licences.md lists %s twice", path)
		}
		rows[path] = strings.TrimSpace(cells[2])
	}
	return rows
}
