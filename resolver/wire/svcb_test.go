package wire

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// replyOf makes the reply to a question for HTTPS, or for the type of the first record.
func replyOf(t testing.TB, records ...string) *Reply {
	t.Helper()
	m := new(dns.Msg)
	m.Answer = rrs(t, records...)
	h := m.Answer[0].Header()
	m.SetQuestion(h.Name, h.Rrtype)
	m.Response, m.AuthenticatedData, m.Compress = true, true, true
	msg, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	r, err := ReadReply(msg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// textOf is the records of a reply as the library reads them off the answer that a client gets.
func textOf(t testing.TB, r *Reply) (lines []string, ad bool) {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(dnsName(r.Name), r.Type)
	m.SetEdns0(4096, true)
	req, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	var q Question
	if err := ParseQuestion(req, &q); err != nil {
		t.Fatal(err)
	}
	if err := m.Unpack(AppendReply(nil, req, &q, r.Header, r.Body, EDE{})); err != nil {
		t.Fatal(err)
	}
	for _, rr := range m.Answer {
		lines = append(lines, rr.String())
	}
	return lines, m.AuthenticatedData
}

func dnsName(wire []byte) string {
	name, _, err := dns.UnpackDomainName(wire, 0)
	if err != nil {
		panic(err)
	}
	return name
}

func TestWithoutECH(t *testing.T) {
	const signature = "a.example. 60 IN RRSIG HTTPS 8 2 60 20300101000000 20200101000000 1 example. AAAA"
	for _, tt := range []struct {
		what      string
		in, want  []string
		untouched bool
	}{
		{
			"keys go, hints and the rest stay, and names behind them are whole",
			[]string{`a.example. 60 IN HTTPS 1 . alpn="h2,h3" ipv4hint="192.0.2.1" ech="AAAA" ipv6hint="2001:db8::1"`, "a.example. 60 IN HTTPS 2 b.c.example. port=8443", signature},
			[]string{"a.example.\t60\tIN\tHTTPS\t1 . alpn=\"h2,h3\" ipv4hint=\"192.0.2.1\" ipv6hint=\"2001:db8::1\"", "a.example.\t60\tIN\tHTTPS\t2 b.c.example. port=\"8443\""},
			false,
		},
		{
			"nobody must understand what is gone",
			[]string{`a.example. 60 IN HTTPS 1 . mandatory="alpn,ech" alpn="h2" ech="AAAA"`, `a.example. 60 IN HTTPS 2 . mandatory="ech" ech="AAAA"`},
			[]string{"a.example.\t60\tIN\tHTTPS\t1 . mandatory=\"alpn\" alpn=\"h2\"", "a.example.\t60\tIN\tHTTPS\t2 ."},
			false,
		},
		{
			"an alias on the way",
			[]string{"w.example. 60 IN CNAME a.example.", `a.example. 60 IN HTTPS 1 . ech="AAAA"`, "a.example. 60 IN HTTPS 3 a.example. alpn=h2"},
			[]string{"w.example.\t60\tIN\tCNAME\ta.example.", "a.example.\t60\tIN\tHTTPS\t1 .", "a.example.\t60\tIN\tHTTPS\t3 a.example. alpn=\"h2\""},
			false,
		},
		{"nothing to strip", []string{"a.example. 60 IN HTTPS 1 . alpn=h2", signature}, nil, true},
		{"an alias form", []string{"a.example. 60 IN SVCB 0 b.example."}, nil, true},
	} {
		t.Run(tt.what, func(t *testing.T) {
			r := replyOf(t, tt.in...)
			r.RCode, r.EDE = NoError, EDEStale
			got := r.WithoutECH()
			if tt.untouched {
				if got != r {
					t.Errorf("made anew: %v", got)
				}
				return
			}
			lines, ad := textOf(t, got)
			if diff := cmp.Diff(tt.want, lines); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if ad || got.EDE != EDEStale || !bytes.Equal(got.Targets, r.Targets) || got.WithoutECH() != got {
				t.Errorf("AD %v, %+v", ad, got)
			}
		})
	}
}

// TestBrokenParams: records that browsers must not use are no answer.
func TestBrokenParams(t *testing.T) {
	for what, params := range map[string]string{
		"cut off":               "\x00\x01\x00\x05\x02h2",
		"half a key":            "\x00\x01\x00",
		"keys out of order":     "\x00\x03\x00\x02\x01\xbb\x00\x01\x00\x03\x02h2",
		"a key twice":           "\x00\x01\x00\x03\x02h2\x00\x01\x00\x03\x02h2",
		"three bytes of a hint": "\x00\x04\x00\x03\x0a\x00\x00",
	} {
		msg := []byte("\x00\x00\x80\x00\x00\x01\x00\x01\x00\x00\x00\x00\x01a\x07example\x00\x00\x41\x00\x01" + "\xc0\x0c\x00\x41\x00\x01\x00\x00\x00\x3c")
		msg = append(msg, 0, byte(3+len(params)), 0, 1, 0)
		if _, err := ReadReply(append(msg, params...)); err == nil {
			t.Errorf("%s: taken", what)
		}
	}
}

func TestLocalAddress(t *testing.T) {
	for record, want := range map[string]string{
		"a.example. 60 IN A 192.0.2.1":                                              "",
		"a.example. 60 IN A 10.1.2.3":                                               "10.1.2.3",
		"a.example. 60 IN AAAA 2001:db8::1":                                         "",
		"a.example. 60 IN AAAA fd00::1":                                             "fd00::1",
		"a.example. 60 IN AAAA ::ffff:192.0.2.1":                                    "::ffff:192.0.2.1",
		`a.example. 60 IN HTTPS 1 . ipv4hint="192.0.2.1,192.168.1.1"`:               "192.168.1.1",
		`a.example. 60 IN SVCB 1 b.example. alpn=h2 ipv6hint="2001:db8::1,fe80::1"`: "fe80::1",
		`a.example. 60 IN HTTPS 1 . alpn=h2 ipv6hint="2001:db8::1"`:                 "",
		`a.example. 60 IN TXT "10.1.2.3"`:                                           "",
	} {
		a, ok := replyOf(t, record).LocalAddress()
		if got := map[bool]string{true: a.String()}[ok]; got != want {
			t.Errorf("%s: %q, want %q", record, got, want)
		}
	}
	r := replyOf(t, "w.example. 60 IN CNAME a.example.", "a.example. 60 IN A 192.0.2.1", "a.example. 60 IN A 127.0.0.1")
	if _, ok := r.LocalAddress(); !ok {
		t.Error("the last of several was not found")
	}
}

func TestIsLocal(t *testing.T) {
	for _, a := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.53", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.168.0.1",
		"224.0.0.251", "240.0.0.1", "255.255.255.255", "::", "::1", "::10.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "fc00::1", "fd12::1",
		"fe80::1", "fec0::1", "ff02::fb", "64:ff9b::10.0.0.1", "64:ff9b:1::1", "2002:c0a8:101::1",
	} {
		if !IsLocal(netip.MustParseAddr(a)) {
			t.Errorf("%s passes", a)
		}
	}
	for _, a := range []string{
		"8.8.8.8", "1.1.1.1", "192.0.2.1", "198.51.100.1", "203.0.113.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "223.255.255.255",
		"2001:4860:4860::8888", "2001:db8::1", "64:ff9b::8.8.8.8", "2002:808:808::1",
	} {
		if IsLocal(netip.MustParseAddr(a)) {
			t.Errorf("%s is refused", a)
		}
	}
}
