//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
)

// The peers are given what makes the comparison fair: one thread, room for all cached names, as many questions under way
// as the generator has, no DNSSEC, nothing looked up elsewhere. Each refuses the listed names and all below them.

// echo is the limit: compiled here, with the compiler of the system.
func echo(dir string) *server {
	return &server{
		name: "echo in C", program: dir + "/echo", echo: true,
		prepare: func(_ context.Context, p *place) ([]string, error) { return []string{fmt.Sprint(p.port)}, nil },
	}
}

func compileEcho(ctx context.Context, dir string) error {
	if err := os.WriteFile(dir+"/echo.c", echoSource, 0o600); err != nil {
		return fmt.Errorf("writing the echo's source: %w", err)
	}
	out, err := exec.CommandContext(ctx, "gcc", "-O2", "-Wall", "-o", dir+"/echo", dir+"/echo.c").CombinedOutput() //nolint:gosec // G204: a folder made here
	if err != nil {
		return fmt.Errorf("compiling the echo (Debian package gcc): %w: %s", err, lastLines(out, 3))
	}
	return nil
}

// peers gives each twice: silent, and writing down each query.
func peers() (all []*server) {
	for _, p := range []struct {
		name, program, pkg string
		version            []string
		config             func(p *place, logs bool) ([]string, error)
	}{
		{"Unbound, local-zone", "unbound", "unbound", []string{"-V"}, unbound},
		{"PowerDNS Recursor, RPZ", "pdns_recursor", "pdns-recursor", []string{"--version"}, recursor},
		{"dnsdist, suffix match", "dnsdist", "dnsdist", []string{"--version"}, dnsdist},
		{"dnsmasq, address=", "dnsmasq", "dnsmasq", []string{"--version"}, dnsmasq},
	} {
		for _, logs := range []bool{true, false} {
			s := &server{name: p.name, program: p.program, pkg: p.pkg, version: p.version, logs: logs}
			if logs {
				s.name += ", logging"
			}
			s.prepare = func(_ context.Context, at *place) ([]string, error) { return p.config(at, logs) }
			all = append(all, s)
		}
	}
	return all
}

func unbound(p *place, logs bool) ([]string, error) {
	err := writeLines(p.file("names"), "server:\n", p.names.blocked, func(w *bufio.Writer, name string) {
		_, _ = w.WriteString("local-zone: \"" + name + ".\" always_nxdomain\n")
	})
	if err != nil {
		return nil, err
	}
	conf := fmt.Sprintf(`server:
	directory: %q
	chroot: ""
	username: ""
	pidfile: ""
	use-syslog: no
	logfile: "queries.log"
	log-queries: %s
	verbosity: 0
	do-daemonize: no
	interface: 127.0.0.1@%d
	access-control: 127.0.0.0/8 allow
	num-threads: 1
	module-config: "iterator"
	do-not-query-localhost: no
	msg-cache-size: 64m
	rrset-cache-size: 128m
	outgoing-range: 4096
	num-queries-per-thread: 2048
	so-rcvbuf: 4m
	include: %q
remote-control:
	control-enable: no
forward-zone:
	name: "."
	forward-addr: 127.0.0.1@%d
`, p.dir, yes(logs), p.port, p.file("names"), p.upstream)
	return []string{"-d", "-c", p.file("unbound.conf")}, write(p.file("unbound.conf"), conf)
}

func recursor(p *place, logs bool) ([]string, error) {
	head := "$TTL 300\n@ SOA localhost. root.localhost. 1 3600 600 86400 300\n@ NS localhost.\n"
	err := writeLines(p.file("names.rpz"), head, p.names.blocked, func(w *bufio.Writer, name string) {
		_, _ = w.WriteString(name + " CNAME .\n*." + name + " CNAME .\n")
	})
	if err != nil {
		return nil, err
	}
	if err := write(p.file("names.lua"), fmt.Sprintf("rpzFile(%q, {policyName=\"names\"})\n", p.file("names.rpz"))); err != nil {
		return nil, err
	}
	conf := fmt.Sprintf(`local-address=127.0.0.1
local-port=%d
socket-dir=%s
daemon=no
write-pid=no
disable-syslog=yes
quiet=%s
threads=1
pdns-distributes-queries=no
dnssec=off
dont-query=
security-poll-suffix=
forward-zones-recurse=.=127.0.0.1:%d
lua-config-file=%s
`, p.port, p.dir, yes(!logs), p.upstream, p.file("names.lua"))
	return []string{"--config-dir=" + p.dir}, write(p.file("recursor.conf"), conf)
}

func dnsdist(p *place, logs bool) ([]string, error) {
	err := writeLines(p.file("names"), "", p.names.blocked, func(w *bufio.Writer, name string) { _, _ = w.WriteString(name + "\n") })
	if err != nil {
		return nil, err
	}
	conf := fmt.Sprintf(`setSecurityPollSuffix("")
setLocal("127.0.0.1:%d")
setMaxUDPOutstanding(65535)
newServer({address="127.0.0.1:%d"}):setUp()
getPool(""):setCache(newPacketCache(500000, {maxTTL=86400}))
names = newSuffixMatchNode()
for line in io.lines(%q) do names:add(newDNSName(line)) end
`, p.port, p.upstream, p.file("names"))
	if logs {
		conf += fmt.Sprintf("addAction(AllRule(), LogAction(%q, false, true, true))\n", p.file("queries.log"))
	}
	conf += "addAction(SuffixMatchNodeRule(names), RCodeAction(DNSRCode.NXDOMAIN))\n"
	return []string{"--supervised", "--disable-syslog", "-C", p.file("dnsdist.conf")}, write(p.file("dnsdist.conf"), conf)
}

func dnsmasq(p *place, logs bool) ([]string, error) {
	conf := fmt.Sprintf(`port=%d
listen-address=127.0.0.1
bind-interfaces
no-resolv
no-hosts
user=root
pid-file=
server=127.0.0.1#%d
cache-size=10000
dns-forward-max=10000
`, p.port, p.upstream)
	if os.Getuid() != 0 {
		conf += "user=\n"
	}
	if logs {
		conf += fmt.Sprintf("log-queries\nlog-facility=%s\nlog-async=100\n", p.file("queries.log"))
	}
	err := writeLines(p.file("dnsmasq.conf"), conf, p.names.blocked, func(w *bufio.Writer, name string) {
		_, _ = w.WriteString("address=/" + name + "/\n")
	})
	return []string{"--keep-in-foreground", "--conf-file=" + p.file("dnsmasq.conf")}, err
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func write(path, text string) error {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("writing a configuration: %w", err)
	}
	return nil
}
