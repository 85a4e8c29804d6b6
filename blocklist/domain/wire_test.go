package domain

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"pgregory.net/rapid"
)

// label is one label in wire form.
func label(s string) string { return string(rune(len(s))) + s }

func TestRead(t *testing.T) {
	l63 := label(strings.Repeat("a", 63))
	for name, c := range map[string]struct {
		msg  string
		at   int
		next int
		want Name
		err  error
	}{
		"root":              {"\x00", 0, 1, "", nil},
		"case":              {label("WwW") + label("Example") + "\x00rest", 0, 13, "www.example", nil},
		"offset":            {"head" + label("a") + "\x00", 4, 7, "a", nil},
		"odd bytes":         {label("a.b") + label("\x00") + label("\xffZ[@") + "\x00", 0, 12, `a\046b.\000.\255z\091\064`, nil},
		"not ASCII letters": {label("\xc0\xde") + "\x00", 0, 4, `\192\222`, nil},
		"longest":           {l63 + l63 + l63 + label(strings.Repeat("b", 61)) + "\x00", 0, 255, "", nil},
		"most labels":       {strings.Repeat(label("a"), 127) + "\x00", 0, 255, Name(strings.Repeat("a.", 126) + "a"), nil},
		"too long by one":   {l63 + l63 + l63 + label(strings.Repeat("b", 62)) + "\x00", 0, 0, "", ErrLongName},
		"too many labels":   {strings.Repeat(label("a"), 128) + "\x00", 0, 0, "", ErrLongName},
		"pointer":           {"\x00" + label("a") + "\xc0\x00", 1, 0, "", ErrCompression},
		"reserved":          {"\x40" + strings.Repeat("a", 64) + "\x00", 0, 0, "", ErrCompression},
		"nothing":           {"", 0, 0, "", ErrTruncated},
		"beyond":            {"\x00", 1, 0, "", ErrTruncated},
		"before":            {"\x00", -1, 0, "", ErrTruncated},
		"no root":           {label("a"), 0, 0, "", ErrTruncated},
		"short label":       {"\x05abc", 0, 0, "", ErrTruncated},
	} {
		var w Wire
		if err := w.SetName("left.over"); err != nil {
			t.Fatal(err)
		}
		next, err := w.Read([]byte(c.msg), c.at)
		if next != c.next || !errors.Is(err, c.err) {
			t.Errorf("%s: %d, %v; want %d, %v", name, next, err, c.next, c.err)
		}
		if got := w.Name(); name != "longest" && got != c.want {
			t.Errorf("%s: read %q, want %q", name, got, c.want)
		}
		if err != nil && (w.Labels() != 0 || !bytes.Equal(w.Bytes(), []byte{0})) {
			t.Errorf("%s: after an error %q is left", name, w.Bytes())
		}
	}
}

func TestLabels(t *testing.T) {
	var w Wire
	if err := w.SetName("www.example.com"); err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range w.Labels() {
		got = append(got, string(w.Label(i)))
	}
	if strings.Join(got, " ") != "www example com" {
		t.Errorf("labels %q", got)
	}
	for i, want := range []string{"www.example.com", "example.com", "com", "", ""} {
		if got := string(AppendText(nil, w.From(i))); got != want {
			t.Errorf("From(%d) = %q, want %q", i, got, want)
		}
	}
}

