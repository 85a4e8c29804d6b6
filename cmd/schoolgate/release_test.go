package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"debug/elf"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"schoolgate/blocklist/update"
	"schoolgate/config"
)

// platform is one of those that `make cross` builds for.
type platform struct {
	name    string // as in the Makefile
	env     []string
	machine elf.Machine
	class   elf.Class
	emulate string // the program that runs it on other machines, "" where it runs by itself
}

var platforms = []platform{
	{"linux-arm64", []string{"GOARCH=arm64"}, elf.EM_AARCH64, elf.ELFCLASS64, "qemu-aarch64-static"},
	{"linux-armv7", []string{"GOARCH=arm", "GOARM=7"}, elf.EM_ARM, elf.ELFCLASS32, "qemu-arm-static"},
	{"linux-amd64", []string{"GOARCH=amd64"}, elf.EM_X86_64, elf.ELFCLASS64, "qemu-x86_64-static"},
}

// TestRelease builds for each platform as the Makefile does, and lets the programs for the Raspberry Pi filter, compile
// lists, record and read the record, in an emulator.
func TestRelease(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: building for three platforms takes long")
	}
	t.Parallel()
	makefile := readFile(t, "../../Makefile")
	for _, p := range platforms {
		if !strings.Contains(makefile, p.name) {
			t.Errorf("the Makefile does not build for %s", p.name)
		}
		t.Run(p.name, func(t *testing.T) {
			bin := p.build(t)
			p.inspect(t, bin)
			p.play(t, bin)
		})
	}
}

func (p platform) build(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "schoolgate")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X main.version=v9.8.7", "-o", bin, ".")
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux"), p.env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	return bin
}

// inspect looks at the file: for the right machine, in need of nothing else, and without a path of the machine that built it.
func (p platform) inspect(t *testing.T, bin string) {
	t.Helper()
	f, err := elf.Open(bin)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Machine != p.machine || f.Class != p.class {
		t.Errorf("built for %v %v", f.Machine, f.Class)
	}
	for _, s := range f.Progs {
		if s.Type == elf.PT_INTERP || s.Type == elf.PT_DYNAMIC {
			t.Errorf("not static: it has a segment %v", s.Type)
		}
	}
	if libs, _ := f.ImportedLibraries(); len(libs) > 0 {
		t.Errorf("needs the libraries %v", libs)
	}
	info, err := buildinfo.ReadFile(bin)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range info.Settings {
		if s.Key == "CGO_ENABLED" && s.Value != "0" || s.Key == "-trimpath" && s.Value != "true" {
			t.Errorf("built with %s=%s", s.Key, s.Value)
		}
	}
	if here, err := filepath.Abs("."); err != nil || bytes.Contains([]byte(readFile(t, bin)), []byte(here)) {
		t.Errorf("the program holds the path of the machine that built it: %v", err)
	}
}

// play runs the program: by itself when the machine is of its kind, else in the emulator.
func (p platform) play(t *testing.T, bin string) {
	t.Helper()
	run := []string{bin}
	if err := exec.Command(bin, "version").Run(); err != nil {
		run = []string{tool(t, p.emulate, "qemu-user-static"), bin}
	}
	dir := t.TempDir()
	path := school{upstream: serveDNS(t, answerAnything), http: "127.0.0.1:0", store: `flush = "100ms"`, more: `
[[lists]]
name = "own-games"
category = "gaming"
source = "` + filepath.Join(dir, "games.txt") + `"
format = "domains"
`}.write(t, dir)
	if err := os.WriteFile(filepath.Join(dir, "games.txt"), []byte("marbles.example\nhopscotch.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	say := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(run[0], append(run[1:len(run):len(run)], args...)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	if out := say("version"); !strings.HasPrefix(out, "schoolgate v9.8.7 (") || !strings.HasSuffix(out, " linux/"+strings.TrimPrefix(p.env[0], "GOARCH=")+")\n") {
		t.Errorf("version: %s", out)
	}
	if out := say("check", path); !strings.Contains(out, "is right: 2 groups") {
		t.Errorf("check: %s", out)
	}
	p.compile(t, run, path)

	b := launchCommand(t, path, append(run, "run", "--config", path)...)
	for name, want := range map[string]string{"roblox.com": "blocked", "www.marbles.example": "blocked", "lesson.example": "allowed"} {
		if got := verdictOf(b.ask("127.30.0.1", name, dns.TypeA)); got != want {
			t.Errorf("%s is %s, wants %s", name, got, want)
		}
	}
	if text, status := b.page("/metrics"); status != 200 || !strings.Contains(text, `schoolgate_build_info{`) {
		t.Errorf("/metrics is %d", status)
	}
	b.stop()
	if strings.Contains(b.stderr.String(), "level=ERROR") {
		t.Errorf("the log: %s", b.stderr.String())
	}
	out := say("log", "--config", path, "--format", "csv")
	for _, want := range []string{",roblox.com,A,blocked,category,gaming,", ",www.marbles.example,A,blocked,category,gaming,own-games,", ",lesson.example,A,allowed,"} {
		if !strings.Contains(out, want) {
			t.Errorf("log has no %s:\n%s", want, out)
		}
	}
	if out := say("explain", "--config", path, "hopscotch.example"); !strings.Contains(out, "own-games (gaming): hopscotch.example and all below") {
		t.Errorf("explain: %s", out)
	}
	if rows := b.rows(); len(rows) != 3 {
		t.Errorf("another platform reads %d rows", len(rows))
	}
}

// compile has the lists compiled by the program. On its own machine it starts itself for that, which an emulator does not
// let it do.
func (p platform) compile(t *testing.T, run []string, path string) {
	t.Helper()
	cfg, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	u := update.New(filepath.Join(cfg.Store.Path, "lists"), cfg.Lists, cfg.Update)
	u.CompileCmd = func(ctx context.Context, plan update.Plan) error {
		var in bytes.Buffer
		if err := plan.Encode(&in); err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, run[0], append(run[1:len(run):len(run)], compileCommand)...)
		cmd.Stdin = &in
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("compiling the lists: %s", out)
		}
		return err
	}
	if err := u.Refresh(t.Context(), func(update.Progress) {}); err != nil {
		t.Fatal(err)
	}
}

