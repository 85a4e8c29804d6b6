package cache

import (
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"schoolgate/blocklist/domain"
	"schoolgate/config"
	"schoolgate/resolver/wire"
)

var start = time.Date(2026, time.November, 2, 9, 0, 0, 0, time.UTC)

// limits are those of the tests that do not care.
func limits() config.Cache {
	return config.Cache{Size: 1 << 20, MaxTTL: config.Duration(24 * time.Hour), StaleFor: config.Duration(time.Hour)}
}

// request is a question as bytes and as the wire package reads it.
type request struct {
	bytes []byte
	q     wire.Question
}

func ask(t testing.TB, name string, typ uint16, change ...func(m *dns.Msg)) *request {
	t.Helper()
	m := new(dns.Msg).SetQuestion(name, typ)
	for _, f := range change {
		f(m)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	r := &request{bytes: b}
	if err := wire.ParseQuestion(b, &r.q); err != nil {
		t.Fatal(err)
	}
	return r
}

func edns(m *dns.Msg) { m.SetEdns0(1232, false) }
func do(m *dns.Msg)   { m.SetEdns0(1232, true) }
func cd(m *dns.Msg)   { m.CheckingDisabled = true }

func rr(t testing.TB, text string) dns.RR {
	t.Helper()
	r, err := dns.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// answer is a response to a question, with records given as text: "answer", then "ns: …" and "extra: …".
func answer(t testing.TB, name string, typ uint16, rcode int, records ...string) *dns.Msg {
	t.Helper()
	m := new(dns.Msg).SetQuestion(name, typ)
	m.Response, m.RecursionAvailable, m.Rcode = true, true, rcode
	for _, text := range records {
		if ns, ok := strings.CutPrefix(text, "ns: "); ok {
			m.Ns = append(m.Ns, rr(t, ns))
		} else if extra, ok := strings.CutPrefix(text, "extra: "); ok {
			m.Extra = append(m.Extra, rr(t, extra))
		} else {
			m.Answer = append(m.Answer, rr(t, text))
		}
	}
	return m
}

// put stores a message as it would come from an upstream; nil when it is refused on the way.
func put(c *Cache, q *wire.Question, m *dns.Msg, now time.Time) *Entry {
	b, err := m.Pack()
	if err != nil {
		return nil
	}
	r, err := wire.ReadReply(b)
	if err != nil {
		return nil
	}
	return c.Put(q, r, now)
}

func address(t testing.TB, name string, ttl int) *dns.Msg {
	return answer(t, name, dns.TypeA, dns.RcodeSuccess, fmt.Sprintf("%s %d IN A 192.0.2.1", name, ttl))
}

// read unpacks a reply with the oracle.
func read(t testing.TB, b []byte) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		t.Fatalf("reply cannot be read: %v\n%x", err, b)
	}
	return m
}

func texts(section []dns.RR) (lines []string) {
	for _, r := range section {
		lines = append(lines, strings.ReplaceAll(r.String(), "\t", " "))
	}
	return lines
}

