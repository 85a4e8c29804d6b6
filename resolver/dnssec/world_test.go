package dnssec_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"schoolgate/resolver/dnssec"
	"schoolgate/resolver/wire"
)

// epoch is when the world of the tests is. Unbound is told the same.
var epoch = time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)

// contents is what a zone holds in which everything that has to be proven can be asked for.
func contents(zone string) []string {
	return strings.Split(strings.ReplaceAll(`www.@ 300 IN A 192.0.2.1
www.@ 300 IN A 192.0.2.2
www.@ 300 IN TXT "Mixed Case" "two strings"
Mixed.@ 300 IN MX 10 Mail.@
alias.@ 300 IN CNAME www.@
dangling.@ 300 IN CNAME nowhere.@
loop.@ 300 IN CNAME loop2.@
deep.empty.@ 300 IN A 192.0.2.3
*.wild.@ 300 IN A 192.0.2.4
real.wild.@ 300 IN A 192.0.2.5
*.walias.@ 300 IN CNAME www.@
tree.@ 300 IN DNAME wild.@
svc.@ 300 IN HTTPS 1 . alpn=h2 ipv4hint=192.0.2.6
srv.@ 300 IN SRV 1 2 3 Target.@
loop2.@ 300 IN TXT end`, "@", zone), "\n")
}

// wanted is a question and what is to come of it.
type wanted struct {
	name   string
	typ    uint16
	status dnssec.Status
	rcode  int    // of the answer to the client
	differ string // why Unbound says something else
}

type world struct {
	*authority
	wants []wanted
}

func (w *world) want(status dnssec.Status, rcode int, name string, types ...uint16) {
	for _, typ := range types {
		w.wants = append(w.wants, wanted{name: name, typ: typ, status: status, rcode: rcode})
	}
}

func (w *world) differs(why string) { w.wants[len(w.wants)-1].differ = why }

const (
	a, aaaa, txt, cname, tds = dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeCNAME, dns.TypeDS
	ok, nx, servfail         = dns.RcodeSuccess, dns.RcodeNameError, dns.RcodeServerFailure
)

func salted(iterations uint16, salt string) *dns.NSEC3PARAM {
	return &dns.NSEC3PARAM{Hash: dns.SHA1, Iterations: iterations, SaltLength: uint8(len(salt) / 2), Salt: salt}
}

// newWorld builds the tree that everything is tested on.
func newWorld(t testing.TB) *world {
	w := &world{authority: newAuthority(t, epoch)}
	w.zone("example.", dns.RSASHA256).hashed = salted(0, "")
	w.zone("nsec.", dns.ED25519)
	z := w.zone("optout.", dns.ECDSAP256SHA256)
	z.hashed, z.optOut = salted(0, ""), true
	w.whole()
	w.insecure()
	w.broken()
	w.aliases()
	w.hostile()
	w.sign()
	w.want(dnssec.Secure, ok, ".", dns.TypeNS, dns.TypeSOA, dns.TypeDNSKEY, txt)
	w.want(dnssec.Secure, nx, "no-such-tld.", a)
	w.want(dnssec.Secure, nx, "nothing.example.", a, tds)
	w.want(dnssec.Insecure, nx, "nothing.optout.", a) // RFC 5155 section 9.2
	return w
}

// whole is zones in order, with each algorithm and kind of denial.
func (w *world) whole() {
	for i, alg := range []uint8{dns.RSASHA256, dns.RSASHA512, dns.ECDSAP256SHA256, dns.ECDSAP384SHA384, dns.ED25519} {
		for j, hashed := range []*dns.NSEC3PARAM{nil, salted(0, ""), salted(7, "aabbcc")} {
			tld := []string{"example.", "nsec.", "optout."}[(i+j)%3]
			name := fmt.Sprintf("%s-%d.%s", strings.ToLower(dns.AlgorithmToString[alg]), j, tld)
			w.zone(name, alg, contents(name)...).hashed = hashed
			w.wantWhole(name)
		}
	}
	name := "optout.nsec."
	z := w.zone(name, dns.ECDSAP256SHA256, contents(name)...)
	z.hashed, z.optOut = salted(0, "01"), true
	for _, n := range []string{"www.", "alias."} {
		w.want(dnssec.Secure, ok, n+name, a)
	}
	w.want(dnssec.Secure, ok, "www."+name, aaaa)
	w.want(dnssec.Insecure, ok, "some.wild."+name, a)
	w.want(dnssec.Insecure, nx, "none."+name, a)
	for name, alg := range map[string]uint8{"1.2.3.4.5.6.7.8.9.a.b.c.nsec.": dns.ED25519, "1.2.3.4.5.6.7.8.9.a.b.c.example.": 0} {
		host := "d.e.f.1.2.3.4.5.6.7.8.9." + name
		w.zone(name, alg, host+" 300 IN PTR www."+name)
		status := dnssec.Secure
		if alg == 0 {
			status = dnssec.Insecure
		}
		w.want(status, ok, host, dns.TypePTR, a)
		w.want(status, nx, "0."+host, a)
	}
	w.zone("child.sub."+name, 0, "www.child.sub."+name+" 300 IN A 192.0.2.9")
	w.want(dnssec.Insecure, ok, "www.child.sub."+name, a, aaaa)
}

