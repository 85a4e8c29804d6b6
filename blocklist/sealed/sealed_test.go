package sealed

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"schoolgate/blocklist/domain"
)

// TestSip holds the hash to the vectors that its authors publish: key 00 to 0f, inputs 00, 00 01 and so on.
func TestSip(t *testing.T) {
	var key [16]byte
	for i := range key {
		key[i] = byte(i)
	}
	var in []byte
	for i, want := range []string{
		"a3817f04ba25a8e66df67214c7550293", "da87c1d86b99af44347659119b22fc45", "8177228da4a45dc7fca38bdef60affe4",
		"9c70b60c5267a94e5f33b6b02985ed51", "f88164c12d9c8faf7d0f6e7c7bcd5579", "1368875980776f8854527a07690e9627",
		"14eeca338b208613485ea0308fd7a15e", "a1f1ebbed8dbc153c0b84aa61ff08239", "3b62a9ba6258f5610f83e264f31497b4",
	} {
		s := newSip(key)
		s.write(in)
		got := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, s.high()), s.low())
		if hex.EncodeToString(got) != want {
			t.Errorf("of %d bytes: %x, want %s", len(in), got, want)
		}
		in = append(in, byte(i))
	}
}

func sealText(t testing.TB, k *Key, name, text string) *List {
	t.Helper()
	l, err := Seal(strings.NewReader(text), k)
	if err != nil {
		t.Fatal(err)
	}
	l.Name, l.Source, l.Mark, l.Fetched = name, "source", k.Fingerprint([]byte(text)), time.Date(2026, 9, 1, 8, 0, 0, 0, time.UTC)
	return l
}

func look(t testing.TB, s *Set, name string) Hit {
	t.Helper()
	var w domain.Wire
	if err := w.SetName(domain.Name(name)); err != nil {
		t.Fatal(err)
	}
	return s.Lookup(&w)
}

