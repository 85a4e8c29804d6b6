package alert

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"schoolgate/config"
	"schoolgate/monitor"
)

// secret is what an alert knows and no mail may say.
var secret = monitor.Alert{
	ID: 17, Severity: monitor.Warning, Category: config.Pornography, Group: "children", Count: 4711,
	Device: "Alices-tablet", Site: "forbidden.example",
	First: time.Date(2026, time.November, 14, 10, 32, 0, 0, time.UTC), Last: time.Date(2026, time.November, 14, 10, 40, 0, 0, time.UTC),
}

func variants() map[string]monitor.Alert {
	out := make(map[string]monitor.Alert)
	for _, device := range []string{secret.Device, "192.0.2.77", "2001:db8::77", "02:00:5e:10:00:77"} {
		a := secret
		a.Device = device
		out["blocked "+device] = a
		a.Kind, a.Severity, a.Category = monitor.Illegal, monitor.Critical, config.IllegalTier
		out["illegal "+device] = a
		a.Code, a.Text = CodeMore, "Further blocks by "+device
		out["more illegal "+device] = a
		a.Kind = monitor.Blocked
		out["more "+device] = a
	}
	a := secret
	a.Kind, a.Code, a.Text = monitor.System, "upstream.down", "No upstream answers."
	out["system"] = a
	a.Severity = monitor.Info
	out["over"] = a
	return out
}

func TestNoMailNamesADeviceOrASite(t *testing.T) {
	for name, a := range variants() {
		t.Run(name, func(t *testing.T) {
			mails := compose(newRules(testSettings), a, &episode{hint: "Check the line."})
			if len(mails) == 0 {
				t.Fatal("no mail")
			}
			for _, m := range mails {
				all := m.Subject + "\n" + m.Body + "\n" + m.Key
				for _, s := range []string{a.Device, "Alice", "192.0.2", "2001:db8", "5e:10", "forbidden", "4711"} {
					if strings.Contains(all, s) {
						t.Errorf("mail holds %q:\n%s", s, all)
					}
				}
				for _, s := range []string{"Little Acorns", "schoolgate alerts show 17", a.Severity.String(), "14 November 2026, 10:32 UTC"} {
					if !strings.Contains(m.Body, s) {
						t.Errorf("mail lacks %q:\n%s", s, m.Body)
					}
				}
			}
		})
	}
}

func TestSubjects(t *testing.T) {
	illegal, box, more := secret, secret, secret
	illegal.Kind, illegal.Category = monitor.Illegal, config.IllegalTier
	box.Kind, box.Code, box.Group, box.Category = monitor.System, "lists.stale", "", ""
	more.Code, more.Category = CodeMore, ""
	evil := secret
	evil.Group = "children\r\nBcc: all@example.net"
	tests := []struct {
		alert monitor.Alert
		want  string
	}{
		{secret, "[Schoolgate] Alert 17: pornography, group children"},
		{illegal, "[Schoolgate] Alert 17: a site on the illegal list was refused, group children"},
		{box, "[Schoolgate] Alert 17: the box, lists.stale"},
		{more, "[Schoolgate] Alert 17: more of the same, group children"},
		{evil, "[Schoolgate] Alert 17: pornography, group children  Bcc: all@example.net"},
	}
	for _, tt := range tests {
		if got, _ := words(newRules(testSettings), tt.alert, ""); got != tt.want {
			t.Errorf("subject %q, want %q", got, tt.want)
		}
	}
}

func TestTheMailOfTheIllegalTierSaysWhatToDo(t *testing.T) {
	a := secret
	a.Kind, a.Severity, a.Category = monitor.Illegal, monitor.Critical, config.IllegalTier
	_, body := words(newRules(testSettings), a, "")
	body = strings.Join(strings.Fields(body), " ")
	for _, s := range []string{"Tell the head teacher", "Do not try to find or open", "999", "101", "CEOP", "Internet Watch Foundation", "no proof"} {
		if !strings.Contains(body, s) {
			t.Errorf("mail lacks %q:\n%s", s, body)
		}
	}
}

func TestRecipients(t *testing.T) {
	one, two, it := []string{"dsl@school.example"}, []string{"dsl@school.example", "deputy@school.example"}, []string{"it@school.example", "DSL@school.example"}
	tests := []struct {
		name           string
		kind           monitor.Kind
		severity       monitor.Severity
		dsl, technical []string
		want           []string
	}{
		{"a block", monitor.Blocked, monitor.Warning, two, it, two},
		{"a block, nobody to tell", monitor.Blocked, monitor.Warning, nil, it, nil},
		{"illegal", monitor.Illegal, monitor.Critical, two, it, two},
		{"illegal, one DSL", monitor.Illegal, monitor.Critical, one, it, []string{"dsl@school.example", "it@school.example"}},
		{"illegal, the same DSL twice", monitor.Illegal, monitor.Critical, []string{one[0], one[0]}, it, []string{"dsl@school.example", "it@school.example"}},
		{"the box", monitor.System, monitor.Warning, two, it, it},
		{"the box, critical", monitor.System, monitor.Critical, two, it, []string{two[0], two[1], it[0]}},
		{"the box, nobody technical", monitor.System, monitor.Warning, two, nil, two},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRules(Settings{Alerts: config.Alerts{DSL: tt.dsl, Technical: tt.technical}})
			got := recipients(r, monitor.Alert{Kind: tt.kind, Severity: tt.severity}, false)
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("recipients (-want +got):\n%s", d)
			}
		})
	}
}
