package blocklist

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"schoolgate/blocklist/domain"
)

// wireOf is a name in wire form, given its labels.
func wireOf(t fataler, labels ...string) *domain.Wire {
	t.Helper()
	var b []byte
	for _, l := range labels {
		b = append(append(b, byte(len(l))), l...)
	}
	var w domain.Wire
	if _, err := w.Read(append(b, 0), 0); err != nil {
		t.Fatalf("wire form of %q: %v", labels, err)
	}
	return &w
}

type fataler interface {
	Helper()
	Fatalf(string, ...any)
}

// What stands behind a label in memory, or before it, has no part in its hash.
func TestHashLabel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(11, 12))
	seen := map[uint64]string{}
	for range 20_000 {
		label := make([]byte, 1+rnd.IntN(domain.MaxLabel))
		for i := range label {
			label[i] = byte('a' + rnd.IntN(26))
		}
		around := append(append([]byte{byte(rnd.Uint32())}, label...), fmt.Sprint(rnd.Uint64(), rnd.Uint64())...)
		h := hashLabel(7, slices.Clip(label))
		if got := hashLabel(7, around[1:][:len(label)]); got != h {
			t.Fatalf("%q has hash %x, and %x among other bytes", label, h, got)
		}
		if other, ok := seen[h]; ok && other != string(label) {
			t.Fatalf("%q and %q have the same hash", label, other)
		}
		seen[h] = string(label)
	}
	if hashLabel(1, []byte("a")) == hashLabel(2, []byte("a")) {
		t.Error("what is right of a label has no part in its hash")
	}
}

// Of names that are not there, few pass the filter of a line, and fewer for crowds.
func TestDirectoryLine(t *testing.T) {
	const lines = 2_000
	rnd := rand.New(rand.NewPCG(15, 16))
	passed, crowds := 0, 0
	for range lines {
		var l directoryLine
		held := make([]uint64, lineHomes*homeNames)
		for i := range held {
			held[i] = rnd.Uint64()
			l.mark(uint32(held[i]))
		}
		crowd := rnd.Uint64()
		l.markCrowd(crowd)
		for _, h := range held {
			if !l.has(uint32(h)) {
				t.Fatalf("%x does not pass, though it is there", h)
			}
			if l.has(rnd.Uint32()) {
				passed++
			}
			if l.hasCrowd(rnd.Uint64()) {
				crowds++
			}
		}
		if !l.hasCrowd(crowd) {
			t.Fatalf("%x is a crowd", crowd)
		}
	}
	const asked = lines * lineHomes * homeNames
	if share := float64(passed) / asked; share > 0.1 {
		t.Errorf("%.1f %% of other names pass, want at most 10 %%", 100*share)
	}
	if share := float64(crowds) / asked; share > 0.01 {
		t.Errorf("%.1f %% of other names are crowds, want at most 1 %%", 100*share)
	}
}

func TestEqualBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const few = 4 // so that neighbours are often the same, or differ by one bit
		b := byte(250 + rapid.IntRange(0, few).Draw(t, "b"))
		var v, want uint64
		for i := range 8 {
			c := byte(250 + rapid.IntRange(0, few).Draw(t, "c"))
			v |= uint64(c) << (8 * i)
			if c == b {
				want |= 1 << i
			}
		}
		if got := equalBytes(v, b); got != want {
			t.Fatalf("of the bytes of %x, %b are %x, want %b", v, got, b, want)
		}
	})
}

func TestVarint(t *testing.T) {
	for _, want := range []int{0, 1, 127, 128, 16_383, 16_384, 1<<21 - 1, 1 << 21, 1<<28 - 1} {
		b := append(binary.AppendUvarint(nil, uint64(want)), 0xff, 0xff, 0xff, 0xff)
		if got, size := varint(binary.LittleEndian.Uint32(b)); got != want || size != varintSize(want) || size != len(b)-4 {
			t.Errorf("%d reads as %d in %d bytes", want, got, size)
		}
	}
}

