package blocklist_test

import (
	"bufio"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"schoolgate/blocklist"
	"schoolgate/blocklist/domain"
)

// scale reads up to most names of the lists made for benchmarks, or skips.
func scale(tb testing.TB, most int) []domain.Name {
	tb.Helper()
	var names []domain.Name
	for _, file := range []string{"all-categories-union", "synthetic-2.73M"} {
		f, err := os.Open(filepath.Join("../../shared/data/lists/scale", file+".domains.txt.zst"))
		if err != nil {
			tb.Skip("the lists for benchmarks are not beside the repository")
		}
		defer f.Close()
		z, err := zstd.NewReader(f)
		if err != nil {
			tb.Fatal(err)
		}
		defer z.Close()
		for in := bufio.NewScanner(z); in.Scan() && len(names) < most; {
			if n, err := domain.Parse(in.Text()); err == nil {
				names = append(names, n)
			}
		}
	}
	return names
}

// spread gives each name to one or more of a few lists, unevenly, as published lists do.
func spread(rnd *rand.Rand, add func(list int)) {
	add(min(int(rnd.ExpFloat64()*2), 15))
	for rnd.IntN(4) == 0 {
		add(rnd.IntN(16))
	}
}

func build(tb testing.TB, names []domain.Name, tmpDir string) *blocklist.Builder {
	b := blocklist.NewBuilder(numbered(16), tmpDir)
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, n := range names {
		spread(rnd, func(list int) {
			if err := b.Add(list, blocklist.Rule{Name: n}); err != nil {
				tb.Fatal(err)
			}
		})
	}
	return b
}

// questions puts changed names in random order into wire form, one after the other, as packets bring them. Only names
// that the set holds, or holds not, are taken.
func questions(
	tb testing.TB, s *blocklist.Set, names []domain.Name, held bool, change func(domain.Name) domain.Name,
) []byte {
	rnd := rand.New(rand.NewPCG(3, 4))
	var wire []byte
	for n := 0; n < 1<<20; {
		var w domain.Wire
		if w.SetName(change(names[rnd.IntN(len(names))])) == nil && s.Lookup(&w).Empty() != held {
			wire = append(wire, w.Bytes()...)
			n++
		}
	}
	return wire
}

// asker times lookups as the server does them: a batch of names is read, then all are looked up while they are still in
// the cache. Only the latter counts.
type asker struct {
	wire  []byte
	at    int
	batch [32]domain.Wire
	spent time.Duration
	right int // answers
}

func (a *asker) ask(tb testing.TB, names int, lookup func(*domain.Wire) bool) {
	for range names / len(a.batch) {
		for i := range a.batch {
			next, err := a.batch[i].Read(a.wire, a.at)
			if err != nil {
				tb.Fatal(err)
			}
			a.at = next % len(a.wire)
		}
		start := time.Now()
		for i := range a.batch {
			if lookup(&a.batch[i]) {
				a.right++
			}
		}
		a.spent += time.Since(start)
	}
}

// inMap looks a name and those above it up in a map, which is the yardstick.
func inMap(m map[string]uint16, w *domain.Wire) bool {
	for i := range w.Labels() {
		if _, ok := m[string(w.From(i))]; ok {
			return true
		}
	}
	return false
}

func mapOf(tb testing.TB, names []domain.Name) map[string]uint16 {
	m := make(map[string]uint16, len(names))
	for i, n := range names {
		wire, err := n.AppendWire(nil)
		if err != nil {
			tb.Fatal(err)
		}
		m[string(wire)] = uint16(i)
	}
	return m
}

// BenchmarkLookup looks names up in turn in the set and in a map of the same names, a stretch each. The machine may be
// busy and its memory slow: the ratio says more than the times.
func BenchmarkLookup(b *testing.B) {
	for _, size := range []struct {
		name  string
		names int
	}{{"1M", 1_000_000}, {"5M", 5_000_000}} {
		var names []domain.Name
		var s *blocklist.Set
		var m map[string]uint16
		for _, c := range []struct {
			name   string
			held   bool
			change func(domain.Name) domain.Name
		}{
			{"blocked", true, func(n domain.Name) domain.Name { return n }},
			{"allowed", false, func(n domain.Name) domain.Name {
				label, rest, _ := strings.Cut(string(n), ".")
				return domain.Name(label + "q7." + rest)
			}},
			{"deep", true, func(n domain.Name) domain.Name { return "a1.b22.cdn." + n }},
		} {
			b.Run(c.name+"/"+size.name, func(b *testing.B) {
				if s == nil {
					names = scale(b, size.names)
					m = mapOf(b, names)
					var err error
					if s, err = build(b, names, "").Build(); err != nil {
						b.Fatal(err)
					}
					runtime.GC()
				}
				wire := questions(b, s, names, c.held, c.change)
				set, yardstick := asker{wire: wire}, asker{wire: wire}
				const stretch = 1 << 12
				n := 0
				b.ReportAllocs()
				for b.Loop() {
					set.ask(b, stretch, func(w *domain.Wire) bool { return s.Lookup(w).Empty() != c.held })
					yardstick.ask(b, stretch, func(w *domain.Wire) bool { return inMap(m, w) == c.held })
					n += stretch
				}
				if set.right != n || yardstick.right != n {
					b.Errorf("of %d names, %d were right in the set and %d in the map", n, set.right, yardstick.right)
				}
				per := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / float64(n) }
				b.ReportMetric(per(set.spent), "ns/lookup")
				b.ReportMetric(per(yardstick.spent), "ns/map")
				b.ReportMetric(float64(set.spent)/float64(yardstick.spent), "ratio")
				b.ReportMetric(float64(s.Size())/float64(len(names)), "bytes/name")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

func BenchmarkBuild(b *testing.B) {
	names := scale(b, 5_000_000)
	dir := b.TempDir()
	for b.Loop() {
		if err := build(b, names, dir).WriteFile(filepath.Join(dir, "set")); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "set")
	if err := build(b, scale(b, 5_000_000), b.TempDir()).WriteFile(path); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s, err := blocklist.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(s.Size())
	}
}
