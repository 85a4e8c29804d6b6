package parse

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"schoolgate/blocklist"
)

// Archive reads a tar in the layout of the UT1 lists of Toulouse: directories with files domains, urls and usage, alone or
// below one top directory. sel names the directories to read; links between directories (ads → publicite) are followed.
// None named reads all that are for blocking. open gives the unpacked tar from its beginning and is called twice, since a
// link or a usage may stand behind what it speaks of. Nothing is ever written anywhere.
func Archive(open func() (io.ReadCloser, error), sel []string, add func(blocklist.Rule) error) (Report, error) {
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
		return Report{}, err
	}
	p := &parser{add: add}
	chosen, err := p.choose(t, sel)
	if err != nil {
		return p.rep, err
	}
	wanted := t.wanted(chosen)
	err = eachEntry(open, func(h *tar.Header, r io.Reader) error {
		if label, ok := wanted[path.Clean(h.Name)]; ok && h.Typeflag == tar.TypeReg {
			return p.treeFile(label, r)
		}
		return nil
	})
	if err != nil {
		return p.rep, err
	}
	return p.rep, p.verdict()
}

// choose is tree.choose with what was passed over noted in the report.
func (p *parser) choose(t *tree, sel []string) ([]category, error) {
	chosen, passed, err := t.choose(sel)
	for _, name := range passed {
		p.rep.skip(Problem{File: name + "/domains", Text: "the whole directory", Reason: AllowList}, 1)
	}
	return chosen, err
}

func eachEntry(open func() (io.ReadCloser, error), do func(*tar.Header, io.Reader) error) error {
	r, err := open()
	if err != nil {
		return err
	}
	defer r.Close()
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
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
