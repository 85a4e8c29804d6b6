package resolver

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	jars "schoolgate/resolver/cookie"
	"schoolgate/resolver/listen"
	"schoolgate/resolver/query"
	"schoolgate/resolver/wire"
)

// FuzzRequest takes bytes on the way that a request takes, from the packet to the reply that is cut to what the client
// takes: whatever they are, a reply is one that others can read, to this request, and no longer than it may be.
func FuzzRequest(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		f.Add(hostile(r))
	}
	b := newBox(f)
	jar := jars.NewJar(b.now)
	f.Fuzz(func(t *testing.T, req []byte) { checkReply(t, b, jar, req) })
}

// checkReply is the property of FuzzRequest.
func checkReply(t *testing.T, b *box, jar *jars.Jar, req []byte) {
	q := &query.Query{Start: b.now, Client: query.Client{Addr: netip.MustParseAddr(child)}}
	err := wire.ParseQuestion(req, &q.Question)
	jar.Judge(&q.Question.Cookie, q.Client.Addr, b.now)
	var out []byte
	if rcode, ok := wire.Answer(err); ok {
		out = wire.AppendError(nil, req, &q.Question, rcode, wire.EDE{})
	} else if err == nil {
		out = b.Resolve(t.Context(), q, req, nil)
	}
	if len(out) == 0 {
		if err == nil {
			t.Fatalf("no reply to %x", req)
		}
		return
	}
	out = wire.Fit(out, &q.Question)
	var m dns.Msg
	if err := m.Unpack(out); err != nil {
		t.Fatalf("the reply %x to %x: %v", out, req, err)
	}
	if len(out) > q.Question.Limit() || !m.Response || m.Zero || !bytes.Equal(out[:2], req[:2]) || out[2]&0x78 != req[2]&0x78 ||
		len(m.Question) == 1 && !bytes.Equal(out[12:q.Question.End], req[12:q.Question.End]) {
		t.Fatalf("the reply %v to %x", &m, req)
	}
}

// hostile makes a packet as a fuzzer of DNS servers finds them: a request that is sound, or was before bytes were changed,
// cut off, doubled or put in, counts that lie, names that point anywhere, options of any length.
func hostile(r *rand.Rand) []byte {
	if r.IntN(20) == 0 {
		b := make([]byte, r.IntN(600))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	m := new(dns.Msg)
	names := []string{"school.example.", "games.example.", "cloaked.example.", "gone.example.", "broken.example.", ".", "localhost.", "www.google.com.", "x.translate.goog.", "1.0.0.10.in-addr.arpa."}
	types := []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeHTTPS, dns.TypeANY, dns.TypeTXT, dns.TypeSOA, dns.TypeOPT, dns.TypeAXFR, uint16(r.Uint32())}
	m.SetQuestion(names[r.IntN(len(names))], types[r.IntN(len(types))])
	m.CheckingDisabled, m.AuthenticatedData, m.RecursionDesired = r.IntN(4) == 0, r.IntN(4) == 0, r.IntN(4) > 0
	for range r.IntN(3) {
		o := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT, Class: uint16(r.Uint32()), Ttl: r.Uint32() & 0x8000}}
		for range r.IntN(4) {
			data := make([]byte, r.IntN(60))
			o.Option = append(o.Option, &dns.EDNS0_LOCAL{Code: []uint16{3, 8, 10, 11, 12, 15, 65001, uint16(r.Uint32())}[r.IntN(8)], Data: data})
		}
		m.Extra = append(m.Extra, o)
	}
	b, err := m.Pack()
	if err != nil {
		panic(err) // it is made of sound parts
	}
	for range r.IntN(4) {
		at := r.IntN(len(b))
		switch r.IntN(8) {
		case 0, 1:
			b[at] ^= 1 << r.IntN(8)
		case 2:
			b[at] = byte(r.Uint32())
		case 3:
			b = b[:max(at, 1)]
		case 4: // a count
			if len(b) > 12 {
				b[4+r.IntN(8)] = []byte{0, 1, 2, 0xff}[r.IntN(4)]
			}
		case 5: // a pointer
			if at+2 <= len(b) {
				binary.BigEndian.PutUint16(b[at:], 0xc000|uint16(r.IntN(2*len(b))))
			}
		case 6:
			b = append(b[:at:at], append(bytes.Clone(b[at:]), b[:r.IntN(at+1)]...)...)
		case 7: // a label in the middle
			b = append(b[:at:at], append([]byte{byte(r.IntN(70)), 'x', 0}, b[at:]...)...)
		}
	}
	return b
}

