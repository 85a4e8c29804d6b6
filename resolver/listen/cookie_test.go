package listen

import (
	"encoding/hex"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

const ours = "0102030405060708" // a client's part of a cookie

// bringing makes a request bring cookies (hex).
func bringing(cookies ...string) func(*dns.Msg) {
	return func(m *dns.Msg) {
		m.SetEdns0(1232, false)
		for _, c := range cookies {
			m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: c})
		}
	}
}

// carried is the cookie of a reply, "" for none.
func carried(m *dns.Msg) string {
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if c, ok := o.(*dns.EDNS0_COOKIE); ok {
				return c.Cookie
			}
		}
	}
	return ""
}

func noQuestion(m *dns.Msg) { m.Question = nil }

func TestCookies(t *testing.T) {
	for _, loop := range loops {
		t.Run(loop.name, func(t *testing.T) {
			a := newAnswerer()
			_, addr := serving(t, a, localhost, func(s *Server) { s.portable = loop.portable })
			c := dial(t, "udp", addr)
			c.send(question(t, 1, "blocked.example.", bringing(ours)))
			good := carried(c.receive())
			bad := good[:len(good)-2] + map[bool]string{true: "00", false: "01"}[strings.HasSuffix(good, "01")]
			tests := []struct {
				name    string
				req     []byte
				rcode   int
				carried bool
				proven  bool
			}{
				{"none", question(t, 2, "blocked.example."), dns.RcodeNameError, false, false},
				{"none with EDNS", question(t, 2, "blocked.example.", bringing()), dns.RcodeNameError, false, false},
				{"new", question(t, 2, "blocked.example.", bringing(ours)), dns.RcodeNameError, true, false},
				{"good", question(t, 2, "blocked.example.", bringing(good)), dns.RcodeNameError, true, true},
				{"bad", question(t, 2, "blocked.example.", bringing(bad)), dns.RcodeNameError, true, false},
				{"the first of two counts", question(t, 2, "blocked.example.", bringing(good, bad)), dns.RcodeNameError, true, true},
				{"asked for", question(t, 2, "slow.example.", bringing(good)), dns.RcodeSuccess, true, true},
				{"too long", question(t, 2, "big.example.", bringing(good)), dns.RcodeSuccess, true, true},
				{"panic", question(t, 2, "mess.example.", bringing(good)), dns.RcodeServerFailure, true, true},
				{"panic in Resolve", question(t, 2, "slowpanic.example.", bringing(good)), dns.RcodeServerFailure, true, true},
				{"another opcode", question(t, 2, "a.example.", bringing(good), func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }), dns.RcodeNotImplemented, true, true},
				{"two questions", question(t, 2, "a.example.", bringing(good), func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }), dns.RcodeFormatError, true, true},
				{"a transfer", question(t, 2, "a.example.", bringing(good), func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAXFR }), dns.RcodeRefused, true, true},
				{"another version of EDNS", question(t, 2, "a.example.", bringing(good), func(m *dns.Msg) { m.IsEdns0().SetVersion(1) }), dns.RcodeBadVers, false, false},
				{"7 bytes", question(t, 2, "blocked.example.", bringing(good[:14])), dns.RcodeFormatError, false, false},
				{"15 bytes", question(t, 2, "blocked.example.", bringing(good[:30])), dns.RcodeFormatError, false, false},
				{"another server's, of 16 bytes", question(t, 2, "blocked.example.", bringing(good[:32])), dns.RcodeNameError, true, false},
				{"another server's, of 40 bytes", question(t, 2, "blocked.example.", bringing(good+ours+ours)), dns.RcodeNameError, true, false},
				{"41 bytes", question(t, 2, "blocked.example.", bringing(good+ours+ours+"00")), dns.RcodeFormatError, false, false},
				{"no question", question(t, 2, ".", bringing(ours), noQuestion), dns.RcodeSuccess, true, false},
				{"no question, good", question(t, 2, ".", bringing(good), noQuestion), dns.RcodeSuccess, true, true},
				{"no question, bad", question(t, 2, ".", bringing(bad), noQuestion), dns.RcodeBadCookie, true, false},
				{"neither", question(t, 2, ".", bringing(), noQuestion), dns.RcodeFormatError, false, false},
				{"no question, but another record", question(t, 2, ".", bringing(good), noQuestion, func(m *dns.Msg) {
					m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: "a.", Rrtype: 1, Class: 1}, A: netip.IPv4Unspecified().AsSlice()}}
				}), dns.RcodeSuccess, true, true},
			}
			type seen struct {
				RCode           int
				Carried, Proven bool
			}
			n := len(a.records(t, 1))
			for _, proto := range []string{"udp", "tcp"} {
				c := dial(t, proto, addr)
				for _, tt := range tests {
					c.send(tt.req)
					m := c.receive()
					n++
					q := a.records(t, n)[n-1]
					cookie := carried(m)
					if b, _ := hex.DecodeString(cookie); cookie != "" && (len(b) != 24 || cookie[:16] != ours) {
						t.Errorf("%s over %s: cookie %s", tt.name, proto, cookie)
					}
					got := seen{m.Rcode, cookie != "", q.Proven}
					if d := cmp.Diff(seen{tt.rcode, tt.carried, tt.proven || proto == "tcp"}, got); d != "" {
						t.Errorf("%s over %s: %s", tt.name, proto, d)
					}
					if int(q.RCode) != tt.rcode {
						t.Errorf("%s over %s: recorded as %d", tt.name, proto, q.RCode)
					}
				}
			}
		})
	}
}

// A cookie is the address's that it was given to: nobody else can use it, and its owner can at any port.
func TestCookieOfAnotherAddress(t *testing.T) {
	a := newAnswerer()
	_, addr := serving(t, a, localhost, nil)
	c := dial(t, "udp", addr)
	c.send(question(t, 1, "blocked.example.", bringing(ours)))
	good := question(t, 1, "blocked.example.", bringing(carried(c.receive())))
	a.records(t, 1) // another lane may record what follows
	for i, from := range []string{"127.0.0.1:0", "127.0.0.2:0"} {
		me, err := net.ResolveUDPAddr("udp", from)
		if err != nil {
			t.Fatal(err)
		}
		nc, err := net.DialUDP("udp", me, net.UDPAddrFromAddrPort(addr))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		d := &client{t, nc, false}
		d.send(good)
		d.receive()
		if q := a.records(t, 2+i)[1+i]; q.Proven != (i == 0) {
			t.Errorf("from %s: proven %v", from, q.Proven)
		}
	}
}
