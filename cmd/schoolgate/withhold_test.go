package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"schoolgate/monitor/record"
	"schoolgate/monitor/store"
)

// TestIllegalNamesAreKeptNowhere asks for a listed name in every disguise: as it is, by types and classes that are
// refused before anything is judged, and with a search domain behind it.
func TestIllegalNamesAreKeptNowhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	feed := filepath.Join(dir, "feed.txt")
	if err := os.WriteFile(feed, []byte("listed-name.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	more := "[[lists]]\nname = \"feed\"\ncategory = \"illegal\"\nformat = \"domains\"\nsource = \"" + feed + "\"\n"
	b := launch(t, school{upstream: serveDNS(t, answerAnything), more: more}.write(t, dir))
	b.until("the feed is in force", func() bool {
		_, status := b.page("/readyz")
		return status == 200
	})
	for _, name := range []string{"listed-name.example", "www.listed-name.example", "listed-name.example.school.test", "www.listed-name.example.a.school.test"} {
		b.ask("127.30.0.1", name, dns.TypeA)
	}
	for _, qtype := range []uint16{200, dns.TypeAXFR, dns.TypeANY} {
		b.ask("127.30.0.1", "listed-name.example", qtype)
	}
	chaos := new(dns.Msg).SetQuestion("listed-name.example.", dns.TypeTXT)
	chaos.Question[0].Qclass = dns.ClassCHAOS
	if _, err := dns.Exchange(chaos, b.dns.String()); err != nil {
		t.Fatal(err)
	}
	b.ask("127.30.0.1", "other-name.example", dns.TypeA)
	b.stop()

	r, err := store.OpenReader(t.Context(), b.record())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	rows, withheld := 0, 0
	err = r.Search(t.Context(), record.Filter{}, func(row record.Row) error {
		rows++
		if row.Name == record.Withheld {
			withheld++
		}
		if row.Device == "" || row.Group != "children" {
			t.Errorf("a row of nobody: %+v", row)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if withheld != rows-1 || withheld < 8 {
		t.Errorf("%d of %d names are withheld, want all but one", withheld, rows)
	}
	err = filepath.WalkDir(b.record(), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(path, "/lists/") {
			return err
		}
		if text, err := os.ReadFile(path); err != nil || strings.Contains(string(text), "listed-name") {
			t.Errorf("%s holds the name (%v)", path, err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.stderr.String(), "listed-name") {
		t.Error("the process log holds the name")
	}
}