func TestAppendGivesBackTheAnswer(t *testing.T) {
	c := New(limits())
	m := answer(t, "www.school.example.", dns.TypeA, dns.RcodeSuccess,
		"www.school.example. 300 IN CNAME web.host.example.", "web.host.example. 60 IN A 192.0.2.1", "web.host.example. 60 IN A 192.0.2.2",
		"ns: host.example. 3600 IN NS ns1.host.example.", "extra: ns1.host.example. 3600 IN A 192.0.2.53")
	m.SetEdns0(4096, true)
	m.AuthenticatedData, m.Authoritative = true, true
	want := m.Copy()
	first := ask(t, "www.school.example.", dns.TypeA)
	if e := put(c, &first.q, m, start); e == nil || e.TTL(start) != time.Minute {
		t.Fatalf("entry %+v", e)
	}
	if diff := cmp.Diff(want.String(), m.String()); diff != "" {
		t.Errorf("Put changed the message it was given: %s", diff)
	}
	get := ask(t, "wWw.schOOL.example.", dns.TypeA, edns, func(m *dns.Msg) { m.Id, m.RecursionDesired = 4711, false })
	e, state := c.Get(&get.q, start.Add(20*time.Second+999*time.Millisecond))
	if state != Fresh {
		t.Fatalf("state %v", state)
	}
	b := e.Append([]byte("xy"), get.bytes, &get.q, start.Add(20*time.Second+999*time.Millisecond))
	if string(b[:2]) != "xy" {
		t.Error("Append overwrote what was there")
	}
	got := read(t, b[2:])
	if got.Id != 4711 || got.RecursionDesired || !got.Response || !got.RecursionAvailable || got.Authoritative || got.AuthenticatedData || got.Rcode != 0 {
		t.Errorf("header %+v", got.MsgHdr)
	}
	if got.Question[0].Name != "wWw.schOOL.example." {
		t.Errorf("question %v", got.Question[0])
	}
	if diff := cmp.Diff([]string{"wWw.schOOL.example. 280 IN CNAME web.host.example.", "web.host.example. 40 IN A 192.0.2.1", "web.host.example. 40 IN A 192.0.2.2"}, texts(got.Answer)); diff != "" {
		t.Errorf("answer: %s", diff)
	}
	if diff := cmp.Diff([]string{"host.example. 3580 IN NS ns1.host.example."}, texts(got.Ns)); diff != "" {
		t.Errorf("authority: %s", diff)
	}
	if len(got.Extra) != 1 || got.IsEdns0() == nil || got.IsEdns0().Do() || got.IsEdns0().UDPSize() == 4096 {
		t.Errorf("additional: %v", got.Extra)
	}
	bare := ask(t, "www.school.example.", dns.TypeA, func(m *dns.Msg) { m.AuthenticatedData = true })
	got = read(t, e.Append(nil, bare.bytes, &bare.q, start))
	if got.IsEdns0() != nil || !got.AuthenticatedData || len(got.Extra) != 0 {
		t.Errorf("without EDNS and with AD:\n%v", got)
	}
}

func TestLife(t *testing.T) {
	const soa = "ns: example. %d IN SOA ns1.example. admin.example. 1 7200 900 1209600 %d"
	bounds := config.Cache{Size: 1 << 20, MinTTL: config.Duration(10 * time.Second), MaxTTL: config.Duration(2 * time.Hour)}
	for _, tt := range []struct {
		name    string
		limits  config.Cache
		rcode   int
		records []string
		want    time.Duration
	}{
		{"the least of the answers", limits(), 0, []string{"a.example. 300 IN CNAME b.example.", "b.example. 30 IN A 192.0.2.1"}, 30 * time.Second},
		{"authority does not count", limits(), 0, []string{"a.example. 300 IN A 192.0.2.1", "ns: example. 5 IN NS ns.example."}, 300 * time.Second},
		{"raised", bounds, 0, []string{"a.example. 3 IN A 192.0.2.1"}, 10 * time.Second},
		{"lowered", bounds, 0, []string{"a.example. 86400 IN A 192.0.2.1"}, 2 * time.Hour},
		{"zero is not stored", limits(), 0, []string{"a.example. 0 IN A 192.0.2.1"}, 0},
		{"top bit set is zero", limits(), 0, []string{"a.example. 2147483648 IN A 192.0.2.1"}, 0},
		{"NXDOMAIN by MINIMUM", limits(), 3, []string{fmt.Sprintf(soa, 900, 120)}, 2 * time.Minute},
		{"NXDOMAIN by the SOA's TTL", limits(), 3, []string{fmt.Sprintf(soa, 60, 120)}, time.Minute},
		{"NODATA", limits(), 0, []string{fmt.Sprintf(soa, 900, 120)}, 2 * time.Minute},
		{"negative for an hour at most", limits(), 3, []string{fmt.Sprintf(soa, 86400, 86400)}, time.Hour},
		{"negative zero", limits(), 3, []string{fmt.Sprintf(soa, 86400, 0)}, 0},
		{"alias to no data", limits(), 0, []string{"a.example. 20 IN CNAME b.example.", fmt.Sprintf(soa, 900, 120)}, 20 * time.Second},
		{"alias to no data, SOA shorter", limits(), 0, []string{"a.example. 600 IN CNAME b.example.", fmt.Sprintf(soa, 900, 120)}, 2 * time.Minute},
		{"alias to no such name", limits(), 3, []string{"a.example. 600 IN CNAME b.example.", fmt.Sprintf(soa, 900, 120)}, 2 * time.Minute},
		{"NXDOMAIN without SOA", limits(), 3, nil, 30 * time.Second},
		{"NODATA without SOA", limits(), 0, nil, 30 * time.Second},
		{"alias that ends nowhere", limits(), 0, []string{"a.example. 600 IN CNAME b.example."}, 30 * time.Second},
		{"referral", limits(), 0, []string{"ns: example. 3600 IN NS ns.example."}, 0},
		{"SERVFAIL", limits(), 2, nil, 5 * time.Second},
		{"REFUSED", limits(), 5, nil, 5 * time.Second},
		{"FORMERR", limits(), 1, nil, 5 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := New(tt.limits)
			r := ask(t, "a.example.", dns.TypeA)
			e := put(c, &r.q, answer(t, "a.example.", dns.TypeA, tt.rcode, tt.records...), start)
			if e == nil || e.RCode() != uint16(tt.rcode) {
				t.Fatalf("entry %+v", e)
			}
			if got := e.TTL(start); got != tt.want {
				t.Errorf("lives %v, want %v", got, tt.want)
			}
			if m := read(t, e.Append(nil, r.bytes, &r.q, start)); m.Rcode != tt.rcode || len(m.Answer)+len(m.Ns) != len(tt.records) {
				t.Errorf("not to be answered from:\n%v", m)
			}
			_, state := c.Get(&r.q, start.Add(max(0, tt.want-1)))
			if want := map[bool]State{true: Fresh, false: Miss}[tt.want > 0]; state != want {
				t.Errorf("just before its end: %v, want %v", state, want)
			}
			if _, state := c.Get(&r.q, start.Add(tt.want)); state == Fresh {
				t.Error("fresh at its end")
			}
		})
	}
}

