package resolver

import (
	"net/netip"
	"strings"

	"schoolgate/blocklist/domain"
	"schoolgate/resolver/query"
	"schoolgate/resolver/wire"
)

// local answers a name of this network; mine is false when an upstream is to be asked all the same: for a type that a record
// leaves to it, or because servers of its own know the name better than a zone of ours. asked is the box's address that
// was asked, the zero value for one that is known only later.
func (r *Resolver) local(s *State, q *query.Query, asked netip.Addr, req, dst []byte) (out []byte, done, mine bool) {
	names := s.Policy.Local()
	if q.Verdict.Target != "" && q.Question.Type != wire.TypeCNAME {
		out, done = r.steer(s, q, req, dst)
		return out, done, true
	}
	if s.Apart != nil {
		if _, _, zone := names.Find(q.Client.Group, &q.Question.Name); zone && s.Apart(&q.Question) {
			return dst, false, false
		}
	}
	out, rcode, ok := names.Answer(&q.Question, q.Client.Group, asked, s.Box, req, dst)
	if ok {
		q.Source, q.RCode = query.Local, rcode
	}
	return out, ok, ok
}

// unasked answers what no upstream is to be asked for although no record or zone holds it.
func (s *State) unasked(q *query.Query, req, dst []byte) (out []byte, ok bool) {
	if s.Apart != nil && s.Apart(&q.Question) {
		return dst, false
	}
	out, rcode, ok := s.Policy.Local().Unasked(&q.Question, s.Box, req, dst)
	if ok {
		q.Source, q.RCode = query.Local, rcode
	}
	return out, ok
}

func wires(names ...domain.Name) map[string]bool {
	out := make(map[string]bool, len(names))
	for _, n := range names {
		b, err := n.AppendWire(nil)
		if err != nil {
			panic(err) // a name of the configuration, which Parse made
		}
		out[string(b)] = true
	}
	return out
}

// below says whether name is zone (in wire form) or lies below it.
func below(name *domain.Wire, zone string) bool {
	return strings.HasSuffix(string(name.Bytes()), zone) && onBorder(name, len(zone))
}

// onBorder says whether the last n bytes of the name begin with a label.
func onBorder(name *domain.Wire, n int) bool {
	for i := range name.Labels() {
		if len(name.From(i)) == n {
			return true
		}
	}
	return false
}
