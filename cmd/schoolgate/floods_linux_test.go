package main

import (
	"context"
	enc "encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"schoolgate/resolver/wire"
)

// The hosts of the network: one behaves, the others flood.
const (
	good = 1 + iota
	loris
	inventor
	forger
	shouter
	floodHosts = shouter
)

// floodUpstream is an upstream on the box's own loopback: names below dead.example are never answered, those below
// big.example at length, all others by one address.
func floodUpstream(t testing.TB, l *lan) netip.AddrPort {
	t.Helper()
	var pc *net.UDPConn
	err := l.in(l.box, func() (err error) {
		pc, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	small := wire.AppendAddr(nil, netip.MustParseAddr("192.0.2.1"), 300)
	long := []byte{}
	for range 5 {
		long = append(append(long, 0xc0, 12, 0, 16, 0, 1, 0, 0, 1, 44, 0, 201, 200), make([]byte, 200)...)
	}
	go func() {
		var q wire.Question
		req, out := make([]byte, 1500), make([]byte, 0, 1500)
		for {
			n, peer, err := pc.ReadFromUDPAddrPort(req)
			if err != nil {
				return
			}
			if wire.ParseQuestion(req[:n], &q) != nil {
				continue
			}
			switch name := string(q.Name.Name()); {
			case strings.HasSuffix(name, "dead.example"):
				continue
			case strings.HasSuffix(name, "big.example"):
				out = wire.AppendReply(out[:0], req[:n], &q, wire.Header{Answers: 5}, long, wire.EDE{})
			default:
				out = wire.AppendReply(out[:0], req[:n], &q, wire.Header{Answers: 1}, small, wire.EDE{})
			}
			pc.WriteToUDPAddrPort(out, peer)
		}
	}()
	return pc.LocalAddr().(*net.UDPAddr).AddrPort()
}

// floodBox starts a box that answers at port 53 of its addresses, from its namespace.
func floodBox(t testing.TB, l *lan) *box {
	t.Helper()
	dir := t.TempDir()
	config := school{
		dns: "0.0.0.0:53", upstream: "udp://" + floodUpstream(t, l).String(),
	}.write(t, dir)
	b := launchAs(t, config, "ip", "netns", "exec", l.box, binary(t), "run", "--config", config)
	return b
}

// pupil asks from the host that behaves: a name in the cache, a name that nobody asked for before, and over a connection of
// its own, in turn.
type pupil struct {
	l  *lan
	mu sync.Mutex
	// How long each answer took, by kind, and how many questions there were.
	took  map[string][]time.Duration
	asked map[string]int
	wrong []string
}

var kinds = []string{"cached", "new", "tcp"}

// ask asks at a steady pace for so long, whether answers come or not, and then waits for those that are to come.
func (p *pupil) ask(t testing.TB, perSecond int, long time.Duration) {
	t.Helper()
	p.took, p.asked, p.wrong = map[string][]time.Duration{}, map[string]int{}, nil
	c, err := p.l.dial(good, "udp", netip.Addr{}, atHost(good))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var sent [1 << 16]atomic.Int64 // when the question with this id went out, 0 when it was answered
	kind := func(id int) string { return kinds[id%2] }
	start := time.Now()
	var reading, asking sync.WaitGroup
	reading.Go(func() {
		buf := make([]byte, 1500)
		for {
			n, err := c.Read(buf)
			if errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
				return
			}
			if err != nil || n < 12 {
				continue
			}
			id := int(enc.BigEndian.Uint16(buf))
			if at := sent[id].Swap(0); at != 0 {
				p.note(kind(id), time.Since(start)-time.Duration(at), buf[:n])
			}
		}
	})
	run := rand.IntN(1 << 30)
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	for id := 0; time.Since(start) < long; id++ {
		<-tick.C
		if id%4 == 3 {
			p.asked["tcp"]++
			asking.Go(func() { p.overTCP(start) })
			continue
		}
		name := "www.school.example."
		if id%2 == 1 {
			name = fmt.Sprintf("n%d-%d.good.example.", run, id)
		}
		m := new(dns.Msg)
		m.SetQuestion(name, dns.TypeA)
		m.Id = uint16(id)
		req, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		p.asked[kind(id)]++
		sent[id].Store(int64(time.Since(start)))
		if _, err := c.Write(req); err != nil {
			t.Error(err)
		}
	}
	asking.Wait()
	c.SetReadDeadline(time.Now().Add(3 * time.Second))
	all := func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.took["cached"]) == p.asked["cached"] && len(p.took["new"]) == p.asked["new"]
	}
	for end := time.Now().Add(3 * time.Second); !all() && time.Now().Before(end); {
		<-tick.C
	}
	c.Close()
	reading.Wait()
}

