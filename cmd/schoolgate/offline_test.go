package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/miekg/dns"
)

// TestNoUpstream takes the Internet away, or never had it: what is blocked stays blocked, everything else is told why it
// does not resolve, and the box says what is the matter.
func TestNoUpstream(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, upstream, code, text string
		ede                        int
	}{
		{"none", "", "upstream.none", "no upstream server is configured", int(dns.ExtendedErrorCodeNotReady)},
		{"dead", "udp://" + deadAddr(t), "upstream.down", "no upstream server answers", int(dns.ExtendedErrorCodeNetworkError)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := startBox(t, school{upstream: c.upstream}.write(t, t.TempDir()))
			for i := range 3 {
				reply := b.ask("127.30.0.1", fmt.Sprintf("lesson%d.example", i), dns.TypeA) // the same one would not be asked for again so soon
				if code, text := reasonOf(reply); reply.Rcode != dns.RcodeServerFailure || code != c.ede || !strings.Contains(text, c.text) {
					t.Errorf("lesson.example: %s, reason %d %q", dns.RcodeToString[reply.Rcode], code, text)
				}
				if got := verdictOf(b.ask("127.30.0.1", "roblox.com", dns.TypeA)); got != "blocked" {
					t.Errorf("roblox.com is %s", got)
				}
			}
			if got := verdictOf(b.ask("127.30.0.1", "localhost", dns.TypeA)); got != "allowed" {
				t.Errorf("localhost is %s", got)
			}
			b.until("the box says "+c.code, func() bool { _, ok := b.conditions()[c.code]; return ok })
			if _, status := b.page("/readyz"); status != http.StatusOK {
				t.Errorf("/readyz is %d: the filter works, whatever the upstream does", status)
			}
			b.stop()
			if n := len(b.rows()); n != 7 {
				t.Errorf("%d rows for 7 queries", n)
			}
		})
	}
}

// TestStale loses the upstream after it has answered: the earlier answer is better than none (RFC 8767), but a name that
// was blocked meanwhile is not.
func TestStale(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	short := func(w dns.ResponseWriter, req *dns.Msg) {
		m := new(dns.Msg).SetReply(req)
		rr, _ := dns.NewRR(req.Question[0].Name + " 1 IN A 198.51.100.7")
		m.Answer = append(m.Answer, rr)
		_ = w.WriteMsg(m) // who asked asks again
	}
	s := school{upstream: serveDNS(t, short)}
	b := startBox(t, s.write(t, dir))
	for _, name := range []string{"lesson.example", "meadow.example"} {
		b.ask("127.30.0.1", name, dns.TypeA)
	}
	s.upstream, s.policy = "udp://"+deadAddr(t), `block = ["meadow.example"]`
	s.write(t, dir)
	b.reload(taken)
	b.until("the answer is an earlier one", func() bool {
		reply := b.ask("127.30.0.1", "lesson.example", dns.TypeA)
		if reply.Rcode != dns.RcodeSuccess || len(reply.Answer) != 1 {
			t.Fatalf("without an upstream lesson.example is %v", reply)
		}
		code, _ := reasonOf(reply)
		return code == int(dns.ExtendedErrorCodeStaleAnswer)
	})
	if got := verdictOf(b.ask("127.30.0.1", "meadow.example", dns.TypeA)); got != "blocked" {
		t.Errorf("meadow.example is %s from the past", got)
	}
}

// TestDiskFull fills the disk: answering goes on, the box says what is the matter, and when there is room again the rows
// that waited are written.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("skipped: only root may mount a small file system to fill")
	}
	dir := t.TempDir()
	disk := filepath.Join(dir, "var")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("none", disk, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("skipped: mounting a small file system: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	b := startBox(t, school{store: `flush = "100ms"`}.write(t, dir))
	b.ask("127.30.0.1", "before.example", dns.TypeA)
	b.until("a row is written", func() bool { return scrape(t, b)("schoolgate_journal_written_rows_total") >= 1 })
	if found := recordTrouble(b.conditions()); found != "" {
		t.Errorf("%s before the disk was full", found)
	}

	ballast := filepath.Join(disk, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 4096))
	}
	_ = f.Close()
	asked := 1
	b.until("the box says that the record cannot be written", func() bool {
		for range 50 {
			asked++
			if got := verdictOf(b.ask("127.30.0.1", fmt.Sprintf("full%d-%s.roblox.com", asked, strings.Repeat("x", 40)), dns.TypeA)); got != "blocked" {
				t.Fatalf("with a full disk, roblox.com is %s", got)
			}
		}
		return recordTrouble(b.conditions()) != ""
	})
	if _, status := b.page("/readyz"); status != http.StatusOK {
		t.Errorf("/readyz is %d with a full disk", status)
	}
	b.signal(syscall.SIGHUP) // whatever comes of it: it must not stop the box
	b.until("the configuration is read", func() bool { return strings.Contains(b.stderr.String(), taken) })
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	b.until("the rows that waited are written", func() bool {
		return scrape(t, b)("schoolgate_journal_written_rows_total") == asked && recordTrouble(b.conditions()) == ""
	})
	b.stop()
	if n := len(b.rows()); n != asked {
		t.Errorf("%d rows for %d queries", n, asked)
	}
}

