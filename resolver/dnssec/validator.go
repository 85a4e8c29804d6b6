// Package dnssec validates answers up to the root's keys (RFC 4033 to 4035, 5155, 6840): a stage between the resolver and
// whoever asks upstream, which need not be trusted then.
package dnssec

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"

	"schoolgate/blocklist/domain"
	"schoolgate/resolver/wire"
)

// Exchange asks a question upstream. The reply is shared and not to be changed.
type Exchange = func(ctx context.Context, q *wire.Question) (*wire.Reply, error)

// Exemption is a zone whose answers are taken as they come: one that the school's own servers answer for, or whose signatures
// are known to be broken (a negative trust anchor, RFC 7646).
type Exemption struct {
	Zone  domain.Name
	Until time.Time // zero: for good
}

// Options is what a Validator is made of.
type Options struct {
	Upstream Exchange
	Enforce  bool        // refuse what is bogus; else answers pass as upstream gave them, and verdicts are counted
	Anchors  []Anchor    // nil: those built in
	Exempt   []Exemption // with all names below
	Private  []domain.Name
	Now      func() time.Time // nil: time.Now
	Proven   func() bool      // whether the time is known to be right; nil: always
}

// Validator judges what Upstream answers. Its methods may be called from many goroutines at once. It starts nothing and has
// no end of its own.
type Validator struct {
	Options
	exempt  map[string]time.Time
	private map[string]bool
	zones   *store
	slots   chan struct{} // one for each signature that may be computed at once

	looking chan struct{} // has one element while somebody looks at the path
	path    atomic.Pointer[path]

	requests atomic.Uint64
	verifies atomic.Uint64
	late     atomic.Uint64
	counts   [Secure + 1]atomic.Uint64
	recent   recent
}

// New makes a validator.
func New(o Options) *Validator {
	if o.Anchors == nil {
		o.Anchors = RootAnchors()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Proven == nil {
		o.Proven = func() bool { return true }
	}
	v := &Validator{
		Options: o, exempt: map[string]time.Time{}, private: map[string]bool{}, zones: newStore(), looking: make(chan struct{}, 1),
		slots: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2)), // the others are left to the packet loops
	}
	for _, e := range o.Exempt {
		if b, err := e.Zone.AppendWire(nil); err == nil {
			v.exempt[string(b)] = e.Until
		}
	}
	for _, name := range o.Private {
		if b, err := name.AppendWire(nil); err == nil {
			v.private[string(b)] = true
		}
	}
	return v
}

// Exchange asks upstream and judges the answer. It has the signature of Options.Upstream, so the resolver need not know of it.
//
// When it enforces, upstream is asked with DO and CD, so that also a validating upstream hands over what it would refuse, and the verdict
// is ours: AD is set on what is secure alone; what is bogus becomes SERVFAIL with the extended error that says why; of a secure
// answer only what is proven is passed on, for no longer than its signatures allow. When it reports, upstream is asked without
// CD and its answer passes as it is, AD included: the school gets what it would get without.
//
// While the time is not known to be right, a signature that seems to be over, or of the future, makes an answer insecure and not
// bogus: a box without a clock needs names to learn the time.
//
// Where DNSSEC does not come through from upstream, nothing is judged and questions pass as they are: see State.
//
// Who sets CD judges for themselves: the answer passes as it comes, never with AD. Who does not set DO gets no records of
// DNSSEC, unless asked for by type. Private zones are asked for as the client asked. An error is that of Upstream.
func (v *Validator) Exchange(ctx context.Context, q *wire.Question) (*wire.Reply, error) {
	ours := v.isPrivate(q.Name.Bytes())
	if ours || q.CD || !judged(q) || v.stripped() {
		reply, err := v.Upstream(ctx, q)
		if err != nil {
			return nil, err
		}
		return v.unjudged(reply, q, reply.AD && !ours && !q.CD && !v.Enforce), nil // anybody on the way can set it
	}
	ask := *q
	ask.EDNS, ask.DO, ask.CD = true, true, v.Enforce
	reply, err := v.Upstream(ctx, &ask)
	if err != nil {
		return nil, err
	}
	if reply.Finding != wire.NoFinding || !v.passes(ctx) { // the former is refused for what is no question of signatures
		return v.unjudged(reply, q, false), nil
	}
	j, err := v.judge(ctx, q, reply, nil)
	if err != nil && v.Enforce && !isBudget(err) {
		return nil, err
	}
	v.count(j.Verdict)
	if !v.Enforce {
		return trimmed(reply, q, nil), nil
	}
	switch j.Status {
	case Bogus, Indeterminate:
		return &wire.Reply{Header: wire.Header{RCode: wire.ServFail}, EDE: j.Code, Name: reply.Name, Type: reply.Type, Class: reply.Class}, nil
	case Secure:
		out := *trimmed(reply, q, j.kept)
		out.AD, out.RCode = true, j.rcode
		return &out, nil
	case Insecure, Unjudged:
	}
	out := *trimmed(reply, q, nil)
	out.AD = false
	return &out, nil
}

