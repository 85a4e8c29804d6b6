package listen

import (
	"net/netip"
	"sync"

	"schoolgate/resolver/query"
)

const (
	maxUDPRequest = 1536     // more than UDP requests need; a longer one is answered FORMERR
	maxRequest    = 4096     // over TCP; a longer one ends the connection
	replyRoom     = 2 + 4096 // for a reply with the length that TCP puts before it; longer ones are allocated
)

// job is a query on its way through Resolve, with copies of what its lane will use again.
type job struct {
	q        query.Query
	req      []byte
	out      []byte   // replyRoom
	oob      [64]byte // control messages that say where the answer leaves from
	noob     int
	standing Standing
	client   netip.Addr     // who is counted; Identify may have changed q.Client
	net      netip.Addr     // whose /64 is counted besides; zero when none is
	lane     *lane          // UDP
	peer     netip.AddrPort // UDP
	conn     *conn          // TCP
}

// crowdShare is how many queries one client may have in Resolve to be let in when half of the room is taken.
const crowdShare = 8

// gate lets queries into Resolve, as many as the limits allow, and keeps their jobs for reuse.
//
// Half of the room is for whoever comes. The rest, the crowd's, is shared out small, so that a few clients whose queries
// all hang never keep others out: from the crowd's half on a client is let in only while it has fewer than crowdShare
// queries, and the clients of one IPv6 /64 together only while they took less than a quarter of that half, since one
// device can have as many addresses there as it likes. (They are not taken for one client: a /64 is also what all
// devices of a school's network share.) So the room is full only when InFlight/16 clients or four /64s hold their whole
// share of it; clients behind a shared address, which are many, may fill it alone.
type gate struct {
	most, mostPerClient int

	mu       sync.Mutex // guards what follows
	inFlight int
	clients  map[netip.Addr]int
	nets     map[netip.Addr]int // queries let in from the crowd's half, by /64
	free     []*job
}

func (g *gate) init(most, perClient int) {
	g.most, g.mostPerClient = most, perClient
	g.clients = make(map[netip.Addr]int)
	g.nets = make(map[netip.Addr]int)
}

// enter gives a job for client, or nil when it or all together have too many. A shared address has no limit of its own.
func (g *gate) enter(client netip.Addr, st Standing) *job {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inFlight >= g.most {
		return nil
	}
	var net netip.Addr
	if st != Shared {
		limit := g.mostPerClient
		if crowd := g.most - g.most/2; g.inFlight >= g.most/2 {
			limit = min(limit, crowdShare)
			if net = subnet(client); net.IsValid() && g.nets[net] >= max(crowd/4, 1) {
				return nil
			}
		}
		if g.clients[client] >= limit {
			return nil
		}
	}
	g.inFlight++
	g.clients[client]++
	if net.IsValid() {
		g.nets[net]++
	}
	j := g.job()
	j.client, j.net, j.standing = client, net, st
	return j
}

func (g *gate) job() *job {
	n := len(g.free)
	if n == 0 {
		return &job{out: make([]byte, replyRoom)}
	}
	j := g.free[n-1]
	g.free = g.free[:n-1]
	return j
}

// subnet is the first address of a client's /64, none for IPv4.
func subnet(client netip.Addr) netip.Addr {
	if !client.Is6() {
		return netip.Addr{}
	}
	p, _ := client.Prefix(64) // fails for more bits than there are
	return p.Addr()
}

// leave ends a job's count and takes it back.
func (g *gate) leave(j *job) {
	g.left(j)
	g.keep(j)
}

// left ends the count of a job, which is no longer in Resolve.
func (g *gate) left(j *job) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inFlight--
	less(g.clients, j.client)
	if j.net.IsValid() {
		less(g.nets, j.net)
	}
}

// keep takes a job back for reuse.
func (g *gate) keep(j *job) {
	j.lane, j.conn = nil, nil
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.free) < g.most {
		g.free = append(g.free, j)
	}
}

// less takes one away and forgets who has none left.
func less(counts map[netip.Addr]int, who netip.Addr) {
	if counts[who]--; counts[who] <= 0 {
		delete(counts, who)
	}
}

func (g *gate) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inFlight
}
