package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/miekg/dns"

	"schoolgate/config"
	"schoolgate/monitor/record"
	"schoolgate/resolver/query"
)

// runDemo plays a school day against the appliance as run would start it, with stand-ins for the Internet's DNS and the
// school's mail server.
func runDemo(ctx context.Context, c *call) error {
	f := flags("demo")
	dir := f.String("dir", "", "")
	rest, err := parse(f, c.args)
	if err != nil {
		return err
	}
	if err := noArguments(f, rest); err != nil {
		return err
	}
	if *dir, err = emptyDir(*dir); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()

	internet, err := startInternet()
	if err != nil {
		return fmt.Errorf("starting the stand-in for the Internet's DNS: %w", err)
	}
	defer internet.stop()
	mail, err := startMailSink()
	if err != nil {
		return fmt.Errorf("starting the stand-in for the mail server: %w", err)
	}
	defer mail.stop()
	path := filepath.Join(*dir, "schoolgate.toml")
	if err := os.WriteFile(path, demoConfig(*dir, internet.addr, mail.addr), 0o600); err != nil {
		return err
	}
	cfg, err := config.Load(path)
	if err != nil {
		return refused(path, err)
	}
	fmt.Fprintf(c.stdout, "A school day, offline: %d devices, a stand-in for the Internet's DNS, a mail sink.\n", len(cfg.Devices))
	fmt.Fprintf(c.stdout, "Everything is in %s\n\n", *dir)

	sent, err := playDay(ctx, c, path, cfg)
	if err != nil {
		return err
	}
	return demoEnding(ctx, c, cfg, path, sent, mail)
}

