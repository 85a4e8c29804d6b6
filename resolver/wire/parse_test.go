package wire

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"schoolgate/blocklist/domain"
)

// request packs a question as a client would, changed by edit.
func request(t testing.TB, name string, typ uint16, edit ...func(*dns.Msg)) []byte {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(name, typ)
	m.Id = 0xbeef
	for _, e := range edit {
		e(m)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func edns(size uint16, do bool, options ...dns.EDNS0) func(*dns.Msg) {
	return func(m *dns.Msg) {
		m.SetEdns0(size, do)
		m.IsEdns0().Option = options
	}
}

func mac(b ...byte) dns.EDNS0 { return &dns.EDNS0_LOCAL{Code: 65001, Data: b} }

// patch changes bytes of a packed message.
func patch(msg []byte, at int, b ...byte) []byte {
	copy(msg[at:], b)
	return msg
}

func TestParseQuestion(t *testing.T) {
	long := strings.Repeat(strings.Repeat("a", 63)+".", 3) + strings.Repeat("b", 61) + "."
	two := func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }
	opt := func() dns.RR { return &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT, Class: 1400}} }
	type seen struct {
		Name, Err                    string
		Type                         uint16
		RD, AD, CD, EDNS, DO, HasMAC bool
		Limit                        int
		MAC                          [6]byte
	}
	tests := []struct {
		name string
		msg  []byte
		want seen
	}{
		{"plain", request(t, "www.School.example.", TypeA), seen{Name: "www.school.example", Type: TypeA, RD: true, Limit: 512}},
		{"root", request(t, ".", dns.TypeNS), seen{Type: TypeNS, RD: true, Limit: 512}},
		{"longest name", request(t, long, TypeA), seen{Name: long[:len(long)-1], Type: TypeA, RD: true, Limit: 512}},
		{"odd bytes", request(t, `a\.b\000.example.`, TypeA), seen{Name: `a\046b\000.example`, Type: TypeA, RD: true, Limit: 512}},
		{"any", request(t, "a.example.", TypeANY), seen{Name: "a.example", Type: TypeANY, RD: true, Limit: 512}},
		{"private type", request(t, "a.example.", 65400), seen{Name: "a.example", Type: 65400, RD: true, Limit: 512}},
		{
			"AD and CD", request(t, "a.example.", TypeA, func(m *dns.Msg) { m.AuthenticatedData, m.CheckingDisabled, m.RecursionDesired = true, true, false }),
			seen{Name: "a.example", Type: TypeA, AD: true, CD: true, Limit: 512},
		},
		{"EDNS", request(t, "a.example.", TypeAAAA, edns(900, true)), seen{Name: "a.example", Type: TypeAAAA, RD: true, EDNS: true, DO: true, Limit: 900}},
		{"EDNS too large", request(t, "a.example.", TypeA, edns(4096, false)), seen{Name: "a.example", Type: TypeA, RD: true, EDNS: true, Limit: 1232}},
		{"EDNS too small", request(t, "a.example.", TypeA, edns(100, false)), seen{Name: "a.example", Type: TypeA, RD: true, EDNS: true, Limit: 512}},
		{
			"MAC among others", request(t, "a.example.", TypeA, edns(1232, false, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"}, mac(2, 0, 0, 0, 0, 7))),
			seen{Name: "a.example", Type: TypeA, RD: true, EDNS: true, HasMAC: true, MAC: [6]byte{2, 0, 0, 0, 0, 7}, Limit: 1232},
		},
		{"MAC of wrong length", request(t, "a.example.", TypeA, edns(1232, false, mac(2, 0, 0, 0, 0))), seen{Name: "a.example", Type: TypeA, RD: true, EDNS: true, Limit: 1232}},
		{
			"two MACs", request(t, "a.example.", TypeA, edns(1232, false, mac(2, 0, 0, 0, 0, 7), mac(2, 0, 0, 0, 0, 8))),
			seen{Name: "a.example", Type: TypeA, RD: true, EDNS: true, Limit: 1232},
		},
		{"OPT after another record", request(t, "a.example.", TypeA, func(m *dns.Msg) {
			m.Extra = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: "a.example.", Rrtype: TypeA, Class: ClassIN}, A: []byte{192, 0, 2, 1}}, opt()}
		}), seen{Name: "a.example", Type: TypeA, RD: true, EDNS: true, Limit: 1232}},
		{"bytes after the end", append(request(t, "a.example.", TypeA), 0, 1, 2), seen{Name: "a.example", Type: TypeA, RD: true, Limit: 512}},

		{"empty", nil, seen{Err: "drop"}},
		{"eleven bytes", make([]byte, 11), seen{Err: "drop"}},
		{"response", request(t, "a.example.", TypeA, func(m *dns.Msg) { m.Response = true }), seen{Err: "drop"}},
		{"header only", make([]byte, 12), seen{Err: "FORMERR", Limit: 512}},
		{"two questions", request(t, "a.example.", TypeA, two), seen{Err: "FORMERR", RD: true, Limit: 512}},
		{"name cut off", request(t, "a.example.", TypeA)[:16], seen{Err: "FORMERR", RD: true, Limit: 512}},
		{"type cut off", request(t, "a.example.", TypeA)[:25], seen{Err: "FORMERR", RD: true, Limit: 512}},
		{"name compressed", patch(request(t, "a.example.", TypeA), 12, 0xc0, 12), seen{Err: "FORMERR", RD: true, Limit: 512}},
		{"OPT cut off", request(t, "a.example.", TypeA, edns(1232, true, mac(2, 0, 0, 0, 0, 7)))[:45], seen{Name: "a.example", Type: TypeA, Err: "FORMERR", RD: true, Limit: 512}},
		{"OPT option too long", patch(request(t, "a.example.", TypeA, edns(1232, true, mac(2, 0, 0, 0, 0, 7))), 41, 0, 7), seen{Name: "a.example", Type: TypeA, Err: "FORMERR", RD: true, EDNS: true, DO: true, Limit: 1232}},
		{"record missing", patch(request(t, "a.example.", TypeA), 6, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), seen{Name: "a.example", Type: TypeA, Err: "FORMERR", RD: true, Limit: 512}},
		{"two OPTs", request(t, "a.example.", TypeA, func(m *dns.Msg) { m.Extra = []dns.RR{opt(), opt()} }), seen{Name: "a.example", Type: TypeA, Err: "FORMERR", RD: true, EDNS: true, Limit: 1232}},
		{"OPT of a name", request(t, "a.example.", TypeA, func(m *dns.Msg) {
			o := opt()
			o.Header().Name = "b.example."
			m.Extra = []dns.RR{o}
		}), seen{Name: "a.example", Type: TypeA, Err: "FORMERR", RD: true, EDNS: true, Limit: 1232}},
		{"OPT in the answer", request(t, "a.example.", TypeA, func(m *dns.Msg) { m.Answer = []dns.RR{opt()} }), seen{Name: "a.example", Type: TypeA, Err: "FORMERR", RD: true, EDNS: true, Limit: 1232}},
		{"name compressed, with EDNS", patch(request(t, "a.example.", TypeA, edns(1000, true)), 12, 0xc0, 12, 0, 1, 0, 1, 0, 0, 41, 3, 0xe8, 0, 0, 0x80, 0, 0, 0), seen{Err: "FORMERR", RD: true, EDNS: true, DO: true, Limit: 1000}},
		{"two questions, with EDNS", request(t, "a.example.", TypeA, two, edns(1232, false)), seen{Err: "FORMERR", RD: true, EDNS: true, Limit: 1232}},
		{"opcode NOTIFY, with EDNS", request(t, "a.example.", TypeA, edns(1232, true), func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }), seen{Err: "NOTIMP", RD: true, EDNS: true, DO: true, Limit: 1232}},
		{"type TKEY, with EDNS", request(t, "a.example.", dns.TypeTKEY, edns(1232, false)), seen{Name: "a.example", Type: 249, Err: "NOTIMP", RD: true, EDNS: true, Limit: 1232}},
		{"type 0", request(t, "a.example.", 0), seen{Name: "a.example", Err: "FORMERR", RD: true, Limit: 512}},
		{"type OPT", request(t, "a.example.", TypeOPT), seen{Name: "a.example", Type: TypeOPT, Err: "FORMERR", RD: true, Limit: 512}},
		{"type NXNAME", request(t, "a.example.", 128), seen{Name: "a.example", Type: 128, Err: "FORMERR", RD: true, Limit: 512}},
		{"opcode NOTIFY", request(t, "a.example.", TypeA, func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }), seen{Err: "NOTIMP", RD: true, Limit: 512}},
		{"opcode UPDATE", request(t, "a.example.", TypeSOA, func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }), seen{Err: "NOTIMP", RD: true, Limit: 512}},
		{"type MAILA", request(t, "a.example.", dns.TypeMAILA), seen{Name: "a.example", Type: 254, Err: "NOTIMP", RD: true, Limit: 512}},
		{"type TKEY", request(t, "a.example.", dns.TypeTKEY), seen{Name: "a.example", Type: 249, Err: "NOTIMP", RD: true, Limit: 512}},
		{"AXFR", request(t, "a.example.", TypeAXFR), seen{Name: "a.example", Type: TypeAXFR, Err: "REFUSED", RD: true, Limit: 512}},
		{"IXFR", request(t, "a.example.", TypeIXFR), seen{Name: "a.example", Type: TypeIXFR, Err: "REFUSED", RD: true, Limit: 512}},
		{"class CH", request(t, "version.bind.", TypeTXT, func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }), seen{Name: "version.bind", Type: TypeTXT, Err: "REFUSED", RD: true, Limit: 512}},
		{
			"EDNS version 1", request(t, "a.example.", TypeA, edns(1232, false), func(m *dns.Msg) { m.IsEdns0().SetVersion(1) }),
			seen{Name: "a.example", Type: TypeA, Err: "BADVERS", RD: true, EDNS: true, Limit: 1232},
		},
	}
	var q Question // one for all, as a lane has
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := ParseQuestion(tt.msg, &q)
			got := seen{Err: errName(err)}
			if !errors.Is(err, ErrDrop) {
				got = seen{
					Name: string(q.Name.Name()), Err: errName(err), Type: q.Type, RD: q.RD, AD: q.AD, CD: q.CD, EDNS: q.EDNS, DO: q.DO,
					HasMAC: q.HasMAC, MAC: q.MAC, Limit: q.Limit(),
				}
				if tt.msg[0] != byte(q.ID>>8) || tt.msg[1] != byte(q.ID) {
					t.Errorf("id %x of %x", q.ID, tt.msg[:2])
				}
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// errName is the error's response code by its name in the RFCs.
func errName(err error) string {
	rcode, ok := Answer(err)
	switch {
	case err == nil:
		return ""
	case !ok:
		return "drop"
	case rcode == BadVers:
		return "BADVERS"
	}
	return dns.RcodeToString[int(rcode)]
}

func TestRCodeErrorTexts(t *testing.T) {
	seen := map[string]bool{}
	for _, rcode := range []uint16{FormErr, NotImp, Refused, BadVers, ServFail} {
		s := RCodeError(rcode).Error()
		if s == "" || seen[s] {
			t.Errorf("text of %d: %q", rcode, s)
		}
		seen[s] = true
	}
}

// A name that could not be read is the root, not what an earlier packet asked for.
func TestParseQuestionForgets(t *testing.T) {
	var q Question
	if err := ParseQuestion(request(t, "private.example.", TypeA, edns(1232, true, mac(1, 2, 3, 4, 5, 6))), &q); err != nil {
		t.Fatal(err)
	}
	if err := ParseQuestion(request(t, "a.example.", TypeA)[:14], &q); errName(err) != "FORMERR" {
		t.Fatal(err)
	}
	want := Question{ID: 0xbeef, RD: true, End: 12, UDPSize: 512}
	want.Name.SetName("")
	if d := cmp.Diff(want, q, cmp.AllowUnexported(domain.Wire{})); d != "" {
		t.Error(d)
	}
}
