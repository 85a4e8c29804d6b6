package dnssec

import "schoolgate/resolver/wire"

// Status is what validation says of an answer (RFC 4033 section 5).
type Status uint8

// The statuses, from worst to best: an answer is as good as the worst of its parts.
const (
	Unjudged      Status = iota // not looked at: nothing to validate, an exempt name, or CD was asked for
	Indeterminate               // what is needed to judge could not be had
	Bogus                       // must be signed, and is not, or wrongly
	Insecure                    // proven to lie in a zone that is not signed, or not in a way that can be checked
	Secure                      // signed, up to the root
)

func (s Status) String() string {
	switch s {
	case Unjudged:
		return "unjudged"
	case Indeterminate:
		return "indeterminate"
	case Bogus:
		return "bogus"
	case Insecure:
		return "insecure"
	case Secure:
		return "secure"
	}
	return "unknown"
}

// Fault is why something is not secure.
type Fault struct {
	Code uint16 // extended DNS error (RFC 8914)
	Why  string // for a person
}

func fault(code uint16, why string) *Fault { return &Fault{code, why} }

// Verdict is what validation says of one answer. Code and Why are those of the part that decided, empty when it is Secure.
type Verdict struct {
	Status Status
	Code   uint16 // of Bogus and Indeterminate
	Why    string
}

// worst joins verdicts on parts of an answer.
func (v Verdict) worst(o Verdict) Verdict {
	if o.Status < v.Status {
		return o
	}
	return v
}

func secure() Verdict             { return Verdict{Status: Secure} }
func insecure(why string) Verdict { return Verdict{Status: Insecure, Why: why} }
func bogus(f *Fault) Verdict      { return Verdict{Status: Bogus, Code: f.Code, Why: f.Why} }

// stripped says whether the fault is that what DNSSEC needs is missing, as when something on the way leaves it out.
func (v Verdict) stripped() bool {
	switch v.Code {
	case wire.EDENoRRSIGs, wire.EDENoDNSKEY, wire.EDENoNSEC, wire.EDEIndeterminate:
		return v.Status != Secure && v.Status != Insecure
	}
	return false
}
