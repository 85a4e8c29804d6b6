package dnssec_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/miekg/dns"

	"schoolgate/resolver/dnssec"
)

// TestReplays is somebody on the way who has every signed record of two zones, one below the other, and puts them together to say
// what is not so.
func TestReplays(t *testing.T) {
	for i, hashed := range []*dns.NSEC3PARAM{nil, salted(1, "dd")} {
		t.Run(fmt.Sprint("NSEC", i*3), func(t *testing.T) { testReplays(t, hashed) })
	}
}

func testReplays(t *testing.T, hashed *dns.NSEC3PARAM) {
	w := &world{authority: newAuthority(t, epoch)}
	w.zone("x.", dns.ED25519, "www.x. 300 IN A 192.0.2.1", "alias.x. 300 IN CNAME www.x.", "*.wild.x. 300 IN A 192.0.2.2", "real.wild.x. 300 IN A 192.0.2.3",
		"tree.x. 300 IN DNAME www.x.", "*.x. 300 IN TXT any").hashed = hashed
	w.zone("cut.x.", dns.ED25519, "www.cut.x. 300 IN A 192.0.2.4").hashed = hashed
	w.sign()
	deny := func(zones ...string) func(m *dns.Msg) {
		return func(m *dns.Msg) {
			m.Answer, m.Ns = nil, nil
			for _, name := range zones {
				z := w.zones[name]
				z.give(&m.Ns, name, name, dns.TypeSOA)
				for _, rr := range z.chain {
					z.give(&m.Ns, rr.Header().Name, rr.Header().Name, rr.Header().Rrtype)
				}
			}
		}
	}
	grow := func(from string, typ uint16, as string) func(m *dns.Msg) { // a wildcard in place of what is there, or is not
		return func(m *dns.Msg) {
			deny("x.")(m)
			w.zones["x."].give(&m.Answer, from, as, typ)
			m.Rcode = ok
		}
	}
	for _, c := range []struct {
		what, name string
		typ        uint16
		rcode      int
		change     func(m *dns.Msg)
	}{
		{"there is no such name", "www.x.", a, nx, deny("x.")},
		{"there is no such record", "www.x.", a, ok, deny("x.")},
		{"an alias has nothing", "alias.x.", aaaa, ok, deny("x.")},
		{"there is no alias", "alias.x.", a, nx, deny("x.")},
		{"nothing below a delegation", "www.cut.x.", a, nx, deny("x.")},
		{"no data at a delegation", "cut.x.", dns.TypeSOA, ok, deny("x.")},
		{"no data below a delegation", "www.cut.x.", a, ok, deny("x.")},
		{"a wildcard above a delegation", "new.cut.x.", txt, ok, grow("*.x.", txt, "new.cut.x.")},
		{"a wildcard above DNAME", "new.tree.x.", txt, ok, grow("*.x.", txt, "new.tree.x.")},
		{"no wildcard", "new.wild.x.", a, nx, deny("x.")},
		{"a wildcard without data", "new.wild.x.", a, ok, deny("x.")},
		{"a wildcard over a name", "real.wild.x.", a, ok, grow("*.wild.x.", a, "real.wild.x.")},
		{"a wildcard below a name", "new.real.wild.x.", a, ok, grow("*.wild.x.", a, "new.real.wild.x.")},
		{"a wildcard further up", "new.wild.x.", txt, ok, grow("*.x.", txt, "new.wild.x.")},
		{"nothing below DNAME", "new.tree.x.", a, nx, deny("x.")},
		{"no DNAME", "tree.x.", dns.TypeDNAME, ok, deny("x.")},
		{"a delegation is not signed, by its parent", "cut.x.", tds, ok, deny("x.")},
		{"a delegation is not signed, by itself", "cut.x.", tds, ok, deny("cut.x.")},
		{"a delegation is not signed, by both", "cut.x.", tds, ok, deny("cut.x.", "x.")},
		{"the child speaks for its parent", "www.x.", a, nx, deny("cut.x.")},
		{"there is no zone", "cut.x.", dns.TypeSOA, nx, deny("x.")},
	} {
		t.Run(c.what, func(t *testing.T) {
			id := c.name + " " + dns.TypeToString[c.typ]
			w.tamper[id] = func(m *dns.Msg) { c.change(m); m.Rcode = c.rcode }
			defer delete(w.tamper, id)
			_, verdict, steps, err := dnssec.New(w.options(t)).Explain(t.Context(), question(t, c.name, c.typ))
			if err != nil {
				t.Fatal(err)
			}
			if verdict.Status != dnssec.Bogus {
				t.Errorf("%v: %v", verdict, steps)
			}
		})
	}
	// Records that come twice are one (RFC 4034 section 6.3).
	w.tamper["www.x. A"] = func(m *dns.Msg) { m.Answer = append(m.Answer, slices.Clone(m.Answer)...) }
	if _, verdict, _, err := dnssec.New(w.options(t)).Explain(t.Context(), question(t, "www.x.", a)); err != nil || verdict.Status != dnssec.Secure {
		t.Errorf("twice: %v, %v", verdict, err)
	}
}
