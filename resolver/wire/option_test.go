package wire

import (
	"testing"

	"github.com/miekg/dns"
)

func TestPadAndKeepAlive(t *testing.T) {
	req := request(t, "www.school.example.", TypeA, edns(1232, true, &dns.EDNS0_PADDING{Padding: make([]byte, 20)}, &dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE}))
	q := parsed(t, req)
	if !q.Padded || !q.KeepAlive {
		t.Fatalf("padded %v, keep-alive %v", q.Padded, q.KeepAlive)
	}
	if plain := parsed(t, request(t, "www.school.example.", TypeA, edns(1232, true))); plain.Padded || plain.KeepAlive {
		t.Error("seen where there is none")
	}
	for _, records := range []int{0, 1, 23, 24, 25, 26, 400, 4080, 4090} {
		var answer []dns.RR
		for range records {
			answer = append(answer, rrs(t, "www.school.example. 60 IN A 192.0.2.1")...)
		}
		h, body := bodyOf(t, req, q, answer, nil, nil)
		msg := AppendReply(nil, req, q, h, body, EDE{Code: EDEBlocked, Text: "why"})
		out := Pad(AppendOption(msg, q, OptionKeepAlive, []byte{0, 100}), q)
		if len(out)%PadBlock != 0 && len(out) != 0xffff || len(out) > 0xffff {
			t.Errorf("%d records: %d bytes", records, len(out))
		}
		m := unpack(t, out)
		if len(m.Answer) != records || len(m.IsEdns0().Option) != 3 {
			t.Errorf("%d records came back as %d, with options %v", records, len(m.Answer), m.IsEdns0().Option)
		}
		if k, ok := m.IsEdns0().Option[1].(*dns.EDNS0_TCP_KEEPALIVE); !ok || k.Timeout != 100 {
			t.Errorf("keep-alive: %v", m.IsEdns0().Option[1])
		}
	}
	// Without EDNS nothing is added, nor to what is no reply.
	bare := parsed(t, request(t, "www.school.example.", TypeA))
	msg := AppendError(nil, request(t, "www.school.example.", TypeA), bare, NXDomain, EDE{})
	if out := Pad(msg, bare); len(out) != len(msg) {
		t.Errorf("padded without EDNS: %d bytes", len(out))
	}
	for n := range len(msg) {
		if out := Pad(msg[:n:n], q); len(out) != n {
			t.Errorf("the first %d bytes of a reply became %d", n, len(out))
		}
	}
}

func TestFreshness(t *testing.T) {
	req := request(t, "www.school.example.", TypeA, edns(1232, false))
	q := parsed(t, req)
	soa := "school.example. 900 IN SOA ns.school.example. mail.school.example. 1 2 3 4 300"
	for _, tt := range []struct {
		name       string
		answer, ns []string
		want       uint32
	}{
		{"nothing", nil, nil, 0},
		{"smallest", []string{"www.school.example. 300 IN CNAME a.example.", "a.example. 20 IN A 192.0.2.1", "a.example. 60 IN A 192.0.2.2"}, []string{"example. 5 IN NS ns.example."}, 20},
		{"negative", nil, []string{"school.example. 5 IN NS ns.example.", soa}, 300},
		{"negative, SOA sooner", nil, []string{"school.example. 100 IN SOA a. b. 1 2 3 4 300"}, 100},
		{"referral", nil, []string{"example. 5 IN NS ns.example."}, 0},
	} {
		h, body := bodyOf(t, req, q, rrs(t, tt.answer...), rrs(t, tt.ns...), nil)
		msg := AppendReply(nil, req, q, h, body, EDE{})
		if got := Freshness(msg, q); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
		for n := range len(msg) {
			Freshness(msg[:n], q) // must not panic
		}
	}
}
