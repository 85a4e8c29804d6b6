package notice

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"schoolgate/blocklist/domain"
	"schoolgate/config"
	"schoolgate/resolver/query"
)

var noon = time.Date(2026, time.November, 16, 12, 0, 0, 0, time.UTC)

// refused is what the tests' policy refuses, and why.
var refused = map[domain.Name]query.Verdict{
	"games.example":     {Action: query.Block, Rule: query.Category, Category: config.Gaming},
	"www.games.example": {Action: query.Block, Rule: query.Category, Category: config.Gaming},
	"own.example":       {Action: query.Block, Rule: query.OwnBlock},
	"tier.example":      {Action: query.Block, Rule: query.OwnBlock}, // as policy.Told gives it
	"stopped.example":   {Action: query.Block, Rule: query.Stopped},
	"unlisted.example":  {Action: query.Block, Rule: query.Approved},
	"lookalike.example": {Action: query.Block, Rule: query.Lookalike, Category: config.Gaming},
	"search.example":    {Action: query.Block, Rule: query.SafeSearch},
}

// page is a Handler of a school, and what it was given to keep.
type page struct {
	*Handler
	kept []Request
	now  time.Time
	err  error
}

func newPage(t testing.TB) *page {
	t.Helper()
	h, err := New()
	if err != nil {
		t.Fatal(err)
	}
	p := &page{Handler: h, now: noon}
	h.Judge = func(_ netip.Addr, host domain.Name) query.Verdict { return refused[host] }
	h.Words = func() (config.Site, config.Page) {
		return config.Site{Name: `Example <&> School`}, config.Page{Lead: "Mrs Example", Contact: []string{"mailto:office@school.example", "tel:+44-1632-960001"}}
	}
	h.Keep = func(r Request) error {
		if p.err == nil {
			p.kept = append(p.kept, r)
		}
		return p.err
	}
	h.Now = func() time.Time { return p.now }
	return p
}

