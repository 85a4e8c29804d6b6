package dnssec_test

import (
	"crypto"
	"fmt"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// authority answers like a recursive server that knows the whole tree: root, top-level domains and zones, signed by a signer of
// the test's own. What is asked with DO gets signatures and proofs; CD changes nothing, as it validates nothing.
type authority struct {
	t      testing.TB
	now    time.Time
	zones  map[string]*tree
	tamper map[string]func(m *dns.Msg) // by "name TYPE", after the answer was made

	mu    sync.Mutex // guards asked
	asked map[string]int
}

// tree is one zone.
type tree struct {
	name     string
	alg      uint8
	hashed   *dns.NSEC3PARAM // nil: NSEC
	optOut   bool
	from, to time.Time
	keys     []*pair
	signWith []*pair                      // for all but DNSKEY; nil: keys
	dsOf     func(k *dns.DNSKEY) []dns.RR // the records in the parent
	names    map[string]map[uint16][]dns.RR
	sigs     map[string]map[uint16][]dns.RR
	chain    []dns.RR // NSEC or NSEC3 in order
	cuts     map[string]bool
	hashes   sync.Map        // of names
	there    map[string]bool // what existing found, once the zone is signed
}

type pair struct {
	key    *dns.DNSKEY
	signer crypto.Signer
}

func newAuthority(t testing.TB, now time.Time) *authority {
	a := &authority{t: t, now: now, zones: map[string]*tree{}, tamper: map[string]func(*dns.Msg){}, asked: map[string]int{}}
	a.zone(".", dns.ECDSAP256SHA256)
	return a
}

// pairs are made once for each algorithm: making RSA keys takes long.
var pairs sync.Map

func makePair(t testing.TB, name string, flags uint16, alg uint8, nth int) *pair {
	t.Helper()
	bits := map[uint8]int{dns.RSASHA1: 1024, dns.RSASHA256: 2048, dns.RSASHA512: 2048, dns.ECDSAP256SHA256: 256, dns.ECDSAP384SHA384: 384, dns.ED25519: 256}[alg]
	k := &dns.DNSKEY{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 3600}, Flags: flags, Protocol: 3, Algorithm: alg}
	id := fmt.Sprint(alg, flags, nth)
	if alg != dns.RSASHA1 && alg != dns.RSASHA256 && alg != dns.RSASHA512 {
		id += name
	}
	if old, ok := pairs.Load(id); ok {
		p := *old.(*pair)
		k.PublicKey = p.key.PublicKey
		return &pair{k, p.signer}
	}
	priv, err := k.Generate(bits)
	if err != nil {
		t.Fatal(err)
	}
	p := &pair{k, priv.(crypto.Signer)}
	pairs.Store(id, p)
	return p
}

// zone adds a zone with some records; alg 0 leaves it unsigned.
func (a *authority) zone(name string, alg uint8, records ...string) *tree {
	z := &tree{
		name: name, alg: alg, from: a.now.Add(-10 * 24 * time.Hour), to: a.now.Add(20 * 24 * time.Hour),
		names: map[string]map[uint16][]dns.RR{}, cuts: map[string]bool{},
	}
	if alg != 0 {
		z.keys = []*pair{makePair(a.t, name, 257, alg, 0), makePair(a.t, name, 256, alg, 0)}
	}
	z.dsOf = func(k *dns.DNSKEY) []dns.RR { return []dns.RR{k.ToDS(dns.SHA256)} }
	a.zones[name] = z
	z.add(a.t, name+" 3600 IN SOA ns."+name+" host."+name+" 1 7200 3600 1209600 300")
	z.add(a.t, name+" 3600 IN NS ns."+name)
	if name != "." {
		z.add(a.t, "ns."+name+" 3600 IN A 192.0.2.53")
	} else {
		z.add(a.t, ". 3600 IN NS ns.example.")
		z.add(a.t, ". 3600 IN SOA ns.example. host.example. 1 7200 3600 1209600 300")
	}
	for _, r := range records {
		z.add(a.t, r)
	}
	return z
}

