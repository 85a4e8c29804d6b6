// Package cookie makes and judges DNS cookies (RFC 7873), by which a client shows that it has the address it asks from.
package cookie

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"schoolgate/resolver/wire"
)

const (
	version = 1
	size    = 16 // of the server's part: version, three reserved bytes, time, hash (RFC 9018 section 4)

	// Seconds (RFC 9018 section 4.3).
	longest = 60 * 60 // for which a cookie is good
	ahead   = 5 * 60  // that its time may be in the future
	renewal = 30 * 60 // after which the client gets a new one

	// secretLife is within what RFC 7873 section 7.1 asks for (26 hours). Cookies of the secret before are good until they
	// are too old.
	secretLife = 24 * time.Hour
)

// secret is a key of the hash.
type secret [2]uint64

// secrets are those in use.
type secrets struct {
	now, before secret
	since       time.Time
}

// Jar makes cookies for clients and tells whether one that comes back is its own. Its secret is its own, made with it and
// anew every day, and written nowhere: after a restart clients get new cookies with their first answers, and nothing is
// refused for want of one that is still good. A Jar may be used from many goroutines at once.
type Jar struct {
	secrets atomic.Pointer[secrets]
	mu      sync.Mutex // guards making a new secret
}

// NewJar makes a jar with a secret that is in use from start on.
func NewJar(start time.Time) *Jar {
	j := new(Jar)
	s := &secrets{now: newSecret(), since: start}
	s.before = s.now
	j.secrets.Store(s)
	return j
}

func newSecret() secret {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, by its documentation
	return secretOf(b)
}

func secretOf(b [16]byte) secret {
	return secret{binary.LittleEndian.Uint64(b[:8]), binary.LittleEndian.Uint64(b[8:])}
}

// Judge says whether the cookie shows that its client has the address: it was made here, for this address, within the last
// hour. It makes c what the reply is to carry, the same cookie or a new one. It does not allocate.
func (j *Jar) Judge(c *wire.Cookie, client netip.Addr, now time.Time) (proven bool) {
	if c.Len == 0 {
		return false
	}
	s := j.secrets.Load()
	if now.Sub(s.since) >= secretLife {
		s = j.renew(now)
	}
	seconds := uint32(now.Unix())
	c.Ours = true
	if part := c.Data[wire.ClientCookie:c.Len]; len(part) == size && part[0] == version {
		age := int32(seconds - binary.BigEndian.Uint32(part[4:])) // serial numbers: the clock may pass 2106
		if age <= longest && age >= -ahead {
			if s.now.made(c, client) {
				if age > renewal {
					s.now.make(c, client, seconds)
				}
				return true
			}
			proven = s.before.made(c, client)
		}
	}
	s.now.make(c, client, seconds)
	return proven
}

// renew makes the secret in use the one before.
func (j *Jar) renew(now time.Time) *secrets {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.secrets.Load()
	if now.Sub(s.since) >= secretLife { // nobody else did meanwhile
		s = &secrets{now: newSecret(), before: s.now, since: now}
		j.secrets.Store(s)
	}
	return s
}

// make makes the server's part of the cookie.
func (s *secret) make(c *wire.Cookie, client netip.Addr, seconds uint32) {
	c.Len = wire.ClientCookie + size
	part := c.Data[wire.ClientCookie:c.Len]
	part[0], part[1], part[2], part[3] = version, 0, 0, 0
	binary.BigEndian.PutUint32(part[4:], seconds)
	h := s.hash(c, client)
	copy(part[8:], h[:])
}

// made says whether the hash of the cookie is of this secret.
func (s *secret) made(c *wire.Cookie, client netip.Addr) bool {
	h := s.hash(c, client)
	return subtle.ConstantTimeCompare(h[:], c.Data[wire.ClientCookie+8:wire.ClientCookie+size]) == 1
}

// hash is over all of the cookie before it, and the client's address.
func (s *secret) hash(c *wire.Cookie, client netip.Addr) (h [8]byte) {
	var in [wire.ClientCookie + 8 + 16]byte
	n := copy(in[:], c.Data[:wire.ClientCookie+8])
	if client.Is4() {
		a := client.As4()
		n += copy(in[n:], a[:])
	} else {
		a := client.As16()
		n += copy(in[n:], a[:])
	}
	binary.LittleEndian.PutUint64(h[:], s.sip(in[:n]))
	return h
}
