package parse

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"schoolgate/blocklist"
	"schoolgate/config"
)

func write(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func gz(t *testing.T, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zst(t *testing.T, b []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll(b, nil)
}

// entry is one entry of an archive or a directory made for a test.
type entry struct {
	name, text, link string
	kind             byte
}

func tarOf(t *testing.T, entries []entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: 0o644, Size: int64(len(e.text)), Linkname: e.link, Typeflag: e.kind}
		switch e.kind {
		case 0:
			h.Typeflag = tar.TypeReg
		case tar.TypeXGlobalHeader:
			h = &tar.Header{Typeflag: e.kind, Name: "pax_global_header", PAXRecords: map[string]string{"comment": "0"}}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func dirOf(t *testing.T, entries []entry) string {
	t.Helper()
	top := t.TempDir()
	for _, e := range entries {
		path := filepath.Join(top, filepath.FromSlash(e.name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		var err error
		switch e.kind {
		case tar.TypeDir:
			err = os.MkdirAll(path, 0o700)
		case tar.TypeSymlink:
			err = os.Symlink(e.link, path)
		default:
			err = os.WriteFile(path, []byte(e.text), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return top
}

// toulouse has the layout of UT1: the top directory, links before and behind what they lead to, usage behind domains.
var toulouse = []entry{
	{name: "blacklists/", kind: tar.TypeDir},
	{name: "blacklists/README", text: "not.a.list.example\n"},
	{name: "blacklists/ads", link: "publicite", kind: tar.TypeSymlink},
	{name: "blacklists/adult/domains", text: "adult.example\n192.0.2.1\n"},
	{name: "blacklists/adult/expressions", text: "(adult|porn)\n"},
	{name: "blacklists/adult/urls", text: "host.example/page\n# comment\nother.example/~page\n"},
	{name: "blacklists/adult/usage", text: "black\r\nadult\n"},
	{name: "blacklists/both/domains", text: "both.example\n"},
	{name: "blacklists/both/usage", text: "# for either\nblack\nwhite\n"},
	{name: "blacklists/child/domains", text: "child.example\n"},
	{name: "blacklists/child/usage", text: "white\nchild\n"},
	{name: "blacklists/global_usage", text: "NAME: adult\n"},
	{name: "blacklists/pages/urls", text: "host.example/page\n"},
	{name: "blacklists/pages/usage", text: "black\n"},
	{name: "blacklists/porn", link: "adult", kind: tar.TypeSymlink},
	{name: "blacklists/publicite/domains", text: "ads.example\n"},
	{name: "blacklists/publicite/usage", text: "black\n"},
	{name: "blacklists/unsaid/domains", text: "unsaid.example\n"},
	{name: "blacklists/zlink/domains", link: "../adult/domains", kind: tar.TypeSymlink},
}

func TestUT1(t *testing.T) {
	file := tarOf(t, toulouse)
	paths := map[string]string{
		"tar": write(t, "a", file), "gzip": write(t, "b", gz(t, file)), "zstd": write(t, "c", zst(t, file)),
		"directory": dirOf(t, toulouse),
	}
	for _, tc := range []struct {
		name    string
		sel     []string
		want    string
		skipped map[Reason]int
		err     error
	}{
		{"all", nil, "+adult.example +both.example +ads.example", map[Reason]int{Address: 1, Page: 2, AllowList: 2}, nil},
		{"one", []string{"adult"}, "+adult.example", map[Reason]int{Address: 1, Page: 2}, nil},
		{"a link before", []string{"ads"}, "+ads.example", nil, nil},
		{"a link behind", []string{"porn"}, "+adult.example", map[Reason]int{Address: 1, Page: 2}, nil},
		{"a link to a file", []string{"zlink"}, "+adult.example", map[Reason]int{Address: 1, Page: 2}, nil},
		{"the same twice", []string{"ads", "publicite"}, "+ads.example", nil, nil},
		{"black and white", []string{"both"}, "+both.example", nil, nil},
		{"of no stated use", []string{"unsaid"}, "+unsaid.example", nil, nil},
		{"white", []string{"child"}, "", nil, ErrAllowList},
		{"absent", []string{"adult", "violence"}, "", nil, ErrNoDirectory},
		{"without domains", []string{"pages"}, "", nil, ErrNoDirectory},
		{"outside", []string{"../adult"}, "", nil, ErrNoDirectory},
		{"nothing", []string{""}, "", nil, ErrNoDirectory},
	} {
		for how, path := range paths {
			t.Run(tc.name+"/"+how, func(t *testing.T) {
				var got []string
				rep, err := Source(path, config.List{Format: config.FormatUT1, Select: tc.sel}, collect(&got))
				if !errors.Is(err, tc.err) {
					t.Fatalf("got error %v, want %v", err, tc.err)
				}
				if diff := cmp.Diff(strings.Fields(tc.want), got); tc.err == nil && diff != "" {
					t.Error("want −, got +:\n" + diff)
				}
				if diff := cmp.Diff(tc.skipped, rep.Skipped); tc.err == nil && diff != "" {
					t.Errorf("want −, got +:\n%s%v", diff, rep.Problems)
				}
			})
		}
	}
}

func TestUT1Shapes(t *testing.T) {
	for _, tc := range []struct {
		name    string
		entries []entry
		sel     []string
		want    string
		err     error
	}{
		{
			"one category alone",
			[]entry{{name: "adult/domains", text: "a.example\n"}, {name: "adult/usage", text: "black\n"}},
			[]string{"adult"},
			"+a.example", nil,
		},
		{
			"nothing states its use",
			[]entry{{name: "./a/domains", text: "a.example\n"}, {name: "./b/domains", text: "b.example\n"}},
			nil, "+a.example +b.example", nil,
		},
		{
			"categories in categories",
			[]entry{{name: "BL/sex/lingerie/domains", text: "a.example\n"}, {name: "BL/usage"}},
			[]string{"sex/lingerie"},
			"+a.example", nil,
		},
		{"one of two empty", []entry{{name: "a/domains"}, {name: "b/domains", text: "b.example\n"}}, []string{"a", "b"}, "+b.example", nil},
		{"all empty", []entry{{name: "a/domains"}}, nil, "", ErrEmpty},
		{"no entries", nil, nil, "", ErrEmpty},
		{"web page", []entry{{name: "a/domains", text: "<html>"}}, nil, "", ErrHTML},
		{
			"links in a circle",
			[]entry{{name: "a", link: "b", kind: tar.TypeSymlink}, {name: "b", link: "a", kind: tar.TypeSymlink}},
			[]string{"a"},
			"", ErrArchive,
		},
		{"link up and out", []entry{{name: "x/a", link: "../../etc", kind: tar.TypeSymlink}}, nil, "", ErrArchive},
		{"link to the root", []entry{{name: "a", link: "/etc", kind: tar.TypeSymlink}}, nil, "", ErrArchive},
		{"dangling link", []entry{{name: "a", link: "b", kind: tar.TypeSymlink}}, []string{"a"}, "", ErrNoDirectory},
	} {
		t.Run(tc.name, func(t *testing.T) {
			paths := []string{dirOf(t, tc.entries)}
			if tc.entries != nil { // an empty tar is all zeros, without a mark to know it by
				paths = append(paths, write(t, "tar", tarOf(t, tc.entries)))
			}
			for _, path := range paths {
				var got []string
				_, err := Source(path, config.List{Select: tc.sel}, collect(&got))
				if !errors.Is(err, tc.err) {
					t.Errorf("got error %v, want %v", err, tc.err)
				}
				if diff := cmp.Diff(strings.Fields(tc.want), got); tc.err == nil && diff != "" {
					t.Error("want −, got +:\n" + diff)
				}
			}
		})
	}
}

// TestUnsafeTar holds entries that no directory can have.
func TestUnsafeTar(t *testing.T) {
	good := entry{name: "a/domains", text: "a.example\n"}
	for _, bad := range []entry{
		{name: "../a/domains", text: "evil.example\n"},
		{name: "a/../../b/domains", text: "evil.example\n"},
		{name: "a/../b/domains", text: "evil.example\n"},
		{name: "/etc/domains", text: "evil.example\n"},
		{name: "a/link", link: "a/domains", kind: tar.TypeLink},
		{name: "a/null", kind: tar.TypeChar},
		{name: "a/disk", kind: tar.TypeBlock},
		{name: "a/pipe", kind: tar.TypeFifo},
	} {
		path := write(t, "tar", tarOf(t, []entry{good, bad}))
		var got []string
		if _, err := Source(path, config.List{}, collect(&got)); !errors.Is(err, ErrArchive) || got != nil {
			t.Errorf("%+v: got error %v and rules %v", bad, err, got)
		}
	}
}

// TestGlobalHeader: tars that git makes begin with one, and it is no entry.
func TestGlobalHeader(t *testing.T) {
	file := tarOf(t, []entry{{kind: tar.TypeXGlobalHeader}, {name: "a/domains", text: "a.example\n"}})
	var got []string
	if _, err := Source(write(t, "tar", file), config.List{}, collect(&got)); err != nil || len(got) != 1 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestTooManyEntries(t *testing.T) {
	tree := newTree()
	var err error
	for i := 0; i <= maxEntries && err == nil; i++ {
		_, err = tree.put("a/domains", 0, "")
	}
	if !errors.Is(err, ErrArchive) || tree.entries != maxEntries+1 {
		t.Errorf("got %v after %d", err, tree.entries)
	}
}

func TestUnsafeDirectory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs a socket in a directory")
	}
	secret := write(t, "domains", []byte("evil.example\n"))
	dir := dirOf(t, []entry{{name: "a/domains", link: secret, kind: tar.TypeSymlink}})
	var got []string
	if _, err := Dir(dir, nil, collect(&got)); !errors.Is(err, ErrArchive) || got != nil {
		t.Errorf("got error %v and rules %v", err, got)
	}
}

func TestSource(t *testing.T) {
	list := []byte("a.example\nb.example\n")
	archive := tarOf(t, []entry{{name: "a/domains", text: "a.example\n"}})
	none := func(blocklist.Rule) error { return nil }
	for _, tc := range []struct {
		name    string
		content []byte
		list    config.List
		want    error
	}{
		{"plain", list, config.List{}, nil},
		{"gzip", gz(t, list), config.List{}, nil},
		{"zstd", zst(t, list), config.List{Format: config.FormatDomains}, nil},
		{"several gzip streams", append(gz(t, list), gz(t, list)...), config.List{}, nil},
		{"empty", nil, config.List{}, ErrEmpty},
		{"empty gzip", gz(t, nil), config.List{}, ErrEmpty},
		{"xz", []byte("\xfd7zXZ\x00rest"), config.List{}, ErrCompression},
		{"bzip2", []byte("BZh91AY"), config.List{}, ErrCompression},
		{"zip", []byte("PK\x03\x04rest"), config.List{}, ErrCompression},
		{"gzip in gzip", gz(t, gz(t, list)), config.List{}, ErrBinary},
		{"tar of another format", archive, config.List{Format: config.FormatHosts}, ErrArchive},
		{"tar of any format", archive, config.List{}, nil},
		{"text as ut1", list, config.List{Format: config.FormatUT1}, ErrArchive},
		{"larger than allowed", list, config.List{MaxSize: config.Size(len(list)) - 1}, ErrTooLarge},
		{"just as large as allowed", list, config.List{MaxSize: config.Size(len(list))}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Source(write(t, "list.txt", tc.content), tc.list, none)
			if !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
	if _, err := Source(filepath.Join(t.TempDir(), "absent"), config.List{}, none); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: got %v", err)
	}
	if _, err := Source(t.TempDir(), config.List{Format: config.FormatHosts}, none); !errors.Is(err, ErrArchive) {
		t.Errorf("directory of another format: got %v", err)
	}
}

// TestBomb: what unpacks to more than ten times the allowed size is an error, and is not unpacked further.
func TestBomb(t *testing.T) {
	list := bytes.Repeat([]byte("some.example\n"), 100_000)
	bomb := tarOf(t, []entry{{name: "a/domains", text: string(list)}, {name: "a/usage", text: "black\n"}})
	for name, content := range map[string][]byte{"gzip": gz(t, list), "zstd": zst(t, list), "tar": gz(t, bomb)} {
		rules := 0
		l := config.List{MaxSize: 10_000}
		_, err := Source(write(t, "bomb", content), l, func(blocklist.Rule) error { rules++; return nil })
		if !errors.Is(err, ErrTooLarge) || rules*len("some.example\n") > Unpack*10_000 {
			t.Errorf("%s: got %v after %d rules", name, err, rules)
		}
		l.MaxSize = config.Size(len(bomb))/Unpack + 1
		if _, err := Source(write(t, "large", content), l, func(blocklist.Rule) error { return nil }); err != nil {
			t.Errorf("%s, with room: got %v", name, err)
		}
	}
	dir := dirOf(t, []entry{{name: "a/domains", text: string(list)}})
	if _, err := Source(dir, config.List{MaxSize: 10_000}, func(blocklist.Rule) error { return nil }); !errors.Is(err, ErrTooLarge) {
		t.Errorf("directory: got %v", err)
	}
}

// TestTruncated: half a download is an error, never half a list.
func TestTruncated(t *testing.T) {
	list := bytes.Repeat([]byte("a.example\nb.example\nc.example\n"), 10_000)
	archive := tarOf(t, []entry{{name: "a/domains", text: string(list)}})
	for name, content := range map[string][]byte{"gzip": gz(t, list), "zstd": zst(t, list), "tar": archive, "tar.gz": gz(t, archive)} {
		for _, cut := range []int{len(content) / 2, len(content) * 9 / 10} {
			path := write(t, "cut", content[:cut])
			if rep, err := Source(path, config.List{}, func(blocklist.Rule) error { return nil }); err == nil {
				t.Errorf("%s cut to %d of %d bytes: no error, %v", name, cut, len(content), rep)
			}
		}
	}
}
