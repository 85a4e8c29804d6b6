package sealed

import (
	"strings"
	"testing"
)

func TestWithhold(t *testing.T) {
	k := NewKey()
	l, err := Seal(strings.NewReader("listed.example\nbücher.example\nhttps://host.example/page\n"), k)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSet(k, l)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"":                                     "",
		"nothing of it, e.g. other.example":    "nothing of it, e.g. other.example",
		"policy.allow: listed.example is new":  "policy.allow: * is new",
		"saw https://WWW.Listed.Example./x?y.": "saw https://*/x?y.",
		"listed.example.school.test, \"bücher.example\" (Bücher。example)": `*, "*" (*)`,
		"host.example and example and listed":                             "host.example and example and listed",
		"notlisted.example":                                               "notlisted.example",
		"…-listed.example-…":                                              "…*…",
		"\xfflisted.example\xff":                                          "\xff*\xff",
	} {
		if got := s.Withhold(text, "*"); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
	var none *Set
	if got := none.Withhold("listed.example", "*"); got != "listed.example" {
		t.Errorf("without a list: %q", got)
	}
}
