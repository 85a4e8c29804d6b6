package wire

import (
	"net/netip"
	"testing"

	"schoolgate/blocklist/domain"
)

// The hot path allocates nothing: budgets here are zero.
func TestAllocations(t *testing.T) {
	req := request(t, "www.School.example.", TypeA, edns(1232, true, mac(1, 2, 3, 4, 5, 6)))
	bad := request(t, "www.school.example.", TypeAXFR)
	q := parsed(t, req)
	h, body := bodyOf(t, req, q, rrs(t, "www.school.example. 300 IN CNAME web.school.example.", "web.school.example. 60 IN A 192.0.2.7"), nil, nil)
	offsets, err := Offsets(nil, body, h.Records())
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 0, 1500)
	page := Blocked{Kind: BlockPage, V4: netip.MustParseAddr("192.0.2.80"), TTL: 30}
	ede := EDE{Code: EDEBlocked, Text: "adverts"}
	reply := AppendReply(nil, req, q, h, body, ede)
	scratch := new(Question)
	var target domain.Wire
	found := 0
	for name, f := range map[string]func(){
		"ParseQuestion":      func() { _ = ParseQuestion(req, scratch) },
		"ParseQuestion bad":  func() { _, _ = Answer(ParseQuestion(bad, scratch)) },
		"AppendReply":        func() { buf = AppendReply(buf[:0], req, q, h, body, ede) },
		"AppendError":        func() { buf = AppendError(buf[:0], req, q, ServFail, ede) },
		"AppendBlocked":      func() { buf = AppendBlocked(buf[:0], req, q, Blocked{TTL: 30}, ede) },
		"AppendBlocked page": func() { buf = AppendBlocked(buf[:0], req, q, page, ede) },
		"AppendTruncated":    func() { buf = AppendTruncated(buf[:0], req, q, h, ede) },
		"Fit":                func() { buf = Fit(buf, q) },
		"AgeTTLs":            func() { AgeTTLs(body, offsets, 1, 0) },
		"Targets": func() {
			for r := Targets(reply); r.Next(&target); {
				found++
			}
		},
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	if found == 0 {
		t.Error("no targets were read")
	}
}

func BenchmarkParseQuestion(b *testing.B) {
	req := request(b, "www.School.example.", TypeA, edns(1232, true))
	q := new(Question)
	b.ReportAllocs()
	for b.Loop() {
		_ = ParseQuestion(req, q)
	}
}

func BenchmarkAppendBlocked(b *testing.B) {
	req := request(b, "www.School.example.", TypeA, edns(1232, true))
	q := parsed(b, req)
	buf := make([]byte, 0, 1500)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendBlocked(buf[:0], req, q, Blocked{TTL: 30}, EDE{Code: EDEBlocked, Text: "adverts"})
	}
}
