package health

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"schoolgate/monitor"
)

// Handler answers what watches the box.
type Handler struct {
	// Checks gives the conditions; required.
	Checks *Checks
	// Ready gives the reasons, each a plain sentence, why the box does not filter and answer DNS now; none means that it
	// does. Required. It must not wait.
	Ready func(now time.Time) []string
	// Metrics is served at /metrics; nil serves none.
	Metrics http.Handler
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// report is what /healthz and /readyz answer.
type report struct {
	Status     string      `json:"status"` // healthz: the worst severity, or ok; readyz: ready or not ready
	Time       time.Time   `json:"time"`
	Reasons    []string    `json:"reasons,omitempty"`
	Conditions []condition `json:"conditions"`
}

type condition struct {
	Code     string    `json:"code"`
	Severity string    `json:"severity"`
	Title    string    `json:"title"`
	Hint     string    `json:"hint,omitempty"`
	Since    time.Time `json:"since"`
}

// Mux routes:
//
//   - /healthz: 200 while the process lives, with all conditions; what restarts a dead process watches this one
//   - /readyz: 200 while names are filtered and answered, else 503 with the reasons
//   - /metrics: for Prometheus
//
// Only GET and HEAD are answered; the first two in JSON, or in plain text when the request accepts that and not JSON.
func (h *Handler) Mux() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", h.healthz)
	mux.HandleFunc("GET /readyz", h.readyz)
	if h.Metrics != nil {
		mux.Handle("GET /metrics", h.Metrics)
	}
	return mux
}

func (h *Handler) now() time.Time {
	if h.Now != nil {
		return h.Now()
	}
	return time.Now()
}

func (h *Handler) healthz(w http.ResponseWriter, r *http.Request) {
	rep := h.report(h.now())
	rep.answer(w, r, http.StatusOK)
}

func (h *Handler) readyz(w http.ResponseWriter, r *http.Request) {
	now := h.now()
	rep, code := h.report(now), http.StatusOK
	rep.Status, rep.Reasons = "ready", h.Ready(now)
	if len(rep.Reasons) > 0 {
		rep.Status, code = "not ready", http.StatusServiceUnavailable
	}
	rep.answer(w, r, code)
}

func (h *Handler) report(now time.Time) report {
	all := h.Checks.Conditions(now)
	rep := report{Status: "ok", Time: now.UTC(), Conditions: make([]condition, 0, len(all))}
	if worst := Worst(all); worst > monitor.Info {
		rep.Status = worst.String()
	}
	for _, c := range all {
		rep.Conditions = append(rep.Conditions, condition{
			Code: c.Code, Severity: c.Severity.String(), Title: c.Title, Hint: c.Hint, Since: c.Since.UTC(),
		})
	}
	return rep
}

func (rep *report) answer(w http.ResponseWriter, r *http.Request, code int) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Vary", "Accept")
	if accept := r.Header.Get("Accept"); strings.Contains(accept, "text/plain") && !strings.Contains(accept, "application/json") {
		h.Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(code)
		w.Write([]byte(rep.text())) // a client that went away is no error of ours
		return
	}
	b, err := json.MarshalIndent(rep, "", "  ")
	if err != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	h.Set("Content-Type", "application/json")
	w.WriteHeader(code)
	w.Write(append(b, '\n'))
}

func (rep *report) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", rep.Status)
	for _, r := range rep.Reasons {
		fmt.Fprintf(&b, "not ready: %s\n", r)
	}
	for _, c := range rep.Conditions {
		fmt.Fprintf(&b, "%s %s since %s: %s\n", c.Severity, c.Code, c.Since.Format(time.RFC3339), c.Title)
		if c.Hint != "" {
			fmt.Fprintf(&b, "  hint: %s\n", c.Hint)
		}
	}
	return b.String()
}
