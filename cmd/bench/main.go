//go:build linux

package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

//go:embed echo/echo.c
var echoSource []byte

const echoName = "echo in C"

// options are the command line.
type options struct {
	quick    bool
	only     string
	rounds   int
	asJSON   bool
	out      string
	binary   string
	list     string
	names    int
	category string
	dir      string
	budget   time.Duration
	noSet    bool
}

func main() {
	var o options
	flag.BoolVar(&o.quick, "quick", false, "one short round, fewer names")
	flag.StringVar(&o.only, "only", "", "measure those servers alone whose names begin with one of these, comma-separated; the echo always runs")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds")
	flag.BoolVar(&o.asJSON, "json", false, "write JSON to standard output instead of the table")
	flag.StringVar(&o.out, "write", "", "put the table between the marks in this file too")
	flag.StringVar(&o.binary, "schoolgate", "bin/schoolgate", "the program")
	flag.StringVar(&o.list, "list", "../shared/data/lists/scale/all-categories-union.domains.txt.zst", "names to load, zstd; made ones when there is no such file")
	flag.IntVar(&o.names, "names", 1_000_000, "how many")
	flag.StringVar(&o.category, "category", "pornography", "of the names, for Schoolgate; blocks in this one make alerts, those in gaming do not")
	flag.StringVar(&o.dir, "dir", "", "where to put what the servers read and write; it should be on a disk")
	flag.DurationVar(&o.budget, "budget", 15*time.Minute, "no further round is begun when it would take longer")
	flag.BoolVar(&o.noSet, "no-set", false, "leave out the benchmarks of the list's set and what is asked of Schoolgate alone")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, o.budget)
	err := run(ctx, o)
	cancel()
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (err error) {
	begin := time.Now()
	r := &result{When: begin.UTC().Truncate(time.Second)}
	if o.quick {
		o.rounds, o.names = 1, min(o.names, 200_000)
	}
	b, done, err := setUp(ctx, o, r)
	if err != nil {
		return err
	}
	defer done()
	list := b.choose(o, r)
	r.describe(ctx, b, list)
	for _, s := range list {
		r.Servers = append(r.Servers, &measured{Server: s.name, Rounds: make([]figures, 0, o.rounds)})
	}
	if err := b.rounds(ctx, o, list, r); err != nil {
		return err
	}
	if !o.noSet {
		b.further(ctx, o, list, r)
	}
	r.Duration = time.Since(begin).Round(time.Second)
	r.Machine = append(r.Machine, "load average as it ended: "+loadAverage()+"; the servers and the generator make about 2 of it")
	return r.report(o)
}

// setUp makes what all rounds share; done removes it.
func setUp(ctx context.Context, o options, r *result) (b *bench, done func(), err error) {
	b = &bench{fixed: 3 * time.Second, full: 3 * time.Second, missing: 2 * time.Second}
	if o.quick {
		b.fixed, b.full, b.missing = 2*time.Second, 2*time.Second, time.Second
	}
	b.say = func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	if b.binary, err = filepath.Abs(o.binary); err != nil {
		return nil, nil, fmt.Errorf("finding Schoolgate: %w", err)
	}
	if b.dir, err = os.MkdirTemp(o.dir, "schoolgate-bench-"); err != nil {
		return nil, nil, fmt.Errorf("making a folder: %w", err)
	}
	done = func() {
		if b.upstream != nil {
			b.upstream.stop()
		}
		os.RemoveAll(b.dir)
	}
	defer func() {
		if err != nil {
			done()
		}
	}()
	usable, err := cores()
	if err != nil {
		return nil, nil, err
	}
	b.core = usable[0]
	if len(usable) == 1 {
		r.NotDone = append(r.NotDone, "servers and generator on cores of their own: this machine has one, so only ratios of CPU time hold")
	}
	if err := pin(usable[len(usable)-1]); err != nil {
		return nil, nil, err
	}
	if b.upstream, err = startUpstream(); err != nil {
		return nil, nil, err
	}
	b.say("reading names")
	if b.names, err = loadNames(o.list, o.names, min(100_000, o.names), 2000); err != nil {
		return nil, nil, err
	}
	b.perf = filepath.Join(b.dir, "questions")
	if err := writeQuestions(b.perf, b.names); err != nil {
		return nil, nil, err
	}
	if _, err := exec.LookPath("dnsperf"); err == nil {
		b.dnsperf = true
	} else {
		r.NotDone = append(r.NotDone, "dnsperf (Debian package dnsperf) is not installed: fixed rates are driven by the generator of this program")
	}
	if !onDisk(b.dir) {
		r.NotDone = append(r.NotDone, "bytes written: the kernel counts none below "+b.dir+"; --dir names another place")
	}
	return b, done, compileEcho(ctx, b.dir)
}

