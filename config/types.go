package config

import (
	"net/netip"
	"time"
)

// Duration is a time.Duration written as "10m" or "150d" in the file.
type Duration time.Duration

// Std gives the standard library's type.
func (d Duration) Std() time.Duration { return time.Duration(d) }

// Size is a number of bytes written as "8 MB" (a power of 1024) in the file.
type Size int64

// Date is a calendar day.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// TimeOfDay is minutes after midnight, 0 to 1439, written as "08:30" in the file.
type TimeOfDay int

// Weekday is a time.Weekday written as "monday" or "mon" in the file.
type Weekday time.Weekday

// MAC is a 48-bit hardware address; the zero value means none.
type MAC [6]byte

// Client selects devices: by hardware address, or by address prefix (a single address is a whole-length prefix).
type Client struct {
	MAC    MAC
	Prefix netip.Prefix
}

// AnswerKind is the shape of a blocked answer; in the file "nxdomain", "zero" or "page 192.0.2.1 [2001:db8::1]".
type AnswerKind uint8

// The kinds of blocked answer.
const (
	AnswerNXDOMAIN AnswerKind = iota
	AnswerZero                // 0.0.0.0 and ::
	AnswerPage                // the addresses of a block page
)

// YouTube is how restricted YouTube is: "off", "moderate" or "strict".
type YouTube uint8

// The restrictions of YouTube.
const (
	YouTubeOff YouTube = iota
	YouTubeModerate
	YouTubeStrict
)

// Server is one upstream: "192.0.2.1", "udp://192.0.2.1:53" or "tls://192.0.2.1:853#name.of.certificate" in the file.
type Server struct {
	Kind ServerKind
	Addr netip.AddrPort
	Name string // ServerTLS: the name its certificate must be for
}

// ServerKind is the transport to an upstream.
type ServerKind uint8

// The kinds of upstream.
const (
	ServerUDP ServerKind = iota // TCP when the answer does not fit
	ServerTLS                   // DNS over TLS (RFC 7858), certificate checked
)

// TLSMode is how mail is encrypted: "starttls", "tls" or "none" (accepted for loopback addresses only).
type TLSMode uint8

// The modes.
const (
	TLSStartTLS TLSMode = iota
	TLSImplicit
	TLSNone
)

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
