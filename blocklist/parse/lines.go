package parse

import (
	"bytes"
	"errors"
	"io"
	"strings"
)

const maxLine = 64 << 10 // bytes; the longest lines published hold a few hundred names

// lines cuts a stream into lines. Each block of lines is one string, so a line costs no allocation of its own, and the
// names cut from a block keep it alive.
type lines struct {
	r     io.Reader
	buf   []byte
	held  int    // bytes of buf in use
	block string // whole lines not yet given out
	begun bool   // the first bytes have been looked at
	over  bool   // inside a line that is too long
	err   error  // what ended the stream, io.EOF included
}

func newLines(r io.Reader) *lines { return &lines{r: r, buf: make([]byte, maxLine)} }

// next gives a line without its line feed. Of a line that is too long it gives the beginning. At the end of the stream, and
// at an error, ok is false.
func (l *lines) next() (line string, long, ok bool) {
	for l.block == "" {
		if l.err != nil {
			return "", false, false
		}
		if head, long := l.fill(); long {
			return head, true, true
		}
	}
	line, l.block, _ = strings.Cut(l.block, "\n")
	return line, false, true
}

// end is the error that ended the stream, nil for its end.
func (l *lines) end() error {
	if errors.Is(l.err, io.EOF) {
		return nil
	}
	return l.err
}

// fill reads on until there is a block, an error, or a line too long, of which it gives the head.
func (l *lines) fill() (head string, long bool) {
	start, err := l.held, error(nil)
	for idle := 0; l.held < len(l.buf) && err == nil; {
		var n int
		if n, err = l.r.Read(l.buf[l.held:]); n == 0 {
			if idle++; idle == 100 && err == nil {
				err = io.ErrNoProgress
			}
		}
		l.held += n
	}
	fresh := l.buf[start:l.held]
	if !l.begun {
		l.begun = true
		if l.err = sniffText(l.buf[:l.held]); l.err != nil {
			return "", false
		}
		if bom := []byte("\ufeff"); bytes.HasPrefix(l.buf[:l.held], bom) {
			l.held = copy(l.buf, l.buf[len(bom):l.held])
			fresh = l.buf[:l.held]
		}
	}
	if bytes.IndexByte(fresh, 0) >= 0 {
		l.err = ErrBinary
		return "", false
	}
	l.err = err
	cut := bytes.LastIndexByte(l.buf[:l.held], '\n') + 1
	if errors.Is(err, io.EOF) {
		cut = l.held
	}
	if cut == 0 {
		if err != nil {
			return "", false
		}
		first := !l.over
		head, l.held, l.over = string(l.buf[:maxProblemText]), 0, true
		return head, first
	}
	text := l.buf[:cut]
	if l.over { // the rest of the line that was too long
		_, text, _ = bytes.Cut(text, []byte("\n"))
		l.over = false
	}
	l.block = string(text)
	l.held = copy(l.buf, l.buf[cut:l.held])
	return "", false
}

// sniffText tells from its first bytes what is no list. No format has a line that begins with "<".
func sniffText(b []byte) error {
	if bytes.HasPrefix(b, []byte{0xff, 0xfe}) || bytes.HasPrefix(b, []byte{0xfe, 0xff}) { // UTF-16
		return ErrBinary
	}
	if kind := magic(b); kind != plain {
		return ErrBinary
	}
	b = bytes.TrimSpace(bytes.TrimPrefix(b, []byte("\ufeff")))
	switch {
	case bytes.HasPrefix(b, []byte("<")):
		return ErrHTML
	case bytes.HasPrefix(b, []byte("version https://git-lfs.github.com/")):
		return ErrLFSPointer
	}
	return nil
}
