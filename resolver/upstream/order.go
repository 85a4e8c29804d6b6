package upstream

import (
	"cmp"
	"slices"
	"time"

	"schoolgate/config"
)

// exploreEvery is how many questions go to the fastest servers until one goes to another, to know how fast that is by now.
const exploreEvery = 32

// preferred is who is asked first: the first server, or the fastest, of those that answer lately; one of which nothing is
// known yet counts as fastest. Now and then it is another one, in turn. When none answers lately it is one to fall back on.
func (p *Pool) preferred() *server {
	var best *server
	var least time.Duration
	n := 0
	for _, s := range p.servers {
		up, rtt := s.standing()
		switch {
		case !up:
			continue
		case s.fallback && best == nil, p.strategy == config.Ordered:
			return s
		case s.fallback:
		case best == nil || rtt < least:
			best, least = s, rtt
			n++
		default:
			n++
		}
	}
	if best == nil {
		return p.servers[0]
	}
	if turn := p.turn.Add(1); n > 1 && turn%exploreEvery == 0 {
		return p.other(best, int(turn/exploreEvery%uint64(n-1)))
	}
	return best
}

// other is the n-th of the servers that answer lately, best left out.
func (p *Pool) other(best *server, n int) *server {
	for _, s := range p.servers {
		if s == best || s.fallback || !s.healthy() {
			continue
		}
		if n--; n < 0 {
			return s
		}
	}
	return best
}

// order is all servers as a question goes to them.
type order struct {
	servers []*server
	reserve int // from here on they are asked only when all before them gave no answer
	atOnce  int // how many are asked without waiting for others
}

// order begins with first. Then come those that answer lately, and those that are down, which are better asked than nobody;
// then those to fall back on, unless it is these that are asked first.
func (p *Pool) order(first *server) order {
	var up, down, spare, spareDown []*server
	for _, s := range p.servers {
		healthy := s.healthy()
		switch {
		case s == first:
		case !s.fallback && healthy:
			up = append(up, s)
		case !s.fallback:
			down = append(down, s)
		case healthy:
			spare = append(spare, s)
		default:
			spareDown = append(spareDown, s)
		}
	}
	if p.strategy != config.Ordered {
		slices.SortStableFunc(up, func(a, b *server) int { return cmp.Compare(a.speed(), b.speed()) })
	}
	o := order{atOnce: 1}
	if first.fallback {
		o.servers = slices.Concat([]*server{first}, spare, up, down, spareDown)
		o.reserve = len(o.servers)
		return o
	}
	if p.strategy == config.Parallel && len(up) > 0 {
		o.atOnce = 2
	}
	o.servers = slices.Concat([]*server{first}, up, down, spare, spareDown)
	o.reserve = 1 + len(up) + len(down)
	return o
}
