package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"pgregory.net/rapid"
)

// response is an answer to a question for the name, with records of the answer and authority sections.
func response(t testing.TB, compress bool, name string, answer, ns []string) []byte {
	t.Helper()
	m := new(dns.Msg).SetQuestion(name, TypeA)
	m.Response, m.Compress = true, compress
	m.Answer, m.Ns = rrs(t, answer...), rrs(t, ns...)
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestReadReply(t *testing.T) {
	answer := []string{
		"a.example. 1 IN CNAME B.tracker.example.",
		"b.tracker.example. 1 IN CNAME c.b.tracker.example.",
		"d.example. 1 IN DNAME e.example.",
		"c.b.tracker.example. 1 IN A 192.0.2.1",
		"c.b.tracker.example. 1 IN AAAA 2001:db8::1",
		"a.example. 1 IN HTTPS 1 . alpn=h2",
		"a.example. 1 IN HTTPS 2 svc.example. alpn=h3",
		"a.example. 1 IN HTTPS 3 A.example. alpn=h3",
		"_dns.example. 1 IN SVCB 1 dns.example.",
		"a.example. 1 IN MX 5 mail.example.",
		"a.example. 1 IN SRV 1 2 80 Srv.a.example.",
		`a.example. 1 IN NAPTR 100 50 "s" "z3950+I2L" "" _z3950._tcp.a.example.`,
		"a.example. 1 IN PX 10 map822.a.example. mapx400.a.example.",
		"a.example. 1 IN RP mbox.a.example. txt.a.example.",
		`a.example. 1 IN TXT "any text" "and more"`,
		"a.example. 1 IN MINFO r.a.example. e.a.example.",
		"a.example. 1 IN NSEC b.a.example. A MX RRSIG",
		"a.example. 1 IN RRSIG A 8 2 60 20301231000000 20201231000000 4711 a.example. aGVsbG8=",
		"a.example. 1 IN CAA 0 issue \"ca.example\"",
	}
	ns := []string{"example. 3600 IN SOA ns1.example. admin.example. 1 7200 900 1209600 120", "example. 60 IN NS ns1.example.", "a.example. 1 IN CNAME not.an.answer.example."}
	for _, compress := range []bool{false, true} {
		msg := response(t, compress, "a.example.", answer, ns)
		r, err := ReadReply(msg)
		if err != nil {
			t.Fatal(err)
		}
		if want := "\x01b\x07tracker\x07example\x00\x01c\x01b\x07tracker\x07example\x00\x01e\x07example\x00\x03svc\x07example\x00\x03dns\x07example\x00"; string(r.Targets) != want {
			t.Errorf("targets %q", r.Targets)
		}
		was, is := unpack(t, msg), unpack(t, remade(t, r))
		for i, want := range [][]dns.RR{was.Answer, was.Ns} {
			got := [][]dns.RR{is.Answer, is.Ns}[i]
			if d := cmp.Diff(strings.ToLower(fmt.Sprint(want)), strings.ToLower(fmt.Sprint(got))); d != "" {
				t.Errorf("compressed %v: %s", compress, d)
			}
		}
		if least := len(response(t, true, "a.example.", answer, ns)); len(r.Body) > least {
			t.Errorf("body of %d bytes, where a whole message has %d", len(r.Body), least)
		}
		if typ, ttl, data := r.Record(len(answer)); typ != TypeSOA || ttl != 3600 || binary.BigEndian.Uint32(data[len(data)-4:]) != 120 {
			t.Errorf("SOA record read as %d %d %x", typ, ttl, data)
		}
		checkResponse(t, msg)
	}
}

// TestReadReplyLeavesOut: what is for one hop only, and what nobody asked for.
func TestReadReplyLeavesOut(t *testing.T) {
	m := unpack(t, response(t, true, "a.example.", []string{"a.example. 60 IN A 192.0.2.1"}, nil))
	m.Extra = rrs(t, "b.example. 60 IN A 192.0.2.2")
	m.SetEdns0(4096, true)
	m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_NSID{Nsid: "abcd"}, &dns.EDNS0_EDE{InfoCode: 17, ExtraText: "why"}, &dns.EDNS0_EDE{InfoCode: 18}}
	m.Rcode, m.AuthenticatedData = dns.RcodeBadVers, true
	m.Answer = append([]dns.RR{
		&dns.TSIG{Hdr: dns.RR_Header{Name: "key.example.", Rrtype: dns.TypeTSIG, Class: dns.ClassANY}, Algorithm: "hmac-sha256."},
		&dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}},
		&dns.SIG{RRSIG: dns.RRSIG{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeSIG, Class: dns.ClassANY}, SignerName: "a.example."}},
	}, m.Answer...)
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	r, err := ReadReply(b)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Header{RCode: BadVers, AD: true, Answers: 1}); r.Header != want || r.EDE != 17 || len(r.TTLs) != 1 || len(r.Body) != 16 {
		t.Errorf("read %+v", r)
	}
}

