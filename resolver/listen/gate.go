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
	q      query.Query
	req    []byte
	out    []byte   // replyRoom
	oob    [64]byte // control messages that say where the answer leaves from
	noob   int
	client netip.Addr     // who is counted; Identify may have changed q.Client
	lane   *lane          // UDP
	peer   netip.AddrPort // UDP
	conn   *conn          // TCP
}

// gate lets queries into Resolve, as many as the limits allow, and keeps their jobs for reuse.
type gate struct {
	most, mostPerClient int

	mu       sync.Mutex // guards what follows
	inFlight int
	clients  map[netip.Addr]int
	free     []*job
}

func (g *gate) init(most, perClient int) {
	g.most, g.mostPerClient = most, perClient
	g.clients = make(map[netip.Addr]int)
}

// enter gives a job for client, or nil when it or all together have too many. A shared address has no limit of its own.
func (g *gate) enter(client netip.Addr, shared bool) *job {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inFlight >= g.most || !shared && g.clients[client] >= g.mostPerClient {
		return nil
	}
	g.inFlight++
	g.clients[client]++
	if n := len(g.free); n > 0 {
		j := g.free[n-1]
		g.free = g.free[:n-1]
		j.client = client
		return j
	}
	return &job{out: make([]byte, replyRoom), client: client}
}

// leave takes a job back.
func (g *gate) leave(j *job) {
	client := j.client
	j.lane, j.conn = nil, nil
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inFlight--
	if g.clients[client]--; g.clients[client] <= 0 {
		delete(g.clients, client)
	}
	g.free = append(g.free, j)
}

func (g *gate) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inFlight
}
