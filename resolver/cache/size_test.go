package cache

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/miekg/dns"

	"schoolgate/config"
)

// heap is what lives on it.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestSizeIsHonest(t *testing.T) {
	for _, tt := range []struct {
		size    config.Size
		records int
	}{{1 << 20, 1}, {4 << 20, 1}, {4 << 20, 8}, {6 << 20, 2}} {
		t.Run(fmt.Sprintf("%d bytes, %d records", tt.size, tt.records), func(t *testing.T) {
			before := heap()
			c := New(config.Cache{Size: tt.size, StaleFor: config.Duration(time.Hour)})
			for i := 0; c.Stats().Evictions < uint64(c.Stats().Entries)/8+10; i++ {
				for range 500 {
					i++
					name := fmt.Sprintf("host-%d.department.school.example.", i)
					m := new(dns.Msg).SetQuestion(name, dns.TypeA)
					m.Response = true
					for j := range tt.records {
						m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 300}, A: []byte{192, 0, 2, byte(j)}})
					}
					r := ask(t, name, dns.TypeA)
					put(c, &r.q, m, start)
				}
			}
			grown, said := heap()-before, c.Stats()
			runtime.KeepAlive(c)
			t.Logf("%d entries: %d bytes said, %d grown, %d allowed", said.Entries, said.Bytes, grown, tt.size)
			if said.Bytes > int64(tt.size) || said.Bytes < int64(tt.size)*9/10 {
				t.Errorf("full at %d bytes of %d", said.Bytes, tt.size)
			}
			if grown > int64(tt.size)*12/10 || grown < int64(tt.size)*8/10 {
				t.Errorf("the heap grew by %d bytes for a size of %d", grown, tt.size)
			}
		})
	}
}

func TestFloodOfRandomNamesSparesTheHot(t *testing.T) {
	c := New(config.Cache{Size: 256 << 10, StaleFor: config.Duration(time.Hour)})
	var hot []*request
	for i := range 100 {
		name := fmt.Sprintf("hot%d.example.", i)
		r := ask(t, name, dns.TypeA)
		put(c, &r.q, address(t, name, 3600), start)
		for range 3 {
			c.Get(&r.q, start)
		}
		hot = append(hot, r)
	}
	capacity := 0
	for i := range 10_000 { // not one hot name is asked for meanwhile
		name := fmt.Sprintf("x%d.flood.example.", i)
		r := ask(t, name, dns.TypeA)
		put(c, &r.q, address(t, name, 3600), start)
		c.Get(&r.q, start) // the flood asks twice, as clients that retry do
		capacity = max(capacity, c.Stats().Entries)
	}
	if capacity > 2000 {
		t.Fatalf("the flood is too small to matter: %d entries fit", capacity)
	}
	lost := 0
	for _, r := range hot {
		if _, state := c.Get(&r.q, start); state != Fresh {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d hot names were lost", lost, len(hot))
	}
}

func TestMainQueueForgetsWhatIsNoLongerAsked(t *testing.T) {
	c := New(config.Cache{Size: 64 << 10})
	popular := func(name string) *request {
		r := ask(t, name, dns.TypeA)
		put(c, &r.q, address(t, name, 3600), start)
		for range 3 {
			c.Get(&r.q, start)
		}
		return r
	}
	old := popular("old.example.")
	for i := range 1000 {
		popular(fmt.Sprintf("new%d.example.", i))
	}
	if _, state := c.Get(&old.q, start); state != Miss {
		t.Errorf("a name that was hot once is %v for ever", state)
	}
}

func TestReturningNameIsRemembered(t *testing.T) {
	c := New(config.Cache{Size: 64 << 10})
	r := ask(t, "again.example.", dns.TypeA)
	again := func() { put(c, &r.q, address(t, "again.example.", 3600), start) }
	flood := func(n int) {
		for i := range n {
			name := fmt.Sprintf("x%d.example.", i)
			f := ask(t, name, dns.TypeA)
			put(c, &f.q, address(t, name, 3600), start)
		}
	}
	flood(300)
	again()
	hash := c.hash(&r.q, r.q.Name.Bytes(), r.q.Type)
	s := c.shard(hash)
	for i := 0; s.nodes[hash] != nil; i++ { // Get would count as a question
		name := fmt.Sprintf("y%d.example.", i)
		f := ask(t, name, dns.TypeA)
		put(c, &f.q, address(t, name, 3600), start)
	}
	again()
	flood(1000)
	if _, state := c.Get(&r.q, start); state != Fresh {
		t.Error("a name that came back at once went like one never seen")
	}
}

func BenchmarkHit(b *testing.B) {
	c := New(limits())
	r := ask(b, "www.school.example.", dns.TypeA)
	put(c, &r.q, address(b, "www.school.example.", 3600), start)
	buf := make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		e, _ := c.Get(&r.q, start)
		buf = e.Append(buf[:0], r.bytes, &r.q, start)
	}
}