func TestReadReplyRefuses(t *testing.T) {
	// One question for the root, one CNAME of the root whose target is rdata.
	cname := func(rdata ...byte) []byte {
		m := []byte{0, 0, 0x80, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 5, 0, 1, 0, 0, 0, 1, 0, byte(len(rdata))}
		return append(m, rdata...)
	}
	const at, typ = 28, 19 // where rdata stands, and the type
	of := func(t byte, rdata ...byte) []byte { return patch(cname(rdata...), typ, t) }
	for name, msg := range map[string][]byte{
		"nothing":               nil,
		"a request":             patch(cname(0), 2, 0),
		"truncated":             patch(cname(0), 2, 0x82),
		"another opcode":        patch(cname(0), 2, 0xa0),
		"no question":           {0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"two questions":         patch(cname(0), 5, 2),
		"question missing":      {0, 0, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0},
		"question compressed":   {0, 0, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 2, 0, 1, 0, 1},
		"answer missing":        {0, 0, 0x80, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 1},
		"more answers":          patch(cname(0), 6, 0xff, 0xff),
		"empty target":          cname(),
		"pointer to itself":     cname(0xc0, at),
		"pointer forward":       cname(0xc0, at+2, 1, 'x', 0),
		"loop of two":           cname(1, 'x', 0xc0, at),
		"pointer into header":   cname(0xc0, 2),
		"half a pointer":        cname(0xc0),
		"reserved label":        cname(0x41, 'x', 0),
		"label runs out":        cname(5, 'x', 0),
		"no end":                cname(1, 'x'),
		"longer than its data":  append(cname(1, 'x'), 0),
		"shorter than its data": cname(1, 'x', 0, 0),
		"name too long":         cname(append(bytes.Repeat([]byte("\x3f"+strings.Repeat("x", 63)), 4), 0)...),
		"address of 3 bytes":    of(1, 1, 2, 3),
		"address of 5 bytes":    of(1, 1, 2, 3, 4, 5),
		"no address":            of(1),
		"short AAAA":            of(28, 1, 2, 3, 4),
		"SOA without numbers":   of(6, 0, 0, 1, 2, 3),
		"MX without name":       of(15, 0, 1),
		"MX of a byte":          of(15, 0),
		"NAPTR that runs out":   of(35, 0, 1, 0, 1, 1, 's', 9, 'x', 0, 0),
		"broken OPT":            patch(of(41, 0, 15, 0, 9), 6, 0, 0, 0, 0, 0, 1),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := ReadReply(msg); !errors.Is(err, ErrMalformed) {
				t.Errorf("%+v, %v", got, err)
			}
			checkResponse(t, msg)
		})
	}
	if r, err := ReadReply(cname(3, 'w', 'W', 'w', 0xc0, 12)); err != nil || string(r.Targets) != "\x03www\x00" {
		t.Errorf("the well-formed one: %+v, %v", r, err)
	}
}