// playDay runs the appliance for as long as the day lasts and returns how many queries were sent.
func playDay(ctx context.Context, c *call, path string, cfg *config.Config) (sent int, err error) {
	logFile, err := os.OpenFile(filepath.Join(cfg.Store.Path, "..", "schoolgate.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return 0, err
	}
	defer logFile.Close()
	a := &appliance{path: path, lastGood: filepath.Join(cfg.Store.Path, "last-good.toml"), log: slog.New(slog.NewTextHandler(logFile, nil))}
	a.outcome.Store(&loading{at: time.Now()})
	running, stop := context.WithCancel(ctx)
	defer stop()
	up := make(chan netip.AddrPort, 1)
	ended := make(chan error, 1)
	go func() { ended <- serve(running, a, cfg, func(a *appliance) { up <- a.server.Bound()[0] }) }()
	select {
	case err := <-ended:
		return 0, err
	case server := <-up:
		sent, err = day{server: server, say: c.stdout}.play(ctx)
	}
	if err == nil {
		err = a.mailIsOut(ctx)
	}
	stop()
	return sent, errors.Join(err, <-ended)
}

// mailIsOut waits until every alert has left the outbox.
func (a *appliance) mailIsOut(ctx context.Context) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		opened := uint64(0)
		for _, n := range a.alerts.Stats().Opened {
			opened += n
		}
		unsent, _, err := a.store.OutboxStats(ctx)
		if err != nil {
			return err
		}
		if opened > 0 && a.alerts.Stats().Waiting == 0 && unsent == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the e-mail to be sent: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// demoEnding shows what a DSL and a technical lead would look at next.
func demoEnding(ctx context.Context, c *call, cfg *config.Config, path string, sent int, mail *mailSink) error {
	s, err := openRecord(ctx, cfg)
	if err != nil {
		return err
	}
	defer s.Close()
	kept := 0
	type line struct{ device, name, category, list string }
	times := map[line]int{}
	var order []line
	err = s.Search(ctx, record.Filter{}, func(r record.Row) error {
		kept++
		if r.Action != query.Block || r.Rule == query.Bypass {
			return nil
		}
		l := line{r.Device, r.Name, r.Category, r.List}
		if times[l]++; times[l] == 1 {
			order = append(order, l)
		}
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(c.stdout, "\n%d queries were asked, %d are in the record. What was blocked, latest first:\n\n", sent, kept)
	w := tabwriter.NewWriter(c.stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "  DEVICE\tNAME\tCATEGORY\tLIST\tTIMES")
	for _, l := range order {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%d\n", l.device, l.name, dash(l.category), dash(l.list), times[l])
	}
	if err := w.Flush(); err != nil {
		return err
	}
	letters := mail.received()
	fmt.Fprintf(c.stdout, "\nThe DSL was sent %s. The last one, as it arrived:\n\n", count(len(letters), "e-mail"))
	if len(letters) > 0 {
		for l := range strings.Lines(letters[len(letters)-1]) {
			fmt.Fprintf(c.stdout, "  | %s\n", strings.TrimRight(l, "\r\n"))
		}
	}
	if err := os.WriteFile(filepath.Join(cfg.Store.Path, "..", "mail.txt"), []byte(strings.Join(letters, "\n\n")), 0o600); err != nil {
		return err
	}
	files, err := writeReport(ctx, cfg, s, today(cfg), filepath.Join(cfg.Store.Path, "..", "report"))
	if err != nil {
		return err
	}
	self := os.Args[0]
	fmt.Fprintf(c.stdout, "\nThe review to open in a browser:\n\n  %s\n\nLook further:\n\n", files.HTML)
	fmt.Fprintf(c.stdout, "  %s log --config %s --verdict blocked\n  %s alerts --config %s\n  %s explain --config %s --client reception-tablet-1 roblox.com\n",
		self, path, self, path, self, path)
	if kept != sent {
		return failed("", "%d queries were asked but %d are in the record", sent, kept)
	}
	if len(letters) == 0 {
		return failed("", "no e-mail was sent")
	}
	return nil
}

// emptyDir makes the folder of the demo, or takes one that is empty.
func emptyDir(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "schoolgate-demo-")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	if len(entries) > 0 {
		return "", usage("name a folder that is empty or new", "%s holds %s", dir, count(len(entries), "file"))
	}
	return filepath.Abs(dir)
}

// internetStandIn answers every name, so that nothing need leave the machine.
type internetStandIn struct {
	addr    netip.AddrPort
	servers []*dns.Server
}

func startInternet() (*internetStandIn, error) {
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := udp.LocalAddr().(*net.UDPAddr).AddrPort()
	tcp, err := net.Listen("tcp", addr.String())
	if err != nil {
		_ = udp.Close()
		return nil, err
	}
	h := dns.HandlerFunc(answerAnything)
	in := &internetStandIn{addr: addr, servers: []*dns.Server{{PacketConn: udp, Handler: h}, {Listener: tcp, Handler: h}}}
	for _, s := range in.servers {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() { _ = s.ActivateAndServe() }() // ends with stop
		<-started
	}
	return in, nil
}

func (in *internetStandIn) stop() {
	for _, s := range in.servers {
		_ = s.Shutdown()
	}
}

// answerAnything gives each name a fixed address of the ranges for documentation (RFC 5737, RFC 3849).
func answerAnything(w dns.ResponseWriter, req *dns.Msg) {
	m := new(dns.Msg).SetReply(req)
	m.RecursionAvailable = true
	q := req.Question[0]
	h := byte(1)
	for _, b := range []byte(strings.ToLower(q.Name)) {
		h = h*31 + b
	}
	hdr := dns.RR_Header{Name: q.Name, Rrtype: q.Qtype, Class: dns.ClassINET, Ttl: 300}
	switch {
	case strings.HasPrefix(strings.ToLower(q.Name), "cdn."):
		hdr.Rrtype = dns.TypeCNAME
		m.Answer = append(m.Answer, &dns.CNAME{Hdr: hdr, Target: cloakTarget})
	case q.Qtype == dns.TypeA:
		m.Answer = append(m.Answer, &dns.A{Hdr: hdr, A: net.IPv4(198, 51, 100, h)})
	case q.Qtype == dns.TypeAAAA:
		m.Answer = append(m.Answer, &dns.AAAA{Hdr: hdr, AAAA: net.ParseIP(fmt.Sprintf("2001:db8::%x", h))})
	default:
		soa, _ := dns.NewRR(". 300 IN SOA ns.example. hostmaster.example. 1 7200 900 86400 300")
		m.Ns = append(m.Ns, soa)
	}
	if opt := req.IsEdns0(); opt != nil {
		m.SetEdns0(1232, opt.Do())
	}
	_ = w.WriteMsg(m) // who asked asks again
}

func demoConfig(dir string, internet, mail netip.AddrPort) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, `# The school of the demo: invented devices on addresses of this machine.
[site]
name = "Little Oak Nursery and Infant School"

[dns]
listen = ["127.0.0.1:0"]

[http]
listen = ""

[upstream]
servers = ["udp://%s"]

[dnssec]
mode = "off" # the stand-in for the Internet signs nothing

[policy]
allow = ["phonics.example"]

[alerts]
categories = ["pornography", "hate", "extremism", "gambling"]
dsl = ["dsl@little-oak.example"]
technical = ["technician@little-oak.example"]

[alerts.smtp]
host = "127.0.0.1"
port = %d
tls = "none"
from = "schoolgate@little-oak.example"

[store]
path = %q
flush = "500ms"

[[groups]]
name = "children"
block = ["pornography", "hate", "extremism", "gaming", "illegal", "social-media", "gambling", "bypass"]
safe_search = true
youtube = "strict"

[[groups]]
name = "staff"
block = ["pornography", "hate", "extremism", "gaming", "illegal"]

[[groups]]
name = "guests"
block = ["pornography", "hate", "extremism", "gaming", "illegal"]
`, internet, mail.Port(), filepath.Join(dir, "var"))
	for i, d := range demoDevices {
		fmt.Fprintf(&b, "\n[[devices]]\nname = %q\nip = %q\ngroup = %q\n", d.name, deviceAddr(i), d.group)
	}
	return []byte(b.String())
}

func deviceAddr(i int) string { return fmt.Sprintf("127.0.10.%d", i+1) }
