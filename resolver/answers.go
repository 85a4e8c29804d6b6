package resolver

import (
	"schoolgate/blocklist/domain"
	"schoolgate/config"
	"schoolgate/resolver/wire"
)

// Answers is what the configuration says of the answers of upstreams, whoever asks. The zero value keeps everything that it
// may, and takes no name for one of this network.
type Answers struct {
	stripECH bool
	private  map[string]bool // names, in wire form, that may have addresses of the local network, with all below them
}

// NewAnswers reads cfg. The configuration must have been validated.
func NewAnswers(cfg *config.Config) Answers {
	return Answers{stripECH: cfg.Answers.ECH == config.ECHStrip, private: wires(cfg.Answers.Private...)}
}

// Same says whether what was kept under one may be given out under the other.
func (a *Answers) Same(b *Answers) bool {
	if a.stripECH != b.stripECH || len(a.private) != len(b.private) {
		return false
	}
	for zone := range a.private {
		if !b.private[zone] {
			return false
		}
	}
	return true
}

// scrub is what of an upstream's reply may be kept. An address of the local network behind a public name makes it a
// finding: a page of that name could speak to devices here as if they were its own server (DNS rebinding). Names that are
// asked of servers of their own may have any address.
func (s *State) scrub(q *wire.Question, r *wire.Reply) *wire.Reply {
	if r.Finding != wire.NoFinding {
		return r
	}
	if _, local := r.LocalAddress(); local && s.Answers.isPublic(r.Name) && (s.Apart == nil || !s.Apart(q)) {
		found := *r
		found.Finding = wire.Rebinding
		return &found
	}
	if s.Answers.stripECH {
		return r.WithoutECH()
	}
	return r
}

// isPublic says whether a name, in wire form, has no business with addresses of the local network.
func (a *Answers) isPublic(name []byte) bool {
	for rest := name; len(rest) > 1; rest = rest[1+int(rest[0]):] {
		if a.private[string(rest)] {
			return false
		}
	}
	return domain.Name(domain.AppendText(nil, name)).IsPublic()
}
