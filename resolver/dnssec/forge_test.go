package dnssec_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"sync"
	"testing"

	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"schoolgate/resolver/dnssec"
	"schoolgate/resolver/wire"
)

// oneWorld is built once: the tests that use it only read it.
var oneWorld = sync.OnceValue(func() *world { return newWorld(quiet{}) })

// quiet is a testing.TB for what is made outside of a test.
type quiet struct{ testing.TB }

func (quiet) Helper()                   {}
func (quiet) Fatal(args ...any)         { panic(fmt.Sprint(args...)) }
func (quiet) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }

// genuine is what the world says, as texts that leave TTLs out.
func genuine(r *wire.Reply) map[string]bool {
	all := map[string]bool{}
	for _, rr := range r.RRs() {
		all[fmt.Sprintf("%q %d %q", rr.Name, rr.Type, rr.Data)] = true
	}
	return all
}

// invented fails when an answer is said to be secure that the world does not give.
func invented(t interface{ Fatalf(string, ...any) }, truth, said *wire.Reply) {
	if !said.AD {
		return
	}
	if said.RCode != truth.RCode {
		t.Fatalf("secure with response code %d instead of %d", said.RCode, truth.RCode)
	}
	known := genuine(truth)
	for record := range genuine(said) {
		if !known[record] {
			t.Fatalf("secure with %s", record)
		}
	}
}

// TestNothingForgedIsSecure flips bits in an answer, or in what its chain of trust is made of.
func TestNothingForgedIsSecure(t *testing.T) {
	w := oneWorld()
	var good []wanted
	for _, want := range w.wants {
		if want.status == dnssec.Secure && w.tamper[want.name+" "+dns.TypeToString[want.typ]] == nil {
			good = append(good, want)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		want := rapid.SampledFrom(good).Draw(rt, "question")
		q := question(t, want.name, want.typ)
		q.DO = true
		truth, err := w.exchange(t.Context(), q)
		if err != nil {
			rt.Fatal(err)
		}
		nth := rapid.IntRange(0, 5).Draw(rt, "which reply")
		at, bit := rapid.IntRange(0, 4000).Draw(rt, "byte"), rapid.IntRange(0, 7).Draw(rt, "bit")
		o := w.options(t)
		asked, flipped := 0, false
		o.Upstream = func(_ context.Context, q *wire.Question) (*wire.Reply, error) {
			name, _, _ := dns.UnpackDomainName(q.Name.Bytes(), 0)
			packed, err := w.reply(dns.Question{Name: name, Qtype: q.Type, Qclass: q.Class}, q.DO).Pack()
			if err != nil {
				return nil, err
			}
			if asked++; asked > 2 && asked-3 == nth { // the first two look at the path
				if body := packed[12+len(q.Name.Bytes())+4:]; len(body) > 0 {
					body[at%len(body)] ^= 1 << bit
					flipped = true
				}
			}
			return wire.ReadReply(packed)
		}
		said, err := dnssec.New(o).Exchange(t.Context(), q)
		if err != nil {
			return // could not be read
		}
		invented(rt, truth, said)
		if !flipped && !said.AD {
			rt.Fatalf("%s is not secure though nothing was changed", want.name)
		}
	})
}

