package parse

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"

	"schoolgate/blocklist"
	"schoolgate/config"
)

// Bounds of what is read for a List that sets no MaxSize, and of how far any source may unpack.
const (
	DefaultMaxSize = 64 << 20 // bytes
	Unpack         = 10       // times MaxSize
)

// Source reads the list kept at path, a file or a directory, as l says: Format, Select, Accept and MaxSize. How a file is packed
// (gzip, zstd, tar within either or by itself) is told from its first bytes and never from its name. Rules go to add, which
// may keep them; Rule.Name may share memory with the names around it in the list. An error of add ends the reading and is
// returned as it is; any other says what is wrong and not which path, which the caller knows. After any error, what was
// added must be thrown away; the report is good as far as it goes.
func Source(path string, l config.List, add func(blocklist.Rule) error) (Report, error) {
	p := &parser{add: add, accept: l.Accept}
	err := p.source(path, l)
	return p.rep, err
}

// Refused reads a list as Source does and tells of at most keep entries of it one by one why they make no rule.
func Refused(path string, l config.List, keep int) (Report, error) {
	p := &parser{add: func(blocklist.Rule) error { return nil }, accept: l.Accept, keep: keep}
	err := p.source(path, l)
	return p.rep, err
}

func (p *parser) source(path string, l config.List) error {
	err := p.packed(path, l)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w (%w)", ErrCut, err)
	}
	return err
}

// packed reads a file of whatever packing, or a directory.
func (p *parser) packed(path string, l config.List) error {
	limit := int64(l.MaxSize)
	if limit <= 0 {
		limit = DefaultMaxSize
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	wantsTree := l.Format == config.FormatUT1 || l.Format == config.FormatAuto
	switch {
	case info.IsDir() && wantsTree:
		return p.directory(path, limit*Unpack, l.Select)
	case info.IsDir():
		return fmt.Errorf("%w: a directory can only be a list of format ut1", ErrArchive)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%w: neither a file nor a directory", ErrArchive)
	case info.Size() > limit:
		return fmt.Errorf("%w: %d bytes as fetched, %d are allowed", ErrTooLarge, info.Size(), limit)
	}
	open := func() (io.ReadCloser, error) { return unpack(path, limit*Unpack) }
	r, err := open()
	if err != nil {
		return err
	}
	defer r.Close()
	b := bufio.NewReaderSize(r, 4<<10)
	head, err := b.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch isTar := magic(head) == tarball; {
	case isTar && wantsTree:
		return p.archive(open, l.Select)
	case isTar:
		return fmt.Errorf("%w: a tar can only be a list of format ut1", ErrArchive)
	}
	if err := p.text(b, l.Format); err != nil {
		return err
	}
	return p.verdict()
}

// unpack opens a file and undoes its compression. Reading more than limit bytes from it is ErrTooLarge.
func unpack(path string, limit int64) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return Unpacked(f, limit)
}

// Unpacked undoes the compression of f, as Source does, and closes f with the result or at an error. Reading more than
// limit bytes from it is ErrTooLarge.
func Unpacked(f io.ReadCloser, limit int64) (io.ReadCloser, error) {
	b := bufio.NewReaderSize(f, 64<<10)
	head, err := b.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) {
		f.Close()
		return nil, err
	}
	u := &unpacked{r: b, left: limit, file: f}
	switch kind := magic(head); kind {
	case gzipped:
		if u.r, err = gzip.NewReader(b); errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
	case zstandard:
		var z *zstd.Decoder
		// One goroutine less and a bounded window: a list is small, the machine too.
		z, err = zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxWindow(64<<20))
		if err == nil {
			u.r, u.zstd = z, z
		}
	case plain, tarball:
		err = nil
	default:
		err = fmt.Errorf("%w: %s", ErrCompression, kind)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return u, nil
}

// unpacked is the content of a file, bounded.
type unpacked struct {
	r    io.Reader
	left int64
	zstd *zstd.Decoder // or nil
	file io.Closer
}

func (u *unpacked) Read(b []byte) (int, error) {
	if u.left < 0 {
		return 0, ErrTooLarge
	}
	if int64(len(b)) > u.left+1 { // one more, to tell the end from the limit
		b = b[:u.left+1]
	}
	n, err := u.r.Read(b)
	if u.left -= int64(n); u.left < 0 {
		return n - 1, ErrTooLarge
	}
	return n, err
}

func (u *unpacked) Close() error {
	if u.zstd != nil {
		u.zstd.Close()
	}
	return u.file.Close()
}

// packing is how a file is packed.
type packing string

const (
	plain     packing = "plain"
	gzipped   packing = "gzip"
	zstandard packing = "zstd"
	tarball   packing = "tar"
)

// magic tells the packing from the first 512 bytes.
func magic(b []byte) packing {
	for _, m := range []struct {
		at   int
		text string
		kind packing
	}{
		{0, "\x1f\x8b", gzipped},
		{0, "\x28\xb5\x2f\xfd", zstandard},
		{257, "ustar", tarball},
		{0, "\xfd7zXZ\x00", "xz"},
		{0, "BZh", "bzip2"},
		{0, "PK\x03\x04", "zip"},
		{0, "7z\xbc\xaf\x27\x1c", "7z"},
	} {
		if len(b) >= m.at && bytes.HasPrefix(b[m.at:], []byte(m.text)) {
			return m.kind
		}
	}
	return plain
}
