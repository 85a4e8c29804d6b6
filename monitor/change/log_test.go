package change

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"schoolgate/monitor"
)

// note adds one line that speaks of no change.
func note(t testing.TB, l *Log, why string) *Book {
	t.Helper()
	b, err := l.Update(func(*Book, time.Time) ([]Entry, error) {
		return []Entry{{Kind: KindConfiguration, Why: why, After: []string{"was: " + why}}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func read(t testing.TB, l *Log) *Book {
	t.Helper()
	b, err := l.Read()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func bytesOf(t testing.TB, l *Log) []byte {
	t.Helper()
	text, err := os.ReadFile(l.path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestLogGrows(t *testing.T) {
	l := New(t.TempDir())
	if b := read(t, l); b.Head.Count != 0 || b.Check(nil) != nil || l.Stamp() != "" {
		t.Errorf("a log that is not there: %+v", b)
	}
	for i := range 5 {
		stamp := l.Stamp()
		if b := note(t, l, fmt.Sprint("line ", i)); b.Head.Count != i+1 || b.Check(nil) != nil {
			t.Errorf("head %+v, fault %+v", b.Head, b.Check(nil))
		}
		if l.Stamp() == stamp {
			t.Error("a longer log has the same stamp")
		}
	}
	st, err := os.Stat(l.path)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	b := read(t, l)
	if got := len(b.Entries()); got != 5 || b.Entries()[3].Why != "line 3" || b.Entries()[0].Prev != origin {
		t.Errorf("%d entries: %+v", got, b.Entries())
	}
	// Anybody can check a line with the tools of any system: its hash is of the line without it.
	line, _, _ := bytes.Cut(bytesOf(t, l), []byte("\n"))
	body, hash, _ := strings.Cut(strings.TrimSuffix(string(line), `"}`), `,"hash":"`)
	if sum := sha256.Sum256([]byte(body + "}")); hex.EncodeToString(sum[:]) != hash {
		t.Errorf("hash %s of %s}", hash, body)
	}
}

func TestNothingIsWritten(t *testing.T) {
	l := New(t.TempDir())
	note(t, l, "first")
	before := bytesOf(t, l)
	no := errors.New("no")
	if _, err := l.Update(func(*Book, time.Time) ([]Entry, error) { return []Entry{{Kind: KindLists}}, no }); !errors.Is(err, no) {
		t.Errorf("error %v", err)
	}
	if _, err := l.Update(func(*Book, time.Time) ([]Entry, error) { return nil, nil }); err != nil {
		t.Error(err)
	}
	long := Entry{Kind: KindLists, Why: strings.Repeat("x", maxLine)}
	if _, err := l.Update(func(*Book, time.Time) ([]Entry, error) { return []Entry{{Kind: KindLists}, long}, nil }); err == nil {
		t.Error("a line without end was taken")
	}
	if after := bytesOf(t, l); !bytes.Equal(before, after) {
		t.Errorf("the log is now %s", after)
	}
	if _, err := New(filepath.Join(t.TempDir(), "none")).Update(nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

// filled is a log of some lines, and the heads that were kept on the way.
func filled(t testing.TB, n int) (text []byte, heads []monitor.Head) {
	l := New(t.TempDir())
	for i := range n {
		heads = append(heads, note(t, l, strings.Repeat("x", i)).Head)
	}
	return bytesOf(t, l), heads
}

func check(t *rapid.T, text []byte, heads []monitor.Head) *Fault {
	b, err := readBook(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return b.Check(heads)
}

// TestEveryAlterationShows: whichever byte is exchanged, whichever lines are taken out, doubled, exchanged or cut off, and
// whoever writes all of it anew: Check finds it, and names no line behind the first that differs.
func TestEveryAlterationShows(t *testing.T) {
	text, heads := filled(t, 12)
	other, _ := filled(t, 12) // of another time
	lines := slices.Collect(strings.SplitAfterSeq(strings.TrimSuffix(string(text), "\n"), "\n"))
	lines[len(lines)-1] += "\n"
	rapid.Check(t, func(t *rapid.T) {
		if f := check(t, text, heads); f != nil {
			t.Fatalf("nothing was altered: %+v", f)
		}
		bad, line := []byte(nil), 0
		switch rapid.SampledFrom([]string{"flip", "remove", "double", "swap", "cut", "anew", "append"}).Draw(t, "how") {
		case "flip":
			bad = bytes.Clone(text)
			i := rapid.IntRange(0, len(bad)-1).Draw(t, "byte")
			bad[i] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
			line = 1 + bytes.Count(text[:i], []byte("\n"))
		case "remove":
			line = rapid.IntRange(1, len(lines)).Draw(t, "line")
			n := rapid.IntRange(1, len(lines)-line+1).Draw(t, "lines")
			bad = []byte(strings.Join(slices.Delete(slices.Clone(lines), line-1, line-1+n), ""))
		case "double":
			line = rapid.IntRange(1, len(lines)).Draw(t, "line")
			bad = []byte(strings.Join(slices.Insert(slices.Clone(lines), line, lines[line-1]), ""))
			line++
		case "swap":
			line = rapid.IntRange(1, len(lines)-1).Draw(t, "line")
			j := rapid.IntRange(line+1, len(lines)).Draw(t, "other")
			swapped := slices.Clone(lines)
			swapped[line-1], swapped[j-1] = swapped[j-1], swapped[line-1]
			bad = []byte(strings.Join(swapped, ""))
		case "cut":
			n := rapid.IntRange(0, len(text)-1).Draw(t, "bytes")
			bad, line = text[:n], 1+bytes.Count(text[:n], []byte("\n"))
		case "anew":
			bad, line = other, 1
		case "append":
			bad, line = append(bytes.Clone(text), rapid.SliceOfN(rapid.Byte(), 1, 50).Draw(t, "bytes")...), len(lines)+1
		}
		f := check(t, bad, heads)
		if f == nil || f.Line > line+1 || f.What == "" {
			t.Fatalf("line %d was altered: %+v", line, f)
		}
		if !bytes.Equal(bad, other) && !bytes.HasPrefix(text, bad) && check(t, bad, nil) == nil {
			t.Fatal("the chain alone does not show it")
		}
	})
}

// TestTornEnd cuts the last line at every byte, as a power cut does: what is left of it is told, and all before it kept.
func TestTornEnd(t *testing.T) {
	text, heads := filled(t, 3)
	last := bytes.LastIndexByte(text[:len(text)-1], '\n') + 1
	for n := last + 1; n < len(text); n++ {
		l := New(t.TempDir())
		if err := os.WriteFile(l.path, text[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if f := read(t, l).Check(heads[:2]); f == nil || f.Line != 3 {
			t.Fatalf("%d bytes of the last line: %+v", n-last, f)
		}
		b := note(t, l, "next")
		if f := b.Check(heads[:2]); f != nil {
			t.Fatalf("%d bytes, mended: %+v", n-last, f)
		}
		kinds := []Kind{}
		for _, e := range b.Entries()[2:] {
			kinds = append(kinds, e.Kind)
		}
		want := []Kind{KindCut, KindConfiguration}
		if n == len(text)-1 { // nothing but the newline was lost
			want = []Kind{KindConfiguration, KindConfiguration}
			if f := b.Check(heads); f != nil {
				t.Fatalf("a line that was whole was lost: %+v", f)
			}
		} else if f := b.Check(heads); f == nil {
			t.Fatal("a line that somebody knew of went without a trace")
		} else if got := strings.Join(b.Entries()[2].Before, ""); got != fmt.Sprintf("%q", text[last:n]) {
			t.Fatalf("cut off: %s", got)
		}
		if diff := cmp.Diff(want, kinds); diff != "" {
			t.Fatalf("%d bytes: %s", n-last, diff)
		}
	}
}

// TestManyWriters has several that do not know of each other, as processes are: flock is by open file.
func TestManyWriters(t *testing.T) {
	dir := t.TempDir()
	const writers, each = 6, 15
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			l := New(dir)
			for i := range each {
				if _, err := l.Update(func(b *Book, _ time.Time) ([]Entry, error) {
					return []Entry{{Kind: KindLists, Why: fmt.Sprintf("%d of %d after %d", i, w, b.Head.Count)}}, nil
				}); err != nil {
					t.Error(err)
				}
				if b, err := l.Read(); err != nil || b.Check(nil) != nil {
					t.Errorf("reading meanwhile: %v, %+v", err, b)
				}
			}
		})
	}
	wg.Wait()
	b := read(t, New(dir))
	if b.Head.Count != writers*each || b.Check(nil) != nil {
		t.Errorf("%d lines, fault %+v", b.Head.Count, b.Check(nil))
	}
	for _, e := range b.Entries() {
		if !strings.HasSuffix(e.Why, fmt.Sprint("after ", e.Number-1)) {
			t.Errorf("line %d was decided on another log: %s", e.Number, e.Why)
		}
	}
}

func TestClockSetBack(t *testing.T) {
	l := New(t.TempDir())
	now := time.Now()
	for _, d := range []time.Duration{0, time.Hour, -24 * time.Hour, -23 * time.Hour} {
		l.now = func() time.Time { return now.Add(d) }
		note(t, l, "x")
	}
	if b := read(t, l); b.Check(nil) != nil || !slices.Equal(b.Back, []int{3}) {
		t.Errorf("fault %+v, back %v", b.Check(nil), b.Back)
	}
}

func FuzzRead(f *testing.F) {
	text, _ := filled(f, 3)
	f.Add(text)
	f.Add(text[:len(text)-7])
	f.Add([]byte("\n\n{}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := readBook(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if int(b.size) != len(text) || b.end > b.size {
			t.Errorf("%d bytes, read %d, whole %d", len(text), b.size, b.end)
		}
		b.Active(time.Now())
		if lead := b.mend(); lead.Kind != "" {
			if _, err := b.lines([]Entry{lead}, time.Now()); err != nil {
				t.Error(err)
			}
		}
	})
}

// breakAt puts text in place of the log.
func breakAt(t testing.TB, l *Log, text []byte) (*Book, *Fault) {
	t.Helper()
	if err := os.WriteFile(l.path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	b := read(t, l)
	return b, b.Fault
}
