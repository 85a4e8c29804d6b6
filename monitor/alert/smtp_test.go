package alert

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/quotedprintable"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"

	"schoolgate/config"
	"schoolgate/monitor"
)

// post is a sender whose clock the test moves, with an outbox and a log to look at.
type post struct {
	*Sender
	store  *memStore
	log    *bytes.Buffer
	later  time.Duration
	alerts config.Alerts
}

func newPost(server *mailServer) *post {
	p := &post{store: newMemStore(), log: new(bytes.Buffer)}
	p.alerts = testSettings.Alerts
	p.alerts.SMTP = server.cfg
	p.Sender = NewSender(p.store, func() config.Alerts { return p.alerts }, slog.New(slog.NewTextHandler(p.log, nil)))
	p.Now = func() time.Time { return time.Now().Add(p.later) }
	return p
}

// put opens an alert with a mail for each address.
func (p *post) put(t *testing.T, to ...string) {
	t.Helper()
	s := testSettings
	s.Alerts.DSL = to
	_, err := p.store.OpenAlert(t.Context(), secret, func(id int64) []monitor.Mail {
		a := secret
		a.ID = id
		return compose(newRules(s), a, &episode{nonce: fmt.Sprint("n", id)})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestDelivery(t *testing.T) {
	modes := map[string]config.TLSMode{"starttls": config.TLSStartTLS, "tls": config.TLSImplicit, "none": config.TLSNone}
	for name, mode := range modes {
		t.Run(name, func(t *testing.T) {
			server := serveMail(t, mode)
			p := newPost(server)
			p.put(t, "dsl@school.example", "deputy@school.example")
			p.round(t.Context())
			got := server.messages()
			if len(got) != 2 || p.store.unsent() != 0 {
				t.Fatalf("%d messages, %d unsent; log:\n%s", len(got), p.store.unsent(), p.log)
			}
			if want := 1 + strings.Count(name, "start"); server.sessions != want { // STARTTLS begins another session
				t.Errorf("%d sessions for two mails, want %d", server.sessions, want)
			}
			if mode != config.TLSNone && server.logins != 1 {
				t.Errorf("%d logins, want 1", server.logins)
			}
			h := got[0].msg.Header
			if got[0].from != "schoolgate@school.example" || got[0].to != "dsl@school.example" || got[1].to != "deputy@school.example" {
				t.Errorf("envelopes %q→%q, →%q", got[0].from, got[0].to, got[1].to)
			}
			_, mails := p.store.snapshot()
			want := map[string]string{
				"Auto-Submitted": "auto-generated", "Message-Id": "<" + mails[0].Key + "@school.example>",
				"Subject": "[Schoolgate] Alert 1: pornography, group children", "To": "<dsl@school.example>",
			}
			for k, v := range want {
				if d := cmp.Diff(v, decode(t, h.Get(k))); d != "" {
					t.Errorf("%s (-want +got):\n%s", k, d)
				}
			}
			if _, err := h.Date(); err != nil {
				t.Error(err)
			}
			body, err := io.ReadAll(quotedprintable.NewReader(got[0].msg.Body))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(mails[0].Body, strings.ReplaceAll(string(body), "\r\n", "\n")); d != "" {
				t.Errorf("body (-want +got):\n%s", d)
			}
			for l := range strings.SplitSeq(got[0].raw, "\r\n") {
				if strings.HasSuffix(l, "=") {
					t.Errorf("quoted-printable breaks %q", l)
				}
			}
			for _, s := range []string{secret.Device, secret.Site, "forbidden"} {
				if strings.Contains(got[0].raw, s) || strings.Contains(p.log.String(), s) {
					t.Errorf("message or log holds %q", s)
				}
			}
		})
	}
}

func decode(t *testing.T, s string) string {
	t.Helper()
	out, err := new(mime.WordDecoder).DecodeHeader(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWhatIsNotSent(t *testing.T) {
	tests := []struct {
		name   string
		mode   config.TLSMode
		change func(*testing.T, *config.SMTP)
		want   string // in the condition's hint
	}{
		{"a server without STARTTLS", config.TLSNone, func(t *testing.T, c *config.SMTP) { c.TLS = config.TLSStartTLS }, "does not offer STARTTLS"},
		{"a certificate of another CA", config.TLSStartTLS, func(t *testing.T, c *config.SMTP) {
			ca, _ := authority(t)
			write(t, c.CAFile, string(ca))
		}, "certificate"},
		{"a certificate for another name", config.TLSImplicit, func(t *testing.T, c *config.SMTP) { c.Host = "localhost" }, "certificate"},
		{"no certificate in the CA file", config.TLSImplicit, func(t *testing.T, c *config.SMTP) { write(t, c.CAFile, "nothing") }, "no certificate"},
		{"no TLS to another machine", config.TLSNone, func(t *testing.T, c *config.SMTP) { c.Host = "192.0.2.1" }, "without TLS only on this machine"},
		{"a password without TLS", config.TLSNone, func(t *testing.T, c *config.SMTP) { c.User = "box" }, "over TLS only"},
		{"no password file", config.TLSStartTLS, func(t *testing.T, c *config.SMTP) { c.PasswordFile += ".absent" }, "is not there"},
		{"a wrong password", config.TLSStartTLS, func(t *testing.T, c *config.SMTP) { write(t, c.PasswordFile, "wr0ng!") }, "answered 535"},
		{"nobody there", config.TLSStartTLS, func(t *testing.T, c *config.SMTP) { c.Port = 1 }, "connecting to the mail server"},
		{"no sender", config.TLSStartTLS, func(t *testing.T, c *config.SMTP) { c.From = "" }, "sender's address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := serveMail(t, tt.mode)
			tt.change(t, &server.cfg)
			p := newPost(server)
			p.put(t, "dsl@school.example")
			p.round(t.Context())
			if n := len(server.messages()); n != 0 || p.store.unsent() != 1 {
				t.Fatalf("%d messages, %d unsent", n, p.store.unsent())
			}
			if got := p.Health(p.Now()); len(got) != 0 {
				t.Errorf("conditions %v at once", got)
			}
			got := p.Health(p.Now().Add(mailCritical))
			if len(got) != 1 || got[0].Code != "mail.failing" || got[0].Severity != monitor.Critical || !strings.Contains(got[0].Hint, tt.want) {
				t.Errorf("conditions %v, want mail.failing with %q", got, tt.want)
			}
			if strings.Contains(p.log.String(), "wr0ng!") || strings.Contains(fmt.Sprint(got, p.store.reason), "wr0ng!") {
				t.Error("the password leaked")
			}
		})
	}
}

func TestAPasswordIsReadForEachConnection(t *testing.T) {
	server := serveMail(t, config.TLSStartTLS)
	p := newPost(server)
	for i, password := range []string{"first", "second"} {
		server.set(func(s *mailServer) { s.password = password })
		write(t, server.cfg.PasswordFile, password+"\r\n")
		p.put(t, "dsl@school.example")
		p.round(t.Context())
		if n := len(server.messages()); n != i+1 {
			t.Fatalf("%d messages after password %d; log:\n%s", n, i+1, p.log)
		}
	}
}

func TestAServerThatFailsSomeTimes(t *testing.T) {
	const fails = 5
	tests := map[string]func(c *smtp.Conn, tries int) error{
		"4xx to the message": func(*smtp.Conn, int) error { return &smtp.SMTPError{Code: 451, Message: "later"} },
		"5xx to the message": func(*smtp.Conn, int) error { return &smtp.SMTPError{Code: 554, Message: "spam"} },
		"421":                func(*smtp.Conn, int) error { return &smtp.SMTPError{Code: 421, Message: "closing"} },
		"hangs up before it answers": func(c *smtp.Conn, _ int) error {
			c.Conn().Close()
			return errHungUp
		},
	}
	for name, fail := range tests {
		t.Run(name, func(t *testing.T) {
			server := serveMail(t, config.TLSStartTLS)
			tries := 0
			server.data = func(c *smtp.Conn, _ int) error {
				if tries++; tries <= fails {
					return fail(c, tries)
				}
				return nil
			}
			p := newPost(server)
			p.put(t, "dsl@school.example")
			for range fails + 3 {
				p.round(t.Context())
				p.later += refusedBackoff + time.Hour
			}
			if n := len(server.messages()); n != 1 || p.store.unsent() != 0 {
				t.Errorf("%d messages, %d unsent; log:\n%s", n, p.store.unsent(), p.log)
			}
			if _, mails := p.store.snapshot(); mails[0].Attempts != fails {
				t.Errorf("%d attempts held back, want %d", mails[0].Attempts, fails)
			}
			if got := p.SendStats(); got != (SendStats{Sent: 1, Failed: fails}) {
				t.Errorf("stats %+v", got)
			}
			if got := p.Health(p.Now().Add(time.Hour)); len(got) != 0 {
				t.Errorf("conditions %v after it worked", got)
			}
		})
	}
}

func TestAServerThatHangsUpAfterItsAnswer(t *testing.T) {
	server := serveMail(t, config.TLSStartTLS)
	server.hangUp = true
	p := newPost(server)
	p.put(t, "dsl@school.example", "deputy@school.example")
	for range 5 {
		p.round(t.Context())
		p.later += time.Hour
	}
	var to []string
	for _, m := range server.messages() {
		to = append(to, m.to)
	}
	if d := cmp.Diff([]string{"dsl@school.example", "deputy@school.example"}, to); d != "" {
		t.Errorf("messages (-want +got):\n%s", d)
	}
}

func TestAnAddressThatIsRefused(t *testing.T) {
	server := serveMail(t, config.TLSStartTLS)
	server.rcpt = func(to string) error {
		if strings.HasPrefix(to, "dsl@") {
			return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user dsl@school.example"}
		}
		return nil
	}
	p := newPost(server)
	p.put(t, "dsl@school.example", "deputy@school.example")
	p.round(t.Context())
	if got := server.messages(); len(got) != 1 || got[0].to != "deputy@school.example" {
		t.Fatalf("messages %v: the good address must not wait for the bad one", got)
	}
	if got := codes(p.Health(p.Now())); !cmp.Equal(got, []string{"mail.refused"}) {
		t.Errorf("conditions %q, want mail.refused", got)
	}
	if all := p.log.String() + fmt.Sprint(p.Health(p.Now())); strings.Contains(all, "dsl@") {
		t.Errorf("log or condition names the address: %s", all)
	}
	if !strings.Contains(p.store.reason[1], "no such user") {
		t.Errorf("reason kept in the outbox: %q", p.store.reason[1])
	}
	p.alerts.DSL = []string{"deputy@school.example"} // no longer configured
	if got := p.Health(p.Now()); len(got) != 0 {
		t.Errorf("conditions %v for an address that is not configured", got)
	}
	p.alerts.DSL = testSettings.Alerts.DSL
	p.round(t.Context()) // not due
	server.set(func(s *mailServer) { s.rcpt = nil })
	p.later += refusedBackoff + time.Second
	p.round(t.Context())
	if n := len(server.messages()); n != 2 || p.store.unsent() != 0 || len(p.Health(p.Now())) != 0 {
		t.Errorf("%d messages, %d unsent, conditions %v after it was mended", n, p.store.unsent(), p.Health(p.Now()))
	}
}

func TestAStopWaitsForTheAnswer(t *testing.T) {
	server := serveMail(t, config.TLSImplicit)
	p := newPost(server)
	p.put(t, "dsl@school.example", "deputy@school.example")
	ctx, cancel := context.WithCancel(t.Context())
	server.data = func(*smtp.Conn, int) error { cancel(); return nil }
	if err := p.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if n := len(server.messages()); n != 1 || p.store.unsent() != 1 {
		t.Errorf("%d messages, %d unsent; want the one under way sent and marked", n, p.store.unsent())
	}
}

func TestARepeatedMailHasTheSameMessageID(t *testing.T) {
	server := serveMail(t, config.TLSStartTLS)
	p := newPost(server)
	p.put(t, "dsl@school.example")
	p.round(t.Context())
	delete(p.store.sent, 1) // as if the power went just before the mark
	p.round(t.Context())
	got := server.messages()
	if len(got) != 2 || got[0].msg.Header.Get("Message-Id") != got[1].msg.Header.Get("Message-Id") {
		t.Errorf("messages %v", got)
	}
}

// TestWithoutAPasswordMailWaits: what systemd gives for a file that is not there, or a file that nobody has filled in, is
// no password to try.
func TestWithoutAPasswordMailWaits(t *testing.T) {
	for _, text := range []string{"unset", "unset\n", "", "\nsecond line\n"} {
		t.Run(fmt.Sprintf("%q", text), func(t *testing.T) {
			server := serveMail(t, config.TLSStartTLS)
			server.password = "unset" // a login with it would even succeed
			write(t, server.cfg.PasswordFile, text)
			p := newPost(server)
			p.round(t.Context()) // nothing is due, and the condition is told all the same
			p.put(t, "dsl@school.example", "deputy@school.example")
			p.later += time.Minute
			p.round(t.Context())
			if server.sessions != 0 || p.store.unsent() != 2 || p.SendStats() != (SendStats{}) || p.store.mails[0].Attempts != 0 {
				t.Errorf("%d sessions, %d unsent, %+v, %d attempts; want none and two mails that wait",
					server.sessions, p.store.unsent(), p.SendStats(), p.store.mails[0].Attempts)
			}
			got := p.Health(p.Now().Add(mailCritical))
			if len(got) != 1 || got[0].Code != "mail.password" || got[0].Severity != monitor.Warning || !strings.Contains(got[0].Hint, "password_file") {
				t.Errorf("conditions %v, want mail.password", got)
			}
			server.set(func(s *mailServer) { s.password = "first" })
			write(t, server.cfg.PasswordFile, "first\n")
			p.round(t.Context())
			if n := len(server.messages()); n != 2 || p.store.unsent() != 0 || len(p.Health(p.Now())) != 0 {
				t.Errorf("once it is written: %d messages, %d unsent, conditions %v; log:\n%s", n, p.store.unsent(), p.Health(p.Now()), p.log)
			}
		})
	}
}

// TestAPasswordThatIsTakenAway: the failures of a server before do not hide what is wrong now.
func TestAPasswordThatIsTakenAway(t *testing.T) {
	server := serveMail(t, config.TLSStartTLS)
	p := newPost(server)
	p.put(t, "dsl@school.example")
	write(t, server.cfg.PasswordFile, "wrong")
	p.round(t.Context())
	write(t, server.cfg.PasswordFile, "unset")
	p.later += time.Hour
	p.round(t.Context())
	if got := codes(p.Health(p.Now())); !cmp.Equal(got, []string{"mail.password"}) {
		t.Errorf("conditions %q, want mail.password", got)
	}
	if p.alerts.SMTP.User, p.alerts.SMTP.PasswordFile = "", ""; len(p.Health(p.Now())) != 0 {
		t.Errorf("conditions %v when no password is needed", p.Health(p.Now()))
	}
}

func TestNoServerIsAConditionAndNoAttempt(t *testing.T) {
	server := serveMail(t, config.TLSNone)
	server.cfg.Host = ""
	p := newPost(server)
	p.put(t, "dsl@school.example")
	p.round(t.Context())
	if got := codes(p.Health(p.Now())); !cmp.Equal(got, []string{"mail.unset"}) || p.store.mails[0].Attempts != 0 {
		t.Errorf("conditions %q, %d attempts", got, p.store.mails[0].Attempts)
	}
}