func TestNegativeAnswerTellsItsLife(t *testing.T) {
	c := New(limits())
	r := ask(t, "a.example.", dns.TypeA)
	put(c, &r.q, answer(t, "a.example.", dns.TypeA, dns.RcodeNameError, "ns: example. 86400 IN SOA ns1.example. admin.example. 1 7200 900 1209600 120"), start)
	now := start.Add(30 * time.Second)
	e, _ := c.Get(&r.q, now)
	m := read(t, e.Append(nil, r.bytes, &r.q, now))
	if ttl := m.Ns[0].Header().Ttl; ttl != 90 || m.Rcode != dns.RcodeNameError {
		t.Errorf("SOA record lives %d s in\n%v", ttl, m)
	}
}

func TestStale(t *testing.T) {
	c := New(limits())
	r := ask(t, "a.example.", dns.TypeA, do)
	m := address(t, "a.example.", 60)
	m.AuthenticatedData = true
	put(c, &r.q, m, start)
	e, state := c.Get(&r.q, start.Add(time.Minute))
	if state != Stale {
		t.Fatalf("state %v", state)
	}
	got := read(t, e.AppendStale(nil, r.bytes, &r.q, wire.EDE{Code: wire.EDEStale, Text: "upstream is silent"}))
	if ttl := got.Answer[0].Header().Ttl; ttl != 30 || got.AuthenticatedData {
		t.Errorf("TTL %d, AD %v", ttl, got.AuthenticatedData)
	}
	if ede := got.IsEdns0().Option[0].(*dns.EDNS0_EDE); ede.InfoCode != 3 || ede.ExtraText != "upstream is silent" {
		t.Errorf("extended error %v", ede)
	}
	if _, state := c.Get(&r.q, start.Add(time.Hour+time.Minute-1)); state != Stale {
		t.Errorf("at the end of the stale time: %v", state)
	}
	if _, state := c.Get(&r.q, start.Add(time.Hour+time.Minute)); state != Miss {
		t.Errorf("after the stale time: %v", state)
	}
	if got := c.Stats(); got.Entries != 0 || got.Stale != 2 || got.Misses != 1 || got.Hits != 0 {
		t.Errorf("stats %+v", got)
	}
}

