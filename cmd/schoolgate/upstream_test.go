package main

import (
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"schoolgate/resolver/query"
)

// TestBlockedUpstream: what the upstream refuses by a filter of its own is told apart from what the box refuses, wherever
// somebody would look.
func TestBlockedUpstream(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := school{store: `flush = "100ms"`, alerts: `categories = ["hate", "blocked-upstream"]`, upstream: serveDNS(t, func(w dns.ResponseWriter, r *dns.Msg) {
		switch name := r.Question[0].Name; {
		case strings.EqualFold(name, "told.example."):
			m := new(dns.Msg).SetRcode(r, dns.RcodeNameError)
			m.SetEdns0(1232, false)
			m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeFiltered}}
			_ = w.WriteMsg(m)
		case strings.EqualFold(name, "page.example."):
			m := new(dns.Msg).SetReply(r)
			a, _ := dns.NewRR(name + " 3600 IN A 203.0.113.80")
			m.Answer = []dns.RR{a}
			_ = w.WriteMsg(m)
		default:
			answerAnything(w, r)
		}
	})}
	text := strings.Replace(s.toml(dir), "timeout = \"1s\"", "timeout = \"1s\"\nblocked_answers = [\"203.0.113.80\"]", 1)
	b := startBox(t, writeConfig(t, dir, text))
	for _, name := range []string{"told.example", "page.example"} {
		for range 2 { // the second is from the cache
			reply := b.ask("127.30.0.1", name, dns.TypeA)
			if code, words := reasonOf(reply); reply.Rcode != dns.RcodeNameError || len(reply.Answer) != 0 || code != int(dns.ExtendedErrorCodeFiltered) || !strings.Contains(words, "upstream") {
				t.Errorf("%s: %v", name, reply)
			}
		}
	}
	if got := verdictOf(b.ask("127.30.0.1", "meadow.example", dns.TypeA)); got != "allowed" {
		t.Errorf("meadow.example is %s", got)
	}
	metrics, _ := b.page("/metrics")
	if want := `schoolgate_blocked_total{category="blocked-upstream",group="children"} 4`; !strings.Contains(metrics, want) {
		t.Errorf("the metrics lack %s", want)
	}
	b.until("an alert is made of each", func() bool { return strings.Count(b.schoolgate("alerts"), "blocked-upstream") >= 2 })
	b.stop()
	for _, row := range b.rows() {
		if blocked := row.Name != "meadow.example"; blocked != (row.Rule == query.BlockedUpstream) || blocked != (row.List == "127.0.0.1") || blocked != (row.Action == query.Block) {
			t.Errorf("row %+v", row)
		}
	}
	if out := b.schoolgate("log", "--name", "told.example"); !strings.Contains(out, "blocked-upstream") || !strings.Contains(out, "127.0.0.1") {
		t.Errorf("the log says %s", out)
	}
	b.schoolgate("report", "--from", "yesterday", "--to", "today", "--out", filepath.Join(dir, "out"))
	pages, _ := filepath.Glob(filepath.Join(dir, "out", "*.html"))
	if len(pages) != 1 || !strings.Contains(readFile(t, pages[0]), "Blocked upstream") {
		t.Errorf("the review says nothing of it: %v", pages)
	}
}

// zones remembers the names that a server is asked for.
type zones struct {
	mu    sync.Mutex
	names []string
}

func (a *zones) serve(t *testing.T, answers ...string) string {
	t.Helper()
	return serveDNS(t, func(w dns.ResponseWriter, r *dns.Msg) {
		name := strings.ToLower(r.Question[0].Name)
		a.mu.Lock()
		a.names = append(a.names, name)
		a.mu.Unlock()
		m := new(dns.Msg).SetReply(r)
		m.Rcode = dns.RcodeNameError
		for _, text := range answers {
			rr, err := dns.NewRR(text)
			if err != nil {
				panic(err)
			}
			if rr.Header().Name == name && rr.Header().Rrtype == r.Question[0].Qtype {
				rr.Header().Name = r.Question[0].Name
				m.Rcode, m.Answer = dns.RcodeSuccess, append(m.Answer, rr)
			}
		}
		_ = w.WriteMsg(m)
	})
}

func (a *zones) has(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Contains(a.names, name)
}

