package update

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/blake2b"

	"schoolgate/config"
)

// maker signs as minisign does.
type maker struct {
	id     string
	secret ed25519.PrivateKey
}

func newMaker(t *testing.T, id string) maker {
	t.Helper()
	return maker{id, ed25519.NewKeyFromSeed([]byte(strings.Repeat(id, 4)))}
}

func (m maker) key() string {
	return base64.StdEncoding.EncodeToString([]byte("Ed" + m.id + string(m.secret.Public().(ed25519.PublicKey))))
}

func (m maker) sign(text string, legacy bool) string { return m.signAt(text, legacy, 1790000000) }

func (m maker) signAt(text string, legacy bool, at int64) string {
	kind, message := "ED", []byte(text)
	if legacy {
		kind = "Ed"
	} else {
		sum := blake2b.Sum512(message)
		message = sum[:]
	}
	sig := ed25519.Sign(m.secret, message)
	comment := fmt.Sprintf("timestamp:%d\tfile:list.txt", at)
	global := ed25519.Sign(m.secret, append(sig[:len(sig):len(sig)], comment...))
	return "untrusted comment: signature from a test\n" + base64.StdEncoding.EncodeToString([]byte(kind+m.id+string(sig))) +
		"\ntrusted comment: " + comment + "\n" + base64.StdEncoding.EncodeToString(global) + "\n"
}

// TestVerify holds what minisign itself made, in both ways, besides what the test makes.
func TestVerify(t *testing.T) {
	const published = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
	hashed := "untrusted comment: signature from minisign secret key\n" +
		"RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\n" +
		"trusted comment: timestamp:1633700835\tfile:test\tprehashed\n" +
		"wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==\n"
	legacy := "untrusted comment: signature from minisign secret key\n" +
		"RWQf6LRCGA9i59SLOFxz6NxvASXDJeRtuZykwQepbDEGt87ig1BNpWaVWuNrm73YiIiJbq71Wi+dP9eKL8OC351vwIasSSbXxwA=\n" +
		"trusted comment: timestamp:1555779966\tfile:test\n" +
		"QtKMXWyYcwdpZAlPF7tE2ENJkRd1ujvKjlj1m9RtHTBnZPa5WKU5uWRs5GoP5M/VqE81QFuMKI5k/SfNQUaOAA==\n"
	m, other := newMaker(t, "ABCDEFGH"), newMaker(t, "HGFEDCBA")
	twin := maker{m.id, other.secret} // another key of the same number
	good := m.sign(goodList, false)
	lines := strings.Split(good, "\n")
	for _, tc := range []struct {
		name, key, text, file, want string
	}{
		{"by minisign", published, hashed, "test", ""},
		{"by minisign, the old way", published, legacy, "test", ""},
		{"by minisign, of another file", published, hashed, "Test", "another version"},
		{"good", m.key(), good, goodList, ""},
		{"good, the old way", m.key(), m.sign(goodList, true), goodList, ""},
		{"with CRLF", m.key(), strings.ReplaceAll(good, "\n", "\r\n"), goodList, ""},
		{"another file", m.key(), good, goodList + "x", "another version"},
		{"another key", other.key(), good, goodList, "made with the key 4847464544434241, minisign_key is 4142434445464748"},
		{"another key of the same number", twin.key(), good, goodList, "another version"},
		{"another trusted comment", m.key(), strings.Replace(good, "list.txt", "evil.txt", 1), goodList, "trusted comment was changed"},
		{"the mark of the other way", m.key(), strings.Replace(good, lines[1][:4], "RWRB", 1), goodList, "another version"},
		{"an unknown way", m.key(), strings.Replace(good, lines[1][:4], "RXRB", 1), goodList, "not known"},
		{"no trusted comment", m.key(), strings.Join(lines[:2], "\n"), goodList, "no signature of minisign"},
		{"a web page", m.key(), "<html>\n\n\n</html>", goodList, "no signature of minisign"},
		{"nothing", m.key(), "", goodList, "no signature of minisign"},
		{"no key", "RWQ", good, goodList, "no public key"},
	} {
		_, err := verify(tc.key, tc.text, put(t, filepath.Join(t.TempDir(), "list"), tc.file))
		if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
			t.Errorf("%s: got %v, want %q", tc.name, err, tc.want)
		}
	}
}

func FuzzSignature(f *testing.F) {
	m := maker{"ABCDEFGH", ed25519.NewKeyFromSeed([]byte(strings.Repeat("ABCDEFGH", 4)))}
	f.Add(m.sign(goodList, false))
	f.Add(m.sign(goodList, true))
	f.Add("untrusted comment:\n\ntrusted comment: \n")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := readSignature(text); err == nil && (len(s.sig) != ed25519.SignatureSize || len(s.global) != ed25519.SignatureSize) {
			t.Errorf("got %+v", s)
		}
	})
}

func TestSignatureOf(t *testing.T) {
	for _, tc := range []struct{ address, given, want string }{
		{"https://lists.example/a.txt", "", "https://lists.example/a.txt.minisig"},
		{"https://lists.example/a%2Fb.txt?key=x#top", "", "https://lists.example/a%2Fb.txt.minisig?key=x"},
		{"/etc/lists/a.txt", "", "/etc/lists/a.txt.minisig"},
		{"https://lists.example/a.txt", "https://keys.example/a", "https://keys.example/a"},
	} {
		if got := signatureOf(config.List{Signature: tc.given}, tc.address); got != tc.want {
			t.Errorf("%s: got %s", tc.address, got)
		}
	}
}