func TestFailureDoesNotReplaceAnAnswer(t *testing.T) {
	c := New(limits())
	r := ask(t, "a.example.", dns.TypeA)
	fail := func(now time.Time) *Entry {
		return put(c, &r.q, answer(t, "a.example.", dns.TypeA, dns.RcodeServerFailure), now)
	}
	put(c, &r.q, address(t, "a.example.", 60), start)
	late := start.Add(10 * time.Minute)
	if e := fail(late); e.RCode() != wire.ServFail {
		t.Errorf("entry has code %d", e.RCode())
	}
	for after, want := range map[time.Duration]State{0: Spare, 30*time.Second - 1: Spare, 30 * time.Second: Stale} {
		if e, state := c.Get(&r.q, late.Add(after)); state != want || e.RCode() != wire.NoError {
			t.Errorf("state %v after %v, want %v", state, after, want)
		}
	}
	later := start.Add(2 * time.Hour)
	fail(later)
	if e, state := c.Get(&r.q, later.Add(4*time.Second)); state != Fresh || e.RCode() != wire.ServFail {
		t.Errorf("failure is not kept: %v", state)
	}
	if _, state := c.Get(&r.q, later.Add(5*time.Second)); state != Miss {
		t.Errorf("failure after its time: %v", state)
	}
	fail(later)
	put(c, &r.q, address(t, "a.example.", 60), later)
	if e, _ := c.Get(&r.q, later); e.RCode() != wire.NoError {
		t.Error("a failure was not replaced by an answer")
	}
}

func TestKeysAreSeparate(t *testing.T) {
	c := New(limits())
	asks := map[string]*request{
		"plain": ask(t, "a.example.", dns.TypeA), "DO": ask(t, "a.example.", dns.TypeA, do), "CD": ask(t, "a.example.", dns.TypeA, cd),
		"DO CD": ask(t, "a.example.", dns.TypeA, do, cd), "name": ask(t, "b.example.", dns.TypeA),
	}
	for name, r := range asks {
		if _, state := c.Get(&r.q, start); state != Miss {
			t.Errorf("%s: %v before it was put", name, state)
		}
		m := address(t, strings.TrimSuffix(r.q.Name.Name().String(), ".")+".", 60)
		if put(c, &r.q, m, start) == nil {
			t.Errorf("%s: not taken", name)
		}
	}
	six := ask(t, "a.example.", dns.TypeAAAA)
	if _, state := c.Get(&six.q, start); state != Miss {
		t.Errorf("type: %v", state)
	}
	if n := c.Stats().Entries; n != len(asks) {
		t.Errorf("%d entries for %d questions", n, len(asks))
	}
	same := ask(t, "A.EXAMPLE.", dns.TypeA, edns)
	if _, state := c.Get(&same.q, start); state != Fresh {
		t.Error("case or EDNS makes another question")
	}
}

func TestPutRefuses(t *testing.T) {
	c := New(limits())
	r := ask(t, "a.example.", dns.TypeA)
	for name, change := range map[string]func(m *dns.Msg){
		"truncated":        func(m *dns.Msg) { m.Truncated = true },
		"a request":        func(m *dns.Msg) { m.Response = false },
		"no question":      func(m *dns.Msg) { m.Question = nil },
		"another name":     func(m *dns.Msg) { m.Question[0].Name = "b.example." },
		"another type":     func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAAAA },
		"unpackable":       func(m *dns.Msg) { m.Answer[0].Header().Name = strings.Repeat("a", 64) + ".example." },
		"impossible RCODE": func(m *dns.Msg) { m.Rcode = 1 << 12 },
	} {
		m := address(t, "a.example.", 60)
		change(m)
		if e := put(c, &r.q, m, start); e != nil {
			t.Errorf("%s: made %+v", name, e)
		}
	}
	if n := c.Stats().Entries; n != 0 {
		t.Errorf("%d entries", n)
	}
}

func TestTargets(t *testing.T) {
	c := New(limits())
	for _, tt := range []struct {
		typ     uint16
		records []string
		want    []string
	}{
		{dns.TypeA, []string{"a.example. 60 IN A 192.0.2.1", "extra: b.example. 60 IN CNAME ignored.example."}, nil},
		{dns.TypeA, []string{"a.example. 60 IN CNAME B.Tracker.example.", "b.tracker.example. 60 IN CNAME c.example.", "c.example. 60 IN A 192.0.2.1"}, []string{"b.tracker.example", "c.example"}},
		{dns.TypeA, []string{"example. 60 IN DNAME other.example.", "a.example. 60 IN CNAME a.other.example."}, []string{"other.example", "a.other.example"}},
		{dns.TypeHTTPS, []string{"a.example. 60 IN HTTPS 1 . alpn=h2", "a.example. 60 IN HTTPS 2 A.example.", "a.example. 60 IN HTTPS 3 Pool.example. port=8443"}, []string{"pool.example"}},
		{dns.TypeSVCB, []string{"a.example. 60 IN SVCB 0 x.example."}, []string{"x.example"}},
	} {
		r := ask(t, "a.example.", tt.typ)
		e := put(c, &r.q, answer(t, "a.example.", tt.typ, 0, tt.records...), start)
		var got []string
		var w domain.Wire
		for off, ok := e.NextTarget(0, &w); ok; off, ok = e.NextTarget(off, &w) {
			got = append(got, w.Name().String())
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%v: %s", tt.records, diff)
		}
	}
}