// launchCommand starts an appliance by any command and waits until it says that it answers.
func launchCommand(t *testing.T, config string, command ...string) *box {
	t.Helper()
	b := &box{t: t, config: config, ended: make(chan struct{}), cmd: exec.Command(command[0], command[1:]...)}
	b.cmd.Dir = filepath.Dir(config)
	b.cmd.Stdout, b.cmd.Stderr = &b.stdout, &b.stderr
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { b.err = b.cmd.Wait(); close(b.ended) }()
	t.Cleanup(func() {
		_ = b.cmd.Process.Kill()
		<-b.ended
	})
	b.until("the appliance answers", func() bool { return strings.Contains(b.stdout.String(), "Stop with Ctrl-C") })
	found := regexp.MustCompile(`DNS\s+(\S+?),[^\0]*metrics\s+(http://\S+)/metrics`).FindStringSubmatch(b.stdout.String())
	if found == nil {
		t.Fatalf("no addresses in %s", b.stdout.String())
	}
	b.dns, b.http = netip.MustParseAddrPort(found[1]), found[2]
	return b
}

// TestSystemd reads the unit as systemd does: nothing in it that it does not know, and the service shut in as far as it
// was made to be.
func TestSystemd(t *testing.T) {
	t.Parallel()
	analyze := tool(t, "systemd-analyze", "systemd")
	unit, err := filepath.Abs("../../deploy/systemd/schoolgate.service")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, analyze, "verify", "--man=no", unit).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if !strings.Contains(line, "Command /usr/bin/schoolgate is not executable: No such file or directory") { // it is not installed here
			t.Errorf("systemd says: %s", line)
		}
	}
	if err != nil && len(out) == 0 {
		t.Error(err)
	}
	// The scale is from 0, shut in entirely, to 100; a service that says nothing has 96.
	if out, err := exec.CommandContext(ctx, analyze, "security", "--offline=true", "--no-pager", "--threshold=17", unit).CombinedOutput(); err != nil {
		t.Errorf("the service is less shut in than it was: %v\n%s", err, last(string(out), 200))
	}

	// The password is where the pages say that it is.
	credential := regexp.MustCompile(`(?m)^LoadCredential=([a-z-]+):/etc/schoolgate/smtp-password$`).FindStringSubmatch(readFile(t, unit))
	if credential == nil {
		t.Fatal("the unit loads no password")
	}
	for _, page := range []string{"../../README.md", "../../deploy/recommended.toml"} {
		if !strings.Contains(readFile(t, page), `password_file = "/run/credentials/schoolgate.service/`+credential[1]+`"`) {
			t.Errorf("%s looks for the password elsewhere", page)
		}
	}

	// What the unit runs is a command line that the program takes.
	start := regexp.MustCompile(`(?m)^ExecStart=/usr/bin/schoolgate (.*)$`).FindStringSubmatch(readFile(t, unit))
	if start == nil {
		t.Fatal("the unit has no ExecStart")
	}
	dir := t.TempDir()
	args := strings.Fields(strings.NewReplacer("/etc/schoolgate", dir, "/var/lib/schoolgate", dir).Replace(start[1]))
	_, stderr, code := invoke(t, dir, args...)
	if code != exitUsage || !strings.Contains(stderr, "schoolgate.toml: no such file") {
		t.Errorf("%v ended with %d: %s", args, code, stderr)
	}
}
