package local

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"schoolgate/blocklist/domain"
	"schoolgate/config"
	"schoolgate/resolver/wire"
)

const (
	children = uint8(iota)
	staff
)

func addrs(text ...string) (out []netip.Addr) {
	for _, a := range text {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

// school is a small network: a box with two interfaces, a few records and devices.
func school(t testing.TB, edit func(*config.Config)) (*Names, *Interfaces) {
	t.Helper()
	cfg := config.Default()
	minute := config.Duration(time.Minute)
	cfg.Local.Records = []config.Record{
		{Name: "printer.home.arpa", Addresses: addrs("192.0.2.10", "2001:db8::10"), TXT: []string{"paper", "toner"}, TTL: minute},
		{Name: "www.school.example", Addresses: addrs("192.0.2.20"), TTL: minute, Groups: []string{"staff"}},
		{Name: "apps.home.arpa", Addresses: addrs("192.0.2.30"), TTL: minute, Below: true},
		{Name: "plain.apps.home.arpa", TXT: []string{"x"}, TTL: minute},
		{Name: "print.school.example", CNAME: "printer.home.arpa", TTL: minute},
		{Name: "again.home.arpa", CNAME: "print.school.example", TTL: minute},
		{Name: "away.home.arpa", CNAME: "cdn.example", TTL: minute},
		{Name: "lost.home.arpa", CNAME: "nowhere.home.arpa", TTL: minute},
		{Name: "loop.home.arpa", CNAME: "pool.home.arpa", TTL: minute},
		{Name: "pool.home.arpa", CNAME: "loop.home.arpa", TTL: minute},
		{Name: "mail.home.arpa", MX: []config.MX{{Preference: 10, Host: "mail.school.example"}}, TTL: minute},
		{Name: "_ipp._tcp.home.arpa", SRV: []config.SRV{{Priority: 0, Weight: 5, Port: 631, Host: "printer.home.arpa"}}, TTL: minute},
		{Name: "deep.below.nothing.home.arpa", Addresses: addrs("192.0.2.40"), TTL: minute},
		{Name: "half.school.example", Addresses: addrs("192.0.2.50"), TTL: minute, Fallthrough: true},
		{Name: "9.1.168.192.in-addr.arpa", PTR: "gate.home.arpa", TTL: minute},
	}
	cfg.Devices = []config.Device{
		{Name: "Tablet 7", IP: netip.MustParseAddr("192.168.1.7")},
		{Name: "Emma’s  (old) laptop", IP: netip.MustParseAddr("fd00::7")},
		{Name: "No address", MAC: config.MAC{0, 0, 0x5e, 0, 0x53, 1}},
	}
	if edit != nil {
		edit(cfg)
	}
	if p := cfg.Validate(); p.Refused() {
		t.Fatal(p)
	}
	n, err := Compile(cfg)
	if err != nil {
		t.Fatal(err)
	}
	box := new(Interfaces)
	box.Set(addrs("127.0.0.1", "::1"), addrs("192.168.1.1", "fd00::1", "fe80::1", "2001:db8:1::1"), addrs("10.0.0.1"))
	return n, box
}

// ask sends one question and gives the reply, nil for none.
func ask(t testing.TB, n *Names, box *Interfaces, group uint8, asked, name string, qtype uint16) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), qtype)
	m.SetEdns0(1232, true)
	req, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	var q wire.Question
	if err := wire.ParseQuestion(req, &q); err != nil {
		t.Fatal(err)
	}
	at, _ := netip.ParseAddr(asked)
	out, rcode, ok := n.Answer(&q, group, at, box, req, nil)
	if here, target, _ := n.Find(group, &q.Name); ok && (!here || target != "" && qtype != dns.TypeCNAME && qtype != dns.TypeANY) {
		t.Errorf("%s is answered, but found %v, %q", name, here, target)
	}
	if !ok {
		return nil
	}
	var reply dns.Msg
	if err := reply.Unpack(out); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if !reply.Authoritative && qtype != dns.TypeANY || reply.AuthenticatedData || reply.Rcode != int(rcode) || reply.IsEdns0() == nil {
		t.Errorf("%s: %v", name, &reply)
	}
	return &reply
}

