package listen

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"schoolgate/resolver/query"
)

// What is refused before Inline reaches Done as what it is, with nothing left over from the query before.
func TestDoneOfRefusedRequests(t *testing.T) {
	badVers := func(m *dns.Msg) { m.SetEdns0(1232, false); m.IsEdns0().SetVersion(1) }
	tests := []struct {
		name  string
		req   []byte
		rcode uint16
		asked string
	}{
		{"header alone", question(t, 1, "cut.example.")[:12], dns.RcodeFormatError, ""},
		{"cut within the name", question(t, 2, "cut.example.")[:18], dns.RcodeFormatError, ""},
		{"two questions", question(t, 3, "a.example.", func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }), dns.RcodeFormatError, ""},
		{"another opcode", question(t, 4, "a.example.", func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }), dns.RcodeNotImplemented, ""},
		{"transfer", question(t, 5, "zone.example.", func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAXFR }), dns.RcodeRefused, "zone.example"},
		{"EDNS version", question(t, 6, "new.example.", badVers), dns.RcodeBadVers, "new.example"},
	}
	type fact struct {
		RCode  uint16
		Name   string
		Source query.Source
		Proto  query.Proto
	}
	for _, loop := range loops {
		t.Run(loop.name, func(t *testing.T) {
			a := newAnswerer()
			_, addr := serving(t, a, localhost, func(s *Server) {
				s.portable = loop.portable
				inline := s.Inline
				s.Inline = func(q *query.Query, req, dst []byte) ([]byte, bool) {
					q.Client.Device, q.Verdict.Action, q.Verdict.List = "laptop", query.Block, "games"
					return inline(q, req, dst)
				}
			})
			n := 0
			for proto, c := range map[query.Proto]*client{query.UDP: dial(t, "udp", addr), query.TCP: dial(t, "tcp", addr)} {
				for _, tt := range tests {
					c.send(question(t, 99, "blocked.example.")) // leaves its facts in the query that is used again
					c.receive()
					c.send(tt.req)
					c.receive()
					n += 2
					q := a.records(t, n)[n-1]
					got := fact{q.RCode, string(q.Question.Name.Name()), q.Source, q.Proto}
					if d := cmp.Diff(fact{tt.rcode, tt.asked, query.None, proto}, got); d != "" {
						t.Errorf("%s over %v: %s", tt.name, proto, d)
					}
					if want := (query.Query{Client: query.Client{Addr: q.Client.Addr}}); q.Client != want.Client || q.Verdict != want.Verdict {
						t.Errorf("%s over %v: client %+v, verdict %+v", tt.name, proto, q.Client, q.Verdict)
					}
				}
			}
		})
	}
}
