package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// pagedSchool is a school with more lines of [page].
type pagedSchool struct {
	school
	page string
}

// paged is a school with a block page and a list of the illegal tier, whose box is at b and its page at addr.
func paged(t *testing.T, s pagedSchool) (b *box, addr string) {
	t.Helper()
	dir := t.TempDir()
	s.children = `answer = "page"`
	games := filepath.Join(dir, "games.txt")
	if err := os.WriteFile(games, []byte("play.example\nroblox.com\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.more += tierList("feed", "illegal", feedFile(t, dir, tierFeed)) + tierList("games", "gaming", games) +
		"[page]\nhttp = [\"127.0.0.1:0\"]\n" + s.page + "lead = \"Mrs Example\"\ncontact = [\"mailto:office@school.example\"]\n[[devices]]\nname = \"Tablet 7\"\nip = \"127.30.0.7\"\n"
	b = startBox(t, s.write(t, dir))
	where := regexp.MustCompile(`block page\s+(\S+)`).FindStringSubmatch(b.stdout.String())
	if where == nil {
		t.Fatalf("no block page in %q", b.stdout.String())
	}
	b.until("the lists are in force", func() bool {
		return verdictOf(b.ask("127.30.0.1", "listed-site.example", dns.TypeA)) == "blocked" && verdictOf(b.ask("127.30.0.1", "play.example", dns.TypeA)) == "blocked"
	})
	return b, where[1]
}

// visit asks the page as a device at an address does, for a host.
func visit(t *testing.T, from, addr, method, host, path string, form url.Values) (status int, text string) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c := http.Client{Transport: &http.Transport{DialContext: d.DialContext, DisableKeepAlives: true}}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+addr+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", "http://"+host)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

const askAt = "/.schoolgate/ask"

func TestBlockPage(t *testing.T) {
	t.Parallel()
	sink, err := startMailSink()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sink.stop)
	b, addr := paged(t, pagedSchool{school: school{upstream: serveDNS(t, tierUpstream), alerts: fmt.Sprintf(
		"dsl = [\"dsl@school.example\"]\ntechnical = [\"it@school.example\"]\n[alerts.smtp]\nhost = \"127.0.0.1\"\nport = %d\ntls = \"none\"\nfrom = \"box@school.example\"", sink.addr.Port())}})

	// A refused name leads the group to the box; other types and families lead nowhere.
	for name, want := range map[string]string{"roblox.com": "127.0.0.1", "listed-site.example": "127.0.0.1", "www.pornhub.com": "127.0.0.1"} {
		reply := b.ask("127.30.0.7", name, dns.TypeA)
		if a, ok := reply.Answer[0].(*dns.A); !ok || a.A.String() != want || a.Hdr.Ttl != 60 {
			t.Errorf("%s: %v", name, reply)
		}
		if reply := b.ask("127.30.0.7", name, dns.TypeHTTPS); len(reply.Answer) != 0 || reply.Rcode != dns.RcodeSuccess {
			t.Errorf("%s HTTPS: %v", name, reply)
		}
	}

	// What a device sees depends on what it may have, and what leads to a refused name is closed too.
	b.ask("127.30.0.7", "alias.school.example", dns.TypeA)
	for _, tt := range []struct {
		from, host string
		status     int
		has        string
	}{
		{"127.30.0.7", "roblox.com", 403, "The school has closed games on this device."},
		{"127.31.0.7", "roblox.com", 404, "belongs to the school"},
		{"127.30.0.7", "www.lesson.example", 404, "belongs to the school"},
		{"127.30.0.7", "www.pornhub.com", 403, "The school has closed this page."},
		{"127.31.0.7", "listed-site.example", 403, "The school has closed this page."},
		{"127.30.0.7", "alias.school.example", 403, "The school has closed this page."},
	} {
		status, text := visit(t, tt.from, addr, "GET", tt.host, "/", nil)
		if status != tt.status || !strings.Contains(text, tt.has) || !strings.Contains(text, "Test School") || !strings.Contains(text, "Mrs Example") {
			t.Errorf("%s for %s: %d\n%s", tt.host, tt.from, status, text)
		}
	}
	_, adult := visit(t, "127.30.0.7", addr, "GET", "www.pornhub.com", "/", nil)
	if _, tier := visit(t, "127.30.0.7", addr, "GET", "listed-site.example", "/", nil); tier != adult {
		t.Error("the page tells the illegal tier from others")
	}

	// Requests reach the command and the mail, and never hold a name of the illegal tier.
	sent := url.Values{"name": {"A. Teacher"}, "role": {"teacher"}, "why": {"for maths"}}
	if status, text := visit(t, "127.30.0.7", addr, "POST", "roblox.com", askAt, sent); status != 200 {
		t.Errorf("asking: %d %s", status, text)
	}
	tier := url.Values{"name": {"Pupil"}, "role": {"other"}, "why": {"see www.listed-site.example please"}}
	if status, text := visit(t, "127.30.0.7", addr, "POST", "listed-site.example", askAt, tier); status != 200 {
		t.Errorf("asking: %d %s", status, text)
	}
	out := b.schoolgate("requests")
	for _, want := range []string{"Request 1, ", "roblox.com", "gaming", "Tablet 7, group children", "A. Teacher (teacher); nobody has checked", "for maths", "Request 2, ", "(withheld: illegal tier)", "schoolgate explain roblox.com"} {
		if !strings.Contains(out, want) {
			t.Errorf("the command does not show %q:\n%s", want, out)
		}
	}
	b.until("mail came", func() bool { return strings.Contains(strings.Join(sink.received(), "\n"), "a site is to be looked at") })
	if title := b.conditions()["page.requests"]; title != "2 requests from the block page wait for an answer" {
		t.Errorf("condition %q", title)
	}
	b.schoolgate("requests", "done", "1", "--by", "A. Lead", "--why", "open for a term")
	b.until("one is answered", func() bool { return strings.HasPrefix(b.conditions()["page.requests"], "1 request ") })
	if out := b.schoolgate("requests"); strings.Contains(out, "roblox") || !strings.Contains(out, "Request 2, ") {
		t.Errorf("after an answer:\n%s", out)
	}
	if out := b.schoolgate("requests", "--all", "--json"); strings.Count(out, "\n") != 2 || !strings.Contains(out, `"answer":"open for a term"`) {
		t.Errorf("after an answer:\n%s", out)
	}
	if out := b.schoolgate("audit", "export"); !strings.Contains(out, "answered") || !strings.Contains(out, "request 1 from the block page") {
		t.Errorf("audit:\n%s", out)
	}
	if _, stderr, code := invoke(t, filepath.Dir(b.config), "requests", "done", "9", "--by", "A. Lead", "--why", "x", "--config", b.config); code != exitFailed || !strings.Contains(stderr, "no request has the number 9") {
		t.Errorf("%d %s", code, stderr)
	}
	metrics, _ := b.page("/metrics")
	if !strings.Contains(metrics, `schoolgate_page_requests_total{outcome="asked"} 2`) {
		t.Error("the metrics do not count requests")
	}
	today := b.schoolgate("report", "--from", "today", "--to", "today")
	review, err := os.ReadFile(strings.Fields(today)[0])
	if err != nil || !strings.Contains(string(review), "open for a term") || strings.Contains(string(review), "A. Teacher") {
		t.Errorf("the review: %v", err)
	}
	b.stop()
	mails := strings.Join(sink.received(), "\n")
	for where, text := range map[string]string{"mail": mails, "log": b.stderr.String(), "requests": out, "review": string(review)} {
		if strings.Contains(text, "listed-site") {
			t.Errorf("%s holds a name of the illegal tier:\n%s", where, text)
		}
	}
	if strings.Contains(mails+b.stderr.String(), "Teacher") || strings.Contains(mails+b.stderr.String(), "roblox") {
		t.Error("mail or log hold who asked, or for what")
	}
	if path, ok := holds(t, b.record(), "listed-site"); ok {
		t.Errorf("%s holds a name of the illegal tier", path)
	}
}

// holds finds a file below dir that has the text in it.
func holds(t *testing.T, dir, text string) (found string, ok bool) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), text) {
			found, ok = path, true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found, ok
}