func (w *world) wantWhole(name string) {
	w.want(dnssec.Secure, ok, name, dns.TypeNS, dns.TypeSOA, dns.TypeDNSKEY, txt, tds, a)
	w.want(dnssec.Secure, ok, "www."+name, a, aaaa, txt, tds)
	w.want(dnssec.Secure, ok, "mixed."+name, dns.TypeMX)
	w.want(dnssec.Secure, ok, "svc."+name, dns.TypeHTTPS, a)
	w.want(dnssec.Secure, ok, "srv."+name, dns.TypeSRV)
	w.want(dnssec.Secure, ok, "alias."+name, a, aaaa, cname)
	w.want(dnssec.Secure, nx, "dangling."+name, a)
	w.want(dnssec.Secure, ok, "empty."+name, a, tds)
	w.want(dnssec.Secure, ok, "deep.empty."+name, a)
	w.want(dnssec.Secure, nx, "none."+name, a, aaaa, tds)
	w.want(dnssec.Secure, nx, "a.b.c.none."+name, a)
	w.want(dnssec.Secure, nx, "below.www."+name, a)
	w.want(dnssec.Secure, ok, "some.wild."+name, a, aaaa)
	w.want(dnssec.Secure, ok, "a.b.c.wild."+name, a)
	w.want(dnssec.Secure, ok, "real.wild."+name, a, aaaa)
	w.want(dnssec.Secure, nx, "x.real.wild."+name, a)
	w.want(dnssec.Secure, ok, "*.wild."+name, a, aaaa)
	w.want(dnssec.Secure, ok, "some.walias."+name, a, aaaa)
	w.want(dnssec.Secure, ok, "real.tree."+name, a)
	w.want(dnssec.Secure, ok, "x.tree."+name, a)
	w.want(dnssec.Secure, ok, "tree."+name, dns.TypeDNAME, a)
}

