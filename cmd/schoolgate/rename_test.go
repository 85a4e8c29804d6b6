package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/miekg/dns"
)

// TestIllegalTierSurvivesRename: another name for the list, while its source is away, must not open what it closed.
func TestIllegalTierSurvivesRename(t *testing.T) {
	t.Parallel()
	source := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "listed-name.example") }))
	defer source.Close()
	list := func(name string) string {
		return fmt.Sprintf("[[lists]]\nname = %q\ncategory = \"illegal\"\nformat = \"domains\"\nsource = %q\n", name, source.URL)
	}
	dir := t.TempDir()
	s := school{upstream: serveDNS(t, answerAnything), more: list("feed")}
	b := launch(t, s.write(t, dir))
	ready := func() bool { _, status := b.page("/readyz"); return status == http.StatusOK }
	b.until("the feed is in force", ready)
	blocked := func(when string) {
		t.Helper()
		if got := verdictOf(b.ask("127.30.0.1", "listed-name.example", dns.TypeA)); got != "blocked" {
			t.Errorf("%s the listed name is %s", when, got)
		}
	}
	blocked("at first")
	source.Close()
	s.more = list("feed-of-another-name")
	s.write(t, dir)
	b.reload(taken)
	blocked("right after the reload")
	b.until("the list is in force under its new name", ready)
	blocked("under its new name")
}
