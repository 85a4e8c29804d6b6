package notice

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

// served runs a server on loopback addresses until the test ends.
func served(t testing.TB, s *Server) {
	t.Helper()
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	if s.Handler == nil {
		s.Handler = newPage(t)
	}
	s.Open()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
}

func anyPort() []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")} }

// say sends text and gives the first line of what comes back, "" when the server hangs up.
func say(t testing.TB, s *Server, text string) string {
	t.Helper()
	c, err := net.Dial("tcp", s.Bound()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, text)
	line, _ := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(line)
}

func TestServer(t *testing.T) {
	defer goleak.VerifyNone(t)
	t.Run("serves", func(t *testing.T) {
		s := &Server{Addrs: anyPort()}
		served(t, s)
		for request, want := range map[string]string{
			"GET / HTTP/1.1\r\nHost: games.example\r\n\r\n":                                              "HTTP/1.1 403 Forbidden",
			"HEAD / HTTP/1.1\r\nHost: games.example\r\n\r\n":                                             "HTTP/1.1 403 Forbidden",
			"GET http://games.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n":                           "HTTP/1.1 403 Forbidden",
			"CONNECT games.example:443 HTTP/1.1\r\nHost: games.example:443\r\n\r\n":                      "HTTP/1.1 403 Forbidden",
			"GET / HTTP/1.0\r\n\r\n":                                                                     "HTTP/1.0 404 Not Found",
			"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n":                                               "HTTP/1.1 400 Bad Request",
			"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 4*maxHeader) + "\r\n\r\n":           "HTTP/1.1 431 Request Header Fields Too Large",
			"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + strings.Repeat("\x00", 40) + "\r\n\r\n\r\n": "HTTP/1.1 400 Bad Request",
		} {
			if got := say(t, s, request); got != want {
				t.Errorf("%.40q: %q, want %q", request, got, want)
			}
		}
	})
	t.Run("refuses strangers", func(t *testing.T) {
		s := &Server{Addrs: anyPort(), Allowed: func(netip.Addr) bool { return false }}
		served(t, s)
		if got := say(t, s, "GET / HTTP/1.1\r\nHost: games.example\r\n\r\n"); got != "" {
			t.Errorf("a stranger gets %q", got)
		}
	})
}

// One device that opens connections and says nothing keeps its own share busy, and nobody else's.
func TestConnectionsAreBounded(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := &Server{Addrs: anyPort()}
	t.Run("full", func(t *testing.T) {
		served(t, s)
		addr := s.Bound()[0].String()
		var open []net.Conn
		for range maxPerClient {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, _ = io.WriteString(c, "GET / HT") // and not a word more
			open = append(open, c)
		}
		if got := say(t, s, "GET / HTTP/1.1\r\nHost: games.example\r\n\r\n"); got != "" {
			t.Errorf("one connection too many gets %q", got)
		}
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
		c, err := d.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: games.example\r\n\r\n")
		if line, _ := bufio.NewReader(c).ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 403") {
			t.Errorf("another device gets %q", line)
		}
		_, _ = io.WriteString(open[0], "TP/1.1\r\nHost: games.example\r\nConnection: close\r\n\r\n")
		_, _ = io.Copy(io.Discard, open[0]) // until the server has closed it, so its place is free
		if got := say(t, s, "GET / HTTP/1.1\r\nHost: games.example\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 403") {
			t.Errorf("when a place is free: %q", got)
		}
	})
	if s.gate.all != 0 || len(s.gate.by) != 0 {
		t.Errorf("after the end %d connections count, of %v", s.gate.all, s.gate.by)
	}
}

