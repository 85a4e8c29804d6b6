package domain

import (
	"errors"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	long := strings.Repeat("a.", 126) + "a"
	for in, want := range map[string]Name{
		".":                     "",
		"。":                     "",
		"example":               "example",
		"Example.COM.":          "example.com",
		"_dmarc.example.com":    "_dmarc.example.com",
		"a--b.example":          "a--b.example",
		"bücher.example":        "xn--bcher-kva.example",
		"BÜCHER.example.":       "xn--bcher-kva.example",
		"faß.example":           "xn--fa-hia.example", // non-transitional
		"例え.テスト":                "xn--r8jz45g.xn--zckzah",
		"例え。テスト。":               "xn--r8jz45g.xn--zckzah",
		"ｅｘａｍｐｌｅ.com":           "example.com",
		"XN--BCHER-KVA.example": "xn--bcher-kva.example",
		long:                    Name(long),
	} {
		got, err := Parse(in)
		if err != nil || got != want {
			t.Errorf("Parse(%q) = %q, %v; want %q", in, got, err, want)
		}
		if again, err := Parse(string(got)); got != "" && (err != nil || again != got) {
			t.Errorf("Parse(%q) = %q, %v; want it unchanged", got, again, err)
		}
	}
}

func TestParseErrors(t *testing.T) {
	label := strings.Repeat("a", 63)
	for in, want := range map[string]error{
		"":                                    ErrEmptyLabel,
		"..":                                  ErrEmptyLabel,
		".example":                            ErrEmptyLabel,
		"a..example":                          ErrEmptyLabel,
		"example..":                           ErrEmptyLabel,
		label + "a":                           ErrLongLabel,
		label + "a.example":                   ErrLongLabel,
		strings.Repeat("a.", 127) + "a":       ErrLongName,
		strings.Repeat(label+".", 4):          ErrLongName,
		strings.Repeat("ü", 1<<20):            ErrLongName,
		"a b.example":                         ErrCharacter,
		"*.example":                           ErrCharacter,
		"a/b":                                 ErrCharacter,
		`a\046b`:                              ErrCharacter,
		"a\x00b":                              ErrCharacter,
		"http://example":                      ErrCharacter,
		"-a.example":                          ErrHyphen,
		"a-.example":                          ErrHyphen,
		"a.example-":                          ErrHyphen,
		"192.0.2.1:53":                        ErrCharacter,
		strings.Repeat("a.", 126) + "example": ErrLongName,
	} {
		if got, err := Parse(in); !errors.Is(err, want) {
			t.Errorf("Parse(%.40q) = %q, %v; want %v", in, got, err, want)
		}
	}
	if _, err := Parse("xn--ü.example"); err == nil {
		t.Error("an A-label with other letters was taken")
	}
	defer func() {
		if recover() == nil {
			t.Error("MustParse took what is no name")
		}
	}()
	MustParse("a..b")
}

func TestParent(t *testing.T) {
	var got []Name
	for n, ok := Name("www.example.com"), true; ok; n, ok = n.Parent() {
		got = append(got, n)
	}
	if strings.Join([]string{string(got[0]), string(got[1]), string(got[2]), string(got[3])}, " ") != "www.example.com example.com com " || len(got) != 4 {
		t.Errorf("parents: %q", got)
	}
}

func TestWithin(t *testing.T) {
	for _, c := range []struct {
		name, zone Name
		want       bool
	}{
		{"bad.com", "bad.com", true},
		{"www.bad.com", "bad.com", true},
		{"notbad.com", "bad.com", false},
		{"com", "bad.com", false},
		{"bad.com.example", "bad.com", false},
		{"bad.com", "", true},
		{"", "", true},
		{"", "com", false},
		{`not\046bad.com`, "bad.com", false},
	} {
		if got := c.name.Within(c.zone); got != c.want {
			t.Errorf("%q within %q: %v", c.name, c.zone, got)
		}
	}
}

func TestSite(t *testing.T) {
	for name, want := range map[Name]Name{
		"www.news.bbc.co.uk":       "bbc.co.uk",
		"bbc.co.uk":                "bbc.co.uk",
		"co.uk":                    "co.uk",
		"com":                      "com",
		"":                         "",
		"a.b.example":              "b.example",
		"a.school.surrey.sch.uk":   "school.surrey.sch.uk",
		"x.someone.blogspot.com":   "someone.blogspot.com",
		"school.surrey.sch.uk":     "school.surrey.sch.uk",
		"printer":                  "printer",
		"1.2.0.192.in-addr.arpa":   "192.in-addr.arpa",
		"_dns.resolver.arpa":       "resolver.arpa",
		`odd\000label.example.com`: "example.com",
	} {
		if got := name.Site(); got != want {
			t.Errorf("site of %q is %q, want %q", name, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{".", "Example.COM.", "bücher.example", "例え。テスト。", "a..b", "-a", "xn--a", "a\u200db.example", "ß"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := Parse(s)
		if err != nil {
			return
		}
		if n != "" {
			if again, err := Parse(string(n)); err != nil || again != n {
				t.Errorf("Parse(%q) = %q, %v; want it unchanged", n, again, err)
			}
		}
		if up, err := Parse(strings.ToUpper(string(n)) + "."); err != nil || up != n {
			t.Errorf("%q in upper case is %q, %v", n, up, err)
		}
		var w Wire
		if err := w.SetName(n); err != nil || w.Name() != n {
			t.Errorf("%q through its wire form is %q, %v", n, w.Name(), err)
		}
		for up, ok := n, true; ok; up, ok = up.Parent() {
			if !n.Within(up) {
				t.Errorf("%q is not within %q", n, up)
			}
		}
	})
}
