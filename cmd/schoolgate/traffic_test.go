package main

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// traffic is devices that ask, each at a steady pace and one question after the other, and never the same twice: one half
// for what is blocked, one half for what must be asked upstream. It is the type that makes most questions new, since the
// record shortens the names of a device that asks for very many.
type traffic struct {
	b     *box
	pace  time.Duration // between two questions of a device
	wg    sync.WaitGroup
	leave context.CancelFunc

	mu       sync.Mutex
	answered map[asked]time.Time // when the answer had come
	rcodes   map[int]int
	failed   []error
}

// asked is one question.
type asked struct {
	name  string
	qtype uint16
}

// nth is the question that a device asks as its nth.
func nth(device, n int) asked {
	const names, private = 80, 65280 // the first of 255 types for private use (RFC 6895)
	site := [...]string{"roblox.com", "lesson.example"}[n%2]
	n /= 2
	return asked{fmt.Sprintf("d%d-%d.%s", device, n%names, site), private + uint16(n/names%255)}
}

// startTraffic begins to ask from so many devices. It stops when told to or when the box has ended.
func startTraffic(t testing.TB, b *box, devices int, pace time.Duration) *traffic {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	tr := &traffic{b: b, pace: pace, leave: leave, answered: map[asked]time.Time{}, rcodes: map[int]int{}}
	for i := range devices {
		local := &net.UDPAddr{IP: net.IPv4(127, 30, 0, byte(i+1))}
		conn, err := net.DialUDP("udp", local, net.UDPAddrFromAddrPort(b.dns))
		if err != nil {
			t.Fatal(err)
		}
		tr.wg.Go(func() {
			defer conn.Close()
			tr.ask(ctx, i, conn)
		})
	}
	t.Cleanup(func() { leave(); tr.wg.Wait() })
	return tr
}

func (tr *traffic) ask(ctx context.Context, device int, conn *net.UDPConn) {
	tick := time.NewTicker(tr.pace)
	defer tick.Stop()
	buf := make([]byte, 4096)
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tr.b.ended:
			return
		case <-tick.C:
		}
		question := nth(device, n)
		reply, err := tr.exchange(conn, question, buf)
		at := time.Now()
		select {
		case <-tr.b.ended:
			err = nil // no answer: it was asked of a process that had ended
		default:
		}
		tr.mu.Lock()
		switch {
		case err != nil:
			tr.failed = append(tr.failed, fmt.Errorf("%s: %w", question.name, err))
		case reply != nil:
			tr.answered[question] = at
			tr.rcodes[reply.Rcode]++
		}
		tr.mu.Unlock()
	}
}

// exchange asks once. An answer that a process sent before it ended is still read.
func (tr *traffic) exchange(conn *net.UDPConn, question asked, buf []byte) (*dns.Msg, error) {
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(question.name), question.qtype)
	m.SetEdns0(1232, false)
	req, err := m.Pack()
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(req); err != nil {
		return nil, err
	}
	for range 100 { // of 100 ms each
		if err := conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			return nil, err
		}
		gone := false
		select {
		case <-tr.b.ended:
			gone = true
		default:
		}
		n, err := conn.Read(buf)
		if err == nil {
			reply := new(dns.Msg)
			if err := reply.Unpack(buf[:n]); err != nil {
				return nil, err
			}
			if reply.Id != m.Id {
				return nil, fmt.Errorf("an answer to another question")
			}
			return reply, nil
		}
		if gone {
			return nil, err
		}
	}
	return nil, fmt.Errorf("no answer for ten seconds")
}

// count is how many questions were answered so far.
func (tr *traffic) count() int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return len(tr.answered)
}

// stop ends the asking and gives what was answered.
func (tr *traffic) stop() map[asked]time.Time {
	tr.leave()
	return tr.wait()
}

// wait lets the devices ask until the box has ended.
func (tr *traffic) wait() map[asked]time.Time {
	tr.wg.Wait()
	return tr.answered
}
