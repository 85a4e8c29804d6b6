//go:build linux

package main

import (
	"bytes"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func smallNames(t *testing.T) *names {
	t.Helper()
	n, err := loadNames(filepath.Join(t.TempDir(), "none"), 1000, 100, 50)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func local(port int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4(loopback), uint16(port))
}

func standIn(t *testing.T) *upstream {
	t.Helper()
	u, err := startUpstream()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(u.stop)
	return u
}

// TestDrive: every question of a run is answered and found right, at full speed and at a rate.
func TestDrive(t *testing.T) {
	u := standIn(t)
	n := smallNames(t)
	for name, rate := range map[string]float64{"full speed": 0, "rate": 20000} {
		begun, ended := 0, 0
		o, err := drive(t.Context(), load{
			to: local(u.port), next: each(n.cached, wantAddress), window: 32, rate: rate, span: time.Minute, most: 5000,
			begin: func() { begun++ }, end: func() { ended++ }, keepUp: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		if o.sent != 5000 || o.lost != 0 || o.wrong != 0 || o.answered != 5000 || o.latency.total != 5000 || begun != 1 || ended != 1 {
			t.Errorf("%s: sent %d, lost %d, wrong %d, answered %d, timed %d, begun %d, ended %d", name, o.sent, o.lost, o.wrong, o.answered, o.latency.total, begun, ended)
		}
		var apart histogram
		for i := range o.seconds {
			apart.merge(&o.seconds[i])
		}
		if apart.total != 5000 {
			t.Errorf("%s: %d latencies by second", name, apart.total)
		}
	}
	if asked := u.asked.Load(); asked != 10000 {
		t.Errorf("the upstream was asked %d times", asked)
	}
}

func TestDriveSeesWrongAnswers(t *testing.T) {
	o, err := drive(t.Context(), load{to: local(standIn(t).port), next: mixed(smallNames(t), false), window: 8, span: time.Minute, most: 100})
	if err != nil {
		t.Fatal(err)
	}
	if o.wrong != 50 || o.oddity == "" { // blocked names are given an address
		t.Errorf("%d wrong answers, %q", o.wrong, o.oddity)
	}
}

func TestDriveSeesLosses(t *testing.T) {
	fd, err := openSocket(time.Second) // nobody reads it
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	port, err := portOf(fd)
	if err != nil {
		t.Fatal(err)
	}
	o, err := drive(t.Context(), load{to: local(port), next: distinct("x"), window: 8, span: time.Minute, most: 8})
	if err != nil {
		t.Fatal(err)
	}
	if o.sent != 8 || o.lost != 8 || o.answered != 0 {
		t.Errorf("sent %d, lost %d, answered %d", o.sent, o.lost, o.answered)
	}
}

func TestRight(t *testing.T) {
	q := appendQuestion(nil, "a.lesson.example")
	address := answerAddress(nil, q)
	nothing := append([]byte{0, 0, 0x81, 0x83, 0, 1, 0, 0, 0, 0, 0, 0}, q[12:]...)
	flipped := bytes.Clone(q)
	flipped[2] |= 0x80
	other := answerAddress(nil, appendQuestion(nil, "b.lesson.example"))
	for _, c := range []struct {
		name   string
		want   want
		answer []byte
		right  bool
	}{
		{"address", wantAddress, address, true},
		{"no address", wantAddress, flipped, false},
		{"address for another name", wantAddress, other, false},
		{"refused", wantBlocked, nothing, true},
		{"not refused", wantBlocked, address, false},
		{"echo", wantEcho, flipped, true},
		{"not even a response", wantEcho, q, false},
		{"cut off", wantBlocked, nothing[:20], false},
	} {
		if got := c.want.right(q, c.answer); got != c.right {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	if text(q) != "a.lesson.example" {
		t.Errorf("text %q", text(q))
	}
}

func TestAnswerAddress(t *testing.T) {
	aaaa := appendQuestion(nil, "a.lesson.example")
	aaaa[len(aaaa)-3] = 28
	if r := answerAddress(nil, aaaa); r == nil || r[7] != 0 {
		t.Errorf("AAAA: %x", r)
	}
	for _, bad := range [][]byte{nil, aaaa[:12], aaaa[:20], append([]byte{0, 0, 0x80}, aaaa[3:]...)} {
		if r := answerAddress(nil, bad); r != nil {
			t.Errorf("%x is answered %x", bad, r)
		}
	}
}

// TestEcho runs the whole of a round with the echo, as every other server is run.
func TestEcho(t *testing.T) {
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("the echo server needs gcc")
	}
	b := &bench{
		dir: t.TempDir(), names: smallNames(t), upstream: standIn(t),
		fixed: 100 * time.Millisecond, full: 100 * time.Millisecond, say: t.Logf,
	}
	usable, err := cores()
	if err != nil {
		t.Fatal(err)
	}
	b.core = usable[0]
	if err := compileEcho(t.Context(), b.dir); err != nil {
		t.Fatal(err)
	}
	f, err := b.round(t.Context(), echo(b.dir), 0)
	if err != nil {
		t.Fatal(err)
	}
	if f[wrongAll] != 0 || f[answeredAl] == 0 || f[load1] == 0 || f[rssAnon]+f[rssFile] == 0 { // no more: the machine may be busy
		t.Errorf("figures %v", f)
	}
	left, err := filepath.Glob(filepath.Join(b.dir, "server-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestNames(t *testing.T) {
	n := smallNames(t)
	seen := map[string]bool{}
	for _, name := range n.blocked {
		if seen[name] || len(name) > 60 {
			t.Fatalf("%q is there twice, or too long", name)
		}
		seen[name] = true
	}
	if len(n.blocked) != 1000 || len(n.asked) != 100 || len(n.cached) != 50 {
		t.Errorf("%d, %d and %d names", len(n.blocked), len(n.asked), len(n.cached))
	}
	for name, want := range map[string]bool{
		"a.org": true, "a_b.c-d.org": true, "org": false, "a..org": false, "A.org": false, "a.lesson.example": false, "": false, "a b.org": false, "ac.ml": false,
	} {
		if usable(name) != want {
			t.Errorf("%q: usable is %v", name, !want)
		}
	}
	path := filepath.Join(t.TempDir(), "questions")
	if err := writeQuestions(path, n); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil || bytes.Count(b, []byte(" A\n")) != 200 {
		t.Errorf("questions for dnsperf: %v, %.100s", err, b)
	}
}
