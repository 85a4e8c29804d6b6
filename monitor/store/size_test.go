package store

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"schoolgate/monitor/record"
	"schoolgate/resolver/query"
)

// traffic makes rows as a school does: names by Zipf's law, a hundred and fifty devices, six queries a second.
func traffic(n int) []record.Row {
	r := rand.New(rand.NewPCG(1, 2))
	names := rand.NewZipf(r, 1.2, 20, 100_000)
	begin := time.Date(2026, time.March, 2, 8, 0, 0, 0, time.UTC)
	rows := make([]record.Row, n)
	for i := range rows {
		d, k := r.IntN(150), names.Uint64()
		rows[i] = record.Row{
			Time: begin.Add(time.Duration(i) * 160 * time.Millisecond), Device: fmt.Sprintf("tablet-%d", d),
			Addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(d)}), Group: "children",
			Name: fmt.Sprintf("host%d.some-site%d.example", k%7, k), Type: []uint16{1, 1, 28, 65}[k%4], Source: query.Cache,
			Duration: time.Duration(20+r.IntN(100)) * time.Microsecond,
		}
		if k%5 == 0 {
			rows[i].Action, rows[i].Rule, rows[i].Category, rows[i].List, rows[i].RCode = query.Block, query.Category, "gaming", "games", 3
		}
		if r.IntN(10) == 0 {
			rows[i].Source, rows[i].Duration = query.Upstream, time.Duration(5000+r.IntN(40_000))*time.Microsecond
		}
	}
	return rows
}

// A row takes at most 16 bytes of the file, its share of the names included.
func TestBytesPerRow(t *testing.T) {
	rows := traffic(100_000)
	s := openTest(t, t.TempDir(), &clock{rows[0].Time})
	for i := 0; i < len(rows); i += 4000 {
		appendAll(t, s, rows[i:i+4000])
	}
	d := dateOf(rows[0].Time)
	info, err := os.Stat(d.path(s.dir))
	if err != nil {
		t.Fatal(err)
	}
	per := float64(info.Size()) / float64(len(rows))
	t.Logf("%.1f bytes a row", per)
	if per > 16 {
		t.Errorf("%.1f bytes a row, want at most 16", per)
	}
}

func BenchmarkAppend(b *testing.B) {
	rows := traffic(400_000)
	s := openTest(b, b.TempDir(), &clock{rows[0].Time})
	var batches []*record.Batch
	for chunk := range slices.Chunk(rows, 4000) {
		batches = append(batches, record.BatchOf(chunk...))
	}
	i := 0
	for b.Loop() {
		if i+4000 > len(rows) {
			i = 0
		}
		if _, err := s.Append(b.Context(), batches[i/4000]); err != nil {
			b.Fatal(err)
		}
		i += 4000
	}
	b.ReportMetric(4000*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkTallyWeek(b *testing.B) {
	rows := traffic(400_000)
	s := openTest(b, b.TempDir(), &clock{rows[0].Time})
	appendAll(b, s, rows)
	for b.Loop() {
		n := 0
		if err := s.Tally(b.Context(), time.Time{}, time.Time{}, time.UTC, func(record.Tally) error { n++; return nil }); err != nil || n == 0 {
			b.Fatal(n, err)
		}
	}
}
