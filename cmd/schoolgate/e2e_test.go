package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"schoolgate/blocklist/domain"
)

// e2eConfig is a school with about a million names on its lists. The devices of the traces are at 127.20.0.x.
const e2eConfig = `
[site]
name = "Trace School"
[dns]
listen = ["127.0.0.1:0"]
[http]
listen = "127.0.0.1:0"
[upstream]
servers = ["udp://%[1]s"]
[alerts]
categories = ["hate"]
dsl = ["dsl@trace.example"]
[alerts.smtp]
host = "127.0.0.1"
port = %[2]d
tls = "none"
from = "box@trace.example"
[store]
path = %[3]q
[update]
starter = false
catalogue = false
[policy]
schools_pack = false
default_group = "children"
[[groups]]
name = "children"
block = ["hate", "pornography", "gambling", "social-media", "gaming"]
safe_search = true
youtube = "strict"
[[groups]]
name = "staff"
clients = ["127.20.0.100/30", "127.20.0.104/29", "127.20.0.112/28"]
block = ["hate", "pornography"]
answer = "zero"
[[groups]]
name = "guests"
clients = ["127.20.0.128/25"]
block = ["hate", "pornography", "gambling"]
`

// e2eLists adds the lists, in every format that the shared data has, to the configuration and to the oracle.
func e2eLists(t *testing.T, data string, o *oracle) string {
	t.Helper()
	var toml strings.Builder
	list := func(name, category, format, path, extra string) string {
		full := filepath.Join(data, path)
		fmt.Fprintf(&toml, "[[lists]]\nname = %q\ncategory = %q\nformat = %q\nsource = %q\n%s\n", name, category, format, full, extra)
		return full
	}
	o.addFile(t, "pornography", list("adult", "pornography", "domains", "lists/adult/adult-union.domains.txt.zst", ""), plain)
	o.addFile(t, "gambling", list("bets", "gambling", "adblock", "lists/gambling/hagezi-gambling.adblock.txt.zst", ""), adblock)
	o.addFile(t, "social-media", list("social", "social-media", "hosts", "lists/social/sinfonietta-social.hosts.txt.zst", ""), hosts)
	o.addFile(t, "hate", list("hategroups", "hate", "rpz", "lists/hate/chigh-hategroup.rpz.db", ""), rpz)
	o.addUT1(t, "gaming", list("ut1-games", "gaming", "ut1", "lists/ut1/ut1-blacklists-subset.tar.gz", "select = [\"games\"]"), "games")
	o.addFile(t, "illegal", list("iwf-test", "illegal", "domains", "iwf-synthetic/iwf-domains.v1.txt", ""), plain)
	o.addFile(t, "safe", filepath.Join(data, "safesearch/adguardhome-google.rules.txt"), func(l string) string {
		name, _, _ := strings.Cut(strings.TrimPrefix(l, "|"), "^")
		return name
	})
	o.safe = o.held["safe"]
	o.addFile(t, "unsafe search", "../../resolver/policy/unsteerable.txt", func(line string) string { name, _, _ := strings.Cut(line, " "); return name })
	o.groups["children"] = oracleGroup{blocks: []string{"hate", "pornography", "gambling", "social-media", "gaming"}, safe: true}
	o.groups["staff"] = oracleGroup{blocks: []string{"hate", "pornography"}}
	o.groups["guests"] = oracleGroup{blocks: []string{"hate", "pornography", "gambling"}}
	return toml.String()
}

// traced is one query of a trace.
type traced struct {
	client int // last byte of the address
	name   string
	qtype  uint16
}

func (q traced) group() string {
	switch {
	case q.client >= 128:
		return "guests"
	case q.client >= 100:
		return "staff"
	}
	return "children"
}

// readTraces reads the school day of 140 devices, the trace of a public resolver and the synthetic illegal names, every
// k-th line of the first two.
func readTraces(t *testing.T, data string, k int) (out []traced) {
	t.Helper()
	n := 0
	lines := func(path string, each func(fields []string)) {
		f := unpacked(t, filepath.Join(data, path))
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			each(strings.Split(s.Text(), "\t"))
		}
	}
	lines("traces/synthetic-schoolday-140dev.tsv.zst", func(f []string) {
		if n++; f[0] == "epoch_ms" || n%k != 0 {
			return
		}
		client, _ := strconv.Atoi(f[1][strings.LastIndexByte(f[1], '.')+1:])
		out = append(out, traced{client, f[4], dns.StringToType[f[5]]})
	})
	lines("traces/dnsperf-sample-100k.txt.zst", func(f []string) {
		if n++; n%k == 0 && len(f) == 2 && dns.StringToType[f[1]] != 0 {
			out = append(out, traced{20 + n%140, f[0], dns.StringToType[f[1]]})
		}
	})
	lines("iwf-synthetic/expected.v1.tsv", func(f []string) {
		if f[0] != "host" {
			n++
			out = append(out, traced{20 + n%40*3, f[0], dns.TypeA}) // 40 devices of all groups
		}
	})
	return out
}

