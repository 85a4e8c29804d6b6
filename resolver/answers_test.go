package resolver

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"schoolgate/blocklist/domain"
	"schoolgate/config"
	"schoolgate/resolver/query"
	"schoolgate/resolver/wire"
)

// answering makes the box's Internet answer each name with records.
func (b *box) answering(t testing.TB, zone map[string]string) {
	t.Helper()
	b.reply = func(req *dns.Msg) *dns.Msg {
		m := new(dns.Msg).SetReply(req)
		for line := range strings.Lines(zone[req.Question[0].Name]) {
			rr, err := dns.NewRR(line)
			if err != nil {
				panic(err)
			}
			m.Answer = append(m.Answer, rr)
		}
		return m
	}
}

// with puts other settings of answers in force.
func (b *box) with(edit func(*config.Answers)) {
	cfg := config.Default()
	edit(&cfg.Answers)
	next := *b.State()
	next.Answers = NewAnswers(cfg)
	b.Swap(&next)
}

func TestRebinding(t *testing.T) {
	b := newBox(t)
	b.answering(t, map[string]string{
		"rebind.example.com.":     "rebind.example.com. 300 IN A 192.168.1.1",
		"mixed.example.com.":      "mixed.example.com. 300 IN A 198.51.100.1\nmixed.example.com. 300 IN A 127.0.0.1",
		"alias.example.com.":      "alias.example.com. 300 IN CNAME x.example.org.\nx.example.org. 300 IN A 10.0.0.1",
		"hint.example.com.":       `hint.example.com. 300 IN HTTPS 1 . ipv4hint="192.168.1.1"`,
		"mapped.example.com.":     "mapped.example.com. 300 IN AAAA ::ffff:192.168.1.1",
		"srv.school.example.com.": "srv.school.example.com. 300 IN A 192.168.1.7",
		"printer.lan.":            "printer.lan. 300 IN A 192.168.1.8",
		"fine.example.com.":       "fine.example.com. 300 IN A 198.51.100.1",
	})
	b.with(func(a *config.Answers) { a.Private = []domain.Name{"school.example.com"} })
	for name, refused := range map[string]bool{
		"rebind.example.com.": true, "mixed.example.com.": true, "alias.example.com.": true, "hint.example.com.": true, "mapped.example.com.": true,
		"srv.school.example.com.": false, "printer.lan.": false, "fine.example.com.": false,
	} {
		qtype := dns.TypeA
		switch {
		case strings.HasPrefix(name, "hint"):
			qtype = dns.TypeHTTPS
		case strings.HasPrefix(name, "mapped"):
			qtype = dns.TypeAAAA
		}
		for _, client := range []string{child, teacher} {
			for _, from := range []string{"upstream", "cache"} {
				reply, q := b.ask(t, client, question(name, qtype))
				if got := q.Verdict.Rule == query.Rebinding && q.Verdict.Blocked() && len(reply.Answer) == 0; got != refused {
					t.Errorf("%s from the %s: %+v %v", name, from, q.Verdict, reply)
				}
				if _, text := reasonOf(reply); refused && !strings.Contains(text, "local network") {
					t.Errorf("%s: reason %q", name, text)
				}
			}
		}
	}
	apart := *b.State()
	apart.Apart = func(q *wire.Question) bool { return true }
	b.Swap(&apart)
	b.cache.Flush()
	if _, q := b.ask(t, child, question("rebind.example.com.", dns.TypeA)); q.Verdict.Blocked() {
		t.Errorf("a name that is asked of servers of its own: %+v", q.Verdict)
	}
	apart.Apart = nil
	b.cache.Flush()
	b.with(func(a *config.Answers) { a.Private = []domain.Name{"example.com"} })
	if reply, q := b.ask(t, child, question("rebind.example.com.", dns.TypeA)); q.Verdict.Blocked() || len(reply.Answer) != 1 {
		t.Errorf("what was refused is answered as soon as it may be: %+v %v", q.Verdict, reply)
	}
	b.with(func(a *config.Answers) {})
	if _, q := b.ask(t, child, question("srv.school.example.com.", dns.TypeA)); q.Verdict.Rule != query.Rebinding {
		t.Errorf("and refused again as soon as it may not: %+v", q.Verdict)
	}
}

func TestECH(t *testing.T) {
	b := newBox(t)
	b.answering(t, map[string]string{"a.example.com.": `a.example.com. 300 IN HTTPS 1 . alpn=h2 ech="AAAA"`})
	has := func() bool {
		t.Helper()
		reply, _ := b.ask(t, child, question("a.example.com.", dns.TypeHTTPS))
		if len(reply.Answer) != 1 {
			t.Fatal(reply)
		}
		return strings.Contains(reply.Answer[0].String(), "ech=")
	}
	for _, step := range []config.ECH{config.ECHKeep, config.ECHStrip, config.ECHStrip, config.ECHKeep} {
		b.with(func(a *config.Answers) { a.ECH = step })
		for range 2 {
			if has() != (step == config.ECHKeep) {
				t.Errorf("%v: %v", step, has())
			}
		}
	}
	if n := b.asked.Load(); n != 3 {
		t.Errorf("asked %d times: the cache is emptied when the setting changes, and only then", n)
	}
}

