package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"schoolgate/monitor/record"
)

// tierFeed is a list of the illegal tier: two whole sites, one page.
const tierFeed = "https://listed-site.example/\nbücher.listed-idn.example\nhttps://listed-host.example/secret-page\n"

// tierUpstream leads to what is listed by CNAME and by HTTPS records.
func tierUpstream(w dns.ResponseWriter, req *dns.Msg) {
	name, qtype := strings.ToLower(req.Question[0].Name), req.Question[0].Qtype
	m := new(dns.Msg).SetReply(req)
	add := func(format string) {
		rr, err := dns.NewRR(fmt.Sprintf(format, req.Question[0].Name))
		if err != nil {
			panic(err)
		}
		m.Answer = append(m.Answer, rr)
	}
	switch {
	case strings.HasPrefix(name, "alias."):
		add("%s 300 IN CNAME www.listed-site.example.")
	case strings.HasPrefix(name, "service.") && qtype == dns.TypeHTTPS:
		add("%s 300 IN HTTPS 1 listed-site.example. alpn=h2")
	default:
		answerAnything(w, req)
		return
	}
	_ = w.WriteMsg(m)
}

// tierQuestions are listed names in every spelling, and names that lead to one.
var tierQuestions = []struct {
	name  string
	qtype uint16
}{
	{"listed-site.example", dns.TypeA},
	{"LISTED-Site.eXample", dns.TypeAAAA},
	{`\108isted-site.example`, dns.TypeA},
	{"a.b.c.d.www.listed-site.example", dns.TypeA},
	{"_443._tcp.listed-site.example", dns.TypeTLSA},
	{"listed-site.example", dns.TypeHTTPS},
	{"listed-site.example", dns.TypeTXT},
	{"listed-site.example", dns.TypeNS},
	{"xn--bcher-kva.listed-idn.example", dns.TypeA},
	{"XN--BCHER-KVA.listed-idn.example", dns.TypeA},
	{"alias.school.example", dns.TypeA},
	{"service.school.example", dns.TypeHTTPS},
}

// wantRefused asks everything for every group, and wants it refused as illegal.
func (b *box) wantRefused(when string) {
	b.t.Helper()
	for _, from := range []string{"127.30.0.1", "127.31.0.1", "127.30.0.9"} { // children, staff, a named device
		for _, q := range tierQuestions {
			reply := b.ask(from, q.name, q.qtype)
			if code, _ := reasonOf(reply); code != int(dns.ExtendedErrorCodeBlocked) {
				b.t.Errorf("%s: %s %s is answered to %s: %v", when, q.name, dns.TypeToString[q.qtype], from, reply)
			}
		}
	}
}