// TestEntries: what each line of a feed lists.
func TestEntries(t *testing.T) {
	const site, pages = "site", "pages"
	for line, want := range map[string]string{
		"bad.example":                              "site bad.example",
		"BAD.Example.":                             "site bad.example",
		"bad.example..":                            "site bad.example",
		"https://bad.example":                      "site bad.example",
		"HTTP://BAD.EXAMPLE/":                      "site bad.example",
		"http://bad.example:80/":                   "site bad.example",
		"https://bad.example:443":                  "site bad.example",
		"https://user:pw@bad.example/":             "site bad.example",
		"http://b%61d.example/":                    "site bad.example",
		`http:\\bad.example\`:                      "site bad.example",
		"*.bad.example":                            "site bad.example",
		".bad.example":                             "site bad.example",
		"bücher.bad.example":                       "site xn--bcher-kva.bad.example",
		"https://bücher.bad.example/":              "site xn--bcher-kva.bad.example",
		"bad。example":                              "site bad.example",
		"images.example/a.jpg":                     "pages images.example",
		"https://images.example/a%20b?c=d#e":       "pages images.example",
		"images.example#p5":                        "pages images.example",
		"images.example?id=1":                      "pages images.example",
		"http://user:pw@images.example/a":          "pages images.example",
		"http://images.example:8080/a":             "pages images.example",
		"http://images.example:8080/":              "pages images.example",
		"https://images.example./a":                "pages images.example",
		"https://images.example/a https://x/y":     "pages images.example",
		"//images.example/a":                       "pages images.example",
		"https://images.example/http://x.example/": "pages images.example",
		"http://192.0.2.7/a":                       "address",
		"http://192.0.2.7:8080/a":                  "address",
		"http://[2001:db8::1]/a":                   "address",
		"http://[2001:db8::1]:81/":                 "address",
		"http://hidden.onion/a":                    "address",
		"hidden.onion":                             "site hidden.onion",
		"192.0.2.7":                                "address",
		"2001:db8::1":                              "address",
		"co.uk":                                    "refused",
		"https://co.uk/":                           "refused",
		"example":                                  "refused",
		"*.example.org/a":                          "unreadable",
		"http://a b/":                              "refused",
		"bad_example^":                             "unreadable",
		"http://bad.example:port/":                 "unreadable",
		"http:///a":                                "unreadable",
		"-.example":                                "unreadable",
	} {
		e, err := readEntry(strings.Fields(line)[0])
		got := "address"
		switch {
		case errors.Is(err, errSuffix):
			got = "refused"
		case err != nil:
			got = "unreadable"
		case e.kind == whole:
			got = site + " " + string(e.host)
		case e.kind == page:
			got = pages + " " + string(e.host)
		}
		if got != want {
			t.Errorf("%q: %s, want %s", line, got, want)
		}
	}
}

func TestLookup(t *testing.T) {
	k := NewKey()
	a := sealText(t, k, "a", "# a comment\nbad.example\r\nhttps://images.example/1\nhttps://images.example/2\nhttp://both.example/x\n\n")
	b := sealText(t, k, "b", "\ufeffbad.example\nboth.example\nhttp://192.0.2.1/x\nco.uk\n")
	s, err := NewSet(k, a, b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Counts{{Domains: 1, URLs: 3, Hosts: 2}, {Domains: 2, Addresses: 1, Skipped: 1}}, []Counts{a.Counts, b.Counts}); diff != "" {
		t.Error(diff)
	}
	for name, want := range map[string]Hit{
		"bad.example": {Sites: 3}, "deep.below.bad.example": {Sites: 3}, "notbad.example": {}, "example": {}, "": {}, "bad.example.org": {},
		"images.example": {Hosts: 1}, "www.images.example": {}, "both.example": {Sites: 2, Hosts: 1}, "www.both.example": {Sites: 2},
		"co.uk": {}, string(k.Canary()): {Sites: 3},
	} {
		if got := look(t, s, name); got != want {
			t.Errorf("%q: %+v, want %+v", name, got, want)
		}
	}
	var none *Set
	if look(t, none, "bad.example") != (Hit{}) || none.Lists() != nil || none.All() != 0 || s.All() != 3 {
		t.Error("the set of nothing holds something, or the set of two has other lists")
	}
	if _, err := NewSet(NewKey(), a); !errors.Is(err, ErrOtherKey) {
		t.Errorf("a list of another key: %v", err)
	}
	if _, err := NewSet(k, make([]*List, MaxLists+1)...); !errors.Is(err, ErrTooMany) {
		t.Errorf("too many lists: %v", err)
	}
}

func TestLookupDoesNotAllocate(t *testing.T) {
	k := NewKey()
	s, err := NewSet(k, sealText(t, k, "a", "bad.example\nhttps://images.example/1\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"www.bad.example", "images.example", "www.school.example"} {
		var w domain.Wire
		if err := w.SetName(domain.Name(name)); err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() { s.Lookup(&w) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// TestLookupAgrees holds the set to a map of the names themselves.
func TestLookupAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.Custom(func(t *rapid.T) string {
			return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "abcdefgh", "xn--x"}), 1, 5).Draw(t, "labels"), ".") + ".bad.example"
		})
		names := rapid.SliceOfN(name, 1, 50).Draw(t, "names")
		listed := map[string]bool{}
		for _, n := range names {
			listed[n] = true
		}
		k := NewKey()
		l, err := Seal(strings.NewReader(strings.Join(names, "\n")), k)
		if err != nil {
			t.Fatal(err)
		}
		s, err := NewSet(k, l)
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			ask := name.Draw(t, "asked")
			want := false
			for at := ask; at != "" && !want; {
				want = listed[at]
				_, at, _ = strings.Cut(at, ".")
			}
			var w domain.Wire
			if err := w.SetName(domain.Name(ask)); err != nil {
				t.Fatal(err)
			}
			if got := s.Lookup(&w).Sites != 0; got != want {
				t.Fatalf("%s among %v: %v", ask, names, got)
			}
		}
	})
}

func TestNoFeed(t *testing.T) {
	k := NewKey()
	for text, want := range map[string]error{
		"": ErrEmpty, "# nothing\n\n": ErrEmpty, "<html><body>\n<p>log in</p>\n": ErrNotFeed, "http://192.0.2.1/x\n": ErrNotFeed,
		strings.Repeat("x", maxLine+1): ErrNotFeed, "!!\n??\nbad.example\n": ErrNotFeed,
	} {
		if _, err := Seal(strings.NewReader(text), k); !errors.Is(err, want) {
			t.Errorf("%.20q: %v, want %v", text, err, want)
		}
	}
}

func TestSince(t *testing.T) {
	k := NewKey()
	old := sealText(t, k, "a", "one.example\ntwo.example\nhttps://i.example/1\nhttps://i.example/2\n")
	fresh := sealText(t, k, "a", "two.example\nthree.example\nhttp://I.example/2\nhttps://i.example/3\nhttps://i.example/4\n")
	if added, removed, kept := fresh.Since(old); added != 3 || removed != 2 || kept != 2 {
		t.Errorf("%d added, %d removed, %d kept", added, removed, kept)
	}
}

func TestFile(t *testing.T) {
	k := NewKey()
	l := sealText(t, k, "a", "bad.example\nhttps://images.example/1\nhttp://192.0.2.1/\n")
	b, err := l.Encode(k)
	if err != nil {
		t.Fatal(err)
	}
	for _, plain := range []string{"bad", "images", "192.0.2.1"} {
		for _, form := range []string{plain, base64.StdEncoding.EncodeToString([]byte(plain)), hex.EncodeToString([]byte(plain))} {
			if bytes.Contains(b, []byte(form)) {
				t.Errorf("the file holds %q", form)
			}
		}
	}
	got, err := Decode(b, k)
	if err != nil {
		t.Fatal(err)
	}
	got.Name = "a"
	if diff := cmp.Diff(l, got, cmp.AllowUnexported(List{}, hash{})); diff != "" {
		t.Error(diff)
	}
	if _, err := Decode(b, NewKey()); !errors.Is(err, ErrOtherKey) {
		t.Errorf("with another key: %v", err)
	}
	for i := range b {
		for _, bit := range []byte{1, 0x80} {
			broken := bytes.Clone(b)
			broken[i] ^= bit
			if _, err := Decode(broken, k); err == nil {
				t.Fatalf("taken with byte %d changed", i)
			}
		}
		if _, err := Decode(b[:i], k); err == nil {
			t.Fatalf("taken though cut after %d bytes", i)
		}
	}
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	k := NewKey()
	if err := k.WriteFile(path); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 || st.Size() != KeySize {
		t.Errorf("the file is %v, %v", st, err)
	}
	if got, err := ReadKey(path); err != nil || *got != *k {
		t.Errorf("read back: %v", err)
	}
	if err := NewKey().WriteFile(path); !errors.Is(err, os.ErrExist) {
		t.Errorf("over another key: %v", err)
	}
	for _, text := range []string{"", "short", strings.Repeat("\x00", KeySize), strings.Repeat("x", KeySize+1)} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadKey(path); !errors.Is(err, ErrKey) {
			t.Errorf("%d bytes: %v", len(text), err)
		}
	}
	if NewKey().Canary() == k.Canary() || len(k.Canary()) < 30 {
		t.Error("the canary can be guessed")
	}
	if c, err := domain.Parse(string(k.Canary())); err != nil || c != k.Canary() {
		t.Errorf("the canary is no name: %v", err)
	}
}

// TestErrorsHoldNoEntry: what goes wrong with a feed is told without a part of it.
func TestErrorsHoldNoEntry(t *testing.T) {
	for _, line := range []string{"http://secret-site.example:port/", "secret%zz.example", "http://sécret..example/", "secret-site^"} {
		_, err := readEntry(line)
		if err == nil {
			t.Errorf("%q is taken", line)
		} else if strings.Contains(err.Error(), "cret") {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func FuzzSeal(f *testing.F) {
	for _, s := range []string{"bad.example\nhttps://images.example/1\n", "http://user:pw@x.example:81/a%20b?c#d", "[2001:db8::1]\x00\n\\\\", "\xff\xfe"} {
		f.Add(s)
	}
	k := NewKey()
	f.Fuzz(func(t *testing.T, text string) {
		l, err := Seal(strings.NewReader(text), k)
		if err != nil {
			return
		}
		b, err := l.Encode(k)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode(b, k)
		if err != nil || !cmp.Equal(l, back, cmp.AllowUnexported(List{}, hash{})) {
			t.Fatalf("not read back: %v", err)
		}
		s, err := NewSet(k, back)
		if err != nil || look(t, s, string(k.Canary())).Sites != 1 {
			t.Fatalf("no canary: %v", err)
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	k := NewKey()
	var text strings.Builder
	for i := range 7000 {
		text.WriteString("https://h" + string(rune('a'+i%26)) + hex.EncodeToString([]byte{byte(i >> 8), byte(i)}) + ".example/\n")
	}
	s, err := NewSet(k, sealText(b, k, "a", text.String()))
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"school.example", "www.school.example.org", "a.rather.long-name.of.a.content-network.example.net"} {
		var w domain.Wire
		if err := w.SetName(domain.Name(name)); err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				s.Lookup(&w)
			}
		})
	}
}
