package main

import (
	"fmt"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"
)

// TestNothingPersonal asks for names that are like no other, in every way that may go wrong, and looks for them where they
// must not be: the log of the process, the metrics, the pages of health, the e-mail. The record alone may hold them.
func TestNothingPersonal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	sink, err := startMailSink()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sink.stop)
	s := school{
		upstream: serveDNS(t, crooked), store: `flush = "100ms"`,
		alerts: fmt.Sprintf("categories = [\"gaming\", \"pornography\"]\ndsl = [\"dsl@school.example\"]\n[alerts.smtp]\nhost = \"127.0.0.1\"\nport = %d\ntls = \"none\"\nfrom = \"box@school.example\"", sink.addr.Port()),
		more:   "[[devices]]\nname = \"zebraphone\"\nip = \"127.30.77.78\"\n",
	}
	b := startBox(t, s.write(t, dir), "--log", "json")
	names := []string{
		"zebrafish.lesson.example", "zebrafish.roblox.com", "zebrafish.pornhub.com", "cdn.zebrafish.example", "refused.zebrafish.example",
		"servfail.zebrafish.example", "garbage.zebrafish.example", "silent.zebrafish.example", "other.zebrafish.example", "zebrafish.local",
	}
	ask := func() map[string]string {
		var wg sync.WaitGroup
		got := make([]string, len(names))
		for i, name := range names {
			wg.Go(func() {
				b.ask("127.30.77.79", name, dns.TypeAAAA)
				got[i] = verdictOf(b.ask("127.30.77.78", name, dns.TypeA))
			})
		}
		wg.Wait()
		out := map[string]string{}
		for i, name := range names {
			out[name] = got[i]
		}
		return out
	}
	got := ask()
	for name, want := range map[string]string{"zebrafish.lesson.example": "allowed", "cdn.zebrafish.example": "blocked", "silent.zebrafish.example": "SERVFAIL"} {
		if got[name] != want {
			t.Errorf("%s is %s, wants %s", name, got[name], want)
		}
	}
	b.mangled("127.30.77.78", "zebrafish.mangled.example")
	s.upstream = "udp://" + deadAddr(t)
	s.write(t, dir)
	b.reload(taken)
	ask()
	good := s
	for _, wrong := range []string{"zebra crossing", `blok = ["zebra.example"]`, `block = ["zebra!"]`, "[[devices]]\nname = \"zebraphone\"\n[policy.x]"} {
		s.policy = wrong
		s.write(t, dir)
		b.reload("the configuration is refused")
	}
	s = good
	s.more += "[[devices]]\nname = \"zebraphone\"\nip = \"127.30.77.79\"\n"
	s.write(t, dir)
	b.reload("the configuration is refused")
	b.until("the mail came", func() bool { return len(sink.received()) >= 2 })
	metrics, _ := b.page("/metrics")
	health, _ := b.page("/healthz")
	ready, _ := b.page("/readyz")
	b.stop()
	s = good
	again := startBox(t, s.write(t, dir), "--log", "json")
	again.stop()

	private := regexp.MustCompile(`(?i)zebra|127\.30\.77|mangled`)
	for where, text := range map[string]string{
		"the log of the process": b.stderr.String() + again.stderr.String(), "what it says on the terminal": b.stdout.String(),
		"/metrics": metrics, "/healthz": health, "/readyz": ready, "the e-mail": strings.Join(sink.received(), "\n"),
	} {
		if found := private.FindString(text); found != "" {
			t.Errorf("%s holds %q:\n%s", where, found, last(text, 3000))
		}
	}
	kept := map[string]int{}
	for _, r := range b.rows() {
		kept[r.Name]++
	}
	for _, name := range names {
		if kept[name] != 4 {
			t.Errorf("%d rows of %s, wants 4", kept[name], name)
		}
	}
}

// crooked is an upstream that does all that one should not.
func crooked(w dns.ResponseWriter, req *dns.Msg) {
	m := new(dns.Msg).SetReply(req)
	switch kind, _, _ := strings.Cut(strings.ToLower(req.Question[0].Name), "."); kind {
	case "refused":
		m.Rcode = dns.RcodeRefused
	case "servfail":
		m.Rcode = dns.RcodeServerFailure
	case "other":
		m.Question[0].Name = "zebrafinch.example."
	case "silent":
		return
	case "garbage":
		out, _ := m.Pack()
		_, _ = w.Write(append(out[:12], "\xc0\xff\xc0\xff\xc0"...))
		return
	default:
		answerAnything(w, req)
		return
	}
	_ = w.WriteMsg(m) // who asked asks again
}

// mangled sends requests for a name that are none: cut short, and with bytes after the end.
func (b *box) mangled(from, name string) {
	b.t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), dns.TypeA)
	req, err := m.Pack()
	if err != nil {
		b.t.Fatal(err)
	}
	conn, err := net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP(from)}, net.UDPAddrFromAddrPort(b.dns))
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close()
	for i := 1; i < len(req); i++ {
		_, _ = conn.Write(req[:i])
	}
	_, _ = conn.Write(append(req, "zebra"...))
}
