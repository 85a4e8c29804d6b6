package resolver

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"schoolgate/blocklist"
	"schoolgate/blocklist/domain"
	"schoolgate/blocklist/sealed"
	"schoolgate/config"
	"schoolgate/resolver/cache"
	"schoolgate/resolver/policy"
	"schoolgate/resolver/query"
	"schoolgate/resolver/upstream"
	"schoolgate/resolver/wire"
)

// box is a resolver with a small school's policy and an Internet of a few names.
type box struct {
	*Resolver
	now   time.Time
	asked atomic.Int64
	down  atomic.Bool
	reply func(req *dns.Msg) *dns.Msg
	local config.Local
}

var groupOf = map[netip.Addr]uint8{
	netip.MustParseAddr("192.0.2.1"): 0, netip.MustParseAddr("192.0.2.2"): 1,
	netip.MustParseAddr("192.0.2.3"): 2, netip.MustParseAddr("192.0.2.4"): 3,
}

const (
	child, teacher, zeroed, paged = "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"
)

func newBox(t testing.TB) *box {
	t.Helper()
	b := &box{now: time.Date(2026, time.September, 16, 12, 0, 0, 0, time.UTC), reply: internet}
	b.Resolver = New(cache.New(config.Default().Cache), b.state(t, map[string]string{"games.example": "games", "illegal.example": "feed"}))
	return b
}

// state compiles names, each with its list, under the test's policy.
func (b *box) state(t testing.TB, names map[string]string) *State {
	t.Helper()
	build := blocklist.NewBuilder([]blocklist.Info{{Name: "games"}}, "")
	feed := ""
	for n, list := range names {
		if list == "feed" {
			feed += n + "\n"
			continue
		}
		if err := build.Add(0, blocklist.Rule{Name: domain.MustParse(n)}); err != nil {
			t.Fatal(err)
		}
	}
	set, err := build.Build()
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Local = b.local
	gaming := []string{config.Gaming}
	cfg.Groups = []config.Group{
		{Name: "children", Block: gaming, Internet: true, SafeSearch: true},
		{Name: "staff", Internet: true},
		{Name: "zeroed", Block: gaming, Internet: true, Answer: config.Answer{Kind: config.AnswerZero}},
		{Name: "paged", Block: gaming, Internet: true, Answer: config.Answer{Kind: config.AnswerPage, V4: netip.MustParseAddr("192.0.2.80")}},
	}
	p, err := policy.Compile(cfg, set, map[string]string{"games": config.Gaming}, sealedFeed(t, feed))
	if err != nil {
		t.Fatal(err)
	}
	return &State{
		Lists: set, Policy: p,
		Identify: func(q *query.Query) { q.Client.Group = groupOf[q.Client.Addr]; q.Client.Device = "device" },
		Exchange: b.exchange,
	}
}