func feedFile(t *testing.T, dir, text string) string {
	t.Helper()
	path := filepath.Join(dir, "feed.txt")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func tierList(name, category, source string) string {
	return fmt.Sprintf("[[lists]]\nname = %q\ncategory = %q\nsource = %q\n", name, category, source)
}

// TestNobodyIsExempt tries every way of a configuration to let a listed name through, one after the other on one box.
func TestNobodyIsExempt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	feed := feedFile(t, dir, tierFeed)
	empty := filepath.Join(dir, "empty.txt")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	base := school{upstream: serveDNS(t, tierUpstream)}
	b := startBox(t, base.write(t, dir))

	// What is in the cache already does not come out of it.
	for _, q := range tierQuestions {
		if got := verdictOf(b.ask("127.30.0.1", q.name, q.qtype)); got == "blocked" {
			t.Fatalf("before there is a list, %s is %s", q.name, got)
		}
	}
	list := tierList("feed", "illegal", feed)
	base.more = list
	base.write(t, dir)
	b.reload(taken)
	b.until("the feed is in force", func() bool { return verdictOf(b.ask("127.30.0.1", "listed-site.example", dns.TypeA)) == "blocked" })
	b.wantRefused("after it was cached")

	names := `["listed-site.example", "www.listed-site.example", "bücher.listed-idn.example", "alias.school.example", "service.school.example"]`
	device := "\n[[devices]]\nname = \"Favoured tablet\"\nip = \"127.30.0.9\"\ngroup = \"staff\"\n"
	for _, way := range []struct {
		what string
		set  func(*school)
	}{
		{"policy.allow", func(s *school) { s.policy = "allow = " + names }},
		{"a group's allow", func(s *school) { s.children = "allow = " + names }},
		{"approved", func(s *school) { s.children = "allow_only = true\napproved = " + names }},
		{"no category at all", func(s *school) {
			s.children = "hours = [{from = \"00:00\", to = \"00:00\", allow = [\"gaming\", \"pornography\", \"hate\", \"extremism\"]}]"
		}},
		{"an answer of zeros", func(s *school) { s.children = "answer = \"zero\"" }},
		{"a block page", func(s *school) { s.children = "answer = \"page 192.0.2.80 2001:db8::80\"" }},
		{"safe search", func(s *school) { s.children = "safe_search = true\nyoutube = \"strict\"" }},
		{"services", func(s *school) { s.children = "allow_services = [\"youtube\"]" }},
		{"without the pack", func(s *school) { s.policy = "schools_pack = false" }},
		{"without starter lists", func(s *school) { s.more = list + "[update]\nstarter = false\n" }},
		{"another group for a device", func(s *school) { s.more = list + device }},
		{"pages pass", func(s *school) { s.children = "illegal_urls = \"pass\"" }},
		{"another name", func(s *school) { s.more = tierList("renamed", "illegal", feed) }},
		{"another category", func(s *school) { s.more = tierList("feed", "gaming", feed) }},
		{"another name and category", func(s *school) { s.more = tierList("harmless", "own-things", feed) }},
		{"another source", func(s *school) { s.more = tierList("feed", "illegal", "/nowhere/feed.txt") }},
		{"a source of one's own", func(s *school) {
			own := filepath.Join(dir, "own.txt")
			if err := os.WriteFile(own, []byte(strings.ReplaceAll(tierFeed, "listed-site.", "other-site.")), 0o600); err != nil {
				t.Fatal(err)
			}
			s.more = tierList("feed", "illegal", own)
		}},
		{"an empty source", func(s *school) { s.more = tierList("feed", "illegal", empty) }},
		{"no list", func(s *school) { s.more = "" }},
		{"upstreams away", func(s *school) { s.upstream = "udp://" + deadAddr(t) }},
	} {
		s := base
		way.set(&s)
		s.write(t, dir)
		b.reload(taken)
		b.wantRefused(way.what)
	}
	for what, s := range map[string]school{
		"hours that allow the tier": {children: "hours = [{from = \"00:00\", to = \"00:00\", allow = [\"illegal\"]}]"},
	} {
		s.upstream, s.more = base.upstream, list
		s.write(t, dir)
		b.reload(notTaken)
		b.wantRefused(what)
	}
	// Commands, with the list gone from the configuration.
	base.more = ""
	config := base.write(t, dir)
	b.reload(taken)
	for _, args := range [][]string{
		{"lists", "revert", "feed"},
		{"lists", "refuse", "feed"},
		{"illegal", "forget", "feed"},
		{"illegal", "forget", "feed", "--key", "/nowhere"},
		{"changes", "propose", "allow", "listed-site.example", "--by", "A. Lead", "--why", "x", "--risk", "x"},
	} {
		if out, stderr, code := invoke(t, dir, append(args, "--config", config)...); code == exitOK {
			t.Errorf("schoolgate %v went well: %s %s", args, out, stderr)
		}
	}
	b.wantRefused("after commands")
	for _, gone := range []string{"illegal", "keys"} {
		if err := os.RemoveAll(filepath.Join(b.record(), gone)); err != nil {
			t.Fatal(err)
		}
	}
	b.reload(taken)
	b.until("what is in force is on the disk again", func() bool {
		_, err := os.Stat(filepath.Join(b.record(), "illegal", "renamed.sealed"))
		_, err2 := os.Stat(filepath.Join(b.record(), "illegal", "feed.sealed"))
		return err == nil || err2 == nil
	})
	b.wantRefused("after its files were removed")
	health, _ := b.page("/healthz")
	for _, code := range []string{"illegal.retired", "illegal.lost"} {
		if !strings.Contains(health, code) {
			t.Errorf("health does not say %s: %s", code, health)
		}
	}
	b.stop()

	// A start with no list, and a start from the last good configuration.
	b = startBox(t, base.write(t, dir))
	b.wantRefused("after a start without the list")
	b.stop()
	b = startBox(t, writeConfig(t, dir, "this is no configuration"), "--last-good", filepath.Join(dir, "var", "last-good.toml"))
	b.wantRefused("after a start from the last good configuration")
	b.stop()
}

