//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// dnsperf drives a server at a fixed rate, from the generator's core.
func dnsperf(ctx context.Context, file string, l load, echo bool) (*outcome, error) {
	seconds := l.warm + l.span
	cmd := exec.CommandContext(ctx, "dnsperf", "-v", "-s", "127.0.0.1", "-p", fmt.Sprint(l.to.Port()), "-d", file, "-Q", fmt.Sprint(l.rate),
		"-l", fmt.Sprint(seconds.Seconds()), "-q", fmt.Sprint(l.window), "-t", fmt.Sprint(patience.Seconds()), "-b", "2000") //nolint:gosec // G204: fixed program, numbers
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("running dnsperf: %w", err)
	}
	started := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("running dnsperf: %w", err)
	}
	var elapsed time.Duration
	done := make(chan struct{})
	go func() { // the processor time of the server is that between these two moments
		defer close(done)
		time.Sleep(time.Until(started.Add(l.warm)))
		begin := time.Now()
		call(l.begin)
		time.Sleep(time.Until(started.Add(seconds - 100*time.Millisecond)))
		call(l.end)
		elapsed = time.Since(begin)
	}()
	o, err := parseDnsperf(out, int(l.rate*l.warm.Seconds()), echo)
	_, _ = io.Copy(io.Discard, out)
	<-done
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return nil, fmt.Errorf("running dnsperf: %w", err)
	}
	o.elapsed = elapsed
	// Its log has no times; at a fixed rate this share was answered meanwhile.
	o.answered = uint64(float64(o.sent-min(o.lost, o.sent)) * elapsed.Seconds() / seconds.Seconds())
	return o, nil
}

// parseDnsperf reads what dnsperf -v says: a line for each answer in the order of their arrival, of which the first skip
// are not counted, then a summary.
func parseDnsperf(r io.Reader, skip int, echo bool) (*outcome, error) {
	o := &outcome{}
	in := bufio.NewScanner(r)
	answers := 0
	for in.Scan() {
		line := in.Text()
		if rest, ok := strings.CutPrefix(line, "> "); ok {
			words := strings.Fields(rest)
			if len(words) == 4 {
				seconds, err := strconv.ParseFloat(words[3], 64)
				if err != nil {
					return nil, fmt.Errorf("reading dnsperf's log: %w", err)
				}
				if answers++; answers > skip {
					o.latency.add(time.Duration(seconds * float64(time.Second)))
				}
				if words[0] != codeOf(words[1], echo) {
					if o.wrong++; o.wrong == 1 {
						o.oddity = fmt.Sprintf("%q got code %s", words[1], words[0])
					}
				}
			}
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		number, _, _ := strings.Cut(strings.TrimSpace(value), " ")
		switch strings.TrimSpace(key) {
		case "Queries sent":
			o.sent, _ = strconv.ParseUint(number, 10, 64)
		case "Queries lost":
			o.lost, _ = strconv.ParseUint(number, 10, 64)
		}
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("reading dnsperf's log: %w", err)
	}
	if o.sent == 0 {
		return nil, errors.New("dnsperf sent nothing")
	}
	return o, nil
}

func codeOf(name string, echo bool) string {
	if echo || strings.HasSuffix(name, allowedZone) {
		return "NOERROR"
	}
	return "NXDOMAIN"
}

// writeQuestions writes what dnsperf asks, in the order of mixed.
func writeQuestions(path string, n *names) error {
	i := 0
	return writeLines(path, "", n.asked, func(w *bufio.Writer, name string) {
		_, _ = fmt.Fprintf(w, "%s A\n%s A\n", name, n.cached[i%len(n.cached)])
		i++
	})
}
