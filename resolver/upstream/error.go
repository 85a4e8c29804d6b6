package upstream

import "strings"

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