// TestOnlyTheLeadEnds: a configuration and a key of one's own end nothing, and what is refused is not written down as done.
func TestOnlyTheLeadEnds(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	outside := t.TempDir()
	key := func(name string) (file, line string) {
		file = filepath.Join(outside, name)
		return file, "[illegal]\n" + withInput(t, "four words will do\n", "illegal", "key", "--out", file)
	}
	leadKey, lead := key("lead.key")
	ownKey, own := key("own.key")
	list := tierList("feed", "illegal", feedFile(t, outside, tierFeed))
	s := school{upstream: serveDNS(t, tierUpstream), more: lead + list, policy: "allow = [\"listed-site.example\"]"}
	mine := s
	mine.more = own
	foreign := writeConfig(t, outside, readFile(t, mine.write(t, dir)))
	config := s.write(t, dir)
	b := startBox(t, config)
	b.until("the feed is in force", func() bool { _, status := b.page("/readyz"); return status == 200 })

	ends := func(keyFile, config string) bool {
		t.Helper()
		cmd := exec.Command(binary(t), "illegal", "forget", "feed", "--key", keyFile, "--config", config)
		cmd.Stdin = strings.NewReader("four words will do\n")
		out, err := cmd.CombinedOutput()
		t.Logf("%s", out)
		return err == nil
	}
	if ends(ownKey, foreign) {
		t.Error("a configuration and a key of one's own end a list")
	}
	if ends(leadKey, config) {
		t.Error("a configured list is ended")
	}
	s.more = own + list
	s.write(t, dir)
	b.reload(taken)
	if health, _ := b.page("/healthz"); !strings.Contains(health, "illegal.newkey") {
		t.Errorf("health does not tell of another key: %s", health)
	}
	s.more, s.policy = own, "allow = [\"listed-site.example\", \"www.listed-site.example\"]"
	s.write(t, dir)
	b.reload(taken)
	if ends(ownKey, config) {
		t.Error("a key that is new in the configuration ends a list")
	}
	b.wantRefused("after all that")
	log := readFile(t, filepath.Join(b.record(), "changes.log"))
	if strings.Contains(log, "no longer enforced") {
		t.Errorf("what was refused is in the log as done: %s", log)
	}
	if strings.Contains(log, "listed-site") || !strings.Contains(log, record.Withheld) {
		t.Errorf("what was edited is in the log with its name: %s", log)
	}
	if _, stderr, code := invoke(t, dir, "changes", "propose", "block", "nasty.example", "--by", "Ann", "--why", "saw http://www.listed-site.example/x", "--config", config); code == exitOK || !strings.Contains(stderr, "--why has a name in it") {
		t.Errorf("a reason with a listed name: %d, %s", code, stderr)
	}
	if !ends(leadKey, config) {
		t.Error("the lead cannot end a list")
	}
	b.until("the list is no longer in force", func() bool { return verdictOf(b.ask("127.30.0.1", "listed-site.example", dns.TypeA)) != "blocked" })
	b.stop()
}

// TestNameOf: what people paste.
func TestNameOf(t *testing.T) {
	for given, want := range map[string]string{
		"site.example": "site.example", "Site.Example.": "site.example", "https://site.example:8443/a?b#c": "site.example", "site.example?x=1": "site.example",
		"//site.example/": "site.example", "http://user:word@site.example": "site.example", "https:\\\\site.example": "site.example", "bücher.example": "xn--bcher-kva.example",
		"192.0.2.1": "", "http://192.0.2.1:80/x": "", "[2001:db8::1]:443": "", "": "", "https://": "",
	} {
		if got, _, err := nameOf(given); string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v; want %q", given, got, err, want)
		}
	}
}

