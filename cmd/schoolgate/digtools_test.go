package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// zone is an upstream for the tools of three other makers: what it gives is more than what a simple client asks for.
func zone(w dns.ResponseWriter, req *dns.Msg) {
	q := req.Question[0]
	m := new(dns.Msg).SetReply(req)
	m.RecursionAvailable = true
	add := func(text string) {
		rr, err := dns.NewRR(text)
		if err != nil {
			panic(err)
		}
		rr.Header().Name = q.Name
		m.Answer = append(m.Answer, rr)
	}
	name := strings.ToLower(q.Name)
	switch {
	case name == "large.example." && q.Qtype == dns.TypeA:
		for i := range 60 {
			add(fmt.Sprintf("x. 300 IN A 198.51.100.%d", i+1))
		}
	case name == "large.example." && q.Qtype == dns.TypeTXT:
		for i := range 40 {
			add(fmt.Sprintf("x. 300 IN TXT \"%d %s\"", i, strings.Repeat("leaf ", 40)))
		}
	case q.Qtype == dns.TypeHTTPS:
		add(`x. 300 IN HTTPS 1 . alpn="h2,h3" ipv4hint="198.51.100.1"`)
	case name == "signed.example." && q.Qtype == dns.TypeA:
		add("x. 300 IN A 198.51.100.9")
		if opt := req.IsEdns0(); opt != nil && opt.Do() {
			add("x. 300 IN RRSIG A 13 2 300 20300101000000 20200101000000 12345 signed.example. AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==")
		}
	default:
		answerAnything(w, req)
		return
	}
	if opt := req.IsEdns0(); opt != nil {
		m.SetEdns0(1232, opt.Do())
	}
	if _, tcp := w.RemoteAddr().(*net.TCPAddr); !tcp {
		m.Truncate(1232)
	}
	_ = w.WriteMsg(m) // who asked asks again
}

// complaint is what the tools say of an answer that they find something wrong with.
var complaint = regexp.MustCompile(`(?i)malformed|warning|extra bytes|trailing|bad packet|mismatch|unexpected|no servers could be reached|error:|timed out`)

// cut is how kdig and drill tell of an answer with TC.
var cut = regexp.MustCompile(`;; WARNING: (truncated reply|The answer packet was truncated)`)

// longName is as long as a name may be: 253 characters, with labels of 63.
var longName = strings.Repeat("a", 63) + "." + strings.Repeat("b", 63) + "." + strings.Repeat("c", 63) + "." + strings.Repeat("d", 53) + ".example"

// question is what one of the tools is asked to do.
type question struct {
	args string
	want string // pattern of what it shows, spaces for any space
}

const (
	isBlocked  = `status: NXDOMAIN;?[^\0]*EDE: 15 \(Blocked\): \(?'?Schoolgate: blocked by the school's filter \(gaming\)`
	isAnswered = `status: NOERROR`
)

func digQuestions() []question {
	return []question{
		{"roblox.com", isBlocked},
		{"+tcp roblox.com", isBlocked},
		{"+dnssec roblox.com AAAA", `flags: do;[^\0]*`},
		{"+dnssec roblox.com AAAA", isBlocked},
		{"+nocookie roblox.com", isBlocked},
		{"+cookie=0011223344556677 roblox.com", isBlocked},
		{"+noedns roblox.com", `status: NXDOMAIN[^\0]*ADDITIONAL: 0`},
		{"+bufsize=512 roblox.com", isBlocked},
		{"roblox.com HTTPS", isBlocked},
		{"roblox.com ANY", isBlocked},
		{"RoBlOx.CoM", isBlocked},
		{"+padding=128 +tcp roblox.com", isBlocked},
		{"+keepalive +tcp roblox.com", isBlocked},
		{"+subnet=192.0.2.0/24 roblox.com", isBlocked},
		{"+ednsopt=65001:020000005301 roblox.com", isBlocked},
		{"+cdflag +adflag roblox.com", `flags: qr rd ra cd;`},
		{"roblox.com TYPE65432", isBlocked},
		{"lesson.example", isAnswered + `[^\0]*lesson\.example\. \d+ IN A 198\.51\.100\.`},
		{"+tcp lesson.example", isAnswered},
		{"lesson.example AAAA", isAnswered + `[^\0]*IN AAAA 2001:db8::`},
		{"lesson.example HTTPS", isAnswered + `[^\0]*IN HTTPS 1 \. alpn="h2,h3"`},
		{"lesson.example ANY", isAnswered + `[^\0]*HINFO "RFC8482"`},
		{"+dnssec signed.example", isAnswered + `[^\0]*RRSIG A 13 2`},
		{"+edns=5 lesson.example", `BADVERS, retrying with EDNS version 0[^\0]*` + isAnswered},
		{"+bufsize=512 large.example", `retrying in TCP mode[^\0]*ANSWER: 60`},
		{"+bufsize=512 +ignore large.example", `flags: qr tc rd ra;`},
		{"+noedns +ignore large.example", `flags: qr tc rd ra;`},
		{"+bufsize=4096 large.example TXT", `retrying in TCP mode[^\0]*ANSWER: 40`},
		{"+tcp large.example TXT", `flags: qr rd ra;[^\0]*ANSWER: 40`},
		{"version.bind CH TXT", `status: REFUSED`},
		{"-x 192.168.1.1", `status: NXDOMAIN`},
		{"+norecurse lesson.example", isAnswered},
		{"xn--bcher-kva.example", isAnswered},
		{"bücher.example", isAnswered},
		{longName, isAnswered},
		{"+tcp " + longName, isAnswered},
		{"_dns.resolver.arpa SVCB", `ANSWER: 0`},
		{"use-application-dns.net", `status: NXDOMAIN`},
		{". NS", `status: `},
	}
}

