package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/miekg/dns"

	"schoolgate/monitor/record"
	"schoolgate/monitor/store"
)

// school is the configuration of a box for a test. The zero value filters with the starter lists, on free ports of
// loopback, without an upstream; the record is in the folder var beside the file.
type school struct {
	dns, http string // where it listens; "" is a free port of 127.0.0.1
	upstream  string // "" is none
	policy    string // lines of [policy]
	children  string // lines of the group children
	alerts    string // lines of [alerts] and tables below it
	store     string // lines of [store]
	more      string // tables
}

func (s school) toml(dir string) string {
	servers := ""
	if s.upstream != "" {
		servers = fmt.Sprintf("%q", s.upstream)
	}
	free := func(addr string) string {
		if addr == "" {
			return "127.0.0.1:0"
		}
		return addr
	}
	return fmt.Sprintf(`[site]
name = "Test School"
[dns]
listen = [%q]
[http]
listen = %q
[upstream]
servers = [%s]
timeout = "1s"
[policy]
default_group = "children"
%s
[alerts]
%s
[store]
path = %q
%s
[[groups]]
name = "children"
block = ["pornography", "hate", "extremism", "gaming", "social-media", "gambling", "bypass"]
%s
[[groups]]
name = "staff"
clients = ["127.31.0.0/16"]
block = ["pornography", "hate", "extremism"]
%s
`, free(s.dns), free(s.http), servers, s.policy, s.alerts, filepath.Join(dir, "var"), s.store, s.children, s.more)
}

// write puts the configuration into dir, in place of the one there.
func (s school) write(t testing.TB, dir string) string {
	t.Helper()
	return writeConfig(t, dir, s.toml(dir))
}

// startBox is launch, for a box that may still run when the test ends: it is then stopped rather than killed, so that not
// even the process that compiles its lists writes into a folder that is being removed.
func startBox(t testing.TB, config string, more ...string) *box {
	t.Helper()
	b := launch(t, config, more...)
	t.Cleanup(func() {
		_ = b.cmd.Process.Signal(syscall.SIGTERM) // which fails when it has ended
		<-b.ended
	})
	return b
}

// record is where the box keeps its state.
func (b *box) record() string { return filepath.Join(filepath.Dir(b.config), "var") }

// rows reads the whole record, oldest first.
func (b *box) rows() []record.Row {
	b.t.Helper()
	var out []record.Row
	b.read(func(r *store.Reader) error {
		return r.Search(b.t.Context(), record.Filter{}, func(row record.Row) error { out = append(out, row); return nil })
	})
	return out
}

// read opens the record as another process would.
func (b *box) read(f func(*store.Reader) error) {
	b.t.Helper()
	r, err := store.OpenReader(b.t.Context(), b.record())
	if err != nil {
		b.t.Fatal(err)
	}
	if err := errors.Join(f(r), r.Close()); err != nil {
		b.t.Fatal(err)
	}
}

// signal sends the process a signal.
func (b *box) signal(s syscall.Signal) {
	b.t.Helper()
	if err := b.cmd.Process.Signal(s); err != nil {
		b.t.Fatal(err)
	}
}

// page gets a page of health or metrics.
func (b *box) page(path string) (text string, status int) {
	b.t.Helper()
	resp, err := http.Get(b.http + path)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return string(body), resp.StatusCode
}

// conditions gives what /healthz says, titles by code.
func (b *box) conditions() map[string]string {
	b.t.Helper()
	text, status := b.page("/healthz")
	if status != http.StatusOK {
		b.t.Fatalf("/healthz is %d: %s", status, text)
	}
	var got struct {
		Conditions []struct{ Code, Title string }
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		b.t.Fatalf("%v in %s", err, text)
	}
	out := map[string]string{}
	for _, c := range got.Conditions {
		if _, twice := out[c.Code]; twice {
			b.t.Errorf("/healthz has the condition %s twice", c.Code)
		}
		out[c.Code] = c.Title
	}
	return out
}

// serveDNS is an upstream on loopback, UDP and TCP, that answers as h does. It returns its address as the configuration
// names one.
func serveDNS(t testing.TB, h dns.HandlerFunc) string {
	t.Helper()
	var udp net.PacketConn
	var tcp net.Listener
	for err := error(syscall.EADDRINUSE); errors.Is(err, syscall.EADDRINUSE); { // a port that is free for one need not be for the other
		var bad error
		if udp, bad = net.ListenPacket("udp", "127.0.0.1:0"); bad != nil {
			t.Fatal(bad)
		}
		if tcp, err = net.Listen("tcp", udp.LocalAddr().String()); err != nil {
			_ = udp.Close()
		}
		if err != nil && !errors.Is(err, syscall.EADDRINUSE) {
			t.Fatal(err)
		}
	}
	for _, s := range []*dns.Server{{PacketConn: udp, Handler: h}, {Listener: tcp, Handler: h}} {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() { _ = s.ActivateAndServe() }() // ends with Shutdown
		<-started
		t.Cleanup(func() { _ = s.Shutdown() })
	}
	return "udp://" + udp.LocalAddr().String()
}

// deadAddr is an address of loopback where nobody answers.
func deadAddr(t testing.TB) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() }) // held and never read: no other test gets the port
	return c.LocalAddr().String()
}

// reasonOf is the extended error of a reply, its code and text; -1 without one.
func reasonOf(reply *dns.Msg) (code int, text string) {
	if opt := reply.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if e, ok := o.(*dns.EDNS0_EDE); ok {
				return int(e.InfoCode), e.ExtraText
			}
		}
	}
	return -1, ""
}

// verdictOf is how a reply looks to a device.
func verdictOf(reply *dns.Msg) string {
	code, _ := reasonOf(reply)
	switch {
	case code == int(dns.ExtendedErrorCodeBlocked):
		return "blocked"
	case reply.Rcode != dns.RcodeSuccess:
		return dns.RcodeToString[reply.Rcode]
	}
	return "allowed"
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
