package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestStories plays the files of testdata: each tells what a person types and what comes of it. Beside the commands of
// testscript they have
//
//	exits N COMMAND…      the command ends with exactly this exit code
//	expand FILE…          put the value of each $VARIABLE into the file
//	start                 start an appliance with schoolgate.toml, in this folder
//	ask ADDRESS NAME…     ask it for names from an address of loopback; stdout has a line "NAME VERDICT" for each
//	soon ADDRESS NAME VERDICT
//	                      ask until the verdict is this one
//	halt                  stop it as systemd would
//
// $UPSTREAM is a stand-in for the Internet's DNS, $NOBODY an address where nobody answers, $SITE a web server of the
// folder www.
func TestStories(t *testing.T) {
	t.Parallel()
	dir := filepath.Dir(binary(t))
	testscript.Run(t, testscript.Params{
		Dir:                "testdata",
		RequireUniqueNames: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", dir+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("HOME", env.WorkDir)
			tb := env.T().(testing.TB) // as testscript promises
			env.Setenv("UPSTREAM", serveDNS(tb, answerAnything))
			env.Setenv("NOBODY", deadAddr(tb))
			env.Setenv("SITE", serveFolder(tb, filepath.Join(env.WorkDir, "www")))
			env.Values[theBox{}] = &played{t: tb}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "expand": expand, "start": start, "ask": askFor, "soon": askUntil, "halt": halt,
		},
	})
}

// serveFolder serves the files of a folder over HTTP as they are at the moment, each with an ETag of its content.
func serveFolder(tb testing.TB, dir string) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := os.ReadFile(filepath.Join(dir, filepath.Base(r.URL.Path)))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256(text)))
		w.Header().Set("Content-Type", "text/plain")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(text))
	}))
	tb.Cleanup(s.Close)
	return s.URL
}

// theBox is the key of a story's appliance.
type theBox struct{}

type played struct {
	t testing.TB
	*box
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits N COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%s ended with %d, wants %d", strings.Join(args[1:], " "), got, want)
	}
}

func expand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: expand FILE…")
	}
	for _, name := range args {
		text := os.Expand(ts.ReadFile(name), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
}

func start(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: start")
	}
	p := ts.Value(theBox{}).(*played)
	p.box = startBox(p.t, ts.MkAbs("schoolgate.toml"))
}

func askFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: ask ADDRESS NAME…")
	}
	_, err := netip.ParseAddr(args[0])
	ts.Check(err)
	p := ts.Value(theBox{}).(*played)
	for _, name := range args[1:] {
		fmt.Fprintln(ts.Stdout(), name, verdictOf(p.ask(args[0], name, dns.TypeA)))
	}
}

func askUntil(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: soon ADDRESS NAME VERDICT")
	}
	p := ts.Value(theBox{}).(*played)
	p.until(args[1]+" is "+args[2], func() bool { return verdictOf(p.ask(args[0], args[1], dns.TypeA)) == args[2] })
}

func halt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: halt")
	}
	ts.Value(theBox{}).(*played).stop()
}
