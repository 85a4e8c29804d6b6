package config

import (
	"path/filepath"
	"testing"

	"github.com/BurntSushi/toml"
	"github.com/google/go-cmp/cmp"
)

func TestLocate(t *testing.T) {
	got, tooDeep := locate(`# [comment]
title = "a # b = [c]" # d = 1

[a] # e
b.c = 1
"d e" = """
[f]
g = 1 \""""" # two quotes belong to the text
h = '''
i = 1''''
j = [ # k
  "[l]",
  [1, 2],
  { m = 1, n = { o = 2 } },
] # p
'q"r' = { s = [ ] , t = 2026-09-01 08:00:00 }
[[u]]
v = 1
  [[u.w]]
  [[u.w]]
  x = 1
  [u.y]
  z = 1
[[u]]
v = 2
[[u.w]]
x = 2
[b.c.d]
[b]
e = 1
`)
	want := lines{
		"title": 2, "a": 4, "a.b": 5, "a.b.c": 5, `a."d e"`: 6, "a.h": 9, "a.j": 11,
		"a.j[0]": 12, "a.j[1]": 13, "a.j[1][0]": 13, "a.j[1][1]": 13, "a.j[2]": 14, "a.j[2].m": 14, "a.j[2].n": 14, "a.j[2].n.o": 14,
		`a."q\"r"`: 16, `a."q\"r".s`: 16, `a."q\"r".t`: 16,
		"u": 17, "u[0]": 17, "u[0].v": 18, "u[0].w": 19, "u[0].w[0]": 19, "u[0].w[1]": 20, "u[0].w[1].x": 21,
		"u[0].y": 22, "u[0].y.z": 23, "u[1]": 24, "u[1].v": 25, "u[1].w": 26, "u[1].w[0]": 26, "u[1].w[0].x": 27,
		"b": 29, "b.c": 28, "b.c.d": 28, "b.e": 30,
	}
	delete(want, "u")
	delete(got, "u") // the line of either header would do
	if diff := cmp.Diff(want, got); diff != "" || tooDeep != 0 {
		t.Errorf("too deep in line %d; lines (-want +got):\n%s", tooDeep, diff)
	}
}

func TestLineOfTheNearest(t *testing.T) {
	found := lines{"a": 1, "a.b[2]": 5, "c[0]": 7}
	for path, want := range map[string]int{
		"a": 1, "a.b": 1, "a.b[2]": 5, "a.b[2].c.d": 5, "a.b[20].c": 1, "ab": 0, "c[0].x[3]": 7, "c[1]": 0, "": 0,
	} {
		if got := found.of(path); got != want {
			t.Errorf("of(%q) = %d, want %d", path, got, want)
		}
	}
}

// FuzzLocate: it ends on every text, and finds every key of a text that is TOML.
func FuzzLocate(f *testing.F) {
	files, err := filepath.Glob("testdata/*.toml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		f.Add(string(readFile(f, file)))
	}
	for _, s := range []string{"a=\"", "[", "[[", "[a", "a={", "a=[", "a='''", "a.b.c", "=", "a=\"\\", "\"a\\u0062\"=1", "a=[1,#\n2]", "a = 1 # \r\nb=2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		found, tooDeep := locate(src)
		var tree map[string]any
		if tooDeep > 0 || toml.Unmarshal([]byte(src), &tree) != nil {
			return
		}
		everyPath(tree, "", func(path string) {
			if found[path] == 0 {
				t.Errorf("no line of %s in\n%s\nfound %v", path, src, found)
			}
		})
	})
}

func everyPath(data any, path string, visit func(string)) {
	if path != "" {
		visit(path)
	}
	if table, ok := data.(map[string]any); ok {
		for key, inner := range table {
			everyPath(inner, child(path, key), visit)
		}
	}
	if elements, ok := asArray(data); ok {
		for i, inner := range elements {
			everyPath(inner, element(path, i), visit)
		}
	}
}