func must(t testing.TB, s string) dns.RR {
	t.Helper()
	rr, err := dns.NewRR(s)
	if err != nil || rr == nil {
		t.Fatalf("%q: %v", s, err)
	}
	return rr
}

func (z *tree) add(t testing.TB, s string) {
	t.Helper()
	if strings.Contains(s, "..") {
		return
	}
	z.put(must(t, s))
}

func (z *tree) put(rr dns.RR) {
	name := strings.ToLower(rr.Header().Name)
	if z.names[name] == nil {
		z.names[name] = map[uint16][]dns.RR{}
	}
	z.names[name][rr.Header().Rrtype] = append(z.names[name][rr.Header().Rrtype], rr)
}

// sign delegates every zone from the one above, and then signs them.
func (a *authority) sign() {
	for name, z := range a.zones {
		if name == "." {
			continue
		}
		up := a.above(name)
		up.cuts[name] = true
		up.put(must(a.t, name+" 3600 IN NS ns."+name))
		for _, p := range z.keys {
			if p.key.Flags&1 != 0 {
				for _, d := range z.dsOf(p.key) {
					up.put(d)
				}
			}
		}
	}
	for _, z := range a.zones {
		a.signZone(z)
		z.there = z.existing()
	}
}

// above is the zone that delegates name.
func (a *authority) above(name string) *tree {
	for i := dns.Split(name)[1:]; ; i = i[1:] {
		if len(i) == 0 {
			return a.zones["."]
		}
		if z := a.zones[name[i[0]:]]; z != nil {
			return z
		}
	}
}

func (a *authority) signZone(z *tree) {
	z.sigs = map[string]map[uint16][]dns.RR{}
	if z.alg == 0 {
		return
	}
	for _, p := range z.keys {
		z.put(p.key)
	}
	if z.hashed != nil {
		z.hashed.Hdr = dns.RR_Header{Name: z.name, Rrtype: dns.TypeNSEC3PARAM, Class: dns.ClassINET}
		z.put(z.hashed)
	}
	z.makeChain()
	for name, types := range z.names {
		for typ, set := range types {
			if z.cuts[name] && typ != dns.TypeDS && typ != dns.TypeNSEC {
				continue
			}
			with := z.keys[1:]
			if len(z.keys) == 1 {
				with = z.keys
			}
			if typ == dns.TypeDNSKEY {
				with = z.keys[:1]
			} else if z.signWith != nil {
				with = z.signWith
			}
			for _, p := range with {
				a.signSet(z, p, name, set)
			}
		}
	}
}

func (a *authority) signSet(z *tree, p *pair, name string, set []dns.RR) {
	sig := &dns.RRSIG{
		Hdr:       dns.RR_Header{Name: name, Rrtype: dns.TypeRRSIG, Class: dns.ClassINET, Ttl: set[0].Header().Ttl},
		Algorithm: p.key.Algorithm, KeyTag: p.key.KeyTag(), SignerName: z.name,
		Inception: uint32(z.from.Unix()), Expiration: uint32(z.to.Unix()),
	}
	if err := sig.Sign(p.signer, set); err != nil {
		a.t.Fatalf("signing %s: %v", name, err)
	}
	if z.sigs[name] == nil {
		z.sigs[name] = map[uint16][]dns.RR{}
	}
	typ := set[0].Header().Rrtype
	z.sigs[name][typ] = append(z.sigs[name][typ], sig)
}

// existing is every name of the zone, those that only have names below them included.
func (z *tree) existing() map[string]bool {
	if z.there != nil {
		return z.there
	}
	all := map[string]bool{}
	for name := range z.names {
		for _, i := range append(dns.Split(name), -1) {
			at := "."
			if i >= 0 {
				at = name[i:]
			}
			if dns.IsSubDomain(z.name, at) {
				all[at] = true
			}
		}
	}
	return all
}

