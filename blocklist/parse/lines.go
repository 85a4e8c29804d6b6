package parse

import (
	"bytes"
	"errors"
	"fmt"
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
	err   error  // what ended the stream, io.EOF included
}

func newLines(r io.Reader) *lines { return &lines{r: r, buf: make([]byte, maxLine)} }

// next gives a line without its line feed. At the end of the stream, and at an error, ok is false.
func (l *lines) next() (line string, ok bool) {
	for l.block == "" {
		if l.err != nil {
			return "", false
		}
		l.fill()
	}
	line, l.block, _ = strings.Cut(l.block, "\n")
	return line, true
}

// end is the error that ended the stream, nil for its end.
func (l *lines) end() error {
	if errors.Is(l.err, io.EOF) {
		return nil
	}
	return l.err
}

// fill reads on until there is a block or an error.
func (l *lines) fill() {
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
			return
		}
		if bom := []byte("\ufeff"); bytes.HasPrefix(l.buf[:l.held], bom) {
			l.held = copy(l.buf, l.buf[len(bom):l.held])
			fresh = l.buf[:l.held]
		}
	}
	if bytes.IndexByte(fresh, 0) >= 0 {
		l.err = ErrBinary
		return
	}
	l.err = err
	cut := bytes.LastIndexByte(l.buf[:l.held], '\n') + 1
	switch {
	case errors.Is(err, io.EOF):
		cut = l.held
	case cut == 0 && err == nil && l.held == len(l.buf):
		l.err = ErrLongLine
	}
	l.block = string(l.buf[:cut])
	l.held = copy(l.buf, l.buf[cut:l.held])
}

// Sniff tells from the first bytes of a source as it was fetched what is certainly no list: a web page, a pointer, text
// in UTF-16, compression that is not supported. What it lets pass may still be none.
func Sniff(head []byte) error {
	switch kind := magic(head); kind {
	case gzipped, zstandard, tarball:
		return nil
	case plain:
		if err := sniffText(head); err != nil {
			return err
		}
		if bytes.IndexByte(head, 0) >= 0 {
			return ErrBinary
		}
		return nil
	default:
		return fmt.Errorf("%w: %s", ErrCompression, kind)
	}
}

// sniffText tells from its first bytes what is no list. No format has a line that begins with "<".
func sniffText(b []byte) error {
	if bytes.HasPrefix(b, []byte{0xff, 0xfe}) || bytes.HasPrefix(b, []byte{0xfe, 0xff}) { // UTF-16
		return ErrBinary
	}
	if kind := magic(b); kind != plain {
		return ErrBinary
	}
	if err := foreignHead(b); err != nil {
		return err
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
