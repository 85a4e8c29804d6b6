package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
)

// checker looks for what no single value shows: bounds, references and contradictions.
type checker struct {
	*report
	c          *Config
	categories []string // that anything may refer to
}

// Most of what a file may hold; far more than a small school has.
const (
	maxListen  = 64
	maxAllow   = 256
	maxServers = 16
	maxAnswers = 64
	maxForward = 16 // each has servers of its own
	maxZones   = 64
	maxGroups  = 40 // the policy can tell no more apart
	maxDevices = 10000
	maxLists   = 100 // a Set has room for them and the starter lists
	maxTerms   = 100
	// They go into answers of at most 1,232 bytes.
	maxContacts = 3
	maxPeople   = 200
	maxTargets  = 1000
)

func (k *checker) all() {
	if !k.bounded() {
		return // comparing each with each could take hours
	}
	k.categories = Categories()
	for _, l := range k.c.Lists {
		if !slices.Contains(k.categories, l.Category) && isSlug(l.Category) {
			k.categories = append(k.categories, l.Category)
		}
	}
	k.site()
	k.dns()
	k.http()
	k.page()
	k.encrypted()
	k.upstream()
	k.forward()
	k.cache()
	k.policy()
	k.answers()
	k.signals()
	k.local()
	k.dnssec()
	k.groups()
	k.devices()
	k.lists()
	k.illegal()
	k.within("update.timeout", k.c.Update.Timeout, time.Second, time.Hour)
	k.alerts()
	k.changes()
	k.store()
	k.terms()
}

// bounded refuses arrays that are too long, and says whether there was none.
func (k *checker) bounded() bool {
	c, ok := k.c, true
	most := func(path string, n, most int) {
		if n > most {
			k.refusef(path, "leave some out; the rest is looked at then", "%d of them: at most %d", n, most)
			ok = false
		}
	}
	most("dns.listen", len(c.DNS.Listen), maxListen)
	most("dns.allow", len(c.DNS.Allow), maxAllow)
	most("dns.forwarders", len(c.DNS.Forwarders), maxListen)
	most("encrypted.tls", len(c.Encrypted.TLS), maxListen)
	most("encrypted.https", len(c.Encrypted.HTTPS), maxListen)
	most("encrypted.quic", len(c.Encrypted.QUIC), maxListen)
	most("encrypted.addresses", len(c.Encrypted.Addresses), maxListen)
	most("page.http", len(c.Page.HTTP), maxListen)
	most("page.contact", len(c.Page.Contact), maxContacts)
	most("upstream.servers", len(c.Upstream.Servers), maxServers)
	most("upstream.fallback", len(c.Upstream.Fallback), maxServers)
	most("upstream.blocked_answers", len(c.Upstream.BlockedAnswers), maxAnswers)
	most("forward", len(c.Forward), maxForward)
	for i, f := range c.Forward {
		most(child(element("forward", i), "zones"), len(f.Zones), maxZones)
		most(child(element("forward", i), "servers"), len(f.Servers), maxServers)
	}
	most("groups", len(c.Groups), maxGroups)
	most("devices", len(c.Devices), maxDevices)
	most("lists", len(c.Lists), maxLists)
	most("local.records", len(c.Local.Records), maxRecords)
	most("dnssec.negative_trust_anchors", len(c.DNSSEC.NegativeTrustAnchors), maxUnvalidated)
	most("terms", len(c.Terms), maxTerms)
	most("changes.people", len(c.Changes.People), maxPeople)
	most("answers.private", len(c.Answers.Private), maxTargets)
	most("answers.exempt_targets", len(c.Answers.ExemptTargets), maxTargets)
	most("answers.exempt_targets_except", len(c.Answers.ExemptTargetsExcept), maxTargets)
	return ok
}

func (k *checker) refusef(path, hint, format string, args ...any) {
	k.refuse(path, fmt.Sprintf(format, args...), hint)
}

func (k *checker) warnf(path, hint, format string, args ...any) {
	k.warn(path, fmt.Sprintf(format, args...), hint)
}