func (p *page) do(t testing.TB, method, target string, edit ...func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	r.RemoteAddr = "192.0.2.7:4711"
	for _, e := range edit {
		e(r)
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

func (p *page) send(t testing.TB, target string, form url.Values, edit ...func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	return p.do(t, http.MethodPost, target, append([]func(*http.Request){func(r *http.Request) {
		r.Body = io.NopCloser(strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}}, edit...)...)
}

func form(name, role, why string) url.Values {
	return url.Values{"name": {name}, "role": {role}, "why": {why}}
}

func TestPage(t *testing.T) {
	const closed, other = "This page is closed", "This address belongs to the school’s filter"
	for _, tt := range []struct {
		method, target, host string
		code                 int
		title, has           string
	}{
		{"GET", "/", "games.example", 403, closed, "The school has closed games on this device."},
		{"GET", "/any/path?q=1", "WWW.Games.Example:80", 403, closed, "games"},
		{"GET", "/", "games.example.", 403, closed, "games"},
		{"HEAD", "/", "games.example", 403, "", ""},
		{"POST", "/login", "games.example", 403, closed, "games"},
		{"PROPFIND", "/", "games.example", 403, closed, "games"},
		{"OPTIONS", "/", "games.example", 403, closed, "games"},
		{"GET", "/", "own.example", 403, closed, "The school has closed this page."},
		{"GET", "/", "stopped.example", 403, closed, "switched off the internet"},
		{"GET", "/", "unlisted.example", 403, closed, "only those pages are open"},
		{"GET", "/", "search.example", 403, closed, "use another one"},
		{"GET", "/", "lookalike.example", 403, closed, "nearly the same name"},
		{"GET", "/favicon.ico", "games.example", 404, "", ""},
		{"GET", "/apple-touch-icon-120x120.png", "games.example", 404, "", ""},
		{"GET", askPath, "games.example", 200, "Ask for this to be looked at", "Your name"},
		// What nobody refused: a probe for sign-in pages, the box itself, nonsense, a name that somebody points at the box.
		{"GET", "/generate_204", "connectivitycheck.example", 404, other, "Nothing is wrong"},
		{"GET", "/", "192.0.2.1", 404, other, ""},
		{"GET", "/", "[2001:db8::1]:80", 404, other, ""},
		{"GET", "/", "evil.example", 404, other, ""},
		{"GET", askPath, "evil.example", 404, other, ""},
		{"GET", "/", `<script>alert(1)</script>`, 404, other, ""},
		{"GET", "/", strings.Repeat("a", 300) + ".example", 404, other, ""},
		{"GET", "/", "", 404, other, ""},
	} {
		t.Run(tt.method+" "+tt.host+tt.target, func(t *testing.T) {
			w := newPage(t).do(t, tt.method, tt.target, func(r *http.Request) { r.Host = tt.host })
			if w.Code != tt.code {
				t.Errorf("status %d, want %d", w.Code, tt.code)
			}
			body := w.Body.String()
			if tt.method == http.MethodHead {
				return // net/http leaves the body out
			}
			if tt.title != "" && !strings.Contains(html.UnescapeString(body), "<h1>"+tt.title+"</h1>") || !strings.Contains(body, tt.has) {
				t.Errorf("the page lacks %q or %q:\n%s", tt.title, tt.has, body)
			}
			for _, never := range []string{"games.example", "evil.example", "alert(1)", "<script"} {
				if strings.Contains(strings.ToLower(body), never) {
					t.Errorf("the page shows %q", never)
				}
			}
			head := w.Header()
			for key, want := range map[string]string{
				"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "X-Frame-Options": "DENY",
			} {
				if got := head.Get(key); got != want {
					t.Errorf("%s: %q, want %q", key, got, want)
				}
			}
			if csp := head.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; style-src 'sha256-") || strings.Contains(csp, "unsafe") {
				t.Errorf("Content-Security-Policy: %s", csp)
			}
			if head.Get("Location") != "" || head.Get("Strict-Transport-Security") != "" || len(head.Values("Set-Cookie")) > 0 {
				t.Errorf("headers %v", head)
			}
		})
	}
}

// The page is the same for every site that must not be told from one of the illegal tier, to the last byte.
func TestPageTellsNoSiteApart(t *testing.T) {
	p := newPage(t)
	for _, path := range []string{"/", "/x", askPath, "/favicon.ico"} {
		own := p.do(t, "GET", "http://own.example"+path)
		tier := p.do(t, "GET", "http://tier.example"+path)
		if d := cmp.Diff(own.Body.String(), tier.Body.String()); d != "" || own.Code != tier.Code {
			t.Errorf("%s: %d and %d:\n%s", path, own.Code, tier.Code, d)
		}
		if d := cmp.Diff(own.Header(), tier.Header()); d != "" {
			t.Errorf("%s:\n%s", path, d)
		}
	}
	if own, tier := p.send(t, "http://own.example"+askPath, form("A", "staff", "x")), p.send(t, "http://tier.example"+askPath, form("A", "staff", "x")); own.Code != 200 || own.Body.String() != tier.Body.String() {
		t.Errorf("asking: %d and %d", own.Code, tier.Code)
	}
}

func TestAsking(t *testing.T) {
	const target = "http://games.example" + askPath
	origin := func(s string) func(*http.Request) { return func(r *http.Request) { r.Header.Set("Origin", s) } }
	site := func(s string) func(*http.Request) { return func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", s) } }
	none := func(*http.Request) {}
	for _, tt := range []struct {
		name string
		form url.Values
		edit func(*http.Request)
		code int
		has  string
		kept bool
	}{
		{"good", form("A. Teacher", "teacher", "for  history\r\nin year 6"), none, 200, "Your message was kept", true},
		{"good, same origin", form("A. Teacher", "teacher", "for history in year 6"), origin("http://games.example"), 200, "", true},
		{"other letters", form("Zoë Ó Móráin 李", "staff", "für Geschichte"), site("same-origin"), 200, "", true},
		{"another origin", form("A", "staff", "x"), origin("http://evil.example"), 403, "another site", false},
		{"no origin to speak of", form("A", "staff", "x"), origin("null"), 403, "another site", false},
		{"across sites", form("A", "staff", "x"), site("cross-site"), 403, "another site", false},
		{"nothing", form("", "teacher", " \n "), none, 422, "Please write your name and what you need it for.", false},
		{"no name", form("", "teacher", "x"), none, 422, `aria-invalid="true"`, false},
		{"no reason", form("A", "teacher", ""), none, 422, "what you need it for", false},
		{"no role", form("A", "", "x"), none, 422, "who you are", false},
		{"a role of one's own", form("A", "head", "x"), none, 422, "who you are", false},
		{"a long name", form(strings.Repeat("a", 101), "staff", "x"), none, 422, "your name", false},
		{"a long reason", form("A", "staff", strings.Repeat("é", 501)), none, 422, "not too long", false},
		{"the longest", form(strings.Repeat("é", 100), "staff", strings.Repeat("é", 500)), none, 200, "", true},
		{"control characters", form("A\x1b[2J", "staff", "x"), none, 422, "plain letters", false},
		{"text that turns round", form("A", "staff", "x\u202ey"), none, 422, "plain letters", false},
		{"no text", form("A", "staff", "\xff"), none, 422, "plain letters", false},
		{"too much", form("A", "staff", strings.Repeat("x", maxForm)), none, 422, "could not be read", false},
		{"markup", form(`"><script>alert(1)</script>`, "staff", ""), none, 422, "&lt;script&gt;", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPage(t)
			w := p.send(t, target, tt.form, tt.edit)
			if w.Code != tt.code || !strings.Contains(w.Body.String(), tt.has) || strings.Contains(w.Body.String(), "<script") {
				t.Errorf("status %d, want %d, and %q:\n%s", w.Code, tt.code, tt.has, w.Body)
			}
			if kept := len(p.kept) == 1; kept != tt.kept {
				t.Fatalf("kept: %v", p.kept)
			}
			if tt.kept {
				want := Request{noon, netip.MustParseAddr("192.0.2.7"), "games.example", tt.form.Get("name"), tt.form.Get("role"), strings.Join(strings.Fields(tt.form.Get("why")), " ")}
				if d := cmp.Diff(want, p.kept[0], cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
					t.Errorf("(-want +got):\n%s", d)
				}
			}
		})
	}
}

// Nobody asks for what is not refused, nor without a place to keep it.
func TestAskingForNothing(t *testing.T) {
	p := newPage(t)
	if w := p.send(t, "http://evil.example"+askPath, form("A", "staff", "x")); w.Code != 404 || len(p.kept) > 0 {
		t.Errorf("status %d, kept %v", w.Code, p.kept)
	}
	p.Keep = nil
	if w := p.do(t, "GET", "http://games.example"+askPath); w.Code != 403 || strings.Contains(w.Body.String(), "<form") {
		t.Errorf("status %d:\n%s", w.Code, w.Body)
	}
	if w := p.do(t, "GET", "http://games.example/"); strings.Contains(w.Body.String(), askPath) {
		t.Error("the page leads to a form that is not there")
	}
}

func TestAskingIsLimited(t *testing.T) {
	p := newPage(t)
	ask := func(client string) int {
		return p.send(t, "http://games.example"+askPath, form("A", "staff", "x"), func(r *http.Request) { r.RemoteAddr = client }).Code
	}
	for i := range perClient + 2 {
		want := 200
		if i >= perClient {
			want = 429
		}
		if got := ask(fmt.Sprintf("[2001:db8::%d]:9", i)); got != want { // one device has a whole /64
			t.Errorf("request %d: status %d, want %d", i, got, want)
		}
	}
	if got := ask("192.0.2.8:9"); got != 200 {
		t.Errorf("another device: status %d", got)
	}
	for i := range 2 * perHour {
		ask(fmt.Sprintf("198.51.100.%d:9", i))
	}
	if len(p.kept) != perHour || len(p.quota.by) > perHour+1 {
		t.Errorf("%d kept, %d remembered", len(p.kept), len(p.quota.by))
	}
	p.now = p.now.Add(time.Hour)
	if got := ask("192.0.2.8:9"); got != 200 {
		t.Errorf("an hour later: status %d", got)
	}
	p.err = errors.New("disk full")
	if got := ask("192.0.2.9:9"); got != 503 {
		t.Errorf("nothing kept: status %d", got)
	}
	want := map[string]uint64{"closed": 0, "elsewhere": 0, "asked": perHour + 1, "limited": uint64(perClient + 2 + 1 + 2*perHour - perHour), "failed": 1, "invalid": 0}
	if d := cmp.Diff(want, p.Count()); d != "" {
		t.Errorf("counts (-want +got):\n%s", d)
	}
}

// A name in the configuration cannot bring markup, and who is not named is not spoken of.
func TestWords(t *testing.T) {
	p := newPage(t)
	body := p.do(t, "GET", "http://own.example/").Body.String()
	for _, want := range []string{
		"Example &lt;&amp;&gt; School", "Mrs Example", `href="mailto:office@school.example"`, `href="tel:&#43;44-1632-960001"`, ">&#43;44-1632-960001<",
		"0800 1111", "www.ceop.police.uk", "report.iwf.org.uk", "monitored", "Tell a grown-up you trust", "face down",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	p.Words = func() (config.Site, config.Page) {
		return config.Site{Name: "School"}, config.Page{Contact: []string{"javascript:alert(1)"}}
	}
	if body := p.do(t, "GET", "http://own.example/").Body.String(); strings.Contains(body, "safety online") || strings.Contains(body, "javascript") {
		t.Error(body)
	}
}

func FuzzHost(f *testing.F) {
	for _, s := range []string{"games.example", "games.example:80", "[::1]:80", "a:b:c", "*.example", "%00", "xn--a", "\x00"} {
		f.Add(s, "/")
	}
	h, err := New()
	if err != nil {
		f.Fatal(err)
	}
	h.Judge = func(_ netip.Addr, host domain.Name) query.Verdict { return refused[host] }
	h.Words = func() (config.Site, config.Page) { return config.Site{}, config.Page{} }
	f.Fuzz(func(t *testing.T, host, path string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.Host, r.URL.Path = host, path
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 403 && w.Code != 404 {
			t.Errorf("status %d", w.Code)
		}
	})
}
