package main

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/miekg/dns"
	"golang.org/x/net/publicsuffix"
)

// TestRespdiff asks this program and Unbound the same questions, with the same upstream behind both, and explains each
// difference in their answers. SCHOOLGATE_RESPDIFF=1 asks for 50,000 names of a real trace, otherwise for some thousands.
func TestRespdiff(t *testing.T) {
	t.Parallel()
	questions := respdiffQuestions(t)
	upstream := serveDNS(t, new(authority).serve)
	addr := startUnbound(t, upstream, "msg-cache-size: 64m", "rrset-cache-size: 128m", "cache-max-negative-ttl: 3600", "num-queries-per-thread: 4096", "outgoing-range: 4096")
	dir := t.TempDir()
	b := startBox(t, writeConfig(t, dir, fmt.Sprintf(`[dns]
listen = ["127.0.0.1:0"]
[http]
listen = ""
[upstream]
servers = [%q]
timeout = "5s"
[cache]
size = "64 MB"
[policy]
default_group = "all"
[store]
path = %q
[[groups]]
name = "all"
block = []
safe_search = false
youtube = "off"
`, upstream, filepath.Join(dir, "var"))))

	var mu sync.Mutex
	classes, samples := map[string]int{}, map[string]string{}
	answered := map[string]int{}
	work := make(chan dns.Question)
	var all sync.WaitGroup
	for range 16 {
		ours, theirs := newDiffer(t, b.dns), newDiffer(t, addr)
		all.Go(func() {
			for q := range work {
				both := pair{q: q}
				both.ours, both.err = ours.ask(q)
				if both.err == nil {
					both.theirs, both.err = theirs.ask(q)
				}
				why := both.difference()
				mu.Lock()
				if both.err == nil {
					answered[dns.RcodeToString[both.ours.Rcode]]++
				}
				if why != "" {
					class := both.class()
					if classes[class]++; samples[class] == "" || class == unexplained && classes[class] < 20 {
						samples[class] += fmt.Sprintf("%s %s: %s\n", q.Name, dns.TypeToString[q.Qtype], why)
					}
				}
				mu.Unlock()
			}
		})
	}
	for _, q := range questions {
		work <- q
	}
	close(work)
	all.Wait()

	different := 0
	for _, class := range slices.Sorted(maps.Keys(classes)) {
		different += classes[class]
		t.Logf("%d × %s, such as %s", classes[class], class, samples[class])
	}
	t.Logf("%d questions, %d answered alike %v", len(questions), len(questions)-different, answered)
	if n := classes[unexplained]; n > 0 {
		t.Errorf("%d differences are not explained:\n%s", n, samples[unexplained])
	}
	if different > len(questions)/10 {
		t.Errorf("%d of %d differ, whatever the reasons", different, len(questions))
	}
}

// respdiffQuestions are names of a real trace, or made ones where there is none, each with its type, and every eighth name
// with another type besides.
func respdiffQuestions(t *testing.T) (questions []dns.Question) {
	t.Helper()
	want := 3000
	if os.Getenv("SCHOOLGATE_RESPDIFF") != "" {
		want = 50_000
	}
	seen := map[dns.Question]bool{}
	names := 0
	add := func(name string, qtype uint16) {
		q := dns.Question{Name: name, Qtype: qtype, Qclass: dns.ClassINET}
		var b [256]byte
		if _, err := dns.PackDomainName(name, b[:], 0, nil, false); err == nil && !seen[q] && names < want {
			seen[q] = true
			names++
			questions = append(questions, q)
			if others := []uint16{dns.TypeTXT, dns.TypeHTTPS, dns.TypeSOA, dns.TypeNS, dns.TypeANY, 65400, dns.TypeCNAME, dns.TypeDNAME}; names%8 == 0 {
				questions = append(questions, dns.Question{Name: name, Qtype: others[names/8%len(others)], Qclass: dns.ClassINET})
			}
		}
	}
	for name, qtype := range madeQuestions() {
		add(name, qtype)
	}
	f, err := os.Open("../../../shared/data/traces/dnsperf-sample-100k.txt.zst")
	if errors.Is(err, os.ErrNotExist) && want > 3000 {
		t.Skip("skipped: there is no ../shared/data with a real trace beside the checkout")
	}
	if err == nil {
		defer f.Close()
		z, err := zstd.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		for lines := bufio.NewScanner(z); lines.Scan(); {
			if name, qtype, ok := strings.Cut(lines.Text(), "\t"); ok {
				add(name, dns.StringToType[qtype])
			}
		}
	}
	for i := 0; names < want; i++ {
		add(fmt.Sprintf("w%d.site%d.example%d.test-name.example.", i, i%700, i%40), []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeMX, dns.TypePTR}[i%4])
	}
	return questions
}

