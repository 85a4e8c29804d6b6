package wire

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

func ttls(m *dns.Msg) (out []uint32) {
	for _, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range section {
			if rr.Header().Rrtype != TypeOPT {
				out = append(out, rr.Header().Ttl)
			}
		}
	}
	return out
}

func TestAgeTTLs(t *testing.T) {
	req := request(t, "www.school.example.", TypeA, edns(1232, false))
	q := parsed(t, req)
	h, body := bodyOf(t, req, q,
		rrs(t, "www.school.example. 300 IN CNAME web.school.example.", "web.school.example. 60 IN A 192.0.2.7"),
		rrs(t, "school.example. 3600 IN NS ns.school.example."),
		nil)
	h.Authority++
	body = AppendAddr(body, netip.MustParseAddr("192.0.2.53"), 1<<31) // top bit set: 0
	r, err := ReadReply(AppendReply(nil, req, q, h, body, EDE{}))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name       string
		age, floor uint32
		want       []uint32
	}{
		{"new", 0, 0, []uint32{300, 60, 3600, 0}},
		{"older", 59, 0, []uint32{241, 1, 3541, 0}},
		{"past", 100, 0, []uint32{200, 0, 3500, 0}},
		{"floor", 299, 5, []uint32{5, 5, 3301, 5}},
		{"stale", 1<<32 - 1, 30, []uint32{30, 30, 30, 30}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			reply := AppendReply(nil, req, q, r.Header, r.Body, EDE{})
			AgeTTLs(reply[q.End:], r.TTLs, tt.age, tt.floor)
			if d := cmp.Diff(tt.want, ttls(unpack(t, reply))); d != "" {
				t.Error(d)
			}
		})
	}
}
