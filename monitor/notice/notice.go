// Package notice is the block page: what a person sees who was led to the box instead of a refused site, and the way to
// ask for that site to be looked at.
//
// It never shows a name: what was asked for stands in the browser already, and a page that shows some names and not others
// would tell which of them the illegal tier holds.
package notice

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"schoolgate/blocklist/domain"
	"schoolgate/config"
	"schoolgate/resolver/query"
)

//go:embed page.html style.css
var files embed.FS

// askPath is where the form is, at every refused host.
const askPath = "/.schoolgate/ask"

// Handler answers whatever was asked for, by any method, at any path and host. It is made by New; the exported fields are
// set before the first request and not after. It may be called from any goroutine.
type Handler struct {
	// Judge is what a client may be told of the verdict on a host now; nothing is recorded by it. Required.
	Judge func(client netip.Addr, host domain.Name) query.Verdict
	// Words is what the configuration in force says of the school and of whom to turn to. Required.
	Words func() (config.Site, config.Page)
	// Keep takes what somebody asks for; an error is answered with an apology. nil: nobody can ask.
	Keep func(Request) error
	// Log is told of templates that fail and of requests that could not be kept, never of hosts or people.
	Log *slog.Logger
	// Now is the clock.
	Now func() time.Time

	page     *template.Template
	style    template.CSS
	security string // Content-Security-Policy
	origins  *http.CrossOriginProtection
	quota    quota
	counts   [outcomes]atomic.Uint64
}

// New makes a Handler whose required fields are still to be set.
func New() (*Handler, error) {
	page, err := template.ParseFS(files, "page.html")
	if err != nil {
		return nil, fmt.Errorf("reading the block page: %w", err)
	}
	style, err := files.ReadFile("style.css")
	if err != nil {
		return nil, fmt.Errorf("reading the style of the block page: %w", err)
	}
	sum := sha256.Sum256(style)
	return &Handler{
		Log: slog.New(slog.DiscardHandler), Now: time.Now, page: page, style: template.CSS(style), //nolint:gosec // ours, from the binary
		security: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
		origins:  http.NewCrossOriginProtection(),
	}, nil
}

// view is what the template writes down.
type view struct {
	Style       template.CSS
	Show, Title string
	School      string
	Lead        string
	Contacts    []contact
	Why         string
	Ask         string // "": nobody can ask

	// Of the form.
	Problem          string
	Name, Role, Text string
	Roles            []role
}

// contact is how somebody is reached.
type contact struct {
	URL  template.URL
	Text string
}

// ServeHTTP shows the page: 403 for a refused host, since that is what it is. With 200 a program would take the page for
// what it asked for, and a device that looks for a sign-in page would take the school for a café; 451 is for demands of the
// law. Nothing of it may be kept, because the site may be open in an hour. Where the host is not refused to this client it
// is told whose address this is, with 404, and there is no form: whoever leads a name of his own to the box reaches nothing.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	client := clientOf(r)
	host, isName := hostOf(r)
	var told query.Verdict
	if isName {
		told = h.Judge(client, host)
	}
	head := w.Header()
	head.Set("Cache-Control", "no-store")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Content-Security-Policy", h.security)
	head.Set("X-Frame-Options", "DENY")
	head.Set("Referrer-Policy", "same-origin") // with no-referrer a browser would send the form with an origin of null
	switch {
	case !told.Blocked():
		h.counts[Elsewhere].Add(1)
		h.show(w, http.StatusNotFound, &view{Show: "elsewhere", Title: "The school's filter"})
	case isIcon(r.URL.Path):
		head.Set("Content-Length", "0")
		w.WriteHeader(http.StatusNotFound)
	case h.Keep != nil && r.URL.Path == askPath && r.Method == http.MethodPost:
		h.take(w, r, client, host)
	case h.Keep != nil && r.URL.Path == askPath:
		h.show(w, http.StatusOK, h.form("", Request{}))
	default:
		h.counts[Closed].Add(1)
		v := &view{Show: "closed", Title: "This page is closed", Why: why(told)}
		if h.Keep != nil {
			v.Ask = askPath
		}
		h.show(w, http.StatusForbidden, v)
	}
}

// show writes the page.
func (h *Handler) show(w http.ResponseWriter, code int, v *view) {
	site, page := h.Words()
	v.Style, v.School, v.Lead = h.style, site.Name, page.Lead
	for _, c := range page.Contact { // the configuration has been checked: mailto and tel alone
		scheme, text, _ := strings.Cut(c, ":")
		if scheme != "mailto" && scheme != "tel" {
			continue
		}
		v.Contacts = append(v.Contacts, contact{template.URL(c), text}) //nolint:gosec // see above
	}
	var b strings.Builder
	if err := h.page.Execute(&b, v); err != nil {
		h.Log.Error("the block page could not be written", "error", err)
		http.Error(w, "This page is closed.", code)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(b.String())) // a client that went away is no error of ours
}

// clientOf is who asks.
func clientOf(r *http.Request) netip.Addr {
	a, _ := netip.ParseAddrPort(r.RemoteAddr) // which net/http has set
	return a.Addr().Unmap().WithZone("")
}

// hostOf is the name that the client believes to speak to.
func hostOf(r *http.Request) (domain.Name, bool) {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return "", false
	}
	name, err := domain.Parse(host)
	return name, err == nil && name != ""
}

// isIcon says whether a browser looks for a picture of the site by itself.
func isIcon(path string) bool {
	return path == "/favicon.ico" || strings.HasPrefix(path, "/apple-touch-icon") && strings.HasSuffix(path, ".png")
}