// result is what came of the queries of a trace.
type result struct {
	mu       sync.Mutex
	sent     int
	verdicts map[string]int  // as the oracle says
	alerts   map[string]bool // episodes that must be told of
	wrong    []string
}

// replay sends every query, each device's in order, and compares each answer with the oracle's verdict.
func replay(t *testing.T, b *box, o *oracle, queries []traced) *result {
	t.Helper()
	res := &result{verdicts: map[string]int{}, alerts: map[string]bool{}}
	byClient := map[int][]traced{}
	for _, q := range queries {
		byClient[q.client] = append(byClient[q.client], q)
	}
	work := make(chan []traced)
	var wg sync.WaitGroup
	for range 24 {
		wg.Go(func() {
			for list := range work {
				if err := replayDevice(b, o, list, res); err != nil {
					t.Errorf("device %d: %v", list[0].client, err)
				}
			}
		})
	}
	for _, list := range byClient {
		work <- list
	}
	close(work)
	wg.Wait()
	return res
}

func replayDevice(b *box, o *oracle, list []traced, res *result) error {
	local := &net.UDPAddr{IP: net.IPv4(127, 20, 0, byte(list[0].client))}
	conn, err := net.DialUDP("udp", local, net.UDPAddrFromAddrPort(b.dns))
	if err != nil {
		return err
	}
	defer conn.Close()
	buf := make([]byte, 4096)
	for _, q := range list {
		m := new(dns.Msg)
		m.SetQuestion(dns.Fqdn(q.name), q.qtype)
		m.SetEdns0(1232, false)
		req, err := m.Pack()
		if err != nil { // a name of the trace that is none
			continue
		}
		if err := conn.SetDeadline(time.Now().Add(15 * time.Second)); err != nil {
			return err
		}
		if _, err := conn.Write(req); err != nil {
			return err
		}
		n, err := conn.Read(buf)
		if err != nil {
			return fmt.Errorf("no answer to %s %s: %w", q.name, dns.Type(q.qtype), err)
		}
		var reply dns.Msg
		if err := reply.Unpack(buf[:n]); err != nil || reply.Id != m.Id {
			return fmt.Errorf("answer to %s: %w", q.name, err)
		}
		res.note(o, q, observed(&reply))
	}
	return nil
}

// observed tells the verdict from the answer alone.
func observed(reply *dns.Msg) string {
	if opt := reply.IsEdns0(); opt != nil {
		for _, e := range opt.Option {
			if e, ok := e.(*dns.EDNS0_EDE); ok && e.InfoCode == dns.ExtendedErrorCodeBlocked {
				return "blocked"
			}
		}
	}
	if len(reply.Answer) > 0 {
		if c, ok := reply.Answer[0].(*dns.CNAME); ok && regexp.MustCompile(`^(forcesafesearch|strict|safe|restrict|safesearch|strict-safe-search|familysearch|forcesafe)\.`).MatchString(c.Target) {
			return "rewritten"
		}
	}
	return "allowed"
}

func (r *result) note(o *oracle, q traced, got string) {
	want, category := o.judge(q.group(), q.name)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent++
	r.verdicts[want]++
	if got != want && len(r.wrong) < 20 {
		r.wrong = append(r.wrong, fmt.Sprintf("%s %s for %s: %s, the oracle says %s %s", q.name, dns.Type(q.qtype), q.group(), got, want, category))
	}
	switch {
	case want != "blocked":
	case category == "illegal":
		r.alerts[fmt.Sprintf("%d illegal", q.client)] = true
	case category == "hate":
		r.alerts[fmt.Sprintf("%d %s", q.client, domain.Name(strings.ToLower(strings.TrimSuffix(q.name, "."))).Site())] = true
	}
}

