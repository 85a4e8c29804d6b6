package update

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"schoolgate/blocklist/domain"
	"schoolgate/config"
)

// TestRealLists fetches and compiles published lists in different formats. It needs the shared data beside the repository.
func TestRealLists(t *testing.T) {
	root := filepath.Join("..", "..", "..", "shared", "data", "lists")
	if _, err := os.Stat(root); err != nil {
		t.Skip("the shared test data is not beside the repository")
	}
	server := httptest.NewServer(http.FileServer(http.Dir(root)))
	defer server.Close()
	list := func(name, path string, format config.Format, sel ...string) config.List {
		return config.List{Name: name, Category: "no-starter", Source: server.URL + "/" + path, Format: format, Select: sel}
	}
	local := list("local-rpz", "", config.FormatRPZ)
	local.Source = filepath.Join(root, "hate", "chigh-hategroup.rpz.db")
	lists := []config.List{
		list("adblock", "social/hagezi-social.adblock.txt", config.FormatAdblock),
		list("dnsmasq", "hate/chigh-hategroup.dnsmasq.conf", config.FormatDnsmasq),
		list("hosts-gz", "misc/energized-basic.hosts.gz", config.FormatHosts),
		list("domains-zst", "bypass/hagezi-doh-vpn-proxy-bypass.onlydomains.txt.zst", config.FormatAuto),
		list("unbound-zst", "adult/oisd-nsfw-small.unbound.txt.zst", config.FormatUnbound),
		list("ut1", "ut1/ut1-blacklists-subset.tar.gz", config.FormatUT1, "games"),
		local,
		list("html", "edge/html-instead-of-list.txt", config.FormatAuto),
		list("empty", "edge/empty.txt", config.FormatAuto),
		list("comments", "edge/only-comments.txt", config.FormatAuto),
	}
	u, last := updater(t, t.TempDir(), lists...)
	err := u.Refresh(t.Context(), nil)
	for _, bad := range []string{"html", "empty", "comments"} {
		if err == nil || !strings.Contains(err.Error(), `list "`+bad+`"`) {
			t.Errorf("nothing said of %s: %v", bad, err)
		}
	}
	s := last()
	if s == nil {
		t.Fatal("nothing was published")
	}
	for i, st := range u.Status() {
		want := Fresh
		if i >= 7 {
			want = Never
		}
		if st.State != want || want == Fresh && st.Rules < 300 {
			t.Errorf("%s: %v with %d rules (%s)", st.Name, st.State, st.Rules, st.Error)
		}
	}
	for name, list := range map[string]string{"ictgames.com": "ut1", "www.facebook.com": "adblock"} {
		expect(t, name, []string{list}, holders(t, s, name))
	}
	if err := u.Refresh(t.Context(), nil, "ut1", "adblock"); err != nil {
		t.Errorf("once more: %v", err)
	}
	if s != last() {
		t.Error("the same lists were published twice")
	}
}

// TestRealConflicts: of the UT1 games, those that teach are told.
func TestRealConflicts(t *testing.T) {
	path := filepath.Join("..", "..", "..", "shared", "data", "lists", "ut1", "ut1-blacklists-subset.tar.gz")
	if _, err := os.Stat(path); err != nil {
		t.Skip("the shared test data is not beside the repository")
	}
	l := config.List{Name: "games", Category: "no-starter", Source: path, Format: config.FormatUT1, Select: []string{"games"}}
	u, _ := updater(t, t.TempDir(), l)
	u.Essential = []domain.Name{"bbc.co.uk", "ictgames.com", "phonicsplay.co.uk", "sparxmaths.uk", "ttrockstars.com"}
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	want := []Conflict{{"ictgames.com", true, true}, {"phonicsplay.co.uk", true, true}, {"sparxmaths.uk", true, true}, {"ttrockstars.com", true, true}}
	expect(t, "conflicts", want, u.Status()[0].Conflicts.Names)
}
