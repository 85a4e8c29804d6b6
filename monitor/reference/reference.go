package reference

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"golang.org/x/crypto/nacl/box"
)

// Secret is what a reference holds.
type Secret struct {
	Name   string    `json:"name"`             // that was asked for
	Leads  bool      `json:"leads,omitempty"`  // it is not listed itself, but leads to what is
	Device string    `json:"device,omitempty"` // these three are in the row too: here nobody can change them
	List   string    `json:"list,omitempty"`
	At     time.Time `json:"at"`
}

// padding hides how long a name is: sealed references are of one size, but for names longer than most.
const padding = 256

// seal makes a reference that the key to public opens (X25519, XSalsa20, Poly1305: NaCl's anonymous box).
func seal(s Secret, public [32]byte) ([]byte, error) {
	text, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encoding a reference: %w", err)
	}
	for len(text)%padding != 0 {
		text = append(text, ' ')
	}
	defer clear(text)
	return box.SealAnonymous(nil, text, &public, rand.Reader)
}

// Open reads a reference.
func (k *Key) Open(sealed []byte) (Secret, error) {
	var s Secret
	text, ok := box.OpenAnonymous(nil, sealed, &k.public, &k.private)
	if !ok || json.Unmarshal(text, &s) != nil {
		return Secret{}, ErrOtherKey
	}
	return s, nil
}
