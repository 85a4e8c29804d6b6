package metrics

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"schoolgate/resolver/query"
)

// Sizes of the closed sets. Index 0 of groups and categories is "other".
const (
	maxNames   = 64
	numActions = int(query.Rewrite) + 1
	numSources = int(query.Local) + 1
	numProtos  = int(query.QUIC) + 1
	numCodes   = 7
	maxSignals = 8
)

const (
	other  = "other"
	noList = "none" // category of a block that no list decided
)

// signalNames are at most maxSignals.
var signalNames = query.Signals()

// buckets are the upper bounds of the histogram.
var buckets = [...]time.Duration{
	50 * time.Microsecond, 100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second,
}

var codeNames = [numCodes]string{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", other}

// lane holds the counts of one packet loop, which alone writes to it (lane 0 has many writers). Lanes are allocated
// apart and padded, so that two of them share no cache line.
type lane struct {
	_         [64]byte
	queries   [maxNames + 1][numActions][numSources][numProtos]atomic.Uint64
	blocked   [maxNames + 1][maxNames + 1]atomic.Uint64 // category, group
	signals   [maxSignals]atomic.Uint64
	durations [numSources][len(buckets) + 1]atomic.Uint64
	nanos     [numSources]atomic.Uint64 // sum of durations
	codes     [numCodes]atomic.Uint64
	_         [64]byte
}

// labels gives names their index; immutable.
type labels struct {
	groups, categories       map[string]int
	groupNames, categoryList []string // by index
}

func newLabels(groups, categories []string) *labels {
	l := &labels{
		groups: map[string]int{other: 0}, groupNames: []string{other},
		categories: map[string]int{other: 0}, categoryList: []string{other},
	}
	return l.with(groups, append([]string{noList, query.BlockedUpstream.String(), query.Rebinding.String()}, categories...))
}

// with is l and more names; those that l has keep their index.
func (l *labels) with(groups, categories []string) *labels {
	out := new(labels)
	out.groups, out.groupNames = extend(l.groupNames, groups)
	out.categories, out.categoryList = extend(l.categoryList, categories)
	return out
}

func extend(old, more []string) (index map[string]int, names []string) {
	index = make(map[string]int)
	for _, list := range [][]string{old, more} {
		for _, n := range list {
			if _, known := index[n]; !known && n != "" && len(names) <= maxNames {
				index[n] = len(names)
				names = append(names, n)
			}
		}
	}
	return index, names
}

type counters struct {
	lanes  []*lane
	tier   sync.Map // tierKey to *atomic.Uint64: as many as there are lists of the illegal tier, times three
	labels atomic.Pointer[labels]
	setMu  sync.Mutex // held by the writer of labels
}

func (c *counters) count(q *query.Query) {
	n := q.Lane
	if uint(n) >= uint(len(c.lanes)) {
		n = 0
	}
	l, names := c.lanes[n], c.labels.Load()
	group := names.groups[q.Client.Name] // 0 for a name that is not known
	action, source, proto := int(q.Verdict.Action), int(q.Source), int(q.Proto)
	if action >= numActions || source >= numSources || proto >= numProtos {
		return // no such value exists; an index out of range must not stop a packet loop
	}
	l.queries[group][action][source][proto].Add(1)
	if q.Verdict.Action == query.Block {
		category := q.Verdict.Kind()
		if category == "" {
			category = noList
		}
		l.blocked[names.categories[category]][group].Add(1)
	}
	if q.Verdict.Rule == query.Bypass {
		if i := slices.Index(signalNames, q.Verdict.List); i >= 0 {
			l.signals[i].Add(1)
		}
	}
	if q.Verdict.Rule.Withheld() || q.Verdict.Pages != "" {
		c.countTier(&q.Verdict)
	}
	d := max(q.Duration, 0)
	b := 0
	for b < len(buckets) && d > buckets[b] {
		b++
	}
	l.durations[source][b].Add(1)
	l.nanos[source].Add(uint64(d))
	l.codes[min(int(q.RCode), numCodes-1)].Add(1)
}

// tierKey is what questions about the illegal tier are counted by: never by who asked, or for what.
type tierKey struct{ list, outcome string }

func (c *counters) countTier(v *query.Verdict) {
	key := tierKey{v.List, "refused"}
	switch {
	case v.Rule == query.IllegalURL:
		key.outcome = "whole-host"
	case v.Pages != "" && v.Blocked():
		return // refused for another reason
	case v.Pages != "":
		key = tierKey{v.Pages, "passed"}
	}
	n, known := c.tier.Load(key)
	if !known {
		n, _ = c.tier.LoadOrStore(key, new(atomic.Uint64))
	}
	n.(*atomic.Uint64).Add(1)
}

// sum adds up one counter over all lanes.
func (c *counters) sum(of func(*lane) *atomic.Uint64) float64 {
	var n uint64
	for _, l := range c.lanes {
		n += of(l).Load()
	}
	return float64(n)
}