func kdigQuestions() []question {
	return []question{
		{"roblox.com", isBlocked},
		{"+tcp roblox.com", isBlocked},
		{"+dnssec roblox.com AAAA", isBlocked},
		{"+cookie roblox.com", isBlocked},
		{"+nocookie roblox.com", isBlocked},
		{"+noedns roblox.com", `status: NXDOMAIN`},
		{"+bufsize=512 large.example", `ANSWER: 60`},
		{"+ignore +bufsize=512 large.example", `Flags: qr tc rd ra;`},
		{"+tcp +keepopen lesson.example lesson2.example", `lesson\.example\. \d+ IN A[^\0]*lesson2\.example\. \d+ IN A`},
		{"+padding=128 +tcp roblox.com", isBlocked},
		{"lesson.example HTTPS", isAnswered + `[^\0]*HTTPS 1 \. alpn=h2,h3`},
		{"+dnssec signed.example", isAnswered + `[^\0]*RRSIG A 13 2`},
		{"lesson.example ANY", isAnswered + `[^\0]*HINFO`},
		{"version.bind CH TXT", `status: REFUSED`},
		{"bücher.example", isAnswered},
		{longName, isAnswered},
	}
}

func drillQuestions() []question {
	return []question{
		{"roblox.com", `rcode: NXDOMAIN`},
		{"-t roblox.com", `rcode: NXDOMAIN`},
		{"-D roblox.com AAAA", `rcode: NXDOMAIN`},
		{"-b 512 -D large.example", `flags: qr tc rd ra ;[^\0]*ANSWER: 0`},
		{"-t large.example TXT", `ANSWER: 40`},
		{"-a large.example", `ANSWER: 60`},
		{"lesson.example AAAA", `rcode: NOERROR[^\0]*AAAA 2001:db8::`},
		{"lesson.example ANY", `rcode: NOERROR`},
		{"version.bind CH TXT", `rcode: REFUSED`},
		{"-D signed.example", `rcode: NOERROR[^\0]*RRSIG A 13 2`},
		{longName, `rcode: NOERROR`},
	}
}

// TestDigTools lets dig, kdig and drill ask: three readers of answers that know nothing of each other or of this program.
func TestDigTools(t *testing.T) {
	t.Parallel()
	b := startBox(t, school{upstream: serveDNS(t, zone)}.write(t, t.TempDir()))
	port := strconv.Itoa(int(b.dns.Port()))
	for _, c := range []struct {
		tool, pkg string
		args      []string
		questions []question
	}{
		{"dig", "bind9-dnsutils", []string{"+time=5", "+tries=1", "-p", port, "@127.0.0.1"}, digQuestions()},
		{"kdig", "knot-dnsutils", []string{"+time=5", "+retry=0", "+edns", "-p", port, "@127.0.0.1"}, kdigQuestions()},
		{"drill", "ldnsutils", []string{"-p", port, "@127.0.0.1"}, drillQuestions()},
	} {
		t.Run(c.tool, func(t *testing.T) {
			path := tool(t, c.tool, c.pkg)
			for _, q := range c.questions {
				cmd := exec.Command(path, append(c.args[:len(c.args):len(c.args)], strings.Fields(q.args)...)...)
				cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "HOME="+t.TempDir())
				out, err := cmd.CombinedOutput()
				shown := cut.ReplaceAllString(string(out), "")
				shown = regexp.MustCompile(`[\t ]+`).ReplaceAllString(shown, " ")
				if err != nil || complaint.MatchString(shown) || !regexp.MustCompile(q.want).MatchString(shown) {
					t.Errorf("%s %s: %v, wants %s\n%s", c.tool, q.args, err, q.want, out)
				}
			}
		})
	}
}

