package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// encryptedBox is a box with all transports, and a file with the authority that its clients are to trust.
type encryptedBox struct {
	*box
	tls, https, quic netip.AddrPort
	authority        string
}

const encryptedTables = `[encrypted]
name = "dns.school.example"
tls = ["127.0.0.1:0"]
https = ["127.0.0.1:0"]
quic = ["127.0.0.1:0"]
[[devices]]
name = "Staff phone"
id = "phone-k3x9"
group = "staff"
`

func startEncrypted(t *testing.T, s school) *encryptedBox {
	t.Helper()
	dir := t.TempDir()
	s.more += encryptedTables
	e := &encryptedBox{box: startBox(t, s.write(t, dir)), authority: filepath.Join(dir, "authority.pem")}
	for _, w := range []struct {
		what string
		addr *netip.AddrPort
	}{{"TLS", &e.tls}, {"HTTPS", &e.https}, {"QUIC", &e.quic}} {
		found := regexp.MustCompile(`DNS over ` + w.what + `\s+(\S+)`).FindStringSubmatch(e.stdout.String())
		if found == nil {
			t.Fatalf("no address for %s in %s", w.what, e.stdout.String())
		}
		*w.addr = netip.MustParseAddrPort(found[1])
	}
	if err := os.WriteFile(e.authority, []byte(e.schoolgate("certificate", "export")), 0o600); err != nil {
		t.Fatal(err)
	}
	return e
}

// byProto is how many questions came over a transport, as the metrics say.
func (e *encryptedBox) byProto(proto string) (n int) {
	text, _ := e.page("/metrics")
	for _, found := range regexp.MustCompile(`schoolgate_queries_total\{[^}]*proto="`+proto+`"[^}]*\} (\d+)`).FindAllStringSubmatch(text, -1) {
		v, _ := strconv.Atoi(found[1])
		n += v
	}
	return n
}

// TestEncryptedKdig asks by a client of another maker, which checks the certificate.
func TestEncryptedKdig(t *testing.T) {
	t.Parallel()
	path := tool(t, "kdig", "knot-dnsutils")
	e := startEncrypted(t, school{upstream: serveDNS(t, zone)})
	kdig := func(addr netip.AddrPort, args ...string) string {
		t.Helper()
		args = append([]string{"@127.0.0.1", "-p", strconv.Itoa(int(addr.Port())), "+time=10", "+retry=0"}, args...)
		cmd := exec.Command(path, args...)
		cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "HOME="+t.TempDir())
		out, _ := cmd.CombinedOutput() // it fails where it is to
		return string(out)
	}
	trust := []string{"+tls-ca=" + e.authority, "+tls-hostname=dns.school.example"}
	for _, c := range []struct {
		proto string
		addr  netip.AddrPort
		last  []string
	}{
		{"tls", e.tls, nil},
		{"https", e.https, []string{"+https=/dns-query"}},
		{"https", e.https, []string{"+https=/dns-query/phone-k3x9", "+https-get"}},
		{"quic", e.quic, []string{"+quic"}},
	} {
		args := append(trust[:2:2], c.last...)
		before := e.byProto(c.proto)
		out := kdig(c.addr, append(args, "lesson.example")...)
		if !strings.Contains(out, "status: NOERROR") || !strings.Contains(out, "198.51.100.") || !strings.Contains(out, "Received 468 B") {
			t.Errorf("%s %v: %s", c.proto, c.last, out)
		}
		e.until("the question is counted", func() bool { return e.byProto(c.proto) == before+1 })
		out = kdig(c.addr, append(args, "large.example", "TXT")...)
		if !strings.Contains(out, "ANSWER: 40") {
			t.Errorf("%s %v: %s", c.proto, c.last, last(out, 2000))
		}
		refused := "status: NXDOMAIN"
		if strings.Contains(fmt.Sprint(c.last), "phone") {
			refused = "status: NOERROR" // staff may play
		}
		if out = kdig(c.addr, append(args, "roblox.com")...); !strings.Contains(out, refused) {
			t.Errorf("%s %v: %s", c.proto, c.last, out)
		}
	}
	out := kdig(e.tls, "+tls-ca="+e.authority, "+tls-hostname=phone-k3x9.dns.school.example", "+tls-sni=phone-k3x9.dns.school.example", "roblox.com")
	if !strings.Contains(out, "status: NOERROR") {
		t.Errorf("a phone that says who it is: %s", out)
	}
	for _, wrong := range [][]string{{"+tls-ca=" + e.authority, "+tls-hostname=other.example"}, {"+tls-ca", "+tls-hostname=dns.school.example"}} {
		if out := kdig(e.tls, append(wrong, "lesson.example")...); !strings.Contains(out, "Error in the certificate") {
			t.Errorf("%v: %s", wrong, out)
		}
	}
}

