package update

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"strings"

	"golang.org/x/crypto/blake2b"

	"schoolgate/config"
)

// Signatures of minisign, version 1: Ed25519 over the BLAKE2b-512 of the file ("ED"), or over the file itself ("Ed",
// what minisign made before 0.8). A second signature covers the first and the trusted comment behind it.
const (
	maxSignature = 4 << 10  // bytes of a signature file
	maxLegacy    = 64 << 20 // bytes of a file signed the old way, which has to be held in memory whole
	keyIDSize    = 8
	trustedMark  = "trusted comment: "
)

// SignatureError is a source that its maker has not signed, or not with the key of the configuration.
type SignatureError struct {
	Reason string
}

func (e *SignatureError) Error() string { return "the signature is not good: " + e.Reason }

// publicKey is a key of minisign.
type publicKey struct {
	id  [keyIDSize]byte
	key ed25519.PublicKey
}

// readPublicKey reads a key as minisign.pub has it in its second line.
func readPublicKey(text string) (publicKey, error) {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) != 2+keyIDSize+ed25519.PublicKeySize || string(raw[:2]) != "Ed" {
		return publicKey{}, &SignatureError{"minisign_key is no public key of minisign"}
	}
	k := publicKey{key: ed25519.PublicKey(raw[2+keyIDSize:])}
	copy(k.id[:], raw[2:])
	return k, nil
}

// signature is a file .minisig.
type signature struct {
	hashed  bool
	id      [keyIDSize]byte
	sig     []byte
	trusted string // comment
	global  []byte // over sig and trusted
}

func readSignature(text string) (signature, error) {
	bad := &SignatureError{"it is no signature of minisign"}
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), "\n"), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[0], "untrusted comment:") || !strings.HasPrefix(lines[2], trustedMark) {
		return signature{}, bad
	}
	raw, err := base64.StdEncoding.DecodeString(lines[1])
	global, err2 := base64.StdEncoding.DecodeString(lines[3])
	if err != nil || err2 != nil || len(raw) != 2+keyIDSize+ed25519.SignatureSize || len(global) != ed25519.SignatureSize {
		return signature{}, bad
	}
	s := signature{sig: raw[2+keyIDSize:], trusted: lines[2][len(trustedMark):], global: global}
	copy(s.id[:], raw[2:])
	switch string(raw[:2]) {
	case "ED":
		s.hashed = true
	case "Ed":
	default:
		return signature{}, &SignatureError{"it is made in a way that is not known"}
	}
	return s, nil
}

// verify says whether text is a good signature, by the key, of the file at path, and when it was made as its maker says, in
// Unix seconds, 0 for no word of it. Its errors are SignatureErrors and those of reading the file.
func verify(key, text, path string) (made int64, err error) {
	k, err := readPublicKey(key)
	if err != nil {
		return 0, err
	}
	s, err := readSignature(text)
	if err != nil {
		return 0, err
	}
	if s.id != k.id {
		return 0, &SignatureError{fmt.Sprintf("it was made with the key %X, minisign_key is %X", reversed(s.id), reversed(k.id))}
	}
	message, err := signed(path, s.hashed)
	switch {
	case err != nil:
		return 0, err
	case !ed25519.Verify(k.key, message, s.sig):
		return 0, &SignatureError{"it is of another version of the source, or the source was changed"}
	case !ed25519.Verify(k.key, append(bytes.Clone(s.sig), s.trusted...), s.global):
		return 0, &SignatureError{"its trusted comment was changed"}
	}
	return s.made(), nil
}

// made reads the time that minisign writes into trusted comments, in Unix seconds; 0 without one.
func (s signature) made() int64 {
	at, _ := strings.CutPrefix(s.trusted, "timestamp:")
	at, _, _ = strings.Cut(at, "\t")
	n, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// signed is what the signature of a file is made over.
func signed(path string, hashed bool) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if hashed {
		h, err := blake2b.New512(nil)
		if err != nil {
			return nil, err
		}
		_, err = io.Copy(h, f)
		return h.Sum(nil), err
	}
	whole, err := io.ReadAll(io.LimitReader(f, maxLegacy+1))
	if err == nil && len(whole) > maxLegacy {
		err = &SignatureError{"a file of this size has to be signed with minisign -H"}
	}
	return whole, err
}

// reversed is a key's number as minisign prints it.
func reversed(id [keyIDSize]byte) []byte {
	out := make([]byte, keyIDSize)
	for i, b := range id {
		out[keyIDSize-1-i] = b
	}
	return out
}

// signatureOf says where the signature of what is at address is, an address or a path.
func signatureOf(l config.List, address string) string {
	const ending = ".minisig"
	if l.Signature != "" {
		return l.Signature
	}
	if !remote(address) {
		return address + ending
	}
	u, err := url.Parse(address)
	if err != nil {
		return address + ending
	}
	u.Path += ending
	if u.RawPath != "" {
		u.RawPath += ending
	}
	u.Fragment = ""
	return u.String()
}

// readSignatureFile reads the signature of a local file.
func readSignatureFile(path string) (string, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return "", &SignatureError{"there is none beside the source"}
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSignature))
	return string(text), err
}
