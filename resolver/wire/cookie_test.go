package wire

import (
	"net/netip"
	"testing"

	"github.com/miekg/dns"
)

// Who asks again is told how: over TCP, or with the cookie that it gets.
func TestAppendChallenge(t *testing.T) {
	jar := func(q *Question) { // as a cookie.Jar does it
		q.Cookie.Len, q.Cookie.Ours = 24, true
	}
	client := &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"}
	for _, tt := range []struct {
		name  string
		req   []byte
		rcode int
		tc    bool
	}{
		{"no EDNS", request(t, "a.example.", TypeA), dns.RcodeSuccess, true},
		{"EDNS", request(t, "a.example.", TypeA, edns(1232, true)), dns.RcodeSuccess, true},
		{"cookie", request(t, "a.example.", TypeA, edns(1232, false, client)), dns.RcodeBadCookie, false},
	} {
		q := parsed(t, tt.req)
		if q.Cookie.Len > 0 {
			jar(q)
		}
		var m dns.Msg
		out, rcode := AppendChallenge([]byte("xy"), tt.req, q)
		if err := m.Unpack(out[2:]); err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if m.Rcode != tt.rcode || int(rcode) != tt.rcode || m.Truncated != tt.tc || len(m.Answer)+len(m.Ns) > 0 || len(out)-2 > len(tt.req)+16 {
			t.Errorf("%s: %v", tt.name, &m)
		}
	}
}

// The longest reply that is cut keeps its cookie and its reason, and fits 512 bytes.
func TestFitKeepsCookie(t *testing.T) {
	long := "a23456789012345678901234567890123456789012345678901234567890123."
	req := request(t, long+long+long+"a2345678901234567890123456789012345678901234567890123456789.", TypeA,
		edns(512, false, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0102030405060708"}))
	q := parsed(t, req)
	q.Cookie.Len, q.Cookie.Ours = 24, true
	body := []byte{}
	for range 100 {
		body = AppendAddr(body, netip.MustParseAddr("192.0.2.1"), 60)
	}
	text := make([]byte, 200)
	for i := range text {
		text[i] = 'x'
	}
	var m dns.Msg
	out := Fit(AppendReply(nil, req, q, Header{Answers: 100}, body, EDE{Code: EDEBlocked, Text: string(text)}), q)
	if err := m.Unpack(out); err != nil {
		t.Fatal(err)
	}
	if opt := m.IsEdns0(); len(out) > 512 || !m.Truncated || opt == nil || len(opt.Option) != 2 {
		t.Errorf("%d bytes: %v", len(out), &m)
	}
}
