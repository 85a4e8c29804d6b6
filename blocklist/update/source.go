package update

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"schoolgate/blocklist/parse"
	"schoolgate/config"
)

const (
	defaultEvery  = 24 * time.Hour
	maxDirEntries = 20_000 // twice the files of a directory used as a source
)

// remote says whether a source is fetched over HTTP rather than read from a path.
func remote(source string) bool {
	scheme, _, found := strings.Cut(source, "://")
	return found && (strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https"))
}

// display is a source as people may see it: an address without credentials, query and fragment, a path unchanged.
func display(source string) string {
	if !remote(source) {
		return source
	}
	u, err := url.Parse(source)
	if err != nil {
		scheme, _, _ := strings.Cut(source, "://")
		return strings.ToLower(scheme) + "://?"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawPath: u.RawPath}).String()
}

// sameServer says whether two addresses are of one server, asked in one way.
func sameServer(a, b string) bool {
	u, err := url.Parse(a)
	v, err2 := url.Parse(b)
	return err == nil && err2 == nil && u.Scheme == v.Scheme && u.Host == v.Host
}

// scrub gives err unless its text holds something of the source that people must not see. The errors of net/http
// carry addresses; net/url masks passwords only.
func scrub(source string, err error) error {
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	}
	u, bad := url.Parse(source)
	if bad != nil {
		return ErrAddress
	}
	password, _ := u.User.Password()
	text := err.Error()
	for _, secret := range []string{u.User.Username(), password, u.User.String(), u.RawQuery, u.Fragment} {
		if secret != "" && strings.Contains(text, secret) {
			return errors.New("the request did not succeed (details withheld: they name credentials)")
		}
	}
	if strings.Contains(text, "Location header") { // net/http quotes the header, which may hold a signed address
		return &RedirectError{Reason: "its target is not a usable address"}
	}
	return err
}

// identity tells sources apart without holding their credentials. A pinned digest and the key of a maker are part of it:
// another pin asks for another source.
func identity(l config.List) string {
	parts := []string{"source", l.Source, strings.ToLower(l.SHA256)}
	if l.MinisignKey != "" {
		parts = append(parts, l.MinisignKey)
	}
	return digest(parts...)[:16]
}

// addressID tells the source of a list from its mirrors without holding their credentials.
func addressID(address string) string { return digest("address", address)[:16] }

// reading tells apart the ways in which the same bytes are read.
func reading(l config.List) string {
	parts := append([]string{fmt.Sprint(uint8(l.Format))}, l.Select...)
	if len(l.Accept) > 0 {
		parts = append(parts, fmt.Sprint(l.Accept))
	}
	return digest(parts...)[:16]
}

// judgedBy tells apart the limits by which a version has to wait for a person.
func judgedBy(l config.List) string { return digest(reading(l), fmt.Sprint(l.MaxConflicts))[:16] }

// digest is the SHA-256 of the parts, their borders included.
func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func every(l config.List) time.Duration {
	if l.Every <= 0 {
		return defaultEvery
	}
	return l.Every.Std()
}

func maxSize(l config.List) int64 {
	if l.MaxSize <= 0 {
		return parse.DefaultMaxSize
	}
	return int64(l.MaxSize)
}

// errDirectory is a directory that is there, and yet no source.
var errDirectory = errors.New("a directory that cannot be read whole, or with too many files")

// unreadable says why the fingerprint of a local source is that of a missing one.
func unreadable(path string) error {
	_, err := os.Stat(path)
	return fmt.Errorf("reading the source: %w", cmp.Or(err, errDirectory))
}

// mark is fingerprint for a local list, its signature included.
func mark(l config.List) (string, kind) {
	m, is := fingerprint(l.Source)
	if l.MinisignKey == "" {
		return m, is
	}
	s, _ := fingerprint(signatureOf(l, l.Source))
	return digest(m, s), is
}

// limit gives the value of a limit of a list, the default for none.
func limit(set, otherwise int) int64 {
	if set <= 0 {
		return int64(otherwise)
	}
	return int64(set)
}

// maxAge is how long after the last look that went well a list counts as stale.
func maxAge(l config.List) time.Duration {
	if l.MaxAge <= 0 {
		return 2 * every(l)
	}
	return l.MaxAge.Std()
}

// kind is what a local source is.
type kind uint8

const (
	missing kind = iota // or unreadable
	regular
	directory
)

// fingerprint changes when a local source does, or is another one: its path, and size and modification time of the file
// or of every file below the directory. It reads no content.
func fingerprint(path string) (mark string, is kind) {
	st, err := os.Stat(path)
	switch {
	case err != nil:
		return digest(path, "missing"), missing
	case !st.IsDir():
		return digest(path, fmt.Sprint(st.Size(), st.ModTime().UnixNano())), regular
	}
	parts := []string{path}
	err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case len(parts) > maxDirEntries:
			return fmt.Errorf("more than %d files", maxDirEntries)
		case d.IsDir():
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		parts = append(parts, p, fmt.Sprint(info.Size(), info.ModTime().UnixNano()))
		return nil
	})
	if err != nil {
		return digest(path, "missing"), missing
	}
	return digest(parts...), directory
}
