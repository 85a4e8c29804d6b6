package config

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
)

// Size is a number of bytes written as "8 MB" (a power of 1024) in the file.
type Size int64

var sizeUnits = [...]struct {
	name  string
	bytes Size
}{{"GB", 1 << 30}, {"MB", 1 << 20}, {"KB", 1 << 10}, {"B", 1}}

// UnmarshalText reads a whole number and B, KB, MB or GB (also KiB and so on, the same here), in any case.
func (s *Size) UnmarshalText(text []byte) error {
	str := strings.ReplaceAll(strings.ToUpper(strings.TrimSpace(string(text))), "IB", "B")
	for _, u := range sizeUnits {
		digits, found := strings.CutSuffix(str, u.name)
		if !found {
			continue
		}
		n, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 63)
		if err != nil || Size(n) > math.MaxInt64/u.bytes {
			break
		}
		*s = Size(n) * u.bytes
		return nil
	}
	return &syntaxError{fmt.Sprintf("%q is no size", text), `write a whole number and KB, MB or GB, such as "8 MB"`}
}

// MarshalText writes String.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s Size) String() string {
	for _, u := range sizeUnits {
		if s >= u.bytes && s%u.bytes == 0 {
			return fmt.Sprintf("%d %s", s/u.bytes, u.name)
		}
	}
	return fmt.Sprintf("%d B", int64(s))
}

// AnswerKind is the shape of a blocked answer; in the file "nxdomain", "zero", "page" or "page 192.0.2.1 [2001:db8::1]".
type AnswerKind uint8

// The kinds of blocked answer.
const (
	AnswerNXDOMAIN AnswerKind = iota
	AnswerZero                // 0.0.0.0 and ::
	AnswerPage                // the addresses of a block page, the box's own or another
)

var answerNames = [...]string{"nxdomain", "zero", "page"}

func (k AnswerKind) String() string { return word(k, answerNames[:]) }

// UnmarshalText reads "nxdomain", "zero", "page", or "page" with an IPv4 address and, if wanted, an IPv6 address.
func (a *Answer) UnmarshalText(text []byte) error {
	fields := strings.Fields(string(text))
	if len(fields) == 0 {
		fields = []string{""}
	}
	hint := `write "nxdomain", "zero", "page" for the box's own block page, or the addresses of another, such as "page 192.0.2.1 2001:db8::1"`
	bad := &syntaxError{fmt.Sprintf("%q is no answer", text), suggest(fields[0], answerNames[:], hint)}
	switch {
	case len(fields) == 1 && fields[0] == "nxdomain":
		*a = Answer{Kind: AnswerNXDOMAIN}
		return nil
	case len(fields) == 1 && fields[0] == "zero":
		*a = Answer{Kind: AnswerZero}
		return nil
	case fields[0] != "page" || len(fields) > 3:
		return bad
	}
	out := Answer{Kind: AnswerPage}
	for _, f := range fields[1:] {
		addr, err := netip.ParseAddr(f)
		switch {
		case err != nil || addr.Zone() != "" || addr.Is4In6():
			return &syntaxError{fmt.Sprintf("%q is no address for a block page", f), hint}
		case addr.Is4() && !out.V4.IsValid():
			out.V4 = addr
		case addr.Is6() && !out.V6.IsValid():
			out.V6 = addr
		default:
			return &syntaxError{fmt.Sprintf("%q gives two addresses of one kind", text), hint}
		}
	}
	if len(fields) > 1 && !out.V4.IsValid() {
		return &syntaxError{"a block page needs an IPv4 address", hint}
	}
	*a = out
	return nil
}

// MarshalText writes String.
func (a Answer) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

func (a Answer) String() string {
	s := a.Kind.String()
	if a.Kind == AnswerPage {
		for _, addr := range []netip.Addr{a.V4, a.V6} {
			if addr.IsValid() {
				s += " " + addr.String()
			}
		}
	}
	return s
}

