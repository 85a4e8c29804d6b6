package sealed

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"schoolgate/blocklist/domain"
)

// KeySize is how many bytes a key has.
const KeySize = 32

// ErrKey is a key file that holds no key.
var ErrKey = errors.New("the file holds no key of the illegal tier")

// Key is the secret of one box under which names are hashed. Its zero value is no key. It is immutable.
type Key struct {
	secret [KeySize]byte
	quick  [16]byte // for telling most names from those that may be held
	names  [16]byte // for names
	pages  [16]byte // for addresses of pages
	id     [8]byte
}

// NewKey makes a key of randomness.
func NewKey() *Key {
	var secret [KeySize]byte
	_, _ = rand.Read(secret[:]) // never fails: it ends the program instead
	return keyOf(secret)
}

func keyOf(secret [KeySize]byte) *Key {
	k := &Key{secret: secret}
	copy(k.quick[:], k.derive("quick"))
	copy(k.names[:], k.derive("names"))
	copy(k.pages[:], k.derive("pages"))
	copy(k.id[:], k.derive("id"))
	return k
}

// ReadKey reads the file that WriteFile wrote.
func ReadKey(path string) (*Key, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var secret [KeySize]byte
	b, err := io.ReadAll(io.LimitReader(f, KeySize+1))
	if err != nil {
		return nil, err
	}
	if copy(secret[:], b) != KeySize || len(b) != KeySize || secret == [KeySize]byte{} {
		return nil, ErrKey
	}
	return keyOf(secret), nil
}

// WriteFile writes the key to a new file that its owner alone can read. It is on the disk when WriteFile returns.
func (k *Key) WriteFile(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(k.secret[:])
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing the key: %w", errors.Join(err, os.Remove(path)))
	}
	return nil
}

// Canary is the name that every sealed list of this key holds besides its own: asking the resolver for it proves that
// what was sealed is enforced. It lies below a name that never leaves the box (RFC 6761), and nobody without the key
// knows it.
func (k *Key) Canary() domain.Name {
	label := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(k.derive("canary")[:20])
	return domain.Name(strings.ToLower(label) + ".canary.invalid")
}

// Fingerprint tells versions of a feed apart without telling what is in them.
func (k *Key) Fingerprint(feed []byte) string {
	m := hmac.New(sha256.New, k.secret[:])
	m.Write([]byte("feed\x00"))
	m.Write(feed)
	return fmt.Sprintf("%x", m.Sum(nil)[:16])
}

// derive makes a value for one purpose.
func (k *Key) derive(purpose string) []byte {
	m := hmac.New(sha256.New, k.secret[:])
	m.Write([]byte(purpose))
	return m.Sum(nil)
}
