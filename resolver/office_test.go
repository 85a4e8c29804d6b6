package resolver

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"schoolgate/blocklist"
	"schoolgate/blocklist/domain"
	"schoolgate/config"
	"schoolgate/resolver/policy"
	"schoolgate/resolver/query"
	"schoolgate/resolver/wire"
)

// structured is what a client reads in the text of an extended error.
type structured struct {
	Contact []string `json:"c"`
	Why     string   `json:"j"`
	Sub     int      `json:"s"`
	Office  string   `json:"o"`
	Lang    string   `json:"l"`
}

var (
	asksNew = &dns.EDNS0_LOCAL{Code: 26}
	asksOld = &dns.EDNS0_EDE{InfoCode: 0}
	cookie  = &dns.EDNS0_COOKIE{Cookie: "00112233445566778899aabbccddeeff"}
	contact = []string{"mailto:office@school.example", "tel:+44-1632-960001"}
)

func proven(options []dns.EDNS0) bool { return slices.Contains(options, dns.EDNS0(cookie)) }

// refused asks the box for a name and gives the reason.
func (b *box) refused(t testing.TB, client, name string, proto query.Proto, size uint16, options ...dns.EDNS0) (reason, full string) {
	t.Helper()
	m := question(name, dns.TypeA)
	m.IsEdns0().Option = options
	m.IsEdns0().SetUDPSize(size)
	req, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	q := &query.Query{Start: b.now, Proto: proto, Proven: proto != query.UDP || proven(options), Client: query.Client{Addr: netip.MustParseAddr(client)}}
	if err := wire.ParseQuestion(req, &q.Question); err != nil {
		t.Fatal(err)
	}
	out := b.Resolve(t.Context(), q, req, nil)
	var reply dns.Msg
	if err := reply.Unpack(out); err != nil {
		t.Fatal(err)
	}
	if proto == query.UDP && len(out) > q.Question.Limit() {
		t.Errorf("%d bytes for a client that takes %d", len(out), q.Question.Limit())
	}
	_, reason = reasonOf(&reply)
	for _, rr := range reply.Ns {
		rr.Header().Name = "." // which is that of the question
	}
	for _, rr := range reply.Answer {
		rr.Header().Name = "."
	}
	reply.Question, reply.Id = nil, 0
	return reason, reply.String()
}