// TestRefreshSigned: only what the maker signed is taken, from wherever it comes.
func TestRefreshSigned(t *testing.T) {
	m := newMaker(t, "ABCDEFGH")
	s := newSite(t)
	first, second := names("game", 10), names("game", 12)
	s.set("games", first, 0)
	s.set("games.minisig", m.sign(first, false), 0)
	l := s.list("games", "gaming")
	l.MinisignKey = m.key()
	u, last := updater(t, t.TempDir(), l)
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	s.set("games", second, 0)
	for name, sig := range map[string]string{"the signature of the version before": m.sign(first, false), "another maker's": newMaker(t, "HGFEDCBA").sign(second, false), "none": ""} {
		code := 0
		if sig == "" {
			code = http.StatusNotFound
		}
		s.set("games.minisig", sig, code)
		err := u.Refresh(t.Context(), nil)
		if err == nil || !strings.Contains(err.Error(), "signature") {
			t.Errorf("%s: got %v", name, err)
		}
		expect(t, name, []string{}, holders(t, last(), "game11.example"))
	}
	s.set("games.minisig", m.sign(second, true), 0)
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	expect(t, "signed", []string{"games"}, holders(t, last(), "game11.example"))
}

// TestRefreshSignedFile: a signature that comes after its file is noticed.
func TestRefreshSignedFile(t *testing.T) {
	m := newMaker(t, "ABCDEFGH")
	path := put(t, filepath.Join(t.TempDir(), "own.txt"), goodList)
	u, last := updater(t, t.TempDir(), config.List{Name: "own", Category: "gaming", Source: path, MinisignKey: m.key()})
	if err := u.Refresh(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "there is none beside the source") {
		t.Fatalf("without a signature: %v", err)
	}
	put(t, path+".minisig", m.sign("something else\n", false))
	if err := u.Refresh(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "another version") {
		t.Fatalf("with another file's: %v", err)
	}
	put(t, path+".minisig", m.sign(goodList, false))
	if err := u.Refresh(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	expect(t, "own", []string{"own"}, holders(t, last(), "game.example"))
}

// TestReplay: an old version under its own good signature does not come back, unless a person goes back to it.
func TestReplay(t *testing.T) {
	t.Parallel() // the time goes into waiting for the disk
	m := newMaker(t, "ABCDEFGH")
	s := newSite(t)
	first, second := names("game", 10), names("game", 12)
	l := s.list("games", "gaming")
	l.MinisignKey = m.key()
	u, last := updater(t, t.TempDir(), l)
	for i, body := range []string{first, second} {
		s.set("games", body, 0)
		s.set("games.minisig", m.signAt(body, false, 1790000000+int64(i)), 0)
		if err := u.Refresh(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	s.set("games", first, 0)
	s.set("games.minisig", m.signAt(first, false, 1790000000), 0)
	if err := u.Refresh(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "played back") {
		t.Errorf("got %v", err)
	}
	expect(t, "in use", []string{"games"}, holders(t, last(), "game11.example"))

	// Signed anew it is what the maker wants now, and so is one that says no time.
	for name, sig := range map[string]string{"anew": m.signAt(first, false, 1790000002), "no time": m.signAt(first, true, 0)} {
		s.set("games.minisig", sig, 0)
		if err := u.Refresh(t.Context(), nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	expect(t, "signed anew", []string{}, holders(t, last(), "game11.example"))
}

// TestRefreshSignedBehindPassword: who needs a password for the list needs it for the signature beside it; nobody else sees it.
func TestRefreshSignedBehindPassword(t *testing.T) {
	t.Parallel() // the time goes into waiting for the disk
	m := newMaker(t, "ABCDEFGH")
	body := names("game", 10)
	elsewhere := newSite(t)
	elsewhere.set("key", m.sign(body, false), 0)
	told := make(chan string, 10)
	other := serve(t, func(w http.ResponseWriter, r *http.Request) {
		told <- r.Header.Get("Authorization")
		elsewhere.answer(w, r)
	})
	s := newSite(t)
	s.set("games", body, 0)
	s.set("games.minisig", m.sign(body, false), 0)
	guarded := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer token" {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		s.answer(w, r)
	})
	auth := put(t, filepath.Join(t.TempDir(), "auth"), "token\n")
	if err := os.Chmod(auth, 0o600); err != nil {
		t.Fatal(err)
	}
	l := config.List{Name: "games", Category: "gaming", Source: guarded.URL + "/games", AuthFile: auth, MinisignKey: m.key()}
	for where, signature := range map[string]string{"beside it": "", "elsewhere": other.URL + "/key"} {
		l.Signature = signature
		u, last := updater(t, t.TempDir(), l)
		if err := u.Refresh(t.Context(), nil); err != nil {
			t.Errorf("%s: %v", where, err)
			continue
		}
		expect(t, where, []string{"games"}, holders(t, last(), "game1.example"))
	}
	if got := <-told; got != "" {
		t.Errorf("another server was told %q", got)
	}
}