// YouTube is how restricted YouTube is: "off", "moderate", "strict" or "blocked".
type YouTube uint8

// The restrictions of YouTube.
const (
	YouTubeOff YouTube = iota
	YouTubeModerate
	YouTubeStrict
	YouTubeBlocked // refused: pages, apps, embedded players and streams
)

var youTubeNames = [...]string{"off", "moderate", "strict", "blocked"}

// UnmarshalText reads what String writes.
func (y *YouTube) UnmarshalText(text []byte) error { return readWord(y, text, youTubeNames[:]) }

// MarshalText writes String.
func (y YouTube) MarshalText() ([]byte, error) { return []byte(y.String()), nil }

func (y YouTube) String() string { return word(y, youTubeNames[:]) }

// ECH is what becomes of keys for an encrypted client hello (RFC 9848): "keep" or "strip".
type ECH uint8

// What can become of them.
const (
	ECHKeep ECH = iota
	ECHStrip
)

var echNames = [...]string{"keep", "strip"}

// UnmarshalText reads what String writes.
func (e *ECH) UnmarshalText(text []byte) error { return readWord(e, text, echNames[:]) }

// MarshalText writes String.
func (e ECH) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

func (e ECH) String() string { return word(e, echNames[:]) }

// Lookalikes is what becomes of names that look like well-known blocked ones: "flag", "block" or "off".
type Lookalikes uint8

// What can become of them.
const (
	LookalikesFlag  Lookalikes = iota // answered, and shown to people
	LookalikesBlock                   // refused to a group that blocks the category of what they look like
	LookalikesOff
)

var lookalikesNames = [...]string{"flag", "block", "off"}

// UnmarshalText reads what String writes.
func (l *Lookalikes) UnmarshalText(text []byte) error { return readWord(l, text, lookalikesNames[:]) }

// MarshalText writes String.
func (l Lookalikes) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

func (l Lookalikes) String() string { return word(l, lookalikesNames[:]) }

// TLSMode is how mail is encrypted: "starttls", "tls" or "none" (accepted for loopback addresses only).
type TLSMode uint8

// The modes.
const (
	TLSStartTLS TLSMode = iota
	TLSImplicit
	TLSNone
)

var tlsModeNames = [...]string{"starttls", "tls", "none"}

// UnmarshalText reads what String writes.
func (m *TLSMode) UnmarshalText(text []byte) error { return readWord(m, text, tlsModeNames[:]) }

// MarshalText writes String.
func (m TLSMode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

func (m TLSMode) String() string { return word(m, tlsModeNames[:]) }

// Format is the syntax of a list.
type Format uint8

// The formats; in the file "auto", "hosts", "domains", "wildcard", "adblock", "dnsmasq", "unbound", "rpz", "ut1".
const (
	FormatAuto Format = iota // told from the content, line by line
	FormatHosts
	FormatDomains
	FormatWildcard
	FormatAdblock
	FormatDnsmasq
	FormatUnbound
	FormatRPZ
	FormatUT1 // a directory, tar or tar.gz of directories with files domains and usage
)

var formatNames = [...]string{"auto", "hosts", "domains", "wildcard", "adblock", "dnsmasq", "unbound", "rpz", "ut1"}

// UnmarshalText reads what String writes.
func (f *Format) UnmarshalText(text []byte) error { return readWord(f, text, formatNames[:]) }

// MarshalText writes String.
func (f Format) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

func (f Format) String() string { return word(f, formatNames[:]) }

func word[T ~uint8](v T, names []string) string {
	if int(v) < len(names) {
		return names[v]
	}
	return "unknown"
}

func readWord[T ~uint8](v *T, text []byte, names []string) error {
	for i, name := range names {
		if name == string(text) {
			*v = T(i)
			return nil
		}
	}
	return &syntaxError{
		fmt.Sprintf("%q is none of the words for this", text),
		suggest(string(text), names, `write one of "`+strings.Join(names, `", "`)+`"`),
	}
}