func (z *tree) makeChain() {
	if z.hashed != nil {
		z.makeHashedChain()
		return
	}
	var order []string
	for name := range z.names {
		order = append(order, name)
	}
	sort.Slice(order, func(i, j int) bool { return canonically(order[i], order[j]) })
	for i, name := range order {
		n := &dns.NSEC{
			Hdr:        dns.RR_Header{Name: name, Rrtype: dns.TypeNSEC, Class: dns.ClassINET, Ttl: 300},
			NextDomain: order[(i+1)%len(order)], TypeBitMap: append(z.types(name), dns.TypeRRSIG, dns.TypeNSEC),
		}
		sort.Slice(n.TypeBitMap, func(i, j int) bool { return n.TypeBitMap[i] < n.TypeBitMap[j] })
		z.put(n)
		z.chain = append(z.chain, n)
	}
}

func (z *tree) types(name string) (out []uint16) {
	for typ := range z.names[name] {
		out = append(out, typ)
	}
	return out
}

func (z *tree) makeHashedChain() {
	of := map[string]string{}
	var order []string
	for name := range z.existing() {
		if z.optOut && (z.cuts[name] && z.names[name][dns.TypeDS] == nil) {
			continue
		}
		h := dns.HashName(name, dns.SHA1, z.hashed.Iterations, z.hashed.Salt)
		of[h] = name
		order = append(order, h)
	}
	sort.Strings(order)
	for i, h := range order {
		types := z.types(of[h])
		if len(types) > 0 && (!z.cuts[of[h]] || z.names[of[h]][dns.TypeDS] != nil) {
			types = append(types, dns.TypeRRSIG)
		}
		sort.Slice(types, func(i, j int) bool { return types[i] < types[j] })
		n := &dns.NSEC3{
			Hdr:  dns.RR_Header{Name: strings.ToLower(h) + "." + strings.TrimPrefix(z.name, "."), Rrtype: dns.TypeNSEC3, Class: dns.ClassINET, Ttl: 300},
			Hash: dns.SHA1, Iterations: z.hashed.Iterations, SaltLength: z.hashed.SaltLength, Salt: z.hashed.Salt,
			HashLength: 20, NextDomain: order[(i+1)%len(order)], TypeBitMap: types,
		}
		if z.optOut {
			n.Flags = 1
		}
		z.chain = append(z.chain, n)
	}
	for _, rr := range z.chain { // they are no names of the zone
		z.put(rr)
	}
}

func canonically(a, b string) bool {
	x, y := dns.SplitDomainName(a), dns.SplitDomainName(b)
	for i := 1; i <= len(x) && i <= len(y); i++ {
		if l, r := x[len(x)-i], y[len(y)-i]; l != r {
			return l < r
		}
	}
	return len(x) < len(y)
}

// reply answers a question.
func (a *authority) reply(q dns.Question, do bool) *dns.Msg {
	m := new(dns.Msg)
	m.Response, m.RecursionAvailable, m.RecursionDesired = true, true, true
	m.Question = []dns.Question{q}
	name := strings.ToLower(q.Name)
	id := name + " " + dns.TypeToString[q.Qtype]
	a.mu.Lock()
	a.asked[id]++
	a.mu.Unlock()
	for range 20 {
		next := a.step(m, name, q.Qtype)
		if next == "" {
			break
		}
		name = next
	}
	m.SetEdns0(1232, true)
	if f := a.tamper[id]; f != nil {
		f(m)
	}
	if !do {
		m.Answer, m.Ns = plain(m.Answer, q.Qtype), plain(m.Ns, 0)
	}
	m.Compress = true
	return m
}

func plain(rrs []dns.RR, but uint16) (out []dns.RR) {
	for _, rr := range rrs {
		switch t := rr.Header().Rrtype; t {
		case dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNSEC3:
			if t != but {
				continue
			}
		}
		out = append(out, rr)
	}
	return out
}

