package parse

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"schoolgate/config"
)

const (
	maxEntries = 20_000  // files, directories and links of one tree; UT1 has about 400
	maxUsage   = 4 << 10 // bytes of one usage file
	maxLinks   = 8       // links followed to one file
)

// tree is the layout of a UT1 directory or archive: what is where, before any list of it is read. Paths are slash-separated,
// clean and relative to its top.
type tree struct {
	files   map[string]bool
	links   map[string]string // to where, as a path from the top
	usage   map[string]usage  // by path of the directory
	entries int
}

// usage is what a directory's file of that name says it is good for.
type usage struct{ black, white bool }

// category is one chosen directory.
type category struct {
	name string // as selected, or as it stands in the tree
	dir  string // where it really is
}

func newTree() *tree {
	return &tree{files: make(map[string]bool), links: make(map[string]string), usage: make(map[string]usage)}
}

// put takes one entry in. Whatever could lead out of the tree, or is neither file, directory nor link, is refused.
func (t *tree) put(name string, mode fs.FileMode, link string) (clean string, err error) {
	if t.entries++; t.entries > maxEntries {
		return "", fmt.Errorf("%w: more than %d entries", ErrArchive, maxEntries)
	}
	clean = path.Clean(name)
	if !fs.ValidPath(clean) || slices.Contains(strings.Split(name, "/"), "..") {
		return "", fmt.Errorf("%w: path %q leads out of it", ErrArchive, clip(name))
	}
	switch mode.Type() {
	case 0:
		t.files[clean] = true
		delete(t.links, clean)
	case fs.ModeDir:
	case fs.ModeSymlink:
		to := path.Join(path.Dir(clean), link)
		if path.IsAbs(link) || !fs.ValidPath(to) {
			return "", fmt.Errorf("%w: link %q leads out of it", ErrArchive, clip(name))
		}
		t.links[clean] = to
		delete(t.files, clean)
	default:
		return "", fmt.Errorf("%w: %q is neither file, directory nor link", ErrArchive, clip(name))
	}
	return clean, nil
}

// resolve follows links, of the path itself and of the directories it is in.
func (t *tree) resolve(name string) (string, error) {
	for range maxLinks {
		at := name
		to, isLink := t.links[at]
		for !isLink && at != "." {
			at = path.Dir(at)
			to, isLink = t.links[at]
		}
		if !isLink {
			return name, nil
		}
		name = path.Join(to, strings.TrimPrefix(name, at))
	}
	return "", fmt.Errorf("%w: link %q goes round in circles", ErrArchive, clip(name))
}

// top is the one directory that holds all others, "blacklists" as UT1 ships it, or "." when there is none.
func (t *tree) top() string {
	first := ""
	for _, p := range t.all() {
		dir, _, below := strings.Cut(p, "/")
		if !below || first != "" && dir != first || t.files[path.Join(dir, "domains")] {
			return "."
		}
		first = dir
	}
	if first == "" {
		return "."
	}
	return first
}

func (t *tree) all() []string {
	var all []string
	for p := range t.files {
		all = append(all, p)
	}
	for p := range t.links {
		all = append(all, p)
	}
	slices.Sort(all)
	return all
}

// choose gives the directories to read: those named, or all that are for blocking. Passed over are, when none is named, the
// directories for allowing and those of no stated use, unless nothing in the tree states its use.
func (t *tree) choose(sel []string) (chosen []category, passed []string, err error) {
	if len(sel) == 0 {
		chosen, passed = t.chooseAll()
		return chosen, passed, nil
	}
	for _, name := range sel {
		c, err := t.find(name)
		if err != nil {
			return nil, nil, err
		}
		chosen = append(chosen, c)
	}
	return chosen, nil, nil
}

func (t *tree) chooseAll() (chosen []category, passed []string) {
	for _, c := range t.categories() {
		u, stated := t.usage[c.dir]
		if stated && u.white && !u.black || !stated && len(t.usage) > 0 {
			passed = append(passed, c.name)
		} else {
			chosen = append(chosen, c)
		}
	}
	return chosen, passed
}

// categories are the directories with a file domains of their own, in order.
func (t *tree) categories() []category {
	top := t.top()
	var found []category
	for p := range t.files {
		if dir, file := path.Split(p); file == "domains" && dir != "" {
			dir = path.Clean(dir)
			found = append(found, category{name: strings.TrimPrefix(dir, top+"/"), dir: dir})
		}
	}
	slices.SortFunc(found, func(a, b category) int { return strings.Compare(a.name, b.name) })
	return found
}

func (t *tree) find(name string) (category, error) {
	where := path.Join(t.top(), name)
	if !fs.ValidPath(where) || where == "." {
		return category{}, fmt.Errorf("%w: %q", ErrNoDirectory, clip(name))
	}
	file, err := t.resolve(path.Join(where, "domains"))
	if err != nil {
		return category{}, err
	}
	if !t.files[file] {
		return category{}, fmt.Errorf("%w: %q has no file domains; there is %s", ErrNoDirectory, clip(name), t.offer())
	}
	dir := path.Dir(file)
	if u, stated := t.usage[dir]; stated && u.white && !u.black {
		return category{}, fmt.Errorf("%w: %q", ErrAllowList, clip(name))
	}
	return category{name: name, dir: dir}, nil
}

// offer names what could have been selected.
func (t *tree) offer() string {
	var names []string
	for _, c := range t.categories() {
		names = append(names, clip(c.name))
	}
	if len(names) == 0 {
		return "none at all"
	}
	if len(names) > 100 {
		names = append(names[:100], "…")
	}
	return strings.Join(names, ", ")
}

// readUsage reads a usage file: lines "black" and "white", and others that do not matter here.
func (t *tree) readUsage(file string, r io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(r, maxUsage))
	if err != nil {
		return err
	}
	var u usage
	for line := range bytes.Lines(text) {
		switch trim(strings.ToLower(strings.TrimSpace(string(line)))) {
		case "black":
			u.black = true
		case "white":
			u.white = true
		}
	}
	t.usage[path.Dir(file)] = u
	return nil
}

// wanted are the files to read, each once however often it was chosen: domains, and urls, to be counted.
func (t *tree) wanted(chosen []category) map[string]string {
	files := make(map[string]string) // to the name a report calls it by
	for _, c := range chosen {
		for _, name := range []string{"domains", "urls"} {
			if p, err := t.resolve(path.Join(c.dir, name)); err == nil && t.files[p] {
				files[p] = c.name + "/" + name
			}
		}
	}
	return files
}

// treeFile reads one wanted file of a tree.
func (p *parser) treeFile(label string, r io.Reader) error {
	p.file = label
	var err error
	if path.Base(label) == "urls" {
		err = p.pages(r)
	} else {
		err = p.text(r, config.FormatWildcard)
	}
	if err != nil && p.err == nil {
		return fmt.Errorf("%s: %w", label, err)
	}
	return err
}

// pages counts the lines of a file of web pages: a DNS filter that took their hosts would block whole sites for one page.
func (p *parser) pages(r io.Reader) error {
	l := newLines(r)
	count := 0
	for {
		line, ok := l.next()
		if !ok {
			break
		}
		p.rep.Lines++
		if line = trim(line); line != "" && !comment(line) {
			count++
		}
	}
	if count > 0 {
		p.rep.Entries += count
		p.note(Problem{File: p.file, Text: "every line", Reason: Page}, count)
	}
	return l.end()
}
