package cache

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"schoolgate/resolver/wire"
)

// denial says that a name does not exist, as a validating upstream does.
func denial(t testing.TB, name string, edit ...func(*dns.Msg)) *dns.Msg {
	m := answer(t, name, dns.TypeA, dns.RcodeNameError, "ns: example. 900 IN SOA ns1.example. admin.example. 1 7200 900 1209600 120")
	m.AuthenticatedData = true
	for _, e := range edit {
		e(m)
	}
	return m
}

// What DNSSEC proved not to exist has no type and nothing below it; what is only said not to exist may.
func TestDenial(t *testing.T) {
	for _, tt := range []struct {
		name string
		edit func(*dns.Msg)
		cd   bool
		all  bool
	}{
		{"proven", func(*dns.Msg) {}, false, true},
		{"not proven", func(m *dns.Msg) { m.AuthenticatedData = false }, false, false},
		{"no data", func(m *dns.Msg) { m.Rcode = dns.RcodeSuccess }, false, false},
		{"the end of an alias", func(m *dns.Msg) { m.Answer = []dns.RR{rr(t, "gone.example. 60 IN CNAME b.example.")} }, false, false},
		{"without a zone", func(m *dns.Msg) { m.Ns = nil }, false, false},
		{"refused by a filter", func(m *dns.Msg) {
			m.SetEdns0(1232, false)
			m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: wire.EDEFiltered}}
		}, false, false},
		{"unchecked", func(*dns.Msg) {}, true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := New(limits())
			edit := func(*dns.Msg) {}
			if tt.cd {
				edit = cd
			}
			r := ask(t, "gone.example.", dns.TypeA, edit)
			if put(c, &r.q, denial(t, "gone.example.", tt.edit), start) == nil {
				t.Fatal("not taken")
			}
			now := start.Add(20 * time.Second)
			if _, state := c.Get(&r.q, now); state != Fresh {
				t.Errorf("the question itself: %v", state)
			}
			other := ask(t, "gone.example.", dns.TypeAAAA, edit)
			if _, state := c.Get(&other.q, now); (state == Fresh) != tt.all {
				t.Errorf("another type: %v", state)
			}
			long := strings.Repeat("x.", 100) + "gone.example."
			for _, name := range []string{"a.gone.example.", "a.b.c.Gone.example.", long} {
				r := ask(t, name, dns.TypeTXT, edit)
				e := c.Below(&r.q, now)
				if (e != nil) != tt.all {
					t.Errorf("%s: %v", name, e)
				}
				if e == nil {
					continue
				}
				m := read(t, e.Append(nil, r.bytes, &r.q, now))
				if want := []string{"example. 100 IN SOA ns1.example. admin.example. 1 7200 900 1209600 120"}; fmt.Sprint(texts(m.Ns)) != fmt.Sprint(want) || m.Rcode != 3 || m.Question[0].Name != name {
					t.Errorf("%s:\n%v", name, m)
				}
			}
			for _, name := range []string{"example.", "one.example.", "agone.example.", "gone.example.", "gone."} {
				r := ask(t, name, dns.TypeA, edit)
				if e := c.Below(&r.q, now); e != nil {
					t.Errorf("%s is denied", name)
				}
			}
			r = ask(t, "a.gone.example.", dns.TypeA, do, edit)
			if c.Below(&r.q, now) != nil {
				t.Error("an answer without signatures for who asks for them")
			}
			if end := start.Add(2 * time.Minute); c.Below(&ask(t, "a.gone.example.", dns.TypeA, edit).q, end) != nil {
				t.Error("denied past its time")
			}
		})
	}
}

// The last word counts, whatever of it is kept under which type.
func TestDenialAndItsOpposite(t *testing.T) {
	c := New(limits())
	a, six := ask(t, "n.example.", dns.TypeA), ask(t, "n.example.", dns.TypeAAAA)
	put(c, &a.q, address(t, "n.example.", 60), start)
	put(c, &a.q, denial(t, "n.example."), start)
	for _, r := range []*request{a, six} {
		if e, state := c.Get(&r.q, start); state != Fresh || e.RCode() != wire.NXDomain {
			t.Errorf("%d after the denial: %v", r.q.Type, state)
		}
	}
	stale := start.Add(3 * time.Minute)
	if e, state := c.Get(&a.q, stale); state != Stale || e.RCode() != wire.NXDomain {
		t.Errorf("past its time: %v", state)
	}
	c.Failed(&six.q, stale)
	if e, state := c.Get(&a.q, stale); state != Spare || e.RCode() != wire.NXDomain {
		t.Errorf("asked for in vain: %v", state)
	}
	put(c, &a.q, address(t, "n.example.", 60), stale)
	if e, state := c.Get(&a.q, stale); state != Fresh || e.RCode() != wire.NoError {
		t.Errorf("after an answer: %v", state)
	}
	if _, state := c.Get(&six.q, stale); state != Miss {
		t.Errorf("another type after an answer: %v", state)
	}
	if n := c.Stats().Entries; n != 1 {
		t.Errorf("%d entries", n)
	}
}

// Nobody is asked again at once for what nobody could answer, and that only for so long as RFC 9520 has it.
func TestFailed(t *testing.T) {
	c := New(limits())
	r := ask(t, "a.example.", dns.TypeA, edns)
	c.Failed(&r.q, start)
	e, state := c.Get(&r.q, start.Add(5*time.Second-1))
	if state != Fresh || !e.Failed() || e.EDE() != wire.EDECachedError {
		t.Fatalf("%v %+v", state, e)
	}
	if m := read(t, e.Append(nil, r.bytes, &r.q, start)); m.Rcode != dns.RcodeServerFailure || len(m.Answer)+len(m.Ns) != 0 {
		t.Error(m)
	}
	if _, state := c.Get(&r.q, start.Add(5*time.Second)); state != Miss {
		t.Errorf("after its time: %v", state)
	}
	c.Failed(&r.q, start)
	put(c, &r.q, address(t, "a.example.", 60), start)
	if e, state := c.Get(&r.q, start); state != Fresh || e.Failed() {
		t.Error("a failure outlived an answer")
	}
	six := ask(t, "a.example.", dns.TypeAAAA)
	if _, state := c.Get(&six.q, start); state != Miss {
		t.Error("the failure of one type is another's")
	}
}