func TestStructuredErrors(t *testing.T) {
	b := newBox(t)
	b.State().Office = NewOffice(`Example "&" School`, contact)
	const said = "Schoolgate: blocked by the school's filter (gaming)"
	whole := structured{contact, said, 5, `Example "&" School`, "en-GB"}
	long := strings.Repeat(strings.Repeat("a", 63)+".", 3) + strings.Repeat("b", 44) + ".games.example."
	tests := []struct {
		name, ask string
		proto     query.Proto
		size      uint16
		options   []dns.EDNS0
		plain     string
		want      structured
	}{
		{"not asked", "games.example.", query.TCP, 1232, nil, said, structured{}},
		{"asked", "games.example.", query.TCP, 1232, []dns.EDNS0{asksNew}, "", whole},
		{"asked in the old way", "games.example.", query.TCP, 1232, []dns.EDNS0{asksOld}, "", whole},
		{"with content, which does not matter", "games.example.", query.TCP, 1232, []dns.EDNS0{&dns.EDNS0_LOCAL{Code: 26, Data: []byte("x")}}, "", whole},
		{"another error is no question", "games.example.", query.TCP, 1232, []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: 15}}, said, structured{}},
		{"an error with text is no question", "games.example.", query.TCP, 1232, []dns.EDNS0{&dns.EDNS0_EDE{ExtraText: "x"}}, said, structured{}},
		{"no address proven", "games.example.", query.UDP, 1232, []dns.EDNS0{asksNew}, "", structured{Sub: 5}},
		{"proven by a cookie", "games.example.", query.UDP, 1232, []dns.EDNS0{asksNew, cookie}, "", whole},
		{"proven by a cookie, little room", long, query.UDP, 512, []dns.EDNS0{asksNew, cookie}, "", structured{Contact: contact, Sub: 5}},
		{"no address proven, little room", long, query.UDP, 512, []dns.EDNS0{asksNew}, "", structured{Sub: 5}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _ := b.refused(t, child, tt.ask, tt.proto, tt.size, tt.options...)
			if tt.plain != "" {
				if got != tt.plain {
					t.Errorf("text %q, want %q", got, tt.plain)
				}
				return
			}
			var s structured
			d := json.NewDecoder(strings.NewReader(got))
			d.DisallowUnknownFields()
			if err := d.Decode(&s); err != nil || d.More() {
				t.Fatalf("%q: %v", got, err)
			}
			if diff := cmp.Diff(tt.want, s); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Every reason fits into every form, and the greatest that a configuration allows into a packet.
func TestFormsOfReasons(t *testing.T) {
	for name, o := range map[string]*Office{
		"nobody":   NewOffice("", nil),
		"greatest": NewOffice(strings.Repeat(`"`, 100), []string{"mailto:" + strings.Repeat("a", 93), "mailto:" + strings.Repeat("b", 93), "mailto:" + strings.Repeat("c", 93)}),
	} {
		t.Run(name, func(t *testing.T) {
			reasons := []wire.EDE{blocked, stopped, unapproved, unsafe, bypass, filtered, rebinding, lookalike}
			for _, e := range byCategory {
				reasons = append(reasons, e)
			}
			for _, why := range reasons {
				for sub := noSubError; sub < subErrors; sub++ {
					size := 1 << 20
					for f := whole; f <= mute; f++ {
						e := o.tell(f, why, sub)
						text := e.Head + e.Text + e.Tail
						if len(text) > 850 || len(text) > size && sub != noSubError {
							t.Errorf("form %d of %q takes %d bytes", f, why.Text, len(text))
						}
						size = len(text)
						if e.Code != why.Code {
							t.Errorf("form %d of %q has code %d", f, why.Text, e.Code)
						}
						if e.Head != "" && !json.Valid([]byte(text)) {
							t.Errorf("form %d of %q: %s", f, why.Text, text)
						}
						var s structured
						if json.Unmarshal([]byte(text), &s) == nil && s.Sub == 0 && s.Why == "" && len(s.Contact) == 0 {
							t.Errorf("form %d of %q says nothing: %s", f, why.Text, text)
						}
						if f == whole && (s.Why != why.Text || s.Lang != language) {
							t.Errorf("whole form of %q: %s", why.Text, text)
						}
					}
				}
			}
		})
	}
}

// A text that would have to be escaped is left out.
func TestUnplainReason(t *testing.T) {
	for _, text := range []string{`a "b"`, `a\b`, "a\nb", "é"} {
		e := NewOffice("", contact).tell(whole, wire.EDE{Code: wire.EDEBlocked, Text: text}, policyOfNetwork)
		if got := e.Head + e.Text + e.Tail; !json.Valid([]byte(got)) || strings.Contains(got, `"j"`) {
			t.Errorf("%q: %s", text, got)
		}
	}
}

func TestStructuredErrorsDoNotAllocate(t *testing.T) {
	b := newBox(t)
	b.State().Office = NewOffice("Example School", contact)
	m := question("games.example.", dns.TypeA)
	m.IsEdns0().Option = []dns.EDNS0{asksNew}
	req, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	q := &query.Query{Start: b.now, Proto: query.TCP, Proven: true, Client: query.Client{Addr: netip.MustParseAddr(child)}}
	if err := wire.ParseQuestion(req, &q.Question); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 0, 1232)
	if n := testing.AllocsPerRun(100, func() { buf, _ = b.Inline(q, req, buf[:0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestNoOracle: whatever group a device is in, it cannot tell by the answers which names the illegal tier holds: they are
// answered to the last byte as others are that lists hold by the million, or as every other name.
func TestNoOracle(t *testing.T) {
	build := blocklist.NewBuilder([]blocklist.Info{{Name: "adult"}, {Name: "hate"}}, "")
	for bit, name := range []string{"adult.example", "hate.example"} {
		if err := build.Add(bit, blocklist.Rule{Name: domain.MustParse(name)}); err != nil {
			t.Fatal(err)
		}
	}
	set, err := build.Build()
	if err != nil {
		t.Fatal(err)
	}
	grave := []string{config.Pornography, config.Hate}
	own := []domain.Name{"closed.example"}
	usual := []string{"adult.example.", "hate.example.", "closed.example."}
	anything := []string{"other.example.", "adult.example."}
	page := config.Answer{Kind: config.AnswerPage, V4: netip.MustParseAddr("192.0.2.80")}
	for _, tt := range []struct {
		name  string
		group config.Group
		stop  bool
		like  []string
	}{
		{"usual", config.Group{Block: grave, Internet: true, Deny: own}, false, usual},
		{"zero", config.Group{Block: grave, Internet: true, Deny: own, Answer: config.Answer{Kind: config.AnswerZero}}, false, usual},
		{"page", config.Group{Block: grave, Internet: true, Deny: own, Answer: page}, false, usual},
		{"allow only", config.Group{AllowOnly: true, Approved: []domain.Name{"approved.example"}, Internet: true}, false, anything},
		{"cut off", config.Group{Block: grave}, false, anything},
		{"all stopped", config.Group{Block: grave, Internet: true}, true, anything},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBox(t)
			cfg := config.Default()
			tt.group.Name, tt.group.IllegalURLs = "children", config.IllegalURLsBlock
			cfg.Groups, cfg.Policy.StopAll = []config.Group{tt.group}, tt.stop
			p, err := policy.Compile(cfg, set, map[string]string{"adult": config.Pornography, "hate": config.Hate}, sealedFeed(t, "illegal.example\nhttps://host.example/page\n"))
			if err != nil {
				t.Fatal(err)
			}
			s := *b.State()
			s.Lists, s.Policy, s.Office = set, p, NewOffice("Example School", contact)
			b.Swap(&s)
			for _, options := range [][]dns.EDNS0{nil, {asksNew}} {
				for _, tier := range []string{"illegal.example.", "www.illegal.example.", "host.example."} {
					_, got := b.refused(t, child, tier, query.TCP, 1232, options...)
					for _, name := range tt.like {
						if _, want := b.refused(t, child, name, query.TCP, 1232, options...); got != want {
							t.Errorf("%s differs from %s:\n%s\n%s", tier, name, got, want)
						}
					}
				}
			}
		})
	}
}

// TestOwnPage: a group that is led to the box's own page gets the addresses at which it reaches the box, and the usual refusal
// while there are none.
func TestOwnPage(t *testing.T) {
	b := newBox(t)
	cfg := config.Default()
	cfg.Groups = []config.Group{{Name: "children", Deny: []domain.Name{"games.example"}, Internet: true, Answer: config.Answer{Kind: config.AnswerPage}}}
	s := *b.State()
	p, err := policy.Compile(cfg, s.Lists, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Policy = p
	v4, v6 := netip.MustParseAddr("192.0.2.80"), netip.MustParseAddr("2001:db8::80")
	for _, tt := range []struct {
		name    string
		page    func(netip.Addr) (v4, v6 netip.Addr)
		rcode   int
		a, aaaa string
	}{
		{"both", func(netip.Addr) (netip.Addr, netip.Addr) { return v4, v6 }, dns.RcodeSuccess, "192.0.2.80", "2001:db8::80"},
		{"one", func(netip.Addr) (netip.Addr, netip.Addr) { return netip.Addr{}, v6 }, dns.RcodeSuccess, "", "2001:db8::80"},
		{"none", func(netip.Addr) (netip.Addr, netip.Addr) { return netip.Addr{}, netip.Addr{} }, dns.RcodeNameError, "", ""},
		{"no page", nil, dns.RcodeNameError, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := s
			s.Page = tt.page
			b.Swap(&s)
			for qtype, want := range map[uint16]string{dns.TypeA: tt.a, dns.TypeAAAA: tt.aaaa, dns.TypeHTTPS: ""} {
				reply, _ := b.ask(t, child, question("games.example.", qtype))
				got := ""
				for _, rr := range reply.Answer {
					got = rr.String()[strings.LastIndex(rr.String(), "\t")+1:]
				}
				if got != want || reply.Rcode != tt.rcode {
					t.Errorf("%s: %q, wants %q: %v", dns.TypeToString[qtype], got, want, reply)
				}
			}
		})
	}
}

// TestJudge says of a name and a client what asking would say, also of what a cached answer leads to, and asks nobody.
func TestJudge(t *testing.T) {
	b := newBox(t)
	for _, name := range []string{"cloaked.example.", "worse.example."} {
		b.ask(t, child, question(name, dns.TypeA))
	}
	asked := b.asked.Load()
	for _, tt := range []struct {
		client string
		name   domain.Name
		rule   query.Rule
		told   query.Verdict
	}{
		{child, "games.example", query.Category, query.Verdict{Action: query.Block, Rule: query.Category, Category: config.Gaming}},
		{teacher, "games.example", query.Default, query.Verdict{}},
		{teacher, "illegal.example", query.Illegal, query.Verdict{Action: query.Block, Rule: query.OwnBlock}},
		{child, "cloaked.example", query.Category, query.Verdict{Action: query.Block, Rule: query.Category, Category: config.Gaming}},
		{teacher, "cloaked.example", query.Default, query.Verdict{}},
		{teacher, "worse.example", query.Illegal, query.Verdict{Action: query.Block, Rule: query.OwnBlock}},
		{child, "unknown.example", query.Default, query.Verdict{}},
	} {
		q := &query.Query{Start: b.now, Client: query.Client{Addr: netip.MustParseAddr(tt.client)}}
		if err := q.Question.Name.SetName(tt.name); err != nil {
			t.Fatal(err)
		}
		if told := b.Judge(q); told != tt.told || q.Verdict.Rule != tt.rule || q.Client.Device != "device" {
			t.Errorf("%s for %s: told %+v, rule %v", tt.name, tt.client, told, q.Verdict.Rule)
		}
	}
	if n := b.asked.Load(); n != asked {
		t.Errorf("%d questions went upstream", n-asked)
	}
}
