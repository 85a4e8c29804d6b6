package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"schoolgate/blocklist/domain"
)

// DNSSEC is how answers are validated.
type DNSSEC struct {
	Mode                 Validation    `toml:"mode"`
	NegativeTrustAnchors []Unvalidated `toml:"negative_trust_anchors"` // zones whose signatures are known to be broken (RFC 7646)
	Anchors              string        `toml:"anchors"`                // a file of the root's keys; "" is those built in
}

// Equal says whether both say the same.
func (d *DNSSEC) Equal(o *DNSSEC) bool {
	return d.Mode == o.Mode && d.Anchors == o.Anchors && slices.Equal(d.NegativeTrustAnchors, o.NegativeTrustAnchors)
}

// Validation is what becomes of answers that must be signed and are not, or wrongly: "off", "report" or "enforce".
type Validation uint8

// What can become of them.
const (
	ValidationEnforce Validation = iota // they are refused
	ValidationReport                    // they are counted, and passed
	ValidationOff                       // nothing is validated
)

var validationNames = [...]string{"enforce", "report", "off"}

// UnmarshalText reads what String writes.
func (v *Validation) UnmarshalText(text []byte) error { return readWord(v, text, validationNames[:]) }

// MarshalText writes String.
func (v Validation) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

func (v Validation) String() string { return word(v, validationNames[:]) }

// Unvalidated is a zone that is not validated, in the file "example.org until 2026-12-01", or a name alone.
type Unvalidated struct {
	Zone  domain.Name
	Until Date // inclusive; zero: for good
}

// UnmarshalText reads what String writes.
func (u *Unvalidated) UnmarshalText(text []byte) error {
	const hint = `write a name and the last day, such as "example.org until 2026-12-01"`
	f := strings.Fields(string(text))
	if len(f) != 1 && (len(f) != 3 || f[1] != "until") {
		return &syntaxError{fmt.Sprintf("%q is no zone to leave out", text), hint}
	}
	zone, err := domain.Parse(f[0])
	if err != nil || zone == "" {
		return &syntaxError{fmt.Sprintf("%q is no name of a zone", f[0]), hint}
	}
	out := Unvalidated{Zone: zone}
	if len(f) == 3 {
		if err := out.Until.UnmarshalText([]byte(f[2])); err != nil {
			return err
		}
	}
	*u = out
	return nil
}

// MarshalText writes String.
func (u Unvalidated) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

func (u Unvalidated) String() string {
	if u.Until == (Date{}) {
		return u.Zone.String()
	}
	return u.Zone.String() + " until " + u.Until.String()
}

// End is when the zone is validated again, zero for never.
func (u Unvalidated) End(loc *time.Location) time.Time {
	if u.Until == (Date{}) {
		return time.Time{}
	}
	return u.Until.Start(loc).AddDate(0, 0, 1)
}

// maxUnvalidated is far more than a school has time to look after.
const maxUnvalidated = 100

func (k *checker) dnssec() {
	d := k.c.DNSSEC
	if d.Anchors != "" {
		if why := unreadable(d.Anchors); why != "" {
			k.warnf("dnssec.anchors", "put the file there, or leave it out to trust the keys built in", "%q %s: the root's keys built in are trusted", d.Anchors, why)
		}
	}
	zones := make([]string, len(d.NegativeTrustAnchors))
	for i, u := range d.NegativeTrustAnchors {
		zones[i] = string(u.Zone)
		if u.Until == (Date{}) {
			k.warnf(element("dnssec.negative_trust_anchors", i), fmt.Sprintf(`write "%v until" and a date within a week or so, by when its owner will have put it right`, u.Zone),
				"answers of %v are never validated", u.Zone)
		}
	}
	distinct("dnssec.negative_trust_anchors", zones, func(path string, first int) {
		k.refusef(path, "leave one of the two out", "%v is here already", d.NegativeTrustAnchors[first])
	})
}
