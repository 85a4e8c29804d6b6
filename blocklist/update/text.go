package update

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText bounds the text of an error, in bytes.
const maxText = 300

// printable makes a text safe to show: servers and their certificates put into errors what they like, and a terminal
// obeys what is no letter. Lines are joined, other characters that do not print stand as \x1b, \u202e.
func printable(s string) string {
	var b strings.Builder
	for i, r := range s {
		var c string
		switch {
		case r == '\n':
			c = "; "
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\ufffd"):
			c = fmt.Sprintf(`\x%02x`, s[i])
		case unicode.IsPrint(r):
			c = string(r)
		case r < 0x100:
			c = fmt.Sprintf(`\x%02x`, r)
		default:
			c = fmt.Sprintf(`\u%04x`, r)
		}
		if b.Len()+len(c) > maxText-len("…") {
			return b.String() + "…"
		}
		b.WriteString(c)
	}
	return b.String()
}

// shown is an error with a text safe to show.
type shown struct {
	text string
	err  error
}

func (e *shown) Error() string { return e.text }

func (e *shown) Unwrap() error { return e.err }

// clean gives err, with another text where its own is not printable.
func clean(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if p := printable(text); p != text {
		return &shown{p, err}
	}
	return err
}
