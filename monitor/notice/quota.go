package notice

import (
	"net/netip"
	"sync"
	"time"
)

// How many may ask in an hour. A child who plays with the form must not bury what a teacher needs.
const (
	perHour   = 40
	perClient = 5
)

// quota counts the requests of an hour.
type quota struct {
	mu    sync.Mutex
	since time.Time
	all   int
	by    map[netip.Prefix]int // at most perHour
}

// take says whether a client may ask once more.
func (q *quota) take(client netip.Addr, now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now.Sub(q.since).Abs() >= time.Hour {
		q.since, q.all, q.by = now, 0, make(map[netip.Prefix]int)
	}
	who := network(client)
	if q.all >= perHour || q.by[who] >= perClient {
		return false
	}
	q.all++
	q.by[who]++
	return true
}

// network is the least that one device can be bound to: an IPv4 address, or the /64 in which it chooses its IPv6 addresses.
func network(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits) // of the zero Addr the zero Prefix
	return p
}
