package main

import (
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// TestLocalNames: names of the network over UDP and TCP, for dig too; a reload changes them at once, and nothing of them is
// asked of the upstream.
func TestLocalNames(t *testing.T) {
	t.Parallel()
	dig := tool(t, "dig", "bind9-dnsutils")
	var mu sync.Mutex
	asked := map[string]bool{}
	s := school{
		upstream: serveDNS(t, func(w dns.ResponseWriter, req *dns.Msg) {
			mu.Lock()
			asked[strings.ToLower(req.Question[0].Name)] = true
			mu.Unlock()
			answerAnything(w, req)
		}),
		children: "safe_search = true\nyoutube = \"blocked\"",
		more: `[local]
domain = "school.home.arpa"
name = "gate.school.home.arpa"
[[local.records]]
name = "printer.school.home.arpa"
addresses = ["192.0.2.10"]
[[local.records]]
name = "mis.school.example"
addresses = ["192.0.2.40"]
groups = ["staff"]
[[devices]]
name = "Hall projector"
ip = "192.168.7.31"
`,
	}
	dir := t.TempDir()
	b := startBox(t, s.write(t, dir))
	short := func(args string) string {
		t.Helper()
		all := append([]string{"+short", "+time=5", "+tries=1", "-p", strconv.Itoa(int(b.dns.Port())), "@127.0.0.1"}, strings.Fields(args)...)
		out, err := exec.Command(dig, all...).Output()
		if err != nil {
			t.Errorf("dig %s: %v", args, err)
		}
		return strings.Join(strings.Fields(string(out)), " ")
	}
	want := func(args, want string) {
		t.Helper()
		if got := short(args); got != want {
			t.Errorf("dig %s: %q, want %q", args, got, want)
		}
	}
	for _, transport := range []string{"", " +tcp"} {
		want("gate.school.home.arpa"+transport, "127.0.0.1")
		want("gate"+transport, "127.0.0.1")
		want("printer"+transport, "192.0.2.10")
		want("hall-projector.school.home.arpa"+transport, "192.168.7.31")
		want("-x 192.168.7.31"+transport, "hall-projector.school.home.arpa.")
		want("-x 192.0.2.10"+transport, "printer.school.home.arpa.")
		want("-x 192.168.7.32"+transport, "")
		want("nothere.school.home.arpa"+transport, "")
		want("AAAA printer.school.home.arpa"+transport, "")
	}
	want("-b 127.31.0.1 mis.school.example", "192.0.2.40")
	if got := short("-b 127.30.0.1 mis.school.example"); got == "" || got == "192.0.2.40" {
		t.Errorf("the children's view: %q", got)
	}
	s.more = strings.ReplaceAll(s.more, `"192.0.2.10"`, `"192.0.2.11", "2001:db8::11"`)
	s.write(t, dir)
	b.reload(taken)
	want("printer", "192.0.2.11")
	want("AAAA printer.school.home.arpa", "2001:db8::11")
	if got := verdictOf(b.ask("127.30.0.1", "youtu.be", dns.TypeA)); got != "blocked" {
		t.Errorf("youtu.be is %s", got)
	}
	if got := b.schoolgate("explain", "--config", b.config, "printer.school.home.arpa"); !strings.Contains(got, "answered here, whatever lists") || !strings.Contains(got, "It is a name of this network") || strings.Contains(got, "To block it") {
		t.Errorf("explain: %s", got)
	}
	b.stop()
	if got := b.schoolgate("log", "--config", b.config); !strings.Contains(got, "local") {
		t.Errorf("the log does not say that names were answered here:\n%s", got)
	}
	mu.Lock()
	defer mu.Unlock()
	for name := range asked {
		if strings.HasSuffix(name, ".home.arpa.") || strings.HasSuffix(name, "168.192.in-addr.arpa.") || dns.CountLabel(name) == 1 {
			t.Errorf("the upstream was asked for %s", name)
		}
	}
}
