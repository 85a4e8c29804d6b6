package listen

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"schoolgate/resolver/query"
	"schoolgate/resolver/wire"
)

// street is a server without sockets, whose clock stands where it is set: packets go its way and come out as on a lane.
type street struct {
	*Server
	now     time.Time
	in, out int // bytes
	q       query.Query
	buf     [replyRoom]byte
}

func newStreet(t testing.TB, r Rates, inline func(*query.Query, []byte, []byte) ([]byte, bool)) *street {
	w := &street{now: time.Unix(1_800_000_000, 0)}
	w.Server = &Server{
		Addrs: []netip.AddrPort{localhost}, PerAddr: 1, Inline: inline, Resolve: newAnswerer().resolve,
		Now: func() time.Time { return w.now },
	}
	w.SetRates(r)
	if err := w.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// send has one UDP packet answered; nil is silence. The answer is good until the next is sent.
func (w *street) send(from netip.Addr, req []byte) []byte {
	begin(&w.q, w.now, 1, query.UDP, from)
	st := w.standing(from)
	resp, what := w.arrived(&w.q, st, req, w.buf[:0])
	switch what {
	case answered:
		resp = w.forUDP(&w.q, from, st, req, resp)
	case told:
	case missed, dropped:
		resp = nil
	}
	w.in, w.out = w.in+len(req), w.out+len(resp)
	return resp
}

// sized answers everything with TXT records of so many bytes in all.
func sized(n int) func(*query.Query, []byte, []byte) ([]byte, bool) {
	var body []byte
	records := uint16(0)
	for ; len(body) < n; records++ {
		body = append(body, 0, 0, 16, 0, 1, 0, 0, 0, 60, 0, 201, 200)
		body = append(body, make([]byte, 200)...)
	}
	return func(q *query.Query, req, dst []byte) ([]byte, bool) {
		return wire.AppendReply(dst, req, &q.Question, wire.Header{Answers: records}, body, wire.EDE{}), true
	}
}

func truncated(resp []byte) bool { return len(resp) > 3 && resp[2]&2 != 0 }

var defaults = Rates{Client: 1000, Network: 4000, Answers: 200, Spare: 128 << 10}

// Worst-case questions, as somebody sends them who claims the address of another: what leaves is at most twice what came and
// what the documents say may go beyond it.
func TestAmplification(t *testing.T) {
	worst := map[string][]byte{
		"TXT":                    question(t, 1, "big.example.", func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeTXT; m.SetEdns0(4096, false) }),
		"TXT, no EDNS":           question(t, 1, "big.example.", func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeTXT }),
		"ANY":                    question(t, 1, "big.example.", func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeANY; m.SetEdns0(4096, true) }),
		"DNSKEY with DO":         question(t, 1, "x.", func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeDNSKEY; m.SetEdns0(65535, true) }),
		"with a client's cookie": question(t, 1, "x.", bringing(ours)),
	}
	for name, req := range worst {
		for _, size := range []int{300, 3000} { // the second is cut to what UDP takes
			t.Run(fmt.Sprint(name, " ", size), func(t *testing.T) {
				w := newStreet(t, Rates{Spare: defaults.Spare}, sized(size)) // nothing else holds it back
				const seconds, perSecond = 5, 10_000
				for range seconds * perSecond {
					w.now = w.now.Add(time.Second / perSecond)
					w.send(v4(1), req)
				}
				spare := defaults.Spare * (seconds + int(surge/time.Second))
				if w.out > 2*w.in+spare {
					t.Errorf("%d bytes in, %d out: %.2f times", w.in, w.out, float64(w.out)/float64(w.in))
				}
			})
		}
	}
	t.Run("over all addresses of a network", func(t *testing.T) {
		w := newStreet(t, Rates{Spare: defaults.Spare}, sized(1000))
		const seconds, perSecond = 2, 50_000
		for i := range seconds * perSecond {
			w.now = w.now.Add(time.Second / perSecond)
			w.send(v4(i%200), worst["TXT"])
		}
		spare := crowd * defaults.Spare * (seconds + int(surge/time.Second))
		if w.out > 2*w.in+spare {
			t.Errorf("%d bytes in, %d out: %.2f times", w.in, w.out, float64(w.out)/float64(w.in))
		}
	})
	t.Run("over all networks that are answered", func(t *testing.T) {
		w := newStreet(t, Rates{Spare: defaults.Spare}, sized(1000))
		const seconds, perSecond = 2, 50_000
		for i := range seconds * perSecond {
			w.now = w.now.Add(time.Second / perSecond)
			w.send(netip.AddrFrom4([4]byte{10, byte(i >> 12), byte(i), byte(i >> 8)}), worst["TXT"])
		}
		spare := everybody * defaults.Spare * (seconds + 1)
		if w.out > 2*w.in+spare {
			t.Errorf("%d bytes in, %d out: %.2f times", w.in, w.out, float64(w.out)/float64(w.in))
		}
	})
	t.Run("without the limit there is much more", func(t *testing.T) {
		w := newStreet(t, Rates{}, sized(1000))
		w.send(v4(1), worst["TXT"])
		if w.out < 10*w.in {
			t.Errorf("%d in, %d out: the test would see nothing", w.in, w.out)
		}
	})
}

