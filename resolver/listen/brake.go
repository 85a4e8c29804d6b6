package listen

import (
	"net/netip"
	"sync/atomic"
	"time"

	"schoolgate/resolver/query"
	"schoolgate/resolver/wire"
)

// Rates bound what clients may ask and be sent over time; who was quiet may go ahead of each by six seconds' worth. Zero is
// no limit. None of them holds for this machine itself, and of those who are Shared only Spare, eight times as much. A network
// is an IPv4 /24 or an IPv6 /64; of Answers and Spare all its addresses together get four times as much as one, and of Spare
// everybody together eight times as much, and but a second's worth ahead.
type Rates struct {
	Client  int // questions a second from one address over UDP, and as many over all else
	Network int // questions a second from one network over UDP, without proof; and from all addresses that did not ask within a day
	Answers int // answers a second to one address without proof that say the same; five times as many that say there is nothing
	Spare   int // bytes a second to one address without proof, beyond twice what came from it
}

// nothing is how many times as many answers without data may go to an address as answers that say the same: most of what a
// school is refused is refused in many names.
const nothing = 5

// brakes are the meters of one setting of Rates.
type brakes struct {
	rates                         Rates
	keys                          keys
	client, hint, stream, network *meter
	answers, nothing, spare       pair
	all                           *meter // spare bytes to everybody
	newcomers                     *meter // questions of all who are not known
	known                         *known
}

func newBrakes(r Rates, keys keys, known *known) *brakes {
	client, network, answers, spare := int64(r.Client), int64(r.Network), int64(r.Answers), int64(r.Spare)
	b := &brakes{
		rates: r, keys: keys, known: known, newcomers: newMeter(network, 1),
		client: newMeter(client, 4096), hint: newMeter(client, 1024), stream: newMeter(client, 1024),
		network: newMeter(network, 1024),
		answers: newPair(answers, 8192), nothing: newPair(answers*nothing, 1024),
		spare: newPair(spare, 1024), all: newMeter(spare*everybody, 1),
	}
	for _, m := range []*meter{b.all, b.newcomers} {
		if m != nil {
			m.ahead = int64(time.Second)
		}
	}
	return b
}

// limited counts what was over a limit. Questions over Client that were not even told to come by TCP are lost, all others are
// answered in another way.
type limited struct {
	lost, client, stream, network, answers, spare atomic.Uint64
}

// SetRates puts other rates in force, before or while the server runs; all begin anew, but who is known stays so.
func (s *Server) SetRates(r Rates) {
	switch b := s.brakes.Load(); {
	case b == nil:
		s.brakes.Store(newBrakes(r, newKeys(), newKnown()))
	case b.rates != r:
		s.brakes.Store(newBrakes(r, b.keys, b.known))
	}
}

// since is a time as the meters count it.
func (s *Server) since(t time.Time) int64 { return int64(t.Sub(s.epoch)) }

// arrived is the way of a UDP packet: turned away, or held, or answered as first does.
func (s *Server) arrived(q *query.Query, st Standing, req, dst []byte) (resp []byte, what outcome) {
	switch st {
	case Outside:
		return s.turnAway(q, req, dst)
	case Ordinary:
		if b := s.brakes.Load(); b.client != nil {
			key, now := b.keys.addr(q.Client.Addr), s.since(q.Start)
			if !b.client.take(key, now, 1) {
				return s.slow(b, q, key, now, req, dst)
			}
		}
	case Shared, Local:
	}
	return s.first(q, st, req, dst)
}

// slow is what becomes of a question over UDP when its address asked too many: as many again are told to come by TCP, which
// an honest client does, and the rest is dropped before anything is read.
func (s *Server) slow(b *brakes, q *query.Query, key uint64, now int64, req, dst []byte) (resp []byte, what outcome) {
	s.limited.client.Add(1)
	if !b.hint.take(key, now, 1) || s.parse(q, req) != nil {
		s.limited.lost.Add(1)
		return nil, dropped
	}
	return challenge(q, req, dst), told
}

// crowded says whether a question without proof is one too many of its network, or of all whose addresses are new here: in a
// flood in the name of many, those who asked before it began are let through.
func (s *Server) crowded(q *query.Query, st Standing) bool {
	b := s.brakes.Load()
	if st != Ordinary || b.network == nil {
		return false
	}
	key, now := b.keys.addr(q.Client.Addr), s.since(q.Start)
	age := b.known.age(key, now)
	switch {
	case q.Proven:
		if age > knownAgain {
			b.known.note(key, now)
		}
		return false
	case age == knownFor && !b.newcomers.take(0, now, 1), !b.network.take(b.keys.network(q.Client.Addr), now, 1):
		s.limited.network.Add(1)
		return true
	case age > knownAgain && b.newcomers.calm(now):
		b.known.note(key, now)
	}
	return false
}

// overRate says whether a client asks too many questions over a stream.
func (s *Server) overRate(q *query.Query, st Standing) bool {
	if q.Proto == query.UDP || st != Ordinary {
		return false
	}
	b := s.brakes.Load()
	if b.stream == nil || b.stream.take(b.keys.addr(q.Client.Addr), s.since(q.Start), 1) {
		return false
	}
	s.limited.stream.Add(1)
	return true
}

// forUDP makes of an answer what may be sent over UDP: not more than the client takes, and, to an address that nothing shows
// to be the asker's, neither the same again and again nor much more than came from there. In its place goes what leads an
// honest client on and has no use for anybody else. client is whom the packet came from, whatever q says of it by now.
func (s *Server) forUDP(q *query.Query, client netip.Addr, st Standing, req, resp []byte) []byte {
	resp = wire.Fit(resp, &q.Question)
	if q.Proven || len(resp) == 0 || st == Local {
		return resp
	}
	b, now := s.brakes.Load(), s.since(q.Start)
	one, all := b.keys.addr(client), b.keys.network(client)
	if st == Ordinary && !b.sayable(q, one, all, now, resp) {
		s.limited.answers.Add(1)
		return challenge(q, req, resp[:0])
	}
	if excess := int64(len(resp) - 2*len(req)); excess > 0 {
		if st == Shared {
			all, excess = one, excess/shared
		}
		if !b.spare.take(one, all, now, excess) || !b.all.take(0, now, excess) {
			s.limited.spare.Add(1)
			return challenge(q, req, resp[:0])
		}
	}
	return resp
}

// everybody is how many times Spare all addresses without proof together may be sent: a flood in the name of a whole school is
// made no greater than a flood in the name of one.
const everybody = 8

// shared is how many times Spare a router that asks for many may be sent.
const shared = 8

// sayable says whether an answer may go to an address that had others like it.
func (b *brakes) sayable(q *query.Query, one, all uint64, now int64, resp []byte) bool {
	if resp[3]&0x0f != 0 { // an error, or no such name
		return b.nothing.take(one, all, now, 1)
	}
	if b.answers.one == nil {
		return true
	}
	what := b.keys.asked(q.Question.Name.Bytes(), q.Question.Type)
	return b.answers.take(one^what, all^what, now, 1)
}

// challenge has a client show that it has its address.
func challenge(q *query.Query, req, dst []byte) (resp []byte) {
	resp, _ = wire.AppendChallenge(dst, req, &q.Question)
	return resp
}

// errTooFast goes with the refusal of a question over a stream.
var errTooFast = wire.EDE{Code: wire.EDEOther, Text: "Schoolgate: too many questions a second from this address"}

// networkOf is the network that an address counts with.
func networkOf(a netip.Addr) netip.Prefix {
	bits := 64
	if a.Is4() {
		bits = 24
	}
	p, _ := a.Prefix(bits)
	return p
}