// said is a reply in short: the code, the answers, and who owns the denial.
func said(m *dns.Msg) (out []string) {
	if m == nil {
		return []string{"asked elsewhere"}
	}
	if m.Rcode != dns.RcodeSuccess {
		out = append(out, dns.RcodeToString[m.Rcode])
	}
	for _, rr := range m.Answer {
		out = append(out, strings.ReplaceAll(rr.String(), "\t", " "))
	}
	for _, rr := range m.Ns {
		if rr.Header().Rrtype == dns.TypeSOA {
			out = append(out, "SOA of "+rr.Header().Name)
		}
	}
	return out
}

func TestAnswers(t *testing.T) {
	n, box := school(t, nil)
	elsewhere := []string{"asked elsewhere"}
	for _, tt := range []struct {
		name  string
		qtype uint16
		want  []string
	}{
		{"printer.home.arpa", dns.TypeA, []string{"printer.home.arpa. 60 IN A 192.0.2.10"}},
		{"PRINTER.home.arpa", dns.TypeAAAA, []string{"PRINTER.home.arpa. 60 IN AAAA 2001:db8::10"}},
		{"printer.home.arpa", dns.TypeTXT, []string{`printer.home.arpa. 60 IN TXT "paper"`, `printer.home.arpa. 60 IN TXT "toner"`}},
		{"printer.home.arpa", dns.TypeHTTPS, []string{"SOA of home.arpa."}},
		{"printer.home.arpa", dns.TypeANY, []string{`printer.home.arpa. 60 IN HINFO "RFC8482" ""`}},
		{"x.printer.home.arpa", dns.TypeA, []string{"NXDOMAIN", "SOA of home.arpa."}},
		{"printer", dns.TypeA, []string{"printer. 60 IN A 192.0.2.10"}},
		{"apps.home.arpa", dns.TypeA, []string{"apps.home.arpa. 60 IN A 192.0.2.30"}},
		{"a.b.apps.home.arpa", dns.TypeA, []string{"a.b.apps.home.arpa. 60 IN A 192.0.2.30"}},
		{"a.b.apps.home.arpa", dns.TypeAAAA, []string{"SOA of home.arpa."}},
		{"plain.apps.home.arpa", dns.TypeA, []string{"SOA of home.arpa."}},
		{"print.school.example", dns.TypeA, []string{"print.school.example. 60 IN CNAME printer.home.arpa.", "printer.home.arpa. 60 IN A 192.0.2.10"}},
		{"print.school.example", dns.TypeMX, []string{"print.school.example. 60 IN CNAME printer.home.arpa.", "SOA of printer.home.arpa."}},
		{"print.school.example", dns.TypeCNAME, []string{"print.school.example. 60 IN CNAME printer.home.arpa."}},
		{"again.home.arpa", dns.TypeAAAA, []string{"again.home.arpa. 60 IN CNAME printer.home.arpa.", "printer.home.arpa. 60 IN AAAA 2001:db8::10"}},
		{"away.home.arpa", dns.TypeA, elsewhere},
		{"away.home.arpa", dns.TypeCNAME, []string{"away.home.arpa. 60 IN CNAME cdn.example."}},
		{"lost.home.arpa", dns.TypeA, []string{"NXDOMAIN", "lost.home.arpa. 60 IN CNAME nowhere.home.arpa.", "SOA of nowhere.home.arpa."}},
		{"mail.home.arpa", dns.TypeMX, []string{"mail.home.arpa. 60 IN MX 10 mail.school.example."}},
		{"_ipp._tcp.home.arpa", dns.TypeSRV, []string{"_ipp._tcp.home.arpa. 60 IN SRV 0 5 631 printer.home.arpa."}},
		{"_tcp.home.arpa", dns.TypeA, []string{"SOA of home.arpa."}}, // exists, since a name lies below it
		{"below.nothing.home.arpa", dns.TypeA, []string{"SOA of home.arpa."}},
		{"home.arpa", dns.TypeA, []string{"SOA of home.arpa."}},
		{"home.arpa", dns.TypeSOA, []string{"home.arpa. 60 IN SOA schoolgate.home.arpa. nobody.invalid. 1 3600 1200 604800 60"}},
		{"home.arpa", dns.TypeNS, []string{"home.arpa. 60 IN NS schoolgate.home.arpa."}},
		{"home.arpa", dns.TypeDS, elsewhere}, // the parent's to say (RFC 8375 section 4)
		{"nothere.home.arpa", dns.TypeA, []string{"NXDOMAIN", "SOA of home.arpa."}},
		{"half.school.example", dns.TypeA, []string{"half.school.example. 60 IN A 192.0.2.50"}},
		{"half.school.example", dns.TypeAAAA, elsewhere},
		{"school.example", dns.TypeA, elsewhere},
		{"www.school.example", dns.TypeA, elsewhere}, // for staff alone
		{"9.1.168.192.in-addr.arpa", dns.TypePTR, []string{"9.1.168.192.in-addr.arpa. 60 IN PTR gate.home.arpa."}},
		{"10.2.0.192.in-addr.arpa", dns.TypePTR, []string{"10.2.0.192.in-addr.arpa. 60 IN PTR printer.home.arpa."}},
		{"tablet-7.home.arpa", dns.TypeA, []string{"tablet-7.home.arpa. 60 IN A 192.168.1.7"}},
		{"7.1.168.192.in-addr.arpa", dns.TypePTR, []string{"7.1.168.192.in-addr.arpa. 60 IN PTR tablet-7.home.arpa."}},
		{"emmas-old-laptop", dns.TypeAAAA, []string{"emmas-old-laptop. 60 IN AAAA fd00::7"}},
		{"8.1.168.192.in-addr.arpa", dns.TypePTR, []string{"NXDOMAIN", "SOA of 168.192.in-addr.arpa."}},
		{"1.168.192.in-addr.arpa", dns.TypePTR, []string{"SOA of 168.192.in-addr.arpa."}},
		{"localhost", dns.TypeA, []string{"localhost. 60 IN A 127.0.0.1"}},
		{"a.localhost", dns.TypeAAAA, []string{"a.localhost. 60 IN AAAA ::1"}},
		{"localhost", dns.TypeMX, []string{"SOA of localhost."}},
		{"1.0.0.127.in-addr.arpa", dns.TypePTR, []string{"1.0.0.127.in-addr.arpa. 60 IN PTR localhost."}},
		{"ipv4only.arpa", dns.TypeA, []string{"ipv4only.arpa. 60 IN A 192.0.0.170", "ipv4only.arpa. 60 IN A 192.0.0.171"}},
		{"ipv4only.arpa", dns.TypeAAAA, elsewhere},
		{"170.0.0.192.in-addr.arpa", dns.TypePTR, []string{"170.0.0.192.in-addr.arpa. 60 IN PTR ipv4only.arpa."}},
		{"example", dns.TypeA, elsewhere},
		{"com", dns.TypeA, elsewhere},
	} {
		if diff := cmp.Diff(tt.want, said(ask(t, n, box, children, "", tt.name, tt.qtype))); diff != "" {
			t.Errorf("%s %s: %s", tt.name, dns.Type(tt.qtype), diff)
		}
	}
	if got := said(ask(t, n, box, staff, "", "www.school.example", dns.TypeA)); len(got) != 1 || got[0] != "www.school.example. 60 IN A 192.0.2.20" {
		t.Errorf("for staff: %q", got)
	}
	if got := ask(t, n, box, children, "", "loop.home.arpa", dns.TypeA); got != nil && len(got.Answer) > 1 {
		t.Errorf("a loop: %v", got)
	}
}

