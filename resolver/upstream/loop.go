package upstream

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"

	"schoolgate/blocklist/domain"
	"schoolgate/resolver/wire"
)

// ErrLoop means that a question was asked by an upstream that was asked it: it sends what it is asked to this box.
var ErrLoop = errors.New("the upstream sends questions back to this box")

// loopMark begins the first label of the names by which a server that is down is probed, when it shows no certificate; 16
// random digits follow. Whoever asks this box for such a name has it from that server. In small networks that happens: the
// router is told to use the box, and the box to use the router, or the router catches all questions to port 53, the box's
// too.
const loopMark = "\x20schoolgate-loop-"

// usualZone is below which such names are when the pool is not that of a zone: one that RFC 2606 keeps for this.
const usualZone = "\x07example\x00"

// isLoop says whether a name may be such a probe.
func isLoop(name *domain.Wire) bool { return bytes.HasPrefix(name.Bytes(), []byte(loopMark)) }

// looped notes which server a probe has come back from; false when it is none of ours.
func (r *Router) looped(name *domain.Wire) bool {
	for _, p := range r.pools {
		for _, s := range p.servers {
			if s.cameBack(string(name.Bytes())) {
				return true
			}
		}
	}
	return false
}

// probeQuestion is what a server that is down is asked: the root's name servers, which every resolver knows, or a name that
// tells whether it sends questions back.
func (s *server) probeQuestion() (*question, error) {
	q := wire.Question{Type: wire.TypeNS, Class: wire.ClassIN}
	name := []byte{0}
	if !s.conf.Kind.Encrypted() {
		var digits [8]byte
		_, _ = rand.Read(digits[:]) // never fails, by its documentation
		zone := s.pool.zone
		if zone == "" {
			zone = usualZone
		}
		name = append(hex.AppendEncode([]byte(loopMark), digits[:]), zone...)
		q.Type = wire.TypeA
	}
	if _, err := q.Name.Read(name, 0); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.loops, s.probeName = false, string(q.Name.Bytes())
	s.mu.Unlock()
	return newQuestion(&q), nil
}

// cameBack notes that a name was asked for here; false when it is not what the server was probed by.
func (s *server) cameBack(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name != s.probeName {
		return false
	}
	s.loops = true
	return true
}
