// Package reference keeps what was asked for when the illegal tier refused it, sealed so that nobody but the holder of the
// safeguarding lead's key can read it.
package reference

import (
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/crypto/curve25519"
	"golang.org/x/crypto/nacl/box"
	"golang.org/x/crypto/scrypt"
)

// Errors of a key.
var (
	ErrKeyFile    = errors.New("not a key of schoolgate")
	ErrPassphrase = errors.New("the passphrase is not the one that the key was locked with")
	ErrOtherKey   = errors.New("sealed for another key, or damaged")
)

// Key is the private half of a safeguarding lead's key.
type Key struct{ private, public [32]byte }

// NewKey makes a key of randomness.
func NewKey() (*Key, error) {
	public, private, err := box.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return &Key{*private, *public}, nil
}

// Public is the half that names are sealed with. It is no secret.
func (k *Key) Public() [32]byte { return k.public }

// A locked key is three lines: keyHead, and in base64 the salt and what ChaCha20-Poly1305 made of the private half, under
// what scrypt (RFC 7914) makes of the passphrase and the salt.
const (
	keyHead  = "schoolgate safeguarding key 1"
	saltSize = 16
	scryptN  = 1 << 15 // 32 MiB and a tenth of a second for each guess
	scryptR  = 8
	scryptP  = 1
)

// Lock gives the key as a text that is of no use without the passphrase.
func (k *Key) Lock(passphrase []byte) ([]byte, error) {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails: it ends the program instead
	seal, err := cipherOf(passphrase, salt)
	if err != nil {
		return nil, err
	}
	locked := seal.Seal(nil, salt[:seal.NonceSize()], k.private[:], []byte(keyHead))
	enc := base64.StdEncoding.EncodeToString
	return fmt.Appendf(nil, "%s\n%s\n%s\n", keyHead, enc(salt), enc(locked)), nil
}

// Unlock reads what Lock gave.
func Unlock(text, passphrase []byte) (*Key, error) {
	lines := strings.Fields(string(bytes.TrimPrefix(text, []byte(keyHead))))
	if !bytes.HasPrefix(text, []byte(keyHead)) || len(lines) != 2 {
		return nil, ErrKeyFile
	}
	salt, err1 := base64.StdEncoding.DecodeString(lines[0])
	locked, err2 := base64.StdEncoding.DecodeString(lines[1])
	if err1 != nil || err2 != nil || len(salt) != saltSize {
		return nil, ErrKeyFile
	}
	open, err := cipherOf(passphrase, salt)
	if err != nil {
		return nil, err
	}
	private, err := open.Open(nil, salt[:open.NonceSize()], locked, []byte(keyHead))
	if err != nil || len(private) != 32 {
		return nil, ErrPassphrase
	}
	k := &Key{private: [32]byte(private)}
	public, err := curve25519.X25519(k.private[:], curve25519.Basepoint)
	if err != nil {
		return nil, ErrKeyFile
	}
	k.public = [32]byte(public)
	return k, nil
}

func cipherOf(passphrase, salt []byte) (cipher.AEAD, error) {
	key, err := scrypt.Key(passphrase, salt, scryptN, scryptR, scryptP, chacha20poly1305.KeySize)
	if err != nil {
		return nil, fmt.Errorf("making a key of the passphrase: %w", err)
	}
	return chacha20poly1305.New(key)
}