// insecure is zones that need not be signed, and those signed in ways that nobody can or should check.
func (w *world) insecure() {
	for _, tld := range []string{"example.", "nsec.", "optout."} {
		name := "unsigned." + tld
		w.zone(name, 0, contents(name)...)
		w.want(dnssec.Insecure, ok, "www."+name, a, aaaa)
		w.want(dnssec.Insecure, nx, "none."+name, a)
		w.want(dnssec.Insecure, ok, "alias."+name, a)
		w.want(dnssec.Insecure, ok, "x.tree."+name, a)
		w.want(dnssec.Insecure, ok, name, dns.TypeSOA)
		status := dnssec.Secure
		if tld == "optout." {
			status = dnssec.Insecure
		}
		w.want(status, ok, name, tds)
		island := "island." + name // signed below a zone that is not
		w.zone(island, dns.ED25519, contents(island)...)
		w.want(dnssec.Insecure, ok, "www."+island, a)
		w.want(dnssec.Insecure, nx, "none."+island, a)
		w.want(dnssec.Insecure, ok, island, tds)
	}
	plain := func(name string, alg uint8, ds func(k *dns.DNSKEY) []dns.RR) *tree {
		z := w.zone(name, alg, contents(name)...)
		z.dsOf = ds
		w.want(dnssec.Insecure, ok, "www."+name, a)
		w.want(dnssec.Insecure, nx, "none."+name, a)
		return z
	}
	plain("no-ds.example.", dns.ED25519, func(*dns.DNSKEY) []dns.RR { return nil })
	plain("unknown-alg.example.", dns.ED25519, func(k *dns.DNSKEY) []dns.RR {
		d := k.ToDS(dns.SHA256)
		d.Algorithm = 200
		return []dns.RR{d}
	})
	plain("unknown-digest.nsec.", dns.ED25519, func(k *dns.DNSKEY) []dns.RR {
		d := k.ToDS(dns.SHA256)
		d.DigestType = 200
		return []dns.RR{d}
	})
	name := "sha1.example."
	w.zone(name, dns.RSASHA1, contents(name)...)
	w.want(dnssec.Insecure, ok, "www."+name, a)
	w.differs("RFC 9905: RSA with SHA-1 is not supported here")
	for name, digest := range map[string]uint8{"ds1.example.": dns.SHA1, "ds4.nsec.": dns.SHA384} {
		z := w.zone(name, dns.ECDSAP256SHA256, contents(name)...)
		z.dsOf = func(k *dns.DNSKEY) []dns.RR { return []dns.RR{k.ToDS(digest)} }
		w.want(dnssec.Secure, ok, "www."+name, a)
	}
	name = "many.example."
	w.zone(name, dns.ED25519, contents(name)...).hashed = salted(100, "")
	w.want(dnssec.Secure, ok, "www."+name, a)
	w.want(dnssec.Insecure, nx, "none."+name, a)
	w.differs("the limit for iterations is 50 here and 150 there")
	w.want(dnssec.Insecure, ok, "www."+name, aaaa)
	w.differs("the limit for iterations is 50 here and 150 there")
	name = "huge.example."
	w.zone(name, dns.ED25519, contents(name)...).hashed = salted(500, "ab")
	w.want(dnssec.Secure, ok, "www."+name, a)
	w.want(dnssec.Insecure, nx, "none."+name, a)
	w.want(dnssec.Insecure, ok, "www."+name, aaaa)
	w.want(dnssec.Insecure, ok, "some.wild."+name, a)
}

// broken is zones that their owners broke.
func (w *world) broken() {
	bad := func(name string, alg uint8) *tree {
		z := w.zone(name, alg, contents(name)...)
		w.want(dnssec.Bogus, servfail, "www."+name, a, aaaa)
		w.want(dnssec.Bogus, servfail, "none."+name, a)
		return z
	}
	z := bad("expired.example.", dns.ED25519)
	z.from, z.to = epoch.AddDate(0, -2, 0), epoch.AddDate(0, -1, 0)
	z = bad("future.example.", dns.ED25519)
	z.from, z.to = epoch.AddDate(0, 1, 0), epoch.AddDate(0, 2, 0)
	z = bad("reversed.example.", dns.ED25519)
	z.from, z.to = epoch.AddDate(0, 1, 0), epoch.AddDate(0, -1, 0)

	name := "late.example." // by less than a tenth of a signature's life
	z = w.zone(name, dns.ED25519, contents(name)...)
	z.from, z.to = epoch.Add(-10*24*time.Hour), epoch.Add(-12*time.Hour)
	w.want(dnssec.Secure, ok, "www."+name, a)
	name = "early.example."
	z = w.zone(name, dns.ED25519, contents(name)...)
	z.from, z.to = epoch.Add(12*time.Hour), epoch.Add(20*24*time.Hour)
	w.want(dnssec.Secure, ok, "www."+name, a)
	z = bad("latest.example.", dns.ED25519) // by more
	z.from, z.to = epoch.Add(-10*24*time.Hour), epoch.Add(-25*time.Hour)

	bad("wrong-ds.nsec.", dns.ED25519).dsOf = func(k *dns.DNSKEY) []dns.RR {
		d := k.ToDS(dns.SHA256)
		d.Digest = strings.Repeat("ab", 32)
		return []dns.RR{d}
	}
	bad("weak-ds.example.", dns.ED25519).dsOf = func(k *dns.DNSKEY) []dns.RR { // SHA-1 does not count beside SHA-256 (RFC 4509)
		d := k.ToDS(dns.SHA256)
		d.Digest = strings.Repeat("cd", 32)
		return []dns.RR{d, k.ToDS(dns.SHA1)}
	}
	for i := range 3 {
		w.wants[len(w.wants)-1-i].differ = "RFC 4509 section 3: Unbound takes any DS, unless harden-algo-downgrade is on"
	}
	z = bad("stranger.nsec.", dns.ED25519) // signed with a key that is not published
	z.signWith = []*pair{makePair(w.t, "stranger.nsec.", 256, dns.ED25519, 1)}
	z = bad("revoked.example.", dns.ED25519)
	z.keys[0] = makePair(w.t, "revoked.example.", 257|128, dns.ED25519, 1)
	for i := range 3 {
		w.wants[len(w.wants)-1-i].differ = "RFC 5011 section 2.1: a revoked key proves no other"
	}
	w.collisions()
}

