package main

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// TestNamesThatHide asks a running box, over sockets, for names behind names, and changes what is done about them.
func TestNamesThatHide(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	zone := map[string]string{
		"rebind.example.com. A":      "rebind.example.com. 300 IN A 192.168.1.1",
		"hints.example.com. HTTPS":   `hints.example.com. 300 IN HTTPS 1 . alpn=h2 ipv6hint="fd00::1"`,
		"keys.example.com. HTTPS":    `keys.example.com. 300 IN HTTPS 1 . alpn=h2 ech="AAAA"`,
		"shop.example.com. A":        "shop.example.com. 300 IN CNAME shop.akadns.net.\nshop.akadns.net. 300 IN A 198.51.100.1",
		"cloak.example.com. A":       "cloak.example.com. 300 IN CNAME www.roblox.com.\nwww.roblox.com. 300 IN A 198.51.100.1",
		"dname.x.example.com. A":     "x.example.com. 300 IN DNAME roblox.com.\ndname.x.example.com. 300 IN CNAME dname.roblox.com.\ndname.roblox.com. 300 IN A 198.51.100.1",
		"alias.example.com. HTTPS":   "alias.example.com. 300 IN HTTPS 0 www.roblox.com.",
		"service.example.com. HTTPS": "service.example.com. 300 IN HTTPS 1 www.roblox.com. alpn=h2",
	}
	upstream := serveDNS(t, func(w dns.ResponseWriter, req *dns.Msg) {
		q := req.Question[0]
		m := new(dns.Msg).SetReply(req)
		lines, known := zone[strings.ToLower(q.Name)+" "+dns.TypeToString[q.Qtype]]
		if !known && q.Qtype == dns.TypeA {
			lines = q.Name + " 300 IN A 198.51.100.1"
		}
		for line := range strings.Lines(lines) {
			rr, err := dns.NewRR(line)
			if err != nil {
				t.Error(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		_ = w.WriteMsg(m)
	})
	answers := ""
	s := school{upstream: upstream}
	write := func() string {
		s.more = "[answers]\n" + answers
		return s.write(t, dir)
	}
	b := startBox(t, write())
	want := func(verdict, name string, qtype uint16) {
		t.Helper()
		reply := b.ask("127.30.0.1", name, qtype)
		got := "allowed"
		if len(reply.Answer) == 0 {
			got = "blocked"
		}
		if got != verdict {
			t.Errorf("%s %s is %s, want %s: %v", name, dns.TypeToString[qtype], got, verdict, reply)
		}
	}
	for range 2 { // from the upstream, then from the cache
		for _, name := range []string{
			"rebind.example.com", "cloak.example.com", "dname.x.example.com", "www-roblox-com.turbopages.org", "roblox-com.cdn.ampproject.org",
			"www.roblox.com.ezproxy.library.example",
		} {
			want("blocked", name, dns.TypeA)
		}
		for _, name := range []string{"hints.example.com", "alias.example.com", "service.example.com"} {
			want("blocked", name, dns.TypeHTTPS)
		}
		for _, name := range []string{"shop.example.com", "www-meadow-example.turbopages.org", "rob1ox.com"} {
			want("allowed", name, dns.TypeA)
		}
		want("allowed", "keys.example.com", dns.TypeHTTPS)
	}
	if text := b.ask("127.30.0.1", "keys.example.com", dns.TypeHTTPS).Answer[0].String(); !strings.Contains(text, "ech=") {
		t.Errorf("keys are stripped unasked: %s", text)
	}

	answers = "ech = \"strip\"\nprivate = [\"example.com\"]\nlookalikes = \"block\"\n"
	write()
	b.reload(taken)
	want("allowed", "rebind.example.com", dns.TypeA)
	want("allowed", "hints.example.com", dns.TypeHTTPS)
	want("blocked", "rob1ox.com", dns.TypeA)
	if text := b.ask("127.30.0.1", "keys.example.com", dns.TypeHTTPS).Answer[0].String(); strings.Contains(text, "ech=") || !strings.Contains(text, "alpn") {
		t.Errorf("keys are not stripped: %s", text)
	}
	b.stop()
	rules := map[string]string{}
	for _, r := range b.rows() {
		if _, ok := rules[r.Name]; !ok || r.Action.String() == "blocked" {
			rules[r.Name] = r.Rule.String() + " " + r.List
		}
	}
	for name, want := range map[string]string{
		"rebind.example.com": "rebinding ", "rob1ox.com": "lookalike roblox.com", "www-roblox-com.turbopages.org": "category catalogue-gaming",
	} {
		if rules[name] != want {
			t.Errorf("%s is in the record with %q, want %q", name, rules[name], want)
		}
	}
}