func (k *checker) within(path string, d Duration, least, most time.Duration) {
	if d.Std() < least || d.Std() > most {
		k.refusef(path, fmt.Sprintf("write a duration from %v to %v", Duration(least), Duration(most)), "%v is out of bounds", d)
	}
}

func (k *checker) sized(path string, s, least, most Size) {
	if s < least || s > most {
		k.refusef(path, fmt.Sprintf("write a size from %v to %v", least, most), "%v is out of bounds", s)
	}
}

func (k *checker) counted(path string, n, least, most int) {
	if n < least || n > most {
		k.refusef(path, fmt.Sprintf("write a number from %d to %d", least, most), "%d is out of bounds", n)
	}
}

// distinct reports the second and later of equal elements at path.
func distinct[T comparable](path string, elements []T, say func(path string, first int)) {
	first := make(map[T]int, len(elements))
	for i, e := range elements {
		if j, ok := first[e]; ok {
			say(element(path, i), j)
		} else {
			first[e] = i
		}
	}
}

// isSlug says whether s is a name for groups, lists and categories: it goes into URLs, metrics and file names.
func isSlug(s string) bool {
	return s != "" && len(s) <= 40 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

func (k *checker) slug(path, s string) bool {
	if !isSlug(s) {
		k.refusef(path, "write 1 to 40 of a to z, 0 to 9 and hyphen", "%q will not do as a name here", s)
	}
	return isSlug(s)
}

// label checks a name for people: it goes into mails, pages and reports.
func (k *checker) label(path, s string) {
	if strings.TrimSpace(s) == "" || len(s) > 100 || strings.ContainsFunc(s, unicode.IsControl) {
		k.refusef(path, "write 1 to 100 printable characters", "%q will not do as a name", s)
	}
}

func (k *checker) site() {
	k.label("site.name", k.c.Site.Name)
	zone := k.c.Site.Timezone
	hint := `write a name from the IANA list, such as "Europe/London"`
	if zone == "" || zone == "Local" {
		k.refusef("site.timezone", hint, "%q is no time zone that means the same everywhere", zone)
	} else if _, err := time.LoadLocation(zone); err != nil {
		k.refusef("site.timezone", hint, "%q is no known time zone", zone)
	}
}

func (k *checker) dns() {
	listen := k.c.DNS.Listen
	if len(listen) == 0 {
		k.refusef("dns.listen", `write at least one address with a port, such as ["0.0.0.0:53", "[::]:53"]`, "no address to answer on")
	}
	for i, a := range listen {
		path := element("dns.listen", i)
		if !k.address(path, a) {
			continue
		}
		if isPublic(a.Addr()) {
			k.warnf(path, "make sure that a firewall keeps strangers out: an open resolver is abused within hours", "%v is a public address", a.Addr())
		}
		for j, b := range listen {
			if i != j && a != b && covers(b, a) {
				k.warnf(path, "leave one of the two out", "%v is covered by %v already", a, b)
				break
			}
		}
	}
	distinct("dns.listen", listen, func(path string, first int) {
		k.refusef(path, "leave it out", "%v is here already", listen[first])
	})
	for i, a := range k.c.DNS.Forwarders {
		path := element("dns.forwarders", i)
		if !a.IsValid() || a.IsUnspecified() || a.IsMulticast() {
			k.refusef(path, "write the address that the router asks from", "%v is no address of one router", a)
		}
	}
	k.allow()
	k.rates()
	distinct("dns.forwarders", k.c.DNS.Forwarders, func(path string, first int) {
		k.warnf(path, "leave it out", "%v is here already", k.c.DNS.Forwarders[first])
	})
}

// address checks one that is to be listened on.
func (k *checker) address(path string, a netip.AddrPort) bool {
	if !a.IsValid() || a.Addr().IsMulticast() || a.Addr() == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		k.refusef(path, `write such as "192.0.2.1:53"`, "%v is no address to listen on", a)
		return false
	}
	if a.Port() == 0 {
		k.warnf(path, "write the port, unless this is a test", "port 0 takes any free port, a different one each time")
	}
	return true
}