func TestAppendWireErrors(t *testing.T) {
	for n, want := range map[Name]error{
		"a..b":                                  ErrEmptyLabel,
		".a":                                    ErrEmptyLabel,
		"a.":                                    ErrEmptyLabel,
		".":                                     ErrEmptyLabel,
		`\256`:                                  ErrCharacter,
		`\00`:                                   ErrCharacter,
		`\00a`:                                  ErrCharacter,
		`\/99`:                                  ErrCharacter,
		`a\`:                                    ErrCharacter,
		Name(strings.Repeat("a", 64)):           ErrLongLabel,
		Name(strings.Repeat("a", 300)):          ErrLongLabel,
		Name(strings.Repeat("a.", 127) + "a"):   ErrLongName,
		Name(strings.Repeat(`\000`, 63)) + `\1`: ErrCharacter,
	} {
		if _, err := n.AppendWire(nil); !errors.Is(err, want) {
			t.Errorf("%.40q: %v, want %v", n, err, want)
		}
	}
	b, err := Name("a").AppendWire([]byte("x"))
	if err != nil || string(b) != "x\x01a\x00" {
		t.Errorf("appended %q, %v", b, err)
	}
}

func TestReadAllocations(t *testing.T) {
	msg := []byte(label("WWW") + label("example") + "\x00")
	var w Wire
	text := make([]byte, 0, 4*MaxWire)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := w.Read(msg, 0); err != nil {
			t.Error(err)
		}
		text = w.AppendText(text[:0])
	}); n != 0 {
		t.Errorf("reading a name and writing it as text allocates %v times", n)
	}
}

// wireName makes names of any bytes.
func wireName(t *rapid.T) []byte {
	var wire []byte
	for _, l := range rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 1, MaxLabel), 0, 6).Draw(t, "labels") {
		if len(wire)+1+len(l) < MaxWire {
			wire = append(append(wire, byte(len(l))), l...)
		}
	}
	return append(wire, 0)
}

func TestNameAndWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wire := wireName(t)
		checkRead(t, wire, 0)
		var w, again Wire
		if _, err := w.Read(wire, 0); err != nil {
			t.Fatalf("%q: %v", wire, err)
		}
		n := w.Name()
		if err := again.SetName(n); err != nil {
			t.Fatalf("%q: %v", n, err)
		}
		if !bytes.Equal(w.Bytes(), again.Bytes()) || again.Name() != n || w.Labels() != again.Labels() {
			t.Errorf("%q went to %q and came back as %q", w.Bytes(), n, again.Bytes())
		}
		if labels := strings.Count(string(n), ".") + 1; n != "" && labels != w.Labels() {
			t.Errorf("%q has %d labels as text, %d on the wire", n, labels, w.Labels())
		}
	})
}

// checkRead compares Read with miekg/dns, which follows compression pointers where Read refuses them.
func checkRead(t interface{ Errorf(string, ...any) }, msg []byte, at int) {
	var w Wire
	next, err := w.Read(msg, at)
	if errors.Is(err, ErrCompression) {
		return
	}
	text, wantNext, wantErr := dns.UnpackDomainName(msg, at)
	if (err != nil) != (wantErr != nil) {
		t.Errorf("%q at %d: %v, but miekg/dns says %v", msg, at, err, wantErr)
	}
	if err != nil || wantErr != nil {
		return
	}
	packed := make([]byte, MaxWire+1)
	n, err := dns.PackDomainName(text, packed, 0, nil, false)
	if err != nil {
		t.Errorf("%q, as miekg/dns reads it, has no wire form: %v", text, err)
		return
	}
	for i, c := range packed[:n] {
		packed[i] = Lower(c) // length bytes are below the letters
	}
	if next != wantNext || !bytes.Equal(w.Bytes(), packed[:n]) || w.Labels() != dns.CountLabel(text) {
		t.Errorf("%q at %d: %q, next %d; miekg/dns %q, next %d", msg, at, w.Bytes(), next, packed[:n], wantNext)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("\x03WWW\x07example\x00"), 0)
	f.Add([]byte("\x00\x01a\xc0\x00"), 1)
	f.Add([]byte(strings.Repeat("\x01a", 127)+"\x00"), 0)
	f.Add([]byte("\x3f"), 0)
	f.Fuzz(func(t *testing.T, msg []byte, at int) {
		if at < 0 || at > len(msg) {
			at = 0
		}
		checkRead(t, msg, at)
	})
}

// FuzzAppendWire takes any text for a Name: what has a wire form has one canonical text.
func FuzzAppendWire(f *testing.F) {
	f.Add(`a\046b.example`)
	f.Add(`\000`)
	f.Add(`\25`)
	f.Fuzz(func(t *testing.T, s string) {
		b, err := Name(s).AppendWire(nil)
		if err != nil {
			return
		}
		var w Wire
		if next, err := w.Read(b, 0); err != nil || next != len(b) {
			t.Fatalf("%q has a wire form that reads as %d, %v", s, next, err)
		}
		if again, err := w.Name().AppendWire(nil); err != nil || !bytes.Equal(again, w.Bytes()) {
			t.Errorf("%q: its canonical text %q has the wire form %q, %v", s, w.Name(), again, err)
		}
	})
}

func TestSetNameKeepsOnError(t *testing.T) {
	var w Wire
	if err := w.SetName("kept.example"); err != nil {
		t.Fatal(err)
	}
	if err := w.SetName("a..b"); !errors.Is(err, ErrEmptyLabel) || w.Name() != "kept.example" {
		t.Errorf("%v, left %q", err, w.Name())
	}
}