// sealedFeed is the illegal tier as one list says.
func sealedFeed(t testing.TB, text string) *sealed.Set {
	t.Helper()
	if text == "" {
		return nil
	}
	k := sealed.NewKey()
	l, err := sealed.Seal(strings.NewReader(text), k)
	if err != nil {
		t.Fatal(err)
	}
	l.Name = "feed"
	s, err := sealed.NewSet(k, l)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (b *box) exchange(_ context.Context, q *wire.Question) (*wire.Reply, error) {
	b.asked.Add(1)
	if b.down.Load() {
		return nil, &upstream.Error{Causes: []upstream.Cause{{Server: "192.0.2.53", Err: errors.New("no route")}}}
	}
	req := &dns.Msg{Question: []dns.Question{{Name: presentation(&q.Name), Qtype: q.Type, Qclass: q.Class}}}
	msg, err := b.reply(req).Pack()
	if err != nil {
		return nil, err
	}
	return wire.ReadReply(msg)
}

// presentation is the name as miekg/dns writes it, which escapes fewer bytes than the canonical text.
func presentation(w *domain.Wire) string {
	name, _, err := dns.UnpackDomainName(w.Bytes(), 0)
	if err != nil {
		panic(err) // a name that was read off the wire
	}
	return name
}

// internet answers every name: some are aliases, one does not exist, one cannot be resolved.
func internet(req *dns.Msg) *dns.Msg {
	m := new(dns.Msg).SetReply(req)
	q := req.Question[0]
	add := func(lines ...string) {
		for _, l := range lines {
			rr, err := dns.NewRR(l)
			if err != nil {
				panic(err)
			}
			m.Answer = append(m.Answer, rr)
		}
	}
	switch {
	case q.Name == "gone.example.":
		m.Rcode = dns.RcodeNameError
		soa, _ := dns.NewRR("example. 300 IN SOA ns.example. hostmaster.example. 1 7200 900 86400 300")
		m.Ns = []dns.RR{soa}
	case q.Name == "broken.example.":
		m.Rcode = dns.RcodeServerFailure
	case q.Name == "cloaked.example.":
		add("cloaked.example. 300 IN CNAME cdn.games.example.", "cdn.games.example. 300 IN A 198.51.100.7")
	case q.Name == "worse.example.":
		add("worse.example. 300 IN CNAME illegal.example.", "illegal.example. 300 IN A 198.51.100.8")
	case q.Qtype == dns.TypeA:
		add(q.Name + " 300 IN A 198.51.100.1")
	case q.Qtype == dns.TypeAAAA:
		add(q.Name + " 300 IN AAAA 2001:db8::1")
	case q.Qtype == dns.TypeHTTPS && q.Name == "svcb.example.":
		add("svcb.example. 300 IN HTTPS 1 cdn.games.example. alpn=h3")
	}
	return m
}

// ask sends one question through Resolve as a packet would come.
func (b *box) ask(t testing.TB, client string, m *dns.Msg) (*dns.Msg, *query.Query) {
	t.Helper()
	req, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	q := &query.Query{Start: b.now, Client: query.Client{Addr: netip.MustParseAddr(client)}}
	if err := wire.ParseQuestion(req, &q.Question); err != nil {
		t.Fatal(err)
	}
	out := b.Resolve(t.Context(), q, req, nil)
	var reply dns.Msg
	if err := reply.Unpack(out); err != nil {
		t.Fatalf("reply does not unpack: %v", err)
	}
	if reply.Id != m.Id || reply.Question[0] != m.Question[0] || !reply.Response || !reply.RecursionAvailable {
		t.Fatalf("reply to something else: %v", &reply)
	}
	if int(q.RCode) != reply.Rcode {
		t.Errorf("query says rcode %d, the reply %d", q.RCode, reply.Rcode)
	}
	return &reply, q
}

func question(name string, qtype uint16) *dns.Msg {
	m := new(dns.Msg)
	m.SetQuestion(name, qtype)
	m.SetEdns0(1232, false)
	return m
}

// reasonOf gives the extended error of a reply, 0xffff for none.
func reasonOf(m *dns.Msg) (code uint16, text string) {
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok {
				return e.InfoCode, e.ExtraText
			}
		}
	}
	return 0xffff, ""
}

func TestBlockedAnswers(t *testing.T) {
	types := []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeHTTPS, dns.TypeSVCB, dns.TypeTXT, dns.TypeMX, dns.TypeANY, dns.TypeCNAME, dns.TypeNS, 65280}
	for _, tt := range []struct {
		client, name string
		rcode        int
		v4, v6       string
		ede          uint16
	}{
		{child, "WWW.Games.Example.", dns.RcodeNameError, "", "", dns.ExtendedErrorCodeBlocked},
		{zeroed, "games.example.", dns.RcodeSuccess, "0.0.0.0", "::", dns.ExtendedErrorCodeBlocked},
		{paged, "games.example.", dns.RcodeSuccess, "192.0.2.80", "", dns.ExtendedErrorCodeBlocked},
		{teacher, "illegal.example.", dns.RcodeNameError, "", "", dns.ExtendedErrorCodeBlocked},
	} {
		for _, qtype := range types {
			t.Run(tt.name+" "+dns.Type(qtype).String()+" for "+tt.client, func(t *testing.T) {
				b := newBox(t)
				reply, q := b.ask(t, tt.client, question(tt.name, qtype))
				if reply.Rcode != tt.rcode || !q.Verdict.Blocked() || q.Source != query.Policy {
					t.Fatalf("verdict %+v from %v: %v", q.Verdict, q.Source, reply)
				}
				if code, text := reasonOf(reply); code != tt.ede || text == "" {
					t.Errorf("extended error %d %q", code, text)
				}
				want := map[uint16]string{dns.TypeA: tt.v4, dns.TypeAAAA: tt.v6}[qtype]
				got := ""
				for _, rr := range reply.Answer {
					switch rr := rr.(type) {
					case *dns.A:
						got += rr.A.String()
					case *dns.AAAA:
						got += rr.AAAA.String()
					default:
						t.Errorf("answer holds %v", rr)
					}
				}
				if got != want {
					t.Errorf("address %q, want %q", got, want)
				}
				if want == "" && (len(reply.Ns) != 1 || reply.Ns[0].Header().Rrtype != dns.TypeSOA || reply.Ns[0].Header().Ttl != blockTTL) {
					t.Errorf("nothing says how long to keep the refusal: %v", reply.Ns)
				}
				if b.asked.Load() != 0 {
					t.Error("an upstream was asked for a blocked name")
				}
			})
		}
	}
}

