package upstream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"schoolgate/config"
	"schoolgate/resolver/wire"
)

func TestExchangeRestoresTheRequest(t *testing.T) {
	requests := make(chan *dns.Msg, 1)
	f := plain(t, func(w dns.ResponseWriter, r *dns.Msg) {
		requests <- r.Copy()
		m := answer(r)
		m.Ns = []dns.RR{&dns.NS{Hdr: dns.RR_Header{Name: r.Question[0].Name[4:], Rrtype: dns.TypeNS, Class: dns.ClassINET, Ttl: 9}, Ns: "ns." + r.Question[0].Name[4:]}}
		_ = w.WriteMsg(m)
	})
	p := pool(t, time.Second, udp(f.addr))
	req := ask("wWw.SCHOOL.example.")
	req.Id, req.RecursionDesired, req.CheckingDisabled = 4711, false, true
	req.SetEdns0(4096, true)
	req.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_LOCAL{Code: 65001, Data: []byte{2, 0, 0, 0, 0, 1}}}
	got, err := exchange(p, context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	if got.Id != 4711 || got.RecursionDesired || got.Question[0] != req.Question[0] || got.Answer[0].Header().Name != "wWw.SCHOOL.example." {
		t.Errorf("reply does not fit its request:\n%v", got)
	}
	if ns := got.Ns[0].(*dns.NS); ns.Ns != "ns.SCHOOL.example." || ns.Hdr.Name != "SCHOOL.example." {
		t.Errorf("names of the reply carry another letter case than the request: %v", ns)
	}
	sent := <-requests
	opt := sent.IsEdns0()
	if !sent.RecursionDesired || !sent.CheckingDisabled || !sent.AuthenticatedData || opt == nil || !opt.Do() || opt.UDPSize() != 1232 || len(opt.Option) != 1 || len(cookieOf(sent)) != 16 {
		t.Errorf("sent upstream:\n%v", sent)
	}
}

func TestExchangeErrors(t *testing.T) {
	ctx := context.Background()
	if _, err := exchange(pool(t, time.Second), ctx, ask("a.example.")); !errors.Is(err, ErrNoServers) {
		t.Errorf("without servers: %v", err)
	}
	f := plain(t, echo)
	p := pool(t, time.Second, udp(f.addr))
	p.close()
	if _, err := exchange(p, ctx, ask("a.example.")); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestErrorListsEachServerAndNoName(t *testing.T) {
	a, b := plain(t, silent), plain(t, silent)
	p := pool(t, 50*time.Millisecond, udp(a.addr), udp(b.addr))
	_, err := exchange(p, context.Background(), ask("secret.example."))
	var e *Error
	if !errors.As(err, &e) || len(e.Causes) != 2 {
		t.Fatalf("error is %v", err)
	}
	if got, want := []string{e.Causes[0].Server, e.Causes[1].Server}, []string{"udp://" + a.addr.String(), "udp://" + b.addr.String()}; !cmp.Equal(got, want) {
		t.Error(cmp.Diff(want, got))
	}
	if strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), a.addr.String()) {
		t.Errorf("error text: %s", err)
	}
}

func TestRefusalsGoToTheNextServer(t *testing.T) {
	bogus := func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg).SetRcode(r, dns.RcodeServerFailure)
		m.SetEdns0(1232, false)
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeDNSBogus}}
		_ = w.WriteMsg(m)
	}
	for _, tt := range []struct {
		name          string
		first, second dns.HandlerFunc
		want          int
		asked         int64 // of the second server
	}{
		{"SERVFAIL then an answer", code(dns.RcodeServerFailure), echo, dns.RcodeSuccess, 1},
		{"REFUSED then an answer", code(dns.RcodeRefused), echo, dns.RcodeSuccess, 1},
		{"the last of two refusals", code(dns.RcodeServerFailure), code(dns.RcodeRefused), dns.RcodeRefused, 1},
		{"NXDOMAIN is an answer", code(dns.RcodeNameError), echo, dns.RcodeNameError, 0},
		{"a failed validation is final", bogus, echo, dns.RcodeServerFailure, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := plain(t, tt.first), plain(t, tt.second)
			p := pool(t, 2*time.Second, udp(a.addr), udp(b.addr))
			got, err := exchange(p, context.Background(), ask("a.example."))
			if err != nil {
				t.Fatal(err)
			}
			if got.Rcode != tt.want || b.seen.Load() != tt.asked {
				t.Errorf("rcode %d, want %d; second server asked %d times, want %d", got.Rcode, tt.want, b.seen.Load(), tt.asked)
			}
			for _, s := range p.Status() {
				if !s.Healthy || s.Fails != 0 {
					t.Errorf("a refusal counts against the health of %+v", s)
				}
			}
		})
	}
}

