package config

import (
	"encoding/base64"
	"fmt"
	"os"
	"strings"
)

// IllegalURLs is what becomes of a host of which the illegal tier lists single pages, which DNS cannot see; in the file
// "pass" or "block".
type IllegalURLs uint8

// The ways.
const (
	IllegalURLsPass  IllegalURLs = iota // such questions are counted
	IllegalURLsBlock                    // the whole host is refused: more than is listed
)

var illegalURLsNames = [...]string{"pass", "block"}

func (u IllegalURLs) String() string { return word(u, illegalURLsNames[:]) }

// MarshalText writes String.
func (u IllegalURLs) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// UnmarshalText reads "pass" or "block".
func (u *IllegalURLs) UnmarshalText(text []byte) error {
	return readWord(u, text, illegalURLsNames[:])
}

// PublicKey is an X25519 key, in the file as base64. The zero value is none, in the file "".
type PublicKey [32]byte

// IsZero says whether there is no key.
func (p PublicKey) IsZero() bool { return p == PublicKey{} }

func (p PublicKey) String() string {
	if p.IsZero() {
		return ""
	}
	return base64.StdEncoding.EncodeToString(p[:])
}

// MarshalText writes String.
func (p PublicKey) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what String writes.
func (p *PublicKey) UnmarshalText(text []byte) error {
	*p = PublicKey{}
	if len(text) == 0 {
		return nil
	}
	b, err := base64.StdEncoding.DecodeString(string(text))
	if err != nil || len(b) != len(p) {
		return &syntaxError{"no public key", "write the line that schoolgate illegal key prints"}
	}
	copy(p[:], b)
	return nil
}

// Authorization reads the first line of AuthFile and gives the header that a server wants: Basic for user:password
// (RFC 7617), Bearer for anything else (RFC 6750). It is "" without a file. It is asked for each fetch and kept nowhere;
// its errors name the file and nothing in it.
func (l List) Authorization() (string, error) {
	if l.AuthFile == "" {
		return "", nil
	}
	if info, err := os.Stat(l.AuthFile); err == nil && info.Mode().Perm()&0o007 != 0 {
		return "", fmt.Errorf("reading auth_file: every user of this machine can reach %q", l.AuthFile)
	}
	secret, err := firstLine(l.AuthFile)
	if err != nil {
		return "", fmt.Errorf("reading auth_file: %w", err)
	}
	if strings.Contains(secret, ":") {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(secret)), nil
	}
	return "Bearer " + secret, nil
}

// maxIllegal is how many lists of the illegal tier can be told apart.
const maxIllegal = 16

// How long a list of the illegal tier may go without being looked at, and without being told of as too old.
const (
	maxIllegalEvery = Duration(7 * day)
	maxIllegalAge   = Duration(31 * day)
)

// illegal checks the table [illegal], and how many lists there are of that tier.
func (k *checker) illegal() {
	i := k.c.Illegal
	if i.Upstream != "" {
		k.label("illegal.upstream", i.Upstream)
	}
	switch {
	case i.Upstream != "" && i.Confirmed == (Date{}):
		k.refusef("illegal.confirmed", "ask them in writing, then write the day of the answer, such as confirmed = 2026-09-01", "an upstream that nobody has confirmed")
	case i.Upstream == "" && i.Confirmed != (Date{}):
		k.warnf("illegal.confirmed", "write upstream = …, or leave it out", "a day on which nobody confirmed anything")
	}
	n := 0
	for _, l := range k.c.Lists {
		if l.Category == IllegalTier {
			n++
		}
	}
	if n > maxIllegal {
		k.refusef("lists", "join some of them", "%d lists of the illegal tier: at most %d", n, maxIllegal)
	}
	if n > 0 && i.DSLKey.IsZero() {
		k.warnf("illegal.dsl_key", "schoolgate illegal key makes one for the safeguarding lead", "names that the illegal tier refuses are kept nowhere, not even for the safeguarding lead")
	}
}

// illegalURLs wants somebody's name under an over-block.
func (k *checker) illegalURLs(path string, g Group) {
	by, on := child(path, "illegal_urls_approved_by"), child(path, "illegal_urls_approved_on")
	approved := strings.TrimSpace(g.IllegalURLsApprovedBy) != "" && g.IllegalURLsApprovedOn != (Date{})
	switch {
	case g.IllegalURLs == IllegalURLsBlock && !approved:
		k.refusef(child(path, "illegal_urls"), `write illegal_urls_approved_by = "…" and illegal_urls_approved_on = 2026-09-01, or "pass"`, "whole hosts would be refused for single pages, and no safeguarding lead has approved that")
	case g.IllegalURLs == IllegalURLsBlock:
		k.label(by, g.IllegalURLsApprovedBy)
	case g.IllegalURLsApprovedBy != "" || g.IllegalURLsApprovedOn != (Date{}):
		k.warnf(on, `write illegal_urls = "block", or leave it out`, "an approval of nothing")
	}
}

// feed checks what is asked of a list of the illegal tier alone.
func (k *checker) feed(path string, l List) {
	if l.Format != FormatAuto && l.Format != FormatDomains {
		k.refusef(child(path, "format"), "leave it out", "a list of the illegal tier is one of names and addresses of pages, not %v", l.Format)
	}
	if len(l.Select) > 0 {
		k.refusef(child(path, "select"), "leave it out", "a list of the illegal tier is one file")
	}
	if l.Every > maxIllegalEvery {
		k.refusef(child(path, "every"), "leave it out: once a day", "a list of the illegal tier is looked at every %v at least", maxIllegalEvery)
	}
	if l.MaxAge > maxIllegalAge {
		k.refusef(child(path, "max_age"), "leave it out, or make it shorter", "that nobody has had a list of the illegal tier for %v is to be told of", maxIllegalAge)
	}
	for _, other := range []struct {
		key string
		set bool
	}{{"mirrors", len(l.Mirrors) > 0}, {"minisign_key", l.MinisignKey != ""}, {"accept", len(l.Accept) > 0}} {
		if other.set {
			k.refusef(child(path, other.key), "leave it out", "a list of the illegal tier comes from its licensor as it is")
		}
	}
}

// authFile warns rather than refuses what a person can mend without touching the configuration: a box that cannot fetch
// one list must go on filtering with the last good copy.
func (k *checker) authFile(path string, l List, remote bool) {
	if l.AuthFile == "" {
		return
	}
	path = child(path, "auth_file")
	if !remote {
		k.warnf(path, "leave it out", "nobody asks for a password to a file")
		return
	}
	if _, err := l.Authorization(); err != nil {
		k.warnf(path, "put a token, or user:password, on its first line; readable by the program and nobody else", "%v", err)
	}
}