// collisions is a zone with two keys of one tag, of which either may have signed.
func (w *world) collisions() {
	name := "twins.example."
	z := w.zone(name, dns.ED25519, contents(name)...)
	of := map[uint16]*pair{}
	for i := 0; ; i++ {
		p := makePair(w.t, name, 256, dns.ED25519, 1000+i)
		if twin := of[p.key.KeyTag()]; twin != nil {
			z.keys = []*pair{z.keys[0], twin, p}
			z.signWith = []*pair{p}
			break
		}
		of[p.key.KeyTag()] = p
	}
	w.want(dnssec.Secure, ok, "www."+name, a)
	w.want(dnssec.Secure, nx, "none."+name, a)
}

// aliases lead from one zone to another.
func (w *world) aliases() {
	good, plain, bad := "good.example.", "plain.example.", "bad.example."
	w.zone(good, dns.ECDSAP256SHA256, contents(good)...)
	w.zone(plain, 0, contents(plain)...)
	w.zone(bad, dns.ED25519, contents(bad)...).to = epoch.AddDate(0, 0, -5)
	home := "home.nsec."
	z := w.zone(home, dns.ED25519, contents(home)...)
	other := w.zones[plain]
	for to, status := range map[string]dnssec.Status{good: dnssec.Secure, plain: dnssec.Insecure, bad: dnssec.Bogus} {
		short := strings.Split(to, ".")[0]
		for prefix, rcode := range map[string]int{"www": ok, "none": nx, "some.wild": ok} {
			if status == dnssec.Bogus {
				rcode = servfail
			}
			from := short + "-" + strings.ReplaceAll(prefix, ".", "-") + "."
			z.add(w.t, from+home+" 300 IN CNAME "+prefix+"."+to)
			other.add(w.t, from+plain+" 300 IN CNAME "+prefix+"."+to)
			w.want(status, rcode, from+home, a)
			w.want(min(status, dnssec.Insecure), rcode, from+plain, a)
		}
		z.add(w.t, "d-"+short+"."+home+" 300 IN DNAME "+to)
		rcode := ok
		if status == dnssec.Bogus {
			rcode = servfail
		}
		w.want(status, rcode, "www.d-"+short+"."+home, a, txt)
	}
}

// without takes records of a type out of a message, or the signatures over them.
func without(types ...uint16) func(m *dns.Msg) {
	drop := func(all []dns.RR) (out []dns.RR) {
	next:
		for _, rr := range all {
			for _, t := range types {
				if rr.Header().Rrtype == t {
					continue next
				}
			}
			out = append(out, rr)
		}
		return out
	}
	return func(m *dns.Msg) { m.Answer, m.Ns = drop(m.Answer), drop(m.Ns) }
}

