package wire

// Finding is what was found in a reply for which it is not given out, whoever asks. It is found where the reply is fetched,
// kept with it, and told the client as a refusal.
type Finding uint8

// The findings.
const (
	NoFinding       Finding = iota
	BlockedUpstream         // the upstream server refuses the name by a filter of its own: see Reply.By
	Rebinding               // a public name with an address of the local network
)

func (f Finding) String() string {
	switch f {
	case BlockedUpstream:
		return "blocked-upstream"
	case Rebinding:
		return "rebinding"
	case NoFinding:
	}
	return "none"
}
