package main

import (
	"fmt"
	"hash/fnv"
	"net"
	"strings"

	"github.com/miekg/dns"
)

// authority is a made Internet: what a resolver gets for any name follows from the name alone, so that two that ask it can
// be compared. There are addresses, mail servers, aliases in chains, DNAMEs, names without data, without existence and
// without anybody who answers for them, and texts that fit no datagram.
type authority struct {
	release chan struct{} // slow.probe.example is answered when it is closed
}

// ttlOf is what every record of a name has, and every denial of it.
func ttlOf(name string) uint32 { return 300 + uint32(hashOf(name)%600) }

func hashOf(name string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	x := h.Sum64() // the lower bits of names that differ at the end alone are not random
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	return x ^ x>>33
}

// serve answers like a resolver that knows all.
func (a *authority) serve(w dns.ResponseWriter, req *dns.Msg) {
	q := req.Question[0]
	if strings.EqualFold(q.Name, "slow.probe.example.") && a.release != nil {
		<-a.release
	}
	m := new(dns.Msg).SetReply(req)
	m.RecursionAvailable = true
	a.resolve(m, strings.ToLower(q.Name), q.Qtype)
	for _, rr := range m.Answer {
		if strings.EqualFold(rr.Header().Name, q.Name) {
			rr.Header().Name = q.Name // as real servers do, in the case of the question
		}
	}
	if opt := req.IsEdns0(); opt != nil {
		m.SetEdns0(1232, opt.Do())
	}
	if _, tcp := w.RemoteAddr().(*net.TCPAddr); !tcp {
		m.Truncate(1232)
	}
	_ = w.WriteMsg(m) // who asked asks again
}

// resolve follows aliases to their end.
func (a *authority) resolve(m *dns.Msg, name string, qtype uint16) {
	for range 8 {
		next := a.alias(m, name)
		if next == "" {
			break
		}
		if qtype == dns.TypeCNAME {
			return
		}
		name = next
	}
	a.end(m, name, qtype)
}

// alias adds what leads on from a name, and gives where to.
func (a *authority) alias(m *dns.Msg, name string) (next string) {
	labels := dns.SplitDomainName(name)
	if strings.HasSuffix(name, ".arpa.") || len(labels) < 2 {
		return ""
	}
	for i := len(labels) - 2; i > 0 && !inZone(name, "example."); i-- {
		owner := strings.Join(labels[i:], ".") + "."
		if hashOf("dname "+owner)%80 != 0 {
			continue
		}
		to := fmt.Sprintf("d%d.example.", hashOf(owner)%1000)
		next = strings.Join(labels[:i], ".") + "." + to
		ttl := ttlOf(owner)
		m.Answer = append(m.Answer,
			&dns.DNAME{Hdr: dns.RR_Header{Name: owner, Rrtype: dns.TypeDNAME, Class: dns.ClassINET, Ttl: ttl}, Target: to},
			&dns.CNAME{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: ttl}, Target: next})
		return next
	}
	var hop, of uint64
	switch n, _ := fmt.Sscanf(name, "hop%d.of%d.alias.example.", &hop, &of); {
	case n == 2 && hop > 0:
		next = fmt.Sprintf("hop%d.of%d.alias.example.", hop-1, of)
	case !inZone(name, "example.") && hashOf(name)%100 < 12:
		next = fmt.Sprintf("hop%d.of%d.alias.example.", hashOf(name)>>8%4, hashOf(name)>>16%100000)
	default:
		return ""
	}
	m.Answer = append(m.Answer, &dns.CNAME{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: ttlOf(name)}, Target: next})
	return next
}