// TestEncryptedPortTaken: an address of encrypted DNS that another program has costs nobody their names, is told of, and is
// not announced.
func TestEncryptedPortTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := school{upstream: serveDNS(t, zone), more: strings.Replace(encryptedTables, `https = ["127.0.0.1:0"]`, fmt.Sprintf("https = [%q]", l.Addr()), 1)}
	b := startBox(t, s.write(t, t.TempDir()))
	if reply := b.ask("127.0.0.1", "lesson.example", dns.TypeA); len(reply.Answer) == 0 {
		t.Errorf("%v", reply)
	}
	if title := b.conditions()["encrypted.unserved"]; !strings.Contains(title, l.Addr().String()) {
		t.Errorf("conditions %v", b.conditions())
	}
	if reply := b.ask("127.0.0.1", "_dns.resolver.arpa", dns.TypeSVCB); len(reply.Answer) != 2 || strings.Contains(reply.String(), "h2") {
		t.Errorf("designated: %v", reply)
	}
}

// TestDesignated: a device that looks for encrypted DNS finds it by the address that it asked, and reaches it.
func TestDesignated(t *testing.T) {
	t.Parallel()
	e := startEncrypted(t, school{upstream: serveDNS(t, zone)})
	reply := e.ask("127.0.0.1", "_dns.resolver.arpa", dns.TypeSVCB)
	want := fmt.Sprintf(`1 dns.school.example. alpn="h2" port="%d" ipv4hint="127.0.0.1" dohpath="/dns-query{?dns}"
2 dns.school.example. alpn="dot" port="%d" ipv4hint="127.0.0.1"
3 dns.school.example. alpn="doq" port="%d" ipv4hint="127.0.0.1"
`, e.https.Port(), e.tls.Port(), e.quic.Port())
	got := ""
	for _, rr := range reply.Answer {
		got += strings.TrimPrefix(rr.String(), rr.Header().String()) + "\n"
	}
	if got != want {
		t.Errorf("designated:\n%swant\n%s", got, want)
	}
	if a := e.ask("127.0.0.1", "dns.school.example", dns.TypeA).Answer; len(a) != 1 || a[0].(*dns.A).A.String() != "127.0.0.1" {
		t.Errorf("the box's own name: %v", a)
	}
	if c := e.conditions(); c["certificate.failing"]+c["certificate.expiring"] != "" {
		t.Errorf("conditions: %v", c)
	}
	var shown map[string]*struct{ Names, Addresses []string }
	if err := json.Unmarshal([]byte(e.schoolgate("certificate", "--json")), &shown); err != nil || shown["authority"] == nil {
		t.Fatal(err)
	}
	if c := shown["certificate"]; fmt.Sprint(c.Names, c.Addresses) != "[dns.school.example *.dns.school.example] [127.0.0.1]" {
		t.Errorf("certificate: %+v", c)
	}
	profile := e.schoolgate("certificate", "export", "--format", "mobileconfig", "--id", "phone-k3x9", "--ssid", "School & Co")
	for _, want := range []string{
		fmt.Sprintf("<string>https://dns.school.example:%d/dns-query/phone-k3x9</string>", 0), "<string>School &amp; Co</string>", "com.apple.security.root",
	} {
		if !strings.Contains(profile, want) {
			t.Errorf("the profile lacks %s:\n%s", want, profile)
		}
	}
	if _, stderr, code := invoke(t, filepath.Dir(e.config), "certificate", "export", "--page", "--config", e.config); code != exitFailed || !strings.Contains(stderr, "page.https") {
		t.Errorf("the authority of pages, which there is not: %d, %s", code, stderr)
	}
}

