package upstream

import (
	"context"
	"log/slog"
	"sync"

	"schoolgate/blocklist/domain"
	"schoolgate/config"
	"schoolgate/resolver/clock"
	"schoolgate/resolver/wire"
)

// Router sends each question to whom it belongs: names in the zones of a forwarding to its servers and to nobody else, all
// others to the upstreams. Its methods may be called from many goroutines at once.
type Router struct {
	main  *Pool
	pools []*Pool          // main first
	zones map[string]*Pool // by name in wire form
}

// NewRouter makes the pools. It opens nothing and starts nothing. c tells the time that certificates are checked against.
func NewRouter(u config.Upstream, forwards []config.Forward, c *clock.Clock, log *slog.Logger) *Router {
	r := &Router{main: New(u, log), zones: make(map[string]*Pool)}
	r.pools = []*Pool{r.main}
	for _, f := range forwards {
		p := New(config.Upstream{Servers: f.Servers, Timeout: f.Timeout}, log.With("forward", f.Name))
		p.forward = f.Name
		for _, z := range f.Zones {
			for _, n := range z.Names() {
				if w, err := n.AppendWire(nil); err == nil {
					r.zones[string(w)] = p
					p.zone = string(w)
				}
			}
		}
		r.pools = append(r.pools, p)
	}
	for _, p := range r.pools {
		p.Clock = c
	}
	return r
}

// Exchange asks a question as Pool.Exchange does.
func (r *Router) Exchange(ctx context.Context, q *wire.Question) (*wire.Reply, error) {
	if isLoop(&q.Name) && r.looped(&q.Name) {
		return nil, ErrLoop
	}
	return r.pool(&q.Name).Exchange(ctx, q)
}

// Apart says whether a name lies in the zone of a forwarding: nobody on the Internet is asked for it. It does not allocate.
func (r *Router) Apart(q *wire.Question) bool { return r.pool(&q.Name) != r.main }

// pool is that of the longest zone that name lies in.
func (r *Router) pool(name *domain.Wire) *Pool {
	if len(r.zones) > 0 {
		for i := range name.Labels() {
			if p, ok := r.zones[string(name.From(i))]; ok {
				return p
			}
		}
	}
	return r.main
}

// Status tells of each server: the upstreams, then those of the forwardings.
func (r *Router) Status() (all []Status) {
	for _, p := range r.pools {
		all = append(all, p.Status()...)
	}
	return all
}

// Run is that of all pools, and ends with the last of them.
func (r *Router) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for _, p := range r.pools {
		all.Go(func() { _ = p.Run(ctx) }) // returns nil, when ctx has ended
	}
	all.Wait()
	return nil
}