// What is said in place of an answer is not longer than what came by more than the cookie that leads the client on.
func TestChallengeIsShort(t *testing.T) {
	for _, req := range [][]byte{question(t, 1, "a.example."), question(t, 1, "a.example.", bringing()), question(t, 1, "a.example.", bringing(ours))} {
		w := newStreet(t, Rates{Spare: 1}, sized(1000))
		resp := w.send(v4(1), req)
		if m := new(dns.Msg); m.Unpack(resp) != nil || !m.Truncated && m.Rcode != dns.RcodeBadCookie || len(m.Answer) != 0 {
			t.Errorf("%x", resp)
		}
		if extra := len(resp) - len(req); extra > 16 || extra > 0 && resp[3]&15 != 7 {
			t.Errorf("%d bytes for %d", len(resp), len(req))
		}
	}
}

// Whoever shows that it has its address gets all answers.
func TestProvenIsNotHeldBack(t *testing.T) {
	w := newStreet(t, Rates{Network: 1, Answers: 1, Spare: 1}, sized(1000))
	m := new(dns.Msg)
	if err := m.Unpack(w.send(v4(1), question(t, 1, "a.example.", bringing(ours)))); err != nil {
		t.Fatal(err)
	}
	req := question(t, 2, "a.example.", bringing(carried(m)))
	for i := range 10_000 {
		if resp := w.send(v4(1), req); truncated(resp) || len(resp) < 1000 {
			t.Fatalf("answer %d is %d bytes", i, len(resp))
		}
	}
}

// The busiest second, ten seconds and minute that each of 150 devices of a recorded school day had, all at once, behind one
// router that nobody declared: every question is answered. (Each device's own busiest: 3,216, 5,908 and 10,035 questions.)
func TestMorningRush(t *testing.T) {
	for _, rush := range []struct {
		questions int
		within    time.Duration
	}{{3216, time.Second}, {5908, 10 * time.Second}, {10035, time.Minute}} {
		t.Run(rush.within.String(), func(t *testing.T) {
			w := newStreet(t, defaults, sized(200))
			for i := range rush.questions {
				w.now = w.now.Add(rush.within / time.Duration(rush.questions))
				req := question(t, uint16(i), fmt.Sprintf("site-%d.example.", i%1500), func(m *dns.Msg) { m.SetEdns0(1232, false) })
				if resp := w.send(v4(1), req); len(resp) < 200 {
					t.Fatalf("question %d got %d bytes", i, len(resp))
				}
			}
			if l := w.Stats().Limited; l != (Limited{}) {
				t.Errorf("%+v", l)
			}
		})
	}
}

