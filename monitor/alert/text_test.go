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
				for _, s := range []string{"Little Acorns", "\n    sudo schoolgate alerts show 17\n", a.Severity.String(), "14 November 2026, 10:32 UTC"} {
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

// TestWhoeverReadsItCanFollowIt: a safeguarding lead has no account on the box.
func TestWhoeverReadsItCanFollowIt(t *testing.T) {
	box := monitor.Alert{ID: 17, Kind: monitor.System, Severity: monitor.Warning, Code: "upstream.down", Text: "No upstream answers."}
	over := box
	over.Severity, over.Text = monitor.Info, clearedPrefix+box.Text
	alone := testSettings
	alone.Alerts.Technical = nil
	const ask, pass = "Ask whoever looks after the box to show you alert 17", "Please pass this on to whoever looks after the box"
	tests := []struct {
		name     string
		settings Settings
		alert    monitor.Alert
		want     string // of ask and pass
	}{
		{"a block", testSettings, secret, ask},
		{"a block, nobody technical", alone, secret, ask},
		{"the box", testSettings, box, ""},
		{"the box, nobody technical", alone, box, pass},
		{"over, nobody technical", alone, over, pass},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, body := words(newRules(tt.settings), tt.alert, "Check the line.")
			for _, s := range []string{ask, pass} {
				if strings.Contains(body, s) != (s == tt.want) {
					t.Errorf("mail says %q: %v\n%s", s, s != tt.want, body)
				}
			}
		})
	}
}

func TestLinesAreShort(t *testing.T) {
	long := testSettings
	long.School = strings.Repeat("Sainte-Hélène = École ", 4) + "\r\n\r\nSeverity: none"
	hint := "Last answer: " + strings.Repeat("connecting to the mail server: ", 9)
	for name, a := range variants() {
		if a.Kind == monitor.System {
			a.Text = strings.Repeat("The disk is full, and rows wait in memory. ", 5)
		}
		_, body := words(newRules(long), a, hint)
		facts := 0
		for l := range strings.SplitSeq(body, "\n") {
			if encoded(l) > columns || strings.TrimRight(l, " ") != l {
				t.Errorf("%s: line of %d columns: %q", name, encoded(l), l)
			}
			if strings.HasPrefix(l, "Severity:") {
				facts++
			}
		}
		if facts != 1 {
			t.Errorf("%s: the school's name looks like a fact:\n%s", name, body)
		}
	}
	var b strings.Builder
	fill(&b, "Group:     ", "           ", strings.Repeat("x", 100)+" y\x07z")
	if want := "Group:     " + strings.Repeat("x", 100) + "\n           y z\n"; b.String() != want {
		t.Errorf("a word that is too long: %q", b.String())
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
