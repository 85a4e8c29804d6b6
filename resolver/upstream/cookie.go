package upstream

import (
	"bytes"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"schoolgate/resolver/wire"
)

// Bounds of what is believed of a server's cookies.
const (
	cookieLife  = 24 * time.Hour // of our part: it must not tell for ever who asks (RFC 9018 section 3)
	mostBare    = 16             // replies without a cookie, after which a server that never gave one gets no more
	mostCookie  = 32
	leastCookie = 8 // of the server's part
)

var (
	errNoCookie  = errors.New("reply without the cookie that this server gives")
	errBadCookie = errors.New("the server wants another cookie, or none")
)

// cookies are what a server and we know each other by over plain DNS (RFC 7873). Our part comes back with each reply of a
// server that speaks of cookies, which adds 64 bits to what a forger must guess; its part shows it that we have our address.
// What else stands between may choke on them, so a server that seems to is asked without. The zero value is ready; nil has
// none.
type cookies struct {
	mu     sync.Mutex // guards what follows
	client [wire.ClientCookie]byte
	made   time.Time
	server []byte // what it gave last; nil for nothing yet
	bare   int
	off    bool
}

// add adds the cookie to a message that ends in an OPT record without options.
func (c *cookies) add(msg []byte, now time.Time) []byte {
	if c == nil {
		return msg
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.off {
		return msg
	}
	if c.made.IsZero() || now.Sub(c.made) >= cookieLife {
		_, _ = rand.Read(c.client[:]) // never fails, by its documentation
		c.made, c.server, c.bare = now, nil, 0
	}
	var all [wire.ClientCookie + mostCookie]byte
	n := copy(all[:], c.client[:])
	n += copy(all[n:], c.server)
	return wire.AppendCookie(msg, len(msg)-optSize, all[:n])
}

// judge looks for the cookie in the reply to a message of q, and learns from it. It is errAlien when the reply is not of
// whoever was asked.
func (c *cookies) judge(q *question, reply, sent []byte) error {
	if c == nil || len(sent) == len(q.msg) {
		return nil
	}
	ours, got := wire.CookieOf(sent, q.end), wire.CookieOf(reply, q.end)
	const rcode, badCookie = 0x0f, 0x0f & wire.BadCookie // the upper bits are in the OPT record, where no other code has these lower ones in a reply
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case len(got) >= wire.ClientCookie && !bytes.Equal(got[:wire.ClientCookie], ours[:wire.ClientCookie]):
		return errAlien
	case len(got) >= wire.ClientCookie+leastCookie && len(got) <= wire.ClientCookie+mostCookie:
		if bytes.Equal(ours[:wire.ClientCookie], c.client[:]) {
			c.server = append(c.server[:0], got[wire.ClientCookie:]...)
		}
		if uint16(reply[3]&rcode) == badCookie {
			return errBadCookie
		}
		return nil
	case c.server != nil:
		return errNoCookie
	case uint16(reply[3]&rcode) == wire.FormErr:
		c.off = true
		return errBadCookie
	}
	if c.bare++; c.bare >= mostBare {
		c.off = true
	}
	return nil
}

// forget has the server be one that gives none.
func (c *cookies) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.server = nil
}

// pause has none sent to a server that did not reply and never gave one; again says that this did not help.
func (c *cookies) pause() (again func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.off || c.server != nil {
		return func() {}
	}
	c.off = true
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.off = false
	}
}
