package dnssec

import (
	"context"
	"sync"
	"time"

	"schoolgate/resolver/wire"
)

// path is whether what DNSSEC needs comes through from upstream: found out by asking for the root's keys, and for what the root has
// not. Without, each signed name would be bogus and the school without names; so then verdicts are only reported.
type path struct {
	ok      bool
	keys    bool // the root's keys came, and no anchor is of any of them
	why     string
	checked time.Time
	until   time.Time
}

// How long a look at the path holds.
const (
	pathGood   = time.Hour
	pathBad    = time.Minute
	pathUnsure = 5 * time.Second  // nothing came back at all
	pathAgain  = 10 * time.Second // after bogus answers that want signatures
)

// passes says whether DNSSEC comes through from upstream. It looks now and then, and when answers turn up stripped.
func (v *Validator) passes(ctx context.Context) bool {
	now := v.Now()
	if p := v.path.Load(); p != nil && now.Before(p.until) && p.until.Sub(now) <= pathGood {
		return p.ok
	} else if p == nil {
		v.probing.Lock()
	} else if !v.probing.TryLock() {
		return p.ok
	}
	defer v.probing.Unlock()
	if p := v.path.Load(); p != nil && now.Before(p.until) {
		return p.ok // another one looked meanwhile
	}
	p := v.probe(ctx, now)
	v.path.Store(p)
	return p.ok
}

// doubt has the path looked at again, since answers come without what DNSSEC needs.
func (v *Validator) doubt() {
	if p := v.path.Load(); p != nil && p.ok && v.Now().Sub(p.checked) > pathAgain {
		again := *p
		again.until = time.Time{}
		v.path.CompareAndSwap(p, &again)
	}
}

// probe looks at the path.
func (v *Validator) probe(ctx context.Context, now time.Time) *path {
	w := v.work(ctx)
	p := &path{checked: now, until: now.Add(pathBad)}
	z, err := w.keys(root, v.Anchors, uint32(mostKept/time.Second))
	switch {
	case err != nil:
		return v.unsure(ctx, p, err)
	case z.is != signed:
		p.why, p.keys = z.fault.Why, z.fault.Code == wire.EDENoDNSKEY
		return p
	}
	reply, err := w.fetch(root, wire.TypeTXT)
	if err != nil {
		return v.unsure(ctx, p, err)
	}
	j := &judgement{Verdict: secure(), rcode: reply.RCode, kept: map[int]uint32{}}
	v.zones.put(z)
	if reply.RCode == wire.NoError && reply.Answers == 0 {
		if err := w.missing(j, collect(reply), root, wire.TypeTXT); err != nil {
			return v.unsure(ctx, p, err)
		}
		if j.Status == Secure {
			p.ok, p.until = true, now.Add(pathGood)
			return p
		}
	}
	p.why = "upstream leaves out the proof of what is not there"
	return p
}

// unsure decides after an error: when plain questions are answered, it is DNSSEC that does not come through; else upstream is
// away, which says nothing.
func (v *Validator) unsure(ctx context.Context, p *path, err error) *path {
	p.why = err.Error()
	q := wire.Question{Type: wire.TypeNS, Class: wire.ClassIN, RD: true}
	_, _ = q.Name.Read([]byte(root), 0) // cannot fail
	if reply, err := v.Upstream(ctx, &q); err != nil || reply.RCode != wire.NoError {
		before := v.path.Load()
		p.ok, p.until = before == nil || before.ok, p.checked.Add(pathUnsure)
	}
	return p
}

// State is how validation goes.
type State struct {
	Enforced bool   // what is bogus is refused; false when only reporting, or when DNSSEC does not come through
	Passes   bool   // DNSSEC comes through from upstream, as far as is known
	Why      string // not
	NewKeys  bool   // the root signs with keys that no anchor is of
	Late     uint64 // answers whose signatures were not of this time, while it was not known to be right

	Verdicts [Secure + 1]uint64 // since the start, by Status
	Recent   [Secure + 1]uint64 // of the last five to ten minutes
	Requests uint64             // questions upstream for chains of trust
	Verifies uint64             // signatures computed
	Zones    int                // known now
	Bytes    int                // that they take
}

// State tells how validation goes.
func (v *Validator) State() State {
	s := State{Passes: true, Late: v.late.Load(), Requests: v.requests.Load(), Verifies: v.verifies.Load(), Recent: v.recent.sum(v.Now())}
	if p := v.path.Load(); p != nil {
		s.Passes, s.Why, s.NewKeys = p.ok, p.why, p.keys
	}
	s.Enforced = v.Enforce && s.Passes
	for i := range v.counts {
		s.Verdicts[i] = v.counts[i].Load()
	}
	s.Zones, s.Bytes = v.zones.counts()
	return s
}

// count notes a verdict.
func (v *Validator) count(d Verdict) {
	v.counts[d.Status].Add(1)
	v.recent.add(d.Status, v.Now())
	if d.stripped() {
		v.doubt()
	}
}

// recent counts the verdicts of the last few minutes, in two halves.
type recent struct {
	mu     sync.Mutex // guards the rest
	began  time.Time  // of the later half
	halves [2][Secure + 1]uint64
}

const recentHalf = 5 * time.Minute

func (r *recent) add(s Status, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(now)
	r.halves[0][s]++
}

func (r *recent) turn(now time.Time) {
	switch age := now.Sub(r.began); {
	case age < 0 || age >= 2*recentHalf:
		r.halves = [2][Secure + 1]uint64{}
		r.began = now
	case age >= recentHalf:
		r.halves = [2][Secure + 1]uint64{1: r.halves[0]}
		r.began = now
	}
}

func (r *recent) sum(now time.Time) (all [Secure + 1]uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turn(now)
	for i := range all {
		all[i] = r.halves[0][i] + r.halves[1][i]
	}
	return all
}
