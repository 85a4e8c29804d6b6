// Package domain holds DNS names in one canonical form: lower case, A-labels, no final dot; as text and as wire bytes.
package domain

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// Limits of RFC 1035 section 2.3.4, in bytes of wire form.
const (
	MaxLabel  = 63
	MaxWire   = 255 // a whole name, root label included
	MaxLabels = 127 // labels that fit into MaxWire, root excluded
)

// Name is a domain name in canonical text: lower case, internationalised labels as A-labels (RFC 5890), labels
// joined by dots, no final dot. The zero value "" is the root. Bytes that are no letter, digit, hyphen or underscore
// stand as \DDD (RFC 1035 section 5.1), so every wire name has exactly one Name.
type Name string

// Errors that Parse wraps; the text around them says which label or character.
var (
	ErrEmptyLabel = errors.New("empty label")
	ErrLongLabel  = errors.New("label longer than 63 characters")
	ErrLongName   = errors.New("name longer than 253 characters")
	ErrCharacter  = errors.New("character that no host name has")
	ErrHyphen     = errors.New("label begins or ends with a hyphen")
)

// maxText is more bytes than any name has before its characters are mapped.
const maxText = 16 * MaxWire

// lookup maps as browsers do (UTS 46, non-transitional) but leaves underscores and length to Parse.
var lookup = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false))

// Parse reads a host name as people and lists write it: any case, internationalised or not, with or without a final
// dot. Letters, digits, hyphens and underscores only: a name that came off the wire is read by Wire instead.
func Parse(s string) (Name, error) {
	if !isASCII(s) {
		if len(s) > maxText {
			return "", ErrLongName
		}
		a, err := lookup.ToASCII(s)
		if err != nil {
			return "", fmt.Errorf("international name %q: %w", s, err)
		}
		s = a
	} else if hasUpper(s) {
		s = strings.ToLower(s)
	}
	if s == "." {
		return "", nil
	}
	s = strings.TrimSuffix(s, ".") // only now: the full stops of other scripts are dots too
	if len(s) > MaxWire-2 {
		return "", ErrLongName
	}
	start := 0
	for i := 0; i <= len(s); i++ {
		if i < len(s) && s[i] != '.' {
			if !hostByte(s[i]) {
				return "", fmt.Errorf("%w: %q", ErrCharacter, s[i])
			}
			continue
		}
		label := s[start:i]
		switch {
		case label == "":
			return "", ErrEmptyLabel
		case len(label) > MaxLabel:
			return "", ErrLongLabel
		case label[0] == '-' || label[len(label)-1] == '-':
			return "", ErrHyphen
		}
		start = i + 1
	}
	return Name(s), nil
}

// MustParse is Parse for names written in the source; it panics on a name that is none.
func MustParse(s string) Name {
	n, err := Parse(s)
	if err != nil {
		panic(fmt.Sprintf("domain.MustParse(%q): %v", s, err))
	}
	return n
}

func hostByte(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func hasUpper(s string) bool {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			return true
		}
	}
	return false
}

// String gives the name as text, the root as ".".
func (n Name) String() string {
	if n == "" {
		return "."
	}
	return string(n)
}

// Parent is the name without its leftmost label; ok is false at the root.
func (n Name) Parent() (parent Name, ok bool) {
	if n == "" {
		return "", false
	}
	if i := strings.IndexByte(string(n), '.'); i >= 0 {
		return n[i+1:], true
	}
	return "", true
}

// Within says whether n is zone or lies below it, on a label border: notbad.com is not within bad.com.
func (n Name) Within(zone Name) bool {
	if zone == "" || n == zone {
		return true
	}
	return len(n) > len(zone) && strings.HasSuffix(string(n), string(zone)) && n[len(n)-len(zone)-1] == '.'
}

// IsPublicSuffix says whether n is a name under which others register (com, co.uk, sch.uk), by the list built into
// golang.org/x/net/publicsuffix. Blocking such a name would block every site below it. Private suffixes of hosting
// companies (blogspot.com) do not count.
func (n Name) IsPublicSuffix() bool {
	if n == "" {
		return true
	}
	// Asked of a name below it, since the list knows sch.uk only by its rule *.sch.uk, under which every child is a suffix.
	suffix, icann := publicsuffix.PublicSuffix("x." + string(n))
	return len(suffix) >= len(n) && (icann || !strings.Contains(string(n), "."))
}

// IsPublic says whether the Internet has the top-level domain of n, by the same list. "printer.lan" and "nas" mean something
// in one network alone.
func (n Name) IsPublic() bool {
	suffix, icann := publicsuffix.PublicSuffix(string(n))
	return n != "" && (icann || strings.Contains(suffix, "."))
}

// Site is the name that people register and speak of: the public suffix and one label (bbc.co.uk for
// www.news.bbc.co.uk). For a public suffix, an unregistrable name or the root it is the name itself.
func (n Name) Site() Name {
	site, err := publicsuffix.EffectiveTLDPlusOne(string(n))
	if err != nil {
		return n
	}
	return Name(site)
}