func TestTheBox(t *testing.T) {
	n, box := school(t, nil)
	for _, tt := range []struct {
		asked string
		qtype uint16
		want  []string
	}{
		{"192.168.1.1", dns.TypeA, []string{"schoolgate. 60 IN A 192.168.1.1"}},
		{"10.0.0.1", dns.TypeA, []string{"schoolgate. 60 IN A 10.0.0.1"}},
		{"10.0.0.1", dns.TypeAAAA, []string{"SOA of schoolgate."}},
		{"192.168.1.1", dns.TypeAAAA, []string{"schoolgate. 60 IN AAAA fd00::1", "schoolgate. 60 IN AAAA 2001:db8:1::1"}},
		{"fd00::1", dns.TypeAAAA, []string{"schoolgate. 60 IN AAAA fd00::1"}},
		{"fe80::1%eth0", dns.TypeAAAA, []string{"schoolgate. 60 IN AAAA fd00::1", "schoolgate. 60 IN AAAA 2001:db8:1::1"}},
		{"fd00::1", dns.TypeA, []string{"schoolgate. 60 IN A 192.168.1.1"}},
		{"::", dns.TypeA, []string{"SOA of schoolgate."}},
		{"", dns.TypeA, []string{"asked elsewhere"}},
		{"", dns.TypeTXT, []string{"SOA of schoolgate."}},
	} {
		if diff := cmp.Diff(tt.want, said(ask(t, n, box, children, tt.asked, "schoolgate", tt.qtype))); diff != "" {
			t.Errorf("at %q, %s: %s", tt.asked, dns.Type(tt.qtype), diff)
		}
	}
	for _, own := range []string{"192.168.1.1", "10.0.0.1", "fd00::1"} {
		name := string(Reverse(netip.MustParseAddr(own)))
		if got := said(ask(t, n, box, children, "", name, dns.TypePTR)); len(got) != 1 || !strings.HasSuffix(got[0], " IN PTR schoolgate.home.arpa.") {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := said(ask(t, n, nil, children, "", "1.1.168.192.in-addr.arpa", dns.TypePTR)); got[0] != "NXDOMAIN" {
		t.Errorf("without interfaces: %q", got)
	}
}

// TestUnasked: what nobody is asked for though no zone holds it.
func TestUnasked(t *testing.T) {
	n, box := school(t, nil)
	for _, tt := range []struct {
		name  string
		qtype uint16
		want  []string
	}{
		{"wpad", dns.TypeA, []string{"NXDOMAIN", "SOA of wpad."}},
		{"wpad", dns.TypeDS, nil},
		{"uk", dns.TypeA, nil},
		{".", dns.TypeNS, nil},
		{"www.school.example", dns.TypeA, nil},
		{string(Reverse(netip.MustParseAddr("2001:db8:1::1"))), dns.TypePTR, []string{string(Reverse(netip.MustParseAddr("2001:db8:1::1"))) + ". 60 IN PTR schoolgate.home.arpa."}},
		{"1.0.0.8.in-addr.arpa", dns.TypePTR, nil},
	} {
		m := new(dns.Msg)
		m.SetQuestion(dns.Fqdn(tt.name), tt.qtype)
		req, _ := m.Pack()
		var q wire.Question
		if err := wire.ParseQuestion(req, &q); err != nil {
			t.Fatal(err)
		}
		out, _, ok := n.Unasked(&q, box, req, nil)
		var got []string
		if ok {
			var reply dns.Msg
			if err := reply.Unpack(out); err != nil {
				t.Fatal(err)
			}
			got = said(&reply)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s %s: %s", tt.name, dns.Type(tt.qtype), diff)
		}
	}
}

// TestSpecialZones: the registries of special names and locally served zones, one name of each.
func TestSpecialZones(t *testing.T) {
	n, box := school(t, nil)
	names := strings.Fields(`x.invalid x.test printer.local x.onion x.alt x.home.arpa x.internal default.service.arpa
		nas.lan router.home x.corp x.intranet x.private x.localdomain
		9.0.0.10.in-addr.arpa 1.0.16.172.in-addr.arpa 1.0.31.172.in-addr.arpa 1.0.168.192.in-addr.arpa 1.0.0.0.in-addr.arpa 9.0.0.127.in-addr.arpa
		1.0.254.169.in-addr.arpa 99.2.0.192.in-addr.arpa 1.100.51.198.in-addr.arpa 1.113.0.203.in-addr.arpa 255.255.255.255.in-addr.arpa
		1.0.64.100.in-addr.arpa 1.0.127.100.in-addr.arpa`)
	for _, a := range []string{"::", "fd12::5", "fe80::5", "febf::5", "2001:db8::5", "3fff:5::5", "fc00::5"} {
		names = append(names, string(Reverse(netip.MustParseAddr(a))))
	}
	for _, name := range names {
		m := ask(t, n, box, children, "", name, dns.TypePTR)
		if a := string(Reverse(netip.MustParseAddr("fc00::5"))); name == a {
			if m != nil { // fc00::/8 is no locally served zone
				t.Errorf("%s: %v", name, said(m))
			}
			continue
		}
		if m == nil || len(m.Answer) != 0 || len(m.Ns) != 1 || m.Ns[0].Header().Rrtype != dns.TypeSOA || m.Ns[0].Header().Ttl != ttl {
			t.Errorf("%s: %q", name, said(m))
			continue
		}
		if zone := m.Ns[0].Header().Name; !dns.IsSubDomain(zone, dns.Fqdn(name)) {
			t.Errorf("%s is denied for %s", name, zone)
		}
	}
	for _, name := range []string{"1.0.32.172.in-addr.arpa", "1.0.15.172.in-addr.arpa", "1.0.63.100.in-addr.arpa", "1.0.128.100.in-addr.arpa", "x.example", "www.example.com", "x.arpa", "resolver.arpa", "in-addr.arpa"} {
		if m := ask(t, n, box, children, "", name, dns.TypePTR); m != nil {
			t.Errorf("%s is answered here: %q", name, said(m))
		}
	}
}

func TestReverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "address")
		a := netip.AddrFrom16([16]byte(b))
		if rapid.Bool().Draw(t, "four") {
			a = netip.AddrFrom4([4]byte(b[:4]))
		}
		var w domain.Wire
		if err := w.SetName(Reverse(a)); err != nil {
			t.Fatal(err)
		}
		want, _ := dns.ReverseAddr(a.Unmap().String())
		if got, ok := address(&w); !ok || got.Unmap() != a.Unmap() || string(Reverse(a))+"." != want {
			t.Errorf("%v: %q, %v", a, Reverse(a), got)
		}
	})
	for _, name := range []domain.Name{"256.0.0.1.in-addr.arpa", "1.0.0.in-addr.arpa", "x.0.0.1.in-addr.arpa", "1.0.0.1.ip6.arpa", "in-addr.arpa"} {
		var w domain.Wire
		if err := w.SetName(name); err != nil {
			t.Fatal(err)
		}
		if a, ok := address(&w); ok {
			t.Errorf("%q is %v", name, a)
		}
	}
}

