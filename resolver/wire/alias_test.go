package wire

import (
	"bytes"
	"testing"

	"github.com/miekg/dns"
)

func TestAppendAliased(t *testing.T) {
	req := request(t, "WWW.school.example.", TypeA, edns(1232, true))
	q := parsed(t, req)
	target := []byte("\x04safe\x06school\x07example\x00")
	about := new(dns.Msg)
	about.SetQuestion("safe.school.example.", TypeA)
	about.Response, about.Compress, about.AuthenticatedData = true, true, true
	about.Answer = rrs(t, "safe.school.example. 60 IN CNAME far.example.", "far.example. 50 IN A 192.0.2.7", "far.example. 50 IN A 192.0.2.8")
	about.Ns = rrs(t, "example. 40 IN NS ns.safe.school.example.")
	about.SetEdns0(1232, false)
	packed, err := about.Pack()
	if err != nil {
		t.Fatal(err)
	}
	before := []byte("before")
	for name, c := range map[string]struct {
		about  []byte
		answer int
		ns     uint16
		ok     bool
	}{
		"records":     {packed, 4, TypeNS, true},
		"nothing":     {nil, 1, TypeSOA, true},
		"cut off":     {packed[:len(packed)-20], 0, 0, false},
		"no message":  {packed[:5], 0, 0, false},
		"header only": {make([]byte, headerLen), 1, TypeSOA, false},
	} {
		out, ok := AppendAliased(bytes.Clone(before), req, q, target, 300, c.about, EDE{})
		if ok != c.ok {
			t.Errorf("%s: %v", name, ok)
		}
		if !ok {
			if !bytes.Equal(out, before) {
				t.Errorf("%s: left %q", name, out)
			}
			continue
		}
		var m dns.Msg
		if err := m.Unpack(out[len(before):]); err != nil || !bytes.HasPrefix(out, before) {
			t.Fatalf("%s: %v", name, err)
		}
		if len(m.Answer) != c.answer || len(m.Ns) != 1 || m.Ns[0].Header().Rrtype != c.ns || m.IsEdns0() == nil || m.AuthenticatedData {
			t.Errorf("%s: %v", name, &m)
		}
		if got := m.Answer[0].String(); got != "WWW.school.example.\t300\tIN\tCNAME\tsafe.school.example." {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// FuzzAppendAliased: whatever message stands behind the alias, what is made of it is a message, or nothing is made.
func FuzzAppendAliased(f *testing.F) {
	req := request(f, "www.school.example.", TypeA, edns(1232, true))
	q := parsed(f, req)
	m := new(dns.Msg)
	m.SetQuestion("safe.example.", TypeA)
	m.Answer = rrs(f, "safe.example. 60 IN A 192.0.2.7")
	packed, _ := m.Pack()
	f.Add(packed)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, about []byte) {
		out, ok := AppendAliased(nil, req, q, []byte("\x04safe\x07example\x00"), 300, about, EDE{})
		if !ok {
			return
		}
		off, skipped := skipName(out, headerLen)
		off += 4
		for range countRecords(out) {
			r, fits := readRecord(out, off)
			if !skipped || !fits {
				t.Fatalf("%x is no message", out)
			}
			off = r.end
		}
		if off != len(out) {
			t.Fatalf("%d bytes beyond the records", len(out)-off)
		}
	})
}