// hostile is what somebody on the way made of answers of good zones.
func (w *world) hostile() {
	for j, hashed := range []*dns.NSEC3PARAM{nil, salted(3, "cc")} {
		name := fmt.Sprintf("hostile%d.example.", j)
		w.zone(name, dns.ECDSAP256SHA256, contents(name)...).hashed = hashed
		w.zone("cut."+name, 0, "www.cut."+name+" 300 IN A 192.0.2.7")
		w.zone("signed."+name, dns.ED25519, "www.signed."+name+" 300 IN A 192.0.2.7")
		w.tampered(name)
	}
	for name, change := range map[string]struct {
		typ string
		f   func(*dns.Msg)
	}{
		"no-keys.example.":   {"DNSKEY", without(dns.TypeDNSKEY, dns.TypeRRSIG)},
		"bare-keys.example.": {"DNSKEY", without(dns.TypeRRSIG)},
		"bare-ds.example.":   {"DS", without(dns.TypeRRSIG)},
		"hidden-ds.example.": {"DS", without(dns.TypeRRSIG, dns.TypeDS)},
		"failed-ds.nsec.":    {"DS", func(m *dns.Msg) { m.Rcode, m.Answer, m.Ns = servfail, nil, nil }},
		"failed-keys.nsec.":  {"DNSKEY", func(m *dns.Msg) { m.Rcode, m.Answer, m.Ns = servfail, nil, nil }},
	} {
		w.zone(name, dns.ED25519, contents(name)...)
		w.tamper[name+" "+change.typ] = change.f
		w.want(dnssec.Bogus, servfail, "www."+name, a)
	}
	// An unsigned child whose parent's proof was taken away, or is of another name.
	for name, f := range map[string]func(*dns.Msg){
		"unproven.example.": without(dns.TypeNSEC3, dns.TypeRRSIG),
		"unproven.nsec.":    without(dns.TypeNSEC, dns.TypeRRSIG),
		"misproven.nsec.": func(m *dns.Msg) {
			other := w.reply(dns.Question{Name: "ns.nsec.", Qtype: aaaa, Qclass: dns.ClassINET}, true)
			m.Ns = other.Ns
		},
	} {
		w.zone(name, 0, contents(name)...)
		w.tamper[name+" DS"] = f
		w.want(dnssec.Bogus, servfail, "www."+name, a)
	}
}

func (w *world) tampered(name string) {
	forge := func(m *dns.Msg) {
		for _, rr := range m.Answer {
			if r, ok := rr.(*dns.A); ok {
				r.A[3] = 99
			}
		}
	}
	replay := func(from string, typ uint16) func(*dns.Msg) { // another answer's proof
		return func(m *dns.Msg) {
			other := w.reply(dns.Question{Name: from + name, Qtype: typ, Qclass: dns.ClassINET}, true)
			m.Answer, m.Ns, m.Rcode = nil, other.Ns, other.Rcode
		}
	}
	with := func(host string, typ uint16, f func(*dns.Msg)) {
		w.add1(name, host)
		w.tamper[host+"."+name+" "+dns.TypeToString[typ]] = f
		w.want(dnssec.Bogus, servfail, host+"."+name, typ)
	}
	with("forged", a, forge)
	with("bare", a, without(dns.TypeRRSIG))
	with("added", a, func(m *dns.Msg) { m.Answer = append(m.Answer, must(w.t, "added."+name+" 300 IN A 198.51.100.1")) })
	with("removed", a, func(m *dns.Msg) { m.Answer = m.Answer[1:] })
	with("hidden", a, func(m *dns.Msg) { // says that there is nothing, without proof
		m.Answer = nil
		m.Ns = nil
	})
	with("denied", a, replay("none", a))
	with("emptied", a, replay("www", aaaa))
	with("below", a, func(m *dns.Msg) { m.Rcode = nx; replay("below.www", a)(m) })
	with("moved", a, func(m *dns.Msg) { // another name's signed records under this name
		other := w.reply(dns.Question{Name: "www." + name, Qtype: a, Qclass: dns.ClassINET}, true)
		for _, rr := range other.Answer {
			rr.Header().Name = "moved." + name
		}
		m.Answer = other.Answer
	})
	with("overgrown", a, func(m *dns.Msg) { // a wildcard in place of what is there
		other := w.reply(dns.Question{Name: "some.wild." + name, Qtype: a, Qclass: dns.ClassINET}, true)
		for _, rr := range other.Answer {
			rr.Header().Name = "overgrown." + name
		}
		m.Answer, m.Ns = other.Answer, other.Ns
	})
	lost := func(host string, typ uint16, f func(*dns.Msg)) { // a name that is not there
		w.tamper[host+"."+name+" "+dns.TypeToString[typ]] = f
		w.want(dnssec.Bogus, servfail, host+"."+name, typ)
	}
	lost("none1", a, without(dns.TypeNSEC, dns.TypeNSEC3))
	lost("none2", a, without(dns.TypeRRSIG))
	lost("none3", a, func(m *dns.Msg) { m.Rcode = ok })
	lost("none4", a, func(m *dns.Msg) { m.Ns = m.Ns[:len(m.Ns)-len(m.Ns)/2] })
	lost("x1.wild", a, without(dns.TypeNSEC, dns.TypeNSEC3))
	lost("x2.wild", a, replay("none", a)) // the wildcard hidden
	lost("real2.wild", a, forge)
	lost("made.tree", a, func(m *dns.Msg) {
		for _, rr := range m.Answer {
			if r, ok := rr.(*dns.CNAME); ok {
				r.Target = "www." + name
			}
		}
	})
	w.differs("Unbound makes the alias anew and asks for where that leads")
	// What is below an unsigned delegation is not for the parent to deny, but there anybody may say anything.
	for _, host := range []string{"www.cut.", "none.cut."} {
		w.tamper[host+name+" A"] = func(m *dns.Msg) {
			other := w.reply(dns.Question{Name: "cut." + name, Qtype: tds, Qclass: dns.ClassINET}, true)
			m.Answer, m.Ns, m.Rcode = nil, other.Ns, nx
		}
		w.want(dnssec.Insecure, nx, host+name, a)
	}
	// Below a signed one it is refused.
	lost("www.signed", a, func(m *dns.Msg) {
		other := w.reply(dns.Question{Name: "signed." + name, Qtype: tds, Qclass: dns.ClassINET}, true)
		m.Answer, m.Ns, m.Rcode = nil, other.Answer, nx
		m.Ns = append(m.Ns, w.reply(dns.Question{Name: "none." + name, Qtype: a, Qclass: dns.ClassINET}, true).Ns...)
	})
	// The wrong code beside the right proof is put right where NSEC says so.
	w.tamper["empty."+name+" AAAA"] = func(m *dns.Msg) { m.Rcode = nx }
	if w.zones[name].hashed == nil {
		w.want(dnssec.Secure, ok, "empty."+name, aaaa)
	} else {
		w.want(dnssec.Bogus, servfail, "empty."+name, aaaa)
	}
	w.tamper["alias."+name+" TXT"] = func(m *dns.Msg) { m.Rcode = nx }
	w.want(dnssec.Secure, ok, "alias."+name, txt)
	w.tamper["deep.empty."+name+" A"] = func(m *dns.Msg) { // a signature that does not fit before one that does
		for _, rr := range m.Answer {
			if sig, ok := rr.(*dns.RRSIG); ok {
				wrong := dns.Copy(sig).(*dns.RRSIG)
				wrong.Signature = "AAAA" + sig.Signature[4:]
				m.Answer = append([]dns.RR{wrong}, m.Answer...)
				return
			}
		}
	}
	w.want(dnssec.Secure, ok, "deep.empty."+name, a)
	// Strangers in the authority section are left out.
	w.tamper["real.wild."+name+" A"] = func(m *dns.Msg) { m.Ns = append(m.Ns, must(w.t, name+" 300 IN NS ns.elsewhere.example.")) }
	w.want(dnssec.Secure, ok, "real.wild."+name, a)
}

