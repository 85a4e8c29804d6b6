//go:build linux

package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
)

// unpackaged are peers that Debian does not package: they are measured when their programs are on the PATH. What they would
// do beside answering (statistics, updates, names of clients) is switched off.
func unpackaged() []*server {
	all := []*server{{
		name: "dnsproxy, no lists", program: "dnsproxy", version: []string{"--version"}, plain: true,
		prepare: func(_ context.Context, p *place) ([]string, error) { return dnsproxy(p), nil },
	}}
	for _, logs := range []bool{true, false} {
		suffix := ""
		if logs {
			suffix = ", logging"
		}
		all = append(all,
			&server{
				name: "blocky, denylist" + suffix, program: "blocky", version: []string{"version"}, logs: logs,
				prepare: func(_ context.Context, p *place) ([]string, error) { return blocky(p, logs) },
			},
			&server{
				name: "AdGuard Home, filter" + suffix, program: "AdGuardHome", version: []string{"--version"}, logs: logs,
				prepare: func(_ context.Context, p *place) ([]string, error) { return adguardHome(p, logs) },
			})
	}
	return all
}

func dnsproxy(p *place) []string {
	return []string{
		"--listen=127.0.0.1", fmt.Sprintf("--port=%d", p.port), fmt.Sprintf("--upstream=127.0.0.1:%d", p.upstream),
		"--cache", "--cache-size=134217728", "--ratelimit=0",
	}
}

func blocky(p *place, logs bool) ([]string, error) {
	err := writeLines(p.file("names"), "", p.names.blocked, func(w *bufio.Writer, name string) { _, _ = w.WriteString("*." + name + "\n") })
	if err != nil {
		return nil, err
	}
	record := "none"
	if logs {
		record = "csv\n  target: " + p.dir
	}
	conf := fmt.Sprintf(`upstreams:
  init:
    strategy: fast
  groups:
    default: ["127.0.0.1:%d"]
ports:
  dns: "127.0.0.1:%d"
log:
  level: error
blocking:
  blockType: nxDomain
  denylists:
    names: [%q]
  clientGroupsBlock:
    default: [names]
  loading:
    refreshPeriod: 0
caching:
  maxItemsCount: 0
queryLog:
  type: %s
`, p.upstream, p.port, p.file("names"), record)
	return []string{"--config", p.file("blocky.yml")}, write(p.file("blocky.yml"), conf)
}

func adguardHome(p *place, logs bool) ([]string, error) {
	if err := os.MkdirAll(p.file("data/filters"), 0o700); err != nil {
		return nil, fmt.Errorf("making a folder: %w", err)
	}
	err := writeLines(p.file("data/filters/1.txt"), "", p.names.blocked, func(w *bufio.Writer, name string) { _, _ = w.WriteString("||" + name + "^\n") })
	if err != nil {
		return nil, err
	}
	conf := fmt.Sprintf(`http:
  address: 127.0.0.1:%d
dns:
  bind_hosts: [127.0.0.1]
  port: %d
  upstream_dns: ["127.0.0.1:%d"]
  upstream_mode: load_balance
  ratelimit: 0
  cache_enabled: true
  cache_size: 134217728
  max_goroutines: 0
  hostsfile_enabled: false
querylog:
  enabled: %v
  file_enabled: %v
  interval: 24h
  size_memory: 1000
statistics:
  enabled: false
  interval: 24h
filters:
  - {enabled: true, id: 1, name: names, url: %q}
filtering:
  filtering_enabled: true
  protection_enabled: true
  blocking_mode: nxdomain
  filters_update_interval: 0
  safe_fs_patterns: [%q]
clients:
  runtime_sources: {whois: false, arp: false, rdns: false, dhcp: false, hosts: false}
schema_version: 34
`, p.http, p.port, p.upstream, logs, logs, p.file("data/filters/1.txt"), p.file("data/filters/*"))
	return []string{"--config", p.file("AdGuardHome.yaml"), "--work-dir", p.dir, "--no-check-update", "--no-permcheck"},
		write(p.file("AdGuardHome.yaml"), conf)
}