// One address that asks far too much gets its rate, is told as often again to come by TCP, and no more. Others notice nothing.
func TestOneFloods(t *testing.T) {
	w := newStreet(t, defaults, newAnswerer().inline)
	got, told, silent := 0, 0, 0
	const seconds, perSecond = 10, 20_000
	flood, neighbour := question(t, 7, "blocked.example."), question(t, 8, "blocked.example.")
	for i := range seconds * perSecond {
		w.now = w.now.Add(time.Second / perSecond)
		resp := w.send(v4(1), flood)
		switch {
		case resp == nil:
			silent++
		case truncated(resp):
			told++
		default:
			got++
		}
		if i%1000 == 0 {
			if other := w.send(v4(2), neighbour); len(other) == 0 || truncated(other) {
				t.Fatalf("after %d the neighbour got %x", i, other)
			}
		}
	}
	if most := defaults.Client * (seconds + 6); got > most || told > most {
		t.Errorf("%d answers, %d told, %d silences", got, told, silent)
	}
	if got < defaults.Client*seconds || told < defaults.Client*seconds/2 {
		t.Errorf("%d answers, %d told: less than it may have", got, told)
	}
	if l := w.Stats().Limited; l.Client != uint64(told+silent) || l.Lost != uint64(silent) {
		t.Errorf("%+v", l)
	}
}

// Addresses at will in one /64 are held to what a network may; its honest clients come by TCP or cookie, other networks are as
// they were.
func TestNetworkFloods(t *testing.T) {
	w := newStreet(t, defaults, newAnswerer().inline)
	got := 0
	const seconds, perSecond = 10, 20_000
	for i := range seconds * perSecond {
		w.now = w.now.Add(time.Second / perSecond)
		if resp := w.send(v6(1, i), question(t, 7, fmt.Sprintf("n%d.example.", i%5000))); resp == nil {
			t.Fatal("silence, which an honest client would have to wait out")
		} else if !truncated(resp) {
			got++
		}
		if i%1000 == 0 {
			if other := w.send(v6(2, 1), question(t, 8, "blocked.example.")); truncated(other) {
				t.Fatal("another network is held back")
			}
		}
	}
	if most := defaults.Network * (seconds + 6); got > most {
		t.Errorf("%d answers", got)
	}
}

// A flood in the name of sixty thousand addresses, all of networks that are answered, is told to show that it is there; who asked
// before it began is answered as always, and who comes while it lasts is told the same.
func TestForgedFlood(t *testing.T) {
	judged := 0
	w := newStreet(t, defaults, func(q *query.Query, req, dst []byte) ([]byte, bool) {
		judged++
		return newAnswerer().inline(q, req, dst)
	})
	school := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 20, 0, byte(i)}) }
	req := question(t, 1, "blocked.example.")
	for i := range 200 {
		w.send(school(i), req)
	}
	judged = 0
	const seconds, perSecond = 5, 50_000
	for i := range seconds * perSecond {
		w.now = w.now.Add(time.Second / perSecond)
		if i%500 == 0 {
			if resp := w.send(school(i/500%200), req); truncated(resp) || len(resp) == 0 {
				t.Fatalf("after %d one of the school was not answered", i)
			}
			judged--
			continue
		}
		if w.send(netip.AddrFrom4([4]byte{10, 104, byte(i * 7 >> 8), byte(i * 7)}), req) == nil {
			t.Fatal("silence, which an honest client would have to wait out")
		}
	}
	// The rate, what may go ahead, and those who came before it was seen as a flood or stand where one of these does.
	if most := defaults.Network*(seconds+1) + seconds*perSecond/20; judged > most {
		t.Errorf("%d of %d were judged, want at most %d", judged, seconds*perSecond, most)
	}
	w.now = w.now.Add(2 * time.Second)
	if resp := w.send(v4(99), req); truncated(resp) {
		t.Error("after the flood a newcomer is not answered")
	}
}

// Proof makes known, and a day makes unknown.
func TestKnown(t *testing.T) {
	k, keys := newKnown(), newKeys()
	key, day := keys.addr(v4(1)), int64(knownFor)
	for _, step := range []struct {
		now  int64
		note bool
		want time.Duration
	}{{0, true, knownFor}, {0, false, 0}, {day / 2, false, knownFor / 2}, {day * 2, false, knownFor}, {day * 2, true, knownFor}, {day*2 + 5e9, false, 5e9}} {
		if got := k.age(key, step.now); got != step.want {
			t.Errorf("at %v: %v, want %v", time.Duration(step.now), got, step.want)
		}
		if step.note {
			k.note(key, step.now)
		}
	}
	if k.age(keys.addr(v4(2)), day*2) != knownFor {
		t.Error("a stranger is known")
	}
}

