package upstream

import (
	"strings"
	"unicode"
)

// Error says that no server gave any reply, and what went wrong with each. It never holds the name that was asked for.
type Error struct {
	Causes []Cause // in the order in which the servers failed
}

// Cause is why one server gave no reply.
type Cause struct {
	Server string // its address, as in the configuration file
	Err    error
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("asking upstream")
	for i, c := range e.Causes {
		if i == 0 {
			b.WriteString(": ")
		} else {
			b.WriteString("; ")
		}
		b.WriteString(c.Server + ": " + c.Err.Error())
	}
	return b.String()
}

// Unwrap gives the servers' errors to errors.Is and errors.As.
func (e *Error) Unwrap() []error {
	errs := make([]error, len(e.Causes))
	for i, c := range e.Causes {
		errs[i] = c.Err
	}
	return errs
}

// maxErrText bounds an error's text in a Status, in runes: a certificate may hold as many names as its maker liked.
const maxErrText = 200

// printable makes a text of an error fit for a line: what it quotes may come from a server, or from who poses as one.
func printable(text string) string {
	n := 0
	return strings.Map(func(r rune) rune {
		switch n++; {
		case n > maxErrText:
			return -1
		case !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, text)
}
