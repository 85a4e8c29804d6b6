package parse

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"schoolgate/blocklist"
	"schoolgate/blocklist/domain"
	"schoolgate/config"
)

func ignore(blocklist.Rule) error { return nil }

// TestForeign holds a small file of each format that is known and not read, and what stands nearest to it and is read.
func TestForeign(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"Clash provider", "payload:\n  - '+.a.example'\n  - 'b.example'\n", "Clash"},
		{"Clash classical", "# rules\npayload:\n  - DOMAIN-SUFFIX,a.example\n", "Clash"},
		{"Clash text", "+.a.example\n+.b.example\n", "Clash"},
		{"mihomo binary", "MRS\x01rest", "mihomo"},
		{"Surge", "# rule set\nDOMAIN-SUFFIX,a.example\nDOMAIN,b.example,REJECT\n", "Surge"},
		{"Shadowrocket", "[Rule]\nDOMAIN-SUFFIX,a.example,REJECT\nIP-CIDR,192.0.2.0/24,REJECT\n", "Shadowrocket"},
		{"Quantumult", "host-suffix, a.example, reject\nHOST,b.example,reject\n", "Quantumult"},
		{"smartdns", "address /a.example/#\naddress /b.example/#\n", "smartdns"},
		{"smartdns rules", "domain-rules /a.example/ -a #\n", "smartdns"},
		{"V2Ray", "full:a.example\ndomain:b.example @ads\ninclude:others\n", "V2Ray"},
		{"RouterOS", "/ip dns static\nadd name=a.example type=NXDOMAIN\n", "RouterOS"},
		{"BIND", "zone \"a.example\" { type master; file \"null\"; };\n", "BIND"},
		{"Privoxy", "{ +block{ads} }\n", "Privoxy"},
		{"dnscrypt-proxy", "=a.example\n=b.example\nc.example\n", "dnscrypt-proxy"},
		{"CSV", "\"1\",\"a.example\"\n\"2\",\"b.example\"\n", "CSV"},
		{"PAC", "// a comment\nfunction FindProxyForURL(url, host) {\n  return \"DIRECT\";\n}\n", "PAC"},
		{"JSON", "{\n \"status\": \"please sign in\" }", "JSON"},
		{"JSON array", " [\"a.example\", \"b.example\"]", "JSON"},
		{"sing-box", `{"version": 1, "rules": [{"domain_suffix": ["a.example"]}]}`, "sing-box"},
		{"sing-box binary", "SRS\x01rest", "sing-box"},
		{"Little Snitch", `{"name": "x", "denied-remote-domains": ["a.example"]}`, "Little Snitch"},
		{"adblock", "[Adblock Plus 2.0]\n||a.example^\n", ""},
		{"dnsmasq", "address=/a.example/#\n", ""},
		{"unbound", "server:\nlocal-zone: \"a.example\" always_nxdomain\n", ""},
		{"unbound indented", "server:\n  local-zone: \"a.example\" always_nxdomain\n", ""},
		{"one line of another", "a.example\nb.example\n+.c.example\n", ""},
	} {
		for _, f := range []config.Format{config.FormatAuto, config.FormatDomains} {
			if f == config.FormatDomains && tc.want == "" {
				continue
			}
			_, err := Text(strings.NewReader(tc.text), f, ignore)
			foreign, is := errors.AsType[*ForeignError](err)
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("%s: got %v", tc.name, err)
			case tc.want != "" && (!is || !strings.Contains(foreign.Format, tc.want) || !errors.Is(err, ErrNotAList)):
				t.Errorf("%s, format %v: got %v", tc.name, f, err)
			}
		}
	}
}

// TestForeignIsToldEarly: a large file of another format is not read to its end.
func TestForeignIsToldEarly(t *testing.T) {
	rep, err := Text(strings.NewReader(strings.Repeat("DOMAIN-SUFFIX,a.example\n", 10_000)), config.FormatAuto, ignore)
	if _, is := errors.AsType[*ForeignError](err); !is || rep.Lines > foreignSample {
		t.Errorf("got %v after %d lines", err, rep.Lines)
	}
}

func utf16Of(text string, order binary.AppendByteOrder) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(text)) {
		b = order.AppendUint16(b, u)
	}
	return b
}

