package parse

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"schoolgate/blocklist"
	"schoolgate/blocklist/domain"
	"schoolgate/config"
)

func TestNotAList(t *testing.T) {
	good := "a.example\n"
	for _, tc := range []struct {
		name   string
		format config.Format
		text   string
		want   error
	}{
		{"empty", config.FormatAuto, "", ErrEmpty},
		{"only comments", config.FormatAuto, "# a\n! b\n; c\n\n", ErrEmpty},
		{"only a heading", config.FormatAuto, "[Adblock Plus]\n", ErrEmpty},
		{"only a zone's head", config.FormatRPZ, "$TTL 3\n@ SOA a. b. 1 2 3 4 5\n", ErrEmpty},
		{"web page", config.FormatAuto, "\n <!DOCTYPE html><html>" + good, ErrHTML},
		{"web page in one long line", config.FormatAuto, "<html>" + strings.Repeat("x", 2*maxLine), ErrHTML},
		{"web page after a mark", config.FormatDomains, "\ufeff<html>", ErrHTML},
		{"xml", config.FormatAuto, `<?xml version="1.0"?><Error/>`, ErrHTML},
		{"pointer", config.FormatAuto, "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", ErrLFSPointer},
		{"UTF-16", config.FormatAuto, "\xff\xfea\x00.\x00", ErrBinary},
		{"NUL", config.FormatAuto, good + good + "b\x00.example\n", ErrBinary},
		{"gzip", config.FormatAuto, "\x1f\x8b\x08rest", ErrBinary},
		{"regular expressions", config.FormatAuto, "# r\n/^a\\.example$/\n/^(.*\\.)?b\\.example$/\n", ErrRegex},
		{"regular expressions as adblock", config.FormatAdblock, "/^a\\.example$/\n/^(.*\\.)?b\\.example$/\n", ErrRegex},
		{"words", config.FormatAuto, "404: Not Found\n", ErrNotAList},
		{"prose", config.FormatAuto, "Dear reader,\nthis is no list at all.\nYours\n", ErrNotAList},
		{"the wrong format", config.FormatHosts, strings.Repeat(good, 10), ErrNotAList},
		{"mostly unreadable", config.FormatDomains, good + "-a\n-b\n", ErrNotAList},
		{"half unreadable", config.FormatDomains, good + "-a\n", nil},
		{"addresses", config.FormatAuto, "192.0.2.1\n192.0.2.2 # x\n198.51.100.0/24\n", ErrNoDomain},
		{"suffixes", config.FormatAuto, "com\nco.uk\n", ErrNoDomain},
		{"addresses and a name", config.FormatAuto, "192.0.2.1\n192.0.2.2\n192.0.2.3\n" + good, nil},
		{"ut1 text", config.FormatUT1, good, ErrArchive},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Text(strings.NewReader(tc.text), tc.format, func(blocklist.Rule) error { return nil })
			if !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

func TestLongLine(t *testing.T) {
	many := "0.0.0.0" + strings.Repeat(" name.example", 4000) // long, but legal
	text := "0.0.0.0 a.example\n" + many + "\n0.0.0.0 b.example\n"
	var got []string
	if _, err := Text(strings.NewReader(text), config.FormatHosts, collect(&got)); err != nil || len(got) != 4002 || got[4001] != "+b.example" {
		t.Errorf("got %d rules, error %v", len(got), err)
	}
	for name, line := range map[string]string{
		"a name": strings.Repeat("x", maxLine), "a comment": "# " + strings.Repeat("x", maxLine), "at the end": strings.Repeat("x", 3*maxLine) + "\n",
	} {
		_, err := Text(strings.NewReader(text+line), config.FormatHosts, func(blocklist.Rule) error { return nil })
		if !errors.Is(err, ErrLongLine) || !strings.Contains(err.Error(), "after line 3") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestErrorOfReader(t *testing.T) {
	broken := errors.New("broken")
	for _, tc := range []struct {
		name string
		r    io.Reader
		want error
	}{
		{"at once", fails{broken}, broken},
		{"later", io.MultiReader(strings.NewReader("a.example\nb.exam"), fails{broken}), broken},
		{"short", io.MultiReader(strings.NewReader("a.example\n"), fails{io.ErrUnexpectedEOF}), io.ErrUnexpectedEOF},
		{"idle", fails{nil}, io.ErrNoProgress},
	} {
		if _, err := Text(tc.r, config.FormatAuto, func(blocklist.Rule) error { return nil }); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, err, tc.want)
		}
	}
}

type fails struct{ err error }

func (f fails) Read([]byte) (int, error) { return 0, f.err }

func TestErrorOfAdd(t *testing.T) {
	full := errors.New("full")
	calls := 0
	_, err := Text(strings.NewReader("0.0.0.0 a.example b.example\n0.0.0.0 c.example\n"), config.FormatHosts,
		func(blocklist.Rule) error { calls++; return full })
	if !errors.Is(err, full) || calls != 1 {
		t.Errorf("got %v after %d calls", err, calls)
	}
}

// TestProblems holds the report's bounds: 20 problems, short texts, whatever the list says.
func TestProblems(t *testing.T) {
	text := strings.Repeat("good.example\n", 60) + strings.Repeat("-"+strings.Repeat("é", 100)+"\xff.example\n", 50)
	rep, err := Text(strings.NewReader(text), config.FormatDomains, func(blocklist.Rule) error { return nil })
	if err != nil || len(rep.Problems) != MaxProblems || rep.Skipped[BadName] != 50 {
		t.Fatalf("got %d problems, %d skipped, error %v", len(rep.Problems), rep.Skipped[BadName], err)
	}
	for i, p := range rep.Problems {
		if p.Line != 61+i || len(p.Text) > maxProblemText || strings.ToValidUTF8(p.Text, "") != p.Text {
			t.Errorf("got %v", p)
		}
	}
	if got, want := rep.String(), "60 rules from 110 entries; skipped: 50 bad name"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestReportAsJSON(t *testing.T) {
	rep, err := Text(strings.NewReader("a.example\ncom\n192.0.2.1\n"), config.FormatDomains, func(blocklist.Rule) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(rep.Skipped)
	if want := `{"address":1,"public suffix":1}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
	for r := range reasons {
		if r.String() == "" {
			t.Errorf("reason %d has no words", r)
		}
	}
}

// TestAllocations: a plain list costs memory by the block, not by the line.
func TestAllocations(t *testing.T) {
	text := strings.Repeat("some-name.example.com\n", 50_000)
	for _, f := range []config.Format{config.FormatDomains, config.FormatAuto} {
		n := testing.AllocsPerRun(2, func() {
			if _, err := Text(strings.NewReader(text), f, func(blocklist.Rule) error { return nil }); err != nil {
				t.Fatal(err)
			}
		})
		if n > 50_000/100 {
			t.Errorf("format %d: %.0f allocations for 50,000 lines", f, n)
		}
	}
}

func ExampleText() {
	list := "||ads.example^\n@@||good.ads.example^\n||shop.example/banner/\n"
	report, err := Text(strings.NewReader(list), config.FormatAdblock, func(r blocklist.Rule) error {
		fmt.Println(r.Name, r.Scope, r.Except)
		return nil
	})
	fmt.Println(report, err)
	// Output:
	// ads.example subtree false
	// good.ads.example subtree true
	// 2 rules from 3 entries; skipped: 1 page <nil>
}

// TestUnderCommon: the shortcut agrees with the list on the names that come nearest to being suffixes.
func TestUnderCommon(t *testing.T) {
	for _, n := range []domain.Name{"co.com", "uk.com", "eu.com", "us.org", "eu.org", "gb.net", "se.net", "in.net", "com.com"} {
		if !underCommon(n) || n.IsPublicSuffix() {
			t.Errorf("%s: shortcut %v, public suffix %v", n, underCommon(n), n.IsPublicSuffix())
		}
	}
	for _, n := range []domain.Name{"com", "net", "org", "com.au", "co.uk"} {
		if underCommon(n) {
			t.Errorf("%s takes the shortcut", n)
		}
	}
}

func BenchmarkText(b *testing.B) {
	var text strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&text, "some-name-%d.example.com\n", i)
	}
	for name, f := range map[string]config.Format{"domains": config.FormatDomains, "auto": config.FormatAuto} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Text(strings.NewReader(text.String()), f, func(blocklist.Rule) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*100_000/b.Elapsed().Seconds(), "lines/s")
		})
	}
}