// hostilePackets are so many of them, and those of SCHOOLGATE_PACKETS, a folder of packets that others
// found, if it is set.
func hostilePackets(t *testing.T, n int) (packets [][]byte) {
	if dir := os.Getenv("SCHOOLGATE_PACKETS"); dir != "" {
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no packets in %s: %v", dir, err)
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			packets = append(packets, b[:min(len(b), 60000)])
		}
		t.Logf("%d packets of %s", len(packets), dir)
	}
	r := rand.New(rand.NewPCG(8906, 9619))
	for range n {
		packets = append(packets, hostile(r))
	}
	return packets
}

// TestHostilePackets sends them to a server on loopback: it answers at the end as at the beginning, with no goroutine more,
// and hardly more memory.
func TestHostilePackets(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	n := 200_000
	if testing.Short() {
		n = 30_000
	}
	packets := hostilePackets(t, n)
	b := newBox(t)
	defer b.Close()
	s := &listen.Server{Addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}, Inline: b.Inline, Resolve: b.Resolve, Done: b.Account, PerAddr: 1}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	addr := s.Bound()[0].String()

	overUDP(t, addr, packets[:1000])
	before, goroutines := heap(), runtime.NumGoroutine()
	overUDP(t, addr, packets)
	overTCP(t, addr, packets[:min(len(packets), 20_000)])
	grown := heap() - before
	runtime.KeepAlive(packets)
	st := s.Stats()
	t.Logf("%d packets: %d of %d read over UDP, %d over TCP; %d malformed, %d dropped; heap grown by %d KB", len(packets), st.Lanes[0].Packets, len(packets)+1000+len(packets)/64,
		st.TCPQueries, st.Malformed, st.NotRequests, grown>>10)
	if grown > 16<<20 { // the cache may fill
		t.Errorf("the heap grew by %d bytes", grown)
	}
	if st.Panics > 0 || st.Malformed < uint64(n/10) || st.Lanes[0].Packets < uint64(len(packets)) {
		t.Errorf("%+v", st)
	}
	deadline := time.Now().Add(20 * time.Second)
	for runtime.NumGoroutine() > goroutines+2 && time.Now().Before(deadline) {
		runtime.Gosched()
	}
	if now := runtime.NumGoroutine(); now > goroutines+2 {
		t.Errorf("%d goroutines, %d before", now, goroutines)
	}
}

// heap is what lives on it.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// sound is a request that is always answered, so that who waits for that knows that what came before was read.
func sound(id uint16) []byte {
	m := question("games.example.", dns.TypeA)
	m.Id = id
	b, err := m.Pack()
	if err != nil {
		panic(err) // it is sound
	}
	return b
}

func overUDP(t *testing.T, addr string, packets [][]byte) {
	t.Helper()
	c, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	buf := make([]byte, 65536)
	const burst = 64
	for i := 0; i < len(packets); i += burst {
		for _, p := range packets[i:min(i+burst, len(packets))] {
			if _, err := c.Write(p); err != nil {
				t.Fatal(err)
			}
		}
		id := uint16(i/burst)%30000 + 1
		if _, err := c.Write(sound(id)); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		for {
			n, err := c.Read(buf)
			if err != nil {
				t.Fatalf("no answer after packet %d: %v", i, err)
			}
			if n > 12+19 && binary.BigEndian.Uint16(buf) == id && buf[12] == 5 && buf[3]&0x0f == dns.RcodeNameError {
				break
			}
		}
	}
}

// overTCP sends packets as frames, many on a connection, which may end at any of them.
func overTCP(t *testing.T, addr string, packets [][]byte) {
	t.Helper()
	for len(packets) > 0 {
		n := min(len(packets), 50)
		var stream []byte
		for _, p := range packets[:n] {
			stream = append(binary.BigEndian.AppendUint16(stream, uint16(len(p))), p...)
		}
		packets = packets[n:]
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		if _, err := c.Write(stream); err == nil {
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, c)
		}
		_ = c.Close()
	}
}
