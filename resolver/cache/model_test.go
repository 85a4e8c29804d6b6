package cache

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"schoolgate/config"
	"schoolgate/resolver/wire"
)

// kept is an answer in the model: a plain map that never forgets.
type kept struct {
	ttl    int
	rcode  int
	stored time.Time
	spared time.Time // until then
}

func (k *kept) failed() bool { return k.rcode == dns.RcodeServerFailure || k.rcode == dns.RcodeRefused }

// TestModel compares a cache with room for everything with the plainest map: same state, same code, same TTLs.
func TestModel(t *testing.T) {
	const staleFor = 100 * time.Second
	var asks []*request
	for i := range 6 {
		asks = append(asks, ask(t, fmt.Sprintf("n%d.example.", i/2), []uint16{dns.TypeA, dns.TypeAAAA}[i%2], do))
	}
	rapid.Check(t, func(t *rapid.T) {
		c := New(config.Cache{Size: 1 << 20, StaleFor: config.Duration(staleFor)})
		model := map[int]kept{}
		now := start
		state := func(i int) State {
			k, ok := model[i]
			after := staleFor
			if k.failed() {
				after = 0
			}
			switch age := now.Sub(k.stored); {
			case !ok:
				return Miss
			case age < time.Duration(k.ttl)*time.Second:
				return Fresh
			case age < time.Duration(k.ttl)*time.Second+after:
				if now.Before(k.spared) {
					return Spare
				}
				return Stale
			}
			return Miss
		}
		pick := rapid.IntRange(0, len(asks)-1)
		t.Repeat(map[string]func(*rapid.T){
			"wait": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 120).Draw(t, "seconds")) * time.Second)
			},
			"flush": func(*rapid.T) { c.Flush(); clear(model) },
			"put": func(t *rapid.T) {
				i, ttl := pick.Draw(t, "question"), rapid.IntRange(0, 60).Draw(t, "ttl")
				r := asks[i]
				m := &dns.Msg{Question: []dns.Question{{Name: r.q.Name.Name().String() + ".", Qtype: r.q.Type, Qclass: dns.ClassINET}}}
				m.Response = true
				m.Rcode = rapid.SampledFrom([]int{dns.RcodeSuccess, dns.RcodeNameError, dns.RcodeServerFailure, dns.RcodeRefused}).Draw(t, "rcode")
				switch m.Rcode {
				case dns.RcodeSuccess:
					m.Answer = []dns.RR{&dns.RFC3597{Hdr: dns.RR_Header{Name: m.Question[0].Name, Rrtype: r.q.Type, Class: dns.ClassINET, Ttl: uint32(ttl)}, Rdata: map[uint16]string{1: "c0000201", 28: "20010db8000000000000000000000001"}[r.q.Type]}}
				case dns.RcodeNameError:
					m.Ns = []dns.RR{&dns.SOA{Hdr: dns.RR_Header{Name: "example.", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 3600}, Ns: "ns.example.", Mbox: "a.example.", Minttl: uint32(ttl)}}
				case dns.RcodeServerFailure, dns.RcodeRefused:
					ttl = 5
				}
				if put(c, &r.q, m, now) == nil {
					t.Fatal("no entry")
				}
				k, made := model[i], kept{ttl: ttl, rcode: m.Rcode, stored: now}
				switch {
				case ttl == 0:
				case made.failed() && state(i) != Miss && !k.failed():
					k.spared = now.Add(30 * time.Second)
					model[i] = k
				default:
					model[i] = made
				}
			},
			"": func(t *rapid.T) {
				for i, r := range asks {
					e, got := c.Get(&r.q, now)
					if want := state(i); got != want {
						t.Fatalf("question %d is %v, want %v", i, got, want)
					}
					if got != Fresh {
						continue
					}
					var m dns.Msg
					if err := m.Unpack(e.Append(nil, r.bytes, &r.q, now)); err != nil {
						t.Fatal(err)
					}
					want := model[i].ttl - int(now.Sub(model[i].stored)/time.Second)
					for _, rr := range append(m.Answer, m.Ns...) {
						if int(rr.Header().Ttl) != want {
							t.Fatalf("question %d: TTL %d, want %d", i, rr.Header().Ttl, want)
						}
					}
					if m.Rcode != model[i].rcode {
						t.Fatalf("question %d: code %d, want %d", i, m.Rcode, model[i].rcode)
					}
				}
			},
		})
	})
}

// TestQueuesAgreeWithTheMap checks the books of a shard after a long random life in little room.
func TestQueuesAgreeWithTheMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := New(config.Cache{Size: 24 << 10, StaleFor: config.Duration(time.Minute)})
		s := &c.shards[0]
		now := start
		names := rapid.SliceOfN(rapid.IntRange(0, 200), 1, 400).Draw(t, "names")
		for i, n := range names {
			now = now.Add(time.Second)
			r := new(request)
			text := fmt.Sprintf("n%d.example.", n)
			m := new(dns.Msg).SetQuestion(text, dns.TypeA)
			m.Response = true
			m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: text, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: uint32(1 + n)}, A: []byte{192, 0, 2, byte(i)}}}
			r.q.Type, r.q.Class = dns.TypeA, dns.ClassINET
			var b [255]byte
			if _, err := dns.PackDomainName(text, b[:], 0, nil, false); err != nil {
				t.Fatal(err)
			}
			if _, err := r.q.Name.Read(b[:], 0); err != nil {
				t.Fatal(err)
			}
			if _, state := c.Get(&r.q, now); state != Fresh {
				put(c, &r.q, m, now)
			}
			if s.small.bytes+s.main.bytes > s.limit {
				t.Fatalf("%d bytes over the limit", s.small.bytes+s.main.bytes-s.limit)
			}
		}
		count := 0
		for _, q := range []*queue{&s.small, &s.main} {
			bytes := 0
			for n := q.root.next; n != &q.root; n = n.next {
				count++
				bytes += int(n.size)
				if s.nodes[n.hash] != n || s.of(n) != q || n.next.prev != n {
					t.Fatal("a node is in the wrong queue, or not in the map")
				}
			}
			if bytes != q.bytes {
				t.Fatalf("queue of %d bytes says %d", bytes, q.bytes)
			}
		}
		if count != len(s.nodes) {
			t.Fatalf("%d nodes in queues, %d in the map", count, len(s.nodes))
		}
	})
}

// FuzzPut gives the cache whatever an upstream may send: what it makes of that must be readable, and say the same.
func FuzzPut(f *testing.F) {
	r := ask(f, "a.example.", dns.TypeA, do)
	for _, m := range []*dns.Msg{
		address(f, "a.example.", 60),
		answer(f, "a.example.", dns.TypeA, 0, "a.example. 60 IN CNAME b.example.", "b.example. 60 IN A 192.0.2.1", "ns: example. 60 IN NS ns.example.", "extra: ns.example. 60 IN A 192.0.2.2"),
		answer(f, "a.example.", dns.TypeA, 3, "ns: example. 86400 IN SOA ns1.example. admin.example. 1 7200 900 1209600 120"),
	} {
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		reply, err := wire.ReadReply(b)
		if err != nil {
			return
		}
		e := New(limits()).Put(&r.q, reply, start)
		if e == nil {
			return
		}
		got, err := wire.ReadReply(e.Append(nil, r.bytes, &r.q, start))
		if err != nil || got.RCode != reply.RCode || got.Answers != reply.Answers || got.Authority != reply.Authority || !bytes.Equal(got.Targets, reply.Targets) {
			t.Errorf("made\n%+v\nof\n%+v: %v", got, reply, err)
		}
	})
}
