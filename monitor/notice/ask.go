package notice

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"schoolgate/blocklist/domain"
)

// Request is what somebody asks for. Nobody has checked who it was.
type Request struct {
	At     time.Time
	Client netip.Addr
	Host   domain.Name
	Name   string // 1 to 100 characters, all printable, on one line
	Role   string // a word of roles
	Why    string // 1 to 500 of the same
}

// Bounds of a request.
const (
	maxName = 100      // characters
	maxWhy  = 500      // characters
	maxForm = 16 << 10 // bytes, as sent
)

// role is what somebody says to be.
type role struct{ Word, Label string }

var roles = []role{{"teacher", "Teacher"}, {"staff", "Other staff"}, {"other", "Somebody else"}}

// Outcome is what became of a request for the page.
type Outcome uint8

// The outcomes.
const (
	Closed    Outcome = iota // the page was shown for a refused host
	Elsewhere                // the host is not refused to that client
	Asked                    // somebody asked for a site to be looked at
	Limited                  // or would have, but for the limits
	Failed                   // or it could not be kept
	Invalid                  // or it came from another site, or lacked something
	outcomes
)

func (o Outcome) String() string { return outcomeNames[o] }

var outcomeNames = [...]string{"closed", "elsewhere", "asked", "limited", "failed", "invalid"}

// Count gives for each outcome how many requests had it.
func (h *Handler) Count() map[string]uint64 {
	all := make(map[string]uint64, outcomes)
	for o := range outcomes {
		all[o.String()] = h.counts[o].Load()
	}
	return all
}

// form is the page with the form, filled in with what was sent before.
func (h *Handler) form(problem string, sent Request) *view {
	v := &view{Show: "ask", Title: "Ask for this to be looked at", Ask: askPath, Roles: roles, Problem: problem, Name: sent.Name, Role: sent.Role, Text: sent.Why}
	if problem != "" {
		v.Title = "Not sent yet: " + v.Title
	}
	return v
}

// take reads the form and hands on what it says.
func (h *Handler) take(w http.ResponseWriter, r *http.Request, client netip.Addr, host domain.Name) {
	count := func(o Outcome) { h.counts[o].Add(1) }
	if err := h.origins.Check(r); err != nil {
		count(Invalid)
		h.show(w, http.StatusForbidden, &view{Show: "sorry", Title: "Not kept", Problem: "It came from another site."})
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		count(Invalid)
		h.show(w, http.StatusUnprocessableEntity, h.form("That could not be read. Please write less.", Request{}))
		return
	}
	field := func(name string) string { return strings.Join(strings.Fields(r.PostForm.Get(name)), " ") }
	req := Request{At: h.Now(), Client: client, Host: host, Name: field("name"), Role: field("role"), Why: field("why")}
	if problem := req.problem(); problem != "" {
		count(Invalid)
		h.show(w, http.StatusUnprocessableEntity, h.form(problem, req))
		return
	}
	if !h.quota.take(client, req.At) {
		count(Limited)
		w.Header().Set("Retry-After", "3600")
		h.show(w, http.StatusTooManyRequests, &view{
			Show: "sorry", Title: "Not kept", Problem: "Many messages have come in the last hour. Please tell the office, or try again later.",
		})
		return
	}
	if err := h.Keep(req); err != nil {
		count(Failed)
		h.Log.Error("a request from the block page could not be kept", "error", err)
		h.show(w, http.StatusServiceUnavailable, &view{Show: "sorry", Title: "Not kept", Problem: "Something went wrong. Please tell the office."})
		return
	}
	count(Asked)
	h.show(w, http.StatusOK, &view{Show: "asked", Title: "Thank you"})
}

// problem says what keeps a request from being kept, "" when nothing does. What it cannot show again it takes out.
func (r *Request) problem() string {
	unfit := func(s *string, most int) bool {
		if utf8.RuneCountInString(*s) > most || !utf8.ValidString(*s) || strings.ContainsFunc(*s, func(c rune) bool { return !unicode.IsPrint(c) }) {
			*s = ""
			return true
		}
		return *s == ""
	}
	switch name, why := unfit(&r.Name, maxName), unfit(&r.Why, maxWhy); {
	case name && why:
		return "Please write your name and what you need it for."
	case name:
		return "Please write your name, in plain letters."
	case why:
		return "Please write what you need it for, in plain letters and not too long."
	case !slices.ContainsFunc(roles, func(known role) bool { return known.Word == r.Role }):
		return "Please say who you are."
	}
	return ""
}