// TestForward: the school's own zones are asked of the router and of nobody else, may have addresses of the local network,
// and follow a reload; when the router is away the box says so.
func TestForward(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var internet, lan zones
	s := school{upstream: internet.serve(t, "www.example. 60 IN A 198.51.100.1", "printer.lan. 60 IN A 198.51.100.66")}
	b := startBox(t, s.write(t, dir))
	ask := func(name string, qtype uint16) string {
		t.Helper()
		reply := b.ask("127.30.0.1", name, qtype)
		if len(reply.Answer) == 0 {
			return dns.RcodeToString[reply.Rcode]
		}
		_, data, _ := strings.Cut(reply.Answer[0].String(), "\tIN\t")
		return data
	}
	if got := ask("box.home.arpa", dns.TypeA); got != "NXDOMAIN" || internet.has("box.home.arpa.") {
		t.Errorf("box.home.arpa is %s", got)
	}
	router := lan.serve(t, "printer.lan. 60 IN A 192.168.1.7", "box.home.arpa. 60 IN A 192.168.1.8", "7.1.168.192.in-addr.arpa. 60 IN PTR printer.lan.")
	s.more = "[[forward]]\nname = \"router\"\nzones = [\"lan\", \"home.arpa\", \"192.168.1.0/24\"]\nservers = [\"" + router + "\"]\ntimeout = \"200ms\"\n"
	s.write(t, dir)
	b.reload(taken)
	for _, tt := range []struct {
		name  string
		qtype uint16
		want  string
	}{
		{"printer.lan", dns.TypeA, "A\t192.168.1.7"},
		{"Printer.LAN", dns.TypeA, "A\t192.168.1.7"},
		{"box.home.arpa", dns.TypeA, "A\t192.168.1.8"},
		{"7.1.168.192.in-addr.arpa", dns.TypePTR, "PTR\tprinter.lan."},
		{"nobody.lan", dns.TypeA, "NXDOMAIN"},
		{"www.example", dns.TypeA, "A\t198.51.100.1"},
		{"7.2.168.192.in-addr.arpa", dns.TypePTR, "NXDOMAIN"},
	} {
		if got := ask(tt.name, tt.qtype); got != tt.want {
			t.Errorf("%s is %s, want %s", tt.name, got, tt.want)
		}
	}
	explained := b.schoolgate("explain", "printer.lan")
	for _, want := range []string{"no rule refuses it", "asked of the servers of the forwarding router alone"} {
		if !strings.Contains(explained, want) {
			t.Errorf("printer.lan is not explained by %q:\n%s", want, explained)
		}
	}
	s.more = strings.Replace(s.more, router, "udp://"+deadAddr(t), 1)
	s.write(t, dir)
	b.reload(taken)
	for _, name := range []string{"away1.lan", "away2.lan", "away3.lan"} {
		if got := ask(name, dns.TypeA); got != "SERVFAIL" {
			t.Errorf("%s is %s", name, got)
		}
	}
	b.until("the box says that the router is away", func() bool { _, ok := b.conditions()["upstream.forward"]; return ok })
	if _, ok := b.conditions()["upstream.degraded"]; ok {
		t.Error("the upstreams are blamed")
	}
	for _, name := range internet.names {
		if strings.HasSuffix(name, ".lan.") || strings.HasSuffix(name, ".arpa.") {
			t.Errorf("%s was asked of the upstream", name)
		}
	}
}

// TestDNSSECOfStripped: where signatures do not come through, the command says that nothing is refused for their lack.
func TestDNSSECOfStripped(t *testing.T) {
	t.Parallel()
	b := startBox(t, school{upstream: new(zones).serve(t, "www.example. 60 IN A 198.51.100.1")}.write(t, t.TempDir()))
	if reply := b.ask("127.30.0.1", "www.example", dns.TypeA); len(reply.Answer) != 1 {
		t.Errorf("the box answers %v", reply)
	}
	const want = "Devices get the answer all the same, since DNSSEC does not come through from upstream"
	if got := b.schoolgate("dnssec", "www.example"); !strings.Contains(got, "BOGUS") || !strings.Contains(got, want) {
		t.Errorf("schoolgate dnssec says\n%s", got)
	}
}

// TestUpstreamThatSendsBack: a router that is told to use the box, which is told to use the router.
func TestUpstreamThatSendsBack(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var box string
	relay := serveDNS(t, func(w dns.ResponseWriter, r *dns.Msg) {
		mu.Lock()
		to := box
		mu.Unlock()
		c := dns.Client{Timeout: 3 * time.Second, Dialer: &net.Dialer{LocalAddr: &net.UDPAddr{IP: net.IPv4(127, 30, 0, 9)}}}
		if reply, _, err := c.Exchange(r, to); err == nil {
			_ = w.WriteMsg(reply)
		}
	})
	b := startBox(t, school{upstream: relay}.write(t, t.TempDir()))
	mu.Lock()
	box = b.dns.String()
	mu.Unlock()
	for _, name := range []string{"a.example", "b.example", "c.example"} {
		if reply := b.ask("127.30.0.1", name, dns.TypeA); reply.Rcode != dns.RcodeServerFailure {
			t.Errorf("%s: %v", name, reply)
		}
	}
	b.until("the box says that there is a loop", func() bool { _, ok := b.conditions()["upstream.loop"]; return ok })
}