func TestFailoverAndRecovery(t *testing.T) {
	a, b := plain(t, silent), plain(t, echo)
	p := pool(t, 500*time.Millisecond, udp(a.addr), udp(b.addr))
	p.hedge = 10 * time.Millisecond
	p.servers[0].rest = 20 * time.Millisecond
	for i := range maxFails {
		if _, err := exchange(p, context.Background(), ask(fmt.Sprintf("n%d.example.", i))); err != nil {
			t.Fatal(err)
		}
	}
	// The second server won each race, and yet the first is found out.
	until(t, "the silent server is down", func() bool { return !p.Status()[0].Healthy })
	if s := p.Status()[0]; s.Fails < maxFails || s.Failures < maxFails || s.LastErr == "" {
		t.Errorf("status %+v", s)
	}
	until(t, "all attempts are over", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.live == 0
	})
	p.hedge = time.Hour // a slow machine is no reason to ask the other
	before := a.seen.Load()
	if _, err := exchange(p, context.Background(), ask("direct.example.")); err != nil {
		t.Fatal(err)
	}
	if n := a.seen.Load(); n != before {
		t.Errorf("a server that is down was asked, though another answers")
	}
	a.set(echo)
	run(t, p)
	until(t, "the server is probed back to health", func() bool { return p.Status()[0].Healthy })
	before = b.seen.Load()
	if _, err := exchange(p, context.Background(), ask("back.example.")); err != nil {
		t.Fatal(err)
	}
	if b.seen.Load() != before {
		t.Error("the preferred server is back but was not preferred")
	}
}

func TestProbeBacksOff(t *testing.T) {
	p := pool(t, time.Second, config.Server{})
	s, now := p.servers[0], time.Now()
	for range maxFails {
		s.note(now, 0, errAlien)
	}
	if at, down := s.due(now); !down || at.Sub(now) != firstRest {
		t.Fatalf("first probe due after %v, down %v", at.Sub(now), down)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for range 10 {
		s.probe(ctx) // fails at once: the context has ended
	}
	if at, _ := s.due(now); s.backoff != longestRest || time.Until(at) < longestRest/2 {
		t.Errorf("back-off %v, due in %v", s.backoff, time.Until(at))
	}
	if _, down := s.due(now.Add(time.Hour)); !down {
		t.Error("a server whose time has come is not due")
	}
	if _, down := s.due(now.Add(time.Hour)); down {
		t.Error("a server is due for a second probe during the first")
	}
	s.note(now, time.Millisecond, nil)
	if !s.healthy() {
		t.Error("an answer does not bring a server back")
	}
}

func TestAllDownAreStillAsked(t *testing.T) {
	f := plain(t, echo)
	p := pool(t, time.Second, udp(f.addr))
	for range maxFails {
		p.servers[0].note(time.Now(), 0, errAlien)
	}
	if _, err := exchange(p, context.Background(), ask("a.example.")); err != nil {
		t.Fatal(err)
	}
	if !p.Status()[0].Healthy {
		t.Error("a server that answered is still down")
	}
}

func TestSlowServerIsHedged(t *testing.T) {
	release := make(chan struct{})
	a := plain(t, func(w dns.ResponseWriter, r *dns.Msg) { <-release; echo(w, r) })
	b := plain(t, echo)
	p := pool(t, 5*time.Second, udp(a.addr), udp(b.addr))
	p.hedge = 10 * time.Millisecond
	if _, err := exchange(p, context.Background(), ask("a.example.")); err != nil {
		t.Fatal(err)
	}
	if b.seen.Load() != 1 {
		t.Errorf("second server asked %d times", b.seen.Load())
	}
	close(release)
	until(t, "the late answer is noted", func() bool { s := p.Status()[0]; return s.Queries == 1 && s.RTT > 0 && s.Failures == 0 })
}

// watched tells when Exchange begins to wait: then it has joined a flight.
type watched struct {
	context.Context
	waits func()
}

func (w watched) Done() <-chan struct{} {
	w.waits()
	return w.Context.Done()
}

func TestIdenticalQuestionsShareOneExchange(t *testing.T) {
	const n = 200
	release := make(chan struct{})
	f := plain(t, func(w dns.ResponseWriter, r *dns.Msg) { <-release; echo(w, r) })
	p := pool(t, 5*time.Second, udp(f.addr))
	p.servers[0].timeout = maxBudget // the retry at half of it must not come
	cancelled, cancel := context.WithCancel(context.Background())
	gone := make(chan error, 1)
	replies := make([]*dns.Msg, n)
	var joined, all sync.WaitGroup
	joined.Add(n)
	for i := range n {
		all.Go(func() {
			ctx := context.Background()
			if i == 0 {
				ctx = cancelled
			}
			req := ask("same.example.")
			if i%2 == 1 {
				req = ask("SAME.example.")
			}
			var err error
			replies[i], err = exchange(p, watched{ctx, sync.OnceFunc(joined.Done)}, req)
			if i == 0 {
				gone <- err
			} else if err != nil {
				t.Error(err)
			}
		})
	}
	joined.Wait()
	until(t, "the question arrives", func() bool { return f.seen.Load() > 0 })
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled asker got %v", err)
	}
	close(release)
	all.Wait()
	if got := f.seen.Load(); got != 1 {
		t.Errorf("upstream saw %d questions for %d askers", got, n)
	}
	a, b := replies[1], replies[2]
	if a == nil || b == nil || a.Question[0].Name != "SAME.example." || b.Question[0].Name != "same.example." {
		t.Fatalf("replies %v and %v", a, b)
	}
}