// TestBlockPagePortTaken: a page that cannot be served keeps nobody from being answered.
func TestBlockPagePortTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := school{children: `answer = "page"`, more: fmt.Sprintf("[page]\nhttp = [%q]\n", l.Addr())}
	b := startBox(t, s.write(t, t.TempDir()))
	if reply := b.ask("127.30.0.7", "roblox.com", dns.TypeA); verdictOf(reply) != "blocked" || reply.Rcode != dns.RcodeNameError {
		t.Errorf("%v", reply)
	}
	if title := b.conditions()["page.unserved"]; !strings.Contains(title, l.Addr().String()) {
		t.Errorf("conditions %v", b.conditions())
	}
}

// TestBlockPageInBrowser: a child's tablet and a desktop, by the eyes of Chromium. Well-known names will not do: browsers
// hold lists of those that are to be asked for by HTTPS alone.
func TestBlockPageInBrowser(t *testing.T) {
	t.Parallel()
	tool(t, "chromium", "chromium")
	b, addr := paged(t, pagedSchool{school: school{upstream: serveDNS(t, tierUpstream)}})
	c := openChromium(t, "", "--host-resolver-rules=MAP * "+addr)
	seen := map[string]bool{}
	for _, s := range []struct {
		width, height int
		scheme        string
	}{{320, 640, "light"}, {320, 640, "dark"}, {1280, 900, "light"}, {1280, 900, "dark"}} {
		c.screen(s.width, s.height, s.scheme)
		for _, u := range []string{"http://play.example/", "http://listed-site.example/a?b", "http://play.example" + askAt, "http://www.lesson.example/"} {
			if problem := c.open(u); problem != "" {
				t.Fatalf("%s: %s", u, problem)
			}
			what := fmt.Sprintf("%s at %d in the %s", u, s.width, s.scheme)
			if n := c.colours(); n < 20 {
				t.Errorf("%s is blank: %d colours", what, n)
			}
			if got := c.eval("document.documentElement.scrollWidth > document.documentElement.clientWidth || innerWidth != " + fmt.Sprint(s.width)); got != "false" {
				t.Errorf("%s is wider than the screen", what)
			}
			if lost := c.eval(`[...document.querySelectorAll("main *, footer *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.tagName).join()`); lost != "" {
				t.Errorf("%s: beyond the edge are %s", what, lost)
			}
			if small := c.eval(`[...document.querySelectorAll("button, input, select, textarea, .call, .ask")].filter(e => e.getBoundingClientRect().height < 24).map(e => e.outerHTML).join()`); small != "" {
				t.Errorf("%s: too small to touch: %s", what, small)
			}
			seen[c.eval("getComputedStyle(document.body).backgroundColor")] = true
		}
	}
	if len(seen) != 2 {
		t.Errorf("backgrounds of light and dark: %v", seen)
	}
	c.screen(320, 640, "light")
	c.open("http://play.example/play?x=1")
	if text := c.eval("document.body.innerText"); !strings.Contains(text, "This page is closed") || !strings.Contains(text, "closed games") || !strings.Contains(text, "0800 1111") {
		t.Errorf("the page says:\n%s", text)
	}
	if got := c.eval("document.documentElement.lang + ' ' + document.scripts.length + ' ' + performance.getEntriesByType('resource').filter(e => !e.name.endsWith('/favicon.ico')).length"); got != "en-GB 0 0" {
		t.Errorf("language, scripts, loaded: %s", got)
	}
	// The link, the form, and the request in the command.
	c.eval(`document.querySelector("a.ask").click()`)
	c.wait("Page.loadEventFired")
	c.eval(`document.forms[0].elements.name.value = "Ms Browser", document.forms[0].elements.why.value = "for <b>maths</b>", document.forms[0].querySelector("button").click()`)
	c.wait("Page.loadEventFired")
	if text := c.eval("document.body.innerText"); !strings.Contains(text, "Thank you") {
		t.Errorf("after sending:\n%s", text)
	}
	if out := b.schoolgate("requests"); !strings.Contains(out, "Ms Browser (teacher)") || !strings.Contains(out, "for <b>maths</b>") || !strings.Contains(out, "play.example") {
		t.Errorf("the command shows:\n%s", out)
	}
	if complaint := regexp.MustCompile(`(?m)^.*(Content Security Policy|CONSOLE).*$`).FindString(c.console.String()); complaint != "" {
		t.Errorf("the browser complains: %s", complaint)
	}
}

