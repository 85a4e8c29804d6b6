package store

import (
	"bufio"
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"schoolgate/blocklist/domain"
	"schoolgate/monitor/journal"
	"schoolgate/monitor/record"
	"schoolgate/resolver/query"
)

// schoolDay reads the trace of a school day, or skips.
func schoolDay(t testing.TB, most int) (rows []record.Row) {
	t.Helper()
	file, err := os.Open("../../../shared/data/traces/synthetic-schoolday-140dev.tsv.zst")
	if err != nil {
		t.Skip("there is no ../shared/data with a school day's trace beside the checkout")
	}
	defer file.Close()
	z := must[*zstd.Decoder](t)(zstd.NewReader(file))
	defer z.Close()
	types := map[string]uint16{"A": 1, "AAAA": 28, "HTTPS": 65, "PTR": 12, "SRV": 33, "TXT": 16}
	in := bufio.NewScanner(z)
	for in.Scan() && len(rows) < most {
		p := strings.Split(in.Text(), "\t")
		ms, err := strconv.ParseInt(p[0], 10, 64)
		if err != nil {
			continue // the heading
		}
		row := record.Row{
			Time: time.UnixMilli(ms), Addr: netip.MustParseAddr(p[1]), Device: p[3], Group: "children", Name: p[4], Type: types[p[5]],
			Source: query.Cache, Duration: time.Duration(20+len(rows)*7919%90) * time.Microsecond,
		}
		switch p[6] {
		case "GAME", "PORN", "GMB", "HATE", "ANON":
			row.Action, row.Rule, row.Category, row.List, row.Source, row.RCode = query.Block, query.Category, strings.ToLower(p[6]), "list-"+p[6], query.Policy, 3
		case "thirdparty":
			row.Source, row.Duration = query.Upstream, time.Duration(5000+len(rows)*7919%40_000)*time.Microsecond
		}
		rows = append(rows, row)
	}
	return rows
}

func questions(t testing.TB, rows []record.Row) []query.Query {
	out := make([]query.Query, len(rows))
	for i, r := range rows {
		out[i] = query.Query{
			Start: r.Time, Lane: 1, Source: r.Source, RCode: r.RCode, Duration: r.Duration,
			Client:  query.Client{Addr: r.Addr, Device: r.Device, Name: r.Group},
			Verdict: query.Verdict{Action: r.Action, Rule: r.Rule, Category: r.Category, List: r.List},
		}
		out[i].Question.Type = r.Type
		if err := out[i].Question.Name.SetName(domain.Name(strings.TrimSuffix(r.Name, "."))); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// The whole way of a row, from Done to the disk: CPU time of the process and bytes of the file, for each row.
func BenchmarkJournalToDisk(b *testing.B) {
	for name, rows := range map[string]func() []record.Row{
		"made":  func() []record.Row { return traffic(200_000) },
		"trace": func() []record.Row { return schoolDay(b, 200_000) },
	} {
		b.Run(name, func(b *testing.B) {
			asked := questions(b, rows())
			s := openTest(b, b.TempDir(), &clock{asked[0].Start})
			j := journal.New(1, journal.DefaultCapacity)
			ctx, cancel := context.WithCancel(b.Context())
			done := make(chan error, 1)
			go func() { done <- j.Run(ctx, s, 50*time.Millisecond) }()
			var before, after unix.Rusage
			var m0, m1 runtime.MemStats
			runtime.ReadMemStats(&m0)
			if err := unix.Getrusage(unix.RUSAGE_SELF, &before); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				for i := range asked {
					j.Done(&asked[i])
					for i%40_000 == 39_999 && j.Stats().Queued > 0 {
						time.Sleep(time.Millisecond)
					}
				}
			}
			cancel()
			if err := <-done; err != nil {
				b.Fatal(err)
			}
			if err := unix.Getrusage(unix.RUSAGE_SELF, &after); err != nil {
				b.Fatal(err)
			}
			runtime.ReadMemStats(&m1)
			n := float64(j.Stats().Written)
			cpu := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
			b.ReportMetric(float64(cpu)/n, "cpu-ns/row")
			b.ReportMetric(float64(m1.Mallocs-m0.Mallocs)/n, "allocs/row")
			bytes := int64(0)
			for _, path := range must[[]string](b)(filepath.Glob(s.dir + "/log/*")) {
				bytes += must[os.FileInfo](b)(os.Stat(path)).Size()
			}
			b.ReportMetric(float64(bytes)/n, "file-bytes/row")
			b.ReportMetric(float64(j.Stats().Dropped), "dropped")
		})
	}
}
