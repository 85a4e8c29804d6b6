package notice

import (
	"net"
	"net/netip"
	"sync"
)

// gate bounds the connections, so that one device that opens many and says nothing keeps the page from nobody.
type gate struct {
	mu  sync.Mutex
	all int
	by  map[netip.Prefix]int // at most maxConns
}

func (g *gate) enter(who netip.Prefix) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.all >= maxConns || g.by[who] >= maxPerClient {
		return false
	}
	g.all++
	g.by[who]++
	return true
}

func (g *gate) leave(who netip.Prefix) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all--
	if g.by[who]--; g.by[who] <= 0 {
		delete(g.by, who)
	}
}

// gated takes connections from those who are answered, as many as the gate lets in, and closes all others at once.
type gated struct {
	net.Listener
	s *Server
}

func (l *gated) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		client := c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap().WithZone("")
		if l.s.Allowed != nil && !l.s.Allowed(client) {
			c.Close()
			continue
		}
		if who := network(client); l.s.gate.enter(who) {
			return &guest{Conn: c, leave: sync.OnceFunc(func() { l.s.gate.leave(who) })}, nil
		}
		c.Close()
	}
}

// guest is a connection that counts.
type guest struct {
	net.Conn
	leave func()
}

func (g *guest) Close() error {
	g.leave()
	return g.Conn.Close()
}