func (p *pupil) note(kind string, took time.Duration, reply []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.took[kind] = append(p.took[kind], took)
	if reply[3]&15 != 0 || reply[2]&2 != 0 {
		p.wrong = append(p.wrong, fmt.Sprintf("%s: %x", kind, reply[:12]))
	}
}

// overTCP asks over a connection of its own.
func (p *pupil) overTCP(time.Time) {
	start := time.Now()
	fail := func(err error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.wrong = append(p.wrong, "tcp: "+err.Error())
	}
	c, err := p.l.dial(good, "tcp", netip.Addr{}, atHost(good))
	if err != nil {
		fail(err)
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(3 * time.Second))
	m := new(dns.Msg)
	m.SetQuestion("www.school.example.", dns.TypeA)
	dc := dns.Conn{Conn: c}
	if err := dc.WriteMsg(m); err != nil {
		fail(err)
		return
	}
	buf := make([]byte, 1500)
	if _, err := io.ReadFull(c, buf[:2]); err != nil {
		fail(err)
		return
	}
	n := int(enc.BigEndian.Uint16(buf))
	if _, err := io.ReadFull(c, buf[:n]); err != nil {
		fail(err)
		return
	}
	p.note("tcp", time.Since(start), buf[:n])
}

// lost is how many questions had no answer within three seconds.
func (p *pupil) lost() (n int) {
	for kind, asked := range p.asked {
		n += asked - len(p.took[kind])
	}
	return n
}

// quantile is the time within which so many in a thousand of a kind's answers came.
func (p *pupil) quantile(kind string, perMille int) time.Duration {
	all := slices.Sorted(slices.Values(p.took[kind]))
	if len(all) == 0 {
		return 0
	}
	return all[min(len(all)*perMille/1000, len(all)-1)]
}

// paced calls f so often a second until ctx ends, in bursts of a millisecond's worth, and says how often that was.
func paced(ctx context.Context, perSecond int, f func(i int)) (n int) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for start := time.Now(); ; {
		select {
		case <-ctx.Done():
			return n
		case <-tick.C:
		}
		for due := int(time.Since(start).Seconds() * float64(perSecond)); n < due; n++ {
			f(n)
		}
	}
}

// flood is one way to harm others.
type flood struct {
	name string
	host int
	run  func(ctx context.Context, l *lan, perSecond int) (sent int, err error)
}

var floods = []flood{
	{"slow-loris TCP", loris, slowLoris},
	{"random names of a dead zone", inventor, inventedNames},
	{"spoofed sources, worst-case questions", forger, forgedSources},
	{"plain UDP from one address", shouter, shouting},
}

// slowLoris opens connections from 40 addresses, sends three bytes on each and now and then one more, and holds 2,000 of
// them. It opens a fifth of perSecond, which the others mean in packets.
func slowLoris(ctx context.Context, l *lan, perSecond int) (sent int, err error) {
	err = l.in(l.hosts[loris-1], func() error {
		held := make([]net.Conn, 2000)
		defer func() {
			for _, c := range held {
				if c != nil {
					c.Close()
				}
			}
		}()
		sent = paced(ctx, perSecond/5, func(i int) {
			at := i % len(held)
			if held[at] != nil {
				held[at].Close()
				held[at] = nil
			}
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(10, 77, loris, byte(10+i%40))}, Timeout: time.Second}
			c, err := d.Dial("tcp4", atHost(loris).String())
			if err != nil {
				return
			}
			c.Write([]byte{0, 40, 1})
			held[at] = c
			if other := held[rand.IntN(len(held))]; other != nil {
				other.Write([]byte{0})
			}
		})
		return nil
	})
	return sent, err
}

