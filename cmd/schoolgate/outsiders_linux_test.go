package main

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// A part of the school was forgotten: its devices are refused and told why, health and the log name the network, nobody there
// gets data over any transport; and they are answered once the box has an address there, or its configuration names them.
func TestForgottenNetwork(t *testing.T) {
	l := newLAN(t, 2)
	b := floodBox(t, l)
	const host, network = 2, "198.51.100.0/24"
	outside := netip.MustParseAddr("198.51.100.9")
	l.ip(l.hosts[host-1], "addr add 198.51.100.9/32 dev lo")
	l.ip(l.box, "route add 198.51.100.9/32 via 10.77.2.2")

	ask := func(from netip.Addr, transport string) (*dns.Msg, error) {
		c, err := l.dial(host, transport, from, atHost(host))
		if err != nil {
			return nil, err
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(2 * time.Second))
		m := new(dns.Msg)
		m.SetQuestion("roblox.com.", dns.TypeA)
		m.SetEdns0(1232, false)
		dc := dns.Conn{Conn: c}
		if err := dc.WriteMsg(m); err != nil {
			return nil, err
		}
		return dc.ReadMsg()
	}
	m, err := ask(outside, "udp")
	if err != nil {
		t.Fatal(err)
	}
	told := ""
	for _, o := range m.IsEdns0().Option {
		if e, ok := o.(*dns.EDNS0_EDE); ok {
			told = fmt.Sprint(e.InfoCode, " ", e.ExtraText)
		}
	}
	if m.Rcode != dns.RcodeRefused || len(m.Answer) != 0 || !strings.HasPrefix(told, "18 ") || !strings.Contains(told, "dns.allow") {
		t.Errorf("refused with %d, %q", m.Rcode, told)
	}
	if m, err := ask(outside, "tcp"); err == nil {
		t.Errorf("answered over TCP: %v", m)
	}
	if health := l.page(b, "/healthz"); !strings.Contains(health, "dns.outsiders") || !strings.Contains(health, network) {
		t.Errorf("health does not say so: %s", health)
	}
	b.until("the log says so", func() bool { return strings.Contains(b.stderr.String(), "network="+network) })
	if n := strings.Count(b.stderr.String(), network); n != 1 || strings.Contains(b.stderr.String(), outside.String()) {
		t.Errorf("the log has the network %d times: %s", n, b.stderr.String())
	}

	answered := func(want bool) func() bool {
		return func() bool {
			m, err := ask(outside, "tcp")
			return (err == nil && m.Rcode == dns.RcodeNameError) == want
		}
	}
	l.ip(l.box, "addr add 198.51.100.1/24 dev v2") // a new address of the box
	b.until("its own network is answered", answered(true))
	l.ip(l.box, "addr del 198.51.100.1/24 dev v2")
	b.until("a network that it left is not", answered(false))
	text, err := os.ReadFile(b.config)
	if err != nil {
		t.Fatal(err)
	}
	named := strings.Replace(string(text), "[dns]\n", "[dns]\nallow = [\"private\", \""+network+"\"]\n", 1)
	if err := os.WriteFile(b.config, []byte(named), 0o600); err != nil {
		t.Fatal(err)
	}
	b.reload(taken)
	if !answered(true)() {
		t.Error("a network that the configuration names is not answered")
	}

	for i := range 6 { // the Internet
		addr := netip.AddrFrom4([4]byte{203, 0, byte(i), 5})
		l.ip(l.hosts[host-1], "addr add "+addr.String()+"/32 dev lo")
		l.ip(l.box, "route add "+addr.String()+"/32 via 10.77.2.2")
		if m, err := ask(addr, "udp"); err != nil || m.Rcode != dns.RcodeRefused {
			t.Errorf("%v: %v, %v", addr, m, err)
		}
	}
	if health := l.page(b, "/healthz"); !strings.Contains(health, "dns.exposed") {
		t.Errorf("health does not say that the Internet reaches the box: %s", health)
	}
	if n := l.metric(b, `schoolgate_listen_outside_total{kind="question"}`); n < 7 {
		t.Errorf("%v questions counted", n)
	}
	b.stop()
}
