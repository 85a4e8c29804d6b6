package parse

import (
	"io"

	"schoolgate/blocklist"
	"schoolgate/config"
)

// Text is Source for a text list in memory.
func Text(r io.Reader, f config.Format, add func(blocklist.Rule) error) (Report, error) {
	p := &parser{add: add}
	if err := p.text(r, f); err != nil {
		return p.rep, err
	}
	return p.rep, p.verdict()
}

// Archive is Source for a tar in memory.
func Archive(open func() (io.ReadCloser, error), sel []string, add func(blocklist.Rule) error) (Report, error) {
	p := &parser{add: add}
	err := p.archive(open, sel)
	return p.rep, err
}

// Dir is Source for a directory.
func Dir(dir string, sel []string, add func(blocklist.Rule) error) (Report, error) {
	p := &parser{add: add}
	err := p.directory(dir, DefaultMaxSize*Unpack, sel)
	return p.rep, err
}
