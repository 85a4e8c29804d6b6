package parse

import (
	"io/fs"
	"os"
	"path"
)

// directory reads a directory in the same layout as archive. Links are followed only inside of it.
func (p *parser) directory(dir string, limit int64, sel []string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	t, err := walk(root)
	if err != nil {
		return err
	}
	chosen, err := p.choose(t, sel)
	if err != nil {
		return err
	}
	wanted := t.wanted(chosen)
	left := limit
	for _, file := range t.all() {
		label, ok := wanted[file]
		if !ok {
			continue
		}
		if left, err = p.rootFile(root, file, label, left); err != nil {
			return err
		}
	}
	return p.verdict()
}

// rootFile reads one file of a directory and gives what is left of the limit.
func (p *parser) rootFile(root *os.Root, file, label string, limit int64) (left int64, err error) {
	f, err := root.Open(file)
	if err != nil {
		return 0, err
	}
	u := &unpacked{r: f, left: limit, file: f}
	defer u.Close()
	err = p.treeFile(label, u)
	return u.left, err
}

// walk takes in the layout of a directory.
func walk(root *os.Root) (*tree, error) {
	t := newTree()
	err := fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		link := ""
		if d.Type() == fs.ModeSymlink {
			if link, err = root.Readlink(name); err != nil {
				return err
			}
		}
		if _, err := t.put(name, d.Type(), link); err != nil {
			return err
		}
		if !d.Type().IsRegular() || path.Base(name) != "usage" {
			return nil
		}
		f, err := root.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		return t.readUsage(name, f)
	})
	return t, err
}
