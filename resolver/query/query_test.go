package query

import "testing"

// TestWords: every value has a word of its own, and the word leads back to it.
func TestWords(t *testing.T) {
	words := map[string]bool{}
	check := func(word string, back bool) {
		t.Helper()
		if word == "unknown" || words[word] || !back {
			t.Errorf("%q: known before %v, leads back %v", word, words[word], back)
		}
		words[word] = true
	}
	for a := Allow; a <= Rewrite; a++ {
		got, ok := ParseAction(a.String())
		check("action "+a.String(), ok && got == a)
	}
	for r := Default; r <= SafeSearch; r++ {
		got, ok := ParseRule(r.String())
		check("rule "+r.String(), ok && got == r)
	}
	for s := None; s <= Upstream; s++ {
		got, ok := ParseSource(s.String())
		check("source "+s.String(), ok && got == s)
	}
	for _, p := range []Proto{UDP, TCP} {
		check("proto "+p.String(), true)
	}
	if _, ok := ParseAction("refused"); ok || Action(99).String() != "unknown" {
		t.Error("a word that names nothing is taken")
	}
}
