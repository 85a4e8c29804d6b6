package wire

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"schoolgate/blocklist/domain"
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
		rrs(t, "ns.school.example. 2147483648 IN A 192.0.2.53")) // top bit set: 0
	offsets, err := Offsets(nil, body, h.Records())
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
			reply := AppendReply(nil, req, q, h, body, EDE{})
			AgeTTLs(reply[q.End:], offsets, tt.age, tt.floor)
			if d := cmp.Diff(tt.want, ttls(unpack(t, reply))); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestOffsetsLeavesOutOPT(t *testing.T) {
	req := request(t, "a.example.", TypeA, edns(1232, false))
	q := parsed(t, req)
	offsets, err := Offsets(nil, req[q.End:], 1)
	if err != nil || len(offsets) != 0 {
		t.Errorf("%v, %v", offsets, err)
	}
	if _, err := Offsets(nil, req[q.End:], 2); !errors.Is(err, ErrMalformed) {
		t.Errorf("a record that is not there: %v", err)
	}
}

func targets(msg []byte) (names []string, err error) {
	var w domain.Wire
	for t := Targets(msg); ; {
		if !t.Next(&w) {
			return names, t.Err()
		}
		names = append(names, string(w.Name()))
	}
}

func TestTargets(t *testing.T) {
	m := new(dns.Msg)
	m.SetQuestion("a.example.", TypeA)
	m.Response, m.Compress = true, true
	m.Answer = rrs(t,
		"a.example. 1 IN CNAME B.tracker.example.",
		"b.tracker.example. 1 IN CNAME c.b.tracker.example.",
		"d.example. 1 IN DNAME e.example.",
		"c.b.tracker.example. 1 IN A 192.0.2.1",
		"a.example. 1 IN HTTPS 1 . alpn=h2",
		"a.example. 1 IN HTTPS 2 svc.example. alpn=h3",
		"_dns.example. 1 IN SVCB 1 dns.example.",
		"a.example. 1 IN MX 5 mail.example.")
	m.Ns = rrs(t, "a.example. 1 IN CNAME not.an.answer.example.")
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	got, err := targets(b)
	want := []string{"b.tracker.example", "c.b.tracker.example", "e.example", "svc.example", "dns.example"}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Error(d, err)
	}
}

func TestTargetsMalformed(t *testing.T) {
	// One question for the root, one CNAME of the root whose target is rdata.
	cname := func(rdata ...byte) []byte {
		m := []byte{0, 0, 0x80, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 5, 0, 1, 0, 0, 0, 1, 0, byte(len(rdata))}
		return append(m, rdata...)
	}
	const at = 28 // where rdata stands
	tests := map[string][]byte{
		"nothing":              nil,
		"question missing":     {0, 0, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0},
		"answer missing":       {0, 0, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0},
		"empty target":         cname(),
		"pointer to itself":    cname(0xc0, at),
		"pointer forward":      cname(0xc0, at+2, 1, 'x', 0),
		"loop of two":          cname(1, 'x', 0xc0, at),
		"pointer into header":  cname(0xc0, 2),
		"half a pointer":       cname(0xc0),
		"reserved label":       cname(0x41, 'x', 0),
		"label runs out":       cname(5, 'x', 0),
		"no end":               cname(1, 'x'),
		"longer than its data": append(cname(1, 'x'), 0),
	}
	for name, msg := range tests {
		t.Run(name, func(t *testing.T) {
			if got, err := targets(msg); !errors.Is(err, ErrMalformed) || len(got) != 0 {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	if got, err := targets(cname(3, 'w', 'w', 'w', 0xc0, 12)); err != nil || len(got) != 1 || got[0] != "www" {
		t.Errorf("the well-formed one: %q, %v", got, err)
	}
}