// perf is what dnsperf reports.
type perf struct {
	text                  string
	sent, completed, lost int
}

// dnsperf asks half for blocked names, half for allowed ones, at so many queries a second.
func dnsperf(t *testing.T, b *box, rate, clients int, d time.Duration) perf {
	t.Helper()
	path := tool(t, "dnsperf", "dnsperf")
	var names strings.Builder
	for i := range 5000 {
		fmt.Fprintf(&names, "w%d.lesson.example A\nw%d.roblox.com AAAA\n", i, i)
	}
	file := filepath.Join(t.TempDir(), "names.txt")
	if err := os.WriteFile(file, []byte(names.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path, "-s", b.dns.Addr().String(), "-p", strconv.Itoa(int(b.dns.Port())), "-d", file, "-e", "-t", "10",
		"-c", strconv.Itoa(clients), "-Q", strconv.Itoa(rate), "-l", strconv.Itoa(int(d.Seconds()))).CombinedOutput()
	if err != nil {
		t.Fatalf("dnsperf: %v\n%s", err, out)
	}
	p := perf{text: string(out)}
	for key, n := range map[string]*int{"sent": &p.sent, "completed": &p.completed, "lost": &p.lost} {
		m := regexp.MustCompile(`Queries ` + key + `:\s+(\d+)`).FindStringSubmatch(p.text)
		if m == nil {
			t.Fatalf("dnsperf does not say how many queries were %s:\n%s", key, out)
		}
		*n, _ = strconv.Atoi(m[1])
	}
	return p
}

// TestDNSPerf asks 2,000 times a second: every query is answered, and every answer is in the record.
func TestDNSPerf(t *testing.T) {
	t.Parallel()
	b := startBox(t, school{upstream: serveDNS(t, answerAnything)}.write(t, t.TempDir()))
	p := dnsperf(t, b, 2000, 20, 3*time.Second)
	if p.lost != 0 || p.completed != p.sent || p.completed < 1000 {
		t.Errorf("of %d queries %d were answered and %d lost\n%s", p.sent, p.completed, p.lost, p.text)
	}
	b.stop()
	if n := len(b.rows()); n != p.completed {
		t.Errorf("%d rows for %d answers", n, p.completed)
	}
}

// TestLoad is the long way: what the box does at 20,000 queries a second for half a minute. It is for `make load`.
func TestLoad(t *testing.T) {
	if os.Getenv("SCHOOLGATE_LOAD") != "1" {
		t.Skip("skipped: a load of half a minute runs with SCHOOLGATE_LOAD=1")
	}
	b := startBox(t, school{upstream: serveDNS(t, answerAnything), store: `flush = "2s"`}.write(t, t.TempDir()))
	p := dnsperf(t, b, 20_000, 100, 30*time.Second)
	user, system, rss, peak := b.costs()
	metric := scrape(t, b)
	b.until("every row is written", func() bool { return scrape(t, b)("schoolgate_journal_queued_rows") == 0 })
	dropped := metric("schoolgate_journal_dropped_rows_total")
	b.stop()
	rows := len(b.rows())
	t.Logf("%s\nrows %d, rows dropped %d, queries dropped %d, CPU %v user and %v system, memory %d KB now and %d KB at most",
		p.text, rows, dropped, metric("schoolgate_listen_dropped_total"), user, system, rss, peak)
	if p.lost != 0 || dropped != 0 || rows != p.completed {
		t.Errorf("%d queries lost, %d rows dropped, %d rows for %d answers", p.lost, dropped, rows, p.completed)
	}
}

// costs reads what the process has used of the machine from /proc: CPU time, memory in KB.
func (b *box) costs() (user, system time.Duration, rss, peak int) {
	b.t.Helper()
	dir := "/proc/" + strconv.Itoa(b.cmd.Process.Pid)
	stat := readFile(b.t, dir+"/stat")
	f := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:]) // the third field of the file is the first here
	ticks := func(s string) time.Duration {
		n, err := strconv.Atoi(s)
		if err != nil {
			b.t.Fatal(err)
		}
		return time.Duration(n) * 10 * time.Millisecond // USER_HZ is 100 on every Linux that Go runs on
	}
	for key, n := range map[string]*int{"VmRSS": &rss, "VmHWM": &peak} {
		m := regexp.MustCompile(key + `:\s+(\d+) kB`).FindStringSubmatch(readFile(b.t, dir+"/status"))
		if m == nil {
			b.t.Fatalf("no %s in %s/status", key, dir)
		}
		*n, _ = strconv.Atoi(m[1])
	}
	return ticks(f[11]), ticks(f[12]), rss, peak
}