// madeQuestions are those that no trace can be relied on to have.
func madeQuestions() map[string]uint16 {
	made := map[string]uint16{
		".": dns.TypeNS, "com.": dns.TypeSOA, "localhost.": dns.TypeA, "printer.local.": dns.TypeA, "x.onion.": dns.TypeA, "x.test.": dns.TypeA,
		"1.0.168.192.in-addr.arpa.": dns.TypePTR, "MiXeD.CaSe.example.": dns.TypeA, `odd\.dot.example.`: dns.TypeA, `\000\255.example.`: dns.TypeA,
		strings.Repeat("long-label-of-sixty-three-bytes-that-is-as-long-as-they-can-be.", 3) + "example.": dns.TypeA,
	}
	for i := range 400 {
		made[fmt.Sprintf("a%d.b%d.c%d.net.", i, i%7, i%90)] = []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeHTTPS}[i%4]
	}
	return made
}

// differ asks one server over UDP, and over TCP what does not fit.
type differ struct {
	to string
	c  *dns.Conn
}

func newDiffer(t *testing.T, to netip.AddrPort) *differ {
	t.Helper()
	c, err := dns.DialTimeout("udp", to.String(), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	c.UDPSize = 4096
	return &differ{to: to.String(), c: c}
}

func (a *differ) ask(q dns.Question) (*dns.Msg, error) {
	m := new(dns.Msg)
	m.Id, m.RecursionDesired, m.Question = dns.Id(), true, []dns.Question{q}
	m.SetEdns0(1232, false)
	for range 3 {
		_ = a.c.SetDeadline(time.Now().Add(6 * time.Second))
		if err := a.c.WriteMsg(m); err != nil {
			return nil, err
		}
		for {
			r, err := a.c.ReadMsg()
			var timeout net.Error
			if errors.As(err, &timeout) && timeout.Timeout() {
				break
			}
			if err != nil {
				return nil, err
			}
			if r.Id != m.Id {
				continue
			}
			if r.Truncated {
				c := dns.Client{Net: "tcp", Timeout: 10 * time.Second}
				r, _, err = c.Exchange(m, a.to)
			}
			return r, err
		}
	}
	return nil, fmt.Errorf("%s did not answer", a.to)
}

// pair is what both said.
type pair struct {
	q            dns.Question
	ours, theirs *dns.Msg
	err          error
}

// difference says what is different, "" when the two are alike for whoever asks: code, flags, answers as a set, and times
// within what the two may have been apart.
func (p *pair) difference() string {
	if p.err != nil {
		return p.err.Error()
	}
	o, t := p.ours, p.theirs
	flags := func(m *dns.Msg) string {
		return fmt.Sprint(dns.RcodeToString[m.Rcode], " qr ", m.Response, " aa ", m.Authoritative, " tc ", m.Truncated, " rd ", m.RecursionDesired, " ra ", m.RecursionAvailable,
			" z ", m.Zero, " ad ", m.AuthenticatedData, " cd ", m.CheckingDisabled, " edns ", m.IsEdns0() != nil)
	}
	if a, b := flags(o), flags(t); a != b {
		return a + " and " + b
	}
	if a, b := fmt.Sprint(o.Question), fmt.Sprint(t.Question); a != b {
		return a + " and " + b
	}
	ours, theirs := records(o.Answer), records(t.Answer)
	for text, ttl := range ours {
		other, ok := theirs[text]
		if !ok {
			return "only here: " + text
		}
		if ttl > 900 || other > 900 || ttl+30 < other || other+30 < ttl {
			return fmt.Sprintf("TTLs %d and %d: %s", ttl, other, text)
		}
	}
	for text := range theirs {
		if _, ok := ours[text]; !ok {
			return "only there: " + text
		}
	}
	return p.denial()
}

// denial compares the SOA records that let answers without data be kept (RFC 2308).
func (p *pair) denial() string {
	if len(p.ours.Answer) > 0 {
		return ""
	}
	soa := func(m *dns.Msg) (name string, ttl uint32) {
		for _, rr := range m.Ns {
			if rr.Header().Rrtype == dns.TypeSOA {
				return strings.ToLower(rr.Header().Name), rr.Header().Ttl
			}
		}
		return "", 0
	}
	ourZone, ours := soa(p.ours)
	zone, theirs := soa(p.theirs)
	if ourZone != zone || ours+30 < theirs {
		return fmt.Sprintf("SOA records %s %d and %s %d", ourZone, ours, zone, theirs)
	}
	return ""
}

// records are those of a section as a set of texts without their TTLs.
func records(section []dns.RR) map[string]uint32 {
	set := map[string]uint32{}
	for _, rr := range section {
		rr = dns.Copy(rr)
		ttl := rr.Header().Ttl
		rr.Header().Ttl, rr.Header().Name = 0, strings.ToLower(rr.Header().Name)
		set[rr.String()] = ttl
	}
	return set
}

// isTLD says whether a single label is a top-level domain.
func isTLD(name string) bool {
	_, known := publicsuffix.PublicSuffix(strings.ToLower(strings.TrimSuffix(name, ".")))
	return known
}

// specialZones are those that either program answers itself.
func specialZones() []string {
	zones := strings.Fields("localhost. local. invalid. test. onion. alt. home.arpa. internal. intranet. private. corp. home. lan. localdomain. " +
		"service.arpa. 6tisch.arpa. eap.arpa. eap-noob.arpa. empty.as112.arpa. 0.f.f.f.3.ip6.arpa. 10.in-addr.arpa. 168.192.in-addr.arpa. 254.169.in-addr.arpa. " +
		"0.in-addr.arpa. 127.in-addr.arpa. 2.0.192.in-addr.arpa. 100.51.198.in-addr.arpa. 113.0.203.in-addr.arpa. 255.255.255.255.in-addr.arpa. " +
		"d.f.ip6.arpa. 8.e.f.ip6.arpa. 9.e.f.ip6.arpa. a.e.f.ip6.arpa. b.e.f.ip6.arpa. 8.b.d.0.1.0.0.2.ip6.arpa.")
	for i := range 16 {
		zones = append(zones, fmt.Sprintf("%d.172.in-addr.arpa.", 16+i))
	}
	for i := range 64 {
		zones = append(zones, fmt.Sprintf("%d.100.in-addr.arpa.", 64+i))
	}
	return zones
}

const unexplained = "not explained"

// class is the reason of a difference that is meant to be.
func (p *pair) class() string {
	if p.err != nil {
		return unexplained
	}
	code, text := reasonOf(p.ours)
	switch {
	case p.q.Qtype == dns.TypeANY && len(p.ours.Answer) == 1 && p.ours.Answer[0].Header().Rrtype == dns.TypeHINFO:
		return "ANY is answered as RFC 8482 has it"
	case slices.ContainsFunc(specialZones(), func(zone string) bool { return inZone(strings.ToLower(p.q.Name), zone) }):
		return "names of this network, of which Unbound passes some on, or says otherwise that there is nothing"
	case dns.CountLabel(p.q.Name) == 1 && !isTLD(p.q.Name) && p.ours.Authoritative && p.ours.Rcode == dns.RcodeNameError:
		return "single labels that are no top-level domain"
	case p.q.Qtype == dns.TypeCNAME && len(p.theirs.Answer) == 2 && p.theirs.Answer[0].Header().Rrtype == dns.TypeDNAME && p.theirs.Answer[1].Header().Ttl == 0:
		return "an alias that Unbound makes of a DNAME that it has"
	case code == 15 && strings.HasPrefix(text, "Schoolgate:"):
		return "refused by a rule that has no switch"
	}
	return unexplained
}