// unjudged passes a reply as it came.
func (v *Validator) unjudged(reply *wire.Reply, q *wire.Question, ad bool) *wire.Reply {
	v.counts[Unjudged].Add(1)
	out := *trimmed(reply, q, nil)
	out.AD = ad
	return &out
}

// judged says whether answers to a question can be validated at all: signatures are not signed.
func judged(q *wire.Question) bool {
	return q.Class == wire.ClassIN && q.Type != wire.TypeRRSIG && q.Type != wire.TypeANY
}

// judge validates a reply. The judgement is never nil.
func (v *Validator) judge(ctx context.Context, q *wire.Question, reply *wire.Reply, told *[]Step) (*judgement, error) {
	if reply.RCode != wire.NoError && reply.RCode != wire.NXDomain {
		return &judgement{rcode: reply.RCode}, nil
	}
	w := v.work(ctx)
	w.trace = told != nil
	j, err := w.judge(string(q.Name.Bytes()), q.Type, reply)
	if told != nil {
		*told = w.steps
	}
	switch {
	case isBudget(err):
		return &judgement{Verdict: Verdict{Indeterminate, wire.EDEIndeterminate, err.Error()}, rcode: reply.RCode}, err
	case err != nil:
		return &judgement{Verdict: Verdict{Indeterminate, wire.EDENetwork, err.Error()}, rcode: reply.RCode}, err
	case w.late && j.Status == Secure:
		v.late.Add(1)
		j.Verdict = insecure("signatures are not of this time, but the time is not known to be right")
	}
	return j, nil
}

func (v *Validator) work(ctx context.Context) *work {
	return &work{v: v, ctx: ctx, now: v.Now(), timed: v.Proven(), left: newBudget()}
}

// computed runs f when few others compute.
func (v *Validator) computed(ctx context.Context, f func()) error {
	select {
	case v.slots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-v.slots }()
	f()
	return nil
}

// exempted says whether a name lies in a zone that is exempt now.
func (v *Validator) exempted(name string, now time.Time) bool {
	if len(v.exempt) > 0 {
		for at := name; at != root; at = parent(at) {
			if until, ok := v.exempt[at]; ok && (until.IsZero() || now.Before(until)) {
				return true
			}
		}
	}
	return v.isPrivate([]byte(name))
}

// isPrivate says whether a name lies in a zone that others answer for.
func (v *Validator) isPrivate(name []byte) bool {
	if len(v.private) == 0 {
		return false
	}
	for ; name[0] != 0; name = name[1+int(name[0]):] {
		if v.private[string(name)] {
			return true
		}
	}
	return false
}

// trimmed is a reply as q asked for it: without records of DNSSEC for who did not say DO, and, when kept is not nil, with those
// records alone, for as many seconds at most.
func trimmed(reply *wire.Reply, q *wire.Question, kept map[int]uint32) *wire.Reply {
	keep := func(i int) bool {
		if _, ok := kept[i]; kept != nil && !ok {
			return false
		}
		if q.DO {
			return true
		}
		switch typ, _, _ := reply.Record(i); typ {
		case wire.TypeRRSIG, wire.TypeNSEC, wire.TypeNSEC3:
			return typ == q.Type && i < int(reply.Answers)
		}
		return true
	}
	all := true
	for i := range reply.TTLs {
		all = all && keep(i)
	}
	if all && kept == nil {
		return reply
	}
	return reply.Select(keep, func(i int, ttl uint32) uint32 {
		if most, ok := kept[i]; ok {
			return min(ttl, most)
		}
		return ttl
	})
}

// Explain judges the answer to a question and tells the links of its chain of trust. It says what is so, whatever is enforced.
func (v *Validator) Explain(ctx context.Context, q *wire.Question) (*wire.Reply, Verdict, []Step, error) {
	ask := *q
	ask.EDNS, ask.DO, ask.CD = true, true, true
	reply, err := v.Upstream(ctx, &ask)
	if err != nil {
		return nil, Verdict{}, nil, err
	}
	var steps []Step
	j, err := v.judge(ctx, q, reply, &steps)
	if isBudget(err) {
		err = nil
	}
	return reply, j.Verdict, steps, err
}
