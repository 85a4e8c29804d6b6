package upstream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// TestManyQuestionsSharePorts: in a crowd questions share ports, but no port carries many, or the same ID twice.
func TestManyQuestionsSharePorts(t *testing.T) {
	const n = 1000
	ids := map[int][]uint16{} // by port
	addr, stop := raw(t, func(pc *net.UDPConn, from *net.UDPAddr, msg []byte) {
		ids[from.Port] = append(ids[from.Port], binary.BigEndian.Uint16(msg))
		_, _ = pc.WriteToUDP(packed(t, answer(parsed(t, msg))), from)
	})
	p := pool(t, 5*time.Second, udp(addr))
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for k := range n / 4 {
				if _, err := exchange(p, context.Background(), ask(fmt.Sprintf("n%d.q%d.example.", i, k))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	stop()
	most, over := 0, 0
	for port, ids := range ids {
		seen := map[uint16]bool{}
		for _, id := range ids {
			if seen[id] {
				t.Errorf("ID %d twice from port %d", id, port)
			}
			seen[id] = true
		}
		most = max(most, len(ids))
		if len(ids) > portUses {
			over++ // the system may give out a number again
		}
	}
	if over > 2 || most == 1 || len(ids) < freshRun {
		t.Errorf("%d questions from %d ports, up to %d from one, %d too full", n, len(ids), most, over)
	}
	until(t, "the ports are closed", func() bool {
		ps := &p.servers[0].ports
		ps.mu.Lock()
		defer ps.mu.Unlock()
		return len(ps.all) == 0
	})
}

// open asks a server that never answers, from a port of its own.
func open(t *testing.T) (*ports, *waiter) {
	t.Helper()
	addr, _ := raw(t, func(*net.UDPConn, *net.UDPAddr, []byte) {})
	_, q, err := wired(ask("a.example."))
	if err != nil {
		t.Fatal(err)
	}
	ps := &pool(t, 5*time.Second, udp(addr)).servers[0].ports
	w, err := ps.send(newQuestion(&q), true, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ps, w
}

// TestPortEndsWithItsLastQuestion: neither before, nor never because that was not answered.
func TestPortEndsWithItsLastQuestion(t *testing.T) {
	ps, w := open(t)
	p := w.port
	p.retire()
	if err := p.conn.SetWriteDeadline(time.Time{}); err != nil {
		t.Errorf("closed while a question is under way: %v", err)
	}
	ps.release(w)
	if err := p.conn.SetWriteDeadline(time.Time{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("still open: %v", err)
	}
}

// TestPortTakesNoMore: a port that is used for long, or by many, would be worth finding out.
func TestPortTakesNoMore(t *testing.T) {
	for name, c := range map[string]struct {
		age  time.Duration
		used int
		not  bool
		want bool
	}{
		"young":     {portLife, portUses - 1, false, true},
		"too old":   {portLife + time.Millisecond, 1, false, false},
		"used up":   {0, portUses, false, false},
		"just used": {0, 1, true, false},
	} {
		ps, w := open(t)
		p := w.port
		p.used = c.used
		other := &waiter{q: w.q, sent: slices.Clone(w.sent), outcome: make(chan outcome, 1)}
		var not *port
		if c.not {
			not = p
		}
		if got := ps.share(other, true, not, p.born.Add(c.age)); got != c.want {
			t.Errorf("a port that is %s takes a question: %v", name, got)
		}
		ps.release(w)
	}
	ps, w := open(t)
	first := w.port
	for range openPorts {
		if err := ps.dial(&waiter{q: w.q, sent: slices.Clone(w.sent), outcome: make(chan outcome, 1)}, true, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if !first.retired {
		t.Error("a port of which another took the place still takes questions")
	}
	ps.release(w)
}

// TestRepeatedRepliesAreNoGuesses: what comes again or late is harmless at a port that others use.
func TestRepeatedRepliesAreNoGuesses(t *testing.T) {
	addr, _ := raw(t, func(pc *net.UDPConn, from *net.UDPAddr, msg []byte) {
		for range maxForeign + 1 {
			_, _ = pc.WriteToUDP(packed(t, answer(parsed(t, msg))), from)
		}
	})
	p := pool(t, 5*time.Second, udp(addr))
	ports := &p.servers[0].ports
	for i := range 10 {
		ports.mu.Lock()
		ports.fresh = time.Now().Add(time.Minute) // share
		ports.mu.Unlock()
		if _, err := exchange(p, context.Background(), ask(fmt.Sprintf("n%d.example.", i))); err != nil {
			t.Fatal(err)
		}
	}
	if s := p.Status()[0]; s.Failures != 0 {
		t.Errorf("status %+v", s)
	}
}

func TestErrorTextIsPrintable(t *testing.T) {
	p := pool(t, time.Second, udp(plain(t, echo).addr))
	s := p.servers[0]
	s.note(time.Now(), 0, fmt.Errorf("certificate for \x1b[31mevil\r\n\u202e%0300d", 1))
	got := p.Status()[0].LastErr
	if want := "certificate for ?[31mevil???000"; len(got) != maxErrText || got[:len(want)] != want {
		t.Errorf("%d bytes: %q", len(got), got)
	}
}

// TestAllocations: a question that is answered at once makes what it returns and little beside it.
func TestAllocations(t *testing.T) {
	pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		msg := make([]byte, 512)
		for {
			n, from, err := pc.ReadFromUDPAddrPort(msg)
			if err != nil {
				return
			}
			msg[2] |= 0x80
			_, _ = pc.WriteToUDPAddrPort(msg[:n], from)
		}
	})
	defer serving.Wait()
	defer pc.Close()
	p := pool(t, 5*time.Second, udp(pc.LocalAddr().(*net.UDPAddr).AddrPort()))
	ports := &p.servers[0].ports
	ports.mu.Lock()
	ports.fresh = time.Now().Add(time.Hour) // share
	ports.mu.Unlock()
	_, q, err := wired(ask("www.school.example."))
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := p.Exchange(context.Background(), &q); err != nil {
			t.Fatal(err)
		}
	}); n > 12 { // 7; the race detector makes pools forget
		t.Errorf("%v allocations", n)
	}
}