// TestHintsOfRefusedNames: no address of a refused or steered name comes by way of HTTPS.
func TestHintsOfRefusedNames(t *testing.T) {
	b := newBox(t)
	hint := ` 300 IN HTTPS 1 . ipv4hint="198.51.100.1"`
	b.answering(t, map[string]string{
		"games.example.": "games.example." + hint, "www.google.com.": "www.google.com." + hint, "forcesafesearch.google.com.": "forcesafesearch.google.com." + hint,
		"cloak.example.": "cloak.example. 300 IN CNAME games.example.\ngames.example." + hint, "alias.example.": "alias.example. 300 IN HTTPS 0 games.example.",
		"chain.example.": "chain.example. 300 IN CNAME a.example.\na.example. 300 IN CNAME b.example.\nb.example. 300 IN HTTPS 0 www.games.example.",
		"x.d.example.":   "d.example. 300 IN DNAME games.example.\nx.d.example. 300 IN CNAME x.games.example.\nx.games.example." + hint,
		"y.d.example.":   "d.example. 300 IN DNAME games.example.",
	})
	for _, name := range []string{"games.example.", "www.google.com.", "cloak.example.", "alias.example.", "chain.example.", "x.d.example.", "y.d.example."} {
		for range 2 {
			reply, q := b.ask(t, child, question(name, dns.TypeHTTPS))
			for _, rr := range reply.Answer {
				if rr.Header().Rrtype != dns.TypeCNAME {
					t.Errorf("%s: %+v %v", name, q.Verdict, reply)
				}
			}
			if q.Verdict.Action == query.Allow {
				t.Errorf("%s: %+v", name, q.Verdict)
			}
		}
	}
}

// TestTargetsOfNetworks: a content network that a list holds breaks none of its customers, and is refused by its own name.
func TestTargetsOfNetworks(t *testing.T) {
	b := newBox(t)
	b.Swap(b.state(t, map[string]string{"akadns.net": "games", "x.trafficmanager.net": "games", "games.example": "games", "bad.edgekey.net": "feed"}))
	b.answering(t, map[string]string{
		"shop.example.":  "shop.example. 300 IN CNAME shop.akadns.net.\nshop.akadns.net. 300 IN CNAME x.trafficmanager.net.\nx.trafficmanager.net. 300 IN A 198.51.100.1",
		"cloak.example.": "cloak.example. 300 IN CNAME x.akadns.net.\nx.akadns.net. 300 IN CNAME games.example.\ngames.example. 300 IN A 198.51.100.1",
		"worse.example.": "worse.example. 300 IN CNAME bad.edgekey.net.\nbad.edgekey.net. 300 IN A 198.51.100.1",
	})
	for name, want := range map[string]query.Rule{
		"shop.example.": query.Default, "cloak.example.": query.Category, "worse.example.": query.Illegal, "shop.akadns.net.": query.Category,
	} {
		for range 2 {
			if reply, q := b.ask(t, child, question(name, dns.TypeA)); q.Verdict.Rule != want || (len(reply.Answer) > 0) != (want == query.Default) {
				t.Errorf("%s: %+v %v", name, q.Verdict, reply)
			}
		}
	}
}

// TestWrappedInline: names that carry others are judged in the packet loop, without allocation.
func TestWrappedInline(t *testing.T) {
	b := newBox(t)
	for _, name := range []string{"www-games-example.translate.goog.", "games-example.cdn.ampproject.org.", "games.example.ezproxy.library.example."} {
		reply, q := b.ask(t, child, question(name, dns.TypeA))
		if q.Verdict.Rule != query.Category || !q.Verdict.Wrapped || reply.Rcode != dns.RcodeNameError {
			t.Errorf("%s: %+v %v", name, q.Verdict, reply)
		}
		req, _ := question(name, dns.TypeA).Pack()
		dst := make([]byte, 0, 4096)
		if got := testing.AllocsPerRun(100, func() {
			if err := wire.ParseQuestion(req, &q.Question); err != nil {
				t.Fatal(err)
			}
			b.Inline(q, req, dst)
		}); got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
	b.answering(t, map[string]string{"w.example.": "w.example. 300 IN CNAME games-example.translate.goog.\ngames-example.translate.goog. 300 IN A 198.51.100.1"})
	if _, q := b.ask(t, child, question("w.example.", dns.TypeA)); !q.Verdict.Wrapped || !q.Verdict.Cloaked || q.Verdict.Category != config.Gaming {
		t.Errorf("a target that carries a blocked name: %+v", q.Verdict)
	}
	if _, q := b.ask(t, teacher, question("w.example.", dns.TypeA)); q.Verdict.Blocked() {
		t.Errorf("for who may: %+v", q.Verdict)
	}
}