// FuzzExchange judges whatever comes: as the answer alone, with a sound chain of trust, or as every reply.
func FuzzExchange(f *testing.F) {
	w := oneWorld()
	for _, want := range []wanted{{name: "www.good.example.", typ: a}, {name: "none.good.example.", typ: a}, {name: "some.wild.good.example.", typ: a}, {name: "x.tree.good.example.", typ: a}, {name: "good.example.", typ: dns.TypeDNSKEY}} {
		packed, err := w.reply(dns.Question{Name: want.name, Qtype: want.typ, Qclass: dns.ClassINET}, true).Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed, false)
		f.Add(packed, true)
	}
	f.Fuzz(func(t *testing.T, msg []byte, everything bool) {
		r, err := wire.ReadReply(msg)
		if err != nil {
			return
		}
		q := &wire.Question{Type: r.Type, Class: r.Class, RD: true, EDNS: true, DO: true}
		if _, err := q.Name.Read(r.Name, 0); err != nil {
			return
		}
		o := w.options(t)
		requests := 0
		o.Upstream = func(ctx context.Context, asked *wire.Question) (*wire.Reply, error) {
			requests++
			if asked.Type == q.Type && asked.Name == q.Name {
				return r, nil
			}
			if !everything {
				return w.exchange(ctx, asked)
			}
			own := *r
			own.Name, own.Type, own.Class = append([]byte(nil), asked.Name.Bytes()...), asked.Type, asked.Class
			return &own, nil
		}
		v := dnssec.New(o)
		if _, err := v.Exchange(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		if s := v.State(); s.Verifies > 2*64 || requests > 2*48 {
			t.Errorf("%d signatures, %d requests", s.Verifies, requests)
		}
	})
}

// TestCosts judges answers that were made to be slow: many keys of one tag, many signatures that do not fit (KeyTrap).
func TestCosts(t *testing.T) {
	w := &world{authority: newAuthority(t, epoch)}
	z := w.zone("trap.", dns.ED25519, contents("trap.")...)
	// The tag is a sum of pairs of bytes: pairs that change places make another key of the same tag.
	raw, err := base64.StdEncoding.DecodeString(z.keys[1].key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 15 {
		twin := append([]byte(nil), raw...)
		copy(twin[2*i:], raw[2*i+2:2*i+4])
		copy(twin[2*i+2:], raw[2*i:2*i+2])
		k := *z.keys[1].key
		k.PublicKey = base64.StdEncoding.EncodeToString(twin)
		z.put(&k)
	}
	w.sign()
	w.tamper["www.trap. A"] = func(m *dns.Msg) {
		for _, rr := range m.Answer {
			sig, ok := rr.(*dns.RRSIG)
			if !ok {
				continue
			}
			value, _ := base64.StdEncoding.DecodeString(sig.Signature)
			for i := range 100 {
				wrong := *sig
				value[0] = byte(i)
				wrong.Signature = base64.StdEncoding.EncodeToString(value)
				m.Answer = append([]dns.RR{&wrong}, m.Answer...)
			}
		}
	}
	v := dnssec.New(w.options(t))
	before := v.State().Verifies
	q := question(t, "www.trap.", a)
	r, err := v.Exchange(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if r.RCode != wire.ServFail || r.EDE != wire.EDEIndeterminate {
		t.Errorf("response code %d, extended error %d", r.RCode, r.EDE)
	}
	if n := v.State().Verifies - before; n > 64 {
		t.Errorf("%d signatures computed for one question", n)
	}
}

// TestRequests counts what a fresh name costs: the answer itself, DS and keys of its zone.
func TestRequests(t *testing.T) {
	w := oneWorld()
	v := dnssec.New(w.options(t))
	total := 0
	v.Upstream = func(ctx context.Context, q *wire.Question) (*wire.Reply, error) {
		total++
		return w.exchange(ctx, q)
	}
	for _, step := range []struct {
		name string
		most int
	}{
		{"www.good.example.", 7},   // two for the path, example, good.example, itself
		{"mixed.good.example.", 1}, // of a zone that is known
		{"www.home.nsec.", 5},      // another top-level domain
		{"www.plain.example.", 2},  // not signed: the proof of that
		{"real.wild.plain.example.", 1},
		{"good-www.home.nsec.", 1}, // an alias from one known zone to another
	} {
		total = 0
		if _, err := v.Exchange(t.Context(), question(t, step.name, a)); err != nil {
			t.Fatal(err)
		}
		if total != step.most {
			t.Errorf("%s took %d requests, want %d", step.name, total, step.most)
		}
	}
}
