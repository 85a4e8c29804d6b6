package wire

import (
	"bytes"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
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

// FuzzResponse reads arbitrary bytes as an answer: nothing panics or runs on, and what is made of them says the same as
// miekg reads in them.
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
	if len(msg) >= headerLen {
		q := Question{End: headerLen, UDPSize: 512}
		if fitted := Fit(bytes.Clone(msg), &q); len(fitted) > len(msg) {
			t.Fatal("Fit made it longer")
		}
	}
	before := bytes.Clone(msg)
	r, err := ReadReply(msg)
	if !bytes.Equal(before, msg) {
		t.Fatal("the response was changed")
	}
	if err != nil {
		return
	}
	made := remade(t, r)
	again, err := ReadReply(made)
	if err != nil {
		t.Fatalf("what was made of %x is none: %v\n%x", msg, err, made)
	}
	again.EDE = r.EDE
	if d := cmp.Diff(r, again); d != "" {
		t.Fatalf("read again: %s", d)
	}
	AgeTTLs(bytes.Clone(r.Body), r.TTLs, 3, 1)
	checkMoved(t, r, made)
	sameReply(t, r, msg, made)
}

// checkMoved moves the records of r, of which made was made, behind a question for a name below that of r.
func checkMoved(t *testing.T, r *Reply, made []byte) {
	longer := *r
	longer.Name = append([]byte("\x01x"), r.Name...)
	longer.Body = Moved(r.Body, r.TTLs, 2)
	var w domain.Wire
	if _, err := w.Read(longer.Name, 0); err != nil || longer.Body == nil {
		return
	}
	var was, is dns.Msg
	if was.Unpack(made) != nil {
		return
	}
	if err := is.Unpack(remade(t, &longer)); err != nil {
		t.Fatalf("moved: %v", err)
	}
	same := func(a, b dns.RR) bool { return a.String() == b.String() }
	if !slices.EqualFunc(was.Answer, is.Answer, same) || !slices.EqualFunc(was.Ns, is.Ns, same) {
		t.Fatalf("moved\n%v\nwas\n%v", &is, &was)
	}
}

// remade is r as a client gets it.
func remade(t *testing.T, r *Reply) []byte {
	req := append([]byte{0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1}, r.Name...)
	req = append(req, byte(r.Type>>8), byte(r.Type), byte(r.Class>>8), byte(r.Class), 0, 0, 41, 4, 0, 0, 0, 0x80, 0, 0, 0)
	var q Question
	if err := ParseQuestion(req, &q); err != nil && q.End == headerLen {
		t.Fatalf("%x is no question: %v", req, err)
	}
	q.EDNS, q.DO = true, true
	return AppendReply(nil, req, &q, r.Header, r.Body, EDE{})
}

// sameReply compares, record by record, where miekg reads both.
func sameReply(t *testing.T, r *Reply, msg, made []byte) {
	var was, is dns.Msg
	if was.Unpack(msg) != nil {
		return
	}
	for i := range r.TTLs {
		if typ, _, _ := r.Record(i); layoutOf(typ) == (layout{tail: -1}) {
			return // a row of bytes to us; miekg may know names in it
		}
	}
	if err := is.Unpack(made); err != nil {
		t.Fatalf("what was made of %v cannot be read: %v", &was, err)
	}
	if was.Rcode != is.Rcode || was.AuthenticatedData != is.AuthenticatedData {
		t.Fatalf("made\n%v\nof\n%v", &is, &was)
	}
	var targets []byte
	for i, sections := range [][2][]dns.RR{{was.Answer, is.Answer}, {was.Ns, is.Ns}} {
		left := slices.DeleteFunc(sections[0], func(rr dns.RR) bool {
			typ := rr.Header().Rrtype
			return typ == TypeOPT || typ == typeTSIG || typ == typeSIG
		})
		if !slices.EqualFunc(left, sections[1], func(a, b dns.RR) bool {
			return dns.IsDuplicate(a, b) && a.Header().Ttl == b.Header().Ttl
		}) {
			t.Fatalf("made\n%v\nof\n%v", &is, &was)
		}
		for _, rr := range left {
			if n := targetOf(rr); i == 0 && n != "" && n != "." {
				name, err := packName(n)
				if err != nil {
					return
				}
				var w domain.Wire
				if _, err := w.Read(name, 0); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(w.Bytes(), r.Name) {
					targets = append(targets, w.Bytes()...)
				}
			}
		}
	}
	if !bytes.Equal(targets, r.Targets) {
		t.Fatalf("targets %q, want %q", r.Targets, targets)
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
