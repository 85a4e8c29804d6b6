package cache

import (
	"math"
	"time"

	"github.com/miekg/dns"
)

// Lifetimes in seconds that are not the administrator's to choose.
const (
	mostNegative = 3600 // RFC 2308 section 5 recommends one to three hours at most
	noSOA        = 30
	failure      = 5 // RFC 9520 section 3.2: at least 1 second, at most 5 minutes
)

// lives says how long answers live, in whole seconds:
//
//   - an answer: the least TTL of its answer section, raised to least and lowered to most;
//   - no such name, or no such data: the lesser of TTL and MINIMUM of the SOA record (RFC 2308 section 5), within the
//     same bounds and never above an hour. Without an SOA record the RFC advises against caching, since two servers that
//     ask each other could keep such an answer alive for ever. Our upstreams do not ask us, and it is filtering upstreams
//     that leave the SOA record out of their refusals: 30 seconds keep a child's retries off them;
//   - a referral (no answer, no SOA record, but NS records) comes from a server that does not resolve: not at all;
//   - SERVFAIL: 5 seconds, so that a broken domain is not asked for over and over (RFC 9520);
//   - any other response code: not at all.
type lives struct {
	least, most uint32
}

func newLives(least, most time.Duration) lives {
	l := lives{seconds(least), seconds(most)}
	if l.most == 0 {
		l.most = uint32((24 * time.Hour) / time.Second)
	}
	l.most = max(l.most, l.least)
	return l
}

func seconds(d time.Duration) uint32 {
	return uint32(min(max(d/time.Second, 0), math.MaxInt32))
}

// life of m as an answer to a question of the type; 0: not to be stored.
func (l *lives) life(typ uint16, m *dns.Msg) uint32 {
	switch m.Rcode {
	case dns.RcodeServerFailure:
		return failure
	case dns.RcodeSuccess, dns.RcodeNameError:
	default:
		return 0
	}
	ttl := uint32(math.MaxInt32)
	for _, rr := range m.Answer {
		ttl = min(ttl, sane(rr.Header().Ttl))
	}
	if m.Rcode == dns.RcodeSuccess && holds(m.Answer, typ) {
		return l.bound(ttl)
	}
	soa, ok, referral := authority(m.Ns)
	switch {
	case ok:
		return min(l.bound(min(ttl, soa)), mostNegative)
	case referral && m.Rcode == dns.RcodeSuccess:
		return 0
	}
	return min(ttl, noSOA)
}

// holds says whether an answer section has what was asked for, or leads there.
func holds(answer []dns.RR, typ uint16) bool {
	for _, rr := range answer {
		if rr.Header().Rrtype == typ || typ == dns.TypeANY {
			return true
		}
	}
	return false
}

// authority reads the negative TTL of an authority section; referral when it has NS records and no SOA record.
func authority(section []dns.RR) (ttl uint32, ok, referral bool) {
	for _, rr := range section {
		switch rr := rr.(type) {
		case *dns.SOA:
			return min(sane(rr.Hdr.Ttl), sane(rr.Minttl)), true, false
		case *dns.NS:
			referral = true
		}
	}
	return 0, false, referral
}

// clamp brings the TTLs of a message within the bounds, and that of a negative answer's SOA record to its life, which
// tells the caches behind us the same (RFC 2308 section 5).
func (l *lives) clamp(m *dns.Msg, life uint32) {
	for _, section := range [][]dns.RR{m.Answer, m.Ns} {
		for _, rr := range section {
			h := rr.Header()
			h.Ttl = l.bound(sane(h.Ttl))
		}
	}
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			soa.Hdr.Ttl = min(soa.Hdr.Ttl, life)
		}
	}
}

func (l *lives) bound(ttl uint32) uint32 { return min(max(ttl, l.least), l.most) }

// sane reads a TTL with its top bit set as 0 (RFC 2181 section 8).
func sane(ttl uint32) uint32 {
	if ttl > math.MaxInt32 {
		return 0
	}
	return ttl
}