// step answers for one name, and says where an alias leads.
func (a *authority) step(m *dns.Msg, name string, typ uint16) (next string) {
	z := a.zones[name]
	if z == nil || typ == dns.TypeDS && name != "." {
		z = a.above(name)
	}
	owner := name
	if !z.existing()[name] {
		for at := name; at != "." && dns.IsSubDomain(z.name, at); at = up(at) { // DNAME
			if set := z.names[at][dns.TypeDNAME]; set != nil && at != name {
				z.give(&m.Answer, at, at, dns.TypeDNAME)
				to := strings.TrimSuffix(name, at) + set[0].(*dns.DNAME).Target
				m.Answer = append(m.Answer, must(a.t, name+" 3600 IN CNAME "+to))
				return to
			}
		}
		encloser := up(name)
		for !z.existing()[encloser] {
			encloser = up(encloser)
		}
		closer := name
		for up(closer) != encloser {
			closer = up(closer)
		}
		owner = "*." + strings.TrimPrefix(encloser, ".")
		z.deny(m, name, encloser, closer, owner)
		if z.names[owner] == nil {
			m.Rcode = dns.RcodeNameError
			z.give(&m.Ns, z.name, z.name, dns.TypeSOA)
			return ""
		}
	}
	switch {
	case z.names[owner][typ] != nil:
		z.give(&m.Answer, owner, name, typ)
	case z.names[owner][dns.TypeCNAME] != nil:
		z.give(&m.Answer, owner, name, dns.TypeCNAME)
		return z.names[owner][dns.TypeCNAME][0].(*dns.CNAME).Target
	default:
		z.give(&m.Ns, z.name, z.name, dns.TypeSOA)
		z.deny(m, owner, "", "", "")
	}
	return ""
}

// hash is that of a name, worked out once.
func (z *tree) hash(name string) string {
	if z.hashed == nil {
		return ""
	}
	if h, ok := z.hashes.Load(name); ok {
		return h.(string)
	}
	h := dns.HashName(name, dns.SHA1, z.hashed.Iterations, z.hashed.Salt)
	z.hashes.Store(name, h)
	return h
}

func up(name string) string {
	i, end := dns.NextLabel(name, 0)
	if end {
		return "."
	}
	return name[i:]
}

// give adds a set and its signatures under another owner.
func (z *tree) give(to *[]dns.RR, owner, as string, typ uint16) {
	for _, set := range [][]dns.RR{z.names[owner][typ], z.sigs[owner][typ]} {
		for _, rr := range set {
			c := dns.Copy(rr)
			c.Header().Name = as
			if !holds(*to, c) {
				*to = append(*to, c)
			}
		}
	}
}

func holds(all []dns.RR, rr dns.RR) bool {
	for _, o := range all {
		if o.String() == rr.String() {
			return true
		}
	}
	return false
}

// deny adds the records that show that names are not there, or are there without a type: with a closer name, that it is not,
// and its wildcard neither, or without the type.
func (z *tree) deny(m *dns.Msg, name, encloser, closer, wild string) {
	if z.alg == 0 {
		return
	}
	show := func(n string) {
		hash := z.hash(n)
		for _, rr := range z.chain {
			hit := false
			switch r := rr.(type) {
			case *dns.NSEC3:
				owner := strings.ToUpper(r.Hdr.Name[:32])
				after, before := hash > owner, hash < r.NextDomain
				hit = hash == owner || after && before || owner >= r.NextDomain && (after || before) && hash != r.NextDomain
			case *dns.NSEC:
				last := !canonically(r.Hdr.Name, r.NextDomain)
				hit = r.Hdr.Name == n || canonically(r.Hdr.Name, n) && (last || canonically(n, r.NextDomain))
			}
			if hit {
				z.give(&m.Ns, rr.Header().Name, rr.Header().Name, rr.Header().Rrtype)
			}
		}
	}
	if closer == "" {
		show(name)
		// In an opt-out zone an unsigned delegation has no record: its closest encloser has.
		if z.optOut && z.cuts[name] && z.names[name][dns.TypeDS] == nil {
			show(up(name))
		}
		return
	}
	if z.hashed == nil {
		show(name)
	} else {
		show(closer)
		show(encloser)
	}
	if z.names[wild] == nil {
		show(wild)
	}
}