// TestIllegalTierLeavesNoTrace searches everything that the program wrote for what is listed, in every spelling.
func TestIllegalTierLeavesNoTrace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	outside := t.TempDir()
	sink, err := startMailSink()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sink.stop)
	keyFile := filepath.Join(outside, "safeguarding.key")
	publicLine := withInput(t, "four words will do\n", "illegal", "key", "--out", keyFile)
	s := school{
		upstream: serveDNS(t, tierUpstream), store: `flush = "100ms"`,
		alerts:   fmt.Sprintf("dsl = [\"dsl@school.example\"]\ntechnical = [\"it@school.example\"]\n[alerts.smtp]\nhost = \"127.0.0.1\"\nport = %d\ntls = \"none\"\nfrom = \"box@school.example\"", sink.addr.Port()),
		children: "illegal_urls = \"block\"\nillegal_urls_approved_by = \"A. Lead\"\nillegal_urls_approved_on = 2026-09-01",
		more:     "[illegal]\n" + publicLine + tierList("feed", "illegal", feedFile(t, outside, tierFeed+"http://bad entry^^\nlisted site.example:port\n")),
	}
	config := s.write(t, dir)
	b := startBox(t, config)
	b.until("the feed is in force", func() bool { _, status := b.page("/readyz"); return status == 200 })
	b.wantRefused("with a key")
	for _, name := range []string{"www.listed-site.example.school.test", "listed-site.example.a.b.school.test"} {
		b.ask("127.30.0.1", name, dns.TypeA)
	}
	over := b.ask("127.30.0.1", "listed-host.example", dns.TypeA)
	if code, _ := reasonOf(over); code != int(dns.ExtendedErrorCodeBlocked) {
		t.Errorf("the host of a listed page is answered to children: %v", over)
	}
	if got := verdictOf(b.ask("127.31.0.1", "listed-host.example", dns.TypeA)); got != "allowed" {
		t.Errorf("the host of a listed page is %s for staff, whose pages pass", got)
	}
	b.until("the mail came", func() bool { return len(sink.received()) >= 1 })

	var said strings.Builder
	for _, page := range []string{"/metrics", "/healthz", "/readyz"} {
		text, _ := b.page(page)
		said.WriteString(text)
	}
	if !strings.Contains(said.String(), `schoolgate_illegal_questions_total{list="feed",outcome="passed"} 1`) {
		t.Error("what passed is not counted")
	}
	for _, args := range [][]string{
		{"illegal"},
		{"illegal", "--json"},
		{"illegal", "references"},
		{"illegal", "references", "--json"},
		{"lists"},
		{"lists", "--json"},
		{"lists", "update"},
		{"log"},
		{"alerts"},
		{"check"},
		{"audit", "verify"},
		{"report", "--from", "2026-01-01", "--to", "today"},
	} {
		out, stderr, _ := invoke(t, dir, append(args, "--config", config)...)
		said.WriteString(out + stderr)
	}
	if got := b.schoolgate("illegal"); !strings.HasPrefix(got, "enforced by feed (2 domains, 1 URL), fetched ") || !strings.Contains(got, "last proven 20") {
		t.Errorf("the state is told as %q", got)
	}
	explained := b.schoolgate("explain", "--group", "children", "listed-host.example")
	if !strings.Contains(explained, "over-block") || !strings.Contains(explained, "A. Lead on 2026-09-01") {
		t.Errorf("the over-block is explained as %q", explained)
	}

	// The reference: of what, nobody sees without the key; opening it is recorded.
	var refs []referenceLine
	if err := json.Unmarshal([]byte(b.schoolgate("illegal", "references", "--json")), &refs); err != nil || len(refs) == 0 {
		t.Fatalf("references: %v, %v", refs, err)
	}
	number := fmt.Sprint(refs[len(refs)-1].Reference)
	opened := withInput(t, "four words will do\n", "illegal", "open", number, "--key", keyFile, "--by", "A. Lead", "--config", config)
	if !strings.HasPrefix(opened, "listed-site.example\n") {
		t.Errorf("opened: %q", opened)
	}
	if log := b.schoolgate("audit", "export"); !strings.Contains(log, "reference "+number+" was opened") {
		t.Errorf("that it was opened is not in the log of changes: %s", log)
	}
	b.stop()
	said.WriteString(b.stdout.String() + b.stderr.String())
	for _, m := range sink.received() {
		said.WriteString(fmt.Sprint(m))
	}
	where := map[string]string{"what was said": said.String()}
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			where[path] = readFile(t, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	reviews, _ := filepath.Glob(filepath.Join(b.record(), "reports", "*.html"))
	if len(reviews) != 1 || !strings.Contains(where[reviews[0]], "The illegal tier is enforced by feed (2 domains, 1 URL), fetched ") {
		t.Errorf("the review %v does not say who enforces the tier", reviews)
	}
	if len(where) < 12 {
		t.Fatalf("only %d files were written", len(where))
	}
	for place, text := range where {
		text = strings.ToLower(text)
		for _, name := range []string{"listed-site.example", "listed-idn.example", "listed-host.example", "listed-site", "listed-host", "secret-page", "listed site"} {
			for _, form := range spellings(name) {
				if strings.Contains(text, strings.ToLower(form)) && !passed(place, name) {
					t.Errorf("%s holds %q as %q", place, name, form)
				}
			}
		}
	}
}

// passed says whether a row may name a host: where its pages pass it is asked for as any other.
func passed(place, name string) bool {
	return strings.HasPrefix(name, "listed-host") && (place == "what was said" || strings.Contains(place, "/log/") || strings.Contains(place, "/reports/"))
}

// spellings are the ways in which a name could hide in a file.
func spellings(name string) []string {
	reversed := []byte(name)
	slices.Reverse(reversed)
	labels := strings.Split(name, ".")
	slices.Reverse(labels)
	wire := ""
	for l := range strings.SplitSeq(name, ".") {
		wire += string(rune(len(l))) + l
	}
	out := []string{name, string(reversed), strings.Join(labels, "."), wire, hex.EncodeToString([]byte(name))}
	for shift := range 3 { // wherever in a longer text it stands
		b := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + name))
		out = append(out, b[4*((shift+2)/3):len(b)-4])
	}
	return out
}

// withInput runs a command that reads from standard input.
func withInput(t *testing.T, input string, args ...string) string {
	t.Helper()
	cmd := exec.Command(binary(t), args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("schoolgate %v: %v", args, err)
	}
	return string(out)
}