func (w *world) add1(zone, host string) {
	for _, addr := range []string{"192.0.2.11", "192.0.2.12"} {
		w.zones[zone].add(w.t, host+"."+zone+" 300 IN A "+addr)
	}
}

// exchange asks the authority as the pool of upstreams would.
func (w *world) exchange(_ context.Context, q *wire.Question) (*wire.Reply, error) {
	name, _, err := dns.UnpackDomainName(q.Name.Bytes(), 0)
	if err != nil {
		return nil, err
	}
	packed, err := w.reply(dns.Question{Name: name, Qtype: q.Type, Qclass: q.Class}, q.DO).Pack()
	if err != nil {
		return nil, err
	}
	return wire.ReadReply(packed)
}

// anchors is what the root's key is trusted by.
func (w *world) anchors() string { return w.zones["."].keys[0].key.ToDS(dns.SHA256).String() }

func (w *world) options(t testing.TB) dnssec.Options {
	anchors, err := dnssec.ParseAnchors([]byte(w.anchors()))
	if err != nil {
		t.Fatal(err)
	}
	return dnssec.Options{Upstream: w.exchange, Enforce: true, Anchors: anchors, Now: func() time.Time { return epoch }}
}

func question(t testing.TB, name string, typ uint16) *wire.Question {
	t.Helper()
	b := make([]byte, 256)
	n, err := dns.PackDomainName(name, b, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	q := &wire.Question{Type: typ, Class: wire.ClassIN, RD: true}
	if _, err := q.Name.Read(b[:n], 0); err != nil {
		t.Fatal(err)
	}
	return q
}
