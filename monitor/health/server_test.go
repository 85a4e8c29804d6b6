package health

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"schoolgate/monitor"
)

func testHandler(reasons ...string) http.Handler {
	h := &Handler{
		Checks: &Checks{Parts: []Check{func(time.Time) []monitor.Condition {
			return []monitor.Condition{{Code: "lists.stale", Severity: monitor.Warning, Title: "A list is old.", Hint: "Check the line."}}
		}}},
		Ready:   func(time.Time) []string { return reasons },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "up 1\n") }),
		Now:     func() time.Time { return noon },
	}
	return h.Mux()
}

func TestHandler(t *testing.T) {
	const jsonBody = `{"status":"STATUS","time":"2026-11-14T12:00:00Z",REASONS"conditions":[{"code":"lists.stale","severity":"warning","title":"A list is old.","hint":"Check the line.","since":"2026-11-14T12:00:00Z"}]}`
	const textBody = "warning lists.stale since 2026-11-14T12:00:00Z: A list is old.\n  hint: Check the line.\n"
	fill := strings.NewReplacer
	tests := []struct {
		name, method, path, accept string
		reasons                    []string
		code                       int
		body                       string
	}{
		{"alive", "GET", "/healthz", "", nil, 200, fill("STATUS", "warning", "REASONS", "").Replace(jsonBody)},
		{"alive, though not ready", "GET", "/healthz", "", []string{"No lists are loaded."}, 200, fill("STATUS", "warning", "REASONS", "").Replace(jsonBody)},
		{"alive, in text", "GET", "/healthz", "text/plain", nil, 200, "warning\n" + textBody},
		{"ready", "GET", "/readyz", "*/*", nil, 200, fill("STATUS", "ready", "REASONS", "").Replace(jsonBody)},
		{"not ready", "GET", "/readyz", "application/json, text/plain", []string{"No lists are loaded."}, 503, fill("STATUS", "not ready", "REASONS", `"reasons":["No lists are loaded."],`).Replace(jsonBody)},
		{"not ready, in text", "GET", "/readyz", "text/plain", []string{"No lists are loaded."}, 503, "not ready\nnot ready: No lists are loaded.\n" + textBody},
		{"metrics", "GET", "/metrics", "", nil, 200, "up 1\n"},
		{"post", "POST", "/healthz", "", nil, 405, "Method Not Allowed\n"},
		{"delete", "DELETE", "/metrics", "", nil, 405, "Method Not Allowed\n"},
		{"no profiles", "GET", "/debug/pprof/", "", nil, 404, "404 page not found\n"},
		{"nothing else", "GET", "/", "", nil, 404, "404 page not found\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, r := httptest.NewRecorder(), httptest.NewRequest(tt.method, tt.path, nil)
			r.Header.Set("Accept", tt.accept)
			testHandler(tt.reasons...).ServeHTTP(w, r)
			body := w.Body.String()
			if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
				body = compact(t, body)
			}
			if w.Code != tt.code {
				t.Errorf("status %d, want %d", w.Code, tt.code)
			}
			if d := cmp.Diff(tt.body, body); d != "" {
				t.Errorf("body (-want +got):\n%s", d)
			}
		})
	}
}

func compact(t *testing.T, s string) string {
	t.Helper()
	var v report
	if err := json.Unmarshal([]byte(s), &v); err != nil {
		t.Fatalf("%v in %s", err, s)
	}
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// serve runs a server until the test ends or stop is called.
func serve(t *testing.T, h http.Handler) (base string, stop func()) {
	t.Helper()
	s, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"), h, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	}
	t.Cleanup(stop)
	return s.Addr().String(), stop
}

func TestServer(t *testing.T) {
	defer goleak.VerifyNone(t)
	addr, stop := serve(t, testHandler())
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+addr+"/readyz", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != 200 || (len(body) > 0) != (method == http.MethodGet) {
			t.Errorf("%s: %v, status %d, %d bytes", method, err, resp.StatusCode, len(body))
		}
	}
	stop()
	if c, err := net.Dial("tcp", addr); err == nil {
		c.Close()
		t.Error("the address is still open after Run has ended")
	}
}

func TestServerRefusesGreatHeaders(t *testing.T) {
	addr, _ := serve(t, testHandler())
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go io.WriteString(c, "GET /healthz HTTP/1.1\r\nHost: box\r\nX-Long: "+strings.Repeat("x", 4*maxHeader)+"\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d, want 431", resp.StatusCode)
	}
}

func TestServerStopsBeforeItServes(t *testing.T) {
	defer goleak.VerifyNone(t)
	s, err := Listen(netip.MustParseAddrPort("127.0.0.1:0"), testHandler(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Errorf("Run = %v", err)
	}
}

func TestListenSaysWhatIsTaken(t *testing.T) {
	addr, _ := serve(t, testHandler())
	_, err := Listen(netip.MustParseAddrPort(addr), testHandler(), slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), addr) {
		t.Errorf("Listen = %v, want an error that names %s", err, addr)
	}
}