// TestEncryptedReload: another name in the file holds at a reload; files that are no certificate leave the old one in use.
func TestEncryptedReload(t *testing.T) {
	t.Parallel()
	e := startEncrypted(t, school{upstream: serveDNS(t, zone)})
	dir := filepath.Dir(e.config)
	text := strings.Replace(readFile(t, e.config), "dns.school.example", "dns.other.example", 1)
	writeConfig(t, dir, text)
	e.reload(taken)
	e.until("the other name is answered for", func() bool { return len(e.ask("127.0.0.1", "dns.other.example", dns.TypeA).Answer) == 1 })
	if out := e.schoolgate("certificate"); !strings.Contains(out, "*.dns.other.example") {
		t.Errorf("certificate: %s", out)
	}
	bad := filepath.Join(dir, "bad.pem")
	if err := os.WriteFile(bad, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	writeConfig(t, dir, strings.Replace(text, "[encrypted]", fmt.Sprintf("[encrypted]\ncert_file = %q\nkey_file = %[1]q", bad), 1))
	e.reload(taken)
	e.until("the broken files are told of", func() bool { return e.conditions()["certificate.failing"] != "" })
	if path := tool(t, "kdig", "knot-dnsutils"); path != "" {
		out, err := exec.Command(path, "@127.0.0.1", "-p", strconv.Itoa(int(e.tls.Port())), "+tls", "roblox.com").CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("NXDOMAIN")) {
			t.Errorf("the certificate before does not serve any longer: %v\n%s", err, out)
		}
	}
}

// browse has Chromium, with a profile that trusts an authority and asks a resolver over HTTPS, show a page as text.
func browse(t *testing.T, e *encryptedBox, template, url string) string {
	t.Helper()
	browser, certutil := tool(t, "chromium", "chromium"), tool(t, "certutil", "libnss3-tools")
	home := t.TempDir()
	db, profile := filepath.Join(home, ".pki", "nssdb"), filepath.Join(home, "profile")
	for _, dir := range []string{db, profile} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{
		{"-d", "sql:" + db, "-N", "--empty-password"},
		{"-d", "sql:" + db, "-A", "-t", "C,,", "-n", "school", "-i", e.authority},
	} {
		if out, err := exec.Command(certutil, args...).CombinedOutput(); err != nil {
			t.Fatalf("certutil %v: %v\n%s", args, err, out)
		}
	}
	state := fmt.Sprintf(`{"dns_over_https":{"mode":"secure","templates":%q}}`, template)
	if err := os.WriteFile(filepath.Join(profile, "Local State"), []byte(state), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	args := []string{
		"--headless", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking", "--disable-crash-reporter",
		"--user-data-dir=" + profile, "--timeout=20000", "--dump-dom",
	}
	if os.Geteuid() == 0 {
		args = append(args, "--no-sandbox") // the sandbox does not run as root
	}
	cmd := exec.CommandContext(ctx, browser, append(args, url)...)
	cmd.Env = append(os.Environ(), "HOME="+home)
	cmd.WaitDelay = 10 * time.Second
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, last(log.String(), 4000))
	}
	return string(out)
}

// TestEncryptedChromium: a browser with secure DNS, which trusts the box's authority, opens a page whose name nobody else
// knows; the name of a game it does not find.
func TestEncryptedChromium(t *testing.T) {
	if testing.Short() {
		t.Skip("starting a browser takes seconds")
	}
	t.Parallel()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "<p>Welcome to the lesson</p>")
	}))
	t.Cleanup(site.Close)
	e := startEncrypted(t, school{more: "[answers]\nprivate = [\"school.example\", \"games.example\"]\n", children: `deny = ["games.example"]`, upstream: serveDNS(t, func(w dns.ResponseWriter, req *dns.Msg) {
		m := new(dns.Msg).SetReply(req)
		m.RecursionAvailable = true
		if req.Question[0].Qtype == dns.TypeA {
			m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: req.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(127, 0, 0, 1)})
		}
		_ = w.WriteMsg(m) // who asked asks again
	})})
	port := site.Listener.Addr().(*net.TCPAddr).Port
	for _, tt := range []struct {
		name, host, template string
		found                bool
	}{
		{"allowed", "lesson.school.example", "https://%s/dns-query{?dns}", true},
		{"blocked", "games.example", "https://%s/dns-query{?dns}", false},
		{"says who it is, by POST", "games.example", "https://%s/dns-query/phone-k3x9", true},
	} {
		before := e.byProto("https")
		dom := browse(t, e, fmt.Sprintf(tt.template, e.https), fmt.Sprintf("http://%s:%d/", tt.host, port))
		if strings.Contains(dom, "Welcome to the lesson") != tt.found {
			t.Errorf("%s: shows\n%s", tt.name, last(dom, 3000))
		}
		if e.byProto("https") == before {
			t.Errorf("%s: nothing was asked by HTTPS", tt.name)
		}
	}
	if n := e.byProto("udp") + e.byProto("tcp"); n != 0 {
		t.Errorf("%d questions came in plain text", n)
	}
}
