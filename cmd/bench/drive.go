//go:build linux

package main

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// load is one run of the generator.
type load struct {
	to     netip.AddrPort
	next   source
	rate   float64       // questions a second; 0 for as many as are answered
	window int           // questions without an answer at most, up to maxWindow
	warm   time.Duration // at the beginning, not counted
	span   time.Duration // counted
	most   int           // questions; 0 for no limit
	keepUp bool          // also keep the latencies of each second apart

	begin, end func() // called as the counted time begins and ends; may be nil
}

// outcome is what came of a load. All but sent, lost and wrong are of the counted time alone.
type outcome struct {
	sent     uint64
	lost     uint64 // no answer within patience
	wrong    uint64 // answers that are not what the question should get
	oddity   string // the first of these, in words
	answered uint64
	elapsed  time.Duration
	latency  histogram
	seconds  []histogram // of the whole run, by when the question was sent
}

func (o *outcome) perSecond() float64 { return float64(o.answered) / max(o.elapsed.Seconds(), 1e-9) }

const (
	slotBits  = 12
	maxWindow = 1 << slotBits // the other bits of an id tell later uses of a slot apart
	patience  = time.Second
)

// slot is one question under way. Its packet stays where it is, since the kernel is given its address.
type slot struct {
	packet []byte
	want   want
	id     uint16
	busy   bool
	sent   time.Duration
}

// generator sends questions in batches from one thread and checks each answer. It allocates nothing on the way.
type generator struct {
	load
	fd       int
	out, in  *batch
	slots    []slot
	free     []uint16
	start    time.Time
	from, to time.Duration // counted, since start
	result   outcome
}

// drive runs a load to its end.
func drive(ctx context.Context, l load) (*outcome, error) {
	fd, err := openSocket(5 * time.Millisecond)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if err := connectSocket(fd, l.to); err != nil {
		return nil, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	g := &generator{load: l, fd: fd, out: newBatch(false), in: newBatch(false), slots: make([]slot, min(l.window, maxWindow))}
	room := make([]byte, len(g.slots)*512)
	for i := range g.slots {
		g.slots[i] = slot{packet: room[i*512 : i*512 : (i+1)*512], id: uint16(i)}
		g.free = append(g.free, uint16(i))
	}
	if l.keepUp {
		g.result.seconds = make([]histogram, int((l.warm+l.span)/time.Second)+1)
	}
	if err := g.run(ctx); err != nil {
		return nil, fmt.Errorf("driving %v: %w", l.to, err)
	}
	return &g.result, nil
}

func (g *generator) run(ctx context.Context) error {
	g.start = time.Now()
	g.from, g.to = g.warm, g.warm+g.span
	counting, ended, swept := false, false, time.Duration(0)
	for {
		now := time.Since(g.start)
		switch {
		case !counting && now >= g.from:
			counting = true
			call(g.begin)
			now = time.Since(g.start)
			g.from = now
		case counting && !ended && (now >= g.to || g.most > 0 && g.result.sent >= uint64(g.most) && len(g.free) == len(g.slots)):
			ended = true
			g.to = now
			g.result.elapsed = g.to - g.from
			call(g.end)
		}
		if ended && (len(g.free) == len(g.slots) || now > g.to+2*patience) {
			return nil
		}
		if now-swept > patience/10 {
			swept = now
			g.sweep(now)
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
		sent := 0
		if !ended {
			var err error
			if sent, err = g.ask(now); err != nil {
				return err
			}
		}
		flags := unix.MSG_DONTWAIT
		if sent == 0 && (g.rate == 0 || ended) {
			flags = unix.MSG_WAITFORONE
		}
		if err := g.collect(flags, counting && !ended); err != nil {
			return err
		}
	}
}

func call(f func()) {
	if f != nil {
		f()
	}
}

// ask sends what is due and has room, one batch at most.
func (g *generator) ask(now time.Duration) (int, error) {
	n := min(len(g.free), batchSize)
	if g.rate > 0 {
		n = min(n, int(g.rate*now.Seconds())-int(g.result.sent))
	}
	if g.most > 0 {
		n = min(n, g.most-int(g.result.sent))
	}
	if n <= 0 {
		return 0, nil
	}
	first := len(g.free) - n
	for i, number := range g.free[first:] {
		s := &g.slots[number]
		s.packet, s.want = g.next(s.packet)
		s.id += maxWindow
		setID(s.packet, s.id)
		g.out.set(i, s.packet)
	}
	n, err := g.out.send(g.fd, n)
	// What the kernel did not take counts as neither sent nor lost: its slots stay free.
	taken := g.free[first : first+n]
	for _, number := range taken {
		g.slots[number].busy, g.slots[number].sent = true, now
	}
	g.free = append(g.free[:first], g.free[first+n:]...)
	g.result.sent += uint64(n)
	return n, err
}

// collect reads what answers there are, one batch at most.
func (g *generator) collect(flags int, counting bool) error {
	n, err := g.in.receive(g.fd, flags)
	if err != nil || n == 0 {
		return err
	}
	now := time.Since(g.start)
	for i := range n {
		p := g.in.packet(i)
		if len(p) < 12 {
			g.result.wrong++
			continue
		}
		id := getID(p)
		number := id & (maxWindow - 1)
		if int(number) >= len(g.slots) || !g.slots[number].busy || g.slots[number].id != id {
			continue // one that was given up before
		}
		s := &g.slots[number]
		s.busy = false
		g.free = append(g.free, number)
		if !s.want.right(s.packet, p) {
			g.result.notice(s.packet, p)
		}
		if counting {
			g.result.answered++
		}
		if s.sent >= g.from && s.sent < g.to {
			g.result.latency.add(now - s.sent)
		}
		if second := int(s.sent / time.Second); second < len(g.result.seconds) {
			g.result.seconds[second].add(now - s.sent)
		}
	}
	return nil
}

// notice counts a wrong answer, and describes the first.
func (o *outcome) notice(question, answer []byte) {
	if o.wrong++; o.wrong == 1 {
		o.oddity = fmt.Sprintf("%q got code %d and %d records", text(question), answer[3]&0x0f, answer[7])
	}
}

// sweep gives up what waited too long.
func (g *generator) sweep(now time.Duration) {
	for i := range g.slots {
		if s := &g.slots[i]; s.busy && now-s.sent > patience {
			s.busy = false
			g.free = append(g.free, uint16(i))
			g.result.lost++
		}
	}
}
