package wire_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"schoolgate/resolver/wire"
)

func signedReply(t *testing.T) *wire.Reply {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion("www.example.org.", dns.TypeA)
	m.Response = true
	for _, s := range []string{
		"www.example.org. 300 IN CNAME Web.Example.ORG.",
		"www.example.org. 300 IN RRSIG CNAME 13 3 300 20300101000000 20200101000000 1 Example.ORG. AAAA",
		"web.example.org. 300 IN A 192.0.2.1",
	} {
		m.Answer = append(m.Answer, record(t, s))
	}
	m.Ns = append(m.Ns,
		record(t, "example.org. 600 IN NSEC Web.Example.org. NS SOA"),
		record(t, "example.org. 600 IN SOA NS.example.org. host.EXAMPLE.org. 1 2 3 4 5"),
		record(t, "example.org. 600 IN HTTPS 1 SVC.example.org. alpn=h2"))
	m.Compress = true
	packed, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	r, err := wire.ReadReply(packed)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func record(t *testing.T, s string) dns.RR {
	t.Helper()
	rr, err := dns.NewRR(s)
	if err != nil {
		t.Fatal(err)
	}
	return rr
}

func TestRRsAreCanonical(t *testing.T) {
	all := signedReply(t).RRs()
	if len(all) != 6 {
		t.Fatalf("%d records", len(all))
	}
	if want := []byte("\x03web\x07example\x03org\x00"); !bytes.Equal(all[0].Data, want) {
		t.Errorf("target of the CNAME is %q", all[0].Data)
	}
	if !bytes.Contains(all[1].Data, []byte("\x07example\x03org\x00")) {
		t.Errorf("signer is %q", all[1].Data)
	}
	if !bytes.HasPrefix(all[3].Data, []byte("\x03Web\x07Example\x03org\x00")) {
		t.Errorf("next name of NSEC must keep its case: %q", all[3].Data)
	}
	if !bytes.Contains(all[4].Data, []byte("\x02ns\x07example\x03org\x00\x04host\x07example\x03org\x00")) {
		t.Errorf("names of the SOA: %q", all[4].Data)
	}
	if !bytes.Contains(all[5].Data, []byte("\x03SVC")) {
		t.Errorf("target of HTTPS must keep its case: %q", all[5].Data)
	}
	if !all[2].Answer || all[3].Answer {
		t.Error("sections are mixed up")
	}
}

func TestSelect(t *testing.T) {
	r := signedReply(t)
	before := bytes.Clone(r.Body)
	s := r.Select(func(i int) bool { return i == 0 || i == 2 || i == 4 }, func(_ int, ttl uint32) uint32 { return ttl / 2 })
	if !bytes.Equal(before, r.Body) {
		t.Error("the original was changed")
	}
	if diff := cmp.Diff([]uint16{2, 1}, []uint16{s.Answers, s.Authority}); diff != "" {
		t.Error(diff)
	}
	var types []uint16
	var ttls []uint32
	for i := range s.TTLs {
		typ, ttl, _ := s.Record(i)
		types, ttls = append(types, typ), append(ttls, ttl)
	}
	if diff := cmp.Diff([]uint16{wire.TypeCNAME, wire.TypeA, wire.TypeSOA}, types); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]uint32{150, 150, 300}, ttls); diff != "" {
		t.Error(diff)
	}
	if want := []byte("\x03web\x07example\x03org\x00"); !bytes.Equal(s.Targets, want) {
		t.Errorf("targets %q", s.Targets)
	}
	// What is left is a whole message, and all of it is what a reader that knows nothing of this makes the same.
	var q wire.Question
	req := new(dns.Msg)
	req.SetQuestion("www.example.org.", dns.TypeA)
	ask, err := req.Pack()
	if err != nil {
		t.Fatal(err)
	}
	if err := wire.ParseQuestion(ask, &q); err != nil {
		t.Fatal(err)
	}
	out := new(dns.Msg)
	if err := out.Unpack(wire.AppendReply(nil, ask, &q, s.Header, s.Body, wire.EDE{})); err != nil {
		t.Fatal(err)
	}
	if got := out.Answer[1].String(); !strings.EqualFold(got, record(t, "web.example.org. 150 IN A 192.0.2.1").String()) {
		t.Error(got)
	}
}