func TestInterfaces(t *testing.T) {
	var none *Interfaces
	if none.Beside(netip.MustParseAddr("127.0.0.1")) != nil {
		t.Error("a nil one knows something")
	}
	i := new(Interfaces)
	i.Look()
	if len(i.Beside(netip.MustParseAddr("127.0.0.1"))) == 0 {
		if _, err := os.Stat("/sys/class/net/lo"); err == nil {
			t.Error("the loopback interface was not found")
		}
	}
}

func TestAnswerDoesNotAllocate(t *testing.T) {
	n, box := school(t, nil)
	for _, name := range []string{"printer.home.arpa.", "again.home.arpa.", "nothere.home.arpa.", "1.1.168.192.in-addr.arpa.", "schoolgate.", "a.b.apps.home.arpa."} {
		m := new(dns.Msg)
		m.SetQuestion(name, dns.TypeA)
		if strings.HasSuffix(name, "in-addr.arpa.") {
			m.Question[0].Qtype = dns.TypePTR
		}
		req, _ := m.Pack()
		var q wire.Question
		if err := wire.ParseQuestion(req, &q); err != nil {
			t.Fatal(err)
		}
		buf, asked := make([]byte, 0, 4096), netip.MustParseAddr("192.168.1.1")
		if got := testing.AllocsPerRun(100, func() {
			n.Find(children, &q.Name)
			if _, _, ok := n.Answer(&q, children, asked, box, req, buf); !ok {
				t.Fatal("not answered")
			}
		}); got != 0 {
			t.Errorf("%s: %v allocations", name, got)
		}
	}
}

// TestNothingPanics asks for every name that is known, with every group and type.
func TestNothingPanics(t *testing.T) {
	n, box := school(t, nil)
	for _, r := range n.Rules() {
		for _, qtype := range []uint16{1, 2, 5, 6, 12, 15, 16, 28, 33, 43, 64, 65, 255, 65280} {
			for _, asked := range []string{"", "::", "192.168.1.1", "fe80::1"} {
				ask(t, n, box, uint8(qtype)%3, asked, string(r.Name), qtype)
			}
		}
	}
}
