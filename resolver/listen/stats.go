package listen

import (
	"net/netip"
	"sync/atomic"
)

// Stats are counts since Listen.
type Stats struct {
	Lanes []LaneStats // lane 1 first

	Malformed    uint64 // requests answered here with an error
	NotRequests  uint64 // packets dropped unanswered: responses, and less than a header
	Overloaded   uint64 // queries dropped, or refused over TCP, because too many were in flight
	Panics       uint64
	SocketErrors uint64 // reads that failed, and answers that could not be sent
	InFlight     int    // queries in Resolve now

	Limited Limited
	Outside Outsiders

	TCPAccepted uint64 // here and below of TLS, HTTPS and QUIC too
	TCPRefused  uint64 // connections over a limit, closed at once
	TCPEnded    uint64 // sessions ended for a newcomer, because the table was full
	TCPQueries  uint64
	TCPOpen     int // connections now

	Handshakes uint64 // of TLS and QUIC that did not come about; those of HTTPS are not counted
}

// Limited counts what was over one of the Rates.
type Limited struct {
	Client  uint64 // questions over UDP; of them
	Lost    uint64 // those that were dropped, the others were told to come by TCP
	Stream  uint64 // questions over TCP and what is above it, refused
	Network uint64 // questions without proof, told to show that they have their address
	Answers uint64 // answers in whose place the same was told
	Spare   uint64 // likewise
}

// Outsiders is what came from networks that are not answered.
type Outsiders struct {
	Questions, Connections uint64
	Networks               []netip.Prefix // at most 64 that asked within the last hour, IPv4 /24 and IPv6 /64
}

// LaneStats are counts of one UDP socket and its loop.
type LaneStats struct {
	Addr     netip.AddrPort
	Batched  bool   // packets are read and answered in batches
	Packets  uint64 // read
	Answers  uint64 // sent from within the lane
	Batches  uint64 // calls that read packets
	Deferred uint64 // queries handed to Resolve
}

type counters struct {
	malformed, notRequests, overloaded, panics, socketErrors atomic.Uint64
	tcpAccepted, tcpRefused, tcpQueries, handshakes          atomic.Uint64
}

// Stats gives the counts so far. It may be called at any time after Listen.
func (s *Server) Stats() Stats {
	open, ended := s.sessions.counts()
	st := Stats{
		Malformed:    s.counts.malformed.Load(),
		NotRequests:  s.counts.notRequests.Load(),
		Overloaded:   s.counts.overloaded.Load(),
		Panics:       s.counts.panics.Load(),
		SocketErrors: s.counts.socketErrors.Load(),
		InFlight:     s.gate.count(),
		Limited: Limited{
			Client: s.limited.client.Load(), Lost: s.limited.lost.Load(), Stream: s.limited.stream.Load(),
			Network: s.limited.network.Load(), Answers: s.limited.answers.Load(), Spare: s.limited.spare.Load(),
		},
		Outside: Outsiders{
			Questions: s.strangers.questions.Load(), Connections: s.strangers.connections.Load(), Networks: s.strangers.recent(s.Now()),
		},
		TCPAccepted: s.counts.tcpAccepted.Load(),
		TCPRefused:  s.counts.tcpRefused.Load(),
		TCPQueries:  s.counts.tcpQueries.Load(),
		TCPOpen:     open,
		Handshakes:  s.counts.handshakes.Load(),
		TCPEnded:    ended,
	}
	for _, l := range s.lanes {
		_, plain := l.sock.(plainSocket)
		st.Lanes = append(st.Lanes, LaneStats{
			Addr:     l.local,
			Batched:  !plain,
			Packets:  l.packets.Load(),
			Answers:  l.answers.Load(),
			Batches:  l.batches.Load(),
			Deferred: l.deferred.Load(),
		})
	}
	return st
}
