package dnssec_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"schoolgate/blocklist/domain"
	"schoolgate/resolver/dnssec"
	"schoolgate/resolver/wire"
)

func typesOf(r *wire.Reply) (out []uint16) {
	for i := range r.TTLs {
		typ, _, _ := r.Record(i)
		if !slices.Contains(out, typ) {
			out = append(out, typ)
		}
	}
	slices.Sort(out)
	return out
}

// TestBits is what of AD, CD and DO reaches upstream and comes back (RFC 6840).
func TestBits(t *testing.T) {
	w := oneWorld()
	for _, c := range []struct {
		what     string
		name     string
		typ      uint16
		do, cd   bool
		report   bool
		upDO, CD bool // as upstream was asked
		types    []uint16
		ad       bool
		rcode    uint16
	}{
		{what: "signed, without DO", name: "www.good.example.", typ: a, upDO: true, CD: true, types: []uint16{a}, ad: true},
		{what: "signed, with DO", name: "www.good.example.", typ: a, do: true, upDO: true, CD: true, types: []uint16{a, wire.TypeRRSIG}, ad: true},
		{what: "nothing there, without DO", name: "none.good.example.", typ: a, upDO: true, CD: true, types: []uint16{wire.TypeSOA}, ad: true, rcode: wire.NXDomain},
		{what: "nothing there, with DO", name: "none.nsec.", typ: a, do: true, upDO: true, CD: true, types: []uint16{wire.TypeSOA, wire.TypeRRSIG, wire.TypeNSEC}, ad: true, rcode: wire.NXDomain},
		{what: "NSEC asked for", name: "nsec.", typ: wire.TypeNSEC, upDO: true, CD: true, types: []uint16{wire.TypeNSEC}, ad: true},
		{what: "RRSIG asked for", name: "nsec.", typ: wire.TypeRRSIG, types: []uint16{wire.TypeSOA}},
		{what: "unsigned", name: "www.plain.example.", typ: a, do: true, upDO: true, CD: true, types: []uint16{a}},
		{what: "bogus", name: "www.bad.example.", typ: a, upDO: true, CD: true, rcode: wire.ServFail},
		{what: "bogus, CD", name: "www.bad.example.", typ: a, cd: true, CD: true, types: []uint16{a}},
		{what: "signed, CD and DO", name: "www.good.example.", typ: a, do: true, cd: true, upDO: true, CD: true, types: []uint16{a, wire.TypeRRSIG}},
		{what: "bogus, reported", name: "www.bad.example.", typ: a, report: true, upDO: true, types: []uint16{a}},
		{what: "signed, reported", name: "www.good.example.", typ: a, report: true, upDO: true, types: []uint16{a}},
	} {
		t.Run(c.what, func(t *testing.T) {
			o := w.options(t)
			o.Enforce = !c.report
			var last *wire.Question
			o.Upstream = func(ctx context.Context, q *wire.Question) (*wire.Reply, error) {
				if name := string(q.Name.Bytes()); name == string(question(t, c.name, a).Name.Bytes()) && q.Type == c.typ {
					last = q
				}
				return w.exchange(ctx, q)
			}
			q := question(t, c.name, c.typ)
			q.DO, q.CD = c.do, c.cd
			r, err := dnssec.New(o).Exchange(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if last.DO != c.upDO || last.CD != c.CD {
				t.Errorf("upstream was asked with DO %v and CD %v", last.DO, last.CD)
			}
			if r.AD != c.ad || r.RCode != c.rcode {
				t.Errorf("AD %v, rcode %d", r.AD, r.RCode)
			}
			if diff := cmp.Diff(c.types, typesOf(r)); diff != "" {
				t.Error(diff)
			}
			if q.DO != c.do || q.CD != c.cd {
				t.Error("the question was changed")
			}
		})
	}
}

func TestTTLsEndWithSignatures(t *testing.T) {
	w := &world{authority: newAuthority(t, epoch)}
	w.zone("short.", dns.ED25519, "www.short. 86400 IN A 192.0.2.1", "raised.short. 60 IN A 192.0.2.1").to = epoch.Add(20 * time.Minute)
	w.sign()
	w.tamper["raised.short. A"] = func(m *dns.Msg) { // on the way, by somebody who would like it to be kept
		for _, rr := range m.Answer {
			rr.Header().Ttl = 86400
		}
	}
	v := dnssec.New(w.options(t))
	for name, want := range map[string]uint32{"www.short.": 1200, "raised.short.": 60} {
		r, err := v.Exchange(t.Context(), question(t, name, a))
		if err != nil {
			t.Fatal(err)
		}
		if _, ttl, _ := r.Record(0); ttl != want || !r.AD {
			t.Errorf("%s: TTL %d, want %d", name, ttl, want)
		}
	}
}

func TestExempt(t *testing.T) {
	w := oneWorld()
	for _, c := range []struct {
		what string
		o    func(*dnssec.Options)
		want dnssec.Status
	}{
		{"none", func(*dnssec.Options) {}, dnssec.Bogus},
		{"for good", func(o *dnssec.Options) { o.Exempt = []dnssec.Exemption{{Zone: "bad.example"}} }, dnssec.Insecure},
		{"for now", func(o *dnssec.Options) {
			o.Exempt = []dnssec.Exemption{{Zone: "bad.example", Until: epoch.Add(time.Hour)}}
		}, dnssec.Insecure},
		{"no longer", func(o *dnssec.Options) { o.Exempt = []dnssec.Exemption{{Zone: "bad.example", Until: epoch}} }, dnssec.Bogus},
		{"zone above", func(o *dnssec.Options) { o.Exempt = []dnssec.Exemption{{Zone: "example"}} }, dnssec.Insecure},
		{"name beside", func(o *dnssec.Options) { o.Exempt = []dnssec.Exemption{{Zone: "ad.example"}} }, dnssec.Bogus},
		{"private", func(o *dnssec.Options) { o.Private = []domain.Name{"bad.example"} }, dnssec.Insecure},
	} {
		t.Run(c.what, func(t *testing.T) {
			o := w.options(t)
			c.o(&o)
			v := dnssec.New(o)
			for _, name := range []string{"www.bad.example.", "none.bad.example.", "bad-www.home.nsec."} {
				_, verdict, _, err := v.Explain(t.Context(), question(t, name, a))
				if err != nil {
					t.Fatal(err)
				}
				if verdict.Status != c.want {
					t.Errorf("%s: %v (%s), want %v", name, verdict.Status, verdict.Why, c.want)
				}
			}
		})
	}
}

// TestClock: a box that does not know the time must get names all the same, to learn it.
func TestClock(t *testing.T) {
	w := oneWorld()
	now, proven := epoch.AddDate(-1, 0, 0), false
	o := w.options(t)
	o.Now, o.Proven = func() time.Time { return now }, func() bool { return proven }
	v := dnssec.New(o)
	check := func(name string, rcode uint16, ad bool) {
		t.Helper()
		r, err := v.Exchange(t.Context(), question(t, name, a))
		if err != nil {
			t.Fatal(err)
		}
		if r.RCode != rcode || r.AD != ad {
			t.Errorf("%s: rcode %d, AD %v", name, r.RCode, r.AD)
		}
	}
	check("www.good.example.", wire.NoError, false)
	check("forged.hostile0.example.", wire.ServFail, false) // what is forged is refused at any time
	if s := v.State(); s.Late == 0 || !s.Enforced {
		t.Errorf("%+v", s)
	}
	now, proven = epoch, true
	check("www.good.example.", wire.NoError, true)
	check("www.expired.example.", wire.ServFail, false)
}

// TestAuthenticIsOurWord: what upstream calls authentic and nobody checked here is not, where answers are checked; the cache
// takes it for proof that nothing is there.
func TestAuthenticIsOurWord(t *testing.T) {
	w := oneWorld()
	for _, c := range []struct {
		what string
		typ  uint16
		do   bool
		lost bool // signatures do not come through
		off  bool
		ad   bool
	}{
		{what: "signatures asked for", typ: wire.TypeRRSIG, do: true},
		{what: "everything asked for", typ: wire.TypeANY},
		{what: "signatures lost on the way", typ: a, lost: true},
		{what: "reported", typ: wire.TypeRRSIG, off: true, ad: true},
	} {
		t.Run(c.what, func(t *testing.T) {
			o := w.options(t)
			o.Enforce = !c.off
			o.Upstream = func(ctx context.Context, q *wire.Question) (*wire.Reply, error) {
				r, err := w.exchange(ctx, q)
				if err != nil {
					return nil, err
				}
				said := *r
				if c.lost {
					said = *r.Select(func(i int) bool { typ, _, _ := r.Record(i); return typ != wire.TypeRRSIG }, func(_ int, ttl uint32) uint32 { return ttl })
				}
				said.AD = true
				return &said, nil
			}
			v := dnssec.New(o)
			for range 2 { // the second knows whether signatures come through
				q := question(t, "none.good.example.", c.typ)
				q.DO = c.do
				r, err := v.Exchange(t.Context(), q)
				if err != nil {
					t.Fatal(err)
				}
				if r.RCode != wire.NXDomain || r.AD != c.ad {
					t.Errorf("rcode %d, AD %v", r.RCode, r.AD)
				}
			}
		})
	}
}

// TestPath: a school must not lose its names because its provider leaves out signatures.
func TestPath(t *testing.T) {
	w := oneWorld()
	now := epoch
	var broken func(q *wire.Question, r *wire.Reply) (*wire.Reply, error)
	o := w.options(t)
	o.Now = func() time.Time { return now }
	o.Upstream = func(ctx context.Context, q *wire.Question) (*wire.Reply, error) {
		r, err := w.exchange(ctx, q)
		if broken != nil && err == nil {
			return broken(q, r)
		}
		return r, err
	}
	v := dnssec.New(o)
	ask := func(want uint16) {
		t.Helper()
		r, err := v.Exchange(t.Context(), question(t, "www.bad.example.", a))
		if err != nil {
			t.Fatal(err)
		}
		if r.RCode != want {
			t.Errorf("rcode %d, want %d: %+v", r.RCode, want, v.State())
		}
	}
	all := func(int, uint32) uint32 { return 0 }
	ask(wire.ServFail)
	stripped := func(_ *wire.Question, r *wire.Reply) (*wire.Reply, error) {
		return r.Select(func(i int) bool {
			typ, _, _ := r.Record(i)
			return typ != wire.TypeRRSIG && typ != wire.TypeNSEC && typ != wire.TypeNSEC3
		}, all), nil
	}
	broken = stripped
	now = now.Add(time.Minute)
	ask(wire.ServFail) // which makes it look at the path again
	ask(wire.NoError)
	if s := v.State(); s.Enforced || s.Passes || s.Why == "" {
		t.Errorf("%+v", s)
	}
	broken = nil
	now = now.Add(2 * time.Minute)
	ask(wire.ServFail)

	for what, f := range map[string]func(q *wire.Question, r *wire.Reply) (*wire.Reply, error){
		"stripped": stripped,
		"without proofs": func(q *wire.Question, r *wire.Reply) (*wire.Reply, error) {
			return r.Select(func(i int) bool { return i < int(r.Answers) }, all), nil
		},
		"DO not answered": func(q *wire.Question, r *wire.Reply) (*wire.Reply, error) {
			if q.DO && q.Type != a {
				return nil, errors.New("timeout")
			}
			return r, nil
		},
		"keys refused": func(q *wire.Question, r *wire.Reply) (*wire.Reply, error) {
			if q.Type == wire.TypeDNSKEY {
				return &wire.Reply{Header: wire.Header{RCode: wire.Refused}, Name: r.Name, Type: r.Type, Class: r.Class}, nil
			}
			return r, nil
		},
	} {
		t.Run(what, func(t *testing.T) {
			broken = f
			v = dnssec.New(o)
			ask(wire.NoError)
			if s := v.State(); s.Enforced || s.Why == "" {
				t.Errorf("%+v", s)
			}
		})
	}
	broken = func(*wire.Question, *wire.Reply) (*wire.Reply, error) { return nil, errors.New("nobody answers") }
	v = dnssec.New(o)
	if _, err := v.Exchange(t.Context(), question(t, "www.bad.example.", a)); err == nil {
		t.Error("no error")
	}
	if s := v.State(); !s.Enforced {
		t.Errorf("an upstream that is away says nothing of DNSSEC: %+v", s)
	}
}

func TestNewKeysOfTheRoot(t *testing.T) {
	o := oneWorld().options(t)
	o.Anchors = nil // those built in are of other keys
	v := dnssec.New(o)
	if _, err := v.Exchange(t.Context(), question(t, "www.good.example.", a)); err != nil {
		t.Fatal(err)
	}
	if s := v.State(); !s.NewKeys || s.Enforced {
		t.Errorf("%+v", s)
	}
}

func TestAnchors(t *testing.T) {
	if n := len(dnssec.RootAnchors()); n != 2 {
		t.Errorf("%d anchors", n)
	}
	root := oneWorld().zones["."].keys[0].key.String()
	for text, good := range map[string]bool{
		root:                       true,
		"; comment\n\n" + root:     true,
		"":                         false,
		"example. IN DS 1 8 2 AB":  false,
		". IN DS 1 8 2 XY":         false,
		". IN DS 1 5 2 ABAB":       false,
		". IN DS 70000 8 2 ABAB":   false,
		". 3600 IN DS 1 8 2 AB CD": true,
		". IN DNSKEY 257 3 8 AAAA": false,
	} {
		if _, err := dnssec.ParseAnchors([]byte(text)); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
}