// TestGuards: what may come instead of a list, plain and packed, and what is said of it.
func TestGuards(t *testing.T) {
	list := "a.example\nb.example\n"
	for _, tc := range []struct {
		name    string
		content []byte
		want    error
	}{
		{"UTF-16 with a mark, little", append([]byte{0xff, 0xfe}, utf16Of(list, binary.LittleEndian)...), ErrBinary},
		{"UTF-16 with a mark, big", append([]byte{0xfe, 0xff}, utf16Of(list, binary.BigEndian)...), ErrBinary},
		{"UTF-16 without, little", utf16Of(list, binary.LittleEndian), ErrBinary},
		{"UTF-16 without, big", utf16Of(list, binary.BigEndian), ErrBinary},
		{"pointer", []byte("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"), ErrLFSPointer},
		{"captive portal", []byte("<HTML><HEAD><meta http-equiv=\"refresh\" content=\"0;url=http://portal.example/login\"></HEAD></HTML>"), ErrHTML},
		{"captive portal after blanks", []byte("\r\n\r\n  <!-- portal --><html></html>"), ErrHTML},
		{"captive portal in JSON", []byte(`{"captive": true, "user-portal-url": "https://portal.example/"}`), ErrNotAList},
		{"captive portal in words", []byte("Please sign in to use this network.\nThank you.\n"), ErrNotAList},
		{"only white space", []byte(" \n\t\r\n"), ErrEmpty},
		{"urls", []byte("a.example/page\nb.example/other/page\nc.example:8080/\nd.example\n"), ErrPages},
		{"some pages", []byte("a.example/page\nb.example\nc.example\n"), nil},
		{"adblock with many pages", []byte("||a.example/ads/\n||b.example/ads/\n||c.example/ads/\n||d.example^\n"), nil},
	} {
		for how, content := range map[string][]byte{"plain": tc.content, "gzip": gz(t, tc.content), "zstd": zst(t, tc.content)} {
			if _, err := Source(write(t, "list", content), config.List{}, ignore); !errors.Is(err, tc.want) {
				t.Errorf("%s, %s: got %v, want %v", tc.name, how, err, tc.want)
			}
		}
	}
}

// TestSniff: what is no list is known by its beginning, before the rest is fetched.
func TestSniff(t *testing.T) {
	for _, tc := range []struct {
		name, head string
		want       error
	}{
		{"list", "a.example\n", nil},
		{"adblock", "[Adblock Plus]\n||a.example^", nil},
		{"gzip", string(gz(t, []byte("a.example\n"))), nil},
		{"zstd", string(zst(t, []byte("a.example\n"))), nil},
		{"tar", string(tarOf(t, []entry{{name: "a/domains", text: "a.example\n"}})[:512]), nil},
		{"zip", "PK\x03\x04rest", ErrCompression},
		{"web page", "<!doctype html>", ErrHTML},
		{"pointer", "version https://git-lfs.github.com/spec/v1\n", ErrLFSPointer},
		{"UTF-16", "a\x00.\x00", ErrBinary},
		{"JSON", `{"error":"not found"}`, ErrNotAList},
	} {
		if err := Sniff([]byte(tc.head)); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", tc.name, err, tc.want)
		}
	}
}

