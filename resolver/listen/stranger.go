package listen

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"schoolgate/resolver/query"
	"schoolgate/resolver/wire"
)

// What those outside get: a refusal now and then, so that a person who forgot a network sees why, and nothing of use to who
// floods others by our answers.
const (
	refusalsEach = 2  // a second, for one network
	refusalsAll  = 20 // a second
	strangerLife = time.Hour
)

// MaxStrangers is how many networks that are not answered are told apart within an hour.
const MaxStrangers = 64

var notAnswered = wire.EDE{Code: wire.EDEProhibited, Text: "Schoolgate: dns.allow does not name your network"}

// strangers is what is known of those who ask from networks that are not answered.
type strangers struct {
	keys      keys
	each, all *meter

	questions, connections atomic.Uint64

	mu   sync.Mutex                 // guards seen. A lane takes it for a refusal, so some times a second at most
	seen map[netip.Prefix]time.Time // networks and when they last asked
	news chan netip.Prefix          // networks that were not seen before, to be logged
}

func newStrangers() *strangers {
	return &strangers{
		keys: newKeys(), each: newMeter(refusalsEach, 256), all: newMeter(refusalsAll, 1),
		seen: make(map[netip.Prefix]time.Time), news: make(chan netip.Prefix, 8),
	}
}

// turnAway answers a question from outside REFUSED, at a small rate, and else not at all.
func (s *Server) turnAway(q *query.Query, req, dst []byte) ([]byte, outcome) {
	o := s.strangers
	o.questions.Add(1)
	now := s.since(q.Start)
	if !o.each.take(o.keys.network(q.Client.Addr), now, 1) || !o.all.take(0, now, 1) {
		return nil, dropped
	}
	o.note(networkOf(q.Client.Addr), q.Start)
	if err := wire.ParseQuestion(req, &q.Question); err != nil {
		rcode, answer := wire.Answer(err)
		if !answer {
			return nil, dropped
		}
		return wire.AppendError(dst, req, &q.Question, rcode, wire.EDE{}), told
	}
	return wire.AppendError(dst, req, &q.Question, wire.Refused, notAnswered), told
}

// turnAwayConn counts a connection from outside.
func (s *Server) turnAwayConn(client netip.Addr) {
	s.strangers.connections.Add(1)
	s.strangers.note(networkOf(client), s.Now())
}

// note remembers a network for an hour, and has it logged when it is new.
func (o *strangers) note(network netip.Prefix, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, known := o.seen[network]
	if !known && len(o.seen) >= MaxStrangers {
		for n, at := range o.seen {
			if now.Sub(at) > strangerLife {
				delete(o.seen, n)
			}
		}
		if len(o.seen) >= MaxStrangers {
			return
		}
	}
	if at := o.seen[network]; !known || now.Sub(at) > strangerLife {
		select {
		case o.news <- network:
		default: // so many at once that one line less tells as much
		}
	}
	o.seen[network] = now
}

// recent is the networks that asked within the last hour.
func (o *strangers) recent(now time.Time) (networks []netip.Prefix) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for n, at := range o.seen {
		if now.Sub(at) <= strangerLife {
			networks = append(networks, n)
		}
	}
	return networks
}

// tellOfStrangers logs new networks until ctx ends, outside the packet loops.
func (s *Server) tellOfStrangers(ctx context.Context) {
	for {
		select {
		case n := <-s.strangers.news:
			s.Log.Warn("questions from a network that is not answered", "network", n.String(), "hint", "if it is the school's, add it to dns.allow; else keep it out by the firewall")
		case <-ctx.Done():
			return
		}
	}
}
