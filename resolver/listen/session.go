package listen

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// session is one connection of a client, over whatever stream transport. What serves it tells of each request and answer.
type session struct {
	table    *sessions
	client   netip.Addr
	net      netip.Addr // its /64; zero for IPv4
	standing Standing
	stop     func() // takes no further requests, answers still leave
	end      func() // closes the connection

	busy  atomic.Int32 // requests not answered yet
	many  atomic.Int32 // streams open, whole requests or not
	since atomic.Int64 // when the last whole request came, or the session began: Unix nanoseconds
}

// began notes a whole request. What comes byte by byte is none until it is whole.
func (s *session) began() {
	s.busy.Add(1)
	s.since.Store(time.Now().UnixNano())
}

// answered notes that a request is done with.
func (s *session) answered() { s.busy.Add(-1) }

// crowdStreams is how many streams one session may have open when those of all together are many.
const crowdStreams = 4

// opened notes a stream of a session that carries many at once, if there is room for it: each takes a goroutine from its first
// byte on, and a client may leave all of them half said. ended must be called after it, whatever it gives.
func (s *session) opened() bool {
	mine, all := s.many.Add(1), s.table.streams.Add(1)
	return mine <= crowdStreams || int(all) <= s.table.mostStreams
}

func (s *session) ended() {
	s.many.Add(-1)
	s.table.streams.Add(-1)
}

// close takes the session out of the table. It may be called more than once.
func (s *session) close() { s.table.remove(s) }

// sessions is the table of open sessions, one for all transports.
//
// It never turns a newcomer away for being full: then whoever has most sessions loses the one that has been of no use for
// longest (RFC 7766 section 6.2.3). The clients of one IPv6 /64 count together there, since one device can have as many
// addresses in it as it likes. So whoever opens sessions without end pushes out its own.
type sessions struct {
	streams     atomic.Int32 // open on sessions that carry many
	mostStreams int          // from which on each session has but a few: see opened

	mu                  sync.Mutex // guards what follows
	most, mostPerClient int
	open                map[*session]struct{}
	clients             map[netip.Addr]int
	nets                map[netip.Addr]int
	stopping            bool
	evicted             uint64
}

func (t *sessions) init(most, perClient, streams int) {
	t.mostStreams = streams
	t.most, t.mostPerClient = most, perClient
	t.open = make(map[*session]struct{})
	t.clients = make(map[netip.Addr]int)
	t.nets = make(map[netip.Addr]int)
}

// limit sets how many may be open.
func (t *sessions) limit(most, perClient int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.most, t.mostPerClient = most, perClient
}

// add takes a session in; nil when its client has too many or the server is about to end. stop and end may be called from
// any goroutine, before add returns too.
func (t *sessions) add(client netip.Addr, st Standing, stop, end func()) *session {
	s := &session{table: t, client: client, net: subnet(client), standing: st, stop: stop, end: end}
	s.since.Store(time.Now().UnixNano())
	t.mu.Lock()
	if t.stopping || st != Shared && t.clients[client] >= t.mostPerClient {
		t.mu.Unlock()
		return nil
	}
	var victim *session
	if len(t.open) >= t.most {
		victim = t.leastUseful()
		t.forget(victim)
		t.evicted++
	}
	t.open[s] = struct{}{}
	t.clients[client]++
	if s.net.IsValid() {
		t.nets[s.net]++
	}
	t.mu.Unlock()
	if victim != nil {
		victim.end()
	}
	return s
}

// open takes a session in, or counts why it may not be: its client is outside, or has too many.
func (s *Server) open(client netip.Addr, stop, end func()) *session {
	st := s.standing(client)
	if st == Outside {
		s.turnAwayConn(client)
		return nil
	}
	session := s.sessions.add(client, st, stop, end)
	if session == nil {
		s.counts.tcpRefused.Add(1)
	}
	return session
}

// lookedAt is how many sessions are compared for each that is to end. Comparing all would make a flood of connections
// expensive; and whoever holds a good part of the table is nearly always among so many.
const lookedAt = 32

// leastUseful is the session to end for a newcomer: of some, of the client with most, one that waits for nothing, for longest.
func (t *sessions) leastUseful() (worst *session) {
	var most, looked int
	var busy bool
	var since int64
	for s := range t.open { // in an order that is random each time
		if looked++; looked > lookedAt {
			break
		}
		n, b, at := t.weight(s), s.busy.Load() > 0, s.since.Load()
		if worst == nil || n > most || n == most && (busy && !b || busy == b && at < since) {
			worst, most, busy, since = s, n, b, at
		}
	}
	return worst
}

// weight is how many sessions count together with s.
func (t *sessions) weight(s *session) int {
	switch {
	case s.standing == Shared:
		return 1
	case s.net.IsValid():
		return t.nets[s.net]
	}
	return t.clients[s.client]
}

func (t *sessions) remove(s *session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.forget(s)
}

func (t *sessions) forget(s *session) {
	if _, ok := t.open[s]; !ok {
		return
	}
	delete(t.open, s)
	less(t.clients, s.client)
	if s.net.IsValid() {
		less(t.nets, s.net)
	}
}

// patience is how long a client may take to send its next whole request: most, and a quarter of that once half of the
// table is taken.
func (t *sessions) patience(most time.Duration) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.open) > t.most/2 {
		return most / 4
	}
	return most
}

// counts gives the sessions open now, and how many were ended for want of room so far.
func (t *sessions) counts() (open int, evicted uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.open), t.evicted
}

// going says whether requests are still to be read; arm is called if so, before the table can begin to stop.
func (t *sessions) going(arm func() error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.stopping && arm() == nil
}

// stopReading has all sessions take no further requests, and takes no more in.
func (t *sessions) stopReading() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stopping = true
	for s := range t.open {
		s.stop()
	}
}

func (t *sessions) closeAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for s := range t.open {
		s.end()
	}
}