// recordTrouble is a condition of the record that cannot be written, "" when there is none.
func recordTrouble(conditions map[string]string) string {
	for _, code := range []string{"record.full", "record.failing", "record.dropped"} {
		if _, ok := conditions[code]; ok {
			return code
		}
	}
	return ""
}

// TestCannotStart tries what cannot be: it ends at once, and says what is in the way and what to do.
func TestCannotStart(t *testing.T) {
	t.Parallel()
	first := startBox(t, school{}.write(t, t.TempDir()))
	taken := func(network string) string {
		if network == "dns" {
			return first.dns.String()
		}
		return strings.TrimPrefix(first.http, "http://")
	}
	other := func(s school) string { return s.write(t, t.TempDir()) }
	beside := func(text string) string {
		path := filepath.Join(t.TempDir(), "schoolgate.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, config, what, hint string }{
		{"a second one on the same record", beside(school{}.toml(filepath.Dir(first.config))), "an appliance already runs on", "stop the other one first"},
		{"the DNS port is taken", other(school{dns: taken("dns")}), "address already in use", "another program already answers on port"},
		{"the HTTP port is taken", other(school{http: taken("http")}), "address already in use", "http.listen"},
		{"an address of another machine", other(school{dns: "192.0.2.1:5353"}), "192.0.2.1:5353", "no interface of this machine has that address"},
		{"the state cannot be kept", beside(school{}.toml(file)), "not a directory", "store.path"},
	} {
		_, stderr, code := invoke(t, filepath.Dir(c.config), "run", "--config", c.config)
		if code != exitFailed || !strings.Contains(stderr, c.what) || !regexp.MustCompile(`(?m)^hint: .*`+regexp.QuoteMeta(c.hint)).MatchString(stderr) {
			t.Errorf("%s: exit %d, says %s", c.name, code, stderr)
		}
	}
	if got := verdictOf(first.ask("127.30.0.1", "roblox.com", dns.TypeA)); got != "blocked" {
		t.Errorf("the first one says that roblox.com is %s", got)
	}
	first.stop()
}

// TestPages reads what watches the box reads.
func TestPages(t *testing.T) {
	t.Parallel()
	b := startBox(t, school{upstream: serveDNS(t, answerAnything)}.write(t, t.TempDir()))
	for _, name := range []string{"lesson.example", "lesson.example", "roblox.com", "www.google.com", "cdn.clipart.example"} {
		b.ask("127.30.0.1", name, dns.TypeA)
		b.ask("127.31.0.1", name, dns.TypeAAAA)
	}
	if text, status := b.page("/readyz"); status != http.StatusOK || !strings.Contains(text, `"status": "ready"`) {
		t.Errorf("/readyz is %d: %s", status, text)
	}
	if _, status := b.page("/"); status != http.StatusNotFound {
		t.Errorf("/ is %d", status)
	}
	if _, status := b.page("/metrics"); status != http.StatusOK {
		t.Fatalf("/metrics is %d", status)
	}
	b.until("every query is counted", func() bool { return scrape(t, b)("schoolgate_queries_total") == 10 })
	text, _ := b.page("/metrics")
	for _, want := range []string{
		`schoolgate_blocked_total{category="gaming",group="children"} 1`,
		`schoolgate_queries_total{group="staff",proto="udp",source="cache",verdict="allowed"}`,
		`schoolgate_config_last_reload_successful 1`,
		`schoolgate_upstream_up{`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("/metrics does not say %s", want)
		}
	}
	cmd := exec.Command(tool(t, "promtool", "prometheus"), "check", "metrics")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}
