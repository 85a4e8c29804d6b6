package upstream

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// raw is a UDP socket that does with each datagram as the test says. What handle wrote may be read after stop.
func raw(t *testing.T, handle func(pc *net.UDPConn, from *net.UDPAddr, msg []byte)) (addr netip.AddrPort, stop func()) {
	t.Helper()
	pc, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buf := make([]byte, 4096)
		for {
			n, from, err := pc.ReadFromUDP(buf)
			if err != nil {
				return
			}
			handle(pc, from, buf[:n])
		}
	}()
	stop = func() {
		pc.Close()
		<-ended
	}
	t.Cleanup(stop)
	return pc.LocalAddr().(*net.UDPAddr).AddrPort(), stop
}

func packed(t *testing.T, m *dns.Msg) []byte {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Error(err)
	}
	return b
}

func parsed(t *testing.T, b []byte) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(b); err != nil {
		t.Error(err)
	}
	return m
}

func TestForeignDatagramsAreIgnored(t *testing.T) {
	poison := func(m *dns.Msg) *dns.Msg {
		m.Answer[0].(*dns.A).A = net.IPv4(203, 0, 113, 66)
		return m
	}
	spoofer, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer spoofer.Close()
	addr, _ := raw(t, func(pc *net.UDPConn, from *net.UDPAddr, msg []byte) {
		r := parsed(t, msg)
		send := func(m *dns.Msg) { _, _ = pc.WriteToUDP(packed(t, m), from) }
		_, _ = spoofer.WriteToUDP(packed(t, poison(answer(r))), from) // right in all but the port it comes from
		wrong := poison(answer(r))
		wrong.Id++
		send(wrong)
		wrong = poison(answer(r))
		wrong.Question[0].Name = "b" + wrong.Question[0].Name[1:]
		send(wrong)
		wrong = poison(answer(r))
		wrong.Question[0].Qtype = dns.TypeAAAA
		send(wrong)
		wrong = poison(answer(r))
		wrong.Question = nil
		send(wrong)
		wrong = poison(answer(r))
		wrong.Response = false
		send(wrong)
		_, _ = pc.WriteToUDP([]byte("no message"), from)
		broken := packed(t, poison(answer(r)))
		_, _ = pc.WriteToUDP(broken[:len(broken)-2], from)
		send(answer(r))
	})
	p := pool(t, 2*time.Second, udp(addr))
	m, err := exchange(p, context.Background(), ask("a.example."))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Answer[0].(*dns.A).A.String(); got != "192.0.2.1" {
		t.Errorf("accepted the forged answer %s", got)
	}
}

