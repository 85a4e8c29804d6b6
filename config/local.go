package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"schoolgate/blocklist/domain"
)

// Local is the names of this network, which are answered here and asked of nobody.
type Local struct {
	Domain  domain.Name `toml:"domain"`  // what local names end in; nothing below it is asked of an upstream
	Name    domain.Name `toml:"name"`    // of this box: on whichever of its addresses it is asked
	Devices bool        `toml:"devices"` // devices with an ip have names below Domain
	Records []Record    `toml:"records"`
}

// Record is what is answered for one name. With a record here, nothing of the name is asked of an upstream.
type Record struct {
	Name        domain.Name  `toml:"name"`
	Addresses   []netip.Addr `toml:"addresses"`
	CNAME       domain.Name  `toml:"cname"` // alone
	TXT         []string     `toml:"txt"`
	MX          []MX         `toml:"mx"`
	SRV         []SRV        `toml:"srv"`
	PTR         domain.Name  `toml:"ptr"`
	TTL         Duration     `toml:"ttl"`
	Below       bool         `toml:"below"`       // for all names below it too that have no record of their own
	Fallthrough bool         `toml:"fallthrough"` // types that it does not have are asked of an upstream
	Groups      []string     `toml:"groups"`      // for whom it holds; none: for everyone whom no other record of the name is for
}

// DefaultTTL is that of a Record that says nothing else.
const DefaultTTL = Duration(5 * time.Minute)

func (r *Record) setDefaults() { r.TTL = DefaultTTL }

func (*Record) required() []string { return []string{"name"} }

// MX is a mail server: "10 mail.example.org" in the file.
type MX struct {
	Preference uint16
	Host       domain.Name
}

// UnmarshalText reads a number and a name.
func (m *MX) UnmarshalText(text []byte) error {
	numbers, host, ok := numbered(string(text), 1)
	if !ok {
		return &syntaxError{fmt.Sprintf("%q is no mail server", text), `write a number and a name, such as "10 mail.example.org"`}
	}
	*m = MX{numbers[0], host}
	return nil
}

// MarshalText writes String.
func (m MX) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

func (m MX) String() string { return fmt.Sprintf("%d %s", m.Preference, m.Host) }

// SRV is where a service is: "0 5 631 printer.example.org" in the file.
type SRV struct {
	Priority, Weight, Port uint16
	Host                   domain.Name
}

// UnmarshalText reads priority, weight, port and a name.
func (s *SRV) UnmarshalText(text []byte) error {
	numbers, host, ok := numbered(string(text), 3)
	if !ok {
		return &syntaxError{fmt.Sprintf("%q is no place of a service", text), `write priority, weight, port and a name, such as "0 5 631 printer.example.org"`}
	}
	*s = SRV{numbers[0], numbers[1], numbers[2], host}
	return nil
}

// MarshalText writes String.
func (s SRV) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (s SRV) String() string { return fmt.Sprintf("%d %d %d %s", s.Priority, s.Weight, s.Port, s.Host) }

// numbered reads n numbers and a name.
func numbered(text string, n int) (numbers []uint16, host domain.Name, ok bool) {
	fields := strings.Fields(text)
	if len(fields) != n+1 {
		return nil, "", false
	}
	for _, f := range fields[:n] {
		v, err := strconv.ParseUint(f, 10, 16)
		if err != nil {
			return nil, "", false
		}
		numbers = append(numbers, uint16(v))
	}
	host, err := domain.Parse(fields[n])
	return numbers, host, err == nil && host != ""
}

// HostName is the name of a device below Local.Domain: its own in lower case, with a hyphen for everything between letters
// and digits. ok is false when nothing is left.
func (l *Local) HostName(d *Device) (name domain.Name, ok bool) {
	var b strings.Builder
	for _, r := range strings.ToLower(d.Name) {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			b.WriteRune(r)
		case r == '\'' || r == '’':
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	label := strings.Trim(b.String(), "-")
	if label == "" || len(label) > domain.MaxLabel {
		return "", false
	}
	name, err := domain.Parse(label + "." + string(l.Domain))
	return name, err == nil
}
