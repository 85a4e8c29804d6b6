package dnssec

import (
	"context"
	"sync"
	"time"

	"schoolgate/resolver/wire"
)

// path is whether what DNSSEC needs comes through from upstream: found out by asking for the root's keys, and for what the root has
// not. Without, each signed name would be bogus and the school without names; so then nothing is refused.
type path struct {
	ok      bool
	newKeys bool // the root's keys came, and no anchor is of any of them
	why     string
	checked time.Time
	until   time.Time
	missed  int // looks in a row that brought no answer
}

// How long a look at the path holds.
const (
	pathGood  = time.Hour
	pathBad   = time.Minute
	pathAgain = 10 * time.Second // after one without answer, and after bogus answers that want signatures
	pathWait  = 2 * time.Second  // for one look
	mostMiss  = 2                // looks without answer that are taken for mischance
)

// holds says whether the look is not over. The clock may be set back.
func (p *path) holds(now time.Time) bool {
	return p != nil && now.Before(p.until) && p.until.Sub(now) <= pathGood
}

// stripped says whether DNSSEC is known not to come through.
func (v *Validator) stripped() bool {
	p := v.path.Load()
	return p.holds(v.Now()) && !p.ok
}

// passes says whether DNSSEC comes through from upstream, which has just answered. It looks now and then, and when answers turn
// up stripped. Nobody waits for the looking of another when there is an earlier look.
func (v *Validator) passes(ctx context.Context) bool {
	now, p := v.Now(), v.path.Load()
	if p.holds(now) {
		return p.ok
	}
	ctx, cancel := context.WithTimeout(ctx, pathWait)
	defer cancel()
	if p != nil {
		select {
		case v.looking <- struct{}{}:
		default:
			return p.ok
		}
	} else {
		select {
		case v.looking <- struct{}{}:
		case <-ctx.Done():
			return false
		}
	}
	defer func() { <-v.looking }()
	if p = v.path.Load(); !p.holds(now) {
		next := v.look(ctx, now)
		next.after(p)
		p = next
		v.path.Store(p)
	}
	return p.ok
}

// after takes account of the look before: an answer that does not come, once or twice, undoes no proof.
func (p *path) after(before *path) {
	if p.missed > 0 && before != nil {
		p.missed += before.missed
		p.ok = before.ok && p.missed <= mostMiss
	}
}

// doubt has the path looked at again, since answers come without what DNSSEC needs.
func (v *Validator) doubt() {
	if p := v.path.Load(); p != nil && p.ok && v.Now().Sub(p.checked) > pathAgain {
		again := *p
		again.until = time.Time{}
		v.path.CompareAndSwap(p, &again)
	}
}

// look looks at the path.
func (v *Validator) look(ctx context.Context, now time.Time) *path {
	w := v.work(ctx)
	p := &path{checked: now, until: now.Add(pathBad)}
	miss := func(err error) *path {
		p.why, p.missed, p.until = err.Error(), 1, now.Add(pathAgain)
		return p
	}
	z, err := w.keys(root, v.Anchors, uint32(mostKept/time.Second))
	if err != nil {
		return miss(err)
	}
	if z.is != signed {
		p.why, p.newKeys = z.fault.Why, z.fault == w.strange
		return p
	}
	reply, err := w.fetch(root, wire.TypeTXT)
	if err != nil {
		return miss(err)
	}
	j := &judgement{Verdict: secure(), rcode: reply.RCode, kept: map[int]uint32{}}
	v.zones.put(z)
	if reply.RCode == wire.NoError && reply.Answers == 0 {
		if err := w.missing(j, collect(reply), root, wire.TypeTXT); err != nil {
			return miss(err)
		}
	}
	if p.ok = len(j.kept) > 0 && j.Status == Secure; p.ok {
		p.until = now.Add(pathGood)
	} else {
		p.why = "upstream leaves out the proof of what is not there"
	}
	return p
}

// State is how validation goes.
type State struct {
	Enforced bool   // what is bogus is refused; false when only reporting, or when DNSSEC does not come through
	Passes   bool   // DNSSEC comes through from upstream, as far as is known
	Why      string // not
	NewKeys  bool   // the root has keys, and no anchor is of any of them
	Late     uint64 // answers whose signatures were not of this time, while it was not known to be right

	Verdicts [Secure + 1]uint64 // since the start, by Status
	Recent   [Secure + 1]uint64 // of the last five to ten minutes
	Requests uint64             // questions upstream for chains of trust
	Verifies uint64             // signatures computed
	Zones    int                // known now
	Bytes    int                // that they take
}

// Judged counts the recent answers that there was something to say of.
func (s *State) Judged() uint64 {
	return s.Recent[Indeterminate] + s.Recent[Bogus] + s.Recent[Insecure] + s.Recent[Secure]
}

// State tells how validation goes.
func (v *Validator) State() State {
	s := State{Passes: true, Late: v.late.Load(), Requests: v.requests.Load(), Verifies: v.verifies.Load(), Recent: v.recent.sum(v.Now())}
	if p := v.path.Load(); p != nil {
		s.Passes, s.Why, s.NewKeys = p.ok, p.why, p.newKeys
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