func TestNoExtendedErrorWithoutEDNS(t *testing.T) {
	m := question("games.example.", dns.TypeA)
	m.Extra = nil
	reply, _ := newBox(t).ask(t, child, m)
	if reply.IsEdns0() != nil {
		t.Error("an OPT record for a client that sent none")
	}
}

// TestOneCacheForAllGroups: what staff have fetched is no way around the filter for children, and the other way about.
func TestOneCacheForAllGroups(t *testing.T) {
	b := newBox(t)
	for _, name := range []string{"games.example.", "cloaked.example."} {
		for range 2 {
			if reply, q := b.ask(t, child, question(name, dns.TypeA)); len(reply.Answer) != 0 || !q.Verdict.Blocked() || q.Verdict.Category != config.Gaming {
				t.Errorf("%s for a child: %+v %v", name, q.Verdict, reply)
			}
			if reply, q := b.ask(t, teacher, question(name, dns.TypeA)); len(reply.Answer) == 0 || q.Verdict.Blocked() {
				t.Errorf("%s for a teacher: %+v %v", name, q.Verdict, reply)
			}
		}
	}
	if n := b.asked.Load(); n != 2 {
		t.Errorf("asked %d times for 2 names", n)
	}
}

func TestTargetsAreJudged(t *testing.T) {
	for _, tt := range []struct {
		name  string
		qtype uint16
		rule  query.Rule
	}{
		{"cloaked.example.", dns.TypeA, query.Category},
		{"svcb.example.", dns.TypeHTTPS, query.Category},
		{"worse.example.", dns.TypeA, query.Illegal},
	} {
		reply, q := newBox(t).ask(t, child, question(tt.name, tt.qtype))
		if reply.Rcode != dns.RcodeNameError || q.Verdict.Rule != tt.rule || !q.Verdict.Cloaked {
			t.Errorf("%s: %+v %v", tt.name, q.Verdict, reply)
		}
	}
}

func TestAnswersAgeAndOutliveTheUpstream(t *testing.T) {
	b := newBox(t)
	reply, q := b.ask(t, child, question("School.example.", dns.TypeA))
	if q.Source != query.Upstream || len(reply.Answer) != 1 || reply.Answer[0].Header().Ttl != 300 {
		t.Fatalf("%v: %v", q.Source, reply)
	}
	b.now = b.now.Add(100 * time.Second)
	if reply, q = b.ask(t, child, question("sCHOOL.example.", dns.TypeA)); q.Source != query.Cache || reply.Answer[0].Header().Ttl/2 != 100 {
		t.Errorf("from %v with TTL %d", q.Source, reply.Answer[0].Header().Ttl)
	}
	b.down.Store(true)
	b.now = b.now.Add(time.Hour)
	reply, q = b.ask(t, child, question("school.example.", dns.TypeA))
	if code, _ := reasonOf(reply); q.Source != query.Stale || len(reply.Answer) != 1 || code != dns.ExtendedErrorCodeStaleAnswer || reply.Answer[0].Header().Ttl != 30 {
		t.Errorf("from %v: %v", q.Source, reply)
	}
	// A name that was blocked in the meantime is no longer served, stale or not.
	b.Swap(b.state(t, map[string]string{"school.example": "games"}))
	if reply, q = b.ask(t, child, question("school.example.", dns.TypeA)); !q.Verdict.Blocked() || len(reply.Answer) != 0 {
		t.Errorf("%+v %v", q.Verdict, reply)
	}
}

