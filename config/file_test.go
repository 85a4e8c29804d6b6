package config

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"schoolgate/blocklist/catalogue"
)

var update = flag.Bool("update", false, "write testdata/*.want from what is found now; read the difference before committing")

// plain compares the value types of other packages by ==.
var plain = cmp.Comparer(func(a, b Config) bool { return reflect.DeepEqual(a, b) })

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestProblems reads every file of testdata and compares its problems, word for word, with the .want beside it; a good
// file without one has none.
func TestProblems(t *testing.T) {
	files, err := filepath.Glob("testdata/*.toml")
	if err != nil || len(files) < 10 {
		t.Fatalf("files of testdata: %d, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			_, problems := Check(readFile(t, file), filepath.Base(file))
			var got string
			for _, p := range problems {
				got += p.String() + "\n"
			}
			wanted := strings.TrimSuffix(file, "toml") + "want"
			if *update && got != "" {
				if err := os.WriteFile(wanted, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(wanted)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if bad := strings.HasSuffix(file, ".bad.toml"); problems.Refused() != bad {
				t.Errorf("refused: %v, want %v", !bad, bad)
			}
			c, err := Load(file)
			if bad := strings.HasSuffix(file, ".bad.toml"); bad != (err != nil) || bad != (c == nil) {
				t.Errorf("Load gave %v, %v", c, err)
			}
		})
	}
}

func TestDefaultHasNoProblems(t *testing.T) {
	if problems := Default().Validate(); len(problems) != 0 {
		t.Error(problems)
	}
	c, err := Load("")
	if err != nil || !reflect.DeepEqual(c, Default()) {
		t.Errorf("Load(\"\") = %+v, %v", c, err)
	}
	c, err = Parse(nil, "empty")
	if err != nil || !reflect.DeepEqual(c, Default()) {
		t.Errorf("Parse of nothing = %+v, %v", c, err)
	}
}

// onlyNobodyTold holds the files that are shipped to the two warnings that a school ends by filling in its addresses:
// whom to tell, and by which mail server. Until then check must say so.
func onlyNobodyTold(t *testing.T, problems Problems) {
	t.Helper()
	var got []string
	for _, p := range problems {
		got = append(got, p.Severity.String()+" "+p.Path)
		if p.Line == 0 || p.Hint == "" {
			t.Errorf("no line or no hint: %v", p)
		}
	}
	if diff := cmp.Diff([]string{"warning alerts.dsl", "warning alerts.smtp.host"}, got); diff != "" {
		t.Fatalf("problems (-want +got):\n%s", diff)
	}
}

func TestExampleIsTheDefault(t *testing.T) {
	data := readFile(t, "../deploy/schoolgate.example.toml")
	c, problems := Check(data, "schoolgate.example.toml")
	onlyNobodyTold(t, problems)
	if diff := cmp.Diff(Default(), c, plain); diff != "" || !reflect.DeepEqual(c, Default()) {
		t.Errorf("example and default differ: %v", Diff(Default(), c))
	}
}

// TestExampleWithoutComments takes the commented-out tables in, so that what they show is true as well.
func TestExampleWithoutComments(t *testing.T) {
	example := readFile(t, "../deploy/schoolgate.example.toml")
	settings := regexp.MustCompile(`(?m)^# (\[\[|[a-z0-9_]+ = )`).ReplaceAll(example, []byte("$1"))
	c, problems := Check(settings, "example")
	if problems.Refused() {
		t.Fatal(problems)
	}
	if len(c.Groups[0].Hours) != 1 || len(c.Devices) != 1 || len(c.Lists) != 1 {
		t.Errorf("hours, devices, lists: %v, %v, %v", c.Groups[0].Hours, c.Devices, c.Lists)
	}
	if l := c.Lists[0]; l.Every != Duration(day) || l.MaxSize != 64<<20 || l.Format != FormatAuto {
		t.Errorf("the example shows other defaults of a list: %+v", l)
	}
	var missing []string
	found, _ := locate(string(settings))
	seen := make(map[string]bool)
	for path := range found {
		seen[regexp.MustCompile(`\[\d+\]`).ReplaceAllString(path, "")] = true
	}
	var every func(reflect.Type, string)
	every = func(typ reflect.Type, path string) {
		for i, key := range keysOf(typ) {
			here := child(path, key)
			if !seen[here] {
				missing = append(missing, here)
			}
			field := typ.Field(i).Type
			if field.Kind() == reflect.Slice {
				field = field.Elem()
			}
			if isTable(field) {
				every(field, here)
			}
		}
	}
	every(reflect.TypeFor[Config](), "")
	if len(missing) > 0 {
		t.Errorf("the example does not show %v", missing)
	}
}

func TestRecommendedLacksAddressesAlone(t *testing.T) {
	data := readFile(t, "../deploy/recommended.toml")
	c, problems := Check(data, "recommended.toml")
	unknown := func(p Problem) bool { return p.Path == "encrypted.addresses" }
	if !slices.ContainsFunc(problems, unknown) {
		t.Error("nobody is told that the box's address is still to be written")
	}
	onlyNobodyTold(t, slices.DeleteFunc(problems, unknown))
	filled := regexp.MustCompile(`(?m)^# (addresses|dsl|technical|host|user|password_file|from|\[alerts\.smtp\])`).ReplaceAll(data, []byte("$1"))
	_, problems = Check(filled, "filled in")
	for _, p := range problems {
		if p.Path != "alerts.smtp.password_file" { // which is there while the service runs
			t.Errorf("once it is filled in: %v", p)
		}
	}
	for _, category := range Categories() {
		listed := false
		for _, l := range c.Lists {
			listed = listed || l.Category == category
		}
		listed = listed || c.Update.Catalogue && slices.Contains(catalogue.Categories(), category)
		if want := category != IllegalTier && category != Extremism; listed != want {
			t.Errorf("a list of category %q: %v, want %v", category, listed, want)
		}
	}
	if c.DNS.Listen[0].Port() != 53 {
		t.Errorf("DNS on %v", c.DNS.Listen)
	}
}

func TestArraysReplaceAndTablesMerge(t *testing.T) {
	c, err := Parse([]byte(`
terms = []
[upstream]
timeout = "5s"
[alerts]
categories = []
[[groups]]
name = "children"
block = ["pornography", "hate", "extremism"]
[[groups]]
name = "lab"
internet = false
`), "")
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Terms = nil
	want.Upstream.Timeout = Duration(5e9)
	want.Alerts.Categories = nil
	want.Groups = []Group{
		{Name: "children", Block: []string{Pornography, Hate, Extremism}, Internet: true},
		{Name: "lab"},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("differs: %v", Diff(want, c))
	}
}

func TestEncodeIsReadBack(t *testing.T) {
	for _, file := range []string{"testdata/spellings.good.toml", "testdata/warnings.good.toml", "../deploy/recommended.toml", ""} {
		c, err := Load(file)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(c.Encode(), "encoded")
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if !reflect.DeepEqual(c, again) {
			t.Errorf("%s: differs: %v", file, Diff(c, again))
		}
		if !bytes.Equal(c.Encode(), again.Encode()) || c.Digest() != again.Digest() {
			t.Errorf("%s: encoding or digest differs", file)
		}
	}
}

func TestDigest(t *testing.T) {
	a, err1 := Parse([]byte("[cache]\nsize = \"16 MB\"\n"), "")
	b, err2 := Parse([]byte("# the same in other words\ncache = { size = \"16384kb\" }\n"), "")
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if a.Digest() != b.Digest() || !a.Equal(b) {
		t.Error("the same settings have two digests")
	}
	if a.Digest() == Default().Digest() || a.Equal(Default()) {
		t.Error("different settings have one digest")
	}
	if !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(a.Digest()) {
		t.Errorf("digest %q", a.Digest())
	}
}

func TestLoadErrors(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "absent.toml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent file: %v", err)
	}
	large := filepath.Join(t.TempDir(), "large.toml")
	if err := os.WriteFile(large, bytes.Repeat([]byte("#\n"), maxFile), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(large); err == nil || !strings.Contains(err.Error(), "larger than 4 MB") {
		t.Errorf("large file: %v", err)
	}
	_, err := Load("testdata/syntax.bad.toml")
	if problems, ok := errors.AsType[Problems](err); !ok || len(problems) != 1 || problems[0].Line == 0 || problems[0].Column == 0 {
		t.Errorf("syntax error: %#v", err)
	}
}

func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.toml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(files, "../deploy/schoolgate.example.toml") {
		f.Add(readFile(f, file))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, problems := Check(data, "fuzz")
		lines := bytes.Count(data, []byte("\n")) + 1
		for _, p := range problems {
			if p.Line > lines || p.What == "" {
				t.Errorf("problem of a text of %d lines: %#v", lines, p)
			}
		}
		if problems.Refused() {
			return
		}
		again, problems := Check(c.Encode(), "encoded")
		if problems.Refused() || !reflect.DeepEqual(c, again) {
			t.Errorf("does not survive encoding: %v\n%s", problems, c.Encode())
		}
		if d := Diff(c, again); len(d) != 0 {
			t.Errorf("differs from itself: %v", d)
		}
	})
}
