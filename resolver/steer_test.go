package resolver

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"schoolgate/resolver/query"
	"schoolgate/resolver/wire"
)

// records are the records of a section as text.
func recordsOf(section []dns.RR) (out []string) {
	for _, rr := range section {
		out = append(out, rr.String())
	}
	return out
}

// engine answers for the safe form of one search engine, which is an alias itself and has no IPv6.
func engine(req *dns.Msg) *dns.Msg {
	m := internet(req)
	if q := req.Question[0]; q.Name == "strict.bing.com." {
		m.Answer, m.AuthenticatedData = nil, true
		rr := func(s string) dns.RR {
			r, err := dns.NewRR(s)
			if err != nil {
				panic(err)
			}
			return r
		}
		m.Answer = append(m.Answer, rr("strict.bing.com. 600 IN CNAME strict.cdn.example."))
		if q.Qtype == dns.TypeA {
			m.Answer = append(m.Answer, rr("strict.cdn.example. 200 IN A 198.51.100.20"), rr("strict.cdn.example. 200 IN A 198.51.100.21"))
		} else {
			m.Ns = append(m.Ns, rr("cdn.example. 120 IN SOA ns.cdn.example. hostmaster.cdn.example. 1 7200 900 86400 60"))
		}
	}
	return m
}

func TestSteeredAnswer(t *testing.T) {
	b := newBox(t)
	b.reply = engine
	alias := "WWW.bing.COM.\t300\tIN\tCNAME\tstrict.bing.COM."
	for _, tt := range []struct {
		qtype      uint16
		answer, ns []string
		source     query.Source
	}{
		{dns.TypeA, []string{
			alias, "strict.bing.COM.\t600\tIN\tCNAME\tstrict.cdn.example.",
			"strict.cdn.example.\t200\tIN\tA\t198.51.100.20", "strict.cdn.example.\t200\tIN\tA\t198.51.100.21",
		}, nil, query.Upstream},
		{
			dns.TypeAAAA,
			[]string{alias, "strict.bing.COM.\t600\tIN\tCNAME\tstrict.cdn.example."},
			[]string{"cdn.example.\t60\tIN\tSOA\tns.cdn.example. hostmaster.cdn.example. 1 7200 900 86400 60"},
			query.Upstream,
		},
		{dns.TypeHTTPS, []string{alias}, []string{
			"strict.bing.COM.\t300\tIN\tSOA\tblocked.schoolgate.invalid. hostmaster.blocked.schoolgate.invalid. 1 3600 600 604800 300",
		}, query.Policy},
	} {
		for range 2 { // the second comes from the cache
			m := question("WWW.bing.COM.", tt.qtype)
			m.AuthenticatedData = true
			m.IsEdns0().SetDo()
			reply, q := b.ask(t, child, m)
			if diff := cmp.Diff(tt.answer, recordsOf(reply.Answer)); diff != "" {
				t.Errorf("%s from %v: %s", dns.Type(tt.qtype), q.Source, diff)
			}
			if diff := cmp.Diff(tt.ns, recordsOf(reply.Ns)); diff != "" {
				t.Errorf("%s from %v: %s", dns.Type(tt.qtype), q.Source, diff)
			}
			if reply.AuthenticatedData || reply.Authoritative || q.Source != tt.source || q.Verdict.Action != query.Rewrite {
				t.Errorf("%s from %v: %v", dns.Type(tt.qtype), q.Source, reply)
			}
			if tt.source = query.Cache; tt.qtype == dns.TypeHTTPS {
				tt.source = query.Policy
			}
		}
	}
	if n := b.asked.Load(); n != 2 {
		t.Errorf("asked %d times for two answers", n)
	}
}

// TestSteeredAnswerAges: the target's time is the target's, the alias is new each time; without an upstream it is served
// stale, and the unsafe address never.
func TestSteeredAnswerAges(t *testing.T) {
	b := newBox(t)
	b.ask(t, child, question("www.google.com.", dns.TypeA))
	b.now = b.now.Add(100 * time.Second)
	reply, _ := b.ask(t, child, question("www.google.co.uk.", dns.TypeA))
	if got := reply.Answer; len(got) != 2 || got[0].Header().Ttl != 300 || got[1].Header().Ttl < 200 || got[1].Header().Ttl > 201 {
		t.Errorf("%v", recordsOf(got))
	}
	b.down.Store(true)
	b.now = b.now.Add(time.Hour)
	reply, q := b.ask(t, child, question("www.google.com.", dns.TypeA))
	if code, _ := reasonOf(reply); q.Source != query.Stale || code != dns.ExtendedErrorCodeStaleAnswer || len(reply.Answer) != 2 || reply.Answer[1].Header().Ttl != 30 {
		t.Errorf("from %v: %v", q.Source, reply)
	}
}

func TestSafeFormThatFails(t *testing.T) {
	for what, break_ := range map[string]func(*box){
		"no upstream": func(b *box) { b.down.Store(true) },
		"gone": func(b *box) {
			b.reply = func(r *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(r, dns.RcodeNameError) }
		},
		"failing": func(b *box) {
			b.reply = func(r *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(r, dns.RcodeServerFailure) }
		},
	} {
		b := newBox(t)
		b.ask(t, teacher, question("www.google.com.", dns.TypeA)) // the unsafe address is in the cache
		break_(b)
		for range 2 {
			reply, q := b.ask(t, child, question("www.google.com.", dns.TypeA))
			if code, text := reasonOf(reply); reply.Rcode != dns.RcodeServerFailure || len(reply.Answer) != 0 || text == "" || q.Source != query.None {
				t.Errorf("%s: %d %q %v", what, code, text, reply)
			}
		}
	}
}

func TestSteeringInlineDoesNotAllocate(t *testing.T) {
	b := newBox(t)
	b.reply = engine
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeHTTPS} {
		m := question("www.bing.com.", qtype)
		b.ask(t, child, m)
		req, _ := m.Pack()
		dst := make([]byte, 0, 4096)
		q := &query.Query{Start: b.now}
		if err := wire.ParseQuestion(req, &q.Question); err != nil {
			t.Fatal(err)
		}
		client := netip.MustParseAddr(child)
		if got := testing.AllocsPerRun(100, func() {
			q.Client = query.Client{Addr: client}
			if _, done := b.Inline(q, req, dst); !done {
				t.Fatal("not answered inline")
			}
		}); got != 0 {
			t.Errorf("%s: %v allocations", dns.Type(qtype), got)
		}
	}
}