func TestDirectory(t *testing.T) {
	rnd := rand.New(rand.NewPCG(17, 18))
	for _, most := range []int{0, 3, 60} {
		var p packer
		var want []int
		at := 0
		p.emit = func(b []byte) error {
			at += len(b)
			return nil
		}
		for i := range 100 {
			want = append(want, at)
			for range rnd.IntN(most + 1) {
				if err := p.add(uint64(i), unit{{text: make([]byte, rnd.IntN(2))}}); err != nil {
					t.Fatal(err)
				}
			}
			if err := p.add(uint64(i+1), nil); err != nil {
				t.Fatal(err)
			}
		}
		if err := p.finish(0); err != nil {
			t.Fatal(err)
		}
		for i, want := range want {
			if got, _ := p.directory.bucket(uint64(i)); got != want {
				t.Fatalf("of at most %d entries, bucket %d begins at %d, want %d", most, i, got, want)
			}
		}
	}
}

// Bytes of labels that look like lengths make names alike that are not the same.
func TestNamesAlike(t *testing.T) {
	label := rapid.StringOfN(rapid.SampledFrom([]rune{1, 2, 3, 'a'}), 1, 5, -1)
	names := rapid.SliceOfN(rapid.SliceOfN(label, 1, 4), 1, 60)
	rapid.Check(t, func(t *rapid.T) {
		b := NewBuilder([]Info{{Name: "one"}}, "")
		b.perHome = 1000 // all in one bucket, as far as it goes
		held := map[string]bool{}
		all := names.Draw(t, "names")
		for i, n := range all {
			w := wireOf(t, n...)
			if i%2 == 0 {
				held[string(w.Bytes())] = true
				if err := b.Add(0, Rule{Name: w.Name(), Scope: Exact}); err != nil {
					t.Fatalf("adding %q: %v", n, err)
				}
			}
		}
		s, err := b.Build()
		if err != nil {
			t.Fatalf("building: %v", err)
		}
		for _, n := range all {
			w := wireOf(t, n...)
			if got := !s.Lookup(w).Empty(); got != held[string(w.Bytes())] {
				t.Fatalf("%q: held = %v", w.Name(), got)
			}
			// The same bytes, cut otherwise.
			flat := w.Bytes()[1 : len(w.Bytes())-1]
			w = wireOf(t, string(flat), n[len(n)-1])
			if got := !s.Lookup(w).Empty(); got != held[string(w.Bytes())] {
				t.Fatalf("%q: held = %v", w.Name(), got)
			}
		}
		for h := range s.All() {
			var w domain.Wire
			if err := w.SetName(h.Rule.Name); err != nil || !held[string(w.Bytes())] {
				t.Fatalf("All has %q, which was not added: %v", h.Rule.Name, err)
			}
			delete(held, string(w.Bytes()))
		}
		if len(held) > 0 {
			t.Fatalf("All lacks %v", held)
		}
	})
}

// Codes say the same read back, whatever the bytes.
func TestSymbols(t *testing.T) {
	s := learn([][]byte{[]byte("example"), []byte("examples"), []byte("example-shop"), []byte("shop"), []byte("shopping")})
	if coded := s.encode(nil, []byte("example-shop")); len(coded) > 4 {
		t.Errorf("a name of the sample takes %d codes", len(coded))
	}
	rapid.Check(t, func(t *rapid.T) {
		text := []byte(rapid.String().Draw(t, "text"))
		coded := s.encode(nil, text)
		tag := byte(again)
		if got := s.decode(nil, tag, coded); !bytes.Equal(got, text) {
			t.Fatalf("%q came back as %q", text, got)
		}
		before := rapid.String().Draw(t, "before")
		wire := append([]byte(before+string(text)), strings.Repeat("x", 8)...)
		if got := s.match(tag, coded, wire, len(before)+len(text)); got != len(before) {
			t.Fatalf("%q after %q begins at %d, want %d", text, before, got, len(before))
		}
		if len(text) > 0 {
			wire[len(before)]++
			if got := s.match(tag, coded, wire, len(before)+len(text)); got != -1 {
				t.Fatalf("%q after %q was found at %d with another byte", text, before, got)
			}
		}
	})
}