// TestBlockPageOverHTTPS: devices that trust the authority of block pages see the page for a refused site by HTTPS, a well-known
// one too, and no certificate for any other name, nor for a device that may have the site.
func TestBlockPageOverHTTPS(t *testing.T) {
	t.Parallel()
	b, _ := paged(t, pagedSchool{page: "https = true\n", school: school{
		upstream: serveDNS(t, tierUpstream), more: "[encrypted]\nname = \"dns.school.example\"\nhttps = [\"127.0.0.1:0\"]\n",
	}})
	where := regexp.MustCompile(`HTTPS\s+(127\.0\.0\.1:\d+)`).FindStringSubmatch(b.stdout.String())
	if where == nil {
		t.Fatalf("no HTTPS in %q", b.stdout.String())
	}
	authority, own := b.schoolgate("certificate", "export", "--page"), b.schoolgate("certificate", "export")
	get := func(from, authority, host string) (int, string, error) {
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM([]byte(authority)) {
			t.Fatalf("no authority in %q", authority)
		}
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c := http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true, ForceAttemptHTTP2: true,
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return d.DialContext(ctx, network, where[1])
			},
		}}
		resp, err := c.Get("https://" + host + "/")
		if err != nil {
			return 0, "", err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		return resp.StatusCode, string(text), err
	}
	for _, host := range []string{"play.example", "listed-site.example", "www.pornhub.com"} {
		if status, text, err := get("127.30.0.7", authority, host); err != nil || status != 403 || !strings.Contains(text, "This page is closed") {
			t.Errorf("%s: %d %v\n%s", host, status, err, text)
		}
	}
	for _, tt := range []struct{ from, authority, host string }{
		{"127.30.0.7", authority, "www.lesson.example"}, {"127.31.0.7", authority, "play.example"}, {"127.30.0.7", own, "play.example"},
	} {
		if _, _, err := get(tt.from, tt.authority, tt.host); err == nil {
			t.Errorf("%s has a certificate for %s", tt.host, tt.from)
		}
	}
	if status, _, err := get("127.30.0.7", own, "dns.school.example"); err != nil || status != 404 {
		t.Errorf("the box itself: %d %v", status, err)
	}

	t.Run("browser", func(t *testing.T) {
		rules := "--host-resolver-rules=MAP * " + where[1]
		c := openChromium(t, authority, rules)
		for _, host := range []string{"play.example", "roblox.com"} { // the latter by HTTPS alone, as browsers know
			if problem := c.open("https://" + host + "/"); problem != "" {
				t.Fatalf("%s: %s", host, problem)
			}
			if text := c.eval("document.body.innerText"); !strings.Contains(text, "closed games") {
				t.Errorf("%s:\n%s", host, text)
			}
		}
		c.open("https://play.example" + askAt)
		c.eval(`document.forms[0].elements.name.value = "Ms Secure", document.forms[0].elements.why.value = "maths", document.forms[0].querySelector("button").click()`)
		c.wait("Page.loadEventFired")
		if out := b.schoolgate("requests"); !strings.Contains(out, "Ms Secure (teacher)") {
			t.Errorf("%s\n%s", c.eval("document.body.innerText"), out)
		}
		if problem := c.open("https://www.lesson.example/"); problem != "net::ERR_CERT_COMMON_NAME_INVALID" && problem != "net::ERR_CERT_AUTHORITY_INVALID" {
			t.Errorf("a site that is not refused: %q", problem)
		}
		if problem := openChromium(t, "", rules).open("https://play.example/"); problem != "net::ERR_CERT_AUTHORITY_INVALID" {
			t.Errorf("without the authority: %q", problem)
		}
	})
}
