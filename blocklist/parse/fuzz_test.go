package parse

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"schoolgate/blocklist"
	"schoolgate/blocklist/domain"
	"schoolgate/config"
)

// checked gives an add that holds every rule to what the package promises of it.
func checked(t *testing.T, rules *int) func(blocklist.Rule) error {
	return func(r blocklist.Rule) error {
		*rules++
		if n, err := domain.Parse(string(r.Name)); err != nil || n != r.Name {
			t.Errorf("%q is not canonical: %q, %v", r.Name, n, err)
		}
		if r.Name.IsPublicSuffix() {
			t.Errorf("%q is a public suffix", r.Name)
		}
		if r.Scope > blocklist.Below {
			t.Errorf("%q has scope %d", r.Name, r.Scope)
		}
		if _, err := r.Name.AppendWire(nil); err != nil {
			t.Errorf("%q has no wire form: %v", r.Name, err)
		}
		return nil
	}
}

func checkReport(t *testing.T, rep Report, rules int) {
	t.Helper()
	if rep.Rules != rules || rep.Entries > rep.Lines || len(rep.Problems) > MaxProblems {
		t.Errorf("%d rules were given, reported %+v", rules, rep)
	}
	for _, p := range rep.Problems {
		if len(p.Text) > maxProblemText || !utf8.ValidString(p.Text) || p.Reason >= reasons || p.Line > rep.Lines {
			t.Errorf("bad problem %v", p)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, seed := range []string{
		"0.0.0.0 a.example b.example # c", "a.example", "*.a.example", "||a.example^$important", "@@|a.example^", "##.ad",
		"/^a\\.example$/", "address=/a.example/b.example/#", "server=/a.example/192.0.2.1", "local-zone: \"a.example.\" static",
		"local-data: 'a.example 1 IN A 0.0.0.0'", "$ORIGIN b.example.\n@ SOA a. b. (\n1 )\n  NS c.\n*.a CNAME .\n a A 0.0.0.0",
		"\ufeffBÜCHER.example。\r\n", "http://a.example/", "\"", "'", "=", ":", "*", "*.", ".", "..", "@", "@@", "|", "||^", "$", "[", "(", "a.example ;",
	} {
		for format := config.FormatAuto; format <= config.FormatUT1; format++ {
			f.Add(uint8(format), []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, format uint8, text []byte) {
		rules := 0
		rep, err := Text(bytes.NewReader(text), config.Format(format%9), checked(t, &rules))
		checkReport(t, rep, rules)
		if err == nil && rules == 0 {
			t.Error("a list without rules is no list")
		}
		one := 0
		again, err2 := Text(byteByByte{bytes.NewReader(text)}, config.Format(format%9), func(blocklist.Rule) error { one++; return nil })
		if one != rules && err == nil || (err == nil) != (err2 == nil) {
			t.Errorf("read byte by byte: %v, %v; at once: %v, %v", again, err2, rep, err)
		}
	})
}

// byteByByte gives its bytes one by one.
type byteByByte struct{ r io.Reader }

func (o byteByByte) Read(b []byte) (int, error) { return o.r.Read(b[:min(1, len(b))]) }

// FuzzTree takes lines "path" for files and "path > target" for links, as a tar could hold them.
func FuzzTree(f *testing.F) {
	f.Add("blacklists/adult/domains\nblacklists/porn > adult\nblacklists/adult/usage", "porn")
	f.Add("a/domains", "")
	f.Add("a > b\nb > a", "a")
	f.Add("x/a > ../b\nb/domains\nb/urls\n./c/domains > ../b/domains", "x/a")
	f.Add("../domains", "..")
	f.Fuzz(func(t *testing.T, text, sel string) {
		tree := newTree()
		for line := range strings.SplitSeq(text, "\n") {
			name, to, isLink := strings.Cut(line, " > ")
			mode := fs.FileMode(0)
			if isLink {
				mode = fs.ModeSymlink
			}
			if _, err := tree.put(name, mode, to); err != nil && !errors.Is(err, ErrArchive) {
				t.Error(err)
			}
		}
		var names []string
		if sel != "" {
			names = []string{sel}
		}
		chosen, _, err := tree.choose(names)
		if err == nil && len(names) > 0 && len(chosen) != 1 {
			t.Errorf("chose %v", chosen)
		}
		for _, p := range append(tree.all(), slices.Collect(maps.Keys(tree.wanted(chosen)))...) {
			if !fs.ValidPath(p) {
				t.Errorf("path %q", p)
			}
		}
		for p := range tree.wanted(chosen) {
			if base := path.Base(p); !tree.files[p] || len(tree.links) == 0 && base != "domains" && base != "urls" {
				t.Errorf("wants %q", p)
			}
		}
	})
}

func FuzzSource(f *testing.F) {
	var t testing.T
	list := []byte("a.example\n")
	for _, seed := range [][]byte{list, gz(&t, list), zst(&t, list), gz(&t, tarOf(&t, toulouse))} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		name := filepath.Join(t.TempDir(), "list")
		if err := os.WriteFile(name, file, 0o600); err != nil {
			t.Fatal(err)
		}
		rules := 0
		rep, err := Source(name, config.List{MaxSize: 4 << 10}, checked(t, &rules))
		checkReport(t, rep, rules)
		if errors.Is(err, ErrTooLarge) && rules > Unpack*4<<10 {
			t.Errorf("%d rules before the limit held", rules)
		}
	})
}