func TestWithoutUpstream(t *testing.T) {
	b := newBox(t)
	b.down.Store(true)
	reply, q := b.ask(t, child, question("school.example.", dns.TypeA))
	if code, text := reasonOf(reply); reply.Rcode != dns.RcodeServerFailure || code != dns.ExtendedErrorCodeNetworkError || text == "" || q.Source != query.None {
		t.Errorf("%v from %v", reply, q.Source)
	}
	if reply, _ := b.ask(t, child, question("games.example.", dns.TypeA)); reply.Rcode != dns.RcodeNameError {
		t.Errorf("a blocked name is no longer blocked: %v", reply)
	}
	s := *b.State()
	s.Exchange = func(context.Context, *wire.Question) (*wire.Reply, error) { return nil, upstream.ErrNoServers }
	b.Swap(&s)
	reply, _ = b.ask(t, child, question("pupils.example.", dns.TypeA))
	if code, _ := reasonOf(reply); code != dns.ExtendedErrorCodeNotReady {
		t.Errorf("no servers: %v", reply)
	}
}

func TestNegativeAndFailedAnswers(t *testing.T) {
	b := newBox(t)
	for i := range 2 {
		reply, q := b.ask(t, child, question("gone.example.", dns.TypeA))
		want := []query.Source{query.Upstream, query.Cache}[i]
		if reply.Rcode != dns.RcodeNameError || q.Source != want || q.Verdict.Blocked() || len(reply.Ns) != 1 {
			t.Errorf("from %v: %v", q.Source, reply)
		}
	}
	if reply, q := b.ask(t, child, question("broken.example.", dns.TypeA)); reply.Rcode != dns.RcodeServerFailure || q.Verdict.Blocked() {
		t.Errorf("%+v: %v", q.Verdict, reply)
	}
	b.reply = func(req *dns.Msg) *dns.Msg { return new(dns.Msg).SetReply(question("other.example.", dns.TypeA)) }
	if reply, _ := b.ask(t, child, question("mismatch.example.", dns.TypeA)); reply.Rcode != dns.RcodeServerFailure {
		t.Errorf("an answer to another question was passed on: %v", reply)
	}
}

// TestOddNames: names hold any byte, and are asked for as they are.
func TestOddNames(t *testing.T) {
	for _, name := range []string{`a\058b.example.`, ` x.example.`, `a\.b.example.`, `\000\255.example.`, `q\"t.example.`, `_srv._tcp.example.`} {
		for range 2 {
			m := question("school.example.", dns.TypeA)
			m.Question[0].Name = name
			req, err := m.Pack()
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Unpack(req); err != nil { // in the library's own spelling
				t.Fatal(err)
			}
			if reply, q := newBox(t).ask(t, child, m); reply.Rcode != dns.RcodeSuccess || len(reply.Answer) != 1 {
				t.Errorf("%s from %v: %v", name, q.Source, reply)
			}
		}
	}
}

