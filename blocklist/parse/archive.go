package parse

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
)

// archive reads a tar in the layout of the UT1 lists of Toulouse: directories with files domains, urls and usage, alone or
// below one top directory. sel names the directories to read; links between directories (ads → publicite) are followed.
// None named reads all that are for blocking. open gives the unpacked tar from its beginning and is called twice, since a
// link or a usage may stand behind what it speaks of. Nothing is ever written anywhere.
func (p *parser) archive(open func() (io.ReadCloser, error), sel []string) error {
	t := newTree()
	err := eachEntry(open, func(h *tar.Header, r io.Reader) error {
		mode, err := entryMode(h)
		if err != nil {
			return err
		}
		name, err := t.put(h.Name, mode, h.Linkname)
		if err == nil && mode.IsRegular() && path.Base(name) == "usage" {
			err = t.readUsage(name, r)
		}
		return err
	})
	if err != nil {
		return err
	}
	chosen, err := p.choose(t, sel)
	if err != nil {
		return err
	}
	wanted := t.wanted(chosen)
	err = eachEntry(open, func(h *tar.Header, r io.Reader) error {
		if label, ok := wanted[path.Clean(h.Name)]; ok && h.Typeflag == tar.TypeReg {
			return p.treeFile(label, r)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return p.verdict()
}

// choose is tree.choose with what was passed over noted in the report.
func (p *parser) choose(t *tree, sel []string) ([]category, error) {
	chosen, passed, err := t.choose(sel)
	for _, name := range passed {
		p.note(Problem{File: name + "/domains", Text: "the whole directory", Reason: AllowList}, 1)
	}
	return chosen, err
}

func eachEntry(open func() (io.ReadCloser, error), do func(*tar.Header, io.Reader) error) error {
	r, err := open()
	if err != nil {
		return err
	}
	defer r.Close()
	tail := &tail{r: r}
	for in := tar.NewReader(tail); ; {
		h, err := in.Next()
		switch {
		case errors.Is(err, io.EOF):
			return tail.end()
		case errors.Is(err, tar.ErrInsecurePath):
			return fmt.Errorf("%w: path %q leads out of it", ErrArchive, clip(h.Name))
		case err != nil:
			return fmt.Errorf("reading tar: %w", err)
		case h.Typeflag == tar.TypeXGlobalHeader:
			continue
		}
		if err := do(h, in); err != nil {
			return err
		}
	}
}

// tail remembers the last block of a tar. An archive cut between two entries looks whole to a reader of entries; the
// blocks of zeros that end it are missing all the same.
type tail struct {
	r    io.Reader
	last [512]byte
}

func (t *tail) Read(b []byte) (int, error) {
	n, err := t.r.Read(b)
	if n >= len(t.last) {
		copy(t.last[:], b[n-len(t.last):])
	} else {
		copy(t.last[:], t.last[n:])
		copy(t.last[len(t.last)-n:], b[:n])
	}
	return n, err
}

// end reads what is left, which checks the sums of the packing, and says whether the archive is whole.
func (t *tail) end() error {
	if _, err := io.Copy(io.Discard, t); err != nil {
		return fmt.Errorf("reading tar: %w", err)
	}
	if t.last != [512]byte{} {
		return ErrCut
	}
	return nil
}

// entryMode gives the type of a tar entry; of the modes in the header only the type field is believed.
func entryMode(h *tar.Header) (fs.FileMode, error) {
	switch h.Typeflag {
	case tar.TypeReg:
		return 0, nil
	case tar.TypeDir:
		return fs.ModeDir, nil
	case tar.TypeSymlink:
		return fs.ModeSymlink, nil
	}
	return 0, fmt.Errorf("%w: %q is a hard link, device or other special entry", ErrArchive, clip(h.Name))
}
