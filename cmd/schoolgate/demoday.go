package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// demoDevices are the devices of the demo's school, each on an address of its own.
var demoDevices = []struct {
	name, group string
	habits      []string // names it asks for all day
}{
	{"reception-tablet-1", "children", classroom},
	{"reception-tablet-2", "children", classroom},
	{"reception-tablet-3", "children", classroom},
	{"year1-laptop-1", "children", classroom},
	{"year1-laptop-2", "children", classroom},
	{"year2-laptop-1", "children", classroom},
	{"year2-laptop-2", "children", classroom},
	{"whiteboard-oak", "staff", office},
	{"teacher-laptop", "staff", office},
	{"office-pc", "staff", office},
	{"head-laptop", "staff", office},
	{"visitor-phone", "guests", []string{"mail.example", "news.example", "weather.example"}},
}

var (
	classroom = []string{"phonics.example", "www.phonics.example", "maths.example", "stories.example", "paint.example", "www.google.com", "time.example"}
	office    = []string{"mail.example", "register.example", "council.example", "news.example", "recipes.example", "time.example"}
)

// cloakTarget is what names that begin with "cdn." are an alias of.
const cloakTarget = "tracker.stake.com."

// demoEvents are what stands out of the day. Devices by index.
var demoEvents = []struct {
	at     int // hours and minutes
	device int
	names  []string
	what   string
}{
	{805, 9, []string{"council.example", "use-application-dns.net"}, "the office opens; a browser asks whether to go past the filter"},
	{915, 0, []string{"roblox.com", "www.roblox.com", "apis.roblox.com"}, "a game on a reception tablet"},
	{940, 3, []string{"www.google.com", "www.youtube.com"}, "a search, steered to its safe form"},
	{1020, 4, []string{"pornhub.com", "www.pornhub.com", "www.pornhub.com"}, "a link that no child should meet"},
	{1110, 8, []string{"tiktok.com", "www.instagram.com"}, "a teacher's phone app: allowed to staff"},
	{1115, 5, []string{"www.tiktok.com", "snapchat.com"}, "the same from a child's laptop: refused"},
	{1210, 6, []string{"cdn.clipart.example"}, "an innocent name that leads to a gambling site"},
	{1330, 11, []string{"store.steampowered.com"}, "a visitor's phone"},
	{1415, 1, []string{"bet365.com", "www.bet365.com", "bet365.com"}, "gambling, three times"},
	{1430, 2, []string{"nordvpn.com", "dns.google"}, "ways past the filter"},
	{1505, 10, []string{"roblox.com"}, "the head looks into it, and is refused too"},
}

// day is a school day against the server at an address.
type day struct {
	server netip.AddrPort
	say    io.Writer
}

// play asks everything that the devices ask in a day, in order, and returns how many questions that was. Each is
// answered before the device goes on.
func (d day) play(ctx context.Context) (sent int, err error) {
	conns := make([]*dns.Conn, len(demoDevices))
	for i := range demoDevices {
		local := net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(deviceAddr(i)), 0))
		c, err := net.DialUDP("udp", local, net.UDPAddrFromAddrPort(d.server))
		if err != nil {
			return 0, fmt.Errorf("a device on %s: %w", local.IP, err)
		}
		conns[i] = &dns.Conn{Conn: c}
		defer c.Close()
	}
	next := 0
	for minute := 8 * 60; minute < 15*60+30; minute += 5 {
		clock := minute/60*100 + minute%60
		for i, dev := range demoDevices {
			for k := range 2 {
				name := dev.habits[(minute/5+i+k)%len(dev.habits)]
				n, err := d.visit(ctx, conns[i], name)
				if sent += n; err != nil {
					return sent, err
				}
			}
		}
		for ; next < len(demoEvents) && demoEvents[next].at <= clock; next++ {
			e := demoEvents[next]
			fmt.Fprintf(d.say, "  %02d:%02d  %-18s  %s\n", e.at/100, e.at%100, demoDevices[e.device].name, e.what)
			for _, name := range e.names {
				n, err := d.visit(ctx, conns[e.device], name)
				if sent += n; err != nil {
					return sent, err
				}
			}
		}
	}
	return sent, nil
}

// visit asks what a browser asks before it opens a page.
func (d day) visit(ctx context.Context, c *dns.Conn, name string) (sent int, err error) {
	for _, t := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeHTTPS} {
		if err := ctx.Err(); err != nil {
			return sent, err
		}
		m := new(dns.Msg)
		m.SetQuestion(dns.Fqdn(name), t)
		m.SetEdns0(1232, false)
		if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			return sent, err
		}
		if err := c.WriteMsg(m); err != nil {
			return sent, fmt.Errorf("asking for %s: %w", name, err)
		}
		sent++
		reply, err := c.ReadMsg()
		if err != nil {
			return sent, fmt.Errorf("waiting for the answer to %s: %w", name, err)
		}
		if reply.Id != m.Id {
			return sent, fmt.Errorf("the answer to %s is to another question", name)
		}
	}
	return sent, nil
}
