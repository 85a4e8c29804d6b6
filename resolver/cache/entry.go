package cache

import (
	"math"
	"strings"
	"time"

	"github.com/miekg/dns"

	"schoolgate/blocklist/domain"
	"schoolgate/resolver/wire"
)

// staleTTL is what clients may keep a stale answer for, in seconds (RFC 8767 section 4).
const staleTTL = 30

// Entry is one answer. It is immutable and may be used by many goroutines at once.
type Entry struct {
	blob      []byte   // the name asked for, the records, the targets
	offsets   []uint16 // where the TTLs stand in the records
	stored    time.Time
	life      time.Duration // fresh for this long
	afterlife time.Duration // then stale for this long
	header    wire.Header
	ede       uint16 // extended error that came with the answer, 0 for none
	typ       uint16
	class     uint16
	records   uint16 // length in blob
	name      uint8  // length in blob
	flags     uint8
}

// Append appends the reply to req, which q was parsed from, as it stands at now: with the id and the letter case of the
// request, TTLs that have run down since, AD only for who asked for it, and an OPT record if the request had one. q must
// be the question that the entry was found or made for. The reply is not cut to what the client takes: see wire.Fit.
func (e *Entry) Append(dst, req []byte, q *wire.Question, now time.Time) []byte {
	at := len(dst)
	dst = wire.AppendReply(dst, req, q, e.header, e.body(), wire.EDE{Code: e.ede})
	seconds := min(e.age(now)/time.Second, math.MaxUint32)
	wire.AgeTTLs(dst[at+q.End:], e.offsets, uint32(seconds), 0)
	return dst
}

// AppendStale is Append for an entry past its time: all TTLs are 30 seconds, ede says why to clients with EDNS, and AD is
// not claimed, since signatures may have ended meanwhile.
func (e *Entry) AppendStale(dst, req []byte, q *wire.Question, ede wire.EDE) []byte {
	at := len(dst)
	header := e.header
	header.AD = false
	dst = wire.AppendReply(dst, req, q, header, e.body(), ede)
	wire.AgeTTLs(dst[at+q.End:], e.offsets, math.MaxUint32, staleTTL)
	return dst
}

// NextTarget puts into w a name that the answer leads on to: the target of a CNAME, DNAME, HTTPS or SVCB record. They are
// to be judged again at each hit, for the group that asks. It starts with 0 and goes on with next; ok is false after the
// last. It does not allocate.
func (e *Entry) NextTarget(off int, w *domain.Wire) (next int, ok bool) {
	targets := e.blob[int(e.name)+int(e.records):]
	if off < 0 || off >= len(targets) {
		return 0, false
	}
	next, err := w.Read(targets, off)
	return next, err == nil
}

// RCode is the response code, extended bits included.
func (e *Entry) RCode() uint16 { return e.header.RCode }

// EDE is the code of the extended error (RFC 8914) that came with the answer, 0 for none. Append passes it on.
func (e *Entry) EDE() uint16 { return e.ede }

// TTL is how long the entry stays fresh after now, 0 when it no longer is or never was to be stored.
func (e *Entry) TTL(now time.Time) time.Duration { return max(e.life-e.age(now), 0) }

func (e *Entry) body() []byte { return e.blob[e.name : int(e.name)+int(e.records)] }

// age is never negative, whatever the clock did.
func (e *Entry) age(now time.Time) time.Duration { return max(now.Sub(e.stored), 0) }

// answers says whether the entry is for q, which its hash alone does not prove.
func (e *Entry) answers(q *wire.Question) bool {
	return e.typ == q.Type && e.class == q.Class && e.flags == flags(q) && string(e.blob[:e.name]) == string(q.Name.Bytes())
}

// fill makes the entry from a message, which it does not change; false when the message is no whole answer to q.
func (e *Entry) fill(q *wire.Question, m *dns.Msg, now time.Time, l *lives) bool {
	name := q.Name.Bytes()
	asked, _, err := dns.UnpackDomainName(name, 0)
	if err != nil || m.Truncated || !m.Response || len(m.Question) != 1 || m.Question[0].Qtype != q.Type || m.Question[0].Qclass != q.Class ||
		!strings.EqualFold(m.Question[0].Name, asked) || m.Rcode < 0 || m.Rcode > 0xfff {
		return false
	}
	life := l.life(q.Type, m)
	own := dns.Msg{Question: []dns.Question{{Name: asked, Qtype: q.Type, Qclass: q.Class}}, Compress: true}
	// The additional section stays out: nobody asked for it, and beside the MX of an allowed name it may hold the address of
	// a blocked one. Who wants it asks for it, and is judged.
	own.Answer, own.Ns = adopt(m.Answer, asked), adopt(m.Ns, asked)
	l.clamp(&own, life)
	packed, err := own.Pack()
	if err != nil || new(dns.Msg).Unpack(packed) != nil { // records without RDATA are read, but do not survive the round
		return false
	}
	end := 12 + len(name) + 4
	body := packed[end:]
	*e = Entry{
		stored: now, life: time.Duration(life) * time.Second, ede: extendedError(m),
		typ: q.Type, class: q.Class, records: uint16(len(body)), name: uint8(len(name)), flags: flags(q),
		header: wire.Header{
			RCode: uint16(m.Rcode), AD: m.AuthenticatedData,
			Answers: uint16(len(own.Answer)), Authority: uint16(len(own.Ns)),
		},
	}
	offsets, err := wire.Offsets(nil, body, e.header.Records())
	if err != nil {
		return false
	}
	blob := append(append(make([]byte, 0, 2*len(packed)), name...), body...)
	targets := wire.Targets(packed)
	for w := new(domain.Wire); targets.Next(w); {
		if string(w.Bytes()) != string(name) {
			blob = append(blob, w.Bytes()...)
		}
	}
	// Appending to nil makes the capacity that of the allocator's size class: no waste that is not counted.
	e.blob, e.offsets = append([]byte(nil), blob...), append([]uint16(nil), offsets...)
	return targets.Err() == nil
}

// adopt copies records without those that are for one hop only. Owners that are the name asked for get its spelling, so
// that packing makes them pointers into the question, whose letter case they then follow.
func adopt(section []dns.RR, asked string) []dns.RR {
	var own []dns.RR
	for _, rr := range section {
		switch rr.Header().Rrtype {
		case dns.TypeOPT, dns.TypeTSIG, dns.TypeSIG:
			continue
		}
		rr = dns.Copy(rr)
		if h := rr.Header(); strings.EqualFold(h.Name, asked) {
			h.Name = asked
		}
		own = append(own, rr)
	}
	return own
}

func extendedError(m *dns.Msg) uint16 {
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if ede, ok := o.(*dns.EDNS0_EDE); ok {
				return ede.InfoCode
			}
		}
	}
	return 0
}
