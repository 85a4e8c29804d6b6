package cache

import (
	"testing"
	"time"

	"github.com/miekg/dns"

	"schoolgate/resolver/wire"
)

// TestUnproven: what failed validation is no failure, for which an answer of the past could stand in, and is asked for again
// before long.
func TestUnproven(t *testing.T) {
	for code, stands := range map[uint16]bool{wire.EDESignatureExpired: true, wire.EDEIndeterminate: true, wire.EDENetwork: false} {
		c := New(limits())
		r := ask(t, "www.example.", dns.TypeA)
		put(c, &r.q, answer(t, "www.example.", dns.TypeA, dns.RcodeSuccess, "www.example. 60 IN A 192.0.2.1"), start)
		now := start.Add(2 * time.Minute)
		bad := answer(t, "www.example.", dns.TypeA, dns.RcodeServerFailure)
		bad.SetEdns0(1232, false)
		bad.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: code}}
		if e := put(c, &r.q, bad, now); e == nil || e.Failed() == stands {
			t.Errorf("%d: Failed is %v", code, !stands)
		}
		e, state := c.Get(&r.q, now.Add(time.Second))
		if e == nil || (e.RCode() == wire.ServFail) != stands {
			t.Fatalf("%d: %v in the cache", code, state)
		}
		if stands {
			if _, state := c.Get(&r.q, now.Add(31*time.Second)); state != Miss {
				t.Errorf("%d: %v after its time", code, state)
			}
		}
	}
}
