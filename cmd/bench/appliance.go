//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// appliance is Schoolgate itself: the whole program, with its record.
func appliance(binary, category string) *server {
	return &server{
		name: "Schoolgate, logging", program: binary, logs: true, version: []string{"version"},
		prepare: func(ctx context.Context, p *place) ([]string, error) {
			if err := p.writeList(p.names.blocked); err != nil {
				return nil, err
			}
			conf := fmt.Sprintf(`[dns]
listen = ["127.0.0.1:%d"]
[http]
listen = "127.0.0.1:%d"
[upstream]
servers = ["127.0.0.1:%d"]
[dnssec]
mode = "off"
[policy]
schools_pack = false
[store]
path = %q
[[lists]]
name = "names"
category = %q
source = %q
format = "domains"
every = "7d"
max_size = "1 GB"
`, p.port, p.http, p.upstream, p.file("state"), category, p.file("names"))
			if err := write(p.file("schoolgate.toml"), conf); err != nil {
				return nil, err
			}
			if err := updateLists(ctx, binary, p, p.core); err != nil {
				return nil, err
			}
			return []string{"run", "--config", p.file("schoolgate.toml")}, nil
		},
	}
}

func (p *place) writeList(list []string) error {
	return writeLines(p.file("names"), "", list, func(w *bufio.Writer, name string) { _, _ = w.WriteString(name + "\n") })
}

// updateLists compiles the list on a core and tells the appliance, if it runs.
func updateLists(ctx context.Context, binary string, p *place, core int) error {
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, binary, "lists", "update", "--config", p.file("schoolgate.toml")) //nolint:gosec // G204: the program under test
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // the compiler is its child
	err := startOn(cmd, core)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		return fmt.Errorf("compiling the lists: %w: %s", err, lastLines(said.Bytes(), 3))
	}
	return nil
}

// rows counts the rows of the record, with the program's own command.
func rows(ctx context.Context, binary string, p *place) (int64, error) {
	cmd := exec.CommandContext(ctx, binary, "log", "--config", p.file("schoolgate.toml"), "--limit", "0", "--format", "csv") //nolint:gosec // G204: as above
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, fmt.Errorf("counting rows: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("counting rows: %w", err)
	}
	n, err := lines(out)
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return 0, fmt.Errorf("counting rows: %w", err)
	}
	return n - 1, nil // the first holds the titles
}

func lines(r io.Reader) (n int64, err error) {
	b := make([]byte, 1<<16)
	for {
		k, err := r.Read(b)
		n += int64(bytes.Count(b[:k], []byte("\n")))
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, fmt.Errorf("reading rows: %w", err)
		}
	}
}

// scrape reads the appliance's metrics: the sum over all labels of each name.
func scrape(ctx context.Context, p *place) (map[string]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/metrics", p.http), nil)
	if err != nil {
		return nil, fmt.Errorf("asking for metrics: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("asking for metrics: %w", err)
	}
	defer resp.Body.Close()
	return parseMetrics(resp.Body)
}

func parseMetrics(r io.Reader) (map[string]float64, error) {
	out := map[string]float64{}
	in := bufio.NewScanner(r)
	for in.Scan() {
		line := in.Text()
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || line[0] == '#' {
			continue
		}
		v, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("reading metrics: %w", err)
		}
		name, _, _ := strings.Cut(line[:at], "{")
		out[name] += v
	}
	return out, in.Err()
}