// TestReadReplyOfPointersIntoNumbers: a name that leads through the TTL of another record would change as that runs down,
// after it was judged. It is written out.
func TestReadReplyOfPointersIntoNumbers(t *testing.T) {
	msg := response(t, true, "a.example.", []string{"a.example. 1 IN A 192.0.2.1"}, nil)
	const ttl = 12 + 11 + 4 + 6
	copy(msg[ttl:], "\x02ad\x00") // as a name; as a number about 40 million
	msg[7]++
	msg = append(msg, 0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 2, 0xc0, ttl)
	r, err := ReadReply(msg)
	if err != nil {
		t.Fatal(err)
	}
	AgeTTLs(r.Body, r.TTLs, 1<<24, 1)
	is := unpack(t, remade(t, r))
	if got := is.Answer[1].(*dns.CNAME).Target; got != "ad." || string(r.Targets) != "\x02ad\x00" {
		t.Errorf("leads to %s, judged as %q", got, r.Targets)
	}
}

// TestCompressionOfLongReplies: no pointer reaches beyond 16 KiB, so names there are written out.
func TestCompressionOfLongReplies(t *testing.T) {
	m := new(dns.Msg).SetQuestion("a.example.", TypeNS)
	m.Response, m.Compress = true, true
	h := dns.RR_Header{Name: "a.example.", Class: ClassIN, Ttl: 60}
	for range 80 { // so that the places for names are still free there
		h.Rrtype = dns.TypeTXT
		m.Answer = append(m.Answer, &dns.TXT{Hdr: h, Txt: []string{strings.Repeat("x", 250)}})
	}
	for i := range 20 {
		h.Rrtype = TypeNS
		m.Answer = append(m.Answer, &dns.NS{Hdr: h, Ns: fmt.Sprintf("n%d.zone%d.test.", i/2, i/2)})
	}
	msg, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	r, err := ReadReply(msg)
	if err != nil || len(r.Body) < 1<<14 {
		t.Fatalf("%v, %d bytes", err, len(r.Body))
	}
	if was, is := fmt.Sprint(m.Answer), fmt.Sprint(unpack(t, remade(t, r)).Answer); was != is {
		t.Error(cmp.Diff(was, is))
	}
}

// TestCompressionHolds makes messages of names that end alike, in all letter cases, and reads them back.
func TestCompressionHolds(t *testing.T) {
	label := rapid.SampledFrom([]string{"a", "A", "b", "aa", "example", "Example", strings.Repeat("x", 63)})
	name := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(label, 1, 3).Draw(t, "labels"), ".") + "."
	})
	rapid.Check(t, func(t *rapid.T) {
		m := new(dns.Msg).SetQuestion(name.Draw(t, "question"), TypeA)
		m.Response, m.Compress = true, rapid.Bool().Draw(t, "compress")
		for i := range rapid.IntRange(0, 30).Draw(t, "records") {
			h := dns.RR_Header{Name: name.Draw(t, "owner"), Class: ClassIN, Ttl: uint32(i)}
			target := name.Draw(t, "target")
			switch rapid.IntRange(0, 3).Draw(t, "type") {
			case 0:
				h.Rrtype = TypeCNAME
				m.Answer = append(m.Answer, &dns.CNAME{Hdr: h, Target: target})
			case 1:
				h.Rrtype = TypeSOA
				m.Answer = append(m.Answer, &dns.SOA{Hdr: h, Ns: target, Mbox: name.Draw(t, "mailbox"), Minttl: 7})
			case 2:
				h.Rrtype = dns.TypeSRV
				m.Answer = append(m.Answer, &dns.SRV{Hdr: h, Target: target})
			case 3:
				h.Rrtype = TypeNS
				m.Ns = append(m.Ns, &dns.NS{Hdr: h, Ns: target})
			}
		}
		msg, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		r, err := ReadReply(msg)
		if err != nil {
			t.Fatal(err)
		}
		var got dns.Msg
		if err := got.Unpack(AppendReply(nil, msg, &Question{End: 12 + len(r.Name) + 4}, r.Header, r.Body, EDE{})); err != nil {
			t.Fatal(err)
		}
		if was, is := strings.ToLower(fmt.Sprint(m.Answer, m.Ns)), strings.ToLower(fmt.Sprint(got.Answer, got.Ns)); was != is {
			t.Fatal(cmp.Diff(was, is))
		}
	})
}
