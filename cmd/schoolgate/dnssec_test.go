package main

import (
	"crypto"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// signedRoot is an upstream for a root zone that holds a few names of itself, signed now.
type signedRoot struct {
	t        *testing.T
	key      *dns.DNSKEY
	signer   crypto.Signer
	stripped atomic.Bool // leaves out what DNSSEC needs
	repaired atomic.Bool // the name broken.example is in order
}

func newSignedRoot(t *testing.T) *signedRoot {
	k := &dns.DNSKEY{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 3600}, Flags: 257, Protocol: 3, Algorithm: dns.ED25519}
	private, err := k.Generate(256)
	if err != nil {
		t.Fatal(err)
	}
	return &signedRoot{t: t, key: k, signer: private.(crypto.Signer)}
}

func (s *signedRoot) signed(rr dns.RR, end time.Duration) []dns.RR {
	now := time.Now()
	sig := &dns.RRSIG{
		Hdr:       dns.RR_Header{Name: rr.Header().Name, Rrtype: dns.TypeRRSIG, Class: dns.ClassINET, Ttl: rr.Header().Ttl},
		Algorithm: dns.ED25519, KeyTag: s.key.KeyTag(), SignerName: ".",
		Inception: uint32(now.Add(-30 * 24 * time.Hour).Unix()), Expiration: uint32(now.Add(end).Unix()),
	}
	if err := sig.Sign(s.signer, []dns.RR{rr}); err != nil {
		s.t.Error(err)
	}
	return []dns.RR{rr, sig}
}

func (s *signedRoot) ServeDNS(w dns.ResponseWriter, req *dns.Msg) {
	const week = 7 * 24 * time.Hour
	m := new(dns.Msg).SetReply(req)
	name, typ := strings.ToLower(req.Question[0].Name), req.Question[0].Qtype
	a, _ := dns.NewRR(name + " 1 IN A 198.51.100.7")
	switch {
	case typ == dns.TypeDNSKEY && name == ".":
		m.Answer = s.signed(s.key, week)
	case typ == dns.TypeA && (name == "whole.example." || name == "broken.example." && s.repaired.Load()):
		m.Answer = s.signed(a, week)
	case typ == dns.TypeA && name == "broken.example.":
		m.Answer = s.signed(a, week) // and then altered; expired ones are let through while nobody keeps the time of this machine
		ip := a.(*dns.A).A
		ip[len(ip)-1] = 66
	default:
		soa, _ := dns.NewRR(". 60 IN SOA ns. host. 1 7200 3600 1209600 60")
		nsec, _ := dns.NewRR(". 60 IN NSEC . NS SOA RRSIG NSEC DNSKEY")
		m.Ns = append(s.signed(soa, week), s.signed(nsec, week)...)
	}
	if opt := req.IsEdns0(); s.stripped.Load() || opt == nil || !opt.Do() {
		m.Answer, m.Ns = bare(m.Answer), bare(m.Ns)
	}
	m.SetEdns0(1232, true)
	_ = w.WriteMsg(m)
}

func bare(all []dns.RR) (out []dns.RR) {
	for _, rr := range all {
		if t := rr.Header().Rrtype; t != dns.TypeRRSIG && t != dns.TypeNSEC {
			out = append(out, rr)
		}
	}
	return out
}

// TestDNSSEC is a box in front of signed names: what is broken is refused with the reason, also when there is an answer of the
// past; an exception lets it through; and names go on resolving when signatures stop coming through.
func TestDNSSEC(t *testing.T) {
	t.Parallel()
	up, dir := newSignedRoot(t), t.TempDir()
	anchors := filepath.Join(dir, "root.ds")
	if err := os.WriteFile(anchors, []byte(up.key.ToDS(dns.SHA256).String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	table := "[dnssec]\nanchors = \"" + anchors + "\"\n"
	s := school{upstream: serveDNS(t, up.ServeDNS), more: table}
	up.repaired.Store(true)
	b := startBox(t, s.write(t, dir))
	wants := func(what, name string, rcode, ede int) {
		t.Helper()
		reply := b.ask("127.30.0.1", name, dns.TypeA)
		if code, _ := reasonOf(reply); reply.Rcode != rcode || ede != 0 && code != ede {
			t.Errorf("%s: %s is %s, reason %d", what, name, dns.RcodeToString[reply.Rcode], code)
		}
	}
	wants("in order", "whole.example", dns.RcodeSuccess, 0)
	wants("in order for now", "broken.example", dns.RcodeSuccess, 0)
	up.repaired.Store(false)
	b.until("the name is refused, whatever it was before", func() bool {
		reply := b.ask("127.30.0.1", "broken.example", dns.TypeA)
		code, _ := reasonOf(reply)
		return reply.Rcode == dns.RcodeServerFailure && code == int(dns.ExtendedErrorCodeDNSBogus)
	})
	if n := scrape(t, b)(`schoolgate_dnssec_enforced`); n != 1 {
		t.Errorf("enforced is %v", n)
	}
	if out := b.schoolgate("dnssec", "broken.example"); !strings.Contains(out, "BOGUS") || !strings.Contains(out, "signature does not fit") {
		t.Error(out)
	}
	var x chain
	if out := b.schoolgate("dnssec", "--json", "whole.example"); json.Unmarshal([]byte(out), &x) != nil || x.Verdict != "secure" || len(x.Steps) == 0 {
		t.Error(out)
	}

	s.more = table + "negative_trust_anchors = [\"broken.example\"]\n"
	s.write(t, dir)
	b.reload(taken)
	wants("excepted", "broken.example", dns.RcodeSuccess, 0)

	s.more = table
	s.write(t, dir)
	up.stripped.Store(true)
	b.reload(taken)
	wants("stripped", "broken.example", dns.RcodeSuccess, 0)
	if _, ok := b.conditions()["dnssec.stripped"]; !ok {
		t.Error("nothing says that signatures do not come through")
	}
}
