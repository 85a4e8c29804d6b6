package wire

import (
	"bytes"
	"testing"

	"github.com/miekg/dns"

	"schoolgate/blocklist/domain"
)

// FuzzParseQuestion holds the parser against miekg/dns: what both accept they read alike, and any answer we write to
// whatever bytes is a message that miekg reads.
func FuzzParseQuestion(f *testing.F) {
	f.Add(request(f, "www.School.example.", TypeA))
	f.Add(request(f, ".", TypeNS, edns(4096, true)))
	f.Add(request(f, "a.example.", TypeHTTPS, edns(1232, false, mac(1, 2, 3, 4, 5, 6))))
	f.Add(request(f, "a.example.", TypeAXFR)[:20])
	f.Fuzz(func(t *testing.T, msg []byte) { checkRequest(t, msg) })
}

// checkRequest is the property of FuzzParseQuestion.
func checkRequest(t *testing.T, msg []byte) {
	var q Question
	var m dns.Msg
	before := bytes.Clone(msg)
	err := ParseQuestion(msg, &q)
	if !bytes.Equal(before, msg) {
		t.Fatal("the request was changed")
	}
	oracle := m.Unpack(msg)
	rcode, answer := Answer(err)
	if err != nil && !answer {
		if oracle == nil && !m.Response && len(msg) >= headerLen {
			t.Fatal("dropped a request")
		}
		return
	}
	if q.End < headerLen || q.End > len(msg) || q.Limit() < 512 || q.Limit() > 1232 {
		t.Fatalf("end %d of %d, limit %d", q.End, len(msg), q.Limit())
	}
	if err == nil && oracle == nil {
		sameQuestion(t, &q, &m)
	}
	for _, reply := range [][]byte{
		AppendError(nil, msg, &q, rcode, EDE{Code: EDEBlocked, Text: "why"}),
		AppendBlocked(nil, msg, &q, Blocked{Kind: BlockKind(len(msg) % 3), TTL: 10}, EDE{}),
		AppendTruncated(nil, msg, &q, Header{}, EDE{}),
	} {
		var r dns.Msg
		if q.End == headerLen && bytes.Contains(reply[headerLen:], []byte{0xc0, 12}) {
			continue // a block of a request without a question: never made
		}
		if e := r.Unpack(reply); e != nil {
			t.Fatalf("our reply %x: %v", reply, e)
		}
		if len(reply) > q.Limit() || !bytes.Equal(reply[:2], msg[:2]) || !r.Response || (r.IsEdns0() != nil) != q.EDNS {
			t.Fatalf("our reply %v to %x", &r, msg)
		}
	}
}

func sameQuestion(t *testing.T, q *Question, m *dns.Msg) {
	if m.Response || m.Opcode != 0 || len(m.Question) != 1 {
		t.Fatalf("accepted %v", m)
	}
	asked := m.Question[0]
	want, err := packName(asked.Name)
	if err != nil {
		t.Fatalf("miekg reads a name that it does not write: %q: %v", asked.Name, err)
	}
	for i, c := range want {
		want[i] = domain.Lower(c)
	}
	opt := m.IsEdns0()
	if !bytes.Equal(want, q.Name.Bytes()) || asked.Qtype != q.Type || asked.Qclass != q.Class || m.Id != q.ID ||
		m.RecursionDesired != q.RD || m.CheckingDisabled != q.CD || m.AuthenticatedData != q.AD || (opt != nil) != q.EDNS {
		t.Fatalf("read %+v, want %v", q, m)
	}
	if opt == nil {
		return
	}
	macs := 0
	for _, o := range opt.Option {
		if l, ok := o.(*dns.EDNS0_LOCAL); ok && l.Code == macOption && len(l.Data) == 6 {
			macs++
			if q.HasMAC && !bytes.Equal(l.Data, q.MAC[:]) {
				t.Fatalf("MAC %x, want %x", q.MAC, l.Data)
			}
		}
	}
	if opt.Do() != q.DO || max(opt.UDPSize(), 512) != q.UDPSize || opt.Version() != 0 || (macs == 1) != q.HasMAC {
		t.Fatalf("read %+v, want %v", q, opt)
	}
}

func packName(name string) ([]byte, error) {
	b := make([]byte, 256)
	n, err := dns.PackDomainName(name, b, 0, nil, false)
	return b[:n], err
}

// FuzzResponse reads arbitrary bytes as an answer: nothing panics or runs on, what miekg reads has the same targets and
// TTLs, and editing touches TTLs only.
func FuzzResponse(f *testing.F) {
	m := new(dns.Msg)
	m.SetQuestion("a.example.", TypeA)
	m.Response, m.Compress = true, true
	m.Answer = rrs(f, "a.example. 7 IN CNAME b.example.", "b.example. 8 IN DNAME c.example.", "a.example. 9 IN HTTPS 1 svc.example. alpn=h2")
	m.Ns = rrs(f, "example. 60 IN SOA ns.example. host.example. 1 2 3 4 5")
	b, err := m.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(checkResponse)
}

// checkResponse is the property of FuzzResponse.
func checkResponse(t *testing.T, msg []byte) {
	got, terr := targets(msg)
	var m dns.Msg
	oracle := m.Unpack(msg)
	if len(msg) < headerLen {
		return
	}
	start := headerLen
	for range int(msg[4])<<8 | int(msg[5]) {
		next, ok := skipName(msg, start)
		if !ok || next+4 > len(msg) {
			return
		}
		start = next + 4
	}
	body := bytes.Clone(msg[start:])
	offsets, oerr := Offsets(nil, body, countRecords(msg))
	AgeTTLs(body, offsets, 3, 1)
	q := Question{End: start, UDPSize: 512}
	if fitted := Fit(bytes.Clone(msg), &q); len(fitted) > len(msg) {
		t.Fatal("Fit made it longer")
	}
	if oracle != nil || oerr != nil || terr != nil {
		return
	}
	var want []string
	for _, rr := range m.Answer {
		if n := targetOf(rr); n != "" && n != "." {
			wire, err := packName(n)
			if err != nil {
				return
			}
			var w domain.Wire
			if _, err := w.Read(wire, 0); err != nil {
				t.Fatal(err)
			}
			want = append(want, string(w.Name()))
		}
	}
	if len(got) != len(want) {
		t.Fatalf("targets %q, want %q", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("targets %q, want %q", got, want)
		}
	}
	if n := len(ttls(&m)); n != len(offsets) {
		t.Fatalf("%d TTLs, want %d", len(offsets), n)
	}
	var aged dns.Msg
	if err := aged.Unpack(append(bytes.Clone(msg[:start]), body...)); err != nil {
		t.Fatalf("ageing broke the message: %v", err)
	}
	for i, was := range ttls(&m) {
		was = saneTTL(was)
		if want := max(was-min(was, 3), 1); ttls(&aged)[i] != want {
			t.Fatalf("TTL %d of %d, want %d", ttls(&aged)[i], was, want)
		}
	}
}

func targetOf(rr dns.RR) string {
	switch rr := rr.(type) {
	case *dns.CNAME:
		return rr.Target
	case *dns.DNAME:
		return rr.Target
	case *dns.HTTPS:
		return rr.Target
	case *dns.SVCB:
		return rr.Target
	}
	return ""
}
