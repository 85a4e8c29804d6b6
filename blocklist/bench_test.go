package blocklist_test

import (
	"bufio"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

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

// wires puts names in random order into wire form.
func wires(tb testing.TB, names []domain.Name, change func(domain.Name) domain.Name) []domain.Wire {
	rnd := rand.New(rand.NewPCG(3, 4))
	w := make([]domain.Wire, 0, 1<<18)
	for len(w) < cap(w) {
		var one domain.Wire
		if one.SetName(change(names[rnd.IntN(len(names))])) == nil {
			w = append(w, one)
		}
	}
	return w
}

func BenchmarkLookup(b *testing.B) {
	for _, size := range []struct {
		name  string
		names int
	}{{"1M", 1_000_000}, {"5M", 5_000_000}} {
		var names []domain.Name
		var s *blocklist.Set
		for _, c := range []struct {
			name   string
			change func(domain.Name) domain.Name
		}{
			{"blocked", func(n domain.Name) domain.Name { return n }},
			{"allowed", func(n domain.Name) domain.Name {
				label, rest, _ := strings.Cut(string(n), ".")
				return domain.Name(label + "q7." + rest)
			}},
			{"deep", func(n domain.Name) domain.Name { return "a1.b22.cdn." + n }},
		} {
			b.Run(c.name+"/"+size.name, func(b *testing.B) {
				if s == nil {
					names = scale(b, size.names)
					var err error
					if s, err = build(b, names, "").Build(); err != nil {
						b.Fatal(err)
					}
				}
				w := wires(b, names, c.change)
				b.ResetTimer()
				i, hits := 0, 0
				for b.Loop() {
					if m := s.Lookup(&w[i&(len(w)-1)]); !m.Empty() {
						hits++
					}
					i++
				}
				b.ReportMetric(float64(s.Size())/float64(len(names)), "bytes/name")
				b.ReportMetric(float64(hits)/float64(b.N), "hits/op")
				b.ReportAllocs()
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