// TestCutBetweenEntries: a tar that ends where an entry ends looks whole to a reader of entries, and is not.
func TestCutBetweenEntries(t *testing.T) {
	whole := tarOf(t, []entry{{name: "a/domains", text: "a.example\n"}, {name: "b/domains", text: "b.example\n"}})
	first := tarOf(t, []entry{{name: "a/domains", text: "a.example\n"}})
	cut := whole[:len(first)-1024]
	packed := gz(t, whole)
	for name, content := range map[string][]byte{
		"between entries": cut, "between entries, gzip": gz(t, cut), "in an entry": whole[:len(cut)+600],
		"the sum of gzip": packed[:len(packed)-8], "only the mark of gzip": packed[:2], "a gzipped list": gz(t, []byte("a.example\n"))[:20],
	} {
		if _, err := Source(write(t, "list", content), config.List{}, ignore); !errors.Is(err, ErrCut) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := Source(write(t, "list", whole), config.List{}, ignore); err != nil {
		t.Errorf("whole: got %v", err)
	}
	packed[len(packed)-6] ^= 1
	if _, err := Source(write(t, "list", packed), config.List{}, ignore); err == nil {
		t.Error("a wrong sum of gzip was not noticed")
	}
}

// TestUnsafePacked: what leads out of an archive is refused however it is packed, link before and behind what it leads to.
func TestUnsafePacked(t *testing.T) {
	good := entry{name: "a/domains", text: "a.example\n"}
	for _, bad := range []entry{
		{name: "../../etc/domains", text: "evil.example\n"},
		{name: "b", link: "../../etc", kind: tar.TypeSymlink},
		{name: "b", link: "/etc", kind: tar.TypeSymlink},
		{name: "b/domains", link: "a/domains", kind: tar.TypeLink},
		{name: "b/domains", kind: tar.TypeChar},
	} {
		for _, entries := range [][]entry{{good, bad}, {bad, good}} {
			content := tarOf(t, entries)
			for _, packed := range [][]byte{content, gz(t, content), zst(t, content)} {
				var got []string
				if _, err := Source(write(t, "tar", packed), config.List{Format: config.FormatUT1, Select: []string{"a"}}, collect(&got)); !errors.Is(err, ErrArchive) || got != nil {
					t.Errorf("%+v: got %v and %v", bad, err, got)
				}
			}
		}
	}
}

// TestAccept: a public suffix is an entry when the configuration says so, and only that one.
func TestAccept(t *testing.T) {
	path := write(t, "list", []byte("sch.uk\nnet.uk\na.example\n"))
	var got []string
	l := config.List{Accept: []domain.Name{"sch.uk", "me.uk"}}
	rep, err := Source(path, l, collect(&got))
	if diff := cmp.Diff([]string{"+sch.uk", "+a.example"}, got); err != nil || diff != "" || rep.Skipped[PublicSuffix] != 1 {
		t.Errorf("got %v, %v\n%s", rep, err, diff)
	}
}

func TestRefused(t *testing.T) {
	path := write(t, "list", append(bytes.Repeat([]byte("good.example\n"), 40), bytes.Repeat([]byte("192.0.2.1\ncom\n"), 30)...))
	rep, err := Refused(path, config.List{}, 50)
	if err != nil || len(rep.Problems) != 50 || rep.Skipped[Address] != 30 || rep.Skipped[PublicSuffix] != 30 {
		t.Fatalf("got %d problems, %v, %v", len(rep.Problems), rep, err)
	}
	if p := rep.Problems[49]; p.Line != 90 || p.Reason != PublicSuffix || p.Text != "com" {
		t.Errorf("got %v", p)
	}
}

// TestTraps reads the lists that hold known mistakes of their makers.
func TestTraps(t *testing.T) {
	lists := sharedLists(t)
	set, rep, err := load(t, lists+"malware/antisocial-uk-community.domains.txt.zst", config.FormatDomains)
	if err != nil || rep.Skipped[PublicSuffix] < 3 {
		t.Errorf("antisocial-uk-community: %v, %v", rep, err)
	}
	for _, n := range []domain.Name{"sch.uk", "net.uk", "me.uk", "elmpark.kent.sch.uk"} {
		if set.blocks(n) {
			t.Errorf("antisocial-uk-community blocks %s", n)
		}
	}
	ut1 := lists + "ut1/ut1-blacklists-subset.tar.gz"
	if _, err := os.Stat(ut1); err != nil {
		t.Fatal(err)
	}
	read := func(sel string) (ruleSet, Report, error) {
		set := ruleSet{make(map[domain.Name]uint8), make(map[domain.Name]uint8)}
		rep, err := Source(ut1, config.List{Format: config.FormatUT1, Select: []string{sel}}, func(r blocklist.Rule) error {
			set.blocked[r.Name] |= exact | below
			return nil
		})
		return set, rep, err
	}
	agressif, rep, err := read("agressif")
	if err != nil || rep.Skipped[Page] == 0 || len(agressif.blocked) == 0 {
		t.Errorf("agressif: %v, %v", rep, err)
	}
	for _, n := range []domain.Name{"adl.org", "archive.org"} {
		if agressif.blocks(n) {
			t.Errorf("agressif blocks %s, of which its urls name a page", n)
		}
	}
	if _, _, err := read("malware"); !errors.Is(err, ErrNoDirectory) { // it has urls alone
		t.Errorf("malware: got %v", err)
	}
	if _, _, err := read("liste_blanche"); !errors.Is(err, ErrAllowList) {
		t.Errorf("liste_blanche: got %v", err)
	}
	f, err := unpack(ut1, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	urls := 0
	for in := tar.NewReader(f); ; { // each urls file fed in as if it were a list of its own
		h, err := in.Next()
		if err != nil {
			break
		}
		if !strings.HasSuffix(h.Name, "/malware/urls") && !strings.HasSuffix(h.Name, "/agressif/urls") {
			continue
		}
		urls++
		if rep, err := Text(in, config.FormatAuto, ignore); !errors.Is(err, ErrPages) && !errors.Is(err, ErrNoDomain) {
			t.Errorf("%s as a list: %v, %v", h.Name, rep, err)
		}
	}
	if urls != 2 {
		t.Errorf("%d files urls", urls)
	}
}