// inventedNames asks from eight addresses for names that nobody asked for before, of a zone that never answers.
func inventedNames(ctx context.Context, l *lan, perSecond int) (int, error) {
	var conns []net.Conn
	for i := range 8 {
		c, err := l.dial(inventor, "udp", netip.AddrFrom4([4]byte{10, 77, inventor, byte(10 + i)}), atHost(inventor))
		if err != nil {
			return 0, err
		}
		defer c.Close()
		conns = append(conns, c)
	}
	m := new(dns.Msg)
	m.SetQuestion("aaaaaaaaaaaa.dead.example.", dns.TypeA)
	req, err := m.Pack()
	if err != nil {
		return 0, err
	}
	return paced(ctx, perSecond, func(i int) {
		for k := range 12 {
			req[13+k] = 'a' + byte(rand.IntN(26))
		}
		enc.BigEndian.PutUint16(req, uint16(i))
		conns[i%len(conns)].Write(req)
	}), nil
}

// worst is the questions whose answers are long.
func worst() (packed [][]byte, err error) {
	for _, q := range []struct {
		name  string
		qtype uint16
	}{{"txt.big.example.", dns.TypeTXT}, {"any.big.example.", dns.TypeANY}, {"key.big.example.", dns.TypeDNSKEY}} {
		m := new(dns.Msg)
		m.SetQuestion(q.name, q.qtype)
		m.SetEdns0(4096, q.qtype == dns.TypeDNSKEY)
		b, err := m.Pack()
		if err != nil {
			return nil, err
		}
		packed = append(packed, b)
	}
	return packed, nil
}

// forgedSources sends worst-case questions that claim to come from 65,536 addresses, all of networks that are answered.
func forgedSources(ctx context.Context, l *lan, perSecond int) (int, error) {
	fd := -1
	err := l.in(l.hosts[forger-1], func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		return err
	})
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	questions, err := worst()
	if err != nil {
		return 0, err
	}
	to := &unix.SockaddrInet4{Addr: atHost(forger).Addr().As4()}
	packet := make([]byte, 28, 200)
	return paced(ctx, perSecond, func(i int) {
		req := questions[i%len(questions)]
		p := append(packet, req...)
		p[0], p[8], p[9] = 0x45, 64, 17
		copy(p[12:], []byte{10, 100 + forger, byte(rand.IntN(256)), byte(rand.IntN(256))})
		copy(p[16:], to.Addr[:])
		enc.BigEndian.PutUint16(p[20:], uint16(1024+rand.IntN(60000)))
		enc.BigEndian.PutUint16(p[22:], 53)
		enc.BigEndian.PutUint16(p[24:], uint16(8+len(req)))
		unix.Sendto(fd, p, 0, to)
	}), nil
}

// shouting asks for one blocked name from one address and port.
func shouting(ctx context.Context, l *lan, perSecond int) (int, error) {
	c, err := l.dial(shouter, "udp", netip.Addr{}, atHost(shouter))
	if err != nil {
		return 0, err
	}
	defer c.Close()
	m := new(dns.Msg)
	m.SetQuestion("roblox.com.", dns.TypeA)
	req, err := m.Pack()
	if err != nil {
		return 0, err
	}
	return paced(ctx, perSecond, func(int) { c.Write(req) }), nil
}

// floodLAN is a network with a box and a pupil, whose answers are warm.
func floodLAN(t testing.TB) (*lan, *box, *pupil) {
	t.Helper()
	l := newLAN(t, floodHosts)
	l.as(loris, 10, 40)
	l.as(inventor, 10, 8)
	b := floodBox(t, l)
	p := &pupil{l: l}
	p.ask(t, 100, 500*time.Millisecond)
	if p.lost() > 0 || len(p.wrong) > 0 {
		t.Fatalf("%d lost in quiet, %v", p.lost(), p.wrong)
	}
	return l, b, p
}

// under has the pupil ask while a flood runs, which gives the packets that it sent.
func (p *pupil) under(t testing.TB, f flood, floodRate, perSecond int, long time.Duration) (sent int) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		var err error
		sent, err = f.run(ctx, p.l, floodRate)
		done <- err
	}()
	begun := time.NewTimer(long / 10) // so that it is at its height
	<-begun.C
	p.ask(t, perSecond, long)
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return sent
}

