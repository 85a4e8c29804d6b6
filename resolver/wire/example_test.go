package wire_test

import (
	"fmt"

	"github.com/miekg/dns"

	"schoolgate/resolver/wire"
)

// A request is read, refused, and the refusal says why.
func ExampleAppendBlocked() {
	m := new(dns.Msg)
	m.SetQuestion("Ads.example.", dns.TypeA)
	m.SetEdns0(1232, false)
	req, _ := m.Pack()

	var q wire.Question
	if err := wire.ParseQuestion(req, &q); err != nil {
		rcode, ok := wire.Answer(err)
		fmt.Println(rcode, ok)
		return
	}
	reply := wire.AppendBlocked(nil, req, &q, wire.Blocked{TTL: 60}, wire.EDE{Code: wire.EDEBlocked, Text: "adverts"})

	var got dns.Msg
	fmt.Println(got.Unpack(reply), dns.RcodeToString[got.Rcode], got.Question[0].Name, got.IsEdns0().Option[0])
	// Output: <nil> NXDOMAIN Ads.example. 15 (Blocked): (adverts)
}
