package cache

import (
	"encoding/binary"
	"math"
	"time"

	"schoolgate/resolver/wire"
)

// Lifetimes in seconds that are not the administrator's to choose.
const (
	mostNegative = 3600 // RFC 2308 section 5 recommends one to three hours at most
	noSOA        = 30
	failure      = 5  // RFC 9520 section 3.2: at least 1 second, at most 5 minutes
	unproven     = 30 // RFC 4035 section 4.7: a repair is seen soon, a flood of questions validates nothing again
	recheck      = 30 // RFC 8767 section 5: how long an answer past its time is not asked for again, when that failed

	leastFound, mostFound = 30, 300
)

// lives says how long answers live, in whole seconds:
//
//   - an answer: the least TTL of its answer section, raised to least and lowered to most;
//   - no such name, or no such data: the lesser of TTL and MINIMUM of the SOA record (RFC 2308 section 5), within the
//     same bounds and never above an hour. Without an SOA record the RFC advises against caching, since two servers that
//     ask each other could keep such an answer alive for ever. Our upstreams do not ask us, and it is filtering upstreams
//     that leave the SOA record out of their refusals: 30 seconds keep a child's retries off them;
//   - a referral (no answer, no SOA record, but NS records) comes from a server that does not resolve: not at all;
//   - SERVFAIL, any other response code, and no reply at all: 5 seconds, so that a broken domain is not asked for over and
//     over (RFC 9520);
//   - a reply that is not given out for what was found in it: as it would else, but 30 seconds at least, which keeps retries
//     off the server, and 5 minutes at most, after which who lifts a block has lifted it here too.
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

// life of r as an answer to a question of the type; 0: not to be stored.
func (l *lives) life(typ uint16, r *wire.Reply) uint32 {
	switch {
	case r.RCode == wire.ServFail && wire.Unproven(r.EDE):
		return unproven
	case r.RCode != wire.NoError && r.RCode != wire.NXDomain:
		return failure
	}
	ttl, holds := uint32(math.MaxInt32), false // holds: what was asked for, not only an alias that leads on
	for i := range int(r.Answers) {
		t, least, _ := r.Record(i)
		ttl = min(ttl, least)
		holds = holds || t == typ || typ == wire.TypeANY
	}
	if r.RCode == wire.NoError && holds {
		return l.bound(ttl)
	}
	soa, ok, referral := authority(r)
	switch {
	case ok:
		return min(l.bound(min(ttl, soa)), mostNegative)
	case referral && r.RCode == wire.NoError:
		return 0
	}
	return min(ttl, noSOA)
}

// authority reads the negative TTL of the authority section; referral when it has NS records and no SOA record.
func authority(r *wire.Reply) (ttl uint32, ok, referral bool) {
	for i := int(r.Answers); i < len(r.TTLs); i++ {
		switch typ, ttl, data := r.Record(i); typ {
		case wire.TypeSOA:
			minimum := binary.BigEndian.Uint32(data[len(data)-4:])
			return min(ttl, sane(minimum)), true, false
		case wire.TypeNS:
			referral = true
		}
	}
	return 0, false, referral
}

// clamp brings the TTLs of body, a copy of that of r, within the bounds, and that of a negative answer's SOA record to its
// life, which tells the caches behind us the same (RFC 2308 section 5).
func (l *lives) clamp(r *wire.Reply, life uint32, body []byte) {
	for i, at := range r.TTLs {
		typ, ttl, _ := r.Record(i)
		ttl = l.bound(ttl)
		if typ == wire.TypeSOA && i >= int(r.Answers) {
			ttl = min(ttl, life)
		}
		binary.BigEndian.PutUint32(body[at:], ttl)
	}
}

// found is the life of a reply with a finding.
func (l *lives) found(typ uint16, r *wire.Reply) uint32 {
	return min(max(l.life(typ, r), leastFound), mostFound, l.most)
}

func (l *lives) bound(ttl uint32) uint32 { return min(max(ttl, l.least), l.most) }

// sane reads a TTL with its top bit set as 0 (RFC 2181 section 8).
func sane(ttl uint32) uint32 {
	if ttl > math.MaxInt32 {
		return 0
	}
	return ttl
}
