package update

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"schoolgate/config"
)

func TestPrintable(t *testing.T) {
	tests := []struct{ in, want string }{
		{"plain: “ölig” 漢字", "plain: “ölig” 漢字"},
		{"", ""},
		{"\x1b[2J\n", `\x1b[2J; `},
		{"a\x00b\x7f\u009bc\u202ed\u2028", `a\x00b\x7f\x9bc\u202ed\u2028`},
		{"bad \xff\xfe", `bad \xff\xfe`},
		{"kept \ufffd", "kept \ufffd"},
		{strings.Repeat("x", maxText+1), strings.Repeat("x", maxText-3) + "…"},
		{strings.Repeat("x", maxText-4) + "\x1b\x1b", strings.Repeat("x", maxText-4) + "…"},
	}
	for _, tt := range tests {
		got := printable(tt.in)
		expect(t, "text", tt.want, got)
		if len(got) > maxText || !utf8.ValidString(got) {
			t.Errorf("%q has %d bytes", got, len(got))
		}
	}
}

// A certificate names whom it is for; what it names comes back in the error.
func TestCertificateCannotDriveTheTerminal(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"\x1b[2J\n\x07" + strings.Repeat("long.", 100)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}, &x509.Certificate{SerialNumber: big.NewInt(1)}, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: key}}}
	s.StartTLS()
	defer s.Close()

	source := strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	u, _ := updater(t, t.TempDir(), config.List{Name: "games", Category: "gaming", Source: source})
	var told error
	err = u.Refresh(t.Context(), func(p Progress) {
		if p.Err != nil {
			told = p.Err
		}
	})
	if err == nil || told == nil {
		t.Fatal("no error")
	}
	meta, _ := os.ReadFile(folder(u.dir).meta("games"))
	for what, text := range map[string]string{
		"the error": err.Error(), "progress": told.Error(), "status": u.Status()[0].Error,
		"the file": string(bytes.ReplaceAll(bytes.ReplaceAll(meta, []byte("\n"), nil), []byte("\t"), nil)),
	} {
		if i := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }); i >= 0 || !utf8.ValidString(text) {
			t.Errorf("%s holds %q", what, text)
		}
		if !strings.Contains(text, `x1b[2J`) && !strings.Contains(text, `long.long`) {
			t.Errorf("%s does not tell what is wrong: %q", what, text)
		}
	}
	if n := len(u.Status()[0].Error); n > maxText {
		t.Errorf("%d bytes", n)
	}
}