func TestPortAndIDAndCaseChange(t *testing.T) {
	ports, ids, names := map[int]bool{}, map[uint16]bool{}, map[string]bool{}
	const n = 20
	addr, stop := raw(t, func(pc *net.UDPConn, from *net.UDPAddr, msg []byte) {
		r := parsed(t, msg)
		ports[from.Port], ids[r.Id], names[r.Question[0].Name] = true, true, true
		_, _ = pc.WriteToUDP(packed(t, answer(r)), from)
	})
	p := pool(t, 5*time.Second, udp(addr))
	for range n {
		if _, err := exchange(p, context.Background(), ask("abcdefghijklmnopqrstuvwxyz.example.")); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if len(ports) < n-3 || len(ids) < n-3 || len(names) < n-3 {
		t.Errorf("%d questions came with %d ports, %d IDs, %d spellings", n, len(ports), len(ids), len(names))
	}
	for name := range names {
		if !strings.EqualFold(name, "abcdefghijklmnopqrstuvwxyz.example.") {
			t.Errorf("mixing the case made another name: %s", name)
		}
	}
}

func TestLostDatagramIsSentAgain(t *testing.T) {
	drop := 1
	ports := map[int]bool{}
	addr, stop := raw(t, func(pc *net.UDPConn, from *net.UDPAddr, msg []byte) {
		ports[from.Port] = true
		if drop--; drop >= 0 {
			return
		}
		_, _ = pc.WriteToUDP(packed(t, answer(parsed(t, msg))), from)
	})
	p := pool(t, 3*time.Second, udp(addr))
	if _, err := exchange(p, context.Background(), ask("a.example.")); err != nil {
		t.Fatal(err)
	}
	stop()
	if s := p.Status()[0]; s.Queries != 1 || s.Failures != 0 || len(ports) != 2 {
		t.Errorf("status %+v, %d ports", s, len(ports))
	}
}

func TestTruncatedGoesToTCP(t *testing.T) {
	f := plain(t, func(w dns.ResponseWriter, r *dns.Msg) {
		m := answer(r)
		if w.RemoteAddr().Network() == "udp" {
			m.Truncated, m.Answer = true, nil
		}
		_ = w.WriteMsg(m)
	})
	p := pool(t, 2*time.Second, udp(f.addr))
	m, err := exchange(p, context.Background(), ask("a.example."))
	if err != nil {
		t.Fatal(err)
	}
	if m.Truncated || len(m.Answer) != 1 || f.tcp.Load() != 1 {
		t.Errorf("reply, after %d times TCP:\n%v", f.tcp.Load(), m)
	}
}

// folded answers in lower case, as some servers do.
func folded(r *dns.Msg) *dns.Msg {
	r.Question[0].Name = strings.ToLower(r.Question[0].Name)
	return answer(r)
}

func TestServerThatFoldsCase(t *testing.T) {
	f := plain(t, func(w dns.ResponseWriter, r *dns.Msg) { _ = w.WriteMsg(folded(r)) })
	p := pool(t, 2*time.Second, udp(f.addr))
	for range 5 {
		if _, err := exchange(p, context.Background(), ask("abcdefghijklmnop.example.")); err != nil {
			t.Fatal(err)
		}
	}
	if n := f.tcp.Load(); n != 1 {
		t.Errorf("%d questions went over TCP; the first should have been enough to know the server", n)
	}
}

func TestServerThatFoldsCaseWithoutTCP(t *testing.T) {
	addr, _ := raw(t, func(pc *net.UDPConn, from *net.UDPAddr, msg []byte) {
		_, _ = pc.WriteToUDP(packed(t, folded(parsed(t, msg))), from)
	})
	p := pool(t, 2*time.Second, udp(addr))
	if _, err := exchange(p, context.Background(), ask("abcdefghijklmnop.example.")); err != nil {
		t.Fatal(err)
	}
}

func TestFloodOfGuessesGoesToTCP(t *testing.T) {
	f := plain(t, func(w dns.ResponseWriter, r *dns.Msg) {
		if w.RemoteAddr().Network() == "tcp" {
			echo(w, r)
			return
		}
		for i := range maxForeign {
			m := answer(r)
			m.Id += uint16(i + 1)
			_ = w.WriteMsg(m)
		}
	})
	p := pool(t, 2*time.Second, udp(f.addr))
	if _, err := exchange(p, context.Background(), ask("a.example.")); err != nil {
		t.Fatal(err)
	}
	if f.tcp.Load() != 1 {
		t.Errorf("%d questions went over TCP", f.tcp.Load())
	}
}

func TestClosedPortFailsAtOnce(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.MustParseAddrPort(pc.LocalAddr().String())
	pc.Close()
	p := pool(t, time.Hour, udp(addr)) // only a failure before the deadline lets this test end early
	_, err = exchange(p, context.Background(), ask("a.example."))
	var e *Error
	if !errors.As(err, &e) || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error is %v", err)
	}
}

func FuzzCheck(f *testing.F) {
	_, asked, err := wired(ask("www.school.example."))
	if err != nil {
		f.Fatal(err)
	}
	q := newQuestion(&asked)
	sent := bytes.Clone(q.msg)
	q.stamp(sent, true)
	f.Add([]byte{})
	f.Add(sent)
	reply := append([]byte(nil), sent...)
	reply[2] |= 0x80
	f.Add(reply)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := q.reply(b, sent)
		if err == nil && (string(r.Name) != string(asked.Name.Bytes()) || r.Type != asked.Type || r.Class != asked.Class) {
			t.Errorf("accepted %v", r)
		}
	})
}