// TestBearsIllegal: listed names in the disguises that systems and people give them, and at what cost.
func TestBearsIllegal(t *testing.T) {
	s := newBox(t).State()
	for name, want := range map[string]bool{
		"illegal.example.school.test": true, "www.illegal.example.a.b.school.test": true, "http:\\047\\047illegal.example": true,
		"illegal.example\\058443.school.test": true, "illegal.example\\047page.school.test": true,
		"school.example": false, "illegal.school.test": false, "notillegal.example.school.test": false, "games.example.school.test": false,
		"(withheld: illegal tier)": false, ".": false, "": false, "\\0": false,
	} {
		if got := s.BearsIllegal(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
	long := strings.Repeat("a.", 121) + "school.test"
	if got := testing.AllocsPerRun(10, func() { s.BearsIllegal(long) }); got > 16 {
		t.Errorf("%v allocations for a long name", got)
	}
}

func TestSafeSearch(t *testing.T) {
	b := newBox(t)
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeHTTPS, dns.TypeTXT} {
		reply, q := b.ask(t, child, question("www.google.com.", qtype))
		if len(reply.Answer) == 0 || q.Verdict.Action != query.Rewrite {
			t.Fatalf("%+v %v", q.Verdict, reply)
		}
		alias, ok := reply.Answer[0].(*dns.CNAME)
		if !ok || alias.Hdr.Name != "www.google.com." || alias.Target != "forcesafesearch.google.com." {
			t.Errorf("no alias: %v", reply.Answer[0])
		}
		addresses := map[uint16]int{dns.TypeA: 1, dns.TypeAAAA: 1}[qtype]
		if got := len(reply.Answer) - 1; got != addresses {
			t.Errorf("%s: %d addresses", dns.Type(qtype), got)
		}
	}
	reply, _ := b.ask(t, teacher, question("www.google.com.", dns.TypeA))
	if len(reply.Answer) != 1 || reply.Answer[0].Header().Rrtype != dns.TypeA {
		t.Errorf("a teacher got %v", reply)
	}
	if reply, _ := b.ask(t, child, question("www.google.com.", dns.TypeA)); len(reply.Answer) != 2 {
		t.Errorf("a child got the teacher's answer: %v", reply)
	}
}

func TestNamesThatStayHere(t *testing.T) {
	b := newBox(t)
	for name, rcode := range map[string]int{
		"1.2.168.192.in-addr.arpa.": dns.RcodeNameError, "printer.local.": dns.RcodeNameError, "x.onion.": dns.RcodeNameError,
		"localhost.": dns.RcodeSuccess, "app.localhost.": dns.RcodeSuccess,
	} {
		reply, q := b.ask(t, child, question(name, dns.TypeA))
		if reply.Rcode != rcode || q.Verdict.Blocked() || q.Source != query.Local || !reply.Authoritative {
			t.Errorf("%s: %v from %v", name, reply, q.Source)
		}
	}
	reply, _ := b.ask(t, child, question("_dns.resolver.arpa.", dns.TypeSVCB))
	if reply.Rcode != dns.RcodeSuccess || len(reply.Answer) != 0 {
		t.Errorf("discovery of other resolvers: %v", reply)
	}
	if reply, _ := b.ask(t, child, question("school.example.", dns.TypeANY)); len(reply.Answer) != 1 || reply.Answer[0].Header().Rrtype != dns.TypeHINFO {
		t.Errorf("ANY: %v", reply)
	}
	if n := b.asked.Load(); n != 0 {
		t.Errorf("an upstream was asked %d times", n)
	}
}

func TestInlineDoesNotAllocate(t *testing.T) {
	b := newBox(t)
	b.ask(t, teacher, question("cloaked.example.", dns.TypeA)) // now cached
	for what, m := range map[string]*dns.Msg{"blocked": question("games.example.", dns.TypeA), "cached": question("cloaked.example.", dns.TypeA)} {
		client := netip.MustParseAddr(map[string]string{"blocked": child, "cached": teacher}[what])
		req, _ := m.Pack()
		dst := make([]byte, 0, 4096)
		q := &query.Query{Start: b.now}
		if err := wire.ParseQuestion(req, &q.Question); err != nil {
			t.Fatal(err)
		}
		if got := testing.AllocsPerRun(100, func() {
			q.Client = query.Client{Addr: client}
			if _, done := b.Inline(q, req, dst); !done {
				t.Fatal("not answered inline")
			}
		}); got != 0 {
			t.Errorf("%s: %v allocations", what, got)
		}
	}
}

func BenchmarkInline(b *testing.B) {
	box := newBox(b)
	box.ask(b, teacher, question("school.example.", dns.TypeA))
	box.ask(b, child, question("www.google.com.", dns.TypeA))
	for what, name := range map[string]string{"blocked": "games.example.", "cached": "school.example.", "steered": "www.google.com."} {
		b.Run(what, func(b *testing.B) {
			req, _ := question(name, dns.TypeA).Pack()
			dst := make([]byte, 0, 4096)
			q := &query.Query{Start: box.now}
			client := netip.MustParseAddr(child)
			b.ReportAllocs()
			for b.Loop() {
				if err := wire.ParseQuestion(req, &q.Question); err != nil {
					b.Fatal(err)
				}
				q.Client = query.Client{Addr: client}
				box.Inline(q, req, dst)
			}
		})
	}
}