// covers says whether listening on a leaves no room for listening on b.
func covers(a, b netip.AddrPort) bool {
	if a.Port() != b.Port() || a.Port() == 0 {
		return false
	}
	return a.Addr().Unmap() == b.Addr().Unmap() || a.Addr().IsUnspecified() && a.Addr().Is4() == b.Addr().Unmap().Is4()
}

// isPublic says whether a can be reached from the Internet if nothing stands in between.
func isPublic(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !sharedSpace.Contains(a.Unmap())
}

// sharedSpace is between providers and their customers (RFC 6598).
var sharedSpace = netip.MustParsePrefix("100.64.0.0/10")

func (k *checker) http() {
	a := k.c.HTTP.Listen
	if a == (netip.AddrPort{}) || !k.address("http.listen", a) {
		return
	}
	for _, d := range k.c.DNS.Listen {
		if d.IsValid() && (covers(d, a) || covers(a, d)) {
			k.refusef("http.listen", "give one of them another port: DNS listens by TCP too", "%v is taken by dns.listen %v", a, d)
			return
		}
	}
	if a.Addr().IsUnspecified() || isPublic(a.Addr()) {
		k.warnf("http.listen", `write "127.0.0.1:9153", or the address of the network that the technical staff use`,
			"%v shows metrics and health to everyone who can reach this machine, and there is no password", a)
	}
}

func (k *checker) cache() {
	c := k.c.Cache
	k.sized("cache.size", c.Size, 64<<10, 1<<30)
	k.within("cache.min_ttl", c.MinTTL, 0, time.Hour)
	k.within("cache.max_ttl", c.MaxTTL, time.Second, 7*day)
	k.within("cache.stale_for", c.StaleFor, 0, 7*day)
	if c.MinTTL > c.MaxTTL {
		k.refusef("cache.min_ttl", "make min_ttl the smaller one", "min_ttl %v is more than max_ttl %v", c.MinTTL, c.MaxTTL)
	}
}

func (k *checker) store() {
	s := k.c.Store
	if strings.TrimSpace(s.Path) == "" || strings.ContainsRune(s.Path, 0) {
		k.refusef("store.path", `write a directory, such as "/var/lib/schoolgate"`, "%q is no directory", s.Path)
	}
	k.within("store.retention", s.Retention, day, 3660*day)
	if s.Retention.Std()%day != 0 {
		k.refusef("store.retention", `write such as "150d"`, "%v is not a number of whole days", s.Retention)
	}
	k.within("store.flush", s.Flush, 100*time.Millisecond, time.Minute)
}

func (k *checker) terms() {
	type key struct {
		name string
		year int
	}
	keys := make([]key, len(k.c.Terms))
	for i, t := range k.c.Terms {
		path := element("terms", i)
		keys[i] = key{t.Name, t.First.schoolYear()}
		k.label(child(path, "name"), t.Name)
		if t.First == (Date{}) || t.Last == (Date{}) {
			k.refusef(child(path, "first"), "write such as first = 2026-09-01 and last = 2026-12-18", "a term needs two dates")
			continue
		}
		if t.Last.Compare(t.First) < 0 {
			k.refusef(child(path, "last"), "write the first day as first and the last as last", "%v is before the first day %v", t.Last, t.First)
			continue
		}
		for _, o := range k.c.Terms[:i] {
			if t.First.Compare(o.Last) <= 0 && o.First.Compare(t.Last) <= 0 && o.First != (Date{}) {
				k.refusef(child(path, "first"), "let one end before the other begins", "overlaps the term %q (%v to %v)", o.Name, o.First, o.Last)
			}
		}
	}
	distinct("terms", keys, func(path string, first int) {
		t := k.c.Terms[first]
		k.refusef(child(path, "name"), "give each term of a school year a name of its own", "the school year has a term %q already (%v to %v)", t.Name, t.First, t.Last)
	})
}
