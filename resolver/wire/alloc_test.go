package wire

import (
	"net/netip"
	"testing"
)

// The hot path allocates nothing: budgets here are zero.
func TestAllocations(t *testing.T) {
	req := request(t, "www.School.example.", TypeA, edns(1232, true, mac(1, 2, 3, 4, 5, 6)))
	bad := request(t, "www.school.example.", TypeAXFR)
	q := parsed(t, req)
	h, body := bodyOf(t, req, q, rrs(t, "www.school.example. 300 IN CNAME web.school.example.", "web.school.example. 60 IN A 192.0.2.7"), nil, nil)
	offsets := []uint16{8}
	buf := make([]byte, 0, 1500)
	page := Blocked{Kind: BlockPage, V4: netip.MustParseAddr("192.0.2.80"), TTL: 30}
	ede := EDE{Code: EDEBlocked, Text: "adverts"}
	scratch := new(Question)
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
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	plain := AppendReply(nil, req, q, Header{Answers: 1}, AppendAddr(nil, page.V4, 60), ede)
	if n := testing.AllocsPerRun(100, func() { _, _ = ReadReply(plain) }); n > 3 { // what is returned
		t.Errorf("ReadReply: %v allocations", n)
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

func BenchmarkReadReply(b *testing.B) {
	req := request(b, "www.School.example.", TypeA, edns(1232, true))
	q := parsed(b, req)
	for name, lines := range map[string][]string{
		"address": {"www.school.example. 300 IN A 192.0.2.7"},
		"alias":   {"www.school.example. 300 IN CNAME web.host.example.", "web.host.example. 60 IN A 192.0.2.7", "web.host.example. 60 IN A 192.0.2.8"},
	} {
		b.Run(name, func(b *testing.B) {
			h, body := bodyOf(b, req, q, rrs(b, lines...), nil, nil)
			msg := AppendReply(nil, req, q, h, body, EDE{})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := ReadReply(msg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