// end adds what stands at the end of all aliases.
func (a *authority) end(m *dns.Msg, name string, qtype uint16) {
	h := hashOf("end " + name)
	switch kind := h % 1000; {
	case strings.HasSuffix(name, "probe.example."):
		if strings.HasPrefix(name, "gone.") {
			m.Rcode = dns.RcodeNameError
		}
	case kind < 80:
		m.Rcode = dns.RcodeNameError
	case kind < 83:
		m.Rcode, m.Answer = dns.RcodeServerFailure, nil
		return
	case kind < 180:
		qtype = dns.TypeNone // there is such a name, and nothing of it
	}
	if m.Rcode == dns.RcodeSuccess {
		a.data(m, name, qtype, h>>10)
	}
	if n := len(m.Answer); n == 0 || m.Answer[n-1].Header().Name != name || m.Answer[n-1].Header().Rrtype == dns.TypeCNAME {
		m.Ns = append(m.Ns, soaOf(name))
	}
}

// soaOf is the zone that a name is in: its last two labels.
func soaOf(name string) dns.RR {
	labels := dns.SplitDomainName(name)
	zone := strings.Join(labels[max(0, len(labels)-2):], ".") + "."
	return &dns.SOA{
		Hdr: dns.RR_Header{Name: zone, Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: ttlOf(zone)},
		Ns:  under("ns", zone), Mbox: under("hostmaster", zone), Serial: 1, Refresh: 7200, Retry: 900, Expire: 1209600, Minttl: ttlOf(zone) - 100,
	}
}

// data adds the records of a type that there are.
func (a *authority) data(m *dns.Msg, name string, qtype uint16, h uint64) {
	hdr := dns.RR_Header{Name: name, Rrtype: qtype, Class: dns.ClassINET, Ttl: ttlOf(name)}
	add := func(rr dns.RR) { m.Answer = append(m.Answer, rr) }
	switch n := int(h % 4); qtype {
	case dns.TypeA:
		for i := range 1 + n*n {
			add(&dns.A{Hdr: hdr, A: net.IPv4(198, 51, 100, byte(h>>8)+byte(i))})
		}
	case dns.TypeAAAA:
		for i := range 1 + n {
			add(&dns.AAAA{Hdr: hdr, AAAA: net.ParseIP(fmt.Sprintf("2001:db8::%x:%x", h>>8&0xffff, i))})
		}
	case dns.TypeMX:
		for i := range 1 + n {
			add(&dns.MX{Hdr: hdr, Preference: uint16(10 * i), Mx: under(fmt.Sprintf("mx%d", i), name)})
		}
	case dns.TypePTR:
		add(&dns.PTR{Hdr: hdr, Ptr: fmt.Sprintf("host-%d.isp.example.", h>>8%1e6)})
	case dns.TypeSRV:
		add(&dns.SRV{Hdr: hdr, Port: 5060, Target: "sip.isp.example."})
	case dns.TypeNS:
		add(&dns.NS{Hdr: hdr, Ns: under("ns", name)})
	case dns.TypeSOA:
		if soa := soaOf(name); soa.Header().Name == name {
			add(soa)
		}
	case dns.TypeTXT:
		length := 20
		if n == 0 || strings.HasPrefix(name, "large.") {
			length = 200
		}
		for i := range 3 + 4*n {
			add(&dns.TXT{Hdr: hdr, Txt: []string{fmt.Sprintf("%d %d %s", i, h, strings.Repeat("x", length))}})
		}
		for i := 0; strings.HasPrefix(name, "large.") && i < 20; i++ {
			add(&dns.TXT{Hdr: hdr, Txt: []string{fmt.Sprintf("more %d %s", i, strings.Repeat("x", length))}})
		}
	case dns.TypeHTTPS:
		add(&dns.HTTPS{SVCB: dns.SVCB{Hdr: hdr, Priority: 1, Target: ".", Value: []dns.SVCBKeyValue{&dns.SVCBAlpn{Alpn: []string{"h2", "h3"}}}}})
	case 65400:
		add(&dns.RFC3597{Hdr: hdr, Rdata: "0102c00c04"})
	}
}

// inZone says whether a name is a zone or lies in it.
func inZone(name, zone string) bool { return dns.IsSubDomain(zone, name) }

// under is a name one label below another.
func under(label, name string) string { return label + "." + strings.TrimPrefix(name, ".") }