// While others flood, a client gets all of its answers: of the cache, from upstream and over TCP. What goes to addresses that
// are only claimed is at most twice what came in their name, and what may go beyond it.
func TestFloodsHarmNobody(t *testing.T) {
	l, b, p := floodLAN(t)
	const rate, long = 10_000, 1500 * time.Millisecond
	for _, f := range floods {
		t.Run(f.name, func(t *testing.T) {
			outPackets, outBytes, inPackets, inBytes := l.traffic(f.host)
			start := time.Now()
			sent := p.under(t, f, rate, 200, long)
			took := time.Since(start)
			if p.lost() > 0 || len(p.wrong) > 0 {
				t.Errorf("of %v questions %d were lost; %v", p.asked, p.lost(), p.wrong[:min(len(p.wrong), 5)])
			}
			if least := 100; sent < least {
				t.Errorf("only %d packets or connections: no flood", sent)
			}
			if f.host == forger {
				op, ob, ip, ib := l.traffic(f.host)
				const head = 14 + 20 + 8
				out, in := ob-outBytes-head*(op-outPackets), ib-inBytes-head*(ip-inPackets)
				spare := 8 * 128 << 10 * (int(took/time.Second) + 2)
				if in > 2*out+spare || in < out/4 {
					t.Errorf("%d bytes of questions, %d of answers; %d may go beyond twice", out, in, spare)
				}
			}
		})
	}
	for _, limit := range []string{"client", "lost", "network", "spare", "sessions"} {
		if n := l.metric(b, `schoolgate_listen_limited_total{limit="`+limit+`"}`); n == 0 {
			t.Errorf("the limit %s held nobody", limit)
		}
	}
	b.stop()
}

// TestFloods measures, when it is asked to, how much later a client's answers come while others flood (make floods).
func TestFloods(t *testing.T) {
	page := os.Getenv("SCHOOLGATE_FLOODS")
	if page == "" {
		t.Skip("skipped: it takes six minutes (make floods)")
	}
	const perSecond, long, rounds = 200, 6 * time.Second, 3
	_, b, p := floodLAN(t)
	type cell struct{ half, quietHalf, ratio, quiet, flood []float64 }
	var table strings.Builder
	table.WriteString("| flood | a second | what is asked | p50 quiet, ms | p50 under flood | p99 quiet | p99 under flood | ratio of p99 | lost or wrong |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, f := range floods {
		for _, rate := range []int{10_000, 50_000} {
			cells, lost, sent := map[string]*cell{}, 0, 0
			for range rounds {
				p.ask(t, perSecond, long)
				quiet, half := map[string]time.Duration{}, map[string]time.Duration{}
				for _, k := range kinds {
					quiet[k], half[k] = p.quantile(k, 990), p.quantile(k, 500)
				}
				n := p.under(t, f, rate, perSecond, long)
				sent += int(float64(n) / (long + long/10).Seconds())
				lost += p.lost() + len(p.wrong)
				for _, k := range kinds {
					if cells[k] == nil {
						cells[k] = new(cell)
					}
					c, now := cells[k], p.quantile(k, 990)
					c.quietHalf, c.half = append(c.quietHalf, half[k].Seconds()*1e3), append(c.half, p.quantile(k, 500).Seconds()*1e3)
					c.quiet, c.flood = append(c.quiet, quiet[k].Seconds()*1e3), append(c.flood, now.Seconds()*1e3)
					c.ratio = append(c.ratio, now.Seconds()/quiet[k].Seconds())
				}
			}
			for _, k := range kinds {
				c := cells[k]
				fmt.Fprintf(&table, "| %s | %d | %s | %s | %s | %s | %s | %s | %d |\n", f.name, sent/rounds, k, spread(c.quietHalf), spread(c.half), spread(c.quiet), spread(c.flood), spread(c.ratio), lost)
			}
		}
	}
	b.stop()
	t.Log("\n" + table.String())
	if page == "1" {
		return
	}
	const begin, end = "<!-- floods: begin -->\n", "<!-- floods: end -->"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("%s has no place for the table", page)
	}
	if err := os.WriteFile(page, []byte(before+begin+table.String()+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// spread is the median, and the least and most.
func spread(v []float64) string {
	slices.Sort(v)
	return fmt.Sprintf("%.2f [%.2f–%.2f]", v[len(v)/2], v[0], v[len(v)-1])
}
