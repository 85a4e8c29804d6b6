package report

import "schoolgate/resolver/query"

// sums are what is counted of anything.
type sums struct{ requests, refused, steered int64 }

func (s *sums) add(a query.Action, n int64) {
	s.requests += n
	switch a {
	case query.Block:
		s.refused += n
	case query.Rewrite:
		s.steered += n
	case query.Allow:
	}
}

type daySums struct {
	sums
	devices set
	kinds   []int64 // refused, by kind
}

type kindSums struct {
	n       int64
	devices set
	unknown bool    // some asked whose device the record does not have
	groups  []int64 // refused, by group
	days    int
	lastDay int
}

type groupSums struct {
	sums
	name    string
	devices set
}

type device struct {
	sums
	name        string
	groups      set
	days        int
	first, last int
	kinds       map[int]*deviceKind
}

type deviceKind struct {
	n             int64
	days, lastDay int
	sites         int // counted when all is read
	constant      *pairSums
	constantSite  string
}

type nameKey struct {
	name string
	kind int
}

type nameSums struct {
	n       int64 // of steered names; a sketch counts for itself
	devices set
	staff   int64 // of requests, those from groups of adults who work at the school
	most    int64 // by one device on one day, all names of the same site together
}

type pairKey struct {
	device uint16
	site   string
	kind   int
}

type pairSums struct {
	days, lastDay int
	today, most   int64 // on the last day, and on the busiest
}

type illegalKey struct {
	day    int
	device int
}

// notKnown stands for a device or group that the record does not have: the request was refused before it was understood.
const notKnown = "(not known)"

// mark adds a device to those counted, if it is known at all.
func (c *count) mark(s *set, d int) bool {
	if c.devices[d].name == "" {
		return false
	}
	s.add(uint16(d))
	return true
}

// known is how many devices there are.
func (c *count) known() int {
	if _, ok := c.deviceAt[""]; ok {
		return len(c.devices) - 1
	}
	return len(c.devices)
}

// who says how many devices, and owns up to those that the record does not have.
func who(n int, unknown bool) string {
	switch {
	case !unknown:
		return count1(n, "device")
	case n == 0:
		return "devices that are not known"
	default:
		return count1(n, "device") + " and others that are not known"
	}
}

func (s *kindSums) who() string { return who(s.devices.len(), s.unknown) }