// choose is what is to be measured of what is there.
func (b *bench) choose(o options, r *result) (list []*server) {
	for _, s := range slices.Concat([]*server{echo(b.dir), appliance(b.binary, o.category)}, peers(), unpackaged()) {
		if !s.echo && !wanted(o.only, s.name) {
			continue
		}
		if _, err := s.find(); err != nil {
			why := s.program + " is not on the PATH; Debian has no package of it"
			switch {
			case s.program == b.binary:
				why = "not built: make build"
			case s.pkg != "":
				why = "not installed: Debian package " + s.pkg
			}
			r.NotDone = append(r.NotDone, s.name+": "+why)
			continue
		}
		list = append(list, s)
	}
	return list
}

func wanted(only, name string) bool {
	if only == "" {
		return true
	}
	for part := range strings.SplitSeq(only, ",") {
		if part != "" && strings.HasPrefix(strings.ToLower(name), strings.ToLower(strings.TrimSpace(part))) {
			return true
		}
	}
	return false
}

// rounds measures all servers in turn, as often as asked for and as the time allows.
func (b *bench) rounds(ctx context.Context, o options, list []*server, r *result) error {
	failed := map[string]bool{}
	begin := time.Now()
	for i := range o.rounds {
		if took := time.Since(begin); i > 0 && took+took/time.Duration(i) > o.budget-3*time.Minute {
			r.NotDone = append(r.NotDone, fmt.Sprintf("rounds from %d on: there was no time (--budget)", i+1))
			return nil
		}
		for k, s := range list {
			b.say("round %d of %d: %s", i+1, o.rounds, s.name)
			var f figures
			var err error
			if !failed[s.name] {
				f, err = b.round(ctx, s, i)
			}
			if ctx.Err() != nil {
				return fmt.Errorf("stopped: %w", context.Cause(ctx))
			}
			if err != nil {
				failed[s.name] = true
				r.NotDone = append(r.NotDone, fmt.Sprintf("%s, round %d: %v", s.name, i+1, err))
			}
			r.Servers[k].Rounds = append(r.Servers[k].Rounds, f)
		}
	}
	return nil
}

// further is the rest, after the rounds.
func (b *bench) further(ctx context.Context, o options, list []*server, r *result) {
	steady, quiet, pattern := 60*time.Second, 20*time.Second, "^Benchmark(Lookup|Build|Open)$"
	if o.quick {
		steady, quiet, pattern = 5*time.Second, 5*time.Second, "^BenchmarkLookup$/.*/1M"
	}
	for k, s := range list {
		full := r.Servers[k].spread(qps)
		if s.program != b.binary || full.Rounds == 0 {
			continue
		}
		b.say("further: record and new lists under load")
		said, err := b.extras(ctx, s, full.Median, steady, quiet)
		r.Notes = append(r.Notes, said...)
		if err == nil && !o.quick {
			b.say("further: five million names")
			var line string
			if line, err = b.large(ctx, s, o.list, 10*time.Second); err == nil {
				r.Notes = append(r.Notes, line)
			}
		}
		if err != nil {
			r.NotDone = append(r.NotDone, err.Error())
		}
	}
	if o.only != "" {
		return
	}
	b.say("further: the set alone")
	set, err := setBenchmarks(ctx, pattern)
	if err != nil {
		r.NotDone = append(r.NotDone, err.Error())
	} else if len(set) == 0 {
		r.NotDone = append(r.NotDone, "benchmarks of the set: they need the lists beside the repository")
	}
	r.Set = set
}