func TestSameAnswers(t *testing.T) {
	same := func(int) []byte { return question(t, 1, "popular.example.") }
	tests := []struct {
		name   string
		inline func(*query.Query, []byte, []byte) ([]byte, bool)
		req    func(i int) []byte
		want   int // answers of 10,000 at once
	}{
		{"the same", sized(20), same, 200 * 6},
		{"different ones", sized(20), func(i int) []byte { return question(t, 1, fmt.Sprintf("n%d.example.", i)) }, 10_000},
		{"no such name", newAnswerer().inline, func(i int) []byte { return question(t, 1, fmt.Sprintf("n%d.example.", i)) }, 200 * 6 * nothing},
		{"malformed", newAnswerer().inline, func(int) []byte { return question(t, 1, "a.example.")[:14] }, 200 * 6 * nothing},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := newStreet(t, Rates{Answers: 200}, tt.inline)
			got := 0
			for i := range 10_000 {
				if !truncated(w.send(v4(1), tt.req(i))) {
					got++
				}
			}
			if got < tt.want || got > tt.want+tt.want/100 {
				t.Errorf("%d answers, want %d", got, tt.want)
			}
		})
	}
}

// What a declared router asks is not counted as one client's, nor this machine's at all.
func TestRoutersAreNotHeldBack(t *testing.T) {
	w := newStreet(t, Rates{Client: 1, Network: 1, Answers: 1}, newAnswerer().inline)
	w.Standing = func(a netip.Addr) Standing { return map[netip.Addr]Standing{v4(1): Shared, v4(2): Local}[a] }
	for i := range 1000 {
		for _, from := range []netip.Addr{v4(1), v4(2)} {
			if resp := w.send(from, question(t, 1, "blocked.example.")); len(resp) == 0 || truncated(resp) {
				t.Fatalf("question %d of %v: %x", i, from, resp)
			}
		}
	}
	if resp := w.send(v4(3), question(t, 1, "blocked.example.")); truncated(resp) {
		t.Error("what others asked counted for a client")
	}
}

// Nothing that comes makes more of itself than twice, or breaks the way.
func TestAnythingArrives(t *testing.T) {
	w := newStreet(t, Rates{Client: 5, Network: 5, Answers: 5, Spare: 1}, sized(500))
	rapid.Check(t, func(t *rapid.T) {
		req := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "bytes")
		if rapid.Bool().Draw(t, "like a request") && len(req) >= 12 {
			copy(req[2:], []byte{1, 0, 0, 1, 0, 0, 0, 0, 0, 0})
		}
		w.now = w.now.Add(time.Duration(rapid.IntRange(0, 1000).Draw(t, "ms")) * time.Millisecond)
		if resp := w.send(v4(rapid.IntRange(0, 3).Draw(t, "from")), req); len(resp) > 2*len(req)+6 {
			t.Errorf("%d bytes for %d", len(resp), len(req))
		}
	})
}

// Too many questions over a stream are refused with the reason, and the stream goes on.
func TestStreamFloods(t *testing.T) {
	a := newAnswerer()
	s, addr := serving(t, a, localhost, nil)
	s.SetRates(Rates{Client: 2})
	c := dial(t, "tcp", addr)
	served, refused := 0, 0
	for i := range uint16(40) {
		c.send(question(t, i, "blocked.example.", bringing()))
		m := c.receive()
		switch {
		case m.Rcode == dns.RcodeNameError:
			served++
		case m.Rcode == dns.RcodeServerFailure && len(m.IsEdns0().Option) == 1:
			refused++
		}
	}
	if served < 12 || refused == 0 || served+refused != 40 {
		t.Errorf("%d served, %d refused", served, refused)
	}
	if n := len(a.records(t, served)); n != served {
		t.Errorf("%d of %d recorded", n, served)
	}
}