// An address that another program has is told of, and the others are served.
func TestAddressTaken(t *testing.T) {
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	s := &Server{Addrs: append(anyPort(), taken.Addr().(*net.TCPAddr).AddrPort(), netip.MustParseAddrPort("192.0.2.1:80"))}
	served(t, s)
	var codes, hints []string
	for _, c := range s.Conditions(time.Now()) {
		codes, hints = append(codes, c.Code), append(hints, c.Hint)
		if c.Since.IsZero() || !strings.Contains(c.Title, "cannot be served at") {
			t.Errorf("condition %+v", c)
		}
	}
	if d := cmp.Diff([]string{"page.unserved", "page.unserved"}, codes); d != "" {
		t.Error(d)
	}
	if len(hints) != 2 || !strings.Contains(hints[0], "ss -ltnp") || !strings.Contains(hints[1], "No interface") {
		t.Errorf("hints %q", hints)
	}
	if got := say(t, s, "GET / HTTP/1.1\r\nHost: games.example\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 403") {
		t.Errorf("the address that is free: %q", got)
	}
	// Once it is free, it is taken.
	taken.Close()
	if l := s.open(1); l == nil {
		t.Error("the address is free and not taken")
	} else {
		defer l.Close()
	}
	if got := len(s.Conditions(time.Now())); got != 1 {
		t.Errorf("%d conditions", got)
	}
}

func TestAddresses(t *testing.T) {
	at := func(prefix string, iface int) home {
		p := netip.MustParsePrefix(prefix)
		return home{p.Addr(), p.Masked(), iface}
	}
	homes := []home{
		at("127.0.0.1/8", 1), at("::1/128", 1),
		at("192.0.2.1/25", 2), at("2001:db8:2::1/64", 2),
		at("192.0.2.129/25", 3),
	}
	bind := func(addrs ...string) *Server {
		s := &Server{Log: slog.New(slog.DiscardHandler), interfaces: func() ([]home, error) { return append([]home(nil), homes...), nil }}
		for _, a := range addrs {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			s.Addrs = append(s.Addrs, netip.MustParseAddrPort(a))
			s.doors = append(s.doors, door{listener: l})
		}
		s.lookAround()
		return s
	}
	none := bind()
	everywhere, four, one := bind("0.0.0.0:80", "[::]:80"), bind("0.0.0.0:80"), bind("192.0.2.129:80")
	for _, tt := range []struct {
		s              *Server
		client, v4, v6 string
	}{
		{everywhere, "192.0.2.7", "192.0.2.1", "2001:db8:2::1"},
		{everywhere, "2001:db8:2::7", "192.0.2.1", "2001:db8:2::1"},
		{everywhere, "192.0.2.200", "192.0.2.129", ""},
		{everywhere, "198.51.100.1", "192.0.2.1", "2001:db8:2::1"}, // from a network beyond
		{everywhere, "127.5.0.1", "127.0.0.1", "::1"},
		{four, "2001:db8:2::7", "192.0.2.1", ""},
		{one, "192.0.2.7", "192.0.2.129", ""},
		{none, "192.0.2.7", "", ""},
		{new(Server), "192.0.2.7", "", ""},
	} {
		v4, v6 := tt.s.Addresses(netip.MustParseAddr(tt.client))
		show := func(a netip.Addr) string {
			if !a.IsValid() {
				return ""
			}
			return a.String()
		}
		if show(v4) != tt.v4 || show(v6) != tt.v6 {
			t.Errorf("%v for %s: %v %v, want %q %q", tt.s.Addrs, tt.client, v4, v6, tt.v4, tt.v6)
		}
	}
	client := netip.MustParseAddr("192.0.2.7")
	if n := testing.AllocsPerRun(100, func() { everywhere.Addresses(client) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The machine that the test runs on has addresses, none of which needs a zone.
func TestMachine(t *testing.T) {
	homes, err := machine()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range homes {
		if !h.addr.IsValid() || h.addr.Is4In6() || h.addr.IsLinkLocalUnicast() || !h.net.Contains(h.addr) || h.iface == 0 {
			t.Errorf("%+v", h)
		}
	}
}

func TestServerEndsBeforeItRuns(t *testing.T) {
	defer goleak.VerifyNone(t)
	s := &Server{Addrs: anyPort(), Handler: http.NotFoundHandler(), Log: slog.New(slog.DiscardHandler)}
	s.Open()
	addr := s.Bound()[0].String()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("the address is still open")
	}
}
