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
