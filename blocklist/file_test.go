package blocklist_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"schoolgate/blocklist"
	"schoolgate/blocklist/domain"
)

// smallFile is a set file of a few pages, one that overruns included.
func smallFile(t testing.TB) (path string, content []byte) {
	t.Helper()
	b := blocklist.NewBuilder(lists("one", "two"), "")
	deep := domain.Name(strings.Repeat("long-label-that-fills-pages.", 8) + "example")
	for i, n := range []domain.Name{"a.example", "b.example", "www.b.example", "example.net", deep, "x." + deep} {
		if err := b.Add(i%2, blocklist.Rule{Name: n, Except: i == 2}); err != nil {
			t.Fatal(err)
		}
	}
	path = filepath.Join(t.TempDir(), "small.set")
	if err := b.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, content
}

func refused(err error) bool {
	return errors.Is(err, blocklist.ErrFormat) || errors.Is(err, blocklist.ErrVersion) || errors.Is(err, blocklist.ErrCorrupt)
}

func TestOpenRefusesDamage(t *testing.T) {
	path, content := smallFile(t)
	if _, err := blocklist.Open(path); err != nil {
		t.Fatal(err)
	}
	open := func(b []byte) error {
		_, err := blocklist.OpenBytes(b)
		return err
	}
	for i := range content {
		b := bytes.Clone(content)
		b[i] ^= 1 << (i % 8)
		if err := open(b); !refused(err) {
			t.Fatalf("byte %d of %d changed: %v", i, len(content), err)
		}
		if err := open(content[:i]); !refused(err) {
			t.Fatalf("cut after %d of %d bytes: %v", i, len(content), err)
		}
	}
	if err := open(append(bytes.Clone(content), 0)); !refused(err) {
		t.Errorf("a byte too many: %v", err)
	}
}

func TestOpenErrors(t *testing.T) {
	_, content := smallFile(t)
	other := bytes.Clone(content)
	other[8] = 99
	older := bytes.Clone(content)
	older[8] = 4
	dir := t.TempDir()
	for name, c := range map[string]struct {
		content []byte
		want    error
	}{
		"empty":   {nil, blocklist.ErrFormat},
		"foreign": {bytes.Repeat([]byte("0.0.0.0 bad.example\n"), 100), blocklist.ErrFormat},
		"other":   {other, blocklist.ErrVersion},
		"older":   {older, blocklist.ErrVersion},
		"cut":     {content[:len(content)-1], blocklist.ErrCorrupt},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, c.content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := blocklist.Open(path); !errors.Is(err, c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %v with the path", name, err, c.want)
		}
	}
	if _, err := blocklist.Open(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := blocklist.Open(dir); err == nil {
		t.Error("a folder was opened as a set")
	}
}

func TestWriteFileLeavesNothingElse(t *testing.T) {
	path, _ := smallFile(t)
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 1 {
		t.Errorf("beside the set file there is more: %v", files)
	}
	b := blocklist.NewBuilder(lists("one"), "")
	if err := b.WriteFile(filepath.Join(t.TempDir(), "no", "such", "folder")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("writing into no folder: %v", err)
	}
	// The place of the set is taken by a folder: the rename fails, and the temporary file goes.
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "set", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := blocklist.NewBuilder(lists("one"), dir).WriteFile(filepath.Join(dir, "set")); err == nil {
		t.Error("a folder was overwritten")
	}
	if files, err = os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}

// A mapped file may be replaced while its set is in use, and sets may come and go while lookups run.
func TestReplaceInUse(t *testing.T) {
	path, _ := smallFile(t)
	old, err := blocklist.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	b := blocklist.NewBuilder(lists("new"), "")
	if err := b.Add(0, blocklist.Rule{Name: "new.example"}); err != nil {
		t.Fatal(err)
	}
	if err := b.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	if lookup(t, old, "a.example").Empty() || !lookup(t, old, "new.example").Empty() {
		t.Error("the old set changed with its file")
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 50 {
				s, err := blocklist.Open(path)
				if err != nil {
					t.Error(err)
					return
				}
				if lookup(t, s, "www.new.example").Empty() {
					t.Error("the new set lacks its name")
				}
				runtime.GC()
			}
		})
	}
	wg.Wait()
}

func TestEmpty(t *testing.T) {
	s := blocklist.Empty()
	if !lookup(t, s, "example").Empty() || s.Why("example") != nil || s.Names() != 0 || len(s.Lists()) != 0 {
		t.Error("the empty set says something")
	}
	for h := range s.All() {
		t.Errorf("the empty set has %v", h)
	}
}

func FuzzOpen(f *testing.F) {
	_, content := smallFile(f)
	f.Add(content)
	f.Add([]byte("RadixSet"))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "set")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := blocklist.Open(path); err == nil {
			s.Why("a.example")
		} else if !refused(err) {
			t.Errorf("refused with %v", err)
		}
	})
}

// FuzzBuild makes rules of any bytes and compares what is built, written and opened with the oracle.
func FuzzBuild(f *testing.F) {
	f.Add([]byte("\x00\x03bad\x07example"), []byte("\x03www\x03bad\x07example"))
	f.Add([]byte("\x09\x01\x00\x01\x01"), []byte("\x01\x01\x01\x00"))
	f.Fuzz(func(t *testing.T, rules, names []byte) {
		m := made{lists: 2, run: 3, seed: 1}
		for len(rules) > 0 {
			var n domain.Name
			how := rules[0]
			n, rules = takeName(rules[1:], 1+int(how>>4&3))
			if n != "" {
				m.rules = append(m.rules, listRule{int(how & 1), blocklist.Rule{
					Name: n, Scope: blocklist.Scope(how >> 1 % 4 % 3), Except: how&8 != 0,
				}})
				m.names = append(m.names, n)
			}
		}
		for len(names) > 0 {
			var n domain.Name
			n, names = takeName(names, 4)
			m.names = append(m.names, n)
		}
		s, err := m.builder(t, "").Build()
		if err != nil {
			t.Fatal(err)
		}
		m.check(t, s)
		var b bytes.Buffer
		if _, err := s.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		opened, err := blocklist.OpenBytes(b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		m.check(t, opened)
	})
}

// takeName makes a name of up to so many labels from the front of b, each a length byte and the label.
func takeName(b []byte, labels int) (domain.Name, []byte) {
	var wire []byte
	for ; labels > 0 && len(b) > 0; labels-- {
		n := min(1+int(b[0])%domain.MaxLabel, len(b)-1)
		if n == 0 || len(wire)+1+n >= domain.MaxWire {
			return nameOfWire(wire), b[1:]
		}
		wire = append(append(wire, byte(n)), b[1:1+n]...)
		b = b[1+n:]
	}
	return nameOfWire(wire), b
}

func nameOfWire(wire []byte) domain.Name {
	var w domain.Wire
	if _, err := w.Read(append(wire, 0), 0); err != nil {
		return ""
	}
	return w.Name()
}