func TestExtendedErrorIsPassedOn(t *testing.T) {
	c := New(limits())
	r := ask(t, "a.example.", dns.TypeA, edns)
	m := answer(t, "a.example.", dns.TypeA, dns.RcodeNameError)
	m.SetEdns0(1232, false)
	m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeFiltered, ExtraText: "not passed on"}}
	e := put(c, &r.q, m, start)
	got := read(t, e.Append(nil, r.bytes, &r.q, start))
	if o := got.IsEdns0().Option; e.EDE() != 17 || len(o) != 1 || o[0].(*dns.EDNS0_EDE).InfoCode != 17 {
		t.Errorf("options %v", o)
	}
}

func TestNothingIsStoredWithoutRoom(t *testing.T) {
	for _, size := range []config.Size{-1, 0, 100} {
		c := New(config.Cache{Size: size})
		r := ask(t, "a.example.", dns.TypeA)
		e := put(c, &r.q, address(t, "a.example.", 60), start)
		if e == nil {
			t.Fatalf("size %d: no entry to answer from", size)
		}
		if _, state := c.Get(&r.q, start); state != Miss {
			t.Errorf("size %d: %v", size, state)
		}
	}
}

func TestFlush(t *testing.T) {
	c := New(limits())
	r := ask(t, "a.example.", dns.TypeA)
	put(c, &r.q, address(t, "a.example.", 60), start)
	empty, full := New(limits()).Stats().Bytes, c.Stats().Bytes
	c.Flush()
	if _, state := c.Get(&r.q, start); state != Miss {
		t.Errorf("state %v", state)
	}
	if s := c.Stats(); s.Entries != 0 || s.Bytes != empty || full <= empty {
		t.Errorf("stats %+v; %d bytes before, %d when new", s, full, empty)
	}
}

func TestHitDoesNotAllocate(t *testing.T) {
	c := New(limits())
	r := ask(t, "www.school.example.", dns.TypeA, do)
	m := answer(t, "www.school.example.", dns.TypeA, 0, "www.school.example. 300 IN CNAME web.host.example.", "web.host.example. 60 IN A 192.0.2.1")
	put(c, &r.q, m, start)
	miss := ask(t, "other.example.", dns.TypeA)
	buf := make([]byte, 0, 1232)
	var w domain.Wire
	if n := testing.AllocsPerRun(1000, func() {
		e, _ := c.Get(&r.q, start)
		for off, ok := e.NextTarget(0, &w); ok; off, ok = e.NextTarget(off, &w) {
		}
		buf = e.Append(buf[:0], r.bytes, &r.q, start)
		buf = e.AppendStale(buf[:0], r.bytes, &r.q, wire.EDE{Code: wire.EDEStale})
		c.Get(&miss.q, start)
	}); n != 0 {
		t.Errorf("%v allocations for a hit and a miss", n)
	}
}

func TestConcurrentUse(t *testing.T) {
	c := New(config.Cache{Size: 64 << 10, StaleFor: config.Duration(time.Hour)})
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 500 {
				name := fmt.Sprintf("n%d.example.", (i*7+g)%300)
				r := ask(t, name, dns.TypeA)
				now := start.Add(time.Duration(i) * time.Second)
				e, state := c.Get(&r.q, now)
				if state == Miss {
					e = put(c, &r.q, address(t, name, 60), now)
				}
				if m := read(t, e.Append(nil, r.bytes, &r.q, now)); m.Answer[0].Header().Name != name || !m.Answer[0].(*dns.A).A.Equal(net.IPv4(192, 0, 2, 1)) {
					t.Errorf("reply to %s:\n%v", name, m)
				}
				if i%100 == 0 {
					c.Stats()
				}
			}
			c.Flush()
		})
	}
	all.Wait()
	runtime.KeepAlive(c)
}