func TestDifferentQuestionsAreNotShared(t *testing.T) {
	seen := map[string]bool{}
	for what, change := range map[string]func(q *wire.Question){
		"plain": func(*wire.Question) {}, "DO": func(q *wire.Question) { q.DO = true }, "CD": func(q *wire.Question) { q.CD = true },
		"class": func(q *wire.Question) { q.Class = 3 }, "type": func(q *wire.Question) { q.Type = wire.TypeAAAA },
		"name": func(q *wire.Question) { _ = q.Name.SetName("b.example") },
	} {
		_, q, err := wired(ask("a.example."))
		if err != nil {
			t.Fatal(err)
		}
		change(&q)
		key := newQuestion(&q).key
		if seen[key] {
			t.Errorf("%s: key %q is shared with another question", what, key)
		}
		seen[key] = true
	}
}

func TestManyDistinctQuestions(t *testing.T) {
	f := plain(t, echo)
	p := pool(t, 5*time.Second, udp(f.addr))
	distinct(t, p, 200)
	if f.seen.Load() < 200 {
		t.Errorf("upstream saw %d questions", f.seen.Load())
	}
}

// distinct asks n questions at once.
func distinct(t *testing.T, p *Pool, n int) {
	t.Helper()
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			name := fmt.Sprintf("n%d.example.", i)
			m, err := exchange(p, context.Background(), ask(name))
			if err != nil {
				t.Error(err)
			} else if m.Question[0].Name != name || len(m.Answer) != 1 || m.Answer[0].Header().Name != name {
				t.Errorf("reply to %s is\n%v", name, m)
			}
		})
	}
	all.Wait()
}

func TestFlightsAreBounded(t *testing.T) {
	f := plain(t, silent)
	p := pool(t, 5*time.Second, udp(f.addr))
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for i := range maxFlights {
		all.Go(func() { _, _ = exchange(p, ctx, ask(fmt.Sprintf("n%d.example.", i))) })
	}
	until(t, "all are under way", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.live == maxFlights
	})
	if _, err := exchange(p, ctx, ask("more.example.")); !errors.Is(err, ErrBusy) {
		t.Errorf("one too many: %v", err)
	}
	if _, _, err := p.join(mustQuestion(t, "n0.example.")); err != nil {
		t.Errorf("joining a question under way: %v", err)
	}
	cancel()
	all.Wait()
	p.close()
	if n := p.live + len(p.flights); n != 0 {
		t.Errorf("%d flights are left after closing", n)
	}
	if s := p.Status()[0]; s.Failures != 0 {
		t.Errorf("closing counts as %d failures of the server", s.Failures)
	}
}

func mustQuestion(t *testing.T, name string) *question {
	t.Helper()
	_, q, err := wired(ask(name))
	if err != nil {
		t.Fatal(err)
	}
	return newQuestion(&q)
}

// A slow first server overtaken each time must not use up the room of questions that wait; but what runs on is bounded.
func TestOvertakenAttemptsLeaveRoom(t *testing.T) {
	p := pool(t, 5*time.Second, udp(plain(t, silent).addr))
	p.live = maxLive - 1
	if _, _, err := p.join(mustQuestion(t, "a.example.")); err != nil {
		t.Errorf("beside settled flights: %v", err)
	}
	if _, _, err := p.join(mustQuestion(t, "b.example.")); !errors.Is(err, ErrBusy) {
		t.Errorf("beyond all bounds: %v", err)
	}
}

func TestWaiterEndsWithThePool(t *testing.T) {
	f := plain(t, silent)
	p := pool(t, 5*time.Second, udp(f.addr))
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error)
	go func() { ran <- p.Run(ctx) }()
	asked := make(chan error)
	go func() {
		_, err := exchange(p, context.Background(), ask("a.example."))
		asked <- err
	}()
	until(t, "the question arrives", func() bool { return f.seen.Load() > 0 })
	cancel()
	if err := <-asked; err == nil {
		t.Error("an asker got an answer from a closed pool")
	}
	if err := <-ran; err != nil {
		t.Error(err)
	}
}

func TestLogIsRateLimitedAndNamesNobody(t *testing.T) {
	var out strings.Builder
	p := New(config.Upstream{Servers: []config.Server{{}}}, slog.New(slog.NewTextHandler(&out, nil)))
	s, now := p.servers[0], time.Now()
	for i := range 100 {
		s.note(now.Add(time.Duration(i)*time.Second), 0, errAlien)
	}
	if n := strings.Count(out.String(), "upstream server failed"); n != 2 {
		t.Errorf("%d lines for 100 failures in 100 seconds", n)
	}
	if n := strings.Count(out.String(), "is down"); n != 1 || !strings.Contains(out.String(), "unreported=59") {
		t.Errorf("log:\n%s", out.String())
	}
	out.Reset()
	for range 10 { // flapping
		s.note(now, 0, nil)
		for range maxFails {
			s.note(now, 0, errAlien)
		}
	}
	if n := strings.Count(out.String(), "\n"); n > 3 {
		t.Errorf("%d lines for a flapping server:\n%s", n, out.String())
	}
}