// TestEndToEnd runs a day of a school and a trace of a public resolver through the real program, with a million names on
// its lists, and holds answers, record, metrics, mail and report against each other and against an oracle.
func TestEndToEnd(t *testing.T) {
	data := sharedData(t)
	every := 1
	if testing.Short() {
		every = 20
	}
	internet, err := startInternet()
	if err != nil {
		t.Fatal(err)
	}
	defer internet.stop()
	mail, err := startMailSink()
	if err != nil {
		t.Fatal(err)
	}
	defer mail.stop()
	dir := t.TempDir()
	o := newOracle()
	text := fmt.Sprintf(e2eConfig, internet.addr, mail.addr.Port(), filepath.Join(dir, "var")) + e2eLists(t, data, o)
	b := launch(t, writeConfig(t, dir, text))
	b.until("the lists are compiled", func() bool { return strings.Contains(b.stderr.String(), "lists in force") })

	res := replay(t, b, o, readTraces(t, data, every))
	for _, w := range res.wrong {
		t.Error(w)
	}
	t.Logf("%d queries: %v; %d alerts expected", res.sent, res.verdicts, len(res.alerts))

	b.until("the metrics count every query", func() bool { return scrape(t, b)("schoolgate_queries_total") == res.sent })
	b.until("every row is written", func() bool { return scrape(t, b)("schoolgate_journal_written_rows_total") == res.sent })
	metric := scrape(t, b)
	if n := metric("schoolgate_journal_dropped_rows_total"); n != 0 {
		t.Errorf("%d rows dropped", n)
	}
	if n := metric("schoolgate_blocked_total"); n != res.verdicts["blocked"] {
		t.Errorf("metrics say %d blocked, the oracle %d", n, res.verdicts["blocked"])
	}
	b.until("an e-mail came for every episode", func() bool { return len(ofEpisodes(mail.received())) >= len(res.alerts) })
	checkMail(t, ofEpisodes(mail.received()), len(res.alerts))
	b.stop()
	checkRecord(t, b, res)
	checkReport(t, b, res)
}

// scrape gives the sum of all series of a metric.
func scrape(t testing.TB, b *box) func(name string) int {
	t.Helper()
	resp, err := http.Get(b.http + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return func(name string) (sum int) {
		for l := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(l, name); ok && (rest[0] == '{' || rest[0] == ' ') {
				v, err := strconv.ParseFloat(strings.TrimSpace(l[strings.LastIndexByte(strings.TrimSpace(l), ' '):]), 64)
				if err != nil {
					t.Fatalf("%q: %v", l, err)
				}
				sum += int(v)
			}
		}
		return sum
	}
}

// ofEpisodes leaves out what the box says of itself: on a slow machine a condition lasts long enough to be mailed, such as that
// nothing here is signed.
func ofEpisodes(letters []string) []string {
	return slices.DeleteFunc(slices.Clone(letters), func(l string) bool { return strings.Contains(l, ": the box, ") })
}

func checkMail(t *testing.T, letters []string, want int) {
	t.Helper()
	if len(letters) != want {
		t.Errorf("%d e-mails for %d episodes", len(letters), want)
	}
	ids := map[string]bool{}
	for _, l := range letters {
		id := regexp.MustCompile(`(?mi)^Message-Id: (.*)$`).FindStringSubmatch(l)
		if id == nil || ids[id[1]] {
			t.Errorf("an e-mail twice, or without an id: %v", id)
			continue
		}
		ids[id[1]] = true
		if strings.Contains(l, "127.20.0.") {
			t.Errorf("an e-mail names a device:\n%s", l)
		}
	}
}

// checkRecord counts the rows through the command line.
func checkRecord(t *testing.T, b *box, res *result) {
	t.Helper()
	counted := map[string]int{}
	for l := range strings.Lines(b.schoolgate("log", "--format", "json", "--limit", "0")) {
		var row struct{ Verdict, Name, Rule string }
		if err := json.Unmarshal([]byte(l), &row); err != nil {
			t.Fatal(err)
		}
		counted[row.Verdict]++
		if row.Rule == "illegal" && !strings.Contains(row.Name, "withheld") {
			t.Fatalf("the record names an entry of the illegal tier: %s", row.Name)
		}
	}
	total := 0
	for v, n := range counted {
		total += n
		if n != res.verdicts[v] {
			t.Errorf("the record has %d %s, the oracle %d", n, v, res.verdicts[v])
		}
	}
	if total != res.sent {
		t.Errorf("%d rows for %d queries", total, res.sent)
	}
}

// checkReport compares the report's totals with the record's.
func checkReport(t *testing.T, b *box, res *result) {
	t.Helper()
	now := time.Now()
	out := b.schoolgate("report", "--from", now.AddDate(0, 0, -1).Format(time.DateOnly), "--to", now.AddDate(0, 0, 1).Format(time.DateOnly), "--json")
	var got struct {
		HTML   string `json:"html"`
		Totals struct {
			Requests, Refused, Steered int
		} `json:"totals"`
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if got.Totals.Requests != res.sent || got.Totals.Refused != res.verdicts["blocked"] || got.Totals.Steered != res.verdicts["rewritten"] {
		t.Errorf("the report's totals %+v, the oracle's %d and %v", got.Totals, res.sent, res.verdicts)
	}
	page, err := os.ReadFile(got.HTML)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(page), "22eiz.test") {
		t.Error("the report names an entry of the illegal tier")
	}
}
